"""How far two results lie apart that were measured in pairs: the same seeds, the same images."""

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike


def paired_difference(a: ArrayLike, b: ArrayLike) -> tuple[float, float, float]:
    r"""Return the mean of ``a - b`` with its 95 % confidence interval: Student's, for n pairs.

    .. math:: \bar d \pm t_{0.975,\,n-1}\, s_d / \sqrt n

    What the two of a pair share, such as a lucky seed, cancels in their difference and does not widen the interval.

    Parameters
    ----------
    a, b
        Results, (n,), n at least 2; ``a[i]`` and ``b[i]`` are a pair. The differences are taken to be independent and
        normal.

    Returns
    -------
    mean, low, high
        In the unit of ``a`` and ``b``. An interval that includes 0 shows no difference.

    Raises
    ------
    ValueError
        If ``a`` and ``b`` are not of one length, there are fewer than two pairs, or a result is not a finite number.

    References
    ----------
    Student, "The probable error of a mean", Biometrika 6, 1908.
    """
    from scipy.stats import t

    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(f"a and b have the shapes {a.shape} and {b.shape}; both must be (n,), with n at least 2")
    if not (np.isfinite(a) & np.isfinite(b)).all():
        raise ValueError(f"a={a.tolist()} and b={b.tolist()} must be finite numbers; leave both of a pair out")
    d = a - b
    mean, half = d.mean(), t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / sqrt(len(d))
    return float(mean), float(mean - half), float(mean + half)
