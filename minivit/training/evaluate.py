"""How good a model is on images it was not trained on.

Axes: B batch, K classes.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.data import Dataset, batches
from minivit.data.augment import normalize
from minivit.training.device import autocast
from minivit.wrappers import as_input, first_weights


@torch.no_grad()
def evaluate(model: nn.Module, dataset: Dataset, *, precision: str = "float32", batch_size: int = 500,
             after_batch: Callable[[], Any] = lambda: None) -> dict[str, float]:
    """Measure a model on the whole test set.

    Parameters
    ----------
    model
        In a wrapper or without, of any precision: images come to it in its own. Put in evaluation mode meanwhile.
    dataset
        Its ``test`` split is used.
    precision
        ``float32``, ``bfloat16`` for autocast, or ``auto``.
    batch_size
        Images at a time.
    after_batch
        Called after each batch.

    Returns
    -------
    dict
        ``test_loss``, mean cross-entropy in nats; ``test_top1`` and ``test_top5``, per cent of the images whose class
        is the best, or among the best five, of the logits.

    Raises
    ------
    ValueError
        If the model has fewer logits than the data have classes.
    """
    device = first_weights(model).device
    was_training = model.training
    model.eval()
    totals = torch.zeros(3, device=device)  # float32: an Apple GPU has no float64, and counts are exact below 2**24
    best = min(5, dataset.num_classes)
    try:
        for images, labels in batches(dataset.test, torch.arange(len(dataset.test)), batch_size, device):
            logits = check_logits(predict(model, images, dataset, precision).float(), dataset)
            hits = logits.topk(best, dim=1).indices == labels[:, None]  # (B, best)
            totals += torch.stack([F.cross_entropy(logits, labels, reduction="sum"), hits[:, 0].sum(), hits.sum()])
            after_batch()
    finally:
        model.train(was_training)
    loss, top1, top5 = (total / len(dataset.test) for total in totals.tolist())
    return {"test_loss": loss, "test_top1": 100 * top1, "test_top5": 100 * top5}


def check_logits(logits: Tensor, dataset: Dataset) -> Tensor:
    """Return the logits, if there is one at least for each class of the data: a model may know more."""
    if logits.ndim != 2 or logits.shape[1] < dataset.num_classes:
        raise ValueError(f"the model gives {' x '.join(map(str, logits.shape[1:]))} logits for an image, and "
                         f"{dataset.name} has {dataset.num_classes} classes; make it with "
                         f"num_classes={dataset.num_classes}")
    return logits


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
