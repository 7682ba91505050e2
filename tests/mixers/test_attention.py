import numpy as np
import pytest
import torch

from minivit.mixers import Attention
from minivit.scratch import softmax

B, N, H, D = 2, 7, 3, 5


@pytest.fixture
def attention():
    torch.manual_seed(0)
    return Attention(H * D, H).double()


@pytest.fixture
def x():
    return torch.randn(B, N, H * D, dtype=torch.float64)


def test_equals_numpy_head_by_head(attention, x):
    out, maps = attention(x, return_attention=True)
    with torch.no_grad():
        w, b = attention.qkv.weight.numpy(), attention.qkv.bias.numpy()
        for i in range(B):
            q, k, v = np.split(x[i].numpy() @ w.T + b, 3, axis=-1)
            heads = []
            for h in range(H):
                part = slice(h * D, (h + 1) * D)
                a = softmax(q[:, part] @ k[:, part].T, scale=D**-0.5)
                np.testing.assert_allclose(maps[i, h].numpy(), a, atol=1e-12)
                heads.append(a @ v[:, part])
            want = np.concatenate(heads, axis=-1) @ attention.proj.weight.numpy().T + attention.proj.bias.numpy()
            np.testing.assert_allclose(out[i].numpy(), want, atol=1e-12)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_fused_and_unfused_agree_in_value_and_gradient(attention, x, dtype, tolerance):
    attention, x = attention.to(dtype), x.to(dtype)
    got = []
    for return_attention in (False, True):
        tokens = x.clone().requires_grad_()
        out = attention(tokens, return_attention=return_attention)
        out = out[0] if return_attention else out
        out.square().sum().backward()
        got.append((out, tokens.grad))
    for fused, unfused in zip(*got, strict=True):
        torch.testing.assert_close(fused, unfused, atol=tolerance, rtol=tolerance)


def test_maps_are_distributions(attention, x):
    _, maps = attention(x, return_attention=True)
    assert maps.shape == (B, H, N, N)
    assert (maps >= 0).all()
    torch.testing.assert_close(maps.sum(-1), torch.ones(B, H, N, dtype=maps.dtype))


def test_tokens_in_another_order_come_out_in_that_order(attention, x):
    order = torch.randperm(N)
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])


@pytest.mark.parametrize("dim, heads", [(15, 4), (15, 0)])
def test_heads_must_divide_channels(dim, heads):
    with pytest.raises(ValueError, match=f"num_heads={heads}"):
        Attention(dim, heads)
