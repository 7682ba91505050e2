"""Attention of short sequences in one kernel, written in Triton for NVIDIA GPUs.

A kernel for sequences of any length goes through the keys piece by piece and accumulates the result. But the 65 tokens
of a small image fit into one multiprocessor at once. So here each program handles one whole head of one image: it reads
queries, keys and values where the projection left them, and writes the gradients in the same layout. Nothing is
transposed, concatenated or summed across programs, and the results are bitwise reproducible.

Triton computes on blocks whose sides are powers of two. Padding 65 tokens to 128 would almost quadruple the map. So
more than 64 tokens are split into two pieces (65 into 64 and 16), and the map into four blocks. Up to 64 tokens are one
piece.

Axes: B batch, N tokens, H heads, D head size. Names ending in 0 and 1 belong to the two pieces; if there is only one,
``size1`` is 0 and what ends in 1 is not used.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST_TOKENS = 128
HEAD_SIZES = (16, 32, 64)
LEAST = 16  # least side of a block


@triton.jit
def _read(base, token, n, stride, head_size: tl.constexpr):
    d = tl.arange(0, head_size)
    return tl.load(base + token[:, None] * stride + d[None, :], mask=token[:, None] < n, other=0.0)


@triton.jit
def _write(base, token, n, stride, head_size: tl.constexpr, x):
    d = tl.arange(0, head_size)
    tl.store(base + token[:, None] * stride + d[None, :], x.to(base.dtype.element_ty), mask=token[:, None] < n)


@triton.jit
def _read_keys(qkv, token, n, width, head_size: tl.constexpr):
    return (_read(qkv + width, token, n, 3 * width, head_size), _read(qkv + 2 * width, token, n, 3 * width, head_size))


@triton.jit
def _read_pieces(qkv, n, width, head_size: tl.constexpr, size0: tl.constexpr, size1: tl.constexpr):
    k0, v0 = _read_keys(qkv, tl.arange(0, size0), n, width, head_size)
    k1, v1 = k0, v0
    if size1:
        k1, v1 = _read_keys(qkv, size0 + tl.arange(0, size1), n, width, head_size)
    return k0, k1, v0, v1


@triton.jit
def _scores(q, k, token, n, scale):
    return tl.where(token[None, :] < n, tl.dot(q, tl.trans(k)) * scale, -float("inf"))


@triton.jit
def _map(q, k0, k1, n, scale, size0: tl.constexpr, size1: tl.constexpr):
    scores0 = _scores(q, k0, tl.arange(0, size0), n, scale)
    most = tl.max(scores0, axis=1)[:, None]
    if size1:
        scores1 = _scores(q, k1, size0 + tl.arange(0, size1), n, scale)
        most = tl.maximum(most, tl.max(scores1, axis=1)[:, None])
    weights0 = tl.exp(scores0 - most)
    total, weights1 = tl.sum(weights0, axis=1)[:, None], weights0
    if size1:
        weights1 = tl.exp(scores1 - most)
        total += tl.sum(weights1, axis=1)[:, None]
    return weights0 / total, weights1 / total


@triton.jit
def _mix(qkv, out, token, k0, k1, v0, v1, n, width, scale, head_size: tl.constexpr, size0: tl.constexpr,
         size1: tl.constexpr):
    q = _read(qkv, token, n, 3 * width, head_size)
    weights0, weights1 = _map(q, k0, k1, n, scale, size0, size1)
    mixed = tl.dot(weights0.to(q.dtype), v0)
    if size1:
        mixed += tl.dot(weights1.to(q.dtype), v1)
    _write(out, token, n, width, head_size, mixed)


@triton.jit
def _forward(qkv, out, n, num_heads, scale, head_size: tl.constexpr, size0: tl.constexpr, size1: tl.constexpr):
    image, head, width = tl.program_id(0).to(tl.int64), tl.program_id(1), num_heads * head_size
    qkv += image * n * 3 * width + head * head_size
    out += image * n * width + head * head_size
    k0, k1, v0, v1 = _read_pieces(qkv, n, width, head_size, size0, size1)
    if size1:
        token1 = size0 + tl.arange(0, size1)
        _mix(qkv, out, token1, k0, k1, v0, v1, n, width, scale, head_size, size0, size1)
    _mix(qkv, out, tl.arange(0, size0), k0, k1, v0, v1, n, width, scale, head_size, size0, size1)


@triton.jit
def _differentiate_rows(qkv, d_out, d_qkv, token, k0, k1, v0, v1, n, width, scale, head_size: tl.constexpr,
                        size0: tl.constexpr, size1: tl.constexpr):
    # Write the gradients of some queries; return what they contribute to those of keys and values.
    q, d_mixed = _read(qkv, token, n, 3 * width, head_size), _read(d_out, token, n, width, head_size)
    weights0, weights1 = _map(q, k0, k1, n, scale, size0, size1)
    d_weights0 = tl.dot(d_mixed, tl.trans(v0))
    along = tl.sum(weights0 * d_weights0, axis=1)[:, None]
    if size1:
        d_weights1 = tl.dot(d_mixed, tl.trans(v1))
        along += tl.sum(weights1 * d_weights1, axis=1)[:, None]
    d_scores0 = (weights0 * (d_weights0 - along) * scale).to(q.dtype)
    d_q = tl.dot(d_scores0, k0)
    d_k0, d_v0 = tl.dot(tl.trans(d_scores0), q), tl.dot(tl.trans(weights0.to(q.dtype)), d_mixed)
    d_k1, d_v1 = d_k0, d_v0
    if size1:
        d_scores1 = (weights1 * (d_weights1 - along) * scale).to(q.dtype)
        d_q += tl.dot(d_scores1, k1)
        d_k1, d_v1 = tl.dot(tl.trans(d_scores1), q), tl.dot(tl.trans(weights1.to(q.dtype)), d_mixed)
    _write(d_qkv, token, n, 3 * width, head_size, d_q)
    return d_k0, d_k1, d_v0, d_v1


@triton.jit
def _backward(qkv, d_out, d_qkv, n, num_heads, scale, head_size: tl.constexpr, size0: tl.constexpr,
              size1: tl.constexpr):
    image, head, width = tl.program_id(0).to(tl.int64), tl.program_id(1), num_heads * head_size
    qkv += image * n * 3 * width + head * head_size
    d_qkv += image * n * 3 * width + head * head_size
    d_out += image * n * width + head * head_size
    token0 = tl.arange(0, size0)
    k0, k1, v0, v1 = _read_pieces(qkv, n, width, head_size, size0, size1)
    d_k0, d_k1, d_v0, d_v1 = _differentiate_rows(qkv, d_out, d_qkv, token0, k0, k1, v0, v1, n, width, scale, head_size,
                                                 size0, size1)
    if size1:
        token1 = size0 + tl.arange(0, size1)
        more_k0, more_k1, more_v0, more_v1 = _differentiate_rows(qkv, d_out, d_qkv, token1, k0, k1, v0, v1, n, width,
                                                                 scale, head_size, size0, size1)
        d_k0, d_v0 = d_k0 + more_k0, d_v0 + more_v0
        _write(d_qkv + width, token1, n, 3 * width, head_size, d_k1 + more_k1)
        _write(d_qkv + 2 * width, token1, n, 3 * width, head_size, d_v1 + more_v1)
    _write(d_qkv + width, token0, n, 3 * width, head_size, d_k0)
    _write(d_qkv + 2 * width, token0, n, 3 * width, head_size, d_v0)


def _launch(kernel, qkv: Tensor, *tensors: Tensor, num_heads: int) -> None:
    batch, tokens, width = qkv.shape
    head_size, (size0, size1) = width // (3 * num_heads), pieces(tokens)
    kernel[batch, num_heads](qkv, *tensors, tokens, num_heads, head_size**-0.5, head_size=head_size, size0=size0,
                             size1=size1, num_warps=4, num_stages=1)


def pieces(tokens: int) -> tuple[int, int]:
    """Return the sizes of the blocks that hold this many tokens; the second is 0 if one block is enough."""
    if tokens <= 64:
        return max(LEAST, triton.next_power_of_2(tokens)), 0
    return 64, max(LEAST, triton.next_power_of_2(tokens - 64))


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
