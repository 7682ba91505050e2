import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minivit.analysis import diagonality_loss
from minivit.data import DataError, load
from minivit.models import create_model
from minivit.training import CheckpointError, Stopped, Trainer, TrainingError, evaluate, load_config, load_model, train
from minivit.training.checkpoint import load_checkpoint

STEPS = 6  # of the run in conftest.py


@pytest.fixture
def reference(config, tmp_path):
    train(config, tmp_path / "reference", progress=False)
    return load_file(tmp_path / "reference" / "model.safetensors")


def assert_same_weights(folder, weights):
    got = load_file(folder / "model.safetensors")
    assert got.keys() == weights.keys()
    assert all(torch.equal(got[name], weights[name]) for name in weights)


def at_step(monkeypatch, step, action):
    """Do ``action`` once, right before the step of that number."""
    original, done = Trainer.train_step, []

    def train_step(self, images, labels):
        if self.step == step and not done:
            done.append(True)
            action(self)
        original(self, images, labels)

    monkeypatch.setattr(Trainer, "train_step", train_step)


def test_out_holds_the_record_checkpoint_and_weights(config, tmp_path):
    history = train(config, tmp_path, progress=False)
    assert {p.name for p in tmp_path.iterdir()} == {"run.json", "metrics.jsonl", "checkpoint.pt", "model.safetensors"}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == history and [line["epoch"] for line in lines] == [1, 2]
    assert lines[0].keys() == {"epoch", "train_loss", "test_loss", "test_top1", "test_top5", "images_per_second",
                               "time_s"}
    assert 0 <= lines[-1]["test_top1"] <= lines[-1]["test_top5"] <= 100
    run = json.loads((tmp_path / "run.json").read_text())
    assert run.keys() >= {"config", "commit", "versions", "device", "seed"}
    assert load_config(tmp_path / "run.json") == config.override(model_options={"num_classes": 10})


def test_a_run_is_reproduced_from_its_run_json(reference, tmp_path):
    train(load_config(tmp_path / "reference" / "run.json"), tmp_path / "again", progress=False)
    assert_same_weights(tmp_path / "again", reference)


def test_another_seed_is_another_run(config, reference, tmp_path):
    train(config.override(seed=1), tmp_path / "other", progress=False)
    other = load_file(tmp_path / "other" / "model.safetensors")
    assert not any(torch.equal(other[name], reference[name]) for name in reference if name.endswith("weight"))


@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_stopped_by_a_signal_then_resumed_is_bitwise_the_same(config, reference, tmp_path, monkeypatch, step):
    out = tmp_path / "run"
    at_step(monkeypatch, step, lambda trainer: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped, match="SIGTERM"):
        train(config, out, progress=False)
    assert load_checkpoint(out / "checkpoint.pt")["step"] == step + 1
    train(config, out, resume=True, progress=False)
    assert_same_weights(out, reference)
    assert len(json.loads((out / "run.json").read_text())["resumed"]) == 1


def test_a_signal_that_comes_twice_at_once_is_one_request(config, tmp_path, monkeypatch):
    def interrupt(trainer):
        os.kill(os.getpid(), signal.SIGINT)
        assert trainer.step == 2  # the first has been noted by now
        os.kill(os.getpid(), signal.SIGINT)

    at_step(monkeypatch, 2, interrupt)
    with pytest.raises(Stopped, match="SIGINT"):
        train(config, tmp_path / "one", progress=False)
    assert load_checkpoint(tmp_path / "one" / "checkpoint.pt")["step"] == 3
    monkeypatch.setattr("minivit.training.interrupt.ONE_REQUEST_S", 0.0)
    at_step(monkeypatch, 2, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "two", progress=False)


@pytest.mark.parametrize("step", [0, 2, 4])
def test_died_without_a_word_then_resumed_is_bitwise_the_same(config, reference, tmp_path, monkeypatch, step):
    class PowerCut(BaseException):
        pass

    def die(trainer):
        raise PowerCut

    out = tmp_path / "run"
    at_step(monkeypatch, step, die)
    with pytest.raises(PowerCut):
        train(config, out, progress=False)
    train(config, out, resume=True, progress=False)
    assert_same_weights(out, reference)


def test_killed_with_kill_9_then_resumed_is_bitwise_the_same(config, tmp_path):
    config = config.override(epochs=400)
    recipe, out = tmp_path / "recipe.py", tmp_path / "run"
    values = {name: getattr(config, name) for name in vars(config)}
    recipe.write_text(f"def get_config():\n    return {values!r}\n")
    process = subprocess.Popen([sys.executable, "-m", "minivit", "train", recipe, "--out", out, "--device", "cpu"],
                               stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    while process.poll() is None and not (out / "metrics.jsonl").exists():
        time.sleep(0.01)
    while process.poll() is None and len((out / "metrics.jsonl").read_text().splitlines()) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(load_checkpoint(out / "checkpoint.pt")["history"])
    assert 3 <= done < 400

    # The rest of 400 epochs would take long: what a resumed run does next is what an uninterrupted one does.
    trainers = []
    for state in (None, load_checkpoint(out / "checkpoint.pt")):
        trainer = Trainer(config.override(model_options={"num_classes": 10}), load("digits"), torch.device("cpu"))
        if state:
            trainer.load_state_dict(state)
        while len(trainer.history) < done + 2:
            trainer.train_epoch(lambda images: None)
            trainer.finish_epoch(lambda: None)
        trainers.append(trainer)
    for name, weight in trainers[0].best_model.state_dict().items():
        assert torch.equal(weight, trainers[1].best_model.state_dict()[name]), name


def test_resume_without_a_checkpoint_begins(config, reference, tmp_path):
    train(config, tmp_path / "run", resume=True, progress=False)
    assert_same_weights(tmp_path / "run", reference)


def test_resume_of_a_finished_run_changes_nothing(config, reference, tmp_path):
    out = tmp_path / "reference"
    before = (out / "metrics.jsonl").read_text()
    (out / "metrics.jsonl").unlink()  # as if the machine had died between the checkpoint and the rest
    (out / "model.safetensors").unlink()
    train(config, out, resume=True, progress=False)
    assert (out / "metrics.jsonl").read_text() == before
    assert_same_weights(out, reference)


def test_another_run_in_out_is_not_touched(config, reference, tmp_path):
    out = tmp_path / "reference"
    with pytest.raises(ValueError, match="already holds a run; go on with --resume"):
        train(config, out, progress=False)
    with pytest.raises(ValueError, match="epochs=3 differs from the run in .* which has 2"):
        train(config.override(epochs=3), out, resume=True, progress=False)
    with pytest.raises(ValueError, match="model_options.context='cb' differs .* which has 'cb_s'"):
        train(config.override(model_options={"context": "cb"}), out, resume=True, progress=False)
    assert_same_weights(out, reference)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(config, tmp_path, monkeypatch):
    def spoil(trainer):
        next(trainer.model.parameters()).data[:] = float("nan")

    at_step(monkeypatch, 4, spoil)
    with pytest.raises(TrainingError, match=r"step 4 \(epoch 2\).*last good checkpoint is .*checkpoint.pt"):
        train(config, tmp_path, progress=False)
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert state["step"] == 3
    assert all(weight.isfinite().all() for weight in state["model"].values())


def test_a_stop_does_not_save_weights_that_are_not_finite(config, tmp_path, monkeypatch):
    def spoil_and_stop(trainer):
        next(trainer.model.parameters()).data[:] = float("nan")
        os.kill(os.getpid(), signal.SIGTERM)

    at_step(monkeypatch, 4, spoil_and_stop)
    with pytest.raises(TrainingError, match="step 4"):
        train(config, tmp_path, progress=False)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 3


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/minivit"])
def test_an_unwritable_out_is_told_before_the_first_step(config, tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    at_step(monkeypatch, 0, lambda trainer: pytest.fail("a step was taken"))
    with pytest.raises(CheckpointError, match="cannot write to .*choose another --out"):
        train(config, tmp_path / place, progress=False)


def test_a_full_disk_is_told_before_the_first_step(config, tmp_path, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 1000, 1000))
    at_step(monkeypatch, 0, lambda trainer: pytest.fail("a step was taken"))
    with pytest.raises(CheckpointError, match="MB free, the run's checkpoints need .* MB"):
        train(config, tmp_path / "run", progress=False)


def test_a_disk_that_fills_up_leaves_the_last_checkpoint(config, tmp_path, monkeypatch):
    def fill(trainer):
        monkeypatch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(RuntimeError("unexpected pos 64 vs 0")))

    at_step(monkeypatch, 4, fill)
    with pytest.raises(CheckpointError, match="cannot write .*checkpoint.pt"):
        train(config, tmp_path, progress=False)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 3
    assert not list(tmp_path.glob("*.part"))


def test_a_file_that_cannot_grow_is_told_by_its_reason(config, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    before = _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(trainer):
        soft = (tmp_path / "checkpoint.pt").stat().st_size - 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    at_step(monkeypatch, 4, fill)
    try:
        with pytest.raises(CheckpointError, match=r"cannot write .*checkpoint.pt: File too large; free some space"):
            train(config, tmp_path, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 3
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("change, error, message", [
    (dict(dataset="cifar100"), DataError, "python -m minivit data cifar100"),
    (dict(dataset="cifar"), ValueError, "name='cifar'.*did you mean 'cifar100'"),
    (dict(model_options={"image_size": 16}), ValueError, r"images has shape .*\(B, 1, 16, 16\)"),
    (dict(model_options={"num_classes": 7}), ValueError, "num_classes=7 .*10 classes of digits"),
    (dict(train_images=10**6), ValueError, "train_images=1000000 and held_out_images=0 do not fit into the 14"),
    (dict(held_out_images=1400), ValueError, "train_images=131 and held_out_images=1400 do not fit into the 14"),
])
def test_what_does_not_fit_is_told_and_nothing_is_written(config, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        train(config.override(**change), tmp_path / "run", root=tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_evaluate_agrees_with_counting_by_hand_and_with_the_record(config, tmp_path):
    history = train(config, tmp_path, progress=False)
    digits = load("digits")
    for path in (tmp_path, tmp_path / "checkpoint.pt"):
        model, _ = load_model(path)
        metrics = evaluate(model, digits, batch_size=97)
        assert metrics == pytest.approx({name: history[-1][name] for name in metrics}, abs=1e-3)
    images = (digits.test.images / 255 - digits.mean[0]) / digits.std[0]
    logits = model(images).detach()
    order = logits.argsort(dim=1, descending=True)
    for k, name in ((1, "test_top1"), (5, "test_top5")):
        hits = [label in best for best, label in zip(order[:, :k], digits.test.labels, strict=True)]
        assert metrics[name] == pytest.approx(100 * sum(hits) / len(hits))


def test_the_average_is_the_exponential_moving_average_of_the_weights(config):
    trainer = Trainer(config.override(model_options={"num_classes": 10}), load("digits"), torch.device("cpu"))
    split, want = trainer.images, None
    for _ in range(4):
        trainer.train_step(split.images[:41], split.labels[:41])
        weight = trainer.model.head.weight.detach().clone()
        want = weight if want is None else 0.9 * want + 0.1 * weight
    torch.testing.assert_close(trainer.best_model.head.weight, want)


def test_bf16_learns(config, tmp_path):
    config = config.override(precision="bfloat16", epochs=8, batch_size=11, learning_rate=1e-2, repeats=1, flip=False,
                             augmentation="none", erasing=0.0, mixup=0.0, cutmix=0.0)
    history = train(config, tmp_path, progress=False)
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.cifar
def test_learns_real_images(tmp_path):
    config = load_config(Path(__file__).parents[2] / "recipes/cifar100_vit_nano_cb.py")
    history = train(config.override(train_images=256, epochs=2, model_options={"dim": 32, "depth": 2}), tmp_path,
                    root=os.environ["MINIVIT_DATA"], progress=False)
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_repeated_augmentation_shows_fewer_images_more_often(config):
    config = config.override(model_options={"num_classes": 10}, repeats=3)
    trainer = Trainer(config, load("digits"), torch.device("cpu"))
    seen = []
    trainer.train_step = lambda images, labels: seen.append(images)
    trainer.train_epoch(after_step=lambda n: None)
    seen = torch.cat(seen).flatten(1)
    assert len(seen) == 123
    assert len(seen.unique(dim=0)) == 41
    assert torch.equal(seen[0], seen[2]) and not torch.equal(seen[2], seen[3])


def test_held_out_images_are_the_same_for_all_and_never_trained_on(config):
    config, digits = config.override(model_options={"num_classes": 10}, held_out_images=97), load("digits")
    first, other = (Trainer(config.override(seed=seed, train_images=train_images), digits, torch.device("cpu"))
                    for seed, train_images in ((0, None), (1, 103)))
    assert len(first.images) == len(digits.train) - 97 and len(other.images) == 103
    held_out = first.dataset.test.images
    assert len(held_out) == 97 and torch.equal(held_out, other.dataset.test.images)
    both = torch.cat([held_out, first.images.images]).flatten(1)
    assert torch.equal(both.sort(dim=0).values, digits.train.images.flatten(1).sort(dim=0).values)


@pytest.mark.parametrize("options", [
    {"patch_dropout": (0.5, 0.25, 0.0)},
    {"model_options": {"attention_layers": [0], "less_attention_form": "factors"}, "diagonality": 1.0},
])
def test_compiled_steps_never_compile_again_and_give_the_same(config, options, monkeypatch):
    # The tracing is what could be done again; generating code, which takes a minute, is left out.
    compile_function = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **options: compile_function(f, backend="eager", fullgraph=True))
    config = config.override(epochs=3, **options).override(model_options={"num_classes": 10})
    plain, compiled = (Trainer(config.override(compile=mode), load("digits"), torch.device("cpu"))
                       for mode in ("none", "default"))
    compiled.prepare()
    assert compiled.prepare_s.keys() == {"model", "compile"}
    with torch._dynamo.config.patch(error_on_recompile=True):
        for trainer in (plain, compiled):
            for _ in range(3):
                trainer.train_epoch(lambda n: None)
                trainer.finish_epoch(lambda: None)
    assert compiled.history[-1]["train_loss"] == pytest.approx(plain.history[-1]["train_loss"], rel=1e-4)


def test_patches_are_dropped_in_stretches_of_the_run_and_never_in_evaluation(config):
    config = config.override(model_options={"num_classes": 10}, patch_dropout=(0.5, 0.0), epochs=2)
    trainer = Trainer(config, load("digits"), torch.device("cpu"))
    seen = []
    trainer.model.blocks[0].register_forward_pre_hook(lambda block, x: seen.append((block.training, x[0].shape[1])))
    for _ in range(2):
        trainer.train_epoch(lambda n: None)
        trainer.finish_epoch(lambda: None)
    assert [tokens for training, tokens in seen if training] == 3 * [1 + 2] + 3 * [1 + 4]  # an epoch has three steps
    trainer.model.eval()
    seen.clear()
    trainer.set_patch_dropout(0.5)
    trainer.model(torch.zeros(2, 1, 8, 8))
    assert seen == [(False, 5)]


def test_a_glance_tells_what_was_at_the_glance_before(config):
    trainer = Trainer(config.override(model_options={"num_classes": 10}), load("digits"), torch.device("cpu"))
    glances, told = [], []

    def look(n):
        glances.append(trainer.progress.glance())
        told.append(trainer.progress.read())

    trainer.train_epoch(look)
    assert glances[1:] == told[:-1] and len(set(told)) == 3
    trainer.progress.totals[3] = 2.0
    trainer.progress.glance()
    with pytest.raises(TrainingError, match=r"step 2 \(epoch 1\)"):
        trainer.progress.glance()


def test_a_glance_that_has_not_arrived_tells_what_was_known(config, monkeypatch):
    trainer = Trainer(config.override(model_options={"num_classes": 10}), load("digits"), torch.device("cpu"))
    trainer.train_epoch(lambda n: None)
    trainer.progress.glance()
    known, copy = trainer.progress.read(), torch.Tensor.copy_

    def slow(tensor, source, non_blocking=False):  # as from a device with a long queue
        return tensor if non_blocking else copy(tensor, source)

    monkeypatch.setattr(torch.Tensor, "copy_", slow)
    trainer.progress.totals[:3] += 1
    assert [trainer.progress.glance() for _ in range(3)] == [known] * 3


@pytest.mark.parametrize("form", ["bounded", "printed", "reversed"])
def test_diagonality_is_added_with_its_weight(config, form):
    options = {"num_classes": 10, "depth": 4, "attention_layers": [0, 2]}
    config = config.override(model_options=options, diagonality_form=form)
    plain, with_loss = (Trainer(config.override(diagonality=weight), load("digits"), torch.device("cpu"))
                        for weight in (0.0, 0.7))
    images, targets = torch.randn(3, 1, 8, 8), torch.eye(10)[:3]
    for trainer in (plain, with_loss):
        trainer.model.eval()
    _, maps = plain.model(images, return_attention=True)
    mean = (diagonality_loss(maps[1], form) + diagonality_loss(maps[3], form)) / 2  # of the less-attention layers
    want = plain.objective(images, targets)[0] + 0.7 * mean
    torch.testing.assert_close(with_loss.objective(images, targets)[0], want)


def test_of_stages_the_square_maps_count():
    assert list(create_model("lavit_nano").map_losses) == [2, 3, 5, 6, 7, 9]  # the first stage has fewer keys


@pytest.mark.parametrize("options, message", [
    ({"diagonality": 0.1}, "diagonality=0.1.*none of the model's mixers"), ({"diagonality": -1.0}, "diagonality=-1.0"),
    ({"patch_dropout": (0.5,), "model_options": {"attention_layers": [0]}},
     r"patch_dropout=\(0.5,\) and model=.*LessAttention needs every patch"),
])
def test_what_less_attention_cannot_do_is_named(config, options, message):
    with pytest.raises(ValueError, match=message):
        Trainer(config.override(**{"model_options": {}} | options), load("digits"), torch.device("cpu"))


def test_without_test_images_some_must_be_held_out(config, tmp_path):
    digits = load("digits")
    untested = replace(digits, test=digits.test.subset([]))
    with pytest.raises(ValueError, match="digits has no test images; hold out some"):
        train(config, tmp_path / "run", dataset=untested, progress=False)
    with pytest.raises(ValueError, match="digits has no test images to measure"):
        evaluate(Trainer(config.override(held_out_images=7), untested, torch.device("cpu")).model, untested)
