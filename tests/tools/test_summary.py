"""`make test` runs the slowest tests first, and lists them at the end."""

import re
from types import SimpleNamespace

import pytest

from tools.execute import LIMIT_TIME_S
from tools.paths import ROOT

LONG, SHORT = "book/less/lavit.ipynb", "book/attention/check_yourself.ipynb"


@pytest.fixture
def conftest(request):
    return request.config.pluginmanager.get_plugin(str(ROOT / "conftest.py"))


def report(nodeid, duration, when="call", properties=()):
    return SimpleNamespace(nodeid=nodeid, duration=duration, when=when, user_properties=properties)


def test_a_test_takes_its_setup_too_and_a_notebook_all_its_cells(conftest):
    tests, notebooks = conftest.times([
        report("tests/test_a.py::test_one", 3.0, "setup"), report("tests/test_a.py::test_one", 4.0),
        report("tests/test_a.py::test_two[x::y]", 5.0),
        report(f"{LONG}::Cell 0", 11.0, "setup"), report(f"{LONG}::Cell 0", 13.0), report(f"{LONG}::Cell 1", 17.0),
        report(f"{SHORT}::Cell 0", 2.0),
    ])
    assert tests == {"tests/test_a.py::test_one": 7, "tests/test_a.py::test_two[x::y]": 5}
    assert notebooks == {LONG: 41, SHORT: 2}


def test_a_summary_is_printed_where_it_is_asked_for(conftest):
    def summary(slowest):
        lines = []
        stats = {"": [report(f"{LONG}::Cell 0", 1.0, "setup")], "warnings": [object()],
                 "passed": [*(report(f"tests/test_a.py::test_{i}", float(i)) for i in (2, 7, 5)),
                            report(f"{LONG}::Cell 0", 40.0), report(f"{SHORT}::Cell 0", 39.0),
                            report(f"{SHORT}::budget", 0.0, properties=[(conftest.COST, "3 of 5")])]}
        reporter = SimpleNamespace(stats=stats, section=lines.append, line=lines.append)
        conftest.pytest_terminal_summary(reporter, SimpleNamespace(getoption={"slowest": slowest}.get))
        return lines

    assert summary(0) == []
    assert summary(2) == [
        "slowest 2 tests", "   7.0 s  tests/test_a.py::test_7", "   5.0 s  tests/test_a.py::test_5",
        "notebooks", f"  41.0 s  {LONG}", f"  39.0 s  {SHORT}  3 of 5",
    ]


def test_notebooks_come_first_and_files_of_many_tests_before_those_of_few(conftest):
    names = ["tests/a.py::one", "tests/b.py::one", "tests/b.py::two", "tests/c.py::one", f"{SHORT}::Cell 0",
             f"{LONG}::Cell 0", f"{LONG}::Cell 1"]
    items = [SimpleNamespace(nodeid=name, get_closest_marker=lambda marker: None) for name in names]
    conftest.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == [names[i] for i in (5, 6, 4, 1, 2, 0, 3)]


def test_a_cell_may_take_as_long_in_make_test_as_in_make_notebooks():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert int(re.search(r"--nbval-cell-timeout (\d+)", makefile).group(1)) == LIMIT_TIME_S
