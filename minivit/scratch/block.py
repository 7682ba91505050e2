"""A transformer block: mix the tokens, then the channels, each as a correction to the input.

Axes: B batch, N tokens, C channels.
"""

from typing import Any

import numpy as np

from minivit.scratch.arrays import check_shape
from minivit.scratch.attention import self_attention, self_attention_backward
from minivit.scratch.mlp import mlp, mlp_backward
from minivit.scratch.norm import layer_norm, layer_norm_backward
from minivit.scratch.params import Params, check_params, part, prefixed


def block(x: np.ndarray, params: Params, num_heads: int, context: str = "none") -> tuple[np.ndarray, dict[str, Any]]:
    r"""Attention, then an MLP, each applied to normalised tokens (pre-norm) and added to its input.

    .. math:: x \leftarrow x + \operatorname{MSA}(\operatorname{LN}(x)), \qquad
              x \leftarrow x + \operatorname{MLP}(\operatorname{LN}(x))

    Parameters
    ----------
    x
        Tokens, shape (B, N, C).
    params
        ``norm1.*``, ``attn.*``, ``norm2.*`` and ``mlp.*``: the parameters of :func:`~minivit.scratch.layer_norm`,
        :func:`~minivit.scratch.self_attention` and :func:`~minivit.scratch.mlp`.
    num_heads
        H, which divides C.
    context
        ``none``, ``cb`` or ``cb_s``, at the end of the MLP.

    Returns
    -------
    out
        Shape (B, N, C).
    saved
        What :func:`block_backward` needs; ``saved["attn"]["maps"]`` holds the maps, shape (B, H, N, N).

    Raises
    ------
    ValueError
        Naming the parameter that is missing or unknown, or the argument whose shape does not fit.
    """
    x = check_shape("x", x, "B", "N", "C")
    norm1, norm2 = (check_params(part(params, name), {"weight": x.shape[-1:], "bias": x.shape[-1:]}, name)
                    for name in ("norm1", "norm2"))
    mixed, attn = self_attention(layer_norm(x, **norm1), part(params, "attn"), num_heads)
    middle = x + mixed
    processed, saved_mlp = mlp(layer_norm(middle, **norm2), part(params, "mlp"), context)
    out = middle + processed
    return out, {"x": x, "norm1": norm1, "attn": attn, "middle": middle, "norm2": norm2, "mlp": saved_mlp}


def block_backward(d_out: np.ndarray, saved: dict[str, Any]) -> tuple[np.ndarray, Params]:
    """Backpropagate through :func:`block`: at each sum the gradient takes both paths, the skip and the branch.

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
    d_out = check_shape("d_out", d_out, *saved["x"].shape)
    d_normal, d_mlp = mlp_backward(d_out, saved["mlp"])
    d_branch, d_weight2, d_bias2 = layer_norm_backward(d_normal, saved["middle"], saved["norm2"]["weight"])
    d_middle = d_out + d_branch
    d_normal, d_attn = self_attention_backward(d_middle, saved["attn"])
    d_branch, d_weight1, d_bias1 = layer_norm_backward(d_normal, saved["x"], saved["norm1"]["weight"])
    return d_middle + d_branch, {
        "norm1.weight": d_weight1, "norm1.bias": d_bias1, **prefixed(d_attn, "attn"),
        "norm2.weight": d_weight2, "norm2.bias": d_bias2, **prefixed(d_mlp, "mlp"),
    }
