"""One class for each image.

Axes: B batch, K classes.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from minivit.data import Dataset
from minivit.models import create_model
from minivit.tasks.augmentation import Augmentation
from minivit.tasks.task import Task


class Classification(Task):
    """Predict the class of each image: logits (B, K), labels (B,)."""

    target = "labels"
    scores = {"test_top1": "top-1", "test_top5": "top-5"}
    logits_ndim = 2
    chooses_classes = True
    create_model = staticmethod(create_model)
    augmentation = Augmentation

    def fit(self, dataset: Dataset) -> Dataset:
        """Return the data set unchanged: its classes are those of the labels."""
        return dataset

    def measure(self, logits: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sum of the losses, and how often the label was the top class, or among the top five."""
        hits = logits.topk(min(5, num_classes), dim=1).indices == targets[:, None]  # (B, best)
        return F.cross_entropy(logits, targets, reduction="sum"), hits[:, 0].sum(), hits.sum()

    def summarize(self, sums: Sequence[Tensor], images: int) -> dict[str, float]:
        """Return ``test_loss`` in nats, ``test_top1`` and ``test_top5`` in per cent."""
        loss, top1, top5 = (total.item() / images for total in sums)
        return {"test_loss": loss, "test_top1": 100 * top1, "test_top5": 100 * top5}

    def caption(self, target: Tensor, classes: Sequence[str]) -> str:
        """Return the name of the class."""
        return classes[int(target)]
