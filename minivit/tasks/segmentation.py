"""One class for each pixel.

Axes: B batch, H and W height and width in pixels, K classes, ground among them.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from minivit.data import Dataset
from minivit.models.segmenter import create_segmenter
from minivit.tasks.augmentation import MaskAugmentation
from minivit.tasks.task import Task

GROUND = "ground"


class Segmentation(Task):
    """Say of each pixel which of the classes it shows, or that it is ground: logits (B, K, H, W), masks (B, H, W)."""

    target = "masks"
    scores = {"test_miou": "mean IoU", "test_pixel_accuracy": "pixel accuracy"}
    logits_ndim = 4
    create_model = staticmethod(create_segmenter)
    augmentation = MaskAugmentation

    def fit(self, dataset: Dataset) -> Dataset:
        """Return the data set with the classes of its masks: 0 is ground, k + 1 the class k."""
        if not all(hasattr(split, self.target) for split in (dataset.train, dataset.test)):
            raise ValueError(f"task='segmentation' needs masks, which {dataset.name} lacks; dataset='shapes' has them")
        return replace(dataset, classes=(GROUND, *dataset.classes))

    def measure(self, logits: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, ...]:
        """Return the sum of the losses, each a mean over its pixels; intersection and union of each class; pixels."""
        loss = F.cross_entropy(logits, targets.long(), reduction="none").flatten(1).mean(1).sum()
        classes = torch.arange(num_classes, device=logits.device)
        said, true = (pixels.flatten()[:, None] == classes for pixels in (logits.argmax(1), targets))  # (B H W, K)
        return loss, (said & true).sum(0), (said | true).sum(0), said.new_full((), len(said), dtype=torch.int64)

    def summarize(self, sums: Sequence[Tensor], images: int) -> dict[str, float]:
        r"""Return ``test_loss`` in nats, ``test_miou`` and ``test_pixel_accuracy`` in per cent.

        The intersection of what was said with what is true, over their union, is that of all images together; its mean
        is over the classes that were said or are there. Each pixel that is right is in one intersection.
        """
        loss, intersection, union, pixels = (total.cpu().double() for total in sums)
        there = union > 0
        miou = (intersection[there] / union[there]).mean().item()
        accuracy = (intersection.sum() / pixels).item()
        return {"test_loss": loss.item() / images, "test_miou": 100 * miou, "test_pixel_accuracy": 100 * accuracy}

    def caption(self, target: Tensor, classes: Sequence[str]) -> str:
        """Return the names of the classes in a mask, ground apart."""
        return ", ".join(classes[k] for k in target.unique().tolist() if k) or GROUND
