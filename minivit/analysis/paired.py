"""Statistics of results: differences between pairs (same seeds, same images), distance from a target, many claims."""

import warnings
from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

Name = TypeVar("Name", bound=Hashable)


class Comparison(NamedTuple):
    """A difference between pairs, and what a family leaves of it; see :func:`compare_pairs`."""

    n: int
    mean: float
    low: float
    high: float
    p: float
    claimed: bool


def paired_difference(a: ArrayLike, b: ArrayLike = 0.0) -> tuple[float, float, float]:
    r"""Return the mean of ``a - b`` with its 95 % confidence interval, by Student's t for n pairs.

    .. math:: \bar d \pm t_{0.975,\,n-1}\, s_d / \sqrt n

    What both of a pair share, such as a lucky seed, cancels in the difference and doesn't widen the interval.

    Parameters
    ----------
    a, b
        Results, (n,), n at least 2; ``a[i]`` and ``b[i]`` form a pair. Without ``b``, ``a`` holds the differences. The
        differences are assumed to be independent and normal.

    Returns
    -------
    mean, low, high
        In the unit of ``a`` and ``b``. An interval that includes 0 shows no difference.

    Raises
    ------
    ValueError
        If ``a`` and ``b`` differ in length, there are fewer than two pairs, or a result is not a finite number.

    References
    ----------
    Student, "The probable error of a mean", Biometrika 6, 1908.
    """
    from scipy.stats import ttest_rel

    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or b.shape not in ((), a.shape) or len(a) < 2:
        shapes = f"a has the shape {a.shape}" + (f" and b {b.shape}" if b.ndim else "")
        raise ValueError(f"{shapes}; it must be (n,), with n at least 2 pairs")
    if not (np.isfinite(a) & np.isfinite(b)).all():
        raise ValueError(f"a={a.tolist()} and b={b.tolist()} must be finite numbers; leave both of a pair out")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # if all differences are equal, the interval has zero width
        low, high = ttest_rel(a, np.broadcast_to(b, a.shape)).confidence_interval(0.95)
    return float((a - b).mean()), float(low), float(high)


def paired_p(differences: ArrayLike) -> np.ndarray:
    r"""Return the two-sided p-value of differences: how likely a mean this far from 0 is if the true mean is 0.

    .. math:: P(|T_{n-1}| \ge t), \quad t = |\bar d|\, \sqrt n / s_d

    It is below 0.05 exactly where the interval of :func:`paired_difference` excludes 0.

    Parameters
    ----------
    differences
        (..., n), n at least 2: the differences of n pairs, assumed to be independent and normal.

    Returns
    -------
    p-values, of shape (...)
        In [0, 1]. If all differences of n pairs are equal, 1 if they are 0, and otherwise 0.

    Raises
    ------
    ValueError
        If there are fewer than two pairs, or a difference is not a finite number.

    References
    ----------
    Student, "The probable error of a mean", Biometrika 6, 1908.
    """
    from scipy.stats import t

    d = np.asarray(differences, float)
    if d.ndim < 1 or d.shape[-1] < 2 or not np.isfinite(d).all():
        raise ValueError(f"differences have the shape {d.shape}; they must be finite numbers (..., n), n at least 2")
    mean, error = np.abs(d.mean(axis=-1)), d.std(axis=-1, ddof=1) / d.shape[-1] ** 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 1.0, 2 * t.sf(mean / error, d.shape[-1] - 1))


def compare_pairs(family: Mapping[Name, ArrayLike]) -> dict[Name, Comparison]:
    """Compare pairs by the one rule of the book: an interval for each comparison, and Holm's correction for all.

    Parameters
    ----------
    family
        Differences of pairs, (n,), by name: all the comparisons that a table shows, in all its measures.

    Returns
    -------
    dict
        By name, in the order of ``family``: the number of pairs ``n``; the ``mean`` with the interval ``low`` to
        ``high`` of :func:`paired_difference`; ``p``, of :func:`paired_p`; and whether a difference may be
        ``claimed``, by :func:`holm`.

    Raises
    ------
    ValueError
        Naming the comparison, if it has fewer than two pairs or a difference that is not a finite number.
    """
    intervals = {}
    for name, d in family.items():
        try:
            intervals[name] = paired_difference(d)
        except ValueError as error:
            raise ValueError(f"family[{name!r}]: {error}") from None
    p = np.array([paired_p(d) for d in family.values()])
    claimed = holm(p)
    return {name: Comparison(len(np.asarray(family[name])), *interval, float(p[i]), bool(claimed[i]))
            for i, (name, interval) in enumerate(intervals.items())}


def one_sided_p(results: ArrayLike, target: float) -> float:
    r"""Return how likely results this good would be if their mean were no better than ``target``: Student's p-value.

    .. math:: P(T_{n-1} \ge t), \quad t = (\bar x - c)\, \sqrt n / s

    The test is one-sided: a small p says that the mean exceeds the target ``c`` by more than luck.

    Parameters
    ----------
    results
        (n,), n at least 2, assumed to be independent and normal.
    target
        The target c, in the same unit.

    Returns
    -------
    float
        In [0, 1]. If all results are equal, 0 if they are above the target, and otherwise 1.

    Raises
    ------
    ValueError
        If there are fewer than two results, or one is not a finite number.

    References
    ----------
    Student, "The probable error of a mean", Biometrika 6, 1908.
    """
    from scipy.stats import t

    x = np.asarray(results, float)
    if x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all() or not np.isfinite(target):
        raise ValueError(f"results={x.tolist()} and target={target} must be finite numbers, two results at least")
    if (x == x[0]).all():
        return float(x[0] <= target)
    return float(t.sf((x.mean() - target) * len(x) ** 0.5 / x.std(ddof=1), len(x) - 1))


def holm(p: ArrayLike, level: float = 0.05) -> np.ndarray:
    """Decide which of several claims may be made together, so that any is false with probability at most ``level``.

    In order of their p-values, the first of m claims needs p of at most ``level / m``, the second
    ``level / (m - 1)``, and so on; the first that fails ends the procedure.

    Parameters
    ----------
    p
        p-values, (..., m): families of m claims.
    level
        In (0, 1).

    Returns
    -------
    Boolean array of shape (..., m)
        Which claims may be made.

    Raises
    ------
    ValueError
        If a p-value or the level is out of range.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    p = np.asarray(p, float)
    if p.ndim < 1 or not ((p >= 0) & (p <= 1)).all() or not 0 < level < 1:
        raise ValueError(f"p={p.tolist()} must be p-values in [0, 1], of shape (..., m), and level={level} in (0, 1)")
    order, m = p.argsort(axis=-1), p.shape[-1]
    passed = np.take_along_axis(p, order, -1) <= level / (m - np.arange(m))
    claimed = np.empty_like(passed)
    np.put_along_axis(claimed, order, np.logical_and.accumulate(passed, axis=-1), -1)
    return claimed
