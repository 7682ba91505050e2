"""Measure how good a model is on images it wasn't trained on.

Axes: B batch, C channels, H and W height and width in pixels.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from minivit.data import Dataset, Split, batches
from minivit.data.augment import normalize
from minivit.data.broken import join
from minivit.tasks import find_task
from minivit.tasks.task import Task, add
from minivit.training import parallel
from minivit.training.device import autocast
from minivit.wrappers import as_input, first_weights

LEFT_OUT = "were left out"

log = logging.getLogger(__name__)


@torch.no_grad()
def evaluate(model: nn.Module, dataset: Dataset, *, precision: str = "float32", batch_size: int = 500,
             after_batch: Callable[[], Any] = lambda: None, task: str = "classification",
             spoil: Callable[[Tensor, Tensor], Tensor] | None = None) -> dict[str, float]:
    """Measure a model on the whole test set; several processes share the images.

    Parameters
    ----------
    model
        Wrapped or not, and in any precision, to which images are converted. It is in evaluation mode meanwhile.
    dataset
        Its ``test`` split is used. Its classes are those of the task, as from :func:`minivit.training.load_data`.
    precision
        ``float32``, ``bfloat16`` for autocast, or ``auto``.
    batch_size
        Number of images per forward pass.
    after_batch
        Called after each batch.
    task
        The task, which defines the scores: a key of :data:`minivit.tasks.TASKS`.
    spoil
        What to do to the images first: maps float images in pixel units, (B, C, H, W), and targets to such images.

    Returns
    -------
    dict
        ``test_loss``, the mean cross-entropy in nats, and the scores of the task in per cent. For classification these
        are ``test_top1`` and ``test_top5``, the percentage of images whose class has the largest logit, or one of the
        five largest; for segmentation ``test_miou`` and ``test_pixel_accuracy``.

    Raises
    ------
    ValueError
        If the model has fewer logits than the data set has classes, or there are no test images.
    """
    if not len(dataset.test):
        raise ValueError(f"{dataset.name} has no test images to measure a model on")
    device, task = first_weights(model).device, find_task(task)
    was_training = model.training
    model.eval()
    split, rows, sums, n = dataset.test, parallel.share(torch.arange(len(dataset.test))), None, 0

    def measure(images: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        logits = predict_logits(model, images, dataset, precision, task)
        return task.measure(logits[:len(targets)], targets, dataset.num_classes)

    try:
        for images, targets in batches(split, rows, batch_size, device, task.target):
            images = spoil(images.float(), targets) if spoil else images
            sums, n = add(sums, measure(images, targets)), n + len(targets)
            after_batch()
        if sums is None:  # a process without images adds nothing
            black = torch.zeros(1, *dataset.image_shape, device=device)
            sums = measure(black, getattr(split, task.target)[:0].to(device))
    finally:
        model.train(was_training)
    report_broken(split, LEFT_OUT)
    return task.summarize([parallel.add_up(total) for total in sums], int(parallel.add_up(torch.tensor(n))))


def report_broken(split: Split, action: str) -> None:
    """Log which images of a split are broken, over all processes, and what was done about them; each one only once.

    Raises
    ------
    DataError
        If more than one in a hundred images of the split are broken.
    """
    if (broken := getattr(split.images, "broken", None)) is not None:
        for errors in parallel.gather(broken.errors):
            broken.add(errors)
        if (new := broken.unreported()) and parallel.is_first():
            log.warning(f"{broken} and {action}: {join(new)}")


def predict_logits(model: nn.Module, images: Tensor, dataset: Dataset, precision: str, task: Task) -> Tensor:
    """Return the logits that :func:`predict` gives, in float32, after the task has checked them."""
    return task.check_logits(predict(model, images, dataset, precision).float(), dataset)


def predict(model: nn.Module, images: Tensor, dataset: Dataset, precision: str = "float32", **options: Any) -> Any:
    """Normalise images as in training, pass them to a model and return its output.

    A model whose weights are not float32 computes in their precision, whatever ``precision`` is.

    Parameters
    ----------
    model
        Wrapped or not.
    images
        (B, C, H, W), levels in [0, 255], of any dtype.
    dataset
        Its mean and standard deviation must be those of the training.
    precision
        ``float32``, ``bfloat16`` for autocast, or ``auto``.
    **options
        Passed on to the model.
    """
    weights = first_weights(model)
    precision = precision if weights.dtype == torch.float32 else "float32"
    with autocast(precision, weights.device):
        return model(as_input(normalize(images, dataset.mean, dataset.std), model), **options)
