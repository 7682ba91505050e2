"""Execute the notebooks of the book side by side, and keep what they gave.

An executed notebook is kept under ``_build/cache/<digest>``, where the digest covers all that a notebook can import or
read: the package, the recipes, the results and the pins. Within it jupyter-cache finds a notebook by its code cells. So
an edited notebook is executed alone, and an edited package executes them all.
"""

import hashlib
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
INPUTS = ("minivit", "recipes", "results", "requirements.txt")

# What a chapter may cost (design of the book), and where patience ends.
BUDGET_TIME_S, BUDGET_MEMORY_GB = 60, 2
LIMIT_TIME_S = 240

ANSI_COLOUR = r"\x1b\[[0-9;]*m"


class Execution(NamedTuple):
    """What came of one notebook: its outputs, what it cost, and why it failed if it did."""

    notebook: nbformat.NotebookNode
    time_s: float
    memory_gb: float
    error: str | None


def notebook_paths(root: Path) -> list[Path]:
    """Return the notebooks of the book, in the order of their paths."""
    return sorted(path for path in (root / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def input_digest(root: Path) -> str:
    """Return a short name that changes with anything outside a notebook that its outputs depend on."""
    digest = hashlib.sha256(sys.version.encode())
    for name in INPUTS:
        for path in sorted([root / name, *(root / name).rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def open_cache(root: Path) -> JupyterCacheAbstract:
    """Open the cache of the present inputs, and drop those of past ones."""
    current = root / "_build" / "cache" / input_digest(root)
    current.mkdir(parents=True, exist_ok=True)
    for other in current.parent.iterdir():
        if other != current:
            shutil.rmtree(other)
    return get_cache(str(current))


def execute(path: Path) -> Execution:
    """Run one notebook in its own folder, in a kernel of its own."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(path.parent)}},
        timeout=LIMIT_TIME_S,
        coalesce_streams=True,
        store_widget_state=False,
        record_timing=False,  # it goes to the metadata of the cells, by which the cache knows them
        extra_arguments=["--log-level=CRITICAL"],
    )
    error = None
    start = time.perf_counter()
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as failure:
        error = f"{_position(notebook)}: {re.sub(ANSI_COLOUR, '', str(failure))}"
    time_s = time.perf_counter() - start
    _drop_widgets(notebook)
    if error is None and time_s > LIMIT_TIME_S:
        error = f"took {time_s:.0f} s; a notebook is stopped at {LIMIT_TIME_S} s and should take {BUDGET_TIME_S} s"
    return Execution(notebook, time_s, _children_memory_gb(), error)


def execute_all(paths: list[Path], cache: JupyterCacheAbstract, jobs: int) -> bool:
    """Execute the notebooks that the cache does not hold, print a line for each; return whether all went well."""
    missing = [path for path in paths if not _is_cached(path, cache)]
    print(f"{len(paths)} notebooks, {len(missing)} to execute", flush=True)
    failures = 0
    for path, execution in _in_parallel(missing, jobs):
        print(f"  {_relative(path):<50} {_report(execution)}", flush=True)
        if execution.error:
            failures += 1
            print(f"\n{_relative(path)}, {execution.error}\n", file=sys.stderr, flush=True)
        else:
            bundle = CacheBundleIn(execution.notebook, str(path), data={"execution_seconds": execution.time_s})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return failures == 0


def _in_parallel(paths: list[Path], jobs: int) -> Iterator[tuple[Path, Execution]]:
    # A fresh process a notebook: the peak memory that a process reports is the largest of all its children so far.
    if not paths:
        return
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(execute, path): path for path in paths}
        for done in as_completed(running):
            yield running[done], done.result()


def _is_cached(path: Path, cache: JupyterCacheAbstract) -> bool:
    try:
        cache.match_cache_notebook(nbformat.read(path, as_version=4))
    except KeyError:
        return False
    return True


def _drop_widgets(notebook: nbformat.NotebookNode) -> None:
    """Leave the other forms of an output that was a widget: its kernel has ended."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for mime in [mime for mime in output.get("data", {}) if "jupyter.widget" in mime]:
                del output["data"][mime]


def _position(notebook: nbformat.NotebookNode) -> str:
    executed = [i for i, cell in enumerate(notebook.cells) if cell.get("execution_count") or cell.get("outputs")]
    return f"cell {executed[-1] + 1} of {len(notebook.cells)}" if executed else "before the first cell"


def _children_memory_gb() -> float:
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def _report(execution: Execution) -> str:
    text = f"{execution.time_s:6.1f} s  {execution.memory_gb:4.1f} GB"
    if execution.error:
        return f"{text}  failed"
    if execution.time_s > BUDGET_TIME_S or execution.memory_gb > BUDGET_MEMORY_GB:
        return f"{text}  over the budget of {BUDGET_TIME_S} s and {BUDGET_MEMORY_GB} GB"
    return text


def _relative(path: Path) -> str:
    return os.path.relpath(path, ROOT)
