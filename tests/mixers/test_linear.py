import torch

from minivit.mixers import LinearAttention


def test_it_is_the_product_in_the_other_order():
    torch.manual_seed(0)
    layer = LinearAttention(12, 3).double()
    x = torch.randn(2, 7, 12, dtype=torch.float64)
    q, k, v = layer.qkv(x).unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)  # (3, B, H, N, D)
    maps = q.softmax(-1) @ k.softmax(-2).mT                                 # (B, H, N, N), the dear order
    want = layer.proj((maps @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(x), want)
    torch.testing.assert_close(layer(x, return_attention=True)[1], maps)
    assert torch.linalg.matrix_rank(maps).max() <= 4  # D


def test_tokens_have_no_places():
    layer, x, order = LinearAttention(12, 3).double(), torch.randn(2, 7, 12, dtype=torch.float64), torch.randperm(7)
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order])
