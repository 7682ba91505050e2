"""Evaluate a trained model on its test images as they are, and on the same images made harder to recognise."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from minivit.data import Dataset
from minivit.options import check_at_least, check_choice, check_options
from minivit.report.conditions import create_conditions
from minivit.tasks import find_task
from minivit.training.evaluate import evaluate, predict_logits
from minivit.wrappers import first_weights


def evaluate_under(model: nn.Module, dataset: Dataset, conditions: Sequence[str] = (), *, epsilon: float = 1.0,
                   seed: int = 0, batch_size: int = 100, precision: str = "float32", task: str = "classification"
                   ) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure a model on the whole test set, as it is and under each condition.

    Parameters
    ----------
    model, dataset, precision, task
        As for :func:`minivit.training.evaluate`.
    conditions
        What to do to the images before each further evaluation: names from :mod:`minivit.report.conditions`.
        ``centre_occlusion`` and ``fgsm`` are those of the CB paper's table 8. Its occlusion hides 112 x 112 of
        224 x 224 pixels, as ours does; ours is black, and the paper doesn't say whether its 0 is black or the mean
        colour. It doesn't give its epsilon.
    epsilon
        Step of the fast gradient sign method, in pixel units, in [0, 255].
    seed
        Seed of the noise, at least 0 and below 2**63.
    batch_size
        Images at a time; the gradients of ``fgsm`` take far more memory than an evaluation does.

    Yields
    ------
    str, dict
        The condition, ``clean`` first, and its metrics, as :func:`minivit.training.evaluate` returns them.

    Raises
    ------
    ValueError
        If a condition is unknown, a number is out of range, or ``fgsm`` is to attack several classes of an image.
    """
    check_options(evaluate_under, {"epsilon": epsilon, "seed": seed, "batch_size": batch_size}, "eval")
    check_at_least(1, batch_size=batch_size)
    conditions = list(conditions)  # an iterator can be read only once

    def classify(pixels: Tensor) -> Tensor:
        return predict_logits(model, pixels, dataset, precision, find_task(task))

    known = create_conditions(classify, seed, epsilon, first_weights(model).device)
    for name in conditions:
        check_choice(known, condition=name)
    if "fgsm" in conditions and dataset.test.labels.ndim > 1:
        raise ValueError("fgsm attacks the one class of an image, but labels give several: leave out one of the two")
    for name in dict.fromkeys(["clean", *conditions]):
        yield name, evaluate(model, dataset, precision=precision, batch_size=batch_size, task=task,
                             spoil=None if name == "clean" else known[name])
