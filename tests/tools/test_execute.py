"""A notebook is executed when it, the package or the pins have changed, and not otherwise."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.execute import execute, execute_all, input_digest, notebook_paths, open_cache
from tools.store import replace, tidy, with_outputs


@pytest.fixture
def root(tmp_path):
    for name in ("book", "minivit", "recipes", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "requirements.txt").write_text("numpy==1\n", encoding="utf-8")
    (tmp_path / "minivit" / "a.py").write_text("a = 1\n", encoding="utf-8")
    return tmp_path


def write_notebook(root, name, *sources):
    path = root / "book" / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


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


def test_a_changed_package_has_a_new_cache_and_the_old_one_goes(root):
    old = open_cache(root).path
    (root / "minivit" / "a.py").write_text("a = 2\n", encoding="utf-8")
    new = open_cache(root).path
    assert new != old and new.is_dir() and not old.exists()


def test_a_widget_leaves_its_other_forms(root):
    bundle = "{'application/vnd.jupyter.widget-view+json': {'model_id': 'a'}, 'text/html': '<b>frames</b>'}"
    path = write_notebook(root, "one", f"from IPython.display import display\ndisplay({bundle}, raw=True)",
                          "import ipywidgets; ipywidgets.IntSlider();")
    execution = execute(path)
    assert execution.error is None
    assert execution.notebook.cells[0].outputs[0].data == {"text/html": "<b>frames</b>"}
    assert "widgets" not in execution.notebook.metadata


def test_executes_once_in_its_folder_and_keeps_the_outputs(root, capsys):
    path = write_notebook(root, "one", "print(2 * 3)", "import os; print(os.path.basename(os.getcwd()))")
    source = path.read_text(encoding="utf-8")
    cache = open_cache(root)

    assert execute_all(notebook_paths(root), cache, jobs=2)
    assert "1 to execute" in capsys.readouterr().out
    merged = with_outputs(nbformat.read(path, as_version=4), cache)
    assert [cell.outputs[0].text for cell in merged.cells] == ["6\n", "book\n"]
    assert path.read_text(encoding="utf-8") == source, "the notebook itself was written to"

    assert execute_all(notebook_paths(root), cache, jobs=2)
    assert "0 to execute" in capsys.readouterr().out


def test_an_error_is_told_with_notebook_cell_and_traceback_and_is_not_kept(root, capsys):
    write_notebook(root, "bad", "x = 7", "assert x == 11, 'seven is not eleven'")
    cache = open_cache(root)
    assert not execute_all(notebook_paths(root), cache, jobs=2)
    message = capsys.readouterr().err
    for part in ("bad.ipynb, cell 2 of 2", "assert x == 11", "AssertionError: seven is not eleven"):
        assert part in message
    assert not cache.list_cache_records()


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
