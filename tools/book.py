"""Build the book: execute what has changed, then let Jupyter Book make the pages, with every warning an error."""

import argparse
import io
import os
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import yaml

from tools.execute import ROOT, execute_all, notebook_paths, open_cache


def configuration(base: dict, cache_path: Path, repository_url: str) -> dict:
    """Return the settings of Jupyter Book: the base, where outputs are found and, if known, where the source lives.

    Parameters
    ----------
    base
        The content of ``_config.yml``. It is not changed.
    cache_path
        The folder of executed notebooks.
    repository_url
        The public address of the repository. While empty, there is no button that would need it.
    """
    config = {**base, "execute": {**base["execute"], "cache": str(cache_path)}}
    if repository_url:
        config["repository"] = {"url": repository_url.removesuffix("/"), "branch": "main", "path_to_book": "book"}
        config["launch_buttons"] = {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        }
        config["html"] = {**base["html"], "use_repository_button": True, "use_edit_page_button": True}
    return config


def build_pages(root: Path, config: dict) -> bool:
    """Write ``_build/html``; return whether it went without a warning."""
    from jupyter_book.cli.main import main as jupyter_book  # heavy, and of no use to whoever asks for the settings

    written = root / "_build" / "config.yml"
    written.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    arguments = ["build", str(root / "book"), "--config", str(written), "--toc", str(root / "_toc.yml")]
    arguments += ["--path-output", str(root), "-W", "-n", "--keep-going", "--quiet"]
    try:
        with redirect_stdout(io.StringIO()):  # which says where the pages are, as we do
            jupyter_book(arguments, standalone_mode=False)
    except (SystemExit, RuntimeError):
        # Sphinx warns about a page only when it reads it: forget what it read, or the next build would pass.
        shutil.rmtree(root / "_build" / ".doctrees", ignore_errors=True)
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="notebooks executed side by side")
    jobs = parser.parse_args().jobs

    cache = open_cache(ROOT)
    if not execute_all(notebook_paths(ROOT), cache, jobs):
        return 1
    base = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    if not build_pages(ROOT, configuration(base, cache.path, os.environ.get("REPOSITORY_URL", ""))):
        return 1
    print(f"The book is built. Open {ROOT / '_build' / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
