"""What executing a notebook returns: its outputs, time and memory, and where it stopped."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.execute import BUDGET_TIME_S, LIMIT_TIME_S, PROCESSES_TIME_S, Execution, budget_time_s, execute


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


def notebook(*tags):
    return new_notebook(cells=[new_code_cell("1"), new_code_cell("2", metadata={"tags": list(tags)})])


def test_the_budget_is_larger_where_a_cell_starts_processes():
    assert (budget_time_s(notebook()), budget_time_s(notebook("processes"))) == (BUDGET_TIME_S, PROCESSES_TIME_S)
    assert LIMIT_TIME_S >= 3 * PROCESSES_TIME_S


@pytest.mark.parametrize(("time_s", "tags", "error", "ending"), [
    (39, [], None, "GB"),
    (41, [], None, "over the budget of 40 s and 2 GB"),
    (41, ["processes"], None, "GB"),
    (83, ["processes"], None, "over the budget of 80 s and 2 GB"),
    (41, [], "cell 2", "failed"),
])
def test_a_line_says_what_it_cost_and_whether_that_is_too_much(time_s, tags, error, ending):
    assert str(Execution(notebook(*tags), time_s, 1.1, error)).endswith(ending)
