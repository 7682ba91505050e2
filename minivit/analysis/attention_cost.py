"""What the maps of a layer cost, computed or derived from those below, in multiply-adds and in time.

Symbols: N tokens (queries), M keys, C channels, H heads, r rank.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from minivit.options import check_at_least, check_choice, check_positive

ATTENTION_KINDS = ("va", "la", "la_factors")


def attention_macs(kind: str, num_tokens: int, dim: int, num_heads: int, *, num_keys: int | None = None,
                   rank: int | None = None) -> int:
    r"""Count the multiply-adds that the scores of one layer take for one image.

    ============== ============================== ==========================================
    ``va``         queries, keys, their product   :math:`N C^2 + M C^2 + N M C`
    ``la``         Θ and Ψ on the scores          :math:`H (N M^2 + N^2 M)`
    ``la_factors`` Θ and Ψ on keys and queries,   :math:`(N^2 + M^2) C + N M C`
                   their product
    ============== ============================== ==========================================

    With rank r, a map from n tokens to n costs :math:`2nr` per column instead of :math:`n^2`, so ``la`` takes
    :math:`4 H N M r` and ``la_factors`` takes :math:`2 (N + M) r C + N M C`. Vanilla attention (``va``) with M < N is
    spatial-reduction attention. The rest of a layer costs the same for all kinds: the values, merging tokens into keys,
    the weighted mean of the values (N M C), and the projection.

    Parameters
    ----------
    kind
        ``va``, ``la`` or ``la_factors``.
    num_tokens, dim, num_heads
        N, C and H.
    num_keys
        M; N if None.
    rank
        r, for ``la`` and ``la_factors``; None for full rank.

    Returns
    -------
    int
        Multiply-adds.

    Raises
    ------
    ValueError
        If the kind is unknown, or a number is below 1.
    """
    check_choice(ATTENTION_KINDS, kind=kind)
    n, m = num_tokens, num_tokens if num_keys is None else num_keys
    check_at_least(1, num_tokens=n, dim=dim, num_heads=num_heads, num_keys=m, rank=1 if rank is None else rank)
    if kind == "va":
        return (n + m) * dim**2 + n * m * dim
    theta, psi = (m**2, n**2) if rank is None else (2 * m * rank, 2 * n * rank)  # for one column
    if kind == "la":
        return num_heads * (n * theta + m * psi)
    return (theta + psi) * dim + n * m * dim


def break_even_tokens(dim: int, num_heads: int, *, kind: str = "la", rank: int | None = None) -> float:
    r"""Return the number of tokens at which less attention costs as many multiply-adds as attention, with M = N.

    With fewer tokens less attention is cheaper, with more it is more expensive. From :func:`attention_macs`:

    - ``la``: :math:`2 H N^2 = 2 C^2 + N C`, so :math:`N = \big(C + \sqrt{C^2 + 16 H C^2}\big) / 4H`
    - ``la`` of rank r: :math:`4 H N r = 2 C^2 + N C`, so :math:`N = 2 C^2 / (4 H r - C)`; always cheaper if
      :math:`r \le C / 4H`, a quarter of a head
    - ``la_factors``: :math:`2 N^2 C = 2 N C^2`, so :math:`N = C`
    - ``la_factors`` of rank r: :math:`4 N r C = 2 N C^2`: always cheaper if :math:`r < C / 2`, otherwise never

    Parameters
    ----------
    dim, num_heads
        C and H.
    kind
        ``la`` or ``la_factors``.
    rank
        r; None for full rank.

    Returns
    -------
    float
        Number of tokens: infinity if less attention is always cheaper, 0 if it never is. A layer of rank r must have
        more than r tokens, which the formulas ignore.

    Raises
    ------
    ValueError
        If the kind is unknown, or a number is below 1.
    """
    check_choice(ATTENTION_KINDS[1:], kind=kind)
    attention_macs(kind, 1, dim, num_heads, rank=rank)  # checks the numbers
    if kind == "la_factors":
        if rank is None:
            return float(dim)
        return float("inf") if 2 * rank < dim else 0.0
    if rank is None:
        return (dim + (dim**2 + 16 * num_heads * dim**2) ** 0.5) / (4 * num_heads)
    over = 4 * num_heads * rank - dim
    return 2 * dim**2 / over if over > 0 else float("inf")


@dataclass(frozen=True)
class Latency:
    """How long a call takes.

    Attributes
    ----------
    median_s, low_s, high_s
        Median and quartiles, in seconds.
    calls
        Number of calls, not counting the warm-up.
    """

    median_s: float
    low_s: float
    high_s: float
    calls: int


def latency(make_step: Callable[[Any], Callable[[], Any]], sizes: Iterable[Any], *, min_time_s: float = 0.2
            ) -> list[Latency]:
    """Measure how the time of a step grows with its size, on whatever device it runs.

    Calls are timed in blocks that take a tenth of the time each, so that the noise of the clock doesn't matter; a
    longer call is its own block. The clock is read only after the device has finished its work. PyTorch's own timer
    repeats short calls thousands of times, and importing it prints a warning if there is no CUDA toolkit.

    Parameters
    ----------
    make_step
        Takes a size and returns the step, a function without arguments.
    sizes
        For instance numbers of tokens, or (height, width) of images: whatever ``make_step`` takes.
    min_time_s
        Minimum time to spend on each size, in seconds.

    Returns
    -------
    list of Latency
        One per size.

    Raises
    ------
    ValueError
        If the time is not positive.
    """
    import torch

    def seconds(step: Callable[[], Any], calls: int) -> float:
        start = perf_counter()
        for _ in range(calls):
            step()
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        return (perf_counter() - start) / calls

    check_positive(min_time_s=min_time_s)
    found: list[Latency] = []
    for size in sizes:
        step = make_step(size)
        seconds(step, 1)  # warm-up
        once = seconds(step, 1)
        calls = max(1, round(min_time_s / 10 / once))
        blocks = [once] if calls == 1 else []
        while calls * sum(blocks) < min_time_s:
            blocks.append(seconds(step, calls))
        low, middle, high = torch.tensor(blocks, dtype=torch.float64).quantile(
            torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
        found.append(Latency(middle, low, high, calls * len(blocks)))
    return found
