"""Crop images and scale the crops to one size: the centre in evaluation, a random part in training.

A box is (left, top, right, bottom) in pixels of the upright image; its sides may be fractions.

Axes: B batch, C channels, H and W height and width in pixels, T tries.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minivit import draws
from minivit.options import image_sides

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[float, float, float, float]

TRIES = 10
NARROWEST, WIDEST = 3 / 4, 4 / 3
MARGIN = 1.5


@dataclass(frozen=True)
class View:
    """Which part of an image to read, and at which size.

    Attributes
    ----------
    box
        Maps height and width of the upright image to the box to read.
    size
        Height and width that the box is scaled to.
    interpolation
        As for :class:`minivit.data.preprocessing.Preprocessing`.
    fast
        Whether to save time with pixels that differ slightly from Pillow's.

        PyTorch then scales boxes of whole pixels, four times as fast. Levels differ by at most 2 of 255; most are
        equal.

        A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if its box then still has 1.5 times as many pixels as needed,
        in height and width. The box is the same, to fractions of a pixel. On scikit-learn's two photographs, with
        exactly 1.5 times as many pixels, levels differ from those of the full decoding by 1.2 to 1.5 in the mean; the
        99th percentile of the difference is at most 10, its maximum 20. For comparison: bilinear differs from bicubic
        by at least 1.2 in the mean, 8 and 18; a box shifted by a quarter of an output pixel by 2.4, 24 and 46.
    """

    box: Callable[[int, int], Box]
    size: tuple[int, int]
    interpolation: str = "bicubic"
    fast: bool = False

    def reduction(self, box: Box) -> int:
        """Return the factor by which a JPEG may be reduced while it is decoded: 1, 2, 4 or 8."""
        if not self.fast or self.interpolation == "nearest":
            return 1
        left, top, right, bottom = box
        spare = min((bottom - top) / self.size[0], (right - left) / self.size[1]) / MARGIN
        return next((scale for scale in (8, 4, 2) if scale <= spare), 1)

    def scale(self, image: "Image", box: Box) -> Tensor:
        """Scale a box of an image of mode RGB: uint8 (3, H, W)."""
        if self.fast and self.interpolation in ("bilinear", "bicubic") and all(side == int(side) for side in box):
            pixels = torch.from_numpy(np.array(image.crop(box)))
            return F.interpolate(pixels.permute(2, 0, 1)[None], self.size, mode=self.interpolation, antialias=True)[0]
        pixels = torch.from_numpy(np.array(resize(image, box, self.size, self.interpolation)))
        return pixels.permute(2, 0, 1).contiguous()


def resize(image: "Image", box: Box, size: int | Sequence[int], interpolation: str = "bicubic") -> "Image":
    """Scale a box of an image to a side, or (height, width); the whole image, once scaled, might not fit in memory."""
    from PIL.Image import Resampling

    height, width = image_sides(size)
    return image.resize((width, height), Resampling[interpolation.upper()], box=box)


def central_box(height: int, width: int, image_size: int | Sequence[int], *, crop_pct: float = 1.0,
                crop_mode: str = "center") -> Box:
    """Return the box that torchvision's ``Resize`` and ``CenterCrop``, which timm uses, keep of an image.

    Parameters
    ----------
    height, width
        Of the image.
    image_size, crop_pct, crop_mode
        As for :class:`minivit.data.preprocessing.Preprocessing`.
    """
    h, w = image_sides(image_size)
    tall, wide = (math.floor(side / crop_pct + 1e-9) for side in (h, w))   # 224 / (224 / 256) may fall below 256
    if crop_mode == "center":
        if height * wide <= width * tall:
            wide = tall * width // height
        else:
            tall = wide * height // width
    top, left = round((tall - h) / 2), round((wide - w) / 2)
    down, across = height / tall, width / wide
    return left * across, top * down, min((left + w) * across, width), min((top + h) * down, height)


def random_box(chance: Sequence[Sequence[float]], height: int, width: int, smallest: float) -> Box:
    """Return a random box: its share of the image's area is uniform, its ratio of width to height log-uniform.

    This is Inception's crop, as in torchvision, timm and DeiT. Ratios are in [3/4, 4/3]. If none of the tries fits into
    the image, the box is the largest central one with a ratio in this range.

    Parameters
    ----------
    chance
        Numbers drawn uniformly from [0, 1), (T, 4): for area, ratio, left and top of each try.
    height, width
        Of the image.
    smallest
        Smallest share of the area, in (0, 1].
    """
    for share, ratio, left, top in chance:
        area = height * width * (smallest + (1 - smallest) * share)
        aspect = NARROWEST * (WIDEST / NARROWEST) ** ratio
        w, h = max(1, round(math.sqrt(area * aspect))), max(1, round(math.sqrt(area / aspect)))
        if w <= width and h <= height:
            x, y = int(left * (width - w + 1)), int(top * (height - h + 1))
            return x, y, x + w, y + h
    return _central(height, width)


def random_boxes(chance: Tensor, height: int, width: int, smallest: float) -> Tensor:
    """Do the same as :func:`random_box` for a batch, on its device: (B, T, 4) to (B, 4)."""
    area = height * width * (smallest + (1 - smallest) * chance[..., 0])
    aspect = NARROWEST * (WIDEST / NARROWEST) ** chance[..., 1]
    w, h = (area * aspect).sqrt().round().clamp(min=1), (area / aspect).sqrt().round().clamp(min=1)   # (B, T)
    # In float32, the largest number below 1 times a size may be rounded up to the size.
    x, y = ((chance[..., i] * (whole - part + 1)).floor().minimum(whole - part)
            for i, whole, part in ((2, width, w), (3, height, h)))
    fits = (w <= width) & (h <= height)
    first = fits.int().argmax(1)[:, None, None].expand(-1, 1, 4)
    chosen = torch.stack([x, y, x + w, y + h], dim=-1).gather(1, first)[:, 0]
    whole = [torch.full_like(chosen[:, 0], side) for side in _central(height, width)]
    return torch.where(fits.any(1)[:, None], chosen, torch.stack(whole, dim=1))


def _central(height: int, width: int) -> Box:
    w, h = min(width, round(height * WIDEST)), min(height, round(width / NARROWEST))
    x, y = (width - w) // 2, (height - h) // 2
    return x, y, x + w, y + h


def random_resized_crop(images: Tensor, smallest: float, masks: int = 0) -> Tensor:
    """Scale a random part of each image to the image's size: see :func:`random_box`.

    Pixels are those of Pillow's bicubic filter applied to the cropped box.

    Parameters
    ----------
    images
        uint8, (B, C, H, W).
    smallest
        Smallest share of the area, in (0, 1].
    masks
        Number of channels at the end that hold classes; these are scaled to the nearest pixel.

    Returns
    -------
    Tensor of shape (B, C, H, W), uint8
    """
    height, width = images.shape[2:]
    chance = draws.rand(len(images), TRIES * 4, device=images.device).unflatten(1, (TRIES, 4))
    left, top, right, bottom = random_boxes(chance, height, width, smallest).unbind(1)
    pixels, classes = images.float().tensor_split([images.shape[1] - masks], dim=1)
    pixels = _bytes(pixels @ cubic_weights(left, right, width).mT)
    pixels = _bytes(cubic_weights(top, bottom, height) @ pixels)
    if masks:
        rows, columns = nearest_weights(top, bottom, height), nearest_weights(left, right, width)
        pixels = torch.cat([pixels, rows @ classes @ columns.mT], dim=1)
    return pixels.to(images.dtype)


def _bytes(levels: Tensor) -> Tensor:
    return levels.round().clamp(0, 255)   # Pillow rounds after each axis


def cubic_weights(begin: Tensor, end: Tensor, size: int) -> Tensor:
    """Return the weight of each pixel of the image for each pixel of the result, along an axis: (B, 1, to, from).

    The box is never larger than the result, so the filter has its smallest width.
    """
    places = torch.arange(size, device=begin.device) + 0.5
    away = (places - _centres(begin, end, size)[..., None]).abs()
    near, far = (1.5 * away - 2.5) * away**2 + 1, ((2.5 - 0.5 * away) * away - 4) * away + 2   # Keys (1981), a = -1/2
    weights = torch.where(away < 1, near, torch.where(away < 2, far, 0))
    inside = (places > begin[:, None]) & (places < end[:, None])   # (B, from)
    weights = weights * inside[:, None, None]
    return weights / weights.sum(-1, keepdim=True)


def nearest_weights(begin: Tensor, end: Tensor, size: int) -> Tensor:
    """Return the same for a filter that selects the pixel at the centre."""
    return (torch.arange(size, device=begin.device) == _centres(begin, end, size)[..., None].floor()).float()


def _centres(begin: Tensor, end: Tensor, size: int) -> Tensor:
    """Return the position in the image of the centre of each pixel of the result, (B, 1, size)."""
    steps = (torch.arange(size, device=begin.device) + 0.5) / size
    return (begin[:, None] + steps * (end - begin)[:, None])[:, None]
