import ast
import json
import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict, replace
from math import inf, nan
from pathlib import Path

import pytest

from minivit.training import Config, load_config
from minivit.training.config import FIELDS, GROUPS, describe_setting


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
    ({"betas": [0.9]}, r"betas=\[0.9\].*should be longer"),
    ({"betas": (0.9, 0.99, 0.999)}, "betas=.*should be shorter"),
    ({"betas": {0.9, 0.99}}, "betas=.*valid tuple"),
    ({"betas": (0.9, 1.0)}, r"betas=\(0.9, 1.0\) must be in \[0, 1\) each"),
    ({"patch_dropout": ()}, r"patch_dropout=\(\) must be one or more, in \[0, 1\) each"),
    ({"ema_decay": 1.0}, r"ema_decay=1.0 must be in \(0, 1\), or None"),
    ({"clip_norm": 0.0}, "clip_norm=0.0 must be larger than 0, or None"),
    ({"clip_norm": inf}, "clip_norm=inf must be a finite number, larger than 0, or None"),
    ({"weight_decay": nan}, "weight_decay=nan must be a finite number, at least 0"),
    ({"final_learning_rate": 1e-2}, r"final_learning_rate=0.01 must be in \[0, learning_rate\].*0.001"),
    ({"warmup_epochs": 7.0, "epochs": 5}, r"warmup_epochs=7.0 must be in \[0, epochs\].*5"),
    ({"save_every": 0}, "save_every=0 must be a number of epochs, at least 1, or seconds"),
    ({"evaluate_every": "soon"}, "evaluate_every='soon' must be a number of epochs"),
    ({"save_every": True}, "save_every=True.*valid integer or a valid string"),
    ({"task": "segment"}, "task='segment' is not known .did you mean 'segmentation'"),
    ({"train_images": 0}, "train_images=0 must be at least 1"),
    ({"held_out_images": -1}, "held_out_images=-1 must be at least 0"),
    ({"erasing": 1.5}, r"erasing=1.5 must be in \[0, 1\]"),
    ({"augmentation": "autoaugment"}, "augmentation='autoaugment'.*'randaugment' or 'trivialaugment'"),
    ({"augmentation_options": {"magnitude": 9.0}}, "magnitude=9.0 is not an option of augmentation='none'"),
    ({"augmentation": "randaugment", "augmentation_options": {"magnitud": 9.0}}, "did you mean 'magnitude'"),
    ({"augmentation": "randaugment", "augmentation_options": {"magnitude": 11.0}}, r"magnitude=11.0 .* in \[0, 10\]"),
    ({"crop": "pad"}, "crop='pad'.*'shift' or 'random_resized'"),
    ({"smallest_crop": 0.0}, r"smallest_crop=0.0 must be in \(0, 1\]"),
    ({"repeats": 0}, "repeats=0 must be at least 1"),
    ({"optimizer": "sgd"}, "optimizer='sgd'.*'adamw' or 'muon'"),
    ({"model_options": "cb"}, "model_options='cb'"),
])
def test_bad_values_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        Config.from_dict(values)


def test_a_name_is_in_one_group_alone():
    assert [name for its in GROUPS.values() for name in its.__pydantic_fields__] == [*FIELDS] == [*asdict(Config())]


@pytest.mark.parametrize("values", [
    {"learning_rate": 7e-3, "optimizer": "muon", "model_options": {"dim": 24}},
    {"optimizer": {"learning_rate": 7e-3, "optimizer": "muon"}, "model": {"model_options": {"dim": 24}}},
    {"optimizer.learning_rate": 7e-3, "optimizer.optimizer": "muon", "model.model_options.dim": 24},
    {"learning_rate": 7e-3, "optimizer": {"optimizer": "muon"}, "model_options.dim": 24},
    {"learning_rate": 7e-3, "optimizer": "muon", "model": {"model_options.dim": 24}},
])
def test_a_field_is_reached_by_its_name_and_by_its_groups(values):
    config = Config(learning_rate=7e-3, optimizer="muon", model_options={"dim": 24})
    assert Config(**values) == Config.from_dict(values) == Config().override(**values) == config
    assert (config.learning_rate, config.optimizer, config.model_options) == (7e-3, "muon", {"dim": 24})


@pytest.mark.parametrize("values, message", [
    ({"optimiser.learning_rate": 1e-3}, "optimiser.learning_rate=0.001 is not an option.*did you mean 'optimizer'"),
    ({"optimizer.learningrate": 1e-3}, "optimizer.learningrate=0.001.*did you mean 'learning_rate'"),
    ({"optimizer": {"flip": False}}, "optimizer.flip=False.*did you mean 'augmentation.flip'"),
    ({"model": {"context": "cb"}}, "model.context='cb'.*allowed: model.model, model.model_options"),
    ({"data": "digits"}, "data='digits' is not an option"),
    ({"optimizer.": 1}, "optimizer.=1 is not an option"),
    ({"learning_rate.x": 1}, "learning_rate={'x': 1} has the wrong type"),
    ({1: 2}, "1=2 is not an option"),
    ({"epochs": 3, "run.epochs": 3}, "epochs=3 is given twice"),
    ({"seed": 3, "run": {"seed": 5}}, "seed=5 is given twice"),
    ({"model_options": {"dim": 24}, "model_options.dim": 12}, "model_options.dim=12 is given twice"),
    ({"model_options": {"mixer_options": {}}, "model_options.mixer_options.window": 3}, "window=3 is given twice"),
    ({"run": {"epochs": 0}}, "epochs=0 must be at least 1"),
])
def test_a_name_that_is_wrong_is_told_in_a_line(values, message):
    for create in (Config.from_dict, lambda values: Config().override(**{str(key): x for key, x in values.items()})):
        with pytest.raises(ValueError, match=message) as error:
            create(values)
        assert "\n" not in str(error.value)


def test_a_dotted_name_reaches_into_options_and_leaves_the_others():
    config = Config(model_options={"dim": 24, "mixer_options": {"window": 3, "heads": 2}})
    new = config.override(**{"model_options.mixer_options.window": 5, "model.model_options.depth": 7})
    assert new.model_options == {"dim": 24, "mixer_options": {"window": 5, "heads": 2}, "depth": 7}
    assert config.model_options == {"dim": 24, "mixer_options": {"window": 3, "heads": 2}}
    assert config.override(model_options={"mixer_options": {}}).model_options == {"dim": 24, "mixer_options": {}}


def test_survives_json_and_pickle_and_is_as_flat_as_its_names(config):
    assert Config.from_dict(json.loads(json.dumps(asdict(config)))) == config
    assert pickle.loads(pickle.dumps(config)) == deepcopy(config) == replace(config) == Config(**vars(config)) == config
    assert replace(config, seed=7) == config.override(seed=7) != config


@pytest.mark.parametrize("name", ["epochs", "epoch"])
def test_nothing_of_it_can_be_set(config, name):
    with pytest.raises(FrozenInstanceError):
        setattr(config, name, 7)


def test_help_has_every_field_with_its_range():
    text = " ".join(Config.__doc__.split())
    for name in FIELDS:
        assert f"{name} : " in text and describe_setting(name) in text
    assert "Allowed: in (0, 1), or None." in describe_setting("ema_decay")
    assert "at least 1, or None" in describe_setting("train_images")


def test_prints_a_field_a_line_by_its_group_and_name(config):
    lines = [line.partition("=") for line in str(config).splitlines()]
    assert "optimizer.learning_rate" in {key for key, *_ in lines}
    assert Config(**{key: ast.literal_eval(value) for key, _, value in lines}) == config


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
    with pytest.raises(ValueError, match="missing.py does not exist; its folder has other.py"):
        load_config(tmp_path / "missing.py")


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_bad_run_json_is_named(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=str(path)):
        load_config(path)


def test_a_path_is_written_as_text():
    config = Config(dataset_options={"preprocessing": Path("a", "config.json")})
    assert json.loads(json.dumps(asdict(config)))["dataset_options"] == {"preprocessing": str(Path("a", "config.json"))}
