"""Set-up of all tests: which of them this machine can run, in what order, and what they and the notebooks cost."""

import os
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent
COST = "cost of a notebook"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slowest", type=int, default=0, metavar="N",
                     help="list the N slowest tests and the time of each notebook at the end")


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Don't compare drawings in notebooks: nbval skips PNG by itself, and an SVG contains a date and random names."""
    if is_notebook(collector.nodeid):
        collector.skip_compare += ("image/svg+xml",)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Add a test after the cells of each notebook: the budget that the notebook declares."""
    report = yield
    if is_notebook(collector.nodeid) and report.passed:
        report.result.append(Budget.from_parent(collector, name="budget"))
    return report


class Budget(pytest.Item):
    """What a notebook cost, asked from the kernel in which nbval has run its cells."""

    def runtest(self) -> None:
        from tools import budget  # slow to import, and needed only where notebooks are run

        kernel = self.parent.kernel
        if self.parent.timed_out or not kernel.is_alive():
            pytest.skip("its kernel didn't run all cells")
        cost, declared = budget.cost_of_kernel(kernel.kc, timeout_s=60), budget.budget_of(self.parent.nb)
        self.user_properties.append((COST, f"{cost}, of {declared}"))
        if cost.exceeds(declared, budget.ENFORCED):
            pytest.fail(f"It took {cost}, more than {budget.ENFORCED} times its budget of {declared}. Make it cheaper, "
                        "or remove the sentence with its budget and run `make notebooks`, which measures it.",
                        pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.nodeid


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
    costs = {file_of(report.nodeid): text for report in reports for key, text in report.user_properties if key == COST}
    terminalreporter.section(f"slowest {n} tests")
    for name, time_s in tests.most_common(n):
        terminalreporter.line(f"{time_s:6.1f} s  {name}")
    if notebooks:
        terminalreporter.section("notebooks")
    for name, time_s in notebooks.most_common():
        terminalreporter.line(f"{time_s:6.1f} s  {name}  {costs.get(name, '')}".rstrip())


def times(reports: Iterable[Any]) -> tuple[Counter, Counter]:
    """Return the seconds of each test and of each notebook, whose cells nbval runs as tests, from setup to teardown."""
    tests, notebooks = Counter(), Counter()
    for report in reports:
        if is_notebook(report.nodeid):
            notebooks[file_of(report.nodeid)] += report.duration
        else:
            tests[report.nodeid] += report.duration
    return tests, notebooks


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def is_notebook(nodeid: str) -> bool:
    return file_of(nodeid).endswith(".ipynb")


def _missing_gpu() -> str | None:
    from minivit.training.device import works

    return None if works("cuda") else "no CUDA device that works"


def _missing_cifar() -> str | None:
    from minivit.data.cifar100 import ARCHIVE, FOLDER

    folder = os.environ.get("MINIVIT_DATA")
    if not folder:
        return "MINIVIT_DATA is not set to a folder with CIFAR-100"
    found = any(Path(folder, name).exists() for name in (FOLDER, ARCHIVE))
    return None if found else f"no CIFAR-100 in MINIVIT_DATA ({folder})"
