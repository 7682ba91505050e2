"""What all measures of maps have in common: half precision, and errors about what is not a map."""

import numpy as np
import pytest
import torch

from minivit.analysis import (
    attention_distance,
    attention_entropy,
    attention_rollout,
    attention_similarity,
    diagonality_loss,
    entropy_statistics,
    paired_difference,
    scale_statistics,
    softmax_jacobian_norm,
)
from minivit.analysis.maps import as_maps

MEASURES = {
    "entropy": attention_entropy,
    "statistics": lambda attn: torch.stack(list(entropy_statistics(attn))),
    "distance": lambda attn: attention_distance(attn, (2, 8)),
    "similarity": lambda attn: attention_similarity([attn, attn.flip(-1)], centred=True),
    "rollout": lambda attn: attention_rollout([attn] * 3),
    "jacobian": softmax_jacobian_norm,
    "bounded": diagonality_loss,
    "printed": lambda attn: diagonality_loss(attn, "printed"),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", MEASURES)
def test_maps_in_half_precision_are_measured_in_float32(name, dtype):
    torch.manual_seed(0)
    attn = torch.randn(2, 3, 16, 16).mul(3).softmax(dim=-1).to(dtype)
    got = MEASURES[name](attn)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, MEASURES[name](attn.float()), rtol=0, atol=0)
    assert MEASURES[name](attn.double()).dtype == torch.float64


def test_the_diagonal_of_a_large_map_fits_into_float16():
    identity = torch.eye(300).half()[None]  # N times its trace is 90000, and float16 ends at 65504
    torch.testing.assert_close(diagonality_loss(identity), torch.tensor(-(1 - 1 / 300)))
    torch.testing.assert_close(diagonality_loss(identity, "printed"), torch.tensor(300.0 * 299))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("attn, message", [
    (torch.ones(2, 3, 16, 16, dtype=torch.int64), r"of dtype torch.int64: .*must be floating"),
    (torch.ones(2, 3, 16, 16, dtype=torch.bool), r"of dtype torch.bool: .*must be floating"),
    (torch.ones(2, 3, 16, 0), "shape"),
])
def test_what_is_no_map_is_named(name, attn, message):
    with pytest.raises(ValueError, match=message):
        MEASURES[name](attn)


@pytest.mark.parametrize("measure", [measure for name, measure in MEASURES.items() if name != "similarity"]
                         + [lambda attn: attention_similarity([attn, attn])])
@pytest.mark.parametrize("attn", [np.full((2, 3, 16, 16), 1 / 16), [[0.5, 0.5]] * 2])
def test_what_is_no_tensor_is_told_how_to_become_one(measure, attn):
    with pytest.raises(ValueError, match=f"is a {type(attn).__name__}: it must be a tensor, as torch.tensor makes"):
        measure(attn)


@pytest.mark.parametrize("name", ["entropy", "statistics", "rollout", "jacobian"])
@pytest.mark.parametrize("spoil", [lambda attn: 3 * attn, lambda attn: attn.log(), lambda attn: 0 * attn,
                                   lambda attn: torch.cat([-attn[..., :1], attn[..., 1:] + 2 * attn[..., :1] / 15], -1),
                                   lambda attn: attn.masked_fill(torch.eye(16).bool(), torch.nan)])
def test_rows_that_are_no_weights_are_told(name, spoil):
    attn = torch.full((2, 3, 16, 16), 1 / 16)
    MEASURES[name](attn)
    with pytest.raises(ValueError, match="non-negative and sum to 1, .*not its scores|rows with a nan"):
        MEASURES[name](spoil(attn))


@pytest.mark.parametrize("call, message", [
    (lambda a: attention_rollout([a(1, 2, 16, 4)] * 2), r"maps\[0\] of shape \(1, 2, 16, 4\); expected \(B, H, N, N\)"),
    (lambda a: attention_rollout([a(1, 2, 4, 4), a(2, 2, 4, 4)]), r"layers of \[1, 2\] images"),
    (lambda a: attention_rollout([a(1, 2, 4, 4), a(1, 2, 5, 5)]), r"layers of \[4, 5\] tokens"),
    (lambda a: attention_rollout([a(2, 4, 4)]), r"maps\[0\] of shape \(2, 4, 4\)"),
    (lambda a: attention_rollout([]), "0 layers"),
    (lambda a: entropy_statistics(a(3, 4, 4)), r"attn of shape \(3, 4, 4\); expected \(B, H, N, M\)"),
    (lambda a: attention_similarity([a(3, 4, 4)] * 2), r"attns of shape \(3, 4, 4\)"),
    (lambda a: attention_distance(a(1, 2, 4, 4), (2.0, 2)), r"grid=\(2.0, 2\)"),
    (lambda a: attention_distance(a(1, 2, 4, 4), (-2, -2)), r"grid=\(-2, -2\)"),
    (lambda a: softmax_jacobian_norm(a(4), float("nan")), "scale=nan"),
    (lambda a: softmax_jacobian_norm(torch.tensor(1.0)), r"probs of shape \(\)"),
    (lambda a: scale_statistics(torch.zeros(0)), r"scale .*\(0,\)"),
    (lambda a: scale_statistics(torch.ones(3, dtype=torch.int64)), "scale of dtype torch.int64"),
    (lambda a: paired_difference([1.0], [2.0]), "at least 2"),
    (lambda a: paired_difference([1, 2], [1, 2, 3]), r"\(2,\) and b \(3,\)"),
    (lambda a: paired_difference([1, float("nan")], [1, 2]), r"a=\[1.0, nan\].*finite"),
])
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: torch.full(shape, 1 / shape[-1]))


def test_heads_may_differ_by_layer_and_names_are_kept():
    assert attention_rollout([torch.eye(4).expand(1, heads, 4, 4) for heads in (2, 3)]).shape == (1, 4, 4)
    with pytest.raises(ValueError, match="probs of shape"):
        as_maps(torch.ones(3, 0), name="probs")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scales_in_half_precision(dtype):
    scale = torch.linspace(-2, 2, 11).to(dtype)
    for got, want in zip(scale_statistics(scale), scale_statistics(scale.float()), strict=True):
        assert torch.equal(got, want)
