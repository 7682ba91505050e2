"""Execute the notebooks that changed and store their outputs, without anything that would differ the next time.

``_build/stored.json`` keeps for each notebook a digest of its code, its outputs and everything that it can import or
read: the package, the recipes, the results and the pins. So editing a notebook's code executes only this notebook,
editing its text executes nothing, and editing the package executes all notebooks. A notebook that declares no budget is
executed too, and then declares what it took.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import nbformat

from tools.budget import declare, declared
from tools.cores import usable_jobs
from tools.execute import execute_all
from tools.notebooks import name_of, notebook_paths, replace
from tools.paths import BUILD, ROOT
from tools.what_to_expect import renew_page

INPUTS = ("minivit", "recipes", "results", "requirements.txt")

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
VOLATILE_CELL_METADATA = ("collapsed", "execution", "jupyter", "scrolled", "ExecuteTime")


def input_digest(root: Path) -> str:
    """Return a digest of everything outside a notebook that its outputs depend on."""
    digest = hashlib.sha256(sys.version.encode())
    for name in INPUTS:
        for path in sorted([root / name, *(root / name).rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{name_of(path, root)} {content}\n".encode())
    return digest.hexdigest()[:16]


def notebook_digest(path: Path, inputs: str) -> str:
    """Return a digest of a notebook's code, its outputs and the digest of its inputs."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps([inputs, cells], sort_keys=True).encode()).hexdigest()[:16]


def tidy(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook as the text to store in the repository: without timings, widget states or versions."""
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}} | {
        key: value for key, value in notebook.metadata.items() if key in ("mystnb", "title")
    }
    for cell in notebook.cells:
        for key in VOLATILE_CELL_METADATA:
            cell.metadata.pop(key, None)
    return nbformat.writes(notebook, indent=1) + "\n"


def with_outputs(notebook: nbformat.NotebookNode, executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Give a notebook the outputs of its execution; its text may have been edited meanwhile, but not its code.

    Raises
    ------
    ValueError
        If the code is not the code that was executed.
    """
    cells, ran = ([cell for cell in each.cells if cell.cell_type == "code"] for each in (notebook, executed))
    if [cell.source for cell in cells] != [cell.source for cell in ran]:
        raise ValueError("its code was edited while it was executed: execute it again")
    for cell, its in zip(cells, ran, strict=True):
        cell.outputs, cell.execution_count = its.outputs, its.execution_count
    return notebook


def store_all(root: Path, build: Path, jobs: int) -> bool:
    """Execute the notebooks that changed and store the outputs of each as it ends; return whether all succeeded."""
    kept = build / "stored.json"
    digests = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    paths, inputs = notebook_paths(root), input_digest(root)
    for path in paths:
        replace(path, tidy(nbformat.read(path, as_version=4)))
    changed = [path for path in paths if digests.get(name_of(path, root)) != notebook_digest(path, inputs)
               or not declared(nbformat.read(path, as_version=4))]
    print(f"{len(paths)} notebooks, {len(changed)} to execute", flush=True)
    well = True
    for path, execution in execute_all(changed, jobs):
        name = name_of(path, root)
        print(f"  {name:<50} {execution}", flush=True)
        error = execution.error
        try:
            if not error:
                notebook = with_outputs(nbformat.read(path, as_version=4), execution.notebook)
                if not declared(notebook):
                    declare(notebook, execution.cost)
                if replace(path, tidy(notebook)):
                    print(f"  {name} is new", flush=True)
        except ValueError as problem:
            error = str(problem)
        if error:
            print(f"\n{name}, {error}\n", file=sys.stderr, flush=True)
            well = False
        else:
            digests[name] = notebook_digest(path, inputs)
            replace(kept, json.dumps(digests, indent=1, sort_keys=True) + "\n")
    return well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=usable_jobs(), help="number of notebooks to execute in parallel")
    stored = store_all(ROOT, BUILD, parser.parse_args().jobs)
    renew_page(ROOT)
    return 0 if stored else 1


if __name__ == "__main__":
    raise SystemExit(main())
