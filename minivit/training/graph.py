"""A step as one CUDA graph: recorded once, replayed in a single launch.

A step is some 1,500 kernels, and a processor takes longer to launch them than a GPU to run them. A graph is launched as
a whole. It does again what was recorded, with the same kernels on the same memory: so a batch is copied to where the
recorded one lay, and what else changes from step to step lies on the device too. Random numbers are drawn anew, from
the state in which PyTorch's generator is at the replay.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARMUP_CALLS = 3  # libraries choose kernels and take their memory in the first ones, which can't be recorded


class Replay:
    """A function of a batch, recorded on it, that is replayed on others of the same shapes.

    Parameters
    ----------
    function
        It waits for nothing, copies nothing from the host, and launches the same kernels each time; see
        :class:`minivit.training.step.Step`. It is called :data:`WARMUP_CALLS` times, then recorded.
    batch
        Tensors on an NVIDIA GPU.
    pool
        Memory to share with other replays of which no two run at once, from ``torch.cuda.graph_pool_handle()``.

    Attributes
    ----------
    result
        What the function returned while it was recorded: each replay writes it anew.
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
