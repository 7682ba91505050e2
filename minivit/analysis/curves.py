"""How fast a model learns: one number for the curve of a whole run."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def mean_height(epochs: Sequence[dict[str, Any]], metric: str = "test_loss") -> float:
    r"""Return the mean height of a learning curve: the area under it, divided by its length in epochs.

    .. math:: \frac{1}{E_K - E_1} \sum_{k=1}^{K-1} (E_{k+1} - E_k)\, \frac{y_k + y_{k+1}}{2}

    A model that learns faster is ahead all along, and not at the end alone. In a loss, its curve is lower on average.

    Parameters
    ----------
    epochs
        Lines of ``metrics.jsonl``, as :func:`minivit.training.read_record` returns them. Where one has no ``metric``,
        it wasn't measured after that epoch :math:`E_k`, and the line is left out.
    metric
        What the curve shows, :math:`y_k`.

    Returns
    -------
    float
        In the unit of the metric.

    Raises
    ------
    ValueError
        If the metric was measured after fewer than two epochs, or the epochs do not increase.
    """
    points = [(epoch["epoch"], epoch[metric]) for epoch in epochs if epoch.get(metric) is not None]
    if len(points) < 2:
        raise ValueError(f"metric={metric!r} was measured after {len(points)} epochs; a curve needs at least two")
    at, height = np.array(points, float).T
    if (np.diff(at) <= 0).any():
        raise ValueError(f"epochs are {at.astype(int).tolist()}: they must increase, as those of one run do")
    return float(np.trapezoid(height, at) / (at[-1] - at[0]))
