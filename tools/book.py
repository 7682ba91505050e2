"""Build the pages of the book from the outputs that its notebooks hold; nothing is executed, a warning is an error."""

import os
import shutil
import sys
from pathlib import Path

import yaml

from tools.notebooks import name_of, notebook_paths, stored_problem
from tools.paths import BUILD, ROOT


def configuration(base: dict, repository_url: str) -> dict:
    """Return the settings of Jupyter Book: the base and, if known, where the source lives.

    Parameters
    ----------
    base
        The content of ``_config.yml``. It is not changed.
    repository_url
        The public address of the repository. While empty, there is no button that would need it.
    """
    if not repository_url:
        return base
    return base | {
        "repository": {"url": repository_url.removesuffix("/"), "branch": "main", "path_to_book": "book"},
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
        "html": base["html"] | {"use_repository_button": True, "use_edit_page_button": True},
    }


def without_outputs(root: Path) -> dict[str, str]:
    """Return the notebooks that cannot become pages as they stand, each with the reason."""
    problems = {name_of(path, root): stored_problem(path) for path in notebook_paths(root)}
    return {name: problem for name, problem in problems.items() if problem}


def build_pages(root: Path, build: Path, config: dict) -> bool:
    """Write the pages to ``build / "html"``; return whether it went without a warning."""
    from jupyter_book.sphinx import build_sphinx  # heavy, and of no use to whoever asks for the settings

    build.mkdir(parents=True, exist_ok=True)
    written = build / "config.yml"
    written.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    # It returns what went wrong: a status other than 0, or an exception that it has told already.
    failed = build_sphinx(
        root / "book", build / "html", noconfig=True, path_config=written, builder="html", quiet=True,
        confoverrides={"external_toc_path": str(root / "_toc.yml"), "nitpicky": True, "latex_individualpages": False},
        warningiserror=True, keep_going=True,
    )
    if failed:
        # Sphinx warns about a page only when it reads it: forget what it read, or the next build would pass.
        shutil.rmtree(build / ".doctrees", ignore_errors=True)
    return not failed


def main() -> int:
    if problems := without_outputs(ROOT):
        for name, problem in problems.items():
            print(f"{name}: {problem}", file=sys.stderr)
        print("Pages show what notebooks hold: run `make notebooks`, which executes them.", file=sys.stderr)
        return 1
    base = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    if not build_pages(ROOT, BUILD, configuration(base, os.environ.get("REPOSITORY_URL", ""))):
        return 1
    print(f"The book is built. Open {BUILD / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
