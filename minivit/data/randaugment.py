"""RandAugment (Cubuk et al., 2020) and TrivialAugment (Müller and Hutter, 2021), drawn separately for each image.

Axes: B batch, C channels, H and W height and width in pixels, R rounds. Random numbers come from PyTorch's generator
for the batch's device: seed it to reproduce a batch.
"""

from math import inf

import torch
from torch import Tensor

from minivit import draws
from minivit.data.operations import OPERATIONS, apply_operations
from minivit.options import check_at_least, check_between

RAND_AUGMENT = OPERATIONS[:-1]     # all but identity
TRIVIAL_AUGMENT = OPERATIONS[2:]   # all but invert and solarize_add
IDENTITY = OPERATIONS.index("identity")
GREY, BLACK = 128, 0


def rand_augment(images: Tensor, masks: Tensor | None = None, *, operations: int = 2, magnitude: float = 9.0,
                 noise: float = 0.5, probability: float = 0.5) -> Tensor | tuple[Tensor, Tensor]:
    """Apply a few random operations of similar magnitude to each image.

    The default is DeiT's (Touvron et al., 2021), which timm calls ``rand-m9-mstd0.5-inc1``. Operations are drawn from
    fifteen with equal probability and with replacement; each is applied with probability one half, and its strength
    grows with the magnitude. The differences from timm are:

    - Sampling is bilinear, and grey (128) comes in from outside. timm draws bilinear or bicubic unless told otherwise
      (DeiT: bicubic), and fills with the training set's mean.
    - Two maps in a row sample the image only once, so pixels that the first moves out can come back in.
    - Posterising keeps at least one bit. timm's keeps none at magnitude 10, which Pillow now refuses.

    Parameters
    ----------
    images
        uint8, (B, C, H, W) with C 1 or 3. For grey images ``color`` is the identity.
    masks
        Optional classes of the pixels, (B, H, W), which move along with them; 0 comes in from outside.
    operations
        Rounds, 1 or more.
    magnitude
        In [0, 10].
    noise
        Standard deviation of the magnitude, 0 or more: each operation of each image draws its own magnitude from a
        normal distribution clipped to [0, 10].
    probability
        In [0, 1], that an operation that was drawn is applied.

    Returns
    -------
    Tensor of shape (B, C, H, W), uint8; with masks, also the masks, (B, H, W)

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    check_images(images)
    check_at_least(1, operations=operations)
    check_between(0, 10, magnitude=magnitude)
    check_between(0, inf, noise=noise)
    check_between(0, 1, probability=probability)
    return apply_operations(images, *draw_rand_augment(images, operations, magnitude, noise, probability), GREY, masks)


def trivial_augment(images: Tensor, masks: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
    """Apply one random operation of random strength to each image, which leaves nothing to tune.

    This is the paper's wide space: one of fourteen operations, identity included, and one of 31 evenly spaced
    strengths, all with equal probability. As in the paper's code, translations go up to 32 pixels whatever the size,
    and black comes in from outside. That code samples the nearest pixel; this samples bilinearly.

    Parameters
    ----------
    images
        uint8, (B, C, H, W) with C 1 or 3.
    masks
        As for :func:`rand_augment`.

    Returns
    -------
    Tensor of shape (B, C, H, W), uint8; with masks, also the masks, (B, H, W)

    Raises
    ------
    ValueError
        If the images are not as described.
    """
    check_images(images)
    return apply_operations(images, *draw_trivial_augment(images), BLACK, masks)


def draw_rand_augment(images: Tensor, operations: int, magnitude: float, noise: float, probability: float = 0.5
                      ) -> tuple[Tensor, Tensor]:
    """Draw operations, as indices into ``OPERATIONS``, and their strengths, both (R, B)."""
    shape, device = (operations, len(images)), images.device
    height, width = images.shape[2:]
    operation = draw_among(RAND_AUGMENT, shape, device)
    operation = torch.where(draws.rand(*shape, device=device, axis=1) < probability, operation, IDENTITY)
    level = (magnitude + noise * draws.randn(*shape, device=device, axis=1)).clamp(0, 10)
    signed = level * draw_signs(shape, device)
    factor = (1 + 0.09 * signed).clamp(min=0.1)
    return operation, choose(operation, {
        "solarize_add": (level * 110 / 10).floor(),
        "posterize": (4 - (level * 4 / 10).floor()).clamp(min=1),
        "solarize": 256 - (level * 256 / 10).floor(),
        "brightness": factor, "contrast": factor, "color": factor, "sharpness": factor,
        "shear_x": 0.03 * signed, "shear_y": 0.03 * signed,
        "translate_x": 0.045 * width * signed, "translate_y": 0.045 * height * signed,
        "rotate": 3 * signed,
    })


def draw_trivial_augment(images: Tensor) -> tuple[Tensor, Tensor]:
    """Draw one operation per image, as an index into ``OPERATIONS``, and its strength, both (1, B)."""
    shape, device = (1, len(images)), images.device
    operation = draw_among(TRIVIAL_AUGMENT, shape, device)
    level, sign = draws.randint(0, 31, *shape, device=device, axis=1), draw_signs(shape, device)
    factor = 0.01 + 1.99 * level / 30
    return operation, choose(operation, {
        "posterize": 8 - (level * 6 / 30).floor(),
        "solarize": 256 - (level * 256 / 30).floor(),
        "brightness": factor, "contrast": factor, "color": factor, "sharpness": factor,
        "shear_x": 0.033 * level * sign, "shear_y": 0.033 * level * sign,
        "translate_x": (level * 32 / 30).floor() * sign, "translate_y": (level * 32 / 30).floor() * sign,
        "rotate": (level * 135 / 30).floor() * sign,
    })


def draw_among(names: tuple[str, ...], shape: tuple[int, int], device: torch.device) -> Tensor:
    """Draw uniformly from names that are adjacent in ``OPERATIONS``; return their indices, int64."""
    first = OPERATIONS.index(names[0])
    return draws.randint(first, first + len(names), *shape, device=device, axis=1)


def draw_signs(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Draw -1 or 1 with equal probability."""
    return 2 * draws.randint(0, 2, *shape, device=device, axis=1) - 1


def choose(operation: Tensor, strengths: dict[str, Tensor]) -> Tensor:
    """Return for each draw the strength of its operation, 0 if it has none; (R, B) to (R, B), float32."""
    none = torch.zeros(operation.shape, device=operation.device)
    return torch.stack([strengths.get(name, none) for name in OPERATIONS]).gather(0, operation[None])[0]


def check_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images of dtype {images.dtype} and shape {tuple(images.shape)}: they must be uint8 of shape "
                         "(B, C, H, W) with C 1 or 3")
