"""Measure how good a model is on images it wasn't trained on.

Axes: B batch, C channels, H and W height and width in pixels.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from minivit.data import Dataset, batches
from minivit.data.augment import normalize
from minivit.tasks import find_task
from minivit.tasks.task import add
from minivit.training import parallel
from minivit.training.device import autocast
from minivit.wrappers import as_input, first_weights


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
        If the model has fewer logits than the data set has classes.
    """
    device, task = first_weights(model).device, find_task(task)
    was_training = model.training
    model.eval()
    sums = None
    try:
        mine = parallel.share(torch.arange(len(dataset.test)))
        rows = mine if len(mine) else torch.arange(1)  # without a share, evaluate one image and discard it
        for images, targets in batches(dataset.test, rows, batch_size, device, task.target):
            if spoil:
                images = spoil(images.float(), targets)
            logits = task.check_logits(predict(model, images, dataset, precision).float(), dataset)
            sums = add(sums, task.measure(logits, targets, dataset.num_classes))
            after_batch()
    finally:
        model.train(was_training)
    return task.summarize([parallel.add_up(total * bool(len(mine))) for total in sums], len(dataset.test))


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
