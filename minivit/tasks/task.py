"""What a task has to say for itself.

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
    """What is to be said of an image, and how well it is said.

    A task of one's own is a subclass with a line in :data:`minivit.tasks.TASKS`: training, evaluation, sweeps and
    analyses ask it for all they need.

    Attributes
    ----------
    target
        The field of a split that goes with its images.
    scores
        What is measured beside the loss, by the key in ``metrics.jsonl``: its name for people. All are per cent, the
        first is the one to compare by.
    logits_ndim
        Axes of the logits: 2 for (B, K), 4 for (B, K, H, W).
    chooses_classes
        Whether a model can be asked to choose among some of its classes alone.
    create_model
        Makes a model, with a head of ``num_classes``, from a name and options.
    augmentation
        Makes what a step does to a batch: see :class:`minivit.tasks.augmentation.Augmentation`.
    """

    target: ClassVar[str]
    scores: ClassVar[Mapping[str, str]]
    logits_ndim: ClassVar[int]
    chooses_classes: ClassVar[bool] = False
    create_model: ClassVar[Callable[..., nn.Module]]
    augmentation: ClassVar[type[Augmentation]]

    @property
    def score(self) -> str:
        """Key of the score to compare by."""
        return next(iter(self.scores))

    @property
    def score_name(self) -> str:
        """Its name."""
        return self.scores[self.score]

    @abstractmethod
    def fit(self, dataset: Dataset) -> Dataset:
        """Return the data set with the classes of this task, one for each logit.

        Raises
        ------
        ValueError
            If the data set has not what the task needs.
        """

    def loss(self, logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Compare logits with probabilities of the same shape, (B, K, ...); a number, nats."""
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)

    @abstractmethod
    def measure(self, logits: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, ...]:
        """Return sums over a batch, which are added up from batch to batch; the first is of the losses of its images.

        Targets are those of the split, as they are; logits may be of more than ``num_classes``.
        """

    @abstractmethod
    def summarize(self, sums: Sequence[Tensor], images: int) -> dict[str, float]:
        """Turn the sums over so many images into ``test_loss`` and the scores."""

    @abstractmethod
    def caption(self, target: Tensor, classes: Sequence[str]) -> str:
        """Say in a word or two what is in one image."""

    def read(self, metrics: Mapping[str, Any]) -> str:
        """Say the scores in a line."""
        return ", ".join(f"{name} {metrics[key]:.2f} %" for key, name in self.scores.items())

    def check_logits(self, logits: Tensor, dataset: Dataset) -> Tensor:
        """Return the logits, if there is one at least for each class of the data: a model may know more."""
        if logits.ndim != self.logits_ndim or logits.shape[1] < dataset.num_classes:
            raise ValueError(f"the model gives {' x '.join(map(str, logits.shape[1:]))} logits for an image, and "
                             f"{dataset.name} has {dataset.num_classes} classes; make it with "
                             f"num_classes={dataset.num_classes}")
        return logits


def add(sums: Sequence[Tensor] | None, new: Sequence[Tensor]) -> list[Tensor]:
    """Add what :meth:`Task.measure` gave for a batch; None is the sum of none."""
    return list(new) if sums is None else [torch.add(x, y) for x, y in zip(sums, new, strict=True)]
