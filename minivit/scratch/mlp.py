"""The channel half of a block: two linear layers around a GELU, and context after them.

Axes: B batch, N tokens, C channels, M hidden channels.
"""

from typing import Any

import numpy as np

from minivit.options import check_choice
from minivit.scratch.arrays import check_shape
from minivit.scratch.context import (
    context_broadcast,
    context_broadcast_backward,
    scaled_context_broadcast,
    scaled_context_broadcast_backward,
)
from minivit.scratch.gelu import gelu, gelu_backward
from minivit.scratch.linear import linear, linear_backward
from minivit.scratch.params import Params, check_params

CONTEXTS = ("none", "cb", "cb_s")


def mlp(x: np.ndarray, params: Params, context: str = "none") -> tuple[np.ndarray, dict[str, Any]]:
    """Widen each token, apply a nonlinearity, narrow it again; then optionally give every token some of the mean.

    Parameters
    ----------
    x
        Tokens, shape (B, N, C).
    params
        ``fc1.weight`` (M, C), ``fc1.bias`` (M,), ``fc2.weight`` (C, M), ``fc2.bias`` (C,), and with ``cb_s``
        ``end.scale`` (C,).
    context
        ``none``, ``cb`` or ``cb_s``.

    Returns
    -------
    out
        Shape (B, N, C).
    saved
        What :func:`mlp_backward` needs.

    Raises
    ------
    ValueError
        Naming the parameter that is missing or unknown, or the argument that does not fit.
    """
    x = check_shape("x", x, "B", "N", "C")
    check_choice(CONTEXTS, context=context)
    dim, hidden_dim = x.shape[-1], len(params["fc1.bias"]) if "fc1.bias" in params else 0
    shapes = {"fc1.weight": (hidden_dim, dim), "fc1.bias": (hidden_dim,),
              "fc2.weight": (dim, hidden_dim), "fc2.bias": (dim,)}
    params = check_params(params, shapes | ({"end.scale": (dim,)} if context == "cb_s" else {}))
    hidden = linear(x, params["fc1.weight"], params["fc1.bias"])  # (B, N, M)
    bent = gelu(hidden)
    out = narrow = linear(bent, params["fc2.weight"], params["fc2.bias"])
    if context == "cb":
        out = context_broadcast(narrow)
    elif context == "cb_s":
        out = scaled_context_broadcast(narrow, params["end.scale"])
    return out, {"x": x, "params": params, "context": context, "hidden": hidden, "bent": bent, "narrow": narrow}


def mlp_backward(d_out: np.ndarray, saved: dict[str, Any]) -> tuple[np.ndarray, Params]:
    """Backpropagate through :func:`mlp`.

    Parameters
    ----------
    d_out
        Gradient of the output, shape (B, N, C).
    saved
        What the forward function saved.

    Returns
    -------
    d_x
        Shape (B, N, C).
    d_params
        Gradients by parameter name.

    Raises
    ------
    ValueError
        If ``d_out`` does not have the shape of the output.
    """
    params, d_params = saved["params"], {}
    if saved["context"] == "cb":
        d_out = context_broadcast_backward(d_out)
    elif saved["context"] == "cb_s":
        d_out, d_params["end.scale"] = scaled_context_broadcast_backward(d_out, saved["narrow"], params["end.scale"])
    d_bent, d_params["fc2.weight"], d_params["fc2.bias"] = linear_backward(d_out, saved["bent"], params["fc2.weight"])
    d_hidden = gelu_backward(d_bent, saved["hidden"])
    d_x, d_params["fc1.weight"], d_params["fc1.bias"] = linear_backward(d_hidden, saved["x"], params["fc1.weight"])
    return d_x, d_params
