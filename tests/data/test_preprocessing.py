"""From any image to what a model was trained to see."""

import json

import numpy as np
import pytest
from PIL import Image

from minivit.data import DataError
from minivit.data.preprocessing import Preprocessing, fit, read_preprocessing

RNG = np.random.default_rng(0)
TIMM = {"input_size": [3, 224, 192], "crop_pct": 0.9, "interpolation": "bilinear", "crop_mode": "squash",
        "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
VIT = {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 224}


def smooth(width, height):
    return Image.fromarray(RNG.integers(256, size=(7, 5, 3), dtype=np.uint8)).resize((width, height), 3)


@pytest.mark.parametrize(("width", "height"), [(83, 47), (47, 83), (224, 224), (17, 11), (501, 37)])
@pytest.mark.parametrize(("size", "scaled", "crop_pct"), [(31, 35, 0.875), (29, 29, 1.0), (37, 41, 0.9)])
def test_fit_is_scaling_and_cutting_out_the_middle(width, height, size, scaled, crop_pct):
    """torchvision's rule: the shorter side becomes ``scaled``, the longer one is rounded down.

    Pillow may scale rows before columns or after, and rounds in between.
    """
    image = smooth(width, height)
    wide = (scaled * width // height, scaled) if width >= height else (scaled, scaled * height // width)
    whole = np.asarray(image.resize(wide, Image.Resampling.BICUBIC)).astype(int)
    top, left = (round((side - cut) / 2) for side, cut in zip(whole.shape, (size, size), strict=False))
    right = whole[top:top + size, left:left + size]
    assert np.abs(np.asarray(fit(image, size, crop_pct=crop_pct)).astype(int) - right).max() <= 2


@pytest.mark.parametrize(("width", "height", "kept"), [(60, 20, slice(20, 40)), (40, 40, slice(0, 40))])
def test_sides_of_their_own(width, height, kept):
    """A tall cut of a wide image keeps its middle; of a square one, the middle half."""
    columns = np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None], (height, width, 3))
    seen = np.asarray(fit(Image.fromarray(columns.copy()), (height, height // 2), interpolation="nearest"))
    left = (width - height // 2) // 2
    assert seen.shape == (height, height // 2, 3) and (seen[0, :, 0] == np.arange(left, left + height // 2)).all()
    assert kept.start <= seen.min() <= seen.max() < kept.stop
    squashed = np.asarray(fit(Image.fromarray(columns.copy()), (7, 11), crop_mode="squash"))
    assert squashed.shape == (7, 11, 3) and squashed[0, 0, 0] < width / 11 and squashed[0, -1, 0] > width - width / 11


def test_a_very_long_image_needs_no_memory():
    assert fit(Image.new("RGB", (60_000, 1)), 224).size == (224, 224)


@pytest.mark.parametrize(("options", "message"), [
    ({"mean": [0.5, 0.5]}, r"mean=\(0\.5, 0\.5\) is not allowed: use three numbers"),
    ({"mean": [123.7, 116.3, 103.5]}, r"mean=\(123\.7.*from 0 to 1; divide by 255"),
    ({"mean": [0.5, float("nan"), 0.5]}, r"mean=\(0\.5, nan"),
    ({"std": [0.2, 0, 0.2]}, r"std=\(0\.2, 0, .*larger than 0"),
    ({"std": [58.4, 57.1, 57.4]}, "std=.*divide by 255"), ({"std": [float("inf")] * 3}, "std=.inf"),
    ({"image_size": [224]}, r"image_size=\[224\]"), ({"image_size": 0}, "image_size=0"),
    ({"crop_pct": 0}, "crop_pct=0"), ({"crop_pct": 1.1}, r"crop_pct=1\.1"), ({"crop_pct": 87.5}, r"crop_pct=87\.5"),
    ({"crop_mode": "border"}, "crop_mode='border'.*center, squash"),
    ({"interpolation": "cubic"}, "interpolation='cubic'.*bicubic"),
])
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**options)


@pytest.mark.parametrize(("content", "expected"), [
    ({"architecture": "vit_tiny_patch16_224", "pretrained_cfg": TIMM},
     Preprocessing((224, 192), [0.5, 0.4, 0.3], [0.2, 0.3, 0.4], 0.9, "squash", "bilinear")),
    (TIMM | {"crop_pct": None},
     Preprocessing((224, 192), [0.5, 0.4, 0.3], [0.2, 0.3, 0.4], 0.875, "squash", "bilinear")),
    ({"input_size": [3, 64, 64], "mean": [0, 0, 0], "std": [1, 1, 1]},
     Preprocessing((64, 64), [0] * 3, [1] * 3, 0.875)),
    (VIT, Preprocessing((224, 224), [0.5] * 3, [0.5] * 3, 1.0, "squash", "bilinear")),
    (VIT | {"size": {"height": 224, "width": 192}, "resample": 3, "image_processor_type": "ViTImageProcessor"},
     Preprocessing((224, 192), [0.5] * 3, [0.5] * 3, 1.0, "squash", "bicubic")),
    (VIT | {"size": 256, "crop_size": 224, "do_center_crop": True, "feature_extractor_type": "DeiTFeatureExtractor"},
     Preprocessing((224, 224), [0.5] * 3, [0.5] * 3, 224 / 256, "squash", "bicubic")),
    (VIT | {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True,
            "resample": 2},
     Preprocessing((224, 224), [0.5] * 3, [0.5] * 3, 224 / 256, "center", "bilinear")),
    (VIT | {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "image_processor_type": "ConvNextImageProcessor"},
     Preprocessing((224, 224), [0.5] * 3, [0.5] * 3, 0.875, "center", "bilinear")),
    (VIT | {"do_normalize": False}, Preprocessing((224, 224), [0] * 3, [1] * 3, 1.0, "squash", "bilinear")),
])
def test_published_configurations(tmp_path, content, expected):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    assert read_preprocessing(path) == read_preprocessing(str(tmp_path)) == expected


@pytest.mark.parametrize(("change", "seen"), [
    ({"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False}, lambda byte: byte / 127.5 - 1),
    ({"rescale_factor": 1 / 510}, lambda byte: (byte / 510 - 0.5) / 0.5),
    ({"do_rescale": False, "image_mean": [127.0] * 3, "image_std": [64.0] * 3}, lambda byte: (byte - 127) / 64),
])
def test_other_scales_become_mean_and_deviation(tmp_path, change, seen):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(VIT | change))
    (tmp_path / "config.json").write_text("{}")
    how = read_preprocessing(tmp_path)
    for byte in (0, 100, 255):
        assert (byte / 255 - how.mean[0]) / how.std[0] == pytest.approx(seen(byte))


@pytest.mark.parametrize(("content", "message"), [
    ("no json", "is not JSON"), ("[1, 2]", "says nothing about images"), ("{}", "says nothing about images"),
    (json.dumps({"hidden_size": 768, "image_size": 224}), "says nothing about images.*preprocessor_config.json"),
    (json.dumps(TIMM | {"input_size": [1, 28, 28]}), "1 channels"), (json.dumps(TIMM | {"mean": [127] * 3}), "mean="),
    (json.dumps(TIMM | {"crop_mode": "border"}), "crop_mode='border'"),
    (json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}), "lacks the key 'size'"),
    (json.dumps(VIT | {"feature_extractor_type": "CLIPFeatureExtractor"}), "size=224 of a CLIPFeatureExtractor"),
    (json.dumps(VIT | {"feature_extractor_type": "LevitFeatureExtractor"}), "LevitFeatureExtractor has its own way"),
    (json.dumps(VIT | {"size": {"shortest_edge": 224}}), "shortest_edge without do_center_crop"),
    (json.dumps(VIT | {"do_resize": False}), "do_resize=false"), (json.dumps(VIT | {"resample": 9}), "resample=9"),
    (json.dumps(VIT | {"do_center_crop": True, "crop_size": {"height": 224, "width": 112}}), "other proportions"),
    (json.dumps(VIT | {"do_center_crop": True, "crop_size": 256}), "crop_pct="),
])
def test_configurations_that_do_not_do(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(DataError, match=rf"config\.json.*{message}"):
        read_preprocessing(tmp_path / "config.json")
    with pytest.raises(DataError, match=r"gone\.json cannot be read: No such file.*preprocessor_config\.json"):
        read_preprocessing(tmp_path / "gone.json")
