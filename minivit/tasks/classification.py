"""One class for each image.

Axes: B batch, K classes.
"""

from collections.abc import Sequence
from math import inf

import torch.nn.functional as F
from torch import Tensor

from minivit.data import Dataset
from minivit.models import create_model
from minivit.tasks.augmentation import Augmentation
from minivit.tasks.task import Task


class Classification(Task):
    """Predict the class of each image: logits (B, K), labels (B,), or bool (B, K) if several may be right."""

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
        """Return the sum of the losses, and how often the top class was right, or one of the top five.

        Where several classes are right, the loss is that of all together, and any of them is a hit. With a logit that
        is nan, the loss is nan and no class is a hit.
        """
        best = logits.topk(min(5, num_classes), dim=1).indices  # (B, best)
        if targets.ndim == 1:
            loss, hits = F.cross_entropy(logits, targets, reduction="sum"), best == targets[:, None]
        else:
            right = logits.log_softmax(1).masked_fill(~targets, -inf)
            loss, hits = -right.logsumexp(1).sum(), targets.gather(1, best)
        hits = hits & ~logits.isnan().any(1, keepdim=True)  # topk takes a nan for the largest
        return loss, hits[:, 0].sum(), hits.any(1).sum()

    def summarize(self, sums: Sequence[Tensor], images: int) -> dict[str, float]:
        """Return ``test_loss`` in nats, ``test_top1`` and ``test_top5`` in per cent."""
        loss, top1, top5 = (total.item() / images for total in sums)
        return {"test_loss": loss, "test_top1": 100 * top1, "test_top5": 100 * top5}

    def caption(self, target: Tensor, classes: Sequence[str]) -> str:
        """Return the name of the class."""
        return classes[int(target)]
