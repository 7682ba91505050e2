"""What happens to a training batch between the data set and the model, on whatever device holds it.

Axes: B batch, C channels, H and W height and width in pixels, K classes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from minivit.data import Dataset
from minivit.data.augment import (
    channel_statistics,
    cutmix,
    mixup,
    mixup_or_cutmix,
    random_crop,
    random_flip,
    standardize,
)
from minivit.data.crops import random_resized_crop
from minivit.data.erasing import random_erasing
from minivit.data.randaugment import rand_augment, trivial_augment
from minivit.options import check_options


def keep(images: Tensor, masks: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
    """Change nothing."""
    return images if masks is None else (images, masks)


POLICIES = {"none": keep, "randaugment": rand_augment, "trivialaugment": trivial_augment}


def create_policy(name: str, options: Mapping[str, Any]) -> Callable:
    """Return one of the policies with these keyword arguments.

    Raises
    ------
    ValueError
        If the policy has no such argument, or doesn't allow the value.
    """
    check_options(POLICIES[name], options, f"augmentation={name!r}", given=("images", "masks"))
    policy = partial(POLICIES[name], **options)
    with torch.random.fork_rng([]):
        policy(torch.zeros(1, 1, 2, 2, dtype=torch.uint8))  # what isn't allowed is told before the first step
    return policy


class Augmentation:
    """Turn uint8 images and their targets into what a model sees and what it should predict.

    Everything it needs is on the device from the start, and it reads nothing back, so a training step that uses it can
    be captured as a graph.

    Parameters
    ----------
    dataset
        Provides the mean, the standard deviation and the number of classes.
    device
        Where the batches are.
    crop
        As for :class:`minivit.training.Config`; or none, for images that were cropped when they were read.
    crop_padding, smallest_crop, flip, augmentation, augmentation_options, erasing, mixup, cutmix
        As for :class:`minivit.training.Config`.
    """

    def __init__(self, dataset: Dataset, device: torch.device, *, crop: str = "shift", crop_padding: int = 0,
                 smallest_crop: float = 0.08, flip: bool = False, augmentation: str = "none",
                 augmentation_options: Mapping[str, Any] | None = None, erasing: float = 0.0, mixup: float = 0.0,
                 cutmix: float = 0.0):
        self.mean, self.std = channel_statistics(dataset.mean, dataset.std, dataset.image_shape[0], device)
        self.classes = torch.arange(dataset.num_classes, device=device)
        self.crop, self.crop_padding, self.smallest_crop, self.flip = crop, crop_padding, smallest_crop, flip
        self.policy = create_policy(augmentation, augmentation_options or {})
        self.erasing, self.mixup, self.cutmix = erasing, mixup, cutmix

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 images (B, C, H, W) and labels (B,) to float images and class probabilities (B, K)."""
        images, targets = self.change(images, targets)
        images = standardize(images, self.mean, self.std)
        images = random_erasing(images, probability=self.erasing) if self.erasing else images
        return self.mix(images, self.one_hot(targets))

    def change(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Move and recolour the pixels; the labels stay the same."""
        return self.policy(self.move(images)), labels

    def move(self, images: Tensor, masks: int = 0) -> Tensor:
        """Crop and mirror, (B, C, H, W) with any C, of which the last ones may be masks."""
        if self.crop == "shift":
            images = random_crop(images, self.crop_padding)
        elif self.crop == "random_resized":
            images = random_resized_crop(images, self.smallest_crop, masks)
        return random_flip(images) if self.flip else images

    def one_hot(self, targets: Tensor) -> Tensor:
        """Map classes (B, ...) to probabilities (B, K, ...). PyTorch's ``one_hot`` reads from the device."""
        return (targets[:, None] == self.classes.view(-1, *[1] * (targets.ndim - 1))).float()

    def mix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Blend each image and its target with another of the batch, by mixup, CutMix, either or neither."""
        if self.mixup and self.cutmix:
            return mixup_or_cutmix(images, targets, self.mixup, self.cutmix)
        if self.mixup:
            return mixup(images, targets, self.mixup)
        return cutmix(images, targets, self.cutmix) if self.cutmix else (images, targets)


class MaskAugmentation(Augmentation):
    """The same for masks: the class of a pixel moves along with it.

    Crops, flips and the maps of a policy move both; ground (0) comes in from outside, as those pixels show nothing.
    Mixing treats the probabilities of each pixel like the pixel itself, so CutMix pastes the mask along with the box.
    Erasing leaves the masks unchanged: the model must infer what is behind the noise from its surroundings.
    """

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 images (B, C, H, W) and masks (B, H, W) to float images and class probabilities (B, K, H, W)."""
        return super().__call__(images, targets)

    def change(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Move the pixels, with the mask as an additional channel, and recolour them."""
        both = self.move(torch.cat([images, masks[:, None]], dim=1), masks=1)
        return self.policy(both[:, :-1], both[:, -1])
