"""Binder's and JupyterHub's one file each: what can be checked of them without Docker and without a hub."""

import re
import subprocess

import nbformat
import pytest
from traitlets.config.loader import PyFileConfigLoader

from tools.budget import declared
from tools.notebooks import in_order
from tools.paths import ROOT

DOCKERFILE = (ROOT / "binder" / "Dockerfile").read_text(encoding="utf-8")
HUB = ROOT / "course" / "hub" / "jupyterhub_config.py"
HOSTS = re.compile(r"\b[\w-]+\.(?:org|com|io|net|dev)\b")


@pytest.fixture
def spawner():
    return PyFileConfigLoader(HUB.name, path=str(HUB.parent)).load_config().Spawner


def test_binder_takes_one_file_whose_address_is_given_in_one_line():
    instructions = re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, re.MULTILINE)
    assert {word for word, _ in instructions} == {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "CMD"}
    assert [value for word, value in instructions if "TORCH_CPU" in value and word == "ARG"] == ["TORCH_CPU="]
    assert instructions[0] == ("FROM", "python:3.11-slim") and instructions[-1][0] == "CMD"
    assert [path.name for path in (ROOT / "binder").iterdir()] == ["Dockerfile"]
    assert not [name for name in ("runtime.txt", "environment.yml", ".binder") if (ROOT / name).exists()]


def test_binder_runs_modules_that_exist_and_its_user_owns_what_it_writes_to():
    for module in re.findall(r"python -m tools\.(\w+)", DOCKERFILE):
        assert (ROOT / "tools" / f"{module}.py").exists()
    owned, user = DOCKERFILE.index("chown -R ${NB_UID} ${HOME}"), DOCKERFILE.index("USER ${NB_USER}")
    assert DOCKERFILE.index("tools.install") < owned < user < DOCKERFILE.index("tools.work")


@pytest.mark.parametrize("text", [DOCKERFILE, HUB.read_text(encoding="utf-8")], ids=["binder", "hub"])
def test_no_index_is_named(text):
    assert set(HOSTS.findall(text)) <= {"mybinder.org"}


def test_a_student_may_use_what_the_chapters_declare_and_some_more(spawner):
    most = max(declared(nbformat.read(path, as_version=4)).memory_gb for _, path in in_order())
    assert most < float(spawner.mem_limit.removesuffix("G")) <= 2 * most
    assert spawner.cpu_limit >= int(spawner.environment["OMP_NUM_THREADS"])


def test_a_server_starts_with_the_learners_copies_renewed(spawner, tmp_path):
    shell, option, start, book = spawner.cmd
    assert book == str(ROOT) and not set("{}%") & set(start), "the spawner or systemd would fill these in"
    (tmp_path / "book" / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "jupyterhub-singleuser"):
        program = tmp_path / "book" / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} in "${{PWD##*/}}": "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    (tmp_path / "ada").mkdir()
    said = subprocess.run([shell, option, start, str(tmp_path / "book"), "--port=8001", "a b"], check=True,
                          env={"HOME": str(tmp_path / "ada"), "PATH": "/usr/bin:/bin"}, capture_output=True,
                          encoding="utf-8").stdout.splitlines()
    assert said == [f"python in book: -m tools.work --built {tmp_path}/ada/chapters",
                    "jupyterhub-singleuser in ada: --port=8001 a b"]


def test_the_commands_in_the_hubs_head_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    head = HUB.read_text(encoding="utf-8").partition('"""\n\nfrom')[0]
    for target in re.findall(r"make (?:TORCH_CPU=PLACE )?([a-z]+)", head):
        assert f"\n{target}: " in makefile, target
    assert str(HUB.relative_to(ROOT)) in head
