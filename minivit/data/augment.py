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

from minivit import draws
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
    top, left = draws.randint(0, 2 * padding + 1, 2, b, device=images.device, axis=1)
    return crops[torch.arange(b, device=images.device), :, top, left]


def random_flip(images: Tensor) -> Tensor:
    """Mirror each image left to right with probability one half; (B, C, H, W) to (B, C, H, W)."""
    coin = draws.rand(len(images), 1, 1, 1, device=images.device) < 0.5
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
    """Return a number for each channel, (C, 1, 1), copied to the device once."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)


def standardize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Do what :func:`normalize` does with numbers that are on the device already: a copy a step would wait for it."""
    return (images.float() / 255 - mean) / std


def mixup(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    r"""Blend each image, and its target, with another of the batch (Zhang et al., 2018).

    :math:`\tilde x = \lambda x + (1 - \lambda) x'` with :math:`\lambda \sim \operatorname{Beta}(\alpha, \alpha)` drawn
    for each image.

    Parameters
    ----------
    images
        Float, (B, C, H, W).
    targets
        Class probabilities of an image, (B, K), or of each of its pixels, (B, K, H, W).
    alpha
        Larger than 0; 1 draws λ uniformly, smaller values stay near 0 and 1.

    Returns
    -------
    (Tensor, Tensor)
        Of the same shapes.
    """
    return mix(images, targets, mixup_weights(images, alpha))


def cutmix(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    r"""Paste a box of another image of the batch into each; targets follow the areas (Yun et al., 2019).

    The box has the image's proportions, the share :math:`1 - \lambda` of its area with
    :math:`\lambda \sim \operatorname{Beta}(\alpha, \alpha)`, and a uniform centre; where it would leave the image it is
    cut off, and the share that is really pasted counts.

    Parameters and returns are those of :func:`mixup`.
    """
    return mix(images, targets, cutmix_weights(images, alpha))


def mixup_or_cutmix(images: Tensor, targets: Tensor, mixup: float, cutmix: float) -> tuple[Tensor, Tensor]:
    """Let a fair coin, thrown on the device, decide for the batch which of the two it is.

    Parameters and returns are those of :func:`mixup`, with an alpha for each.
    """
    heads = torch.rand((), device=images.device) < 0.5
    return mix(images, targets, torch.where(heads, mixup_weights(images, mixup), cutmix_weights(images, cutmix)))


def mix(images: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Keep of each pixel what its weight in [0, 1] says, (B, 1, H, W); the rest is another image's of the batch.

    The first image is mixed with the last, the second with the last but one: as an epoch's order is drawn, so are the
    pairs, and processes that share a batch by pairs have both. The target of a pixel is mixed as the pixel is, that of
    an image as its pixels are on average.
    """
    shares = weights if targets.ndim == images.ndim else weights.mean(dim=(2, 3))
    return blend(images, images.flip(0), weights), blend(targets, targets.flip(0), shares)


def mixup_weights(images: Tensor, alpha: float) -> Tensor:
    """Draw a weight for each image of (B, C, H, W), the same for all of its pixels, (B, 1, H, W)."""
    return draw_beta(alpha, images)[:, None, None, None].expand(-1, 1, *images.shape[2:])


def cutmix_weights(images: Tensor, alpha: float) -> Tensor:
    """Draw a box for each image of (B, C, H, W): 0 in it and 1 around it, (B, 1, H, W)."""
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
