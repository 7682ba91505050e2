"""torch.compile, where the machine has what it takes."""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from minivit.training.step import Step

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)
OPTIONS = {"fallback_random": True}  # random numbers stay those of what isn't compiled
VARIANTS = 64  # of one block's code in one process: numbers of patches, context, training or not, ...


def repeated_parts(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the parts that a model has most often, in whole: the blocks of a transformer.

    Compiled one by one they share their code, which is made once and not once a layer.
    """
    parts = [module for module in model.modules() if not isinstance(module, CONTAINERS) and any(module.children())]
    counts = Counter(map(type, parts))
    often = {kind for kind, count in counts.items() if 1 < count == max(counts.values())}

    def outermost(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            yield from [child] if type(child) in often else outermost(child)

    return outermost(model)


def compile_parts(model: nn.Module) -> None:
    """Compile a model's blocks, where it has some."""
    for part in list(repeated_parts(model)) or [model]:
        part.compile(dynamic=False, options=OPTIONS)


def compile_step(step: Step) -> None:
    """Compile what a step spends its time in: the model's blocks, and the augmentation."""
    compile_parts(step.model)
    step.augment = torch.compile(step.augment.__call__, dynamic=False, options=OPTIONS)


@contextmanager
def compiling(mode: str) -> Iterator[None]:
    """Say in one line what a machine lacks to compile: mostly a C++ compiler, or a place for what it writes.

    Raises
    ------
    ValueError
        Naming the option ``compile`` and the reason.
    """
    if mode == "none":
        yield
        return
    from torch._dynamo import config  # heavy, and rarely needed
    from torch._dynamo.exc import ShortenTraceback  # what all failures of a back end are

    try:
        with config.patch(recompile_limit=VARIANTS, accumulated_recompile_limit=8 * VARIANTS), \
             warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a compiler warns of what it looks at, not of what we do
            yield
    except (ShortenTraceback, OSError) as error:
        cause = getattr(error, "inner_exception", error)
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise ValueError(f"compile={mode!r} is not available here: {reason}; try compile=none") from error
