from copy import deepcopy

import pytest
import torch

from minivit.training.muon import Muon, orthogonalize

SHAPES = [(7, 13), (13, 7), (7, 13), (11, 11), (7, 13)]


def random_matrices(*sizes):
    torch.manual_seed(0)
    return [torch.randn(size) for size in sizes]


def test_orthogonalize_keeps_directions_and_evens_out_their_lengths():
    u, v = (torch.linalg.qr(x).Q for x in random_matrices((3, 13, 7), (3, 7, 7)))
    values = torch.logspace(-2, 2, 7)                             # a condition number of 10,000
    out = orthogonalize(u * values @ v.mT)
    inner = u.mT @ out @ v                                        # diagonal if the directions are as they were
    torch.testing.assert_close(inner, inner.diagonal(dim1=1, dim2=2).diag_embed(), atol=1e-4, rtol=0)
    assert 0.6 < inner.diagonal(dim1=1, dim2=2)[:, 3:].min() and inner.max() < 1.3
    torch.testing.assert_close(orthogonalize(out.mT), orthogonalize(out).mT)


def test_each_matrix_of_a_batch_is_scaled_by_its_own_norm():
    big, small = random_matrices((5, 7), (5, 7))
    out = orthogonalize(torch.stack([1e3 * big, 1e-3 * small]))
    torch.testing.assert_close(out[1:], orthogonalize(small[None]))


def test_takes_the_steps_of_torchs_muon():
    ours, theirs = ([torch.nn.Parameter(x.clone()) for x in random_matrices(*SHAPES)] for _ in range(2))
    options = {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.9}
    optimizers = [Muon(ours, **options), torch.optim.Muon(theirs, **options, adjust_lr_fn="match_rms_adamw")]
    for step in range(3):
        torch.manual_seed(1 + step)
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for a, b, start in zip(ours, theirs, random_matrices(*SHAPES), strict=True):
        # Theirs rounds to bfloat16, 2**-9 of a number, at each of 15 products; the steps are compared, not the weights.
        assert (a - b).norm() < 0.05 * (a - start).norm()
        assert not torch.equal(a, b)


def test_state_goes_through_a_state_dict():
    weights = [[torch.nn.Parameter(x.clone()) for x in random_matrices(*SHAPES)] for _ in range(2)]
    first, second = (Muon(w, lr=0.1) for w in weights)
    grads = random_matrices(*SHAPES)
    for step in range(4):
        for optimizer, matrices in ((first, weights[0]), (second, weights[1])):
            for p, grad in zip(matrices, grads, strict=True):
                p.grad = (step + 1.0) ** -1 * grad.roll(step, 0)
            optimizer.step()
        if step == 1:  # the second forgets, and is given the first one's memory
            second = Muon(weights[1], lr=0.1)
            second.load_state_dict(deepcopy(first.state_dict()))
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_only_matrices():
    with pytest.raises(ValueError, match=r"shape \(3, 5, 7\)"):
        Muon([torch.zeros(3, 5, 7)])
