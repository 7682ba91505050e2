"""Random erasing (Zhong et al., 2020) of a batch, with a separate random draw for each image.

Axes: B batch, C channels, H and W height and width in pixels, T tries. Random numbers come from PyTorch's generator for
the batch's device: seed it to reproduce a batch.
"""

from math import log

import torch
from torch import Tensor

from minivit import draws
from minivit.options import check_between

AREA = (0.02, 1 / 3)      # of the box, as a fraction of the image
ASPECT = (0.3, 1 / 0.3)   # of the box, height over width
TRIES = 10                # to draw a box smaller than the image


def random_erasing(images: Tensor, *, probability: float = 0.25) -> Tensor:
    """Paste a box of noise into some images.

    As in timm's ``mode="pixel"``, DeiT's choice, the area of the box is uniform, its aspect ratio log-uniform, its
    position uniform inside the image, and each of its pixels standard normal. Sides are rounded to whole pixels. A box
    as high or as wide as the image is drawn again, up to ten times in all; if no box is smaller, the image is left
    unchanged.

    Parameters
    ----------
    images
        Float, (B, C, H, W), normalised to mean 0 and standard deviation 1 over the training set.
    probability
        Probability in [0, 1] that an image gets a box.

    Returns
    -------
    Tensor of shape (B, C, H, W)
        Of the same type; pixels outside the boxes are unchanged to the last bit.

    Raises
    ------
    ValueError
        If the images are not float or the probability is out of range.
    """
    if not images.is_floating_point() or images.ndim != 4:
        raise ValueError(f"images of dtype {images.dtype} and shape {tuple(images.shape)}: they must be float of shape "
                         "(B, C, H, W); normalise them first")
    check_between(0, 1, probability=probability)
    boxes = draw_boxes(images, probability)[:, None]
    return torch.where(boxes, draws.randn(*images.shape, device=images.device).to(images), images)


def draw_boxes(images: Tensor, probability: float) -> Tensor:
    """Draw the pixels to erase, bool (B, H, W)."""
    b, _, h, w = images.shape
    device = images.device
    area = uniform(*AREA, b, device) * h * w
    aspect = uniform(*map(log, ASPECT), b, device).exp()
    height, width = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()                        # (T, B)
    fits = (height < h) & (width < w)
    first = fits.int().argmax(0, keepdim=True)
    height, width, fits = (values.gather(0, first)[0] for values in (height, width, fits))                # (B,)
    erased = fits & (draws.rand(b, device=device) < probability)
    top, left = draws.rand(2, b, device=device, axis=1)
    rows, columns = ((start <= at) & (at < start + side) for at, start, side in (
        (torch.arange(h, device=device), (top * (h - height + 1)).floor()[:, None], height[:, None]),
        (torch.arange(w, device=device), (left * (w - width + 1)).floor()[:, None], width[:, None])))
    return rows[:, :, None] & columns[:, None, :] & erased[:, None, None]


def uniform(low: float, high: float, size: int, device: torch.device) -> Tensor:
    """Draw a number from [low, high) for each try and image, (T, B)."""
    return low + (high - low) * draws.rand(TRIES, size, device=device, axis=1)
