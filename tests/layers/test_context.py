import pytest
import torch

from minivit.layers import CONTEXTS, ContextBroadcast, ScaledContextBroadcast, create_context

B, N, C = 2, 7, 5


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(B, N, C, dtype=torch.float64)


def test_cb_is_the_matrix_half_identity_half_uniform(x):
    matrix = 0.5 * (torch.eye(N) + torch.ones(N, N) / N).double()
    torch.testing.assert_close(ContextBroadcast()(x), matrix @ x)


def test_cb_keeps_the_mean_and_halves_what_differs_from_it(x):
    mean = x.mean(dim=1, keepdim=True)
    out = ContextBroadcast()(x)
    torch.testing.assert_close(out.mean(dim=1, keepdim=True), mean)
    torch.testing.assert_close(out - mean, 0.5 * (x - mean))


def test_cb_s_starts_as_nothing_and_adds_channels_of_the_mean(x):
    module = ScaledContextBroadcast(C).double()
    assert torch.equal(module(x), x)
    with torch.no_grad():
        module.scale.copy_(torch.arange(C))
    torch.testing.assert_close(module(x), x + torch.arange(C) * x.mean(dim=1, keepdim=True))


def test_cb_s_learns_from_its_first_step(x):
    module = ScaledContextBroadcast(C).double()
    module(x).square().sum().backward()
    assert (module.scale.grad != 0).all()


@pytest.mark.parametrize("name, params", [("none", 0), ("cb", 0), ("cb_s", C)])
def test_parameters(name, params):
    assert sum(p.numel() for p in create_context(name, C).parameters()) == params


def test_unknown_context_is_named_with_the_known():
    with pytest.raises(ValueError, match="context='mean'.*" + ", ".join(CONTEXTS)):
        create_context("mean", C)
