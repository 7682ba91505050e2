"""The command in many processes: as torchrun starts it, stopped, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from minivit.training import read_record
from tests.training.test_parallel import free_port, start, start_all

RECIPE = """
def get_config():
    return dict(dataset="digits", model="vit_nano_patch4_32", epochs={epochs}, batch_size=40, optimizer="muon",
                warmup_epochs=0.5, crop_padding=1, mixup=0.2, cutmix=1.0, ema_decay=0.9, train_images=400,
                model_options=dict(image_size=8, patch_size=4, in_channels=1, dim=12, depth=2, num_heads=3,
                                   drop_path=0.1))
"""
TRAIN = "import sys; from minivit.__main__ import main; sys.exit(main(['train', *sys.argv[1:], '--device', 'cpu']))"


@pytest.fixture
def recipe(tmp_path):
    def write(epochs):
        path = tmp_path / "recipe.py"
        path.write_text(RECIPE.format(epochs=epochs), encoding="utf-8")
        return str(path)
    return write


def wait_for(folder, epochs, seconds=60):
    """Wait until this many epochs are recorded."""
    end = time.monotonic() + seconds
    metrics = folder / "metrics.jsonl"
    while not (metrics.exists() and len(metrics.read_text(encoding="utf-8").splitlines()) >= epochs):
        assert time.monotonic() < end, "the run doesn't get on"
        time.sleep(0.05)


def losses(folder):
    return [epoch["train_loss"] for epoch in read_record(folder)[1]]


def test_what_is_wrong_is_told_once(recipe, tmp_path):
    told, codes = start(2, TRAIN, recipe(1), "--out", str(tmp_path / "run"), "optimizer.learning_rate=0")
    assert codes == [1, 1]
    assert "".join(told).count("minivit: error: ") == 1 and "learning_rate=0" in "".join(told)


def test_a_batch_that_cannot_be_shared_out_is_told_before_the_first_step(recipe, tmp_path):
    told, codes = start(3, TRAIN, recipe(1), "--out", str(tmp_path / "run"))
    assert codes == [1] * 3 and "".join(told).count("batch_size=40 can't be split into 3 equal parts") == 1
    assert not (tmp_path / "run" / "run.json").exists()


def test_all_stop_when_one_is_asked_and_one_process_goes_on(recipe, tmp_path):
    path, stopped, whole = recipe(12), tmp_path / "stopped", tmp_path / "whole"
    processes = start_all(2, TRAIN, path, "--out", str(stopped))
    wait_for(stopped, 2)
    processes[1].send_signal(signal.SIGTERM)
    told = "".join(process.communicate(timeout=60)[0] for process in processes)
    assert [process.returncode for process in processes] == [128 + signal.SIGTERM] * 2, told
    assert told.count("stopped by SIGTERM and saved") == 1
    for folder, resume in ((stopped, ["--resume"]), (whole, [])):
        told, codes = start(1, TRAIN, path, "--out", str(folder), *resume)
        assert codes == [0], told
    assert len(losses(stopped)) == 12
    assert losses(stopped) == pytest.approx(losses(whole), abs=1.5e-4)  # they are rounded to four digits


def start_launcher(out, recipe, *options):
    """Start torchrun on a recipe, with its output and that of its workers in one pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--monitor-interval", "0.5", *options, "-m", "minivit", "train",
         recipe, "--out", str(out), "--device", "cpu", "--resume"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        env=os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "OMP_NUM_THREADS": "1"})


def workers_of(launcher):
    told = subprocess.run(["pgrep", "-P", str(launcher.pid)], capture_output=True, text=True, encoding="utf-8")
    return [int(pid) for pid in told.stdout.split()]


@pytest.mark.slow
def test_a_worker_that_is_killed_is_started_again_and_the_run_goes_on(recipe, tmp_path):
    out = tmp_path / "run"
    launcher = start_launcher(out, recipe(40), "--standalone", "--nproc-per-node", "2", "--max-restarts", "2")
    wait_for(out, 3)
    os.kill(workers_of(launcher)[-1], signal.SIGKILL)
    told, _ = launcher.communicate(timeout=180)
    assert launcher.returncode == 0, told[-3000:]
    run, history = read_record(out)
    assert [epoch["epoch"] for epoch in history] == list(range(1, 41)) and len(run["resumed"]) == 1
    assert json.loads((out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])["test_top1"] > 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_workers_end_with_a_launcher_that_is_killed(recipe, tmp_path):
    out = tmp_path / "run"
    launcher = start_launcher(out, recipe(400), "--standalone", "--nproc-per-node", "2")
    wait_for(out, 1)
    workers = workers_of(launcher)
    launcher.kill()
    told, _ = launcher.communicate(timeout=60)  # until the last worker has closed the pipe
    assert len(workers) == 2 and "stopped by SIGTERM and saved" in told


def start_node(out, recipe, port):
    """Start a launcher with a worker, as one of the one or two nodes of a run."""
    return start_launcher(
        out, recipe, "--nnodes", "1:2", "--nproc-per-node", "1", "--max-restarts", "3", "--rdzv-backend", "c10d",
        "--rdzv-id", "two", "--rdzv-endpoint", f"127.0.0.1:{port}", "--local-addr", "127.0.0.1", "--rdzv-conf",
        "last_call_timeout=5,keep_alive_interval=1,keep_alive_max_attempt=3")


@pytest.mark.slow
def test_of_two_nodes_one_is_lost_and_the_other_goes_on(recipe, tmp_path):
    out, path, port = tmp_path / "run", recipe(40), free_port()
    first = start_node(out, path, port)
    time.sleep(1)  # it keeps the rendezvous, so that losing the other one ends nothing
    second = start_node(out, path, port)
    wait_for(out, 3)
    for pid in (second.pid, *workers_of(second)):
        os.kill(pid, signal.SIGKILL)
    second.communicate()
    told, _ = first.communicate(timeout=180)
    assert first.returncode == 0 and "this process lost another one of the run" in told, told[-3000:]
    run, history = read_record(out)
    assert [epoch["epoch"] for epoch in history] == list(range(1, 41)) and len(run["resumed"]) == 1
