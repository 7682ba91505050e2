"""Published weights are measured like a run: their model, their classes, and images prepared as they want them."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from minivit.__main__ import main
from minivit.data import DataError
from minivit.data.augment import normalize
from minivit.data.preprocessing import Preprocessing
from minivit.models import create_model
from minivit.training import CheckpointError, load_data, load_published
from minivit.training.published import choose_preprocessing

NAME = "vit_tiny_patch16_224"
SIZE = dict(image_size=48, dim=12, depth=2, num_heads=3)
WORDS = ["--model", NAME, "--model-options", *(f"{key}={value}" for key, value in SIZE.items())]
CLASSES = ("n07", "n01", "n03", "n02", "n11")  # in no order
TIMM = {"architecture": NAME, "pretrained_cfg": {"input_size": [3, 48, 48], "mean": [0.5, 0.4, 0.3],
                                                 "std": [0.2, 0.3, 0.4], "crop_pct": 0.8, "interpolation": "bilinear"}}


@pytest.fixture
def weights():
    torch.manual_seed(0)
    model = create_model(NAME, num_classes=5, **SIZE)
    torch.nn.init.normal_(model.head.weight)
    return model.state_dict()


@pytest.fixture
def names(tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    return str(tmp_path / "classes.txt")


@pytest.fixture
def file(weights, tmp_path):
    """The file of the weights, with nothing beside it."""
    (tmp_path / "weights").mkdir()
    torch.save({"model": weights}, tmp_path / "weights" / "deit.pth")
    return tmp_path / "weights" / "deit.pth"


@pytest.fixture
def draw(tmp_path):
    def draw(folder, classes, *, inside="", count=3):
        """Draw smooth images of several sizes; return their folder and, in order, the paths."""
        rng, paths = np.random.default_rng(0), []
        for i, name in enumerate(count * list(classes)):
            path = tmp_path / folder / inside / name / f"ILSVRC2012_val_{i + 1:08}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            small = Image.fromarray(rng.integers(256, size=(7, 5, 3), dtype=np.uint8))
            small.resize(tuple(rng.integers(50, 120, 2).tolist()), 3).save(path, quality=95)
            paths.append(path)
        return tmp_path / folder, paths
    return draw


def prepare(path, crop_pct, mean, std, resample=Image.Resampling.BICUBIC):
    """Prepare an image as timm and torchvision do: scale the shorter side, crop the middle, normalise."""
    image = Image.open(path)
    short = math.floor(48 / crop_pct)
    width, height = (int(short * side / min(image.size)) for side in image.size)
    image = image.resize((width, height), resample)
    left, top = round((width - 48) / 2), round((height - 48) / 2)
    pixels = np.asarray(image.crop((left, top, left + 48, top + 48)), np.float32) / 255
    return torch.from_numpy((pixels - np.float32(mean)) / np.float32(std)).permute(2, 0, 1)


def measure(weights, paths, *how, chosen=CLASSES):
    """Return the loss and the top-1 accuracy as someone else would compute them."""
    model = create_model(NAME, num_classes=5, **SIZE).eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        logits = model(torch.stack([prepare(path, *how) for path in paths]))
    logits = logits[:, [CLASSES.index(name) for name in chosen]]
    labels = torch.tensor([chosen.index(path.parent.name) for path in paths])
    return F.cross_entropy(logits, labels).item(), 100 * (logits.argmax(1) == labels).float().mean().item()


def read(line):
    """Return loss and top-1 accuracy of a printed line."""
    return float(line.split("loss ")[1]), float(re.search(r"top-1 ([\d.]+) %", line)[1])


DEIT = (0.875, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OTHER = (0.8, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), Image.Resampling.BILINEAR)  # as TIMM says


def test_what_the_model_sees_is_what_timm_would_show_it(file, draw):
    """Our scaling and cropping is one step, theirs two, with rounding in between."""
    root, paths = draw("data", CLASSES)
    for options, how in (({}, DEIT), (vars(Preprocessing(48, OTHER[1], OTHER[2], 0.8, "center", "bilinear")), OTHER)):
        published = load_published(file, NAME, model_options=SIZE, classes=CLASSES, dataset_options=options)
        _, dataset = load_data(published, root)
        for image, path in zip(dataset.test.images[:], dataset.test.images.paths, strict=True):
            seen = normalize(image[None], dataset.mean, dataset.std)[0]
            levels = 255 * torch.tensor(dataset.std)[:, None, None] * (seen - prepare(path, *how)).abs()
            assert levels.max() < 2.5
            assert (seen - prepare(path, how[0] - 0.05, *how[1:])).abs().max() > 0.1


@pytest.mark.parametrize("place, words, how", [
    (None, [], DEIT),
    ("beside", [], OTHER), ("header", [], OTHER), ("option", [], OTHER),
    ("beside", ["mean=0,0,0", "std=[1,1,1]", "crop_pct=1.0", "interpolation=bicubic"], (1.0, (0, 0, 0), (1, 1, 1))),
])
def test_images_are_prepared_as_the_weights_want(weights, file, names, draw, capsys, tmp_path, place, words, how):
    root, paths = draw("data", CLASSES, inside="val")
    config = tmp_path / "other.json"
    if place == "header":
        file = file.with_name("model.safetensors")
        save_file(weights, file, metadata={"format": "pt", "pretrained_cfg": json.dumps(TIMM["pretrained_cfg"])})
    elif place:
        config = file.with_name("config.json") if place == "beside" else config
        config.write_text(json.dumps(TIMM))
    words = words + ([f"preprocessing={config}"] if place == "option" else [])
    assert main(["eval", "--weights", str(file), *WORDS, "--classes", names, "--data", str(root), "--device", "cpu",
                 *(["--dataset-options", *words] if words else [])]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"{NAME} on 15 test images of imagefolder: top-1 ")
    assert ("nothing says how to prepare images" in told.err) == (place is None)
    loss, top1 = measure(weights, paths, *how)
    assert read(told.out) == (pytest.approx(loss, rel=1e-2), pytest.approx(top1, abs=0.01))


def test_their_attention_is_measured_like_that_of_a_run(file, names, draw, capsys):
    root, _ = draw("data", CLASSES)
    words = [str(file), *WORDS, "--classes", names, "--data", str(root), "--device", "cpu"]
    assert main(["analyze", "--weights", *words]) == main(["eval", "--weights", *words]) == 0
    found = json.loads((file.parent / "analysis" / "analysis.json").read_text(encoding="utf-8"))
    assert found["images"] == 15 and found["config"]["model"] == NAME
    assert None not in found["attention"]["similarity"][1:] and len(found["attention"]["similarity"]) > 1
    assert found["robustness"]["clean"] == pytest.approx(read(capsys.readouterr().out.splitlines()[-1])[1], abs=0.01)


def test_some_of_the_classes_as_imagenet_a_is_scored(weights, file, names, draw, capsys):
    root, paths = draw("imagenet-a", ("n02", "n11", "n01"))
    words = ["eval", "--weights", str(file), *WORDS, "--classes", names, "--data", str(root), "--device", "cpu"]
    assert main(words) == 1
    assert "are not the model's: missing: 'n07', 'n03'. " in (told := capsys.readouterr().err) and "--subset" in told
    assert main([*words, "--subset"]) == 0
    line = capsys.readouterr().out
    assert "9 test images of imagefolder, 3 classes: " in line
    assert read(line)[0] == pytest.approx(measure(weights, paths, *DEIT, chosen=("n01", "n02", "n11"))[0], rel=1e-2)


def test_numbers_are_positions_as_in_imagenet_v2(weights, file, names, draw, capsys):
    root, paths = draw("v2", [str(CLASSES.index(name)) for name in CLASSES])
    plain, same = draw("plain", CLASSES)
    words = ["eval", "--weights", str(file), *WORDS, "--device", "cpu", "--classes", names, "--data"]
    assert main([*words, str(root)]) == 0
    numbered = capsys.readouterr()
    assert "classes of imagefolder are taken for the model's, counted from 0: '0' for 'n07'" in numbered.err
    assert main([*words, str(plain)]) == 0
    assert capsys.readouterr().out == numbered.out


def test_any_of_the_reassessed_labels_is_right(weights, file, names, draw, capsys, tmp_path):
    root, paths = draw("data", CLASSES)
    real = [[k for k in range(5) if (i + k) % 3 == 0] if i % 4 else [] for i in range(len(paths))]
    (tmp_path / "real.json").write_text(json.dumps(real))
    assert main(["eval", "--weights", str(file), *WORDS, "--classes", names, "--data", str(root), "--device", "cpu",
                 "--labels", str(tmp_path / "real.json"), "--conditions", "centre_occlusion"]) == 0
    told = capsys.readouterr()
    assert "4 of 15 images are left out" in told.err
    clean, occluded = told.out.splitlines()
    assert "11 test images of imagefolder, centre_occlusion: top-1" in occluded
    model = create_model(NAME, num_classes=5, **SIZE).eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        best = model(torch.stack([prepare(path, *DEIT) for path in paths])).argmax(1).tolist()
    hits = [k in its for k, its in zip(best, real, strict=True) if its]
    assert read(clean)[1] == pytest.approx(100 * sum(hits) / 11, abs=0.01)


def test_without_names_the_folders_are_assumed_in_order(weights, file, draw, caplog):
    root, _ = draw("v2", map(str, range(5)))
    model, dataset = load_data(load_published(file, NAME, model_options=SIZE), root)
    assert dataset.classes == tuple("01234") and "nothing says which classes the model knows" in caplog.text
    root, _ = draw("few", ("n01", "n02"))
    with pytest.raises(ValueError, match=r"has 2 classes \('n01', 'n02'\), the model 5: give --classes FILE"):
        load_data(load_published(file, NAME, model_options=SIZE), root)


def test_more_than_ten_numbers_are_sorted_as_numbers(tmp_path, draw):
    model = create_model(NAME, num_classes=12, **SIZE)
    save_file(model.state_dict(), tmp_path / "twelve.safetensors")
    root, _ = draw("v2", map(str, range(12)), count=1)
    published = load_published(tmp_path / "twelve.safetensors", NAME, model_options=SIZE)
    assert load_data(published, root)[1].classes == tuple(map(str, range(12)))
    named = published._replace(data=replace(published.data, classes=tuple("abcdefghijkl")))
    _, dataset = load_data(named, root)
    assert dataset.classes == tuple("abcdefghijkl")
    assert [path.parent.name for path in dataset.test.images.paths] == [str(k) for k in dataset.test.labels.tolist()]
    draw("v2", ["12"], count=1)
    with pytest.raises(ValueError, match="has the class '12', but the model's 12 are counted from 0"):
        load_data(named, root)


@pytest.mark.parametrize("name", ["deit_tiny_patch16_224", "deit_tiny_patch16_224.fb_in1k",
                                  "vit_tiny_patch16_224.augreg_in21k_ft_in1k"])
def test_timms_names_are_known(file, name):
    assert load_published(file, name, model_options=SIZE).config.model == NAME


@pytest.mark.parametrize("tag, mean, crop_pct", [("", DEIT[1], 0.875), (".fb_in1k", DEIT[1], 0.875),
                                                 (".augreg_in21k_ft_in1k", (0.5,) * 3, 0.9)])
def test_a_tag_says_whose_weights_they_are(file, tag, mean, crop_pct, caplog):
    published = load_published(file, f"vit_tiny_patch16_224{tag}", model_options=SIZE)
    assert (published.data.mean, published.config.dataset_options["crop_pct"]) == (mean, crop_pct)
    assert ("as for Google's ViTs" if "augreg" in tag else "as for DeiT") in caplog.text


def test_google_s_larger_images_are_not_cut(tmp_path):
    for size, crop_pct in ((224, 0.9), (384, 1.0)):
        how = choose_preprocessing(tmp_path / "vit.pth", {}, (size, size), {}, "augreg_in21k_ft_in1k")
        assert (how.crop_pct, how.std) == (crop_pct, (0.5,) * 3)


@pytest.mark.parametrize("options, error, message", [
    ({"classes": ["a", "b"]}, ValueError, r"classes: there are 2 names \('a', 'b'\), but .*deit\.pth has 5 logits"),
    ({"classes": ["a", "b", "c", "b", "d"]}, ValueError, "classes: 'b' is listed twice; .*WordNet"),
    ({"model": "deit_tiny_distilled_patch16_224"}, ValueError, "name='deit_tiny_distilled_patch16_224' is not known"),
    ({"model_options": {"dim": 12}}, CheckpointError, r"deit\.pth is not of vit_tiny_patch16_224: .*the model has"),
    ({"model_options": SIZE | {"image_size": 32}}, CheckpointError,
     r"deit\.pth is not of vit_tiny_patch16_224: pos_embed has shape \(1, 10, 12\), the model's has \(1, 5, 12\)"),
    ({"model_options": SIZE | {"num_classes": 7}}, CheckpointError, r"head\.weight has shape \(5, 12\)"),
    ({"dataset": "digits"}, ValueError, "dataset='digits' is not for published weights: use imagefolder or shards"),
    ({"dataset_options": {"crop_pct": "much"}}, ValueError, "crop_pct='much' has the wrong type"),
    ({"dataset_options": {"crop_pct": 2.0}}, ValueError, r"crop_pct=2\.0"),
    ({"dataset_options": {"preprocessing": "gone.json"}}, DataError, "gone.json cannot be read"),
    ({"path": "gone.pth"}, CheckpointError, "gone.pth does not exist"),
])
def test_what_does_not_fit_is_one_line(file, options, error, message):
    with pytest.raises(error, match=message) as raised:
        load_published(**{"path": file, "model": NAME, "model_options": SIZE} | options)
    assert "\n" not in str(raised.value)


def test_a_wrong_header_or_weights_of_a_run(weights, tmp_path):
    path = tmp_path / "model.safetensors"
    for header, error, message in (({"pretrained_cfg": "{"}, DataError, f"header of {path} is not JSON"),
                                   ({"data": "{}"}, CheckpointError, f"{path} says itself what it is")):
        save_file(weights, path, metadata=header)
        with pytest.raises(error, match=re.escape(message)):
            load_published(path, NAME, model_options=SIZE)


@pytest.mark.parametrize("words", [[], ["--weights", "x.pth"], ["run", "--weights", "x.pth", "--model", NAME],
                                   ["run", "--model", NAME]])
@pytest.mark.parametrize("command", ["eval", "analyze"])
def test_it_is_told_what_to_name(capsys, command, words):
    assert main([command, *words]) == 1
    assert capsys.readouterr().err == (f"minivit: error: name a trained model: {command} CHECKPOINT, or {command} "
                                       "--weights FILE --model NAME --classes FILE\n")
