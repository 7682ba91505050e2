import torch

from minivit.layers import ExtraMlp, ExtraMsa

B, N, H, C = 2, 7, 3, 15


def test_each_is_one_residual_branch():
    torch.manual_seed(0)
    x = torch.randn(B, N, C)
    msa, mlp = ExtraMsa(C, H), ExtraMlp(C)
    torch.testing.assert_close(msa(x), x + msa.attn(msa.norm1(x)))
    torch.testing.assert_close(mlp(x), x + mlp.mlp(mlp.norm2(x)))


def test_returns_what_its_attention_returns_beside_tokens():
    torch.manual_seed(0)
    x = torch.randn(B, N, C)
    msa = ExtraMsa(C, H)
    out, maps, scores = msa(x, return_attention=True, return_scores=True)
    torch.testing.assert_close(out, msa(x))
    assert maps.shape == scores.shape == (B, H, N, N)
