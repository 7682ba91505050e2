"""A repository in miniature: what a notebook can read, and notebooks; and a page of a book."""

import io

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx.application import Sphinx


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


@pytest.fixture
def build_page(tmp_path):
    """Return a function that builds a page of Markdown with one of the book's extensions, and returns its contents."""
    def build(markdown, extension):
        source = tmp_path / "source"
        source.mkdir()
        (source / "index.md").write_text(markdown, encoding="utf-8")
        (source / "conf.py").write_text(f'extensions = ["myst_parser", "sphinx.ext.mathjax", "{extension}"]\n'
                                        'myst_enable_extensions = ["dollarmath"]\n', encoding="utf-8")
        Sphinx(source, source, tmp_path / "html", tmp_path / "doctrees", "html", status=io.StringIO(),
               warning=io.StringIO()).build()
        page = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
        return BeautifulSoup(page, "html.parser").find("section")

    return build
