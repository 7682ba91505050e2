"""Attention of short sequences in one kernel, written in Triton for NVIDIA GPUs.

A kernel for sequences of any length goes through the keys piece by piece and accumulates the result. But the 65 tokens
of a small image fit into one multiprocessor at once. So here each program handles one whole head of one image: it reads
queries, keys and values where the projection left them, and writes the gradients in the same layout. Nothing is
transposed, concatenated or summed across programs, and the results are bitwise reproducible.

Axes: B batch, N tokens, H heads, D head size, P = N rounded up to a power of two.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST_TOKENS = 128
HEAD_SIZES = (16, 32, 64)


@triton.jit
def _read(base, row, token, n, stride, head_size: tl.constexpr):
    d = tl.arange(0, head_size)
    return tl.load(base + row + token[:, None] * stride + d[None, :], mask=token[:, None] < n, other=0.0)


@triton.jit
def _map(q, k, token, n, scale):
    scores = tl.dot(q, tl.trans(k)) * scale
    scores = tl.where(token[None, :] < n, scores, -float("inf"))
    weights = tl.exp(scores - tl.max(scores, axis=1)[:, None])
    return weights / tl.sum(weights, axis=1)[:, None]


@triton.jit
def _forward(qkv, out, n, num_heads, scale, head_size: tl.constexpr, padded: tl.constexpr, rows: tl.constexpr):
    image, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    width, token, d = num_heads * head_size, tl.arange(0, padded), tl.arange(0, head_size)
    start = image * n * 3 * width + head * head_size
    k = _read(qkv, start + width, token, n, 3 * width, head_size)
    v = _read(qkv, start + 2 * width, token, n, 3 * width, head_size)
    for first in range(0, n, rows):
        query = first + tl.arange(0, rows)
        q = _read(qkv, start, query, n, 3 * width, head_size)
        mixed = tl.dot(_map(q, k, token, n, scale).to(v.dtype), v)
        place = image * n * width + head * head_size + query[:, None] * width + d[None, :]
        tl.store(out + place, mixed.to(v.dtype), mask=query[:, None] < n)


@triton.jit
def _backward(qkv, d_out, d_qkv, n, num_heads, scale, head_size: tl.constexpr, padded: tl.constexpr,
              rows: tl.constexpr):
    image, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    width, token, d = num_heads * head_size, tl.arange(0, padded), tl.arange(0, head_size)
    start = image * n * 3 * width + head * head_size
    k = _read(qkv, start + width, token, n, 3 * width, head_size)
    v = _read(qkv, start + 2 * width, token, n, 3 * width, head_size)
    d_k, d_v = tl.zeros((padded, head_size), tl.float32), tl.zeros((padded, head_size), tl.float32)
    for first in range(0, n, rows):
        query = first + tl.arange(0, rows)
        q = _read(qkv, start, query, n, 3 * width, head_size)
        d_mixed = _read(d_out, image * n * width + head * head_size, query, n, width, head_size)
        weights = _map(q, k, token, n, scale)
        d_v += tl.dot(tl.trans(weights.to(q.dtype)), d_mixed)
        d_weights = tl.dot(d_mixed, tl.trans(v))
        along = tl.sum(weights * d_weights, axis=1)
        d_scores = (weights * (d_weights - along[:, None]) * scale).to(q.dtype)
        d_k += tl.dot(tl.trans(d_scores), q)
        place = start + query[:, None] * (3 * width) + d[None, :]
        tl.store(d_qkv + place, tl.dot(d_scores, k).to(q.dtype), mask=query[:, None] < n)
    place = start + token[:, None] * (3 * width) + d[None, :]
    tl.store(d_qkv + place + width, d_k.to(k.dtype), mask=token[:, None] < n)
    tl.store(d_qkv + place + 2 * width, d_v.to(k.dtype), mask=token[:, None] < n)


def _launch(kernel, qkv: Tensor, *tensors: Tensor, num_heads: int) -> None:
    batch, tokens, width = qkv.shape
    head_size, padded = width // (3 * num_heads), max(16, triton.next_power_of_2(tokens))
    rows, warps = SHAPE[kernel.fn.__name__, padded] if (kernel.fn.__name__, padded) in SHAPE else (padded, 8 if padded > 64 else 4)
    kernel[batch, num_heads](qkv, *tensors, tokens, num_heads, head_size**-0.5, head_size=head_size, padded=padded,
                             rows=min(rows, padded), num_warps=warps, num_stages=1)


SHAPE = {}


@torch.library.custom_op("minivit::attend_packed", mutates_args=())
def attend_packed(qkv: Tensor, num_heads: int) -> Tensor:
    r"""Attend, head by head: :math:`\operatorname{softmax}(Q K^\top / \sqrt{D})\, V`.

    Parameters
    ----------
    qkv
        Queries, keys and values of all heads side by side, (B, N, 3 H D), float16 or bfloat16, on an NVIDIA GPU; N at
        most :data:`MOST_TOKENS`, D one of :data:`HEAD_SIZES`.
    num_heads
        Heads H.

    Returns
    -------
    Tensor
        (B, N, H D).
    """
    qkv = qkv.contiguous()
    out = qkv.new_empty(*qkv.shape[:2], qkv.shape[2] // 3)
    _launch(_forward, qkv, out, num_heads=num_heads)
    return out


@torch.library.custom_op("minivit::attend_packed_backward", mutates_args=())
def attend_packed_backward(qkv: Tensor, d_out: Tensor, num_heads: int) -> Tensor:
    """Map the gradient of the output of :func:`attend_packed`, (B, N, H D), to that of ``qkv``, (B, N, 3 H D)."""
    qkv, d_out = qkv.contiguous(), d_out.contiguous()
    d_qkv = torch.empty_like(qkv)
    _launch(_backward, qkv, d_out, d_qkv, num_heads=num_heads)
    return d_qkv


@attend_packed.register_fake
def _(qkv: Tensor, num_heads: int) -> Tensor:
    return qkv.new_empty(*qkv.shape[:2], qkv.shape[2] // 3)


@attend_packed_backward.register_fake
def _(qkv: Tensor, d_out: Tensor, num_heads: int) -> Tensor:
    return torch.empty_like(qkv, memory_format=torch.contiguous_format)


def _keep(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.num_heads = inputs[1]


def _differentiate(ctx, d_out: Tensor) -> tuple[Tensor, None]:
    return attend_packed_backward(ctx.saved_tensors[0], d_out, ctx.num_heads), None


attend_packed.register_autograd(_differentiate, setup_context=_keep)


def fits(qkv: Tensor, num_heads: int) -> bool:
    """Return whether :func:`attend_packed` can handle ``qkv``."""
    return (qkv.is_cuda and qkv.dtype in (torch.float16, torch.bfloat16) and qkv.shape[1] <= MOST_TOKENS
            and qkv.shape[2] in {3 * num_heads * size for size in HEAD_SIZES})
