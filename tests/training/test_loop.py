"""How often a run is evaluated and saved, and what happens to an error on the way."""

import errno
import os
import time
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from minivit.__main__ import main
from minivit.training import Trainer, TrainingError, loop, train, trainer
from minivit.training.checkpoint import load_checkpoint

STEP_S = 7.0  # of the clock below; an epoch of the run in conftest.py has three steps


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by ``STEP_S`` with each step, and otherwise stands still."""
    now, original = [1000.0], Trainer.train_step

    def train_step(self, *batch):
        original(self, *batch)
        now[0] += STEP_S

    monkeypatch.setattr(Trainer, "train_step", train_step)
    faked = SimpleNamespace(monotonic=lambda: now[0], perf_counter=time.perf_counter)
    for module in (loop, trainer):
        monkeypatch.setattr(module, "time", faked)
    return now


@pytest.fixture
def saved(monkeypatch):
    """The steps and the epochs of each state that was written."""
    states, original = [], loop.write_state

    def write_state(out, state):
        states.append((state["step"], len(state["history"])))
        original(out, state)

    monkeypatch.setattr(loop, "write_state", write_state)
    return states


@pytest.fixture
def recipe(config, tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text(f"def get_config():\n    return {vars(config)!r}\n")
    return str(path)


def evaluated(history):
    return [metrics["epoch"] for metrics in history if "test_loss" in metrics]


@pytest.mark.parametrize("every, epochs", [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5]), ("30s", [2, 4, 5]),
                                           ("21 s", [1, 2, 3, 4, 5]), ("106s", [5])])
def test_is_evaluated_as_often_as_was_asked_and_at_the_end(config, tmp_path, clock, every, epochs):
    history = train(config.override(epochs=5, evaluate_every=every), tmp_path, progress=False)
    assert evaluated(history) == epochs
    for metrics in history:
        scores = {"test_loss", "test_top1", "test_top5"} if metrics["epoch"] in epochs else set()
        assert metrics.keys() == {"epoch", "train_loss", "images_per_second", "time_s"} | scores


@pytest.mark.parametrize("every, states", [
    (1, [(0, 0), (3, 1), (6, 2), (9, 3), (12, 4), (15, 5)]),
    (2, [(0, 0), (6, 2), (12, 4), (15, 5)]),
    (9, [(0, 0), (15, 5)]),
    ("30s", [(0, 0), (5, 1), (10, 3), (15, 4), (15, 5)]),  # inside an epoch too; the last with its metrics
])
def test_is_saved_as_often_as_was_asked_and_at_the_end(config, tmp_path, clock, saved, every, states):
    train(config.override(epochs=5, save_every=every), tmp_path, progress=False)
    assert saved == states
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 5


def test_an_epoch_that_lasts_is_saved_meanwhile(config, tmp_path, clock, saved, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_INSIDE", "10s")
    train(config.override(save_every=9), tmp_path, progress=False)
    assert saved == [(0, 0), (2, 0), (4, 1), (6, 1), (6, 2)]


def test_processes_agree_once_a_step_on_whether_to_save_or_stop(config, tmp_path, monkeypatch):
    agreed, original = [], loop.parallel.largest
    monkeypatch.setattr(trainer, "parallel", SimpleNamespace(**vars(loop.parallel)))  # of the loop's alone
    monkeypatch.setattr(loop.parallel, "largest", lambda *values: agreed.append(values) or original(*values))
    train(config.override(evaluate_every=2), tmp_path / "run", progress=False)
    in_steps, at_ends, in_evaluation = 2 * 3, 2, 1
    assert len(agreed) == in_steps + at_ends + in_evaluation


def test_how_often_changes_no_weights_and_a_run_goes_on_as_it_was(config, tmp_path, monkeypatch):
    often, seldom = (config.override(epochs=3, evaluate_every=every, save_every=every) for every in (1, 2))
    train(often, tmp_path / "often", progress=False)

    def train_step(self, *batch):
        if self.step == 8:
            raise OSError("power cut")
        original(self, *batch)

    original = Trainer.train_step
    with monkeypatch.context() as patch, pytest.raises(OSError, match="power cut"):
        patch.setattr(Trainer, "train_step", train_step)
        train(seldom, tmp_path / "seldom", progress=False)
    assert load_checkpoint(tmp_path / "seldom" / "checkpoint.pt")["step"] == 6
    assert evaluated(train(seldom, tmp_path / "seldom", resume=True, progress=False)) == [2, 3]
    weights, others = (load_file(tmp_path / name / "model.safetensors") for name in ("often", "seldom"))
    assert weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


def test_an_error_of_the_writer_is_one_line_and_the_last_checkpoint_stands(recipe, tmp_path, monkeypatch, capsys):
    original, out = os.replace, tmp_path / "run"

    def replace(part, path):
        if path.name == "checkpoint.pt" and path.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        original(part, path)

    monkeypatch.setattr("minivit.files.os.replace", replace)
    assert main(["train", recipe, "--out", str(out), "--device", "cpu"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (f"minivit: error: cannot write {out / 'checkpoint.pt'}: No space left on device; free some space "
                    "or choose another folder")
    assert load_checkpoint(out / "checkpoint.pt")["step"] == 0 and not list(out.glob("*.part"))


def during(cause, error):
    error.__context__ = cause
    return error


@pytest.mark.parametrize("error, told", [
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB "
                            "of which\n 1.06 GiB is free."),
     "out of memory (79.10 GiB in all); try a smaller batch_size"),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:113] DefaultCPUAllocator: can't allocate memory: you tried to "
                  "allocate 8 bytes."), "out of memory; try a smaller batch_size"),
    (RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronous"),
     "the GPU failed (CUDA error: an illegal memory access was encountered); start again, on another one if it fails "
     "again"),
    (RuntimeError("bicubic_backward_cuda does not have a deterministic implementation, but you set"),
     "bicubic_backward_cuda has no deterministic kernel on this device; try deterministic=False"),
    (during(torch.OutOfMemoryError("GPU 0 has a total capacity of 79.10 GiB of which"),
            RuntimeError("CUDA error: operation failed due to a previous error during capture")),
     "out of memory (79.10 GiB in all); try a smaller batch_size"),
], ids=["gpu", "cpu", "failed", "deterministic", "recording"])
def test_a_device_that_fails_is_one_line_and_the_last_checkpoint_is_named(recipe, tmp_path, monkeypatch, capsys, error,
                                                                          told):
    original, out = Trainer.train_step, tmp_path / "run"

    def train_step(self, *batch):
        if self.step == 4:
            raise error
        original(self, *batch)

    monkeypatch.setattr(Trainer, "train_step", train_step)
    assert main(["train", recipe, "--out", str(out), "--device", "cpu"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"minivit: error: {told}. The last good checkpoint is {out / 'checkpoint.pt'}"
    assert load_checkpoint(out / "checkpoint.pt")["step"] == 3


def test_an_error_of_the_program_keeps_its_traceback(config, tmp_path, monkeypatch):
    def fail(self, *batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Trainer, "train_step", fail)
    with pytest.raises(RuntimeError, match="mat1 and mat2") as error:
        train(config, tmp_path, progress=False)
    assert not isinstance(error.value, TrainingError)
