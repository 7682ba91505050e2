import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from minivit.models import create_model, interpolate_weights, unwrap_weights


@pytest.fixture
def model():
    return create_model("vit_nano_patch4_32", depth=1, dim=8, num_heads=2, num_classes=3)


WRAPPERS = {
    "bare": lambda weights: weights,
    "model": lambda weights: {"model": weights, "epoch": 3},
    "state_dict": lambda weights: {"state_dict": weights},
    "twice": lambda weights: {"state_dict": {"model": weights}},
    "module.": lambda weights: {f"module.{name}": weight for name, weight in weights.items()},
    "_orig_mod.": lambda weights: {f"_orig_mod.{name}": weight for name, weight in weights.items()},
    "both": lambda weights: {"model": {f"module._orig_mod.{name}": weight for name, weight in weights.items()}},
    "inside": lambda weights: {name.replace("blocks.0.", "blocks.0._orig_mod."): w for name, w in weights.items()},
    "NumPy": lambda weights: {name: weight.numpy() for name, weight in weights.items()},
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_what_is_wrapped_around_weights_comes_off(model, wrap):
    weights = model.state_dict()
    unwrapped = unwrap_weights(wrap(weights))
    assert unwrapped.keys() == weights.keys()
    assert all(torch.equal(unwrapped[name], weight) for name, weight in weights.items())


def test_an_average_loses_its_count(model):
    assert unwrap_weights(AveragedModel(model).state_dict()).keys() == model.state_dict().keys()


@pytest.mark.parametrize("content, message", [
    ({}, "no weights.*this is empty"), (5, "no weights.*this is int"),
    ({"epoch": 3, "loss": 0.1}, "no weights.*'epoch', 'loss'"),
    ({"head.bias": torch.zeros(3), "epoch": 3}, "no weights.*'head.bias', 'epoch'"),
    ({"model": {"a": torch.ones(1)}, "model_ema": {"a": torch.ones(1)}}, "weights under 'model' and 'model_ema'"),
    ({"model_ema": {"a": torch.ones(1)}}, "weights under 'model_ema'"),
    ({"student": {"a": torch.ones(1)}, "teacher": {}}, "no weights.*if they are under 'student' or 'teacher'"),
    ({"a": torch.ones(1), "module.a": torch.ones(1)}, "'module.a' .*with and without their prefix"),
])
def test_what_is_not_clear_is_told(content, message):
    with pytest.raises(ValueError, match=message):
        unwrap_weights(content)


@pytest.mark.parametrize("wrapper, named", [("model", "'model'"), ("state_dict", "'state_dict'"),
                                            ("module.", r"'module\.cls_token'"), ("_orig_mod.", "'_orig_mod")])
def test_interpolation_names_the_wrapper_and_the_way_out(model, wrapper, named):
    with pytest.raises(ValueError, match=rf"the weights have {named}.*the model has 'cls_token'.*unwrap_weights"):
        interpolate_weights(WRAPPERS[wrapper](model.state_dict()), model)


def test_interpolation_takes_arrays(model):
    weights = interpolate_weights(WRAPPERS["NumPy"](model.state_dict()), model)
    assert model.load_state_dict(weights) and not any(isinstance(weight, np.ndarray) for weight in weights.values())
