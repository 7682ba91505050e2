"""`make book`: buttons only where they lead somewhere, no page without outputs, and a warning is an error."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from nbformat.v4 import new_output

from tools import book
from tools.book import configuration
from tools.pages import add_launch_buttons, launch_buttons
from tools.store import tidy

ROOT = Path(__file__).resolve().parents[2]
BASE = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
URL = "https://example.org/someone/book"


def test_nothing_is_executed():
    assert BASE["execute"] == {"execute_notebooks": "off"}


def test_without_a_repository_there_is_no_button():
    config = configuration(BASE, "")
    assert "repository" not in config and "launch_buttons" not in config
    assert not any(key.startswith("use_") for key in config["html"])


@pytest.mark.parametrize("url", [URL, URL + "/"])
def test_with_a_repository_there_are_links_to_it(url):
    config = configuration(BASE, url)
    assert config["repository"] == {"url": URL, "branch": "main", "path_to_book": "book"}
    assert "binderhub_url" in config["launch_buttons"]
    assert config["html"]["use_repository_button"] and config["html"]["use_edit_page_button"]
    assert config["html"]["favicon"] == BASE["html"]["favicon"]


@pytest.mark.parametrize(("repository", "site", "base"), [
    ("", "", None),
    (URL, "", None),
    ("https://github.com/Someone/book/", "", "https://someone.github.io/book/"),
    ("https://github.com/Someone/book", "https://example.org", "https://example.org/"),
    ("", "https://example.org/book/", "https://example.org/book/"),
])
def test_the_pages_know_their_address_where_there_is_one(repository, site, base):
    assert configuration(BASE, repository, site)["html"].get("baseurl") == base


def test_colab_and_kaggle_open_the_learners_notebooks_on_github():
    assert "launch_notebooks" not in configuration(BASE, URL)["sphinx"]["config"]
    where = configuration(BASE, "https://github.com/someone/book/")["sphinx"]["config"]["launch_notebooks"]
    assert where == "someone/book/blob/notebooks/learner"
    colab, kaggle = launch_buttons(where, "less/lavit")
    at = "github.com/someone/book/blob/notebooks/learner/less/lavit.ipynb"
    assert colab["url"] == "https://colab.research.google.com/" + at.replace(".com", "")
    assert kaggle["url"] == "https://www.kaggle.com/kernels/welcome?src=https://" + at


@pytest.mark.parametrize("where", ["", "someone/book/blob/notebooks/learner"])
def test_pages_have_these_buttons_only_with_an_address(where):
    app = SimpleNamespace(config=SimpleNamespace(launch_notebooks=where))
    context = {"header_buttons": [{"label": "launch-buttons", "buttons": [{"text": "Binder"}]}, {"label": "search"}]}
    add_launch_buttons(app, "less/lavit", "page.html", context, None)
    names = [button["text"] for button in context["header_buttons"][0]["buttons"]]
    assert names == (["Binder", "Colab", "Kaggle"] if where else ["Binder"])


def test_the_base_is_left_as_it_was():
    before = yaml.safe_dump(BASE)
    configuration(BASE, URL)
    assert yaml.safe_dump(BASE) == before


def test_a_notebook_without_outputs_is_an_error_that_names_the_way_out(root, write_notebook, monkeypatch, capsys):
    write_notebook("empty", "print(6)")
    monkeypatch.setattr(book, "ROOT", root)
    assert book.main() == 1
    error = capsys.readouterr().err
    assert "book/empty.ipynb: cell 2 has not been executed" in error and "make notebooks" in error


@pytest.mark.parametrize(("text", "warning"), [
    ("[Nowhere](other.ipynb#nowhere)", "nowhere"),
    ("[](#nowhere)", "nowhere"),
    ("{cite}`nobody2000`", "nobody2000"),
    ("{term}`nothing`", "nothing"),
])
def test_a_link_or_a_citation_that_leads_nowhere_fails_the_build(root, write_notebook, text, warning):
    for name, words in (("one", text), ("other", "Words")):
        path = write_notebook(name, "print(6)")
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source = f"# Title\n\n{words}\n"
        path.write_text(tidy(notebook), encoding="utf-8")
    (root / "book" / "references.bib").write_text("@misc{known, title={T}, year={2000}}\n", encoding="utf-8")
    (root / "_toc.yml").write_text("format: jb-book\nroot: one\nchapters: [{file: other}]\n", encoding="utf-8")
    config = {"title": "Book", "execute": BASE["execute"], "bibtex_bibfiles": ["references.bib"]}
    code = f"from pathlib import Path; from tools.book import build_pages; root = Path({str(root)!r})\n" \
           f"print(build_pages(root, root / 'made', {config}))"
    built = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert built.stdout.split() == ["False"], built.stderr
    assert warning in built.stderr


def test_pages_show_stored_outputs_and_a_warning_fails_every_build_until_it_is_mended(root, write_notebook):
    path = write_notebook("one", "print(6)")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs, notebook.cells[1].execution_count = [new_output("stream", text="stored, not run")], 1
    for file, text in (("book/one.ipynb", "[Nowhere](nowhere.md)"), ("mended.ipynb", "Somewhere")):
        notebook.cells[0].source = f"# Title\n\n{text}"
        (root / file).write_text(tidy(notebook), encoding="utf-8")
    (root / "_toc.yml").write_text("format: jb-book\nroot: one\n", encoding="utf-8")
    code = f"""if True:
        from pathlib import Path
        from tools.book import build_pages
        root = Path({str(root)!r})
        def build():
            print(build_pages(root, root / "made", {{"title": "Book", "execute": {BASE["execute"]}}}))
        build()
        build()
        (root / "mended.ipynb").replace(root / "book" / "one.ipynb")
        build()
    """
    built = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert built.stdout.split() == ["False", "False", "True"], built.stderr
    assert built.stderr.count("nowhere.md") == 2
    page = (root / "made" / "html" / "one.html").read_text(encoding="utf-8")
    assert "stored, not run" in page and "Somewhere" in page
