"""Peak memory: the most bytes that a step's tensors take at once, beyond those that existed before it."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


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


def storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
