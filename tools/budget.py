"""What executing a notebook may cost, as its opening declares it, and the page that collects all budgets.

A budget is declared once, by a sentence after the one that says how long the chapter takes its reader. A notebook
without it gets one from ``make notebooks``, which measures it; ``make test`` fails at twice the budget.
"""

import inspect
import math
import re
from typing import NamedTuple

import nbformat
from jupyter_client import BlockingKernelClient

# What a notebook may declare. With a cell tagged "processes", which starts other processes, it may take longer.
MOST_CPU_S, MOST_CPU_OF_PROCESSES_S, MOST_MEMORY_GB = 40, 80, 2
ENFORCED = 2  # times the budget: machines differ, and a busy one takes more seconds for the same work
SLOW = 3  # a slow laptop takes so many times the CPU seconds that a chapter declares

ROOM = 1.25  # a budget is this much more than what was measured, up to the next step
STEP_CPU_S, STEP_MEMORY_GB = 5, 0.5
SENTENCE = "Running it takes {:g} CPU seconds and {:g} GB of memory."
DECLARED = re.compile(re.escape(SENTENCE).replace(r"\{:g\}", r"(\d+(?:\.\d+)?)"))
READING_TIME = re.compile(r"(\*\*It takes\*\*[^.]*\.)(?: (?=\S))?")


class Cost(NamedTuple):
    """CPU seconds of a notebook's kernel and the processes that it starts, and the largest memory of one of them."""

    cpu_s: float
    memory_gb: float

    def __str__(self) -> str:
        return f"{round(self.cpu_s, 1):g} CPU seconds and {round(self.memory_gb, 1):g} GB"

    def exceeds(self, budget: "Cost", times: float = 1) -> bool:
        return self.cpu_s > times * budget.cpu_s or self.memory_gb > times * budget.memory_gb


def most(notebook: nbformat.NotebookNode) -> Cost:
    """Return the most that a notebook may declare."""
    starts_processes = any("processes" in cell.metadata.get("tags", []) for cell in notebook.cells)
    return Cost(MOST_CPU_OF_PROCESSES_S if starts_processes else MOST_CPU_S, MOST_MEMORY_GB)


def declared(notebook: nbformat.NotebookNode) -> Cost | None:
    """Return the budget that a notebook's text declares, None if it doesn't."""
    found = [DECLARED.search(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
    return next((Cost(*map(float, it.groups())) for it in found if it), None)


def budget_of(notebook: nbformat.NotebookNode) -> Cost:
    """Return the budget that a notebook declares; before it was measured, the most that it may declare."""
    return declared(notebook) or most(notebook)


def declare(notebook: nbformat.NotebookNode, cost: Cost) -> None:
    """Write what a notebook cost, with room and rounded up, after the sentence that says how long it takes to read.

    Raises
    ------
    ValueError
        If no cell has that sentence.
    """
    sentence = SENTENCE.format(STEP_CPU_S * math.ceil(ROOM * cost.cpu_s / STEP_CPU_S),
                               STEP_MEMORY_GB * math.ceil(cost.memory_gb / STEP_MEMORY_GB))
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (reading := READING_TIME.search(cell.source)):
            before, after = cell.source[:reading.end(1)], cell.source[reading.end():]
            cell.source = f"{before}\n{sentence}{'' if after[:1] in ('', chr(10)) else chr(10)}{after}"
            return
    raise ValueError("its opening must say how long it takes: **It takes** about 60 minutes.")


def cost_of_this_process() -> tuple[float, float]:
    """Return the CPU seconds of this process and of its children that ended, and the largest memory in GB of one."""
    import resource  # here, since a kernel that knows nothing of this file runs the function
    import sys
    from pathlib import Path

    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    peaks = [unit * own.ru_maxrss, unit * children.ru_maxrss]
    if (status := Path("/proc/self/status")).exists():  # Linux begins with the maximum of the process that started it
        peaks[0] = 1024 * int(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0])
    return sum(use.ru_utime + use.ru_stime for use in (own, children)), max(peaks) / 1e9


def cost_of_kernel(client: BlockingKernelClient, timeout_s: float) -> Cost:
    """Ask a kernel that is at rest what it has cost so far.

    Raises
    ------
    TimeoutError
        If it doesn't answer.
    """
    reply = client.execute_interactive(
        inspect.getsource(cost_of_this_process), silent=True, output_hook=lambda message: None, timeout=timeout_s,
        user_expressions={"cost": "'%r %r' % cost_of_this_process()"},
    )
    answer = reply["content"]["user_expressions"]["cost"]
    if answer["status"] != "ok":
        raise RuntimeError(f"{answer['ename']}: {answer['evalue']}")
    return Cost(*map(float, answer["data"]["text/plain"].strip("'").split()))
