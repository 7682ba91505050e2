import json
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from minivit.__main__ import main
from minivit.bench.plan import evaluations, plan
from minivit.data import load
from minivit.data.augment import on_device
from minivit.models import create_model
from minivit.training import Trainer, load_config

RECIPES = Path(__file__).parents[2] / "recipes"
DIGITS = {"batch_size": 40, "model_options": {"dim": 48, "depth": 3, "num_heads": 3, "patch_size": 2}}
KINDS = [{}, {"recompute": True, "optimizer": "adamw"}, {"accumulate": 2}, {"precision": "bfloat16", "ema_decay": None},
         {"patch_dropout": (0.5, 0.25), "mixup": 0.0},
         {"diagonality": 0.5, "model_options": DIGITS["model_options"] | {"attention_layers": [0]}}]


@pytest.fixture(scope="module")
def small():
    return load_config(RECIPES / "imagenet_vit_tiny_plain.py").override(model_options={"dim": 24, "depth": 2})


def test_the_numbers_of_a_run_on_imagenet(small):
    got = plan(small, gpus=8, images_per_second=3000, decode_per_core=180, cores=96, price=2.5, watts=700)
    assert (got["steps_per_epoch"], got["steps"]) == (1251, 300 * 1251)
    assert got["images_per_second"] == {"run": 96 * 180, "gpus": 24_000, "decoding": 96 * 180}
    assert got["bottleneck"] == "decoding" and got["gpus_wait"] == pytest.approx(1 - 17_280 / 24_000)
    training_h, evaluation_h = 300 * 1251 * 1024 / 17_280 / 3600, 300 * 50_000 / 17_280 / 3600
    assert got["hours"] == pytest.approx({"training": training_h, "evaluation": evaluation_h,
                                          "total": training_h + evaluation_h})
    assert got["cost"] == pytest.approx(8 * 2.5 * got["hours"]["total"])
    assert got["energy_kwh"] == pytest.approx(8 * 0.7 * got["hours"]["total"])
    assert got["flops_per_gpu"] == pytest.approx(6 * got["macs"] * 17_280 / 8)
    assert got["precision"] == "bfloat16"
    assert got["memory_bytes"]["weights"] == pytest.approx(4 * got["params"], rel=1e-3)


def test_without_cores_the_gpus_decide_and_evaluation_is_a_forward_pass(small):
    got = plan(small.override(epochs=30), images_per_second=100)
    assert got["images_per_second"] == {"run": 100, "gpus": 100, "decoding": None}
    assert got["bottleneck"] == "gpus" and got["gpus_wait"] == 0 and got["cost"] is None
    assert got["hours"]["evaluation"] == pytest.approx(30 * 50_000 / 300 / 3600)


def test_images_in_memory_are_not_decoded(config):
    got = plan(config.override(held_out_images=17, evaluate_every=2), images_per_second=100, decode_per_core=3, cores=2)
    assert got["images_per_second"]["decoding"] is None and got["bottleneck"] == "gpus"
    assert (got["steps"], got["evaluations"]) == (6, 1)
    assert got["hours"]["evaluation"] == pytest.approx(17 / 300 / 3600)


@pytest.mark.parametrize("every, times", [(1, 5), (2, 3), (7, 1), ("10s", 3), ("25s", 1), ("1s", 5)])
def test_how_often_a_run_is_evaluated(config, every, times):
    assert evaluations(config.override(epochs=5, evaluate_every=every), training_s=25) == times


def measured(config):
    """Return the most bytes that torch's allocator hands out in a step, and what stands before it."""
    trainer = Trainer(config.override(model_options={"num_classes": 10}), load("digits"), torch.device("cpu"))
    trainer.model.train()
    batch = trainer.images.images[:config.batch_size], trainer.images.labels[:config.batch_size]
    trainer.train_step(*batch)
    trainer.prepare_step()
    trainer.set_patch_dropout(min(config.patch_dropout))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        trainer.take_step(*batch)
    now = peak = 0
    for event in sorted(seen.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak + sum(tensor.nbytes for tensor in trainer.take_step.tensors())


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_memory_is_that_of_a_step_to_a_tenth(config, options):
    config = config.override(**DIGITS).override(**options)
    got = plan(config, images_per_second=100)["memory_bytes"]
    assert got["total"] == pytest.approx(measured(config), rel=0.1)
    assert got["total"] == sum(n for name, n in got.items() if name != "total")


def test_gpus_share_what_a_step_keeps_and_nothing_else(small):
    one, four = (plan(small.override(batch_size=64), images_per_second=100, gpus=gpus)["memory_bytes"]
                 for gpus in (1, 4))
    assert [one[name] == four[name] for name in ("weights", "gradients", "optimizer")] == [True] * 3
    assert four["activations"] == pytest.approx(one["activations"] / 4, rel=0.15)


def test_nothing_without_numbers_is_left_behind(config):
    state = torch.get_rng_state()
    plan(config, images_per_second=100)
    assert torch.equal(torch.get_rng_state(), state) and on_device.cache_info().currsize == 0
    create_model("vit_nano_patch4_32")(torch.zeros(1, 3, 32, 32))


def test_the_command_prints_a_table_or_one_json_object(capsys):
    arguments = ["plan", str(RECIPES / "imagenet_vit_tiny_cb.py"), "model_options.depth=2", "--gpus", "4",
                 "--images-per-second", "3000", "--decode-per-core", "180.5", "--cores", "7", "--price", "2.5"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bottleneck"] == "decoding"
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "decoding: GPUs wait 89 % of the time" in told
    assert "- each of 7 cores decodes 180.5 images/s, as given" in told
    assert max(map(len, told.splitlines())) <= 120


@pytest.mark.parametrize("arguments, message", [
    (["--gpus", "3"], "batch_size=1024 can't be split into 3 equal parts"),
    (["--gpus", "0"], "gpus=0 must be at least 1"),
    (["--images-per-second", "0"], "images_per_second=0 must be a finite number larger than 0"),
    (["--images-per-second", "fast"], "images_per_second='fast' has the wrong type"),
    (["--cores", "96"], "decode_per_core=None and cores=96 go together"),
    (["--price", "-1"], "price=-1"),
    (["epochs=0"], "epochs=0 must be at least 1"),
    (["gpus=8"], "gpus=8 is not an option of a run's configuration"),
])
def test_a_mistake_is_one_line(arguments, message, capsys):
    assert main(["plan", str(RECIPES / "imagenet_vit_tiny_plain.py"), "--images-per-second", "100", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("minivit: error: ") and captured.err.count("\n") == 1
    assert message in captured.err and not captured.out
