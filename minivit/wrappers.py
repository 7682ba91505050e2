"""Models in wrappers (compiled, averaged, on many devices) and of any precision: the one place that looks inside.

A wrapper passes a call on, but hides what the model is: its arguments are ``*args, **kwargs``, and the names of its
parts have a word before them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

INSIDE = ("_orig_mod", "module")  # where torch.compile has it; where DistributedDataParallel, AveragedModel have it


def unwrap(model: "nn.Module") -> "nn.Module":
    """Return the model inside its wrappers, however many; one without a wrapper as it is.

    A wrapper is a module with nothing in it but a module called ``_orig_mod`` or ``module``.
    """
    while len(parts := getattr(model, "_modules", {})) == 1 and (name := next(iter(parts))) in INSIDE:
        model = parts[name]
    return model


def as_input(images: "Tensor", model: "nn.Module") -> "Tensor":
    """Return the images on the device, and in the floating type, of the model's first weights.

    So a model in float16 or bfloat16 can be given what was normalised in float32.
    """
    first = first_weights(model)
    return images if first is None else images.to(device=first.device, dtype=first.dtype)


def first_weights(model: "nn.Module") -> "Tensor | None":
    """Return the first floating parameter, else buffer, of a model; None if it has neither."""
    kept: list[Any] = [*model.parameters(), *model.buffers()]
    return next((tensor for tensor in kept if tensor.is_floating_point()), None)
