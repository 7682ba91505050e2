"""Which part of an image is seen: its centre in evaluation, or a random part in training, scaled to one size.

A box is (left, top, right, bottom) in pixels of the upright image; it may begin and end within a pixel.

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
    """What to see of an image: a box, scaled to a size.

    Attributes
    ----------
    box
        Maps height and width of the upright image to a box.
    size
        Height and width that the box is scaled to.
    interpolation
        As for :class:`minivit.data.preprocessing.Preprocessing`.
    fast
        Whether pixels may differ a little from Pillow's, to save time.

        A box of whole pixels is then scaled by PyTorch, at four times the speed; levels differ by at most 2 of 255,
        and most are the same.

        And a JPEG may be read at 1/2, 1/4 or 1/8 of its scale: its decoder averages pixels instead of computing all.
        This is done if the box still has 1.5 times the pixels wanted, in height and width. The box stays the same, to
        fractions of a pixel. On scikit-learn's two photographs, with no pixel to spare, levels differ by 1.2 in the
        mean, 10 in one pixel of a hundred and 20 at most. That is little: bilinear differs from bicubic by 1.2, 8 and
        19, and a box that begins a quarter of a pixel further on by 2.4, 24 and 46.
    """

    box: Callable[[int, int], Box]
    size: tuple[int, int]
    interpolation: str = "bicubic"
    fast: bool = False

    def reduction(self, box: Box) -> int:
        """Return by how much a JPEG may be scaled down while it is read: 1, 2, 4 or 8."""
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
    """Scale a box of an image to a side, or (height, width), in one step: all of it, once scaled, may be too large."""
    from PIL.Image import Resampling

    height, width = image_sides(size)
    return image.resize((width, height), Resampling[interpolation.upper()], box=box)


def central_box(height: int, width: int, image_size: int | Sequence[int], *, crop_pct: float = 1.0,
                crop_mode: str = "center") -> Box:
    """Return the part of an image that torchvision's ``Resize`` and ``CenterCrop``, which timm uses, leave.

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
    """Return a random part of an image: a uniform share of its area, of a log-uniform ratio of width to height.

    This is Inception's crop as in torchvision, timm and DeiT. Ratios are in [3/4, 4/3]. If no try fits into the image,
    the box is the largest central one with such a ratio.

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
    """Do what :func:`random_box` does for a batch, on its device: (B, T, 4) to (B, 4)."""
    area = height * width * (smallest + (1 - smallest) * chance[..., 0])
    aspect = NARROWEST * (WIDEST / NARROWEST) ** chance[..., 1]
    w, h = (area * aspect).sqrt().round().clamp(min=1), (area / aspect).sqrt().round().clamp(min=1)   # (B, T)
    # Where numbers have few digits, the largest below 1 would be rounded up.
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
    """Scale a random part of each image to the size of the whole: see :func:`random_box`.

    Pixels are those of Pillow's bicubic filter, as for images in files; what is outside of a box is cut off before.

    Parameters
    ----------
    images
        uint8, (B, C, H, W).
    smallest
        Smallest share of the area, in (0, 1].
    masks
        How many channels, the last ones, are masks: their pixels are classes, of which the nearest is taken.

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
    """Return how much each pixel along an axis takes from each pixel of the image, (B, 1, to, from).

    A box is no larger than the image, so that the filter is never widened.
    """
    places = torch.arange(size, device=begin.device) + 0.5
    away = (places - _centres(begin, end, size)[..., None]).abs()
    near, far = (1.5 * away - 2.5) * away**2 + 1, ((2.5 - 0.5 * away) * away - 4) * away + 2   # Keys (1981), a = -1/2
    weights = torch.where(away < 1, near, torch.where(away < 2, far, 0))
    inside = (places > begin[:, None]) & (places < end[:, None])   # (B, from)
    weights = weights * inside[:, None, None]
    return weights / weights.sum(-1, keepdim=True)


def nearest_weights(begin: Tensor, end: Tensor, size: int) -> Tensor:
    """Return the same for a filter that takes the pixel at the centre alone."""
    return (torch.arange(size, device=begin.device) == _centres(begin, end, size)[..., None].floor()).float()


def _centres(begin: Tensor, end: Tensor, size: int) -> Tensor:
    """Return where in the image the centre of each pixel lies, (B, 1, size)."""
    steps = (torch.arange(size, device=begin.device) + 0.5) / size
    return (begin[:, None] + steps * (end - begin)[:, None])[:, None]
