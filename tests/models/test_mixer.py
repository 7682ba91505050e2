import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minivit.analysis import cost
from minivit.models import Mixer, create_model

SMALL = dict(image_size=35, patch_size=5, num_classes=11, dim=26, depth=5)
B, N, C = 2, 49, 26


def make(**options):
    torch.manual_seed(0)
    return Mixer(**SMALL | options)


def randomise(model):
    """Draw every parameter, for the head starts at zero and would hide everything before it."""
    torch.manual_seed(2)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    return model.eval()


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(B, 3, 35, 35)


def test_published_size_and_cost():
    with torch.device("meta"):
        plain, cb = create_model("mixer_s16_224"), create_model("mixer_s16_224", context="cb")
    result = cost(plain, 224)
    assert (round(result.params / 1e6, 1), round(result.macs / 1e9, 1)) == (18.5, 3.8)  # the CB paper's table 11
    assert cost(cb, 224).macs - result.macs == 4 * 196 * 512  # one addition a channel and token, in four blocks
    assert cost(cb, 224).params == result.params


def test_state_dict_is_timms():
    with torch.device("meta"):
        model = create_model("mixer_s16_224", context="cb")
    c, n = 512, 196
    want = {"stem.proj.weight": (c, 3, 16, 16), "stem.proj.bias": (c,), "norm.weight": (c,), "norm.bias": (c,),
            "head.weight": (1000, c), "head.bias": (1000,)}
    for i in range(8):
        for name, shape in {"norm1.weight": (c,), "norm1.bias": (c,),
                            "mlp_tokens.fc1.weight": (c // 2, n), "mlp_tokens.fc1.bias": (c // 2,),
                            "mlp_tokens.fc2.weight": (n, c // 2), "mlp_tokens.fc2.bias": (n,),
                            "norm2.weight": (c,), "norm2.bias": (c,),
                            "mlp_channels.fc1.weight": (4 * c, c), "mlp_channels.fc1.bias": (4 * c,),
                            "mlp_channels.fc2.weight": (c, 4 * c), "mlp_channels.fc2.bias": (c,)}.items():
            want[f"blocks.{i}.{name}"] = shape
    assert {name: tuple(p.shape) for name, p in model.state_dict().items()} == want


@pytest.mark.parametrize("context", ["none", "cb"])
def test_equals_the_equations_by_hand(context, images):
    model = randomise(make(context=context, context_layers=[1, 3]))
    w = model.state_dict()

    def mlp(x, name):
        hidden = F.gelu(x @ w[f"{name}.fc1.weight"].T + w[f"{name}.fc1.bias"])
        return hidden @ w[f"{name}.fc2.weight"].T + w[f"{name}.fc2.bias"]

    def norm(x, name):
        return F.layer_norm(x, (C,), w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-6)

    patches = images.unfold(2, 5, 5).unfold(3, 5, 5).permute(0, 2, 3, 1, 4, 5).reshape(B, N, 75)
    x = patches @ w["stem.proj.weight"].flatten(1).T + w["stem.proj.bias"]
    for i in range(5):
        x = x + mlp(norm(x, f"blocks.{i}.norm1").mT, f"blocks.{i}.mlp_tokens").mT
        mixed = mlp(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp_channels")
        if context == "cb" and i in (1, 3):
            mixed = 0.5 * mixed + 0.5 * mixed.mean(dim=1, keepdim=True)
        x = x + mixed
    logits = norm(x, "norm").mean(dim=1) @ w["head.weight"].T + w["head.bias"]
    torch.testing.assert_close(model(images), logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layers, where", [
    ("upper", {2, 3, 4}), ("all", {0, 1, 2, 3, 4}), ((1, 3), {1, 3}), ([], set()),
])
def test_context_stands_at_the_end_of_the_channel_mlp_of_its_layers(layers, where):
    plain, cb, cb_s = (make(context=context, context_layers=layers) for context in ("none", "cb", "cb_s"))
    assert plain.state_dict().keys() == cb.state_dict().keys()
    new = cb_s.state_dict().keys() - plain.state_dict().keys()
    assert new == {f"blocks.{i}.mlp_channels.end.scale" for i in where}
    assert all(cb_s.state_dict()[name].shape == (C,) for name in new)


@pytest.mark.parametrize("context", ["cb", "cb_s", "se"])
def test_models_that_differ_in_context_start_from_the_same_weights(context):
    plain, other = make().state_dict(), make(context=context).state_dict()
    assert all(torch.equal(weight, other[name]) for name, weight in plain.items())


def test_drop_path_grows_to_its_rate():
    assert [block.drop_path.rate for block in make(drop_path=0.2).blocks] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])


def test_starts_knowing_nothing(images):
    model = make()
    assert torch.equal(model(images), torch.zeros(B, 11))
    for layer in (m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)):
        assert not layer.bias.any()
    tokens = model.stem(images)
    assert 0.8 < tokens.std() < 1.2  # LeCun's rule: unit variance stays


def test_has_no_attention_maps():
    assert list(inspect.signature(Mixer.forward).parameters) == ["self", "images"]


@pytest.mark.parametrize("options, message", [
    ({"context": "cb_gate"}, "context='cb_gate'.*class token.*none, cb, cb_s, se$"),
    ({"context": "cb_hybrid"}, "context='cb_hybrid'.*class token"),
    ({"context": "cbs"}, "context='cbs'.*none, cb, cb_s"),
    ({"context_position": "mlp_mid"}, "context_position='mlp_mid' is not an option of mixer_s16_224"),
    ({"num_heads": 3}, "num_heads=3 is not an option of mixer_s16_224"),
    ({"context_layers": [0, 8]}, r"context_layers=\[0, 8\].*\[0, 8\)"),
    ({"depth": "6"}, "depth='6'.*integer"),
    ({"depth": 0}, "depth=0"),
    ({"dim": 0}, "dim=0"),
    ({"num_classes": -1}, "num_classes=-1"),
    ({"drop_path": 1.0}, "drop_path=1.0"),
    ({"patch_size": 15}, "patch_size=15.*image_size=224"),
])
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("mixer_s16_224", **options)


def test_an_image_of_another_size_is_named():
    with pytest.raises(ValueError, match=r"images.*\(1, 3, 40, 40\).*\(B, 3, 35, 35\)"):
        make()(torch.zeros(1, 3, 40, 40))
