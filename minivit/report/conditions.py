"""The conditions under which a model is tested: images as they are, and made harder to recognise.

Axes: B batch, C channels, H and W height and width in pixels.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minivit.analysis import centre_occlusion, fgsm, gaussian_blur, gaussian_noise, shot_noise
from minivit.options import check_between

PHOTONS = 60.0  # the mildest shot noise of ImageNet-C, a strong one for 32 x 32 pixels

Condition = Callable[[Tensor, Tensor], Tensor]  # images in pixel units (B, C, H, W) and targets, to images


def check_ranges(seed: int, epsilon: float) -> None:
    if not 0 <= seed < 2**63:  # what a generator takes
        raise ValueError(f"seed={seed} must be at least 0 and below 2**63")
    check_between(0, 255, epsilon=epsilon)  # pixel units


def create_conditions(classify: Callable[[Tensor], Tensor], seed: int, epsilon: float,
                      device: torch.device) -> dict[str, Condition]:
    """Return the functions that corrupt images, by name.

    Raises
    ------
    ValueError
        If the seed or epsilon is out of range.
    """
    check_ranges(seed, epsilon)

    def noisy(add: Callable[[Tensor, float, torch.Generator], Tensor], level: float) -> Condition:
        # PyTorch draws no Poisson numbers on an Apple GPU.
        generator = torch.Generator(device if device.type == "cuda" else "cpu").manual_seed(seed)
        # Draw for each image separately, so that the noise doesn't depend on the batch size.
        return lambda images, targets: torch.cat([add(image, level, generator) for image in images.split(1)])

    return {"clean": lambda images, targets: images,
            "centre_occlusion": lambda images, targets: centre_occlusion(images),
            "fgsm": lambda images, targets: fgsm(classify, images, targets.long(), epsilon),
            "gaussian_noise_5": noisy(gaussian_noise, 5.0),
            "gaussian_noise_10": noisy(gaussian_noise, 10.0),
            "shot_noise": noisy(shot_noise, PHOTONS),
            "gaussian_blur_1": lambda images, targets: gaussian_blur(images, 1.0),
            "gaussian_blur_2": lambda images, targets: gaussian_blur(images, 2.0)}
