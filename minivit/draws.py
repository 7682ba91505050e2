"""Random draws for a batch, of which a process may have a part.

A draw is one for the whole batch, of which the part's rows are kept. So an image meets the same chance however many
processes share its batch, and in however many parts each takes its share. To draw for all costs a little, and needs no
word between processes.

Axes: a draw has the batch's axis first, or where ``axis`` says.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_part: tuple[int, Tensor] | None = None  # images in the whole batch, and which of them are here


@contextmanager
def part_of(batch_size: int, rows: Tensor) -> Iterator[None]:
    """Draw, inside the ``with`` block, for a batch of so many images of which these rows are here."""
    global _part
    before, _part = _part, (batch_size, rows)
    try:
        yield
    finally:
        _part = before


def rand(*shape: int, device: torch.device, axis: int = 0) -> Tensor:
    """Draw uniformly from [0, 1), of this shape."""
    return _draw(lambda whole: torch.rand(whole, device=device), shape, axis)


def randn(*shape: int, device: torch.device, axis: int = 0) -> Tensor:
    """Draw from a normal distribution of mean 0 and deviation 1, of this shape."""
    return _draw(lambda whole: torch.randn(whole, device=device), shape, axis)


def randint(low: int, high: int, *shape: int, device: torch.device, axis: int = 0) -> Tensor:
    """Draw whole numbers from [low, high), of this shape."""
    return _draw(lambda whole: torch.randint(low, high, whole, device=device), shape, axis)


def beta(alpha: float, size: int, device: torch.device) -> Tensor:
    """Draw from Beta(alpha, alpha), (size,)."""
    # What torch.distributions.Beta calls in the end; that itself doesn't compile.
    return _draw(lambda whole: torch._sample_dirichlet(torch.full((*whole, 2), float(alpha), device=device))[..., 0],
                 (size,), 0)


def _draw(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...], axis: int) -> Tensor:
    if _part is None:
        return draw(shape)
    batch_size, rows = _part
    return draw((*shape[:axis], batch_size, *shape[axis + 1:])).index_select(axis, rows)
