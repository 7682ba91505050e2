import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import install
from tools.install import pinned_torch, problem, steps

ROOT = Path(__file__).parents[2]


def write_wheel(folder, version):
    """Write a wheel of a torch that has a version and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"torch-{version}.dist-info"
    files = {"METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
             "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n", "RECORD": ""}
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(f"{info}/{name}", text)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a function that runs a Python module in an environment of its own, in a project that wants torch 2.13.0.

    It returns the exit status, what was printed, and which torch there is then. What pip would fetch from an index lies
    in a folder: 2.13.0, in another build. Beside it lies a folder with builds for a CPU, of this version and a later.
    """
    root = tmp_path_factory.mktemp("a project ü")
    (root / "tools").mkdir()
    (root / "tools" / "install.py").write_bytes((ROOT / "tools" / "install.py").read_bytes())
    (root / "requirements.txt").write_text("torch==2.13.0\n", encoding="utf-8")
    write_wheel(root / "index", "2.13.0")
    for version in ("2.13.0+cpu", "2.14.0+cpu"):
        write_wheel(root / "wheels for a CPU", version)
    subprocess.run([sys.executable, "-m", "venv", root / ".venv"], check=True)

    def run(module, *words):
        names = {"PATH": os.environ["PATH"], "HOME": str(root), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUTF8": "1",
                 "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": (root / "index").as_uri()}
        done = subprocess.run([root / ".venv/bin/python", "-m", module, *words], cwd=root, env=names,
                              capture_output=True, encoding="utf-8")
        (torch,) = [path.name for path in root.glob(".venv/lib/python*/site-packages/torch-*")] or [None]
        return done.returncode, done.stdout + done.stderr, torch
    return run


@pytest.mark.skipif(sys.platform != "linux", reason="torch has a build for a CPU of its own on Linux alone")
def test_the_small_build_is_chosen_kept_and_never_mixed_with_another(project):
    place = ("--torch-cpu", "wheels for a CPU")
    assert project("tools.install", *place) == (0, "", "torch-2.13.0+cpu.dist-info")
    assert project("tools.install") == (0, "", "torch-2.13.0+cpu.dist-info")  # the next command, without the variable
    project("pip", "uninstall", "--yes", "torch")
    assert project("tools.install") == (0, install.NOTICE + "\n", "torch-2.13.0.dist-info")
    status, said, _ = project("tools.install", *place, "--check")
    assert status == 1 and "has torch 2.13.0, not a CPU build: remove that folder" in said


def test_a_folder_and_an_address_are_places_and_the_rest_comes_from_where_it_always_does(tmp_path):
    place = ["--no-index", "--find-links", str(tmp_path)]
    everything = ["--requirement", str(install.REQUIREMENTS)]
    assert steps("2.13.0", "") == [everything]
    assert steps("2.13.0", str(tmp_path)) == [["--no-deps", *place, "torch==2.13.0+cpu"], everything]
    address = "https://wheels.invalid/cpu"
    assert steps("2.13.0", address) == [["--no-deps", "--index-url", address, "torch==2.13.0+cpu"], everything]


def test_a_home_may_be_written_as_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "wheels").mkdir()
    assert steps("2.13.0", "~/wheels")[0][3] == str(tmp_path / "wheels")


def test_what_is_no_place_is_an_error(monkeypatch):
    monkeypatch.setattr(install, "installed_torch", lambda: None)
    assert "must be a folder with wheels of torch, or the address" in problem("wheels-that-are-not-there")


def test_the_version_is_that_of_the_requirements():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert f"\ntorch=={pinned_torch(text)}\n" in text
