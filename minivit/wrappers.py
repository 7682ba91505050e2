"""Look inside wrapped models (compiled, averaged, on many devices) and models of any precision: the one place for it.

A wrapper passes calls on but hides the model: its arguments become ``*args, **kwargs``, and the names of its parts get
a prefix.
"""

from typing import Any

import torch
from torch import Tensor, nn

INSIDE = ("_orig_mod", "module")  # torch.compile's name for the model; DistributedDataParallel's and AveragedModel's


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside any number of wrappers; a model without one is returned unchanged.

    A wrapper is a module whose only child is called ``_orig_mod`` or ``module``.
    """
    while len(parts := getattr(model, "_modules", {})) == 1 and (name := next(iter(parts))) in INSIDE:
        model = parts[name]
    return model


def as_input(images: Tensor, model: nn.Module) -> Tensor:
    """Return the images on the device and in the floating-point type of the model's first weights.

    This lets a model in float16 or bfloat16 take images that were normalised in float32.
    """
    first = first_weights(model)
    return images if first is None else images.to(device=first.device, dtype=first.dtype)


def at_least_float32(x: Tensor) -> Tensor:
    """Return the tensor in float32 or wider: sums and quantiles need more than the three digits of half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def check_tensor(**values: Any) -> None:
    """Check that each argument is a tensor.

    Raises
    ------
    ValueError
        Naming the first that is not.
    """
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} is a {type(value).__name__}: it must be a tensor, as torch.tensor makes of an "
                             "array")


def first_weights(model: nn.Module) -> Tensor | None:
    """Return a model's first floating-point parameter, or else buffer; None if it has neither."""
    kept: list[Any] = [*model.parameters(), *model.buffers()]
    return next((tensor for tensor in kept if tensor.is_floating_point()), None)
