import json
from dataclasses import asdict

import pytest

from minivit.training import Config, load_config


@pytest.mark.parametrize("values, message", [
    ({"lr": 0.1}, "lr=0.1 is not an option of a run's configuration"),
    ({"learningrate": 0.1}, "did you mean 'learning_rate'"),
    ({"epochs": "5"}, "epochs='5'.*valid integer"),
    ({"epochs": 5.5}, "epochs=5.5.*valid integer"),
    ({"epochs": True}, "epochs=True.*valid integer"),
    ({"epochs": 0}, "epochs=0 must be at least 1"),
    ({"flip": 1}, "flip=1.*valid boolean"),
    ({"precision": "float16"}, "precision='float16'.*'float32' or 'bfloat16'"),
    ({"learning_rate": -1.0}, "learning_rate=-1.0 must be larger than 0"),
    ({"betas": [0.9]}, "betas"),
    ({"ema_decay": 1.0}, "ema_decay=1.0 must be in"),
    ({"train_images": 0}, "train_images=0 must be at least 1"),
    ({"held_out_images": -1}, "held_out_images=-1 must be at least 0"),
    ({"erasing": 1.5}, r"erasing=1.5 must be in \[0, 1\]"),
    ({"augmentation": "autoaugment"}, "augmentation='autoaugment'.*'randaugment' or 'trivialaugment'"),
    ({"repeats": 0}, "repeats=0 must be at least 1"),
    ({"optimizer": "sgd"}, "optimizer='sgd'.*'adamw' or 'muon'"),
    ({"model_options": "cb"}, "model_options='cb'"),
])
def test_bad_values_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        Config.from_dict(values)


def test_survives_json(config):
    assert Config.from_dict(json.loads(json.dumps(asdict(config)))) == config


def test_override_merges_options_and_leaves_the_original(config):
    new = config.override(epochs=7, model_options={"context": "cb"})
    assert (new.epochs, new.model_options["context"], new.model_options["dim"]) == (7, "cb", 12)
    assert (config.epochs, config.model_options["context"]) == (2, "cb_s")


@pytest.mark.parametrize("text, message", [
    ("def get_config(): return dict(epoch=5)", "epoch=5.*did you mean 'epochs'"),
    ("epochs = 5", r"it defines no get_config\(\)"),
    ("def get_config(): return 5", "must return a dict, not int"),
    ("def get_config(: pass", "SyntaxError"),
    ("import not_there", "ModuleNotFoundError"),
    ("def get_config(): return 1 / 0", "ZeroDivisionError"),
])
def test_a_bad_recipe_is_named_with_what_is_wrong(tmp_path, text, message):
    recipe = tmp_path / "recipe.py"
    recipe.write_text(text)
    with pytest.raises(ValueError, match=f"(?s)recipe {recipe}: .*{message}"):
        load_config(recipe)


def test_a_missing_recipe_is_told_with_those_there(tmp_path):
    (tmp_path / "other.py").touch()
    with pytest.raises(ValueError, match="missing.py does not exist; beside it there are other.py"):
        load_config(tmp_path / "missing.py")


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_bad_run_json_is_named(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=str(path)):
        load_config(path)
