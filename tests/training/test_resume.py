"""A run resumes where it was stopped, and says what has changed since."""

import json
import logging
from dataclasses import replace

import pytest
import torch

from minivit.data import Split, load
from minivit.training import CheckpointError, load_config, loop, train
from minivit.training.checkpoint import load_checkpoint, save_checkpoint

DIGITS = load("digits")


def swapped(split):
    """Put another image in the place of the first that is trained on."""
    return Split(split.images.flip(0), split.labels)


@pytest.fixture
def stopped(config, tmp_path):
    """The folder of a run that hasn't begun its last epoch, and its configuration."""
    out = tmp_path / "run"
    train(config, out, progress=False)
    return out, config


def resume(stopped, monkeypatch, dataset=DIGITS):
    monkeypatch.setattr(loop, "load", lambda *_, **__: dataset)
    out, config = stopped
    return train(config, out, resume=True, progress=False)


@pytest.mark.parametrize("dataset, message", [
    (replace(DIGITS, classes=("zero", *DIGITS.classes[1:])), "classes of digits differ.*missing: '0'; new: 'zero'"),
    (replace(DIGITS, classes=DIGITS.classes[::-1]), "classes of digits differ.*another order"),
    (DIGITS.select_classes(DIGITS.classes[1:]), "classes of digits differ.*missing: '0';"),
    (replace(DIGITS, mean=(0.25,)), r"mean=\(0.25,\) of digits differs .* which has \(0.3054,\)"),
    (replace(DIGITS, train=swapped(DIGITS.train)), "training images of digits differ.*added, removed or renamed"),
    (replace(DIGITS, train=DIGITS.train.subset(range(1400))), "training images of digits differ"),
])
def test_other_data_are_told_and_nothing_is_touched(stopped, monkeypatch, dataset, message):
    before = {path.name: path.read_bytes() for path in stopped[0].iterdir()}
    with pytest.raises(ValueError, match=f"{message}.*choose another --out"):
        resume(stopped, monkeypatch, dataset)
    assert {path.name: path.read_bytes() for path in stopped[0].iterdir()} == before


def test_the_same_data_on_another_day_are_the_same(stopped, monkeypatch, caplog):
    assert len(resume(stopped, monkeypatch, load("digits"))) == 2
    assert not caplog.records


@pytest.mark.parametrize("change, told", [
    ({"device": "cuda, of old"}, "device cpu"), ({"commit": "0" * 40}, "commit "),
    ({"versions": {"torch": "2.11.0"}}, "versions "), ({"precision": "bfloat16"}, "precision float32, not bfloat16")])
def test_other_code_or_another_device_is_told(stopped, monkeypatch, caplog, change, told):
    path = stopped[0] / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with caplog.at_level(logging.WARNING):
        resume(stopped, monkeypatch)
        resume(stopped, monkeypatch)  # the second time, it goes on as it stopped
    assert [told in record.getMessage() for record in caplog.records] == [True]


def test_a_recipe_and_its_record_are_the_same_run(stopped, monkeypatch):
    out, config = stopped
    other = out.with_name("other")
    config = config.override(model_options={"context_layers": (1,)})
    train(config, other, progress=False)
    assert len(resume((other, load_config(other / "run.json")), monkeypatch)) == 2


def test_a_checkpoint_of_before_is_taken_at_its_word(stopped, monkeypatch, caplog):
    path = stopped[0] / "checkpoint.pt"
    state = load_checkpoint(path)
    del state["data"], state["digest"]
    save_checkpoint(path, state)
    assert len(resume(stopped, monkeypatch)) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"the checkpoint in {stopped[0]} doesn't say what data it was made with; assuming that they are these"]


@pytest.mark.parametrize("spoil", [
    lambda state: state["model"].pop("head.bias"), lambda state: state["optimizer"].pop(),
    lambda state: state.pop("totals"), lambda state: state.update(optimizer=["x"]),
    lambda state: state.update(totals=None), lambda state: state["model"].update({"head.bias": torch.ones(7)})])
def test_a_checkpoint_of_other_code_is_named(stopped, monkeypatch, spoil):
    path = stopped[0] / "checkpoint.pt"
    state = load_checkpoint(path)
    spoil(state)
    save_checkpoint(path, state)
    with pytest.raises(CheckpointError, match=f"{path} does not fit this version of minivit"):
        resume(stopped, monkeypatch)


@pytest.mark.parametrize("content", ['{"config": ', "", "[]", "null", "{}", '{"config": {}}', "\udcff"])
def test_a_damaged_record_is_named(stopped, monkeypatch, content):
    (stopped[0] / "run.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="run.json is damaged"):
        resume(stopped, monkeypatch)


def test_one_class_is_nothing_to_learn(config, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "load", lambda *_, **__: DIGITS.select_classes(["7"]))
    with pytest.raises(ValueError, match="digits has one class, '7': nothing can be learnt"):
        train(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
