"""Attention by hand: every token looks at every token (Vaswani et al., 2017, section 3.2).

Axes: B batch, H heads, N tokens, D head size, C = H D channels.
"""

import math
from typing import Any

import numpy as np

from minivit.options import check_at_least
from minivit.scratch.arrays import check_shape
from minivit.scratch.linear import linear, linear_backward
from minivit.scratch.params import Params, check_params
from minivit.scratch.softmax import softmax, softmax_backward


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float | None = None
              ) -> tuple[np.ndarray, np.ndarray]:
    r"""Average the values, weighted by how well each key matches the query.

    .. math:: S = Q K^\top, \qquad A = \operatorname{softmax}(\lambda S), \qquad Y = A V

    Parameters
    ----------
    q, k, v
        Queries, keys and values, shape (..., N, D).
    scale
        λ, larger than 0; :math:`1/\sqrt{D}` if None.

    Returns
    -------
    out
        Y, shape (..., N, D).
    maps
        A, shape (..., N, N): row i holds the weights of token i, which are in [0, 1] and sum to 1.

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit; or if the scale is not positive.
    """
    q, k, v, scale = _check_qkv(q, k, v, scale)
    maps = softmax(q @ k.swapaxes(-1, -2), scale)  # (..., N, N)
    return maps @ v, maps


def attention_backward(d_out: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, maps: np.ndarray,
                       scale: float | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Backpropagate through attention.

    .. math:: d_V = A^\top d_Y, \qquad d_A = d_Y V^\top, \qquad d_S = \lambda A \odot (d_A - \langle A, d_A \rangle),
       \qquad d_Q = d_S K, \qquad d_K = d_S^\top Q

    with the inner product taken row by row.

    Parameters
    ----------
    d_out
        Gradient of the output, shape (..., N, D).
    q, k, v, scale
        The inputs of :func:`attention`.
    maps
        A, which it returned, shape (..., N, N).

    Returns
    -------
    d_q, d_k, d_v
        Each of shape (..., N, D).

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit; or if the scale is not positive.
    """
    q, k, v, scale = _check_qkv(q, k, v, scale)
    maps = check_shape("maps", maps, *q.shape[:-1], q.shape[-2])
    d_out = check_shape("d_out", d_out, *q.shape)
    d_v = maps.swapaxes(-1, -2) @ d_out
    d_maps = d_out @ v.swapaxes(-1, -2)
    d_scores = softmax_backward(d_maps, maps, scale)
    return d_scores @ k, d_scores.swapaxes(-1, -2) @ q, d_v


def split_heads(x: np.ndarray, num_heads: int) -> np.ndarray:
    """Split the channels into heads: (B, N, H D) -> (B, H, N, D)."""
    x = check_shape("x", x, "B", "N", "C")
    batch, tokens, dim = x.shape
    check_at_least(1, num_heads=num_heads)
    if dim % num_heads:
        raise ValueError(f"num_heads={num_heads} does not divide the channels of x, {dim}")
    return x.reshape(batch, tokens, num_heads, dim // num_heads).swapaxes(1, 2)


def merge_heads(x: np.ndarray) -> np.ndarray:
    """Concatenate the heads, (B, H, N, D) -> (B, N, H D): the inverse and backward pass of :func:`split_heads`."""
    batch, heads, tokens, size = check_shape("x", x, "B", "H", "N", "D").shape
    return x.swapaxes(1, 2).reshape(batch, tokens, heads * size)


def self_attention(x: np.ndarray, params: Params, num_heads: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Project tokens to queries, keys and values, attend in every head, and mix the results of the heads.

    Parameters
    ----------
    x
        Tokens, shape (B, N, C).
    params
        ``qkv.weight`` (3C, C) and ``qkv.bias`` (3C,), with queries first, then keys, then values, each head by head;
        ``proj.weight`` (C, C) and ``proj.bias`` (C,).
    num_heads
        H, which divides C.

    Returns
    -------
    out
        Shape (B, N, C).
    saved
        What :func:`self_attention_backward` needs; ``saved["maps"]`` holds the maps, shape (B, H, N, N).

    Raises
    ------
    ValueError
        Naming the parameter that is missing or unknown, or the argument whose shape does not fit.
    """
    x = check_shape("x", x, "B", "N", "C")
    dim = x.shape[-1]
    params = check_params(params, {"qkv.weight": (3 * dim, dim), "qkv.bias": (3 * dim,),
                                   "proj.weight": (dim, dim), "proj.bias": (dim,)})
    qkv = linear(x, params["qkv.weight"], params["qkv.bias"])                        # (B, N, 3C)
    q, k, v = (split_heads(part, num_heads) for part in np.split(qkv, 3, axis=-1))  # each (B, H, N, D)
    heads, maps = attention(q, k, v)
    merged = merge_heads(heads)
    out = linear(merged, params["proj.weight"], params["proj.bias"])
    return out, {"x": x, "params": params, "q": q, "k": k, "v": v, "maps": maps, "merged": merged}


def self_attention_backward(d_out: np.ndarray, saved: dict[str, Any]) -> tuple[np.ndarray, Params]:
    """Backpropagate through :func:`self_attention`.

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
    params, q, k, v = (saved[name] for name in ("params", "q", "k", "v"))
    d_merged, d_proj_weight, d_proj_bias = linear_backward(d_out, saved["merged"], params["proj.weight"])
    d_qkv = attention_backward(split_heads(d_merged, q.shape[1]), q, k, v, saved["maps"])
    d_qkv = np.concatenate([merge_heads(d) for d in d_qkv], axis=-1)  # three of (B, H, N, D) -> (B, N, 3C)
    d_x, d_qkv_weight, d_qkv_bias = linear_backward(d_qkv, saved["x"], params["qkv.weight"])
    return d_x, {"qkv.weight": d_qkv_weight, "qkv.bias": d_qkv_bias,
                 "proj.weight": d_proj_weight, "proj.bias": d_proj_bias}


def _check_qkv(q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float | None
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    q = check_shape("q", q, ..., "N", "D")
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    return q, check_shape("k", k, *q.shape), check_shape("v", v, *q.shape), scale
