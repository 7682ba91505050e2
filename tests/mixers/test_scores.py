import torch

from minivit.mixers.scores import Factors, attend


def test_half_precision_holds_scores_whose_bare_product_overflows():
    q = torch.full((1, 1, 3, 64), 36.0)
    k = q * torch.tensor([1.0, 0.5, 0.25])[:, None]
    v = torch.tensor([1.0, 2.0, 3.0])[:, None].expand(1, 1, 3, 64)
    exact, half = (Factors(q.to(dtype), k.to(dtype), 64**-0.5) for dtype in (torch.float64, torch.float16))
    assert (q @ k.mT).max() > torch.finfo(torch.float16).max
    torch.testing.assert_close(half.product().double(), exact.product(), rtol=2**-10, atol=0)
    torch.testing.assert_close(attend(half.product(), v.half()), attend(half, v.half()))
