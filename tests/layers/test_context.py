import pytest
import torch

from minivit.layers import (
    CONTEXTS,
    ContextBroadcast,
    ContextGate,
    ContextHybrid,
    ScaledContextBroadcast,
    SqueezeExcite,
    create_context,
)

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


def test_gate_multiplies_by_one_plus_the_class_token(x):
    out = ContextGate()(x)
    for i in range(N):
        torch.testing.assert_close(out[:, i], x[:, i] * (x[:, 0] + 1))


def test_hybrid_is_the_class_token_s_gate_and_cb(x):
    out = ContextHybrid()(x)
    for i in range(N):
        torch.testing.assert_close(out[:, i], x[:, i] * x[:, 0] + 0.5 * (x[:, i] + x.mean(dim=1)))


def test_se_gates_every_token_alike_by_what_the_mean_says(x):
    module = SqueezeExcite(C, reduction=2).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p))
    hidden = (x.mean(dim=1) @ module.squeeze.T + module.squeeze_bias).clamp(min=0)
    gate = 1 / (1 + torch.exp(-(hidden @ module.excite.T + module.excite_bias)))
    torch.testing.assert_close(module(x), x * gate[:, None])


def test_se_draws_from_the_seed_and_leaves_the_generator_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = SqueezeExcite(32)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert not torch.equal(SqueezeExcite(32).squeeze, one.squeeze)


@pytest.mark.parametrize("name, params", [
    ("none", 0), ("cb", 0), ("cb_s", C), ("cb_gate", 0), ("cb_hybrid", 0), ("se", 2 * C + C + 1),
])
def test_parameters(name, params):
    assert sum(p.numel() for p in create_context(name, C).parameters()) == params


def test_unknown_context_is_named_with_the_known():
    with pytest.raises(ValueError, match="context='mean'.*" + ", ".join(CONTEXTS)):
        create_context("mean", C)
