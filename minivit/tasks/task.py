"""The interface of a task.

Axes: B batch, C channels, H and W height and width in pixels, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.data import Dataset
from minivit.tasks.augmentation import Augmentation


class Task(ABC):
    """What a model should predict from an image, and how to measure how well it does.

    A new task is a subclass and a line in :data:`minivit.tasks.TASKS`. Training, evaluation, sweeps and analyses get
    everything they need from it.

    Attributes
    ----------
    target
        The field of a split that holds the targets of its images.
    scores
        What is measured in addition to the loss: keys in ``metrics.jsonl`` and their display names. All are in per
        cent, and the first is used for comparisons.
    logits_ndim
        Axes of the logits: 2 for (B, K), 4 for (B, K, H, W).
    chooses_classes
        Whether a model can be restricted to some of its classes.
    create_model
        Creates a model from a name and options, with a head for ``num_classes``.
    augmentation
        Class of what a step does to a batch: see :class:`minivit.tasks.augmentation.Augmentation`.
    """

    target: ClassVar[str]
    scores: ClassVar[Mapping[str, str]]
    logits_ndim: ClassVar[int]
    chooses_classes: ClassVar[bool] = False
    create_model: ClassVar[Callable[..., nn.Module]]
    augmentation: ClassVar[type[Augmentation]]

    @property
    def score(self) -> str:
        """Key of the score used for comparisons."""
        return next(iter(self.scores))

    @property
    def score_name(self) -> str:
        """Display name of that score."""
        return self.scores[self.score]

    @abstractmethod
    def fit(self, dataset: Dataset) -> Dataset:
        """Return the data set with the classes of this task, one for each logit.

        Raises
        ------
        ValueError
            If the data set lacks what the task needs.
        """

    def loss(self, logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the loss of logits against probabilities of the same shape, (B, K, ...): a scalar, in nats."""
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)

    @abstractmethod
    def measure(self, logits: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, ...]:
        """Return sums over a batch, which are then added over batches; the first is the sum of the images' losses.

        Targets are those of the split, unchanged; there may be logits for more than ``num_classes`` classes.
        """

    @abstractmethod
    def summarize(self, sums: Sequence[Tensor], images: int) -> dict[str, float]:
        """Turn the sums over ``images`` images into ``test_loss`` and the scores."""

    @abstractmethod
    def caption(self, target: Tensor, classes: Sequence[str]) -> str:
        """Describe in a word or two what one image shows."""

    def read(self, metrics: Mapping[str, Any]) -> str:
        """Format the scores in one line."""
        return ", ".join(f"{name} {metrics[key]:.2f} %" for key, name in self.scores.items())

    def check_logits(self, logits: Tensor, dataset: Dataset) -> Tensor:
        """Return the logits after checking that there is at least one per class of the data; a model may know more."""
        if logits.ndim != self.logits_ndim or logits.shape[1] < dataset.num_classes:
            raise ValueError(f"the model returns {' x '.join(map(str, logits.shape[1:]))} logits per image, but "
                             f"{dataset.name} has {dataset.num_classes} classes; create it with "
                             f"num_classes={dataset.num_classes}")
        return logits


def add(sums: Sequence[Tensor] | None, new: Sequence[Tensor]) -> list[Tensor]:
    """Add the results of :meth:`Task.measure` for a batch to the sums so far, or None."""
    return list(new) if sums is None else [torch.add(x, y) for x, y in zip(sums, new, strict=True)]
