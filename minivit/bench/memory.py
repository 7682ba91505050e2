"""Peak memory: the most bytes that a step's tensors take at once, beyond those that existed before it."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minivit.data.augment import on_device


def peak_bytes(step: Callable[[], Any], device: torch.device) -> int:
    """Run ``step`` once and return the peak of the memory that it allocates, in bytes.

    On CUDA the allocator reports it. Elsewhere tensors are counted as they are created and freed, which misses what
    kernels and compiled functions allocate internally.
    """
    if device.type != "cuda":
        with TensorBytes() as tensors:
            step()
        return tensors.peak
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    return torch.cuda.max_memory_allocated(device) - before


class TensorBytes(TorchDispatchMode):
    """Count the bytes of all storages created inside the ``with`` block, until they are freed.

    Attributes
    ----------
    now, peak
        Bytes in use now, and the most so far.
    """

    def __init__(self):
        super().__init__()
        self.known = weakref.WeakSet()
        self.now = self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.known.update(storages((args, kwargs)))  # these existed before the block
        result = function(*args, **(kwargs or {}))
        for storage in storages(result):
            if storage not in self.known:
                self.known.add(storage)
                self.add(storage.nbytes())
                weakref.finalize(storage, self.add, -storage.nbytes())
        return result

    def add(self, n: int) -> None:
        self.now += n
        self.peak = max(self.peak, self.now)


@contextmanager
def without_numbers() -> Iterator[None]:
    """Let tensors that are made inside the ``with`` block have a shape, a type and a size, but no numbers.

    Nothing is computed, so that a step of any size takes a few seconds, and the same kernels are chosen as on a CPU.
    """
    on_device.cache_clear()  # what it keeps has numbers, or has none
    try:
        with torch.random.fork_rng([]), FakeTensorMode(), _Zeros():
            yield
    finally:
        on_device.cache_clear()


class _Zeros(TorchDispatchMode):
    """Answers 0 to whoever asks for a number: drawing weights, whether any is out of bounds."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        asked = function is torch.ops.aten._local_scalar_dense.default
        return 0 if asked else function(*args, **(kwargs or {}))


def storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
