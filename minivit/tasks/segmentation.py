"""One class for each pixel.

Axes: B batch, H and W height and width in pixels, K classes including ground.
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
    """Predict the class of each pixel, or that it is ground: logits (B, K, H, W), masks (B, H, W)."""

    target = "masks"
    scores = {"test_miou": "mean IoU", "test_pixel_accuracy": "pixel accuracy"}
    logits_ndim = 4
    create_model = staticmethod(create_segmenter)
    augmentation = MaskAugmentation

    def fit(self, dataset: Dataset) -> Dataset:
        """Return the data set with the classes of its masks: 0 is ground, and k + 1 is the class k."""
        if not all(hasattr(split, self.target) for split in (dataset.train, dataset.test)):
            raise ValueError(f"task='segmentation' needs masks, which {dataset.name} lacks; dataset='shapes' has them")
        return replace(dataset, classes=(GROUND, *dataset.classes))

    def measure(self, logits: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, ...]:
        """Return the sum of the images' mean losses, the intersection and union of each class, and the pixel count."""
        loss = F.cross_entropy(logits, targets.long(), reduction="none").flatten(1).mean(1).sum()
        best = logits.argmax(1).masked_fill(logits.isnan().any(1), -1)  # argmax takes a nan for the largest
        classes = torch.arange(num_classes, device=logits.device)
        predicted, true = (pixels.flatten()[:, None] == classes for pixels in (best, targets))  # (B H W, K)
        pixels = predicted.new_full((), len(predicted), dtype=torch.int64)
        return loss, (predicted & true).sum(0), (predicted | true).sum(0), pixels

    def summarize(self, sums: Sequence[Tensor], images: int) -> dict[str, float]:
        r"""Return ``test_loss`` in nats, ``test_miou`` and ``test_pixel_accuracy`` in per cent.

        Intersection over union is computed for all images together, then averaged over the classes that were predicted
        or occur. Each correct pixel is in exactly one intersection.
        """
        loss, intersection, union, pixels = (total.cpu().double() for total in sums)
        present = union > 0
        miou = (intersection[present] / union[present]).mean().item()
        accuracy = (intersection.sum() / pixels).item()
        return {"test_loss": loss.item() / images, "test_miou": 100 * miou, "test_pixel_accuracy": 100 * accuracy}

    def caption(self, target: Tensor, classes: Sequence[str]) -> str:
        """Return the names of the classes in a mask, except ground."""
        return ", ".join(classes[k] for k in target.unique().tolist() if k) or GROUND
