"""A step as one CUDA graph: recorded once, replayed in a single launch.

A step launches some 1,500 kernels, and launching them takes a processor longer than running them takes a GPU. A graph
is launched as a whole. It repeats what was recorded, with the same kernels on the same memory. So each batch is copied
into the memory of the recorded one, and whatever else changes from step to step is kept on the device too. Random
numbers are drawn anew, from the state that PyTorch's generator has at the replay.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARMUP_CALLS = 3  # in the first calls libraries choose kernels and allocate memory, which can't be recorded


class Replay:
    """A function that is recorded on one batch and replayed on others of the same shapes.

    Parameters
    ----------
    function
        It must not wait for the device or copy from the host, and must launch the same kernels each time; see
        :class:`minivit.training.step.Step`. It is called :data:`WARMUP_CALLS` times, then recorded.
    batch
        Tensors on an NVIDIA GPU.
    pool
        Memory to share with other replays, no two of which may run at once; from ``torch.cuda.graph_pool_handle()``.

    Attributes
    ----------
    result
        What the function returned while it was recorded; each replay overwrites it.
    """

    def __init__(self, function: Callable[..., Any], *batch: Tensor, pool: Any = None):
        self.batch = [tensor.clone() for tensor in batch]
        self.graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP_CALLS):
                function(*self.batch)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(self.graph, pool=pool, stream=stream):
            self.result = function(*self.batch)

    def __call__(self, *batch: Tensor) -> Any:
        for tensor, new in zip(self.batch, batch, strict=True):
            tensor.copy_(new, non_blocking=True)
        self.graph.replay()
        return self.result
