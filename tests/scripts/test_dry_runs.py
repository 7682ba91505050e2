"""What the launchers would start, and what they say of wrong input."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
RECIPE = str(SCRIPTS.parent / "recipes" / "cifar100_vit_nano.py")
LAUNCHERS = ["torchrun.sh", "slurm.sbatch"]


def call(script, *arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "MINIVIT"))}
    done = subprocess.run(["bash", str(SCRIPTS / script), *arguments], capture_output=True, text=True, encoding="utf-8",
                          env=clean | {"PYTHON": sys.executable} | environment)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("path", sorted(SCRIPTS.iterdir()), ids=lambda path: path.name)
def test_bash_understands_it(path):
    subprocess.run(["bash", "-n", path], check=True)


def test_torchrun(tmp_path):
    out = tmp_path / "a place"
    code, told, wrong = call("torchrun.sh", "--processes", "3", "--restarts", "5", "--dry-run", RECIPE, "--data",
                             str(tmp_path), "--out", str(out), "optimizer.learning_rate=1e-3")
    assert (code, wrong) == (0, "")
    assert shlex.split(told) == [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3", "--max-restarts", "5",
        "--signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1", "-m", "minivit", "train", RECIPE, "--data",
        str(tmp_path), "--out", str(out), "optimizer.learning_rate=1e-3", "--resume"]
    assert told.count("\n") == 1 and not out.exists()


@pytest.mark.parametrize(("job", "nodes", "tasks", "cores"), [
    ({}, "2", "8", "12"),  # what the file itself asks for
    (dict(SLURM_JOB_ID="7", SLURM_SUBMIT_DIR=str(SCRIPTS.parent), SLURM_JOB_NUM_NODES="5", SLURM_NTASKS_PER_NODE="3",
          SLURM_CPUS_PER_TASK="11"), "5", "3", "11")])
def test_slurm(tmp_path, job, nodes, tasks, cores):
    code, told, wrong = call("slurm.sbatch", "--dry-run", RECIPE, "--resume", "--out=run", MINIVIT_DATA=str(tmp_path),
                             **job)
    assert (code, wrong) == (0, "")
    assert shlex.split(told) == [
        "srun", f"--nodes={nodes}", f"--ntasks-per-node={tasks}", f"--cpus-per-task={cores}", "--kill-on-bad-exit=1",
        str(SCRIPTS / "slurm_task.sh"), sys.executable, "-m", "minivit", "train", RECIPE, "--resume", "--out=run"]


@pytest.mark.parametrize("script", LAUNCHERS)
@pytest.mark.parametrize(("arguments", "reason"), [
    ([], "no recipe: use: "),
    (["--dry-run"], "no recipe: use: "),
    (["none.py"], "recipe none.py is not a file; use: "),
    (["--nodes", "2", RECIPE], "unknown option --nodes; use: "),
    (["--restarts", "often", RECIPE], "--restarts often must be a whole number, 0 or more"),
    (["--restarts"], "--restarts needs a value; use: "),
    ([RECIPE, "--out", "run"], "no data: give --data DIR, or set MINIVIT_DATA"),
    ([RECIPE, "--out", "run", "--data", "no folder"], "data no folder is not a folder"),
    ([RECIPE, "--data", "."], "no folder for the run: give --out DIR"),
    ([RECIPE, "--data", ".", "--out", "run", "--dry-run"], "--dry-run must come before the recipe; use: "),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_is_told_in_a_line(script, arguments, reason):
    code, told, wrong = call(script, *arguments)
    assert (code, told) == (2, "") and wrong.startswith(f"{script}: error: {reason}") and wrong.count("\n") == 1


@pytest.mark.parametrize("script", LAUNCHERS)
def test_an_option_that_the_command_does_not_know(script, tmp_path):
    code, told, wrong = call(script, "--dry-run", RECIPE, "--data", str(tmp_path), "--out", "run", "--speed", "9")
    assert (code, told) == (2, "") and "error: unrecognized arguments: --speed 9" in wrong


def test_slurm_says_how_it_is_started(tmp_path):
    given = [RECIPE, "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    code, _, wrong = call("slurm.sbatch", *given)
    assert code == 2 and "this is not a job: start it with sbatch, or with --dry-run" in wrong
    code, _, wrong = call("slurm.sbatch", *given, SLURM_JOB_ID="7", SLURM_SUBMIT_DIR=str(tmp_path))
    assert code == 2 and "start sbatch in the repository's folder" in wrong
    assert not (tmp_path / "run").exists()


def test_without_the_environment_that_make_makes(tmp_path):
    code, _, wrong = call("torchrun.sh", RECIPE, "--data", str(tmp_path), "--out", "run", PYTHON="no-python")
    assert code == 2 and wrong.startswith("torchrun.sh: error: PYTHON=no-python does not exist")
