"""Prepare images the way a model was trained to see them: size, crop, mean and standard deviation."""

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minivit.data.crops import central_box, resize
from minivit.data.dataset import DataError, os_errors
from minivit.files import user_path
from minivit.options import check_choice, image_sides

if TYPE_CHECKING:
    from PIL.Image import Image

# From ImageNet's training images. DeiT and most convolutional networks were trained with these, Google's ViTs (augreg)
# with 0.5 and 0.5, CLIP with its own: published weights come with a file that says so, see read_preprocessing.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CROP_MODES = ("center", "squash")
# In the order of Pillow's numbers, which preprocessor_config.json uses.
INTERPOLATIONS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
FILES = ("preprocessor_config.json", "config.json")


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an image between the file and the model.

    Parameters
    ----------
    image_size
        Side in pixels, or (height, width), of what the model sees.
    mean, std
        Of red, green and blue, in units of [0, 1]: the model sees ``(image / 255 - mean) / std``.
    crop_pct
        Fraction of each side that the centre crop keeps, in (0, 1]: images are first scaled to
        ``image_size / crop_pct``, rounded down.
    crop_mode
        ``center`` scales images in proportion until they just cover that size; ``squash`` scales each side to it
        separately, which changes the proportions.
    interpolation
        ``nearest``, ``box``, ``bilinear``, ``hamming``, ``bicubic`` or ``lanczos``.

    Raises
    ------
    ValueError
        Naming the option, its value and what is allowed.
    """

    image_size: int | Sequence[int] = 224
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    crop_pct: float = 1.0
    crop_mode: str = "center"
    interpolation: str = "bicubic"

    def __post_init__(self):
        image_sides(self.image_size)
        for name, allowed, fits in (("mean", "from 0 to 1", lambda x: 0 <= x <= 1),
                                    ("std", "larger than 0, at most 1", lambda x: 0 < x <= 1)):
            object.__setattr__(self, name, _three(name, getattr(self, name), allowed, fits))
        if not 0 < self.crop_pct <= 1:
            raise ValueError(f"crop_pct={self.crop_pct!r} is not allowed: use a fraction larger than 0, at most 1")
        check_choice(CROP_MODES, crop_mode=self.crop_mode)
        check_choice(INTERPOLATIONS, interpolation=self.interpolation)


def _three(name: str, values: Sequence[float], allowed: str, fits: Callable[[float], bool]) -> tuple[float, ...]:
    values = tuple(values)
    if len(values) != 3 or not all(isinstance(x, int | float) and math.isfinite(x) and fits(x) for x in values):
        hint = "; divide by 255 if they are meant for bytes" if any(x > 1 for x in values) else ""
        raise ValueError(f"{name}={values!r} is not allowed: use three numbers, for red, green and blue, "
                         f"{allowed}{hint}")
    return tuple(map(float, values))


def fit(image: "Image", image_size: int | Sequence[int], *, crop_pct: float = 1.0, crop_mode: str = "center",
        interpolation: str = "bicubic") -> "Image":
    """Scale an image and crop its centre, like torchvision's ``Resize`` and ``CenterCrop``, which timm uses.

    Parameters
    ----------
    image
        Mode RGB, of any size.
    image_size, crop_pct, crop_mode, interpolation
        As for :class:`Preprocessing`.

    Returns
    -------
    PIL.Image.Image
        Of height and width ``image_size``.
    """
    box = central_box(image.height, image.width, image_size, crop_pct=crop_pct, crop_mode=crop_mode)
    return resize(image, box, image_size, interpolation)


def read_preprocessing(path: str | os.PathLike) -> Preprocessing:
    """Read the preprocessing that published weights need from the configuration that comes with them.

    Parameters
    ----------
    path
        timm's ``config.json`` (or its ``pretrained_cfg`` alone), the ``preprocessor_config.json`` of Hugging Face's
        transformers, or a folder with one of them. If the file scales images differently, ``mean`` and ``std`` are
        converted to apply to ``image / 255``.

    Raises
    ------
    DataError
        Naming the file and what it lacks, or what it requires that is not supported.
    """
    path = user_path(path, "preprocessing")
    if path.is_dir():
        path = next((path / name for name in FILES if (path / name).is_file()), path / FILES[-1])
    try:
        with os_errors(path, way_out="name timm's config.json or the preprocessor_config.json of the weights"):
            text = path.read_text(encoding="utf-8")
    except ValueError as error:
        raise DataError(f"{path} is not text ({error})") from None
    return parse_preprocessing(text, path)


def parse_preprocessing(text: str, source: str | os.PathLike) -> Preprocessing:
    """Read what :func:`read_preprocessing` reads from a text; ``source`` is its name in error messages."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{source} is not JSON ({error})") from None
    content = content if isinstance(content, dict) else {}
    try:
        timm = content.get("pretrained_cfg", content)
        if "mean" in timm and "input_size" in timm:
            return _of_timm(timm)
        if "image_mean" in content or "image_processor_type" in content or "feature_extractor_type" in content:
            return _of_transformers(content)
    except KeyError as error:
        raise DataError(f"{source} lacks the key {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{source}: {error}") from None
    raise DataError(f"{source} says nothing about images: neither mean, std and input_size, as timm's config.json "
                    "does, nor image_mean and image_std, as preprocessor_config.json does")


def _of_timm(config: dict[str, Any]) -> Preprocessing:
    channels, *sides = config["input_size"]
    if channels != 3:
        raise ValueError(f"input_size={config['input_size']} has {channels} channels, but images have 3")
    # timm's defaults for what the file leaves out.
    return Preprocessing(tuple(sides), config["mean"], config["std"], config.get("crop_pct") or 0.875,
                         config.get("crop_mode") or "center", config.get("interpolation") or "bicubic")


def _of_transformers(config: dict[str, Any]) -> Preprocessing:
    kind = config.get("image_processor_type") or config.get("feature_extractor_type") or ""
    if kind.startswith("Levit"):
        raise ValueError(f"{kind} has its own way of scaling; give image_size, mean, std and crop_pct by hand")
    factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    shift = 1.0 if config.get("rescale_offset") else 0.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    if config.get("do_normalize", True):
        mean, std = config["image_mean"], config["image_std"]
    # For a pixel v in [0, 1] the model sees (255 factor v - shift - mean) / std.
    mean, std = [(m + shift) / (255 * factor) for m in mean], [s / (255 * factor) for s in std]

    if not config.get("do_resize", True):
        raise ValueError("do_resize=false: images of any size cannot be batched; give image_size, mean and std by hand")
    size, crop_mode, crop_pct = config["size"], "squash", 1.0
    if isinstance(size, int):
        if kind and not kind.startswith(("ViT", "DeiT", "Beit")):
            raise ValueError(f"size={size} of a {kind} may be the shorter side or both: write it as "
                             '{"shortest_edge": ...} or {"height": ..., "width": ...}')
        size = {"height": size, "width": size}
    if "shortest_edge" in size:
        side, crop_mode = size["shortest_edge"], "center"
        sides = (side, side)
        if "crop_pct" in config:   # ConvNeXt: from 384 pixels on it changes the proportions and crops nothing
            crop_mode, crop_pct = ("center", config["crop_pct"]) if side < 384 else ("squash", 1.0)
        elif not config.get("do_center_crop"):
            raise ValueError("shortest_edge without do_center_crop leaves images of different sizes; give image_size, "
                             "mean and std by hand")
    else:
        sides = (size["height"], size["width"])
    if config.get("do_center_crop"):
        scaled, crop = sides, config["crop_size"]
        sides = (crop, crop) if isinstance(crop, int) else (crop["height"], crop["width"])
        crop_pct = sides[0] / scaled[0]
        if sides[0] * scaled[1] != sides[1] * scaled[0]:
            raise ValueError(f"crop_size={crop} has other proportions than size={size}; give the options by hand")
    resample = config.get("resample", 2 if not kind or kind.startswith(("ViT", "ConvNext")) else 3)
    if resample not in range(len(INTERPOLATIONS)):
        raise ValueError(f"resample={resample!r} is not one of Pillow's numbers, 0 ... {len(INTERPOLATIONS) - 1}")
    return Preprocessing(sides, mean, std, crop_pct, crop_mode, INTERPOLATIONS[resample])
