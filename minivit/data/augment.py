"""Augment a batch where it is, on the CPU or the GPU, with a separate random draw for each image.

Axes: B batch, C channels, H and W height and width in pixels, K classes. Random numbers come from PyTorch's generator
for the batch's device: seed it to reproduce a batch.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite

import torch
import torch.nn.functional as F
from torch import Tensor

from minivit import draws
from minivit.options import check_at_least, check_positive


def random_crop(images: Tensor, padding: int) -> Tensor:
    """Shift each image by up to ``padding`` pixels along both axes; what moves in from outside is black (0).

    Parameters
    ----------
    images
        (B, C, H, W), of any type.
    padding
        Largest shift in pixels, 0 or more.

    Returns
    -------
    Tensor of shape (B, C, H, W)

    Raises
    ------
    ValueError
        If the padding is not a whole number of at least 0.
    """
    check_at_least(0, padding=padding)
    if padding == 0:
        return images
    b, _, h, w = images.shape
    # A view of every possible crop, (B, C, 2 padding + 1, 2 padding + 1, H, W); only the chosen ones are copied.
    crops = F.pad(images, [padding] * 4).unfold(2, h, 1).unfold(3, w, 1)
    top, left = draws.randint(0, 2 * padding + 1, 2, b, device=images.device, axis=1)
    return crops[torch.arange(b, device=images.device), :, top, left]


def random_flip(images: Tensor) -> Tensor:
    """Mirror each image left to right with probability one half; (B, C, H, W) to (B, C, H, W)."""
    coin = draws.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(coin, images.flip(3), images)


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Scale pixel levels so that the training set has mean 0 and standard deviation 1.

    Parameters
    ----------
    images
        Levels in [0, 255], uint8 or floating point, (B, C, H, W).
    mean, std
        Mean and standard deviation of each channel, for images divided by 255; deviations are larger than 0.

    Returns
    -------
    Tensor of shape (B, C, H, W), float32

    Raises
    ------
    ValueError
        If there is not one value per channel, or a value is out of range.
    """
    return standardize(images, *channel_statistics(mean, std, images.shape[-3], images.device))


def channel_statistics(mean: Sequence[float], std: Sequence[float], channels: int,
                       device: torch.device) -> tuple[Tensor, Tensor]:
    """Check the mean and deviation of each channel, and return them on the device, (C, 1, 1) each."""
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != channels or not all(isfinite(v) and (v > 0 or name == "mean") for v in values):
            raise ValueError(f"{name}={tuple(values)} does not fit images of {channels} channels: it must be a finite "
                             f"number for each channel{', larger than 0' if name == 'std' else ''}")
    return on_device(tuple(mean), device), on_device(tuple(std), device)


@lru_cache
def on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return one number per channel, (C, 1, 1), copied to the device only once."""
    with torch.inference_mode(False):  # who asks next may need a gradient, as an attack on images does
        return torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)


def standardize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Do what :func:`normalize` does, with statistics already on the device: a copy in each step would wait for it."""
    return (images.float() / 255 - mean) / std


def mixup(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    r"""Blend each image and its target with another of the batch (Zhang et al., 2018).

    :math:`\tilde x = \lambda x + (1 - \lambda) x'`, where :math:`\lambda \sim \operatorname{Beta}(\alpha, \alpha)` is
    drawn for each image.

    Parameters
    ----------
    images
        Float, (B, C, H, W).
    targets
        Class probabilities of each image, (B, K), or of each pixel, (B, K, H, W).
    alpha
        Larger than 0; 1 draws λ uniformly, smaller values favour λ near 0 or 1.

    Returns
    -------
    (Tensor, Tensor)
        Mixed images and targets, of the same shapes.
    """
    return mix(images, targets, mixup_weights(images, alpha))


def cutmix(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    r"""Paste a box from another image of the batch into each; targets are mixed by area (Yun et al., 2019).

    The box has the proportions of the image and covers :math:`1 - \lambda` of its area, where
    :math:`\lambda \sim \operatorname{Beta}(\alpha, \alpha)`. Its centre is uniform in the image. The box is clipped at
    the border, and targets are mixed by the area that was actually pasted.

    For parameters and returns, see :func:`mixup`.
    """
    return mix(images, targets, cutmix_weights(images, alpha))


def mixup_or_cutmix(images: Tensor, targets: Tensor, mixup: float, cutmix: float) -> tuple[Tensor, Tensor]:
    """Apply :func:`mixup` or :func:`cutmix` to the whole batch, by a fair coin tossed on the device.

    For parameters and returns, see :func:`mixup`; ``mixup`` and ``cutmix`` are the two alphas.
    """
    heads = torch.rand((), device=images.device) < 0.5
    return mix(images, targets, torch.where(heads, mixup_weights(images, mixup), cutmix_weights(images, cutmix)))


def mix(images: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Blend each image with another of the batch, keeping of each pixel its weight in [0, 1], (B, 1, H, W).

    The first image is mixed with the last, the second with the last but one, and so on: the pairs are as random as the
    order of the epoch, and processes that share a batch by pairs have both. Targets of pixels are mixed with the same
    weights, targets of images with the mean weight.

    Raises
    ------
    ValueError
        If the targets are labels instead of probabilities.
    """
    if targets.ndim not in (2, images.ndim):
        raise ValueError(f"targets of shape {tuple(targets.shape)}: they must be probabilities (B, K) or (B, K, H, W), "
                         "as F.one_hot makes of labels")
    shares = weights if targets.ndim == images.ndim else weights.mean(dim=(2, 3))
    return blend(images, images.flip(0), weights), blend(targets, targets.flip(0), shares)


def mixup_weights(images: Tensor, alpha: float) -> Tensor:
    """Draw one weight per image of (B, C, H, W), the same for all its pixels: (B, 1, H, W)."""
    return draw_beta(alpha, images)[:, None, None, None].expand(-1, 1, *images.shape[2:])


def cutmix_weights(images: Tensor, alpha: float) -> Tensor:
    """Draw a box for each image of (B, C, H, W): 0 inside and 1 outside, (B, 1, H, W)."""
    b, _, h, w = images.shape
    side = (1 - draw_beta(alpha, images)).sqrt()[:, None]                                   # (B, 1), share of a side
    centre = draws.rand(2, b, 1, device=images.device, axis=1)
    inside = [((torch.arange(size, device=images.device) + 0.5) / size - c).abs() < side / 2  # (B, H) and (B, W)
              for size, c in zip((h, w), centre, strict=True)]
    return 1 - (inside[0][:, None, :, None] & inside[1][:, None, None, :]).float()


def draw_beta(alpha: float, images: Tensor) -> Tensor:
    check_positive(alpha=alpha)
    return draws.beta(alpha, len(images), images.device)


def blend(images: Tensor, others: Tensor, keep: Tensor) -> Tensor:
    return keep * images + (1 - keep) * others
