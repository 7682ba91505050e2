"""A notebook declares what it may cost, and the test that `make test` adds to it fails at twice that."""

import subprocess
import sys

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import budget
from tools.budget import Cost, budget_of, cost_of_kernel, declare, declared, most
from tools.paths import ROOT


def notebook(*texts, tags=()):
    return new_notebook(cells=[*map(new_markdown_cell, texts), new_code_cell("1", metadata={"tags": list(tags)})])


@pytest.mark.parametrize(("before", "after"), [
    ("**It takes** about 30 minutes.", "**It takes** about 30 minutes.\nSENTENCE"),
    ("**It takes** an hour,\nand more with the exercises. A pause is good.\n\nNext.",
     "**It takes** an hour,\nand more with the exercises.\nSENTENCE\nA pause is good.\n\nNext."),
    ("**It takes** an hour.\nA pause is good.", "**It takes** an hour.\nSENTENCE\nA pause is good."),
    ("You need a pen. **It takes** an hour.\n\nNext.", "You need a pen. **It takes** an hour.\nSENTENCE\n\nNext."),
])
def test_a_budget_is_written_rounded_up_after_the_reading_time(before, after):
    chapter = notebook("# A title", before)
    assert declared(chapter) is None
    declare(chapter, Cost(10.1, 1.2))
    sentence = "Running it takes 15 CPU seconds and 1.5 GB of memory."
    assert chapter.cells[1].source == after.replace("SENTENCE", sentence)
    assert declared(chapter) == budget_of(chapter) == Cost(15, 1.5)


def test_a_notebook_whose_opening_gives_no_time_is_told_to():
    with pytest.raises(ValueError, match="must say how long it takes"):
        declare(notebook("# A title"), Cost(10.1, 1.2))


def test_until_it_is_measured_a_notebook_may_take_the_most_which_is_more_where_a_cell_starts_processes():
    assert budget_of(notebook("# A title")) == most(notebook()) == Cost(40, 2)
    assert most(notebook(tags=["processes"])) == Cost(80, 2)


@pytest.mark.parametrize(("cost", "times", "exceeds"), [
    (Cost(30, 2), 2, False), (Cost(31, 2), 2, True), (Cost(30, 2.1), 2, True), (Cost(16, 0.5), 1, True),
])
def test_either_time_or_memory_can_exceed_a_budget(cost, times, exceeds):
    assert cost.exceeds(Cost(15, 1), times) == exceeds


def test_a_kernel_says_what_it_has_cost():
    manager, client = start_new_kernel()
    try:
        first = cost_of_kernel(client, timeout_s=60)
        client.execute_interactive("held = bytearray(700_000_000); import time\n"
                                   "while time.process_time() < 2: pass", output_hook=lambda message: None)
        second = cost_of_kernel(client, timeout_s=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert 0 < first.cpu_s < second.cpu_s and second.cpu_s >= 2
    assert first.memory_gb < 0.5 < 0.7 < second.memory_gb  # whatever this process holds


@pytest.mark.parametrize(("held_mb", "passed"), [(100, True), (1100, False)])
def test_a_notebook_over_twice_its_budget_fails(tmp_path, held_mb, passed):
    chapter = notebook("**It takes** an hour. Running it takes 40 CPU seconds and 0.5 GB of memory.")
    chapter.cells[-1].source = f"held = bytearray({held_mb}_000_000)"
    nbformat.write(chapter, tmp_path / "one.ipynb")
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "no:cacheprovider", "-o", f"pythonpath={ROOT}", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert ("2 passed" if passed else "1 failed, 1 passed") in done.stdout
    assert (f"more than {budget.ENFORCED} times its budget of 40 CPU seconds and 0.5 GB" in done.stdout) != passed
