"""A repository in miniature: what a notebook can read, and notebooks."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


@pytest.fixture
def root(tmp_path):
    for name in ("book", "minivit", "recipes", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "requirements.txt").write_text("numpy==1\n", encoding="utf-8")
    (tmp_path / "minivit" / "a.py").write_text("a = 1\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def write_notebook(root):
    def write(name, *sources):
        path = root / "book" / f"{name}.ipynb"
        cells = [new_markdown_cell(f"# The chapter {name}\n\n**It takes** a minute."), *map(new_code_cell, sources)]
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return write
