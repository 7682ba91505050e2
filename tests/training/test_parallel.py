import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch

from minivit.data import load
from minivit.training import Config, Trainer, parallel
from minivit.training import trainer as module
from minivit.training.data import fit_classes
from tests.folders import write_images

EVERYTHING = {"batch_size": 40, "augmentation": "randaugment", "mixup": 0.2, "cutmix": 1.0,
              "patch_dropout": (0.25, 0.0)}
KINDS = [EVERYTHING, EVERYTHING | {"optimizer": "adamw", "augmentation": "trivialaugment", "cutmix": 0.0,
                                   "crop": "random_resized"},
         {"batch_size": 39, "mixup": 0.0, "cutmix": 0.0, "model_options": {"attention_layers": [0]},
          "diagonality": 0.5},
         EVERYTHING | {"patch_dropout": (0.25,), "epochs": 1, "compile": "default", "recompute": True}]


def in_float64(create):
    return lambda *arguments: create(*arguments).double()


def traced_alone(compile_function):
    """Compile without generating code, which takes a minute."""
    return lambda f, **options: compile_function(f, backend="eager", fullgraph=True, dynamic=False)


def run(config, monkeypatch=None, dtype="float64", root=None):
    """Train for the epochs of a configuration, here; return the weights, the mean loss after each step, the metrics."""
    if dtype == "float64":
        create = module.create_first_model
        if monkeypatch:
            monkeypatch.setattr(module, "create_first_model", in_float64(create))
        else:
            module.create_first_model = in_float64(create)
    dataset = load(config.dataset, root, **config.dataset_options)
    trainer = Trainer(fit_classes(config, dataset), dataset, torch.device("cpu"))
    trainer.prepare()
    losses = []
    for _ in range(config.epochs):
        trainer.train_epoch(lambda n: losses.append(trainer.progress.read()[0]))
        trainer.finish_epoch(lambda: None)
    weights = b"".join(p.detach().numpy().tobytes() for p in trainer.model.parameters())
    assert len(set(parallel.gather(weights))) == 1, "the processes have different weights"
    return trainer.best_model.state_dict(), losses, trainer.history


def work(path):
    """What each of the processes does."""
    with open(path, encoding="utf-8") as file:
        options = json.load(file)
    torch.compile = traced_alone(torch.compile)
    parallel.join(torch.device("cpu"))
    result = run(Config.from_dict(options["config"]), dtype=options["dtype"], root=options["root"])
    if parallel.is_first():
        torch.save(result, path + ".pt")
    parallel.leave()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def start_all(number, code, *arguments):
    """Start processes as a launcher does."""
    common = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": str(number),
                           "OMP_NUM_THREADS": "1"}
    return [subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, encoding="utf-8", env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
            for rank in range(number)]


def start(number, code, *arguments):
    """Start processes, and return the output and the exit status of each."""
    processes = start_all(number, code, *arguments)
    told = [process.communicate(timeout=120)[0] for process in processes]
    return told, [process.returncode for process in processes]


def run_apart(number, config, folder, dtype="float64", root=None):
    path = folder / "work.json"
    path.write_text(json.dumps({"config": asdict(config), "dtype": dtype, "root": root and str(root)}),
                    encoding="utf-8")
    told, codes = start(number, "import sys; from tests.training.test_parallel import work; work(sys.argv[1])",
                        str(path))
    assert codes == [0] * number, told
    return torch.load(f"{path}.pt")


def assert_alike(result, other, tolerance):
    weights, others = result[0], other[0]
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        worst = (weight - others[name]).norm() / weight.norm().clamp(min=1e-9)
        assert worst < tolerance, (name, worst)
    assert_same_course(result, other)


def assert_same_course(result, other):
    (_, losses, history), (_, other_losses, other_history) = result, other
    assert losses == pytest.approx(other_losses, abs=1e-5)
    for one, two in zip(history, other_history, strict=True):
        assert {k: v for k, v in one.items() if "test_top" in k} == {k: v for k, v in two.items() if "test_top" in k}


@pytest.mark.parametrize("options", KINDS, ids=["muon", "adamw", "less attention", "compiled"])
def test_two_processes_repeat_one(config, options, monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "compile", traced_alone(torch.compile))
    config = config.override(**options)
    number = 3 if config.batch_size % 2 else 2
    assert_alike(run(config, monkeypatch), run_apart(number, config, tmp_path), 1e-9)


def test_processes_repeat_one_with_images_in_files_some_of_them_broken(config, monkeypatch, tmp_path):
    """Random crops, repetitions and replacements are the same; a broken test image is counted by nobody."""
    for paths in write_images(tmp_path / "data", {"train": 101, "val": 103}, "{i}.png").values():
        paths[-1].write_bytes(paths[-1].read_bytes()[:60])
    config = config.override(**EVERYTHING | {"dataset": "imagefolder", "train_images": None, "crop": "random_resized",
                                             "dataset_options": {"image_size": 8}, "model_options.in_channels": 3})
    one, two = run(config, monkeypatch, root=tmp_path / "data"), run_apart(2, config, tmp_path, root=tmp_path / "data")
    assert_alike(one, two, 1e-9)
    hits = one[2][-1]["test_top1"] / 100 * 102
    assert hits == pytest.approx(round(hits), abs=1e-3)


def test_in_float32_two_processes_repeat_one_but_for_the_keys_bias(config, tmp_path):
    # Softmax doesn't see the bias of keys, which adds the same to all scores of a query: its true gradient is zero.
    # What rounding leaves of it is another number each way, and AdamW makes a whole step of that.
    config = config.override(**EVERYTHING, epochs=10)
    result, other = run(config, dtype="float32"), run_apart(2, config, tmp_path, "float32")
    assert_same_course(result, other)
    for bias in (weight for each in (result, other) for name, weight in each[0].items() if name.endswith("qkv.bias")):
        bias.chunk(3)[1].zero_()
    torch.testing.assert_close(result[0], other[0], atol=1e-4, rtol=0)


def test_in_bfloat16_two_processes_repeat_one_but_for_its_rounding(config, tmp_path):
    config = config.override(**EVERYTHING, precision="bfloat16")
    (_, losses, _), (_, other_losses, _) = run(config, dtype="float32"), run_apart(2, config, tmp_path, "float32")
    assert losses == pytest.approx(other_losses, rel=2**-8)


@pytest.mark.parametrize("accumulate", [2, 5])
def test_a_batch_in_parts_is_the_batch(config, accumulate, monkeypatch):
    config = config.override(**EVERYTHING)
    whole = run(config, monkeypatch)
    monkeypatch.undo()
    assert_alike(whole, run(config.override(accumulate=accumulate), monkeypatch), 1e-9)


@pytest.mark.parametrize("batch_size, parts, pairs", [(24, 4, True), (24, 4, False), (21, 3, False), (7, 1, True)])
def test_every_row_is_in_one_part_and_pairs_stay_together(batch_size, parts, pairs):
    shared = parallel.rows_of_parts(batch_size, parts, pairs=pairs)
    assert sorted(torch.cat(shared).tolist()) == list(range(batch_size))
    assert {len(rows) for rows in shared} == {batch_size // parts}
    if pairs:
        assert all(torch.equal(rows.flip(0), batch_size - 1 - rows) for rows in shared)


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan"])
def test_a_timeout_that_is_no_time_is_told(seconds, monkeypatch):
    monkeypatch.setenv("MINIVIT_TIMEOUT_S", seconds)
    with pytest.raises(ValueError, match=f"MINIVIT_TIMEOUT_S='{seconds}' must be a number of seconds"):
        parallel.timeout()


@pytest.mark.parametrize("options, message", [
    ({"batch_size": 41, "accumulate": 2, "mixup": 0.0, "cutmix": 0.0}, "batch_size=41.*multiple of 2.*40 or 42"),
    ({"batch_size": 42, "accumulate": 2}, "batch_size=42.*parts of whole pairs.*multiple of 4.*40 or 44"),
])
def test_a_batch_that_cannot_be_shared_out_says_which_can(config, options, message):
    with pytest.raises(ValueError, match=message):
        Trainer(config.override(**options).override(model_options={"num_classes": 10}), load("digits"),
                torch.device("cpu"))
