"""Execute the book's notebooks in parallel, each in its own kernel, and measure their time and memory."""

import argparse
import re
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

# What a chapter may take, and when it is stopped: the machine may be slow or busy.
BUDGET_TIME_S, BUDGET_MEMORY_GB = 40, 2
PROCESSES_TIME_S = 80  # for a notebook with a cell tagged "processes", which starts other processes
LIMIT_TIME_S = 240

ANSI_COLOUR = r"\x1b\[[0-9;]*m"


class Execution(NamedTuple):
    """The result of executing a notebook: its outputs, its time and memory, and the error if it failed."""

    notebook: nbformat.NotebookNode
    time_s: float
    memory_gb: float
    error: str | None

    def __str__(self) -> str:
        cost = f"{self.time_s:6.1f} s  {self.memory_gb:4.1f} GB"
        if self.error:
            return f"{cost}  failed"
        budget_s = budget_time_s(self.notebook)
        if self.time_s > budget_s or self.memory_gb > BUDGET_MEMORY_GB:
            return f"{cost}  over the budget of {budget_s} s and {BUDGET_MEMORY_GB} GB"
        return cost


def budget_time_s(notebook: nbformat.NotebookNode) -> int:
    """Return the seconds that a notebook may take on a quiet machine."""
    starts_processes = any("processes" in cell.metadata.get("tags", []) for cell in notebook.cells)
    return PROCESSES_TIME_S if starts_processes else BUDGET_TIME_S


def execute(path: Path) -> Execution:
    """Execute a notebook in its own folder, in its own kernel."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":  # old outputs would hide where this run stops
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(path.parent)}},
        timeout=LIMIT_TIME_S,
        coalesce_streams=True,
        store_widget_state=False,
        record_timing=False,
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
        error = f"took {time_s:.0f} s; a notebook is stopped at {LIMIT_TIME_S} s and should take " \
                f"{budget_time_s(notebook)} s"
    return Execution(notebook, time_s, _children_memory_gb(), error)


def execute_all(paths: list[Path], jobs: int) -> Iterator[tuple[Path, Execution]]:
    """Execute notebooks, ``jobs`` at a time, and yield each with its result as soon as it ends."""
    if not paths:
        return
    # A new process for each notebook: a process reports the peak memory of all its children so far.
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(execute, path): path for path in paths}
        for done in as_completed(running):
            yield running[done], done.result()


def _drop_widgets(notebook: nbformat.NotebookNode) -> None:
    """Remove widgets, whose kernel has ended; the other forms of these outputs stay."""
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


def main() -> int:
    """Execute notebooks with the Python that runs this, keep nothing, and say which failed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="notebooks")
    parser.add_argument("--jobs", type=int, default=1, help="number of notebooks to execute in parallel")
    options = parser.parse_args()
    failed = 0
    for path, execution in execute_all(options.paths, options.jobs):
        print(f"  {path.stem:<35} {execution}", flush=True)
        if execution.error:
            print(f"\n{path.stem}, {execution.error}\n", file=sys.stderr, flush=True)
            failed += 1
    print(f"{len(options.paths) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
