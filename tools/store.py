"""Store in every notebook the outputs that it gives now, and nothing that would differ the next time."""

import argparse
import os
from pathlib import Path

import nbformat
from jupyter_cache.base import JupyterCacheAbstract

from tools.cores import usable_jobs
from tools.execute import ROOT, execute_all, notebook_paths, open_cache

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
VOLATILE_CELL_METADATA = ("collapsed", "execution", "jupyter", "scrolled", "ExecuteTime")


def tidy(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook as the text that stands in the repository: no timings, widget states or versions."""
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}} | {
        key: value for key, value in notebook.metadata.items() if key in ("mystnb", "title")
    }
    for cell in notebook.cells:
        for key in VOLATILE_CELL_METADATA:
            cell.metadata.pop(key, None)
    return nbformat.writes(notebook, indent=1) + "\n"


def with_outputs(notebook: nbformat.NotebookNode, cache: JupyterCacheAbstract) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of its execution in the cache."""
    _, merged = cache.merge_match_into_notebook(notebook)
    return merged


def replace(path: Path, text: str) -> bool:
    """Write a file whole or not at all; return whether it was any different."""
    if path.read_text(encoding="utf-8") == text:
        return False
    beside = path.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=usable_jobs(), help="notebooks executed side by side")
    jobs = parser.parse_args().jobs

    paths, cache = notebook_paths(ROOT), open_cache(ROOT)
    # Tidied first: the cache knows a notebook by its metadata too.
    for path in paths:
        replace(path, tidy(nbformat.read(path, as_version=4)))
    if not execute_all(paths, cache, jobs):
        return 1
    for path in paths:
        if replace(path, tidy(with_outputs(nbformat.read(path, as_version=4), cache))):
            print(f"  {path.relative_to(ROOT)} has new outputs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
