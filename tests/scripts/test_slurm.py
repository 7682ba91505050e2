"""The SLURM launcher for real: two nodes on this machine, a signal before the limit, and the queue again."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minivit.training import read_record
from tests.training.test_launch import RECIPE, wait_for

ROOT = Path(__file__).parents[2]
TOOLS = ["slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "munged", "setpriv"]
EPOCHS = 60
CONFIG = """
ClusterName=test
SlurmUser=root
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
ReturnToService=2
MpiDefault=none
KillWait=20
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{nodes}] CPUs={cpus}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def why_not():
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurmctld slurmd slurm-client munge)"
    return "SLURM's daemons need root" if os.geteuid() else ""


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]


def free_ports(number):
    """Return the first of this many consecutive ports that are free."""
    for first in random.sample(range(17001, 20000, number), 100):  # another test may look at the same time
        try:
            for port in range(first, first + number):
                with socket.socket() as free:
                    free.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


class Cluster:
    """Two nodes on this machine, in a folder, with daemons of their own that stay in the foreground."""

    def __init__(self, folder):
        self.folder, self.daemons = folder, []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        self.environment |= {"SLURM_CONF": str(folder / "slurm.conf"), "PYTHON": sys.executable,
                             "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def start(self):
        port = free_ports(4)
        self.environment["MASTER_PORT"] = str(port + 3)  # the first job of every cluster is number 1
        (self.folder / "state").mkdir()
        (self.folder / "slurm.conf").write_text(CONFIG.format(
            host=socket.gethostname().partition(".")[0], folder=self.folder, controller=port,
            nodes=f"{port + 1}-{port + 2}", cpus=os.cpu_count()), encoding="utf-8")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.daemon("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self.folder}/munge.socket",
                    f"--pid-file={self.folder}/munge.pid", f"--log-file={self.folder}/munge.log",
                    f"--seed-file={self.folder}/munge.seed")
        self.wait(lambda: (self.folder / "munge.socket").exists(), "munged")
        self.daemon("slurmctld", "-D")
        for node in ("n1", "n2"):
            self.daemon("slurmd", "-D", "-N", node)
        self.wait(lambda: self.ask("sinfo", "--noheader", "--format=%t %D", check=False).strip() == "idle 2", "nodes")

    def daemon(self, *command):
        log = open(self.folder / f"{len(self.daemons)}_{command[0]}.out", "w", encoding="utf-8")  # noqa: SIM115
        with log:
            command = ["setpriv", "--pdeathsig", "KILL", *command]  # nor do they outlive tests that are killed
            self.daemons.append(subprocess.Popen(command, stdout=log, stderr=log, env=self.environment,
                                                 start_new_session=True))

    def ask(self, *command, check=True):
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=self.environment, cwd=ROOT,
                              timeout=60)
        assert not check or done.returncode == 0, (command, done.stderr)
        return done.stdout

    def wait(self, until, what, seconds=120):
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"{what}: {self.logs()}"
            time.sleep(0.2)

    def state(self, job):
        return re.search(r"JobState=(\w+)", self.ask("scontrol", "show", "job", job))[1]

    def logs(self):
        return "\n".join(f"{path.name}: {path.read_text(encoding='utf-8', errors='replace')[-1500:]}"
                         for path in sorted(self.folder.glob("*.out")) + sorted(self.folder.glob("*.log")))

    def stop(self):
        """End the jobs, then the daemons, whatever state they are in; a job's steps are none of our children."""
        try:
            for job in self.ask("squeue", "--noheader", "--format=%i", check=False).split():
                self.ask("scancel", job, check=False)
            self.wait(lambda: not self.ask("squeue", "--noheader", check=False).strip(), "jobs", seconds=30)
        finally:
            for sent in (signal.SIGTERM, signal.SIGKILL):
                for daemon in reversed(self.daemons):
                    if daemon.poll() is None:
                        daemon.send_signal(sent)
                end = time.monotonic() + 10
                while any(daemon.poll() is None for daemon in self.daemons) and time.monotonic() < end:
                    time.sleep(0.1)


@pytest.fixture
def cluster():
    folder = Path(subprocess.run(["mktemp", "-d", "/tmp/slurm.XXXXXX"], capture_output=True, text=True, check=True,
                                 encoding="utf-8").stdout.strip())  # a socket's path may have 107 characters
    folder.chmod(0o755)
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        try:
            cluster.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def submit(cluster, tmp_path, *options, epochs=EPOCHS):
    recipe, out, log = tmp_path / "recipe.py", tmp_path / "run", tmp_path / "job.log"
    recipe.write_text(RECIPE.format(epochs=epochs), encoding="utf-8")
    told = cluster.ask("sbatch", "--parsable", "--gpus-per-node=0", "--ntasks-per-node=1", "--cpus-per-task=1",
                       "--time=10", f"--output={log}", *options, "scripts/slurm.sbatch", str(recipe), "--data",
                       str(tmp_path), "--out", str(out), "--device", "cpu")
    return told.strip(), out, log


def ends_whole(cluster, job, out, log, times):
    cluster.wait(lambda: cluster.state(job) not in ("RUNNING", "PENDING", "REQUEUED", "COMPLETING"), "the job", 180)
    said = log.read_text(encoding="utf-8")
    assert cluster.state(job) == "COMPLETED", said
    run, history = read_record(out)
    assert [epoch["epoch"] for epoch in history] == list(range(1, EPOCHS + 1)), said
    assert len(run["resumed"]) == times, said
    assert not list(out.glob(".stopped*"))
    return said


@pytest.mark.parametrize("batch", [False, True], ids=["to the processes", "to the script"])
def test_a_job_that_is_told_saves_and_goes_on_when_it_is_queued_again(cluster, tmp_path, batch):
    job, out, log = submit(cluster, tmp_path)
    wait_for(out, 2)
    cluster.ask("scancel", "--signal=USR1", *["--batch"] * batch, job)  # as --signal=B:USR1@120 does, with --batch
    cluster.wait(lambda: cluster.state(job) == "PENDING", "the queue")
    assert (out / "checkpoint.pt").exists() and len(read_record(out)[1]) < EPOCHS
    time.sleep(2)  # a node refuses a job that starts in the second it was ended in, by the clock's whole seconds
    cluster.ask("scontrol", "update", f"JobId={job}", "StartTime=now")  # a job that is queued again waits 120 s
    said = ends_whole(cluster, job, out, log, times=1)
    assert said.count("stopped by SIGUSR1 and saved") == 1 and said.count("is queued again") == 1


def test_before_its_time_limit_a_job_saves_and_is_queued_again(cluster, tmp_path):
    """SLURM counts a limit in minutes and looks every 30 s or so: the signal comes up to a minute early."""
    begun = time.monotonic()
    job, out, log = submit(cluster, tmp_path, "--time=2", "--signal=B:USR1@50", epochs=100_000)
    wait_for(out, 2)
    cluster.wait(lambda: cluster.state(job) == "PENDING", "the queue")
    assert time.monotonic() - begun < 120, "the limit itself ended it"
    said = log.read_text(encoding="utf-8")
    assert said.count("stopped by SIGUSR1 and saved") == 1 and said.count("is queued again") == 1
    assert (out / "checkpoint.pt").exists() and len(read_record(out)[1]) >= 2


def is_second(path, out):
    """Say whether this is the run's second process."""
    try:
        words, environment = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
    except OSError:  # it has ended meanwhile
        return False
    return words.startswith(sys.executable.encode()) and str(out).encode() in words and b"\0RANK=1\0" in environment


def test_a_process_that_is_killed_is_started_again_in_the_same_job(cluster, tmp_path):
    job, out, log = submit(cluster, tmp_path)
    wait_for(out, 2)
    python = [path for path in Path("/proc").glob("[0-9]*") if is_second(path, out)]
    os.kill(int(python[-1].name), signal.SIGKILL)
    said = ends_whole(cluster, job, out, log, times=1)
    assert said.count("restarting all (3 restarts left)") == 1


def test_a_job_that_is_cancelled_saves_and_is_not_queued_again(cluster, tmp_path):
    job, out, log = submit(cluster, tmp_path)
    wait_for(out, 2)
    cluster.ask("scancel", job)
    cluster.wait(lambda: cluster.state(job) == "CANCELLED", "the job")
    cluster.wait(lambda: "saved" in log.read_text(encoding="utf-8"), "the word", 30)
    assert len(read_record(out)[1]) < EPOCHS
