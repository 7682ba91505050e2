"""What keeps a notebook from becoming a page."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.notebooks import notebook_paths, stored_problem

ERROR = new_output("error", ename="ValueError", evalue="no", traceback=[])


def cell(count, *outputs, tags=(), source="1"):
    return new_code_cell(source, execution_count=count, outputs=list(outputs), metadata={"tags": list(tags)})


@pytest.mark.parametrize(("cells", "problem"), [
    ([cell(1), cell(2)], None),
    ([cell(1), cell(None, source=" \n"), cell(None, tags=["skip-execution"]), cell(2)], None),
    ([cell(1), cell(2, ERROR, tags=["raises-exception"])], None),
    ([cell(1), cell(None)], "cell 3 has not been executed"),
    ([cell(2), cell(3)], "cell 2 was executed as number 2, but should be number 1"),
    ([cell(1), cell(2, ERROR)], "cell 3 contains an error"),
    ([], "it has no code"),
])
def test_stored_outputs_are_those_of_one_run_from_top_to_bottom(tmp_path, cells, problem):
    path = tmp_path / "n.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), *cells]), path)
    assert stored_problem(path) == problem


def test_a_merge_with_conflicts_is_told(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text("<<<<<<< HEAD\n{}\n", encoding="utf-8")
    assert "not JSON" in stored_problem(path)


def test_notebooks_are_listed_in_order_and_without_the_editors_copies(root, write_notebook):
    paths = [write_notebook(name) for name in ("two", "one")]
    copy = root / "book" / ".ipynb_checkpoints" / "one-checkpoint.ipynb"
    copy.parent.mkdir()
    copy.write_text("{}", encoding="utf-8")
    assert notebook_paths(root) == paths[::-1]
