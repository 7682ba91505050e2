"""What executing a notebook returns: its outputs, its cost, and where it stopped."""

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from tools.budget import MOST_CPU_OF_PROCESSES_S, Cost
from tools.execute import LIMIT_TIME_S, Execution, execute, execute_all


def test_a_widget_leaves_its_other_forms(write_notebook):
    bundle = "{'application/vnd.jupyter.widget-view+json': {'model_id': 'a'}, 'text/html': '<b>frames</b>'}"
    path = write_notebook("one", f"from IPython.display import display\ndisplay({bundle}, raw=True)",
                          "import ipywidgets; ipywidgets.IntSlider();")
    execution = execute(path)
    assert execution.error is None
    assert execution.notebook.cells[1].outputs[0].data == {"text/html": "<b>frames</b>"}
    assert "widgets" not in execution.notebook.metadata


def test_an_error_is_told_with_its_cell_and_traceback_whatever_was_stored_below_it(write_notebook):
    path = write_notebook("bad", "x = 7", "assert x == 11, 'seven is not eleven'", "print(x)")
    stored = nbformat.read(path, as_version=4)
    for count, cell in enumerate(stored.cells[1:], 1):
        cell.execution_count = count
    nbformat.write(stored, path)
    error = execute(path).error
    for part in ("cell 3 of 4", "assert x == 11", "AssertionError: seven is not eleven"):
        assert part in error


@pytest.mark.parametrize(("cpu_s", "memory_gb", "error", "ending"), [
    (14, 1.1, None, "14.0 CPU s   1.1 GB"),
    (16, 1.1, None, "over its budget of 15 CPU seconds and 1.5 GB"),
    (14, 1.6, None, "over its budget of 15 CPU seconds and 1.5 GB"),
    (16, 1.1, "cell 2", "failed"),
])
def test_a_line_says_what_it_cost_and_whether_that_is_too_much(cpu_s, memory_gb, error, ending):
    text = "**It takes** an hour. Running it takes 15 CPU seconds and 1.5 GB of memory."
    notebook = new_notebook(cells=[new_markdown_cell(text)])
    assert str(Execution(notebook, Cost(cpu_s, memory_gb), error)).endswith(ending)


def test_the_clock_leaves_time_for_a_busy_machine():
    assert LIMIT_TIME_S >= 3 * MOST_CPU_OF_PROCESSES_S


def test_cost_counts_what_a_notebook_runs_what_that_starts_and_what_it_holds(write_notebook):
    busy = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    path = write_notebook("one", busy, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])",
                          "held = bytearray(700_000_000)")
    [(_, execution)] = execute_all([path], jobs=1)
    assert execution.cost.cpu_s >= 1 and 0.7 <= execution.cost.memory_gb < 0.9
