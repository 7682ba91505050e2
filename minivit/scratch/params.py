"""Parameters by name: a dictionary of arrays with the same keys as the model in PyTorch.

``blocks.0.attn.qkv.weight`` is the weight of the linear layer that computes queries, keys and values in the first
block. An operation with parameters sees only its own part of the dictionary, here ``qkv.weight``, and returns gradients
under the same keys.
"""

from collections.abc import Mapping

import numpy as np

from minivit.options import first_few
from minivit.scratch.arrays import check_shape

Params = dict[str, np.ndarray]


def part(params: Mapping[str, np.ndarray], prefix: str) -> Params:
    """Return the parameters whose names begin with ``prefix.``, with the prefix removed."""
    return {name.removeprefix(f"{prefix}."): value for name, value in params.items() if name.startswith(f"{prefix}.")}


def prefixed(params: Mapping[str, np.ndarray], prefix: str) -> Params:
    """Return the parameters with ``prefix.`` before every name: the inverse of :func:`part`."""
    return {f"{prefix}.{name}": value for name, value in params.items()}


def check_params(params: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]],
                 what: str = "params") -> Params:
    """Return the parameters as arrays of real numbers, after checking their names and shapes.

    Parameters
    ----------
    params
        Arrays by name.
    wanted
        Shapes by name.
    what
        Name of the dictionary, for the error.

    Raises
    ------
    ValueError
        Naming the parameters that are missing or unknown, or the one whose shape is wrong, with both shapes.
    """
    missing, unknown = sorted(wanted.keys() - params.keys()), sorted(params.keys() - wanted.keys())
    if missing or unknown:
        problems = {"lacks the keys": missing, "has the unknown keys": unknown}
        raise ValueError(f"{what} " + " and ".join(f"{problem} {first_few(names, 5)}"
                                                   for problem, names in problems.items() if names))
    return {name: check_shape(f"{what}[{name!r}]", params[name], *shape) for name, shape in wanted.items()}
