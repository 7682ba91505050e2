import numpy as np
import pytest
import torch

from minivit.scratch import SGD, AdamW

SHAPES = {"weight": (3, 5), "bias": (7,)}


@pytest.mark.parametrize("ours, torchs, options", [
    (SGD, torch.optim.SGD, {"lr": 0.1}),
    (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.03}),
    (AdamW, torch.optim.AdamW, {}),
    (AdamW, torch.optim.AdamW, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.3}),
])
def test_ten_steps_are_those_of_torch(draw, ours, torchs, options):
    params = {name: draw(*shape) for name, shape in SHAPES.items()}
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    optimizer, in_torch = ours(params, **options), torchs(tensors.values(), **options)
    for _ in range(10):
        gradients = {name: draw(*shape) for name, shape in SHAPES.items()}
        for name, gradient in gradients.items():
            tensors[name].grad = torch.tensor(gradient)
        optimizer.step(gradients)
        in_torch.step()
    for name, value in params.items():
        np.testing.assert_allclose(value, tensors[name].detach().numpy(), rtol=1e-12, atol=1e-14)


def test_the_first_step_of_adamw_is_as_long_as_the_learning_rate(draw):
    params = {"weight": np.zeros((3, 5))}
    AdamW(params, lr=0.01).step({"weight": 1e3 * draw(3, 5)})
    np.testing.assert_allclose(np.abs(params["weight"]), 0.01, rtol=1e-6)


@pytest.mark.parametrize("make, message", [
    (lambda p: SGD(p, lr=-1), "lr=-1"),
    (lambda p: SGD(p, lr=1, momentum=1), "momentum=1"),
    (lambda p: AdamW(p, betas=(0.9, 1.0)), "betas=1.0"),
    (lambda p: AdamW(p, betas=(0.9,)), r"betas=\(0.9,\) must be two"),
    (lambda p: AdamW(p, eps=0), "eps=0"),
    (lambda p: AdamW(p, weight_decay=-0.1), "weight_decay=-0.1"),
])
def test_bad_options_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make({"weight": np.zeros(3)})


@pytest.mark.parametrize("optimizer", [lambda p: SGD(p, lr=1), AdamW])
@pytest.mark.parametrize("value, kind", [
    (np.zeros(3, int), "an array of int64"), (np.zeros(3, np.float16), "an array of float16"), ([0.0], "a list"),
    (np.float64(3), "a float64"), (torch.zeros(3), "a Tensor"), (np.broadcast_to(0.0, 3), "an array of float64"),
])
def test_parameters_that_a_step_cannot_change_are_named(optimizer, value, kind):
    with pytest.raises(ValueError, match=rf"params\['bias'\] is {kind}; .*in place"):
        optimizer({"weight": np.zeros(3), "bias": value})


@pytest.mark.parametrize("optimizer", [lambda p: SGD(p, lr=1), AdamW])
@pytest.mark.parametrize("gradients, message", [
    ({"weight": np.ones(3)}, "d_params lacks the keys bias"),
    ({"weight": np.ones(3), "bias": np.ones(5)}, r"d_params\['bias'\] has shape \(5,\); expected \(2,\)"),
])
def test_bad_gradients_are_named_and_nothing_moves(optimizer, gradients, message):
    params = {"weight": np.zeros(3), "bias": np.zeros(2)}
    with pytest.raises(ValueError, match=message):
        optimizer(params).step(gradients)
    assert not params["weight"].any()
