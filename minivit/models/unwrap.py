"""Read state dicts from other people's files: strip what training tools wrap around the weights."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

# Used by DeiT and many others; by timm and Lightning; in PyTorch's tutorials.
KEYS = ("model", "state_dict", "model_state_dict")
# These are weights as well, but averaged ones: the user must say which set is wanted.
AVERAGES = ("model_ema", "state_dict_ema", "average", "ema")
# From DistributedDataParallel and AveragedModel; from torch.compile, which may also occur inside a name.
PREFIXES = re.compile(r"^(module\.|_orig_mod\.)+|(?<=\.)_orig_mod\.")


def unwrap_weights(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Strip what training tools wrap around a state dict.

    This removes an outer dictionary with the key ``model``, ``state_dict`` or ``model_state_dict``; the prefixes
    ``module.`` and ``_orig_mod.`` of parallel, averaged and compiled models; and the counter of an averaged model.

    Parameters
    ----------
    weights
        State dict, or the content of a file of weights. Arrays become tensors.

    Returns
    -------
    dict
        Tensors by their names in the model itself.

    Raises
    ------
    ValueError
        If there are no weights, or two sets of them.

    Examples
    --------
    >>> list(unwrap_weights({"model": {"module.head.bias": torch.zeros(3)}, "epoch": 5}))
    ['head.bias']
    """
    is_mapping = isinstance(weights, Mapping)
    inner = [key for key in (*KEYS, *AVERAGES) if is_mapping and isinstance(weights.get(key), Mapping)]
    if len(inner) == 1 and inner[0] in KEYS:
        return unwrap_weights(weights[inner[0]])
    if inner:
        raise ValueError(f"there are weights under {' and '.join(map(repr, inner))}: pass the ones that you want")
    if not is_mapping or not weights or not all(map(_is_array, weights.values())):
        found = f"{', '.join(map(repr, list(weights)[:3])) or 'empty'} ..." if is_mapping else type(weights).__name__
        parts = [repr(key) for key, value in weights.items() if isinstance(value, Mapping)] if is_mapping else []
        hint = f"; if they are under {' or '.join(parts)}, pass what is there" if parts else ""
        raise ValueError(f"no weights: a state dict is a dictionary of tensors by name, but this is {found}{hint}")
    if any(name.startswith("module.") for name in weights):
        weights = {name: value for name, value in weights.items() if name != "n_averaged"}  # of AveragedModel
    names = {name: PREFIXES.sub("", name) for name in weights}
    if len(set(names.values())) < len(names):
        raise ValueError(f"names such as {next(name for name in names if names[name] != name)!r} occur with and "
                         "without their prefix: pass the ones that you want")
    return {names[name]: torch.as_tensor(value) for name, value in weights.items()}


def load_weights(model: nn.Module, weights: Mapping[str, Any]) -> nn.Module:
    """Load weights into a model. Errors take one line, where ``load_state_dict`` would list everything.

    Raises
    ------
    ValueError
        Naming the first weights that are missing, unknown, of the wrong shape, or whole numbers in place of others, as
        in a quantised model.
    """
    wanted = model.state_dict()
    if different := name_differences(weights, wanted):
        raise ValueError(different)
    for name, weight in weights.items():
        own = wanted[name]
        if weight.shape != own.shape:
            hint = ": give image_size, or see interpolate_weights" if name == "pos_embed" else ""
            raise ValueError(f"{name} has shape {tuple(weight.shape)}, the model's has {tuple(own.shape)}{hint}")
        if weight.is_floating_point() != own.is_floating_point():
            raise ValueError(f"{name} has dtype {weight.dtype}, the model's has {own.dtype}; quantised weights must be "
                             "converted back first")
    model.load_state_dict(weights)
    return model


def name_differences(weights: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say which names only one side has, and how to fix it if the weights are merely wrapped; "" if all match."""
    sides = {"the weights have": [name for name in weights if name not in wanted],
             "the model has": [name for name in wanted if name not in weights]}
    told = ", ".join(f"{side} {', '.join(map(repr, names[:2]))}{' ...' if len(names) > 2 else ''}"
                     for side, names in sides.items() if names)
    with suppress(ValueError):
        if told and unwrap_weights(weights).keys() == wanted.keys():
            told += "; unwrap them with minivit.models.unwrap_weights"
    return told


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")
