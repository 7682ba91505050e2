"""Weights as they are in the files of others: what training tools wrap around them, and how it comes off."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

# Of DeiT and many others; timm and Lightning; the tutorials of PyTorch.
KEYS = ("model", "state_dict", "model_state_dict")
# Weights too, but others: which of the two are wanted is for the user to say.
AVERAGES = ("model_ema", "state_dict_ema", "average", "ema")
# DistributedDataParallel and AveragedModel; torch.compile, which may also stand in the middle of a name.
PREFIXES = re.compile(r"^(module\.|_orig_mod\.)+|(?<=\.)_orig_mod\.")


def unwrap_weights(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Take off what training tools wrap around a state dict.

    That is a dictionary around it, under ``model``, ``state_dict`` or ``model_state_dict``; and ``module.`` and
    ``_orig_mod.`` in the names, of parallel, averaged and compiled models, with the count of an average.

    Parameters
    ----------
    weights
        State dict, or what a file of weights holds. Arrays become tensors.

    Returns
    -------
    dict
        Tensors by the names of the model itself.

    Raises
    ------
    ValueError
        If there are no weights, or there are two sets of them.

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
        found = f"{', '.join(map(repr, list(weights)[:3]))} ..." if is_mapping else type(weights).__name__
        raise ValueError(f"no weights: a state dict is a dictionary of tensors by name, this is {found}")
    if any(name.startswith("module.") for name in weights):
        weights = {name: value for name, value in weights.items() if name != "n_averaged"}  # of AveragedModel
    names = {name: PREFIXES.sub("", name) for name in weights}
    if len(set(names.values())) < len(names):
        raise ValueError(f"names such as {next(name for name in names if names[name] != name)!r} stand there with and "
                         "without their prefix: pass the ones that you want")
    return {names[name]: torch.as_tensor(value) for name, value in weights.items()}


def load_weights(model: nn.Module, weights: Mapping[str, Any]) -> nn.Module:
    """Give a model its weights; what does not fit is told in one line, where ``load_state_dict`` would list it all.

    Raises
    ------
    ValueError
        Naming the first weights that are missing, unknown or of another shape.
    """
    wanted = model.state_dict()
    if different := name_differences(weights, wanted):
        raise ValueError(different)
    for name, weight in weights.items():
        if weight.shape != wanted[name].shape:
            raise ValueError(f"{name} has shape {tuple(weight.shape)}, the model's has {tuple(wanted[name].shape)}")
    model.load_state_dict(weights)
    return model


def name_differences(weights: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say which names only one side has; and the way out, if it's only that something is wrapped around the weights."""
    sides = {"the weights have": [name for name in weights if name not in wanted],
             "the model has": [name for name in wanted if name not in weights]}
    told = ", ".join(f"{side} {', '.join(map(repr, names[:2]))}{' ...' if len(names) > 2 else ''}"
                     for side, names in sides.items() if names)
    with suppress(ValueError):
        if told and unwrap_weights(weights).keys() == wanted.keys():
            told += "; take off what is wrapped around them with minivit.models.unwrap_weights"
    return told


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")
