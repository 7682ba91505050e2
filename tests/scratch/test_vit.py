import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minivit.data import load
from minivit.models import ViT as TorchViT
from minivit.scratch import SGD, AdamW, ViT, check_gradients, cross_entropy, cross_entropy_backward

SIZES = dict(image_size=15, patch_size=5, in_channels=2, num_classes=7, dim=22, depth=3, num_heads=2, mlp_ratio=1.5)
LABELS = np.array([0, 6, 3, 3])
VARIANTS = [{}, {"context": "cb"}, {"context": "cb_s", "context_layers": "all"},
            {"context": "cb", "context_layers": [0, 2], "global_pool": "avg"}]


def twins(draw, sizes=SIZES, **options):
    """Return a model and its twin in torch, with the same weights, far from their first ones."""
    model = ViT(**sizes, **options)
    model.load({name: 0.3 * draw(*value.shape) for name, value in model.params.items()})
    in_torch = TorchViT(**sizes, **options).double()
    in_torch.load_state_dict({name: torch.tensor(value) for name, value in model.params.items()})
    return model, in_torch


@pytest.mark.parametrize("options", VARIANTS)
def test_logits_maps_and_every_gradient_are_those_of_torch(draw, options):
    model, in_torch = twins(draw, **options)
    images = draw(4, 2, 15, 15)
    logits, saved = model.forward(images)
    leaf = torch.tensor(images, requires_grad=True)
    want, want_maps = in_torch(leaf, return_attention=True)
    np.testing.assert_allclose(logits, want.detach().numpy(), rtol=1e-9)
    for got, expected in zip(model(images, return_attention=True)[1], want_maps, strict=True):
        np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-9)

    loss = F.cross_entropy(want, torch.tensor(LABELS), label_smoothing=0.1)
    loss.backward()
    got_loss, d_params = model.loss_and_gradients(images, LABELS, label_smoothing=0.1)
    assert got_loss == pytest.approx(loss.item(), rel=1e-12)
    d_images, _ = model.backward(cross_entropy_backward(logits, LABELS, 0.1), saved)
    pairs = {name: (d_params[name], leaf.grad) for name, leaf in in_torch.named_parameters()}
    assert pairs.keys() == model.params.keys()
    for name, (got, expected) in (pairs | {"images": (d_images, leaf.grad)}).items():
        scale = expected.abs().max().item()
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-9 * scale, err_msg=name)


def test_a_wide_image_is_that_of_torch(draw):
    model, in_torch = twins(draw, SIZES | {"image_size": (10, 20)})
    images = draw(4, 2, 10, 20)
    np.testing.assert_allclose(model(images), in_torch(torch.tensor(images)).detach().numpy(), rtol=1e-9)
    leaf = torch.tensor(images, requires_grad=True)
    F.cross_entropy(in_torch(leaf), torch.tensor(LABELS)).backward()
    logits, saved = model.forward(images)
    d_images, _ = model.backward(cross_entropy_backward(logits, LABELS), saved)
    np.testing.assert_allclose(d_images, leaf.grad.numpy(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("ratio", [0.5, 1 / 3, 1.5, 2.5, 4, 4.0, 8 / 3, 0.07])
def test_every_size_has_the_shapes_of_torch(ratio):
    # 5 * 0.5 is 2.5 and 7 * 0.5 is 3.5: both models round a half to the even number, where int() rounds down.
    for dim in (1, 2, 3, 5, 7, 11, 13, 29, 96):
        sizes = dict(image_size=4, patch_size=2, num_classes=3, dim=dim, depth=1, num_heads=1, mlp_ratio=ratio)
        shapes, messages = [], []
        for make in (ViT, TorchViT):
            try:
                model = make(**sizes)
                state = model.params if make is ViT else model.state_dict()
                shapes.append({name: tuple(value.shape) for name, value in state.items()})
            except ValueError as error:
                messages.append(str(error))
        assert len(set(messages)) <= 1 and len(messages) != 1
        assert shapes == [] or shapes[0] == shapes[1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_state_dict_of_a_torch_model_loads_whatever_its_precision(dtype):
    in_torch = TorchViT(**SIZES).to(dtype)
    for weights in (in_torch.state_dict(), dict(in_torch.named_parameters())):  # the latter require a gradient
        model = ViT(**SIZES)
        assert model.load(weights) is None
        for name, value in weights.items():
            assert model.params[name].dtype == np.float64
            np.testing.assert_array_equal(model.params[name], value.detach().double().numpy())


def test_gradients_agree_with_central_differences(draw):
    model, _ = twins(draw, context="cb_s")
    images = draw(4, 2, 15, 15)

    def forward(params, images):
        model.params = params
        return cross_entropy(model(images), LABELS)

    def backward(d_out, params, images):
        model.params = params
        logits, saved = model.forward(images)
        d_images, d_params = model.backward(d_out * cross_entropy_backward(logits, LABELS), saved)
        return d_params, d_images

    check_gradients(forward, backward, params=model.params, images=images, entries=5)


@pytest.mark.parametrize("ours, torchs, options", [
    (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (AdamW, torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.05}),
])
def test_ten_steps_on_digits_are_those_of_torch(ours, torchs, options):
    train = load("digits").train
    sizes = dict(image_size=8, patch_size=2, in_channels=1, num_classes=10, dim=12, depth=2, num_heads=3)
    model, in_torch = ViT(**sizes, context="cb", seed=3), TorchViT(**sizes, context="cb").double()
    in_torch.load_state_dict({name: torch.tensor(value) for name, value in model.params.items()})
    optimizer, in_torch_optimizer = ours(model.params, **options), torchs(in_torch.parameters(), **options)
    for step in range(10):
        images, labels = train.images[31 * step:31 * step + 31] / 255.0, train.labels[31 * step:31 * step + 31]
        loss, d_params = model.loss_and_gradients(images.numpy(), labels.numpy(), label_smoothing=0.1)
        optimizer.step(d_params)
        want = F.cross_entropy(in_torch(images.double()), labels, label_smoothing=0.1)
        in_torch_optimizer.zero_grad()
        want.backward()
        in_torch_optimizer.step()
        assert loss == pytest.approx(want.item(), abs=1e-8)
    for name, leaf in in_torch.named_parameters():
        np.testing.assert_allclose(model.params[name], leaf.detach().numpy(), atol=1e-8, err_msg=name)


def test_weights_go_both_ways(draw):
    model = ViT(**SIZES, seed=1)
    in_torch = TorchViT(**SIZES)
    model.load(in_torch.state_dict())
    images = draw(3, 2, 15, 15)
    want = in_torch.double()(torch.tensor(images))
    np.testing.assert_allclose(model(images), want.detach().numpy(), rtol=1e-9)


def test_first_weights_follow_the_distributions_of_the_torch_model():
    sizes = SIZES | {"dim": 96, "num_heads": 3}
    model, in_torch = ViT(**sizes), TorchViT(**sizes).state_dict()
    for name, value in model.params.items():
        spread, want = value.std(), in_torch[name].double().std(correction=0).item()
        # Deviations of n numbers scatter by 1 / sqrt(2 n).
        assert spread == pytest.approx(want, rel=6 / np.sqrt(2 * value.size)), name


def test_a_seed_draws_the_same_weights():
    first, same, other = (ViT(**SIZES, seed=seed).params for seed in (5, 5, 6))
    assert all((first[name] == same[name]).all() for name in first)
    assert (first["head.weight"] != other["head.weight"]).any()


def test_bad_weights_are_named_and_change_nothing(draw):
    model = ViT(**SIZES)
    kept = {name: value.copy() for name, value in model.params.items()}
    with pytest.raises(ValueError, match="lacks the keys head.bias and has the unknown keys head.bais"):
        model.load({name.replace("head.bias", "head.bais"): value for name, value in kept.items()})
    with pytest.raises(ValueError, match=r"lacks the keys blocks.0.attn.proj.bias, .* and \d+ more$"):
        model.load({})
    with pytest.raises(ValueError, match=r"params\['norm.bias'\] has shape \(3,\); expected \(22,\)"):
        model.load(kept | {"norm.bias": draw(3)})
    assert all((model.params[name] == kept[name]).all() for name in kept)


def test_an_optimiser_made_before_loading_steps_the_loaded_weights(draw):
    model = ViT(**SIZES)
    optimizer = SGD(model.params, lr=0.5)
    loaded = {name: draw(*value.shape) for name, value in model.params.items()}
    model.load(loaded)
    optimizer.step({name: np.ones_like(value) for name, value in loaded.items()})
    assert all((model.params[name] == loaded[name] - 0.5).all() for name in loaded)


@pytest.mark.parametrize("options, message", [
    ({"patch_size": 4}, "patch_size=4 does not divide image_size=15"),
    ({"num_heads": 3}, "num_heads=3 does not divide dim=22"),
    ({"depth": 0}, "depth=0 must be at least 1"),
    ({"context": "cbs"}, "context='cbs' is not known.*it must be one of none, cb, cb_s"),
    ({"context_layers": [3]}, r"context_layers=\[3\] is neither 'upper', 'all' nor indices in \[0, 3\)"),
    ({"context_layers": "lower"}, "context_layers='lower'"),
    ({"context_layers": 2}, "context_layers=2 is neither"),
    ({"mlp_ratio": 0}, "mlp_ratio=0 must be a finite number larger than 0"),
    ({"mlp_ratio": float("nan")}, "mlp_ratio=nan"),
    ({"mlp_ratio": 0.02}, "mlp_ratio=0.02 leaves nothing of 22"),
    ({"image_size": -8}, r"image_size=-8 must be one side in pixels, or \(height, width\)"),
    ({"image_size": 15.0}, "image_size=15.0"),
    ({"image_size": True}, "image_size=True"),
    ({"image_size": (15, 0)}, r"image_size=\(15, 0\)"),
    ({"patch_size": 30}, "patch_size=30 does not divide image_size=15"),
    ({"patch_size": 0}, "patch_size=0 must be at least 1"),
    ({"patch_size": -5}, "patch_size=-5 must be at least 1"),
    ({"num_heads": -2}, "num_heads=-2 must be at least 1"),
    ({"num_classes": 2.0}, "num_classes=2.0 must be a whole number, at least 1"),
    ({"dim": True}, "dim=True must be a whole number"),
    ({"seed": -1}, "seed=-1"),
    ({"global_pool": "mean"}, "global_pool='mean' is not known; it must be one of token, avg"),
])
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ViT(**SIZES | options)


def test_a_gradient_of_another_shape_is_named(draw):
    model = ViT(**SIZES)
    _, saved = model.forward(draw(4, 2, 15, 15))
    with pytest.raises(ValueError, match=r"d_logits has shape \(4, 5\); expected \(4, 7\)"):
        model.backward(draw(4, 5), saved)


def test_images_of_another_shape_are_named(draw):
    with pytest.raises(ValueError, match=r"images has shape \(4, 15, 15\); expected \(B, 2, 15, 15\)"):
        ViT(**SIZES)(draw(4, 15, 15))
