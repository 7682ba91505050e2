"""Activation checkpointing (Chen et al., 2016): of each block keep what goes in, and compute its inside again.

The backward pass needs what a block computed on the way. Instead of keeping that for all blocks until then, each is run
a second time when its turn comes. A step then takes four passes of multiply-adds rather than three, and memory for the
inside of one block rather than of all. Random draws are made again from the same state of the generator, so that
gradients are the same: to the last bit, or where the blocks are compiled, but for the order of sums.
"""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from minivit.training.compilation import repeated_parts


def recompute_blocks(model: nn.Module) -> None:
    """Let a model's blocks, or the whole model if it has none, compute their inside again in the backward pass."""
    for part in list(repeated_parts(model)) or [model]:
        part.forward = recomputed(part.forward)


def recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:  # the compiler knows checkpoint, but not a partial of it
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return call
