"""Compile a model and its training step with torch.compile."""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from minivit.training.step import Step

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)
OPTIONS = {
    "fallback_random": True,               # draw the same random numbers as without compilation
    "triton.mix_order_reduction": False,   # the sums left over by one kernel for all of LayerNorm's gradients are slow
}
VARIANTS = 64  # most versions of a block's code per process: by number of patches, context, training or not, ...


def repeated_parts(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules whose type occurs most often in a model: the blocks of a transformer.

    If each is compiled by itself, they share their code, which is then generated once rather than once per layer.
    """
    parts = [module for module in model.modules() if not isinstance(module, CONTAINERS) and any(module.children())]
    counts = Counter(map(type, parts))
    often = {kind for kind, count in counts.items() if 1 < count == max(counts.values())}

    def outermost(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            yield from [child] if type(child) in often else outermost(child)

    return outermost(model)


def compile_parts(model: nn.Module) -> None:
    """Compile a model's blocks, or the whole model if it has none."""
    for part in list(repeated_parts(model)) or [model]:
        part.compile(dynamic=False, options=OPTIONS)


def compile_step(step: Step) -> None:
    """Compile what takes most of a step's time: the model's blocks and the augmentation."""
    compile_parts(step.model)
    step.augment = torch.compile(step.augment.__call__, dynamic=False, options=OPTIONS)


@contextmanager
def compiling(mode: str) -> Iterator[None]:
    """Report in one line what the machine lacks to compile: usually a C++ compiler, or a folder it can write to.

    Raises
    ------
    ValueError
        Naming the option ``compile`` and the reason.
    """
    if mode == "none":
        yield
        return
    from torch._dynamo import config  # heavy, and rarely needed
    from torch._dynamo.exc import ShortenTraceback  # base class of all errors of a back end

    try:
        with config.patch(recompile_limit=VARIANTS, accumulated_recompile_limit=8 * VARIANTS), \
             warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's warnings are about code that it inspects, not about ours
            yield
    except (ShortenTraceback, OSError) as error:
        cause = getattr(error, "inner_exception", error)
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise ValueError(f"compile={mode!r} is not available here: {reason}; try compile=none") from error
