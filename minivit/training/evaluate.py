"""How good a model is on images it was not trained on.

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
             after_batch: Callable[[], Any] = lambda: None, task: str = "classification") -> dict[str, float]:
    """Measure a model on the whole test set; of many processes, each on its share of the images.

    Parameters
    ----------
    model
        In a wrapper or without, of any precision: images come to it in its own. Put in evaluation mode meanwhile.
    dataset
        Its ``test`` split is used. Its classes are those of the task, as :func:`minivit.training.load_data` gives them.
    precision
        ``float32``, ``bfloat16`` for autocast, or ``auto``.
    batch_size
        Images at a time.
    after_batch
        Called after each batch.
    task
        Says what is measured: a key of :data:`minivit.tasks.TASKS`.

    Returns
    -------
    dict
        ``test_loss``, mean cross-entropy in nats, and the scores of the task in per cent. Of classification these are
        ``test_top1`` and ``test_top5``, the images whose class is the best, or among the best five, of the logits; of
        segmentation ``test_miou`` and ``test_pixel_accuracy``.

    Raises
    ------
    ValueError
        If the model has fewer logits than the data have classes.
    """
    device, task = first_weights(model).device, find_task(task)
    was_training = model.training
    model.eval()
    sums = None
    try:
        mine = parallel.share(torch.arange(len(dataset.test)))
        rows = mine if len(mine) else torch.arange(1)  # of more processes than images some measure one for nothing
        for images, targets in batches(dataset.test, rows, batch_size, device, task.target):
            logits = task.check_logits(predict(model, images, dataset, precision).float(), dataset)
            sums = add(sums, task.measure(logits, targets, dataset.num_classes))
            after_batch()
    finally:
        model.train(was_training)
    return task.summarize([parallel.add_up(total * bool(len(mine))) for total in sums], len(dataset.test))


def predict(model: nn.Module, images: Tensor, dataset: Dataset, precision: str = "float32", **options: Any) -> Any:
    """Show images to a model as it is used to seeing them, and return what it says.

    A model whose weights are not float32 calculates in their precision, whatever is asked for.

    Parameters
    ----------
    model
        In a wrapper or without.
    images
        (B, C, H, W), levels in [0, 255], of any type.
    dataset
        Its mean and deviation are those of the training.
    precision
        ``float32``, ``bfloat16`` for autocast, or ``auto``.
    **options
        Passed on to the model.
    """
    weights = first_weights(model)
    precision = precision if weights.dtype == torch.float32 else "float32"
    with autocast(precision, weights.device):
        return model(as_input(normalize(images, dataset.mean, dataset.std), model), **options)
