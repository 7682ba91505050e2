"""A notebook is executed when it, the package or the pins have changed, and not otherwise; its outputs are stored."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import store
from tools.budget import Cost
from tools.execute import Execution
from tools.notebooks import stored_problem
from tools.store import input_digest, replace, store_all, tidy, with_outputs

BUDGET = "Running it takes 5 CPU seconds and 1 GB of memory."


@pytest.mark.parametrize(
    "changed", ["minivit/a.py", "minivit/b.py", "recipes/r.py", "results/r.json", "requirements.txt"]
)
def test_digest_changes_with_all_that_a_notebook_can_read(root, changed):
    before = input_digest(root)
    (root / changed).write_text("changed\n", encoding="utf-8")
    assert input_digest(root) != before


@pytest.mark.parametrize("changed", ["minivit/__pycache__/a.pyc", "book/chapter.ipynb", "README.md"])
def test_digest_leaves_out_the_rest(root, changed):
    before = input_digest(root)
    (root / changed).parent.mkdir(exist_ok=True)
    (root / changed).write_text("changed\n", encoding="utf-8")
    assert input_digest(root) == before


def test_a_file_that_moves_changes_the_digest(root):
    before = input_digest(root)
    (root / "minivit" / "a.py").rename(root / "minivit" / "b.py")
    assert input_digest(root) != before


def test_executes_in_its_folder_and_stores_what_can_become_a_page(root, write_notebook, capsys):
    path = write_notebook("one", "print(2 * 3)", "import os; print(os.path.basename(os.getcwd()))")
    assert store_all(root, root / "_build", jobs=2)
    assert "1 notebooks, 1 to execute" in capsys.readouterr().out
    cells = nbformat.read(path, as_version=4).cells[1:]
    assert [cell.outputs[0].text for cell in cells] == ["6\n", "book\n"]
    assert stored_problem(path) is None


@pytest.fixture
def executed(monkeypatch):
    """Notebooks that were executed, by a stand-in: the output of a cell is its code in capital letters."""
    names = []

    def execute_all(paths, jobs):
        for path in paths:
            names.append(path.stem)
            notebook = nbformat.read(path, as_version=4)
            for count, cell in enumerate(notebook.cells[1:], 1):
                cell.outputs, cell.execution_count = [new_output("stream", text=cell.source.upper())], count
            wrong = any("wrong" in cell.source for cell in notebook.cells)
            yield path, Execution(notebook, Cost(1.0, 1.0), "cell 2 of 2: it is wrong" if wrong else None)

    monkeypatch.setattr(store, "execute_all", execute_all)
    return names


def edit(path, number, source=None, text=None):
    notebook = nbformat.read(path, as_version=4)
    if source is not None:
        notebook.cells[number].source = source
    if text is not None:
        notebook.cells[number].outputs = [new_output("stream", text=text)]
    nbformat.write(notebook, path)


def test_only_what_changed_is_executed_again(root, write_notebook, executed):
    paths = [write_notebook(name, "a", "b") for name in ("one", "two", "three")]
    for expected, change in [
        (["one", "three", "two"], lambda: None),
        ([], lambda: None),
        ([], lambda: edit(paths[0], 0, source=f"# Another title\n\n{BUDGET}")),
        (["one"], lambda: edit(paths[0], 0, source="# Another title\n\n**It takes** a minute.")),
        (["two"], lambda: edit(paths[1], 2, source="c")),
        (["two"], lambda: edit(paths[1], 2, text="by hand")),
        (["one", "three", "two"], lambda: (root / "minivit" / "a.py").write_text("", encoding="utf-8")),
    ]:
        change()
        executed.clear()
        assert store_all(root, root / "_build", jobs=1)
        assert executed == expected
    one, two = (path.read_text(encoding="utf-8") for path in paths[:2])
    assert "Another title" in one and BUDGET in one and "by hand" not in two


def test_what_failed_is_told_left_as_it_was_and_executed_again_and_the_others_are_stored(
        root, write_notebook, executed, capsys):
    bad, good = write_notebook("bad", "wrong"), write_notebook("good", "right")
    replace(bad, tidy(nbformat.read(bad, as_version=4)))
    before = bad.read_text(encoding="utf-8")
    assert not store_all(root, root / "_build", jobs=1)
    assert "book/bad.ipynb, cell 2 of 2: it is wrong" in capsys.readouterr().err
    assert bad.read_text(encoding="utf-8") == before and stored_problem(good) is None
    executed.clear()
    assert not store_all(root, root / "_build", jobs=1)
    assert executed == ["bad"]


def test_text_may_be_edited_during_the_execution_and_code_may_not():
    def notebook(text, code, **ran):
        return new_notebook(cells=[new_markdown_cell(text), new_code_cell(code, **ran)])

    output = new_output("stream", text="6\n")
    executed = notebook("before", "print(6)", outputs=[output], execution_count=1)
    both = with_outputs(notebook("after", "print(6)"), executed)
    assert both.cells[0].source == "after" and both.cells[1].outputs == [output]
    with pytest.raises(ValueError, match="edited while it was executed"):
        with_outputs(notebook("before", "print(7)"), executed)


def test_tidied_notebooks_do_not_change_when_tidied_again(tmp_path):
    cell = new_code_cell("1", metadata={"execution": {"iopub.busy": "now"}, "tags": ["check"]})
    cell.outputs = [new_output("execute_result", {"text/plain": "1"}, execution_count=1)]
    language = {"name": "python", "version": "3.11.7"}
    notebook = new_notebook(cells=[cell], metadata={"widgets": {"state": 1}, "language_info": language})
    path = tmp_path / "n.ipynb"
    nbformat.write(notebook, path)

    assert replace(path, tidy(nbformat.read(path, as_version=4)))
    assert not replace(path, tidy(nbformat.read(path, as_version=4)))
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n "cells"') and text.endswith("}\n")
    assert not any(word in text for word in ("widgets", "busy", "3.11.7"))
    stored = nbformat.read(path, as_version=4)
    assert stored.cells[0].metadata == {"tags": ["check"]} and stored.cells[0].outputs == cell.outputs
    assert stored.metadata.kernelspec.name == "python3"
