"""Execute the book's notebooks in parallel, each in its own kernel, and measure their CPU time and memory."""

import argparse
import os
import re
import resource
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tools.budget import Cost, budget_of

LIMIT_TIME_S = 240  # of the clock, after which a cell is stopped: the machine may be slow or busy

ANSI = re.compile(r"\x1b\[[0-9;]*m")  # a colour, in the text of an error


class Execution(NamedTuple):
    """The result of executing a notebook: its outputs, what it cost, and the error if it failed."""

    notebook: nbformat.NotebookNode
    cost: Cost
    error: str | None

    def __str__(self) -> str:
        cost = f"{self.cost.cpu_s:6.1f} CPU s  {self.cost.memory_gb:4.1f} GB"
        if self.error:
            return f"{cost}  failed"
        budget = budget_of(self.notebook)
        return f"{cost}  over its budget of {budget}" if self.cost.exceeds(budget) else cost


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables for the processes that are started here."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as failure:
        error = f"{_position(notebook)}: {ANSI.sub('', str(failure))}"
    _drop_widgets(notebook)
    return Execution(notebook, cost_of_children(), error)


def execute_all(paths: list[Path], jobs: int) -> Iterator[tuple[Path, Execution]]:
    """Execute notebooks, ``jobs`` at a time, and yield each with its result as soon as it ends."""
    if not paths:
        return
    # A new process for each notebook: a process reports the cost of all its children so far.
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


def cost_of_children() -> Cost:
    """Return what the processes have cost that this one started and that have ended."""
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(use.ru_utime + use.ru_stime, use.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9)


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
