"""Augmentation of a batch where it lies, on the CPU or the GPU, each image by its own draw.

Axes: B batch, C channels, H and W height and width in pixels, K classes. Chance comes from PyTorch's generator of the
batch's device: seed it, and the same batch comes out.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Beta

from minivit.options import check_at_least, check_positive


def random_crop(images: Tensor, padding: int) -> Tensor:
    """Shift each image by up to ``padding`` pixels along both axes; what moves in from outside is black (0).

    Parameters
    ----------
    images
        (B, C, H, W), any type.
    padding
        Largest shift in pixels, 0 or more.

    Returns
    -------
    Tensor of shape (B, C, H, W)

    Raises
    ------
    ValueError
        If the padding is none.
    """
    check_at_least(0, padding=padding)
    if padding == 0:
        return images
    b, _, h, w = images.shape
    # A view of every crop there is, (B, C, 2 padding + 1, 2 padding + 1, H, W); only the chosen ones are copied.
    crops = F.pad(images, [padding] * 4).unfold(2, h, 1).unfold(3, w, 1)
    top, left = torch.randint(2 * padding + 1, (2, b), device=images.device)
    return crops[torch.arange(b, device=images.device), :, top, left]


def random_flip(images: Tensor) -> Tensor:
    """Mirror each image left to right with probability one half; (B, C, H, W) to (B, C, H, W)."""
    coin = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(coin, images.flip(3), images)


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Turn bytes into numbers of mean 0 and deviation 1 over the training set.

    Parameters
    ----------
    images
        Levels in [0, 255], uint8 or floating, (B, C, H, W).
    mean, std
        Per channel, of images divided by 255; deviations are larger than 0.

    Returns
    -------
    Tensor of shape (B, C, H, W), float32

    Raises
    ------
    ValueError
        If there are not as many as channels, or one is no such number.
    """
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != images.shape[-3] or not all(isfinite(v) and (v > 0 or name == "mean") for v in values):
            raise ValueError(f"{name}={tuple(values)} does not fit images of shape {tuple(images.shape)}: it must be a "
                             f"finite number for each channel{', larger than 0' if name == 'std' else ''}")
    mean, std = (channels(tuple(values), images.device) for values in (mean, std))
    return (images.float() / 255 - mean) / std


@lru_cache
def channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return a number for each channel, (C, 1, 1), copied to the device once: a copy a step would wait for it."""
    return torch.tensor(values, device=device).view(-1, 1, 1)


def mixup(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    r"""Blend each image, and its target, with another of the batch (Zhang et al., 2018).

    :math:`\tilde x = \lambda x + (1 - \lambda) x'` with :math:`\lambda \sim \operatorname{Beta}(\alpha, \alpha)` drawn
    for each image.

    Parameters
    ----------
    images
        Float, (B, C, H, W).
    targets
        Class probabilities, (B, K).
    alpha
        Larger than 0; 1 draws λ uniformly, smaller values stay near 0 and 1.

    Returns
    -------
    (Tensor, Tensor)
        Of the same shapes.
    """
    keep = draw_beta(alpha, images)
    other = torch.randperm(len(images), device=images.device)
    weight = keep[:, None, None, None]
    return weight * images + (1 - weight) * images[other], blend(targets, targets[other], keep)


def cutmix(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    r"""Paste a box of another image of the batch into each; targets follow the areas (Yun et al., 2019).

    The box has the image's proportions, the share :math:`1 - \lambda` of its area with
    :math:`\lambda \sim \operatorname{Beta}(\alpha, \alpha)`, and a uniform centre; where it would leave the image it is
    cut off, and the share that is really pasted counts.

    Parameters and returns are those of :func:`mixup`.
    """
    b, _, h, w = images.shape
    side = (1 - draw_beta(alpha, images)).sqrt()[:, None]                                   # (B, 1), share of a side
    centre = torch.rand(2, b, 1, device=images.device)
    inside = [((torch.arange(size, device=images.device) + 0.5) / size - c).abs() < side / 2  # (B, H) and (B, W)
              for size, c in zip((h, w), centre, strict=True)]
    box = inside[0][:, :, None] & inside[1][:, None, :]                                     # (B, H, W)
    other = torch.randperm(b, device=images.device)
    keep = 1 - box.float().mean(dim=(1, 2))
    return torch.where(box[:, None], images[other], images), blend(targets, targets[other], keep)


def draw_beta(alpha: float, images: Tensor) -> Tensor:
    check_positive(alpha=alpha)
    concentration = torch.tensor(float(alpha), device=images.device)
    return Beta(concentration, concentration).sample((len(images),))


def blend(targets: Tensor, others: Tensor, keep: Tensor) -> Tensor:
    return keep[:, None] * targets + (1 - keep[:, None]) * others
