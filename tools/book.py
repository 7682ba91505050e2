"""Build the book's pages from the outputs stored in its notebooks; nothing is executed, and a warning is an error."""

import os
import shutil
import sys
from pathlib import Path

import yaml

from tools.notebooks import name_of, notebook_paths, stored_problem
from tools.paths import BUILD, ROOT

GITHUB = "https://github.com/"
NOTEBOOKS_BRANCH = "notebooks"  # the workflow publishes the editions there


def address_of_pages(repository_url: str) -> str:
    """Return where GitHub shows the pages of a repository; empty for a repository elsewhere."""
    if not repository_url.startswith(GITHUB):
        return ""
    owner, _, name = repository_url.removeprefix(GITHUB).strip("/").partition("/")
    return f"https://{owner.lower()}.github.io/{name}"


def configuration(base: dict, repository_url: str, site_url: str = "") -> dict:
    """Return the settings of Jupyter Book: the base and, if they are known, two addresses.

    Parameters
    ----------
    base
        The content of ``_config.yml``, which is not changed.
    repository_url
        The public address of the repository. If empty, the buttons that need it are left out.
    site_url
        The public address of the book's pages; the repository's on GitHub Pages if empty. Without any there are no
        sitemap and no social cards, whose links must be whole.
    """
    if site := site_url or address_of_pages(repository_url):
        base = base | {"html": base["html"] | {"baseurl": site.removesuffix("/") + "/"}}
    if not repository_url:
        return base
    url = repository_url.removesuffix("/")
    book = base | {
        "repository": {"url": url, "branch": "main", "path_to_book": "book"},
        "launch_buttons": {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"},
        "html": base["html"] | {"use_repository_button": True, "use_edit_page_button": True},
    }
    if url.startswith(GITHUB):  # the only place that Colab and Kaggle open notebooks from
        sphinx = base["sphinx"]
        notebooks = f"{url.removeprefix(GITHUB)}/blob/{NOTEBOOKS_BRANCH}/learner"
        book["sphinx"] = sphinx | {"config": sphinx["config"] | {"launch_notebooks": notebooks}}
    return book


def without_outputs(root: Path) -> dict[str, str]:
    """Return the notebooks that can't be turned into pages as they are, each with the reason."""
    problems = {name_of(path, root): stored_problem(path) for path in notebook_paths(root)}
    return {name: problem for name, problem in problems.items() if problem}


def outputs_are_stored(root: Path) -> bool:
    """Return whether every notebook can be turned into pages as it is; name those that can't, and the way out."""
    problems = without_outputs(root)
    for name, problem in problems.items():
        print(f"{name}: {problem}", file=sys.stderr)
    if problems:
        print("Pages show stored outputs: run `make notebooks`, which executes the notebooks.", file=sys.stderr)
    return not problems


def build_pages(root: Path, build: Path, config: dict, builder: str = "html") -> bool:
    """Write the pages to a folder of ``build`` that is called like the builder; return whether there was no warning."""
    from jupyter_book.sphinx import build_sphinx  # slow to import, and not needed for the settings

    build.mkdir(parents=True, exist_ok=True)
    written = build / "config.yml"
    written.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    # If it fails, it returns a status other than 0, or an exception that it has already reported.
    failed = build_sphinx(
        root / "book", build / builder, noconfig=True, path_config=written, builder=builder, quiet=True,
        confoverrides={"external_toc_path": str(root / "_toc.yml"), "nitpicky": True, "latex_individualpages": False},
        warningiserror=True, keep_going=True,
    )
    if failed:
        # Sphinx warns about a page only when it reads it: make it forget, or the next build would pass.
        shutil.rmtree(build / ".doctrees", ignore_errors=True)
    return not failed


def settings(root: Path) -> dict:
    """Return the settings of Jupyter Book for the two addresses that the environment names."""
    base = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return configuration(base, os.environ.get("REPOSITORY_URL", ""), os.environ.get("SITE_URL", ""))


def main() -> int:
    if not outputs_are_stored(ROOT) or not build_pages(ROOT, BUILD, settings(ROOT)):
        return 1
    print(f"The book is built. Open {BUILD / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
