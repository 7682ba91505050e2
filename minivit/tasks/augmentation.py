"""What happens to a batch of training between the data set and the model, where the batch lies.

Axes: B batch, C channels, H and W height and width in pixels, K classes.
"""

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
from minivit.data.erasing import random_erasing
from minivit.data.randaugment import rand_augment, trivial_augment


def keep(images: Tensor, masks: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
    """Change nothing."""
    return images if masks is None else (images, masks)


POLICIES = {"none": keep, "randaugment": rand_augment, "trivialaugment": trivial_augment}


class Augmentation:
    """Turn uint8 images and what is known of them into what a model sees and what it is to say.

    All it needs is on the device from the start, and it reads nothing back: a step with it can be captured as a graph.

    Parameters
    ----------
    dataset
        Its mean, deviation and number of classes.
    device
        Where the batches are.
    crop_padding, flip, augmentation, erasing, mixup, cutmix
        As for :class:`minivit.training.Config`.
    """

    def __init__(self, dataset: Dataset, device: torch.device, *, crop_padding: int = 0, flip: bool = False,
                 augmentation: str = "none", erasing: float = 0.0, mixup: float = 0.0, cutmix: float = 0.0):
        self.mean, self.std = channel_statistics(dataset.mean, dataset.std, dataset.image_shape[0], device)
        self.classes = torch.arange(dataset.num_classes, device=device)
        self.crop_padding, self.flip, self.policy = crop_padding, flip, POLICIES[augmentation]
        self.erasing, self.mixup, self.cutmix = erasing, mixup, cutmix

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 images (B, C, H, W) and labels (B,) to float images and class probabilities (B, K)."""
        images, targets = self.change(images, targets)
        images = standardize(images, self.mean, self.std)
        images = random_erasing(images, probability=self.erasing) if self.erasing else images
        return self.mix(images, self.one_hot(targets))

    def change(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Move and recolour the pixels: what an image is called stays."""
        return self.policy(self.move(images)), labels

    def move(self, images: Tensor) -> Tensor:
        """Crop and mirror, (B, C, H, W) with any C."""
        images = random_crop(images, self.crop_padding)
        return random_flip(images) if self.flip else images

    def one_hot(self, targets: Tensor) -> Tensor:
        """Map classes (B, ...) to probabilities (B, K, ...); PyTorch's own function looks at the classes first."""
        return (targets[:, None] == self.classes.view(-1, *[1] * (targets.ndim - 1))).float()

    def mix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Blend each image and its targets with another of the batch, in the way that was asked for."""
        if self.mixup and self.cutmix:
            return mixup_or_cutmix(images, targets, self.mixup, self.cutmix)
        if self.mixup:
            return mixup(images, targets, self.mixup)
        return cutmix(images, targets, self.cutmix) if self.cutmix else (images, targets)


class MaskAugmentation(Augmentation):
    """The same with the class of each pixel, which goes wherever its pixel does.

    Crop, mirror and the maps of a policy move both; ground (0) comes in from outside, for what comes in shows nothing.
    Mixing mixes the probabilities of each pixel as the pixel itself, so that CutMix pastes the mask with its box.
    Erasing leaves the masks: what is behind the noise is to be told from what is around it.
    """

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 images (B, C, H, W) and masks (B, H, W) to float images and class probabilities (B, K, H, W)."""
        return super().__call__(images, targets)

    def change(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Move the pixels, with the mask as one more channel, and recolour them."""
        both = self.move(torch.cat([images, masks[:, None]], dim=1))
        return self.policy(both[:, :-1], both[:, -1])
