"""Set-up of all tests: which of them this machine can run, in what order, and which took longest."""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slowest", type=int, default=0, metavar="N",
                     help="list the N slowest tests and the time of each notebook at the end")


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Don't compare drawings in notebooks: nbval skips PNG by itself, and an SVG contains a date and random names."""
    if is_notebook(collector.nodeid):
        collector.skip_compare += ("image/svg+xml",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what takes longest first; skip tests that need a device or data that are missing, and say why."""
    per_file = Counter(file_of(item.nodeid) for item in items)
    # When files are shared out among processes, running the small ones last makes all finish together.
    items.sort(key=lambda item: (not is_notebook(item.nodeid), -per_file[file_of(item.nodeid)]))
    reasons = {"gpu": _missing_gpu, "cifar": _missing_cifar}
    for marker, reason in reasons.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and (why := reason()):
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(autouse=True)
def run_on_the_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``auto`` choose the CPU on every machine: values that are compared exactly were recorded on a CPU."""
    device = sys.modules.get("minivit.training.device")
    if device and not request.node.get_closest_marker("gpu"):
        monkeypatch.setattr(device, "_best_device", lambda: sys.modules["torch"].device("cpu"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not (n := config.getoption("slowest")):
        return
    reports = [report for kind in terminalreporter.stats.values() for report in kind if hasattr(report, "duration")]
    tests, notebooks = times(reports)
    terminalreporter.section(f"slowest {n} tests")
    for name, time_s in tests.most_common(n):
        terminalreporter.line(f"{time_s:6.1f} s  {name}")
    if notebooks:
        terminalreporter.section("notebooks")
    for name, time_s in notebooks.most_common():
        terminalreporter.line(f"{time_s:6.1f} s  {name}{over_budget(name, time_s)}")


def times(reports: Iterable[Any]) -> tuple[Counter, Counter]:
    """Return the seconds of each test and of each notebook, whose cells nbval runs as tests, from setup to teardown."""
    tests, notebooks = Counter(), Counter()
    for report in reports:
        if is_notebook(report.nodeid):
            notebooks[file_of(report.nodeid)] += report.duration
        else:
            tests[report.nodeid] += report.duration
    return tests, notebooks


def over_budget(name: str, time_s: float) -> str:
    import nbformat

    from tools.execute import budget_time_s  # slow to import, and needed only at the end

    budget_s = budget_time_s(nbformat.read(ROOT / name, as_version=4))
    return f"  over the budget of {budget_s} s" if time_s > budget_s else ""


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def is_notebook(nodeid: str) -> bool:
    return file_of(nodeid).endswith(".ipynb")


def _missing_gpu() -> str | None:
    from minivit.training.device import answers

    return None if answers("cuda") else "no CUDA device that works"


def _missing_cifar() -> str | None:
    from minivit.data.cifar100 import ARCHIVE, FOLDER

    folder = os.environ.get("MINIVIT_DATA")
    if not folder:
        return "MINIVIT_DATA is not set to a folder with CIFAR-100"
    found = any(Path(folder, name).exists() for name in (FOLDER, ARCHIVE))
    return None if found else f"no CIFAR-100 in MINIVIT_DATA ({folder})"
