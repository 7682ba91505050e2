"""Random draws for a batch that may be shared among processes or split into parts.

Numbers are drawn for the whole batch, and those for the part at hand are kept. So an image gets the same numbers
however many processes share its batch, and however many parts each splits its share into. Drawing for all images costs
little and needs no communication.

Axes: the batch's axis comes first, or where ``axis`` says.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_part: tuple[int, Tensor] | None = None  # size of the whole batch, and the rows that are in the part


@contextmanager
def part_of(batch_size: int, rows: Tensor) -> Iterator[None]:
    """Inside the ``with`` block, draw for a batch of this size and keep the numbers for these rows."""
    global _part
    before, _part = _part, (batch_size, rows)
    try:
        yield
    finally:
        _part = before


def rand(*shape: int, device: torch.device, axis: int = 0) -> Tensor:
    """Draw a tensor of this shape from the uniform distribution on [0, 1)."""
    return _draw(lambda whole: torch.rand(whole, device=device), shape, axis)


def randn(*shape: int, device: torch.device, axis: int = 0) -> Tensor:
    """Draw a tensor of this shape from the standard normal distribution."""
    return _draw(lambda whole: torch.randn(whole, device=device), shape, axis)


def randint(low: int, high: int, *shape: int, device: torch.device, axis: int = 0) -> Tensor:
    """Draw a tensor of this shape of whole numbers in [low, high)."""
    return _draw(lambda whole: torch.randint(low, high, whole, device=device), shape, axis)


def beta(alpha: float, size: int, device: torch.device) -> Tensor:
    """Draw a tensor of shape (size,) from Beta(alpha, alpha)."""
    # torch.distributions.Beta doesn't compile; this is the function that it calls.
    return _draw(lambda whole: torch._sample_dirichlet(torch.full((*whole, 2), float(alpha), device=device))[..., 0],
                 (size,), 0)


def _draw(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...], axis: int) -> Tensor:
    if _part is None:
        return draw(shape)
    batch_size, rows = _part
    return draw((*shape[:axis], batch_size, *shape[axis + 1:])).index_select(axis, rows)
