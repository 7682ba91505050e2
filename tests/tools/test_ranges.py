"""What to expect is measured by running a notebook with other seeds; its page says what notebooks and records say."""

import json

import pytest

from minivit.expect import RECORD
from tools.notebooks import notebook_paths
from tools.paths import ROOT
from tools.ranges import collect, measure
from tools.tables import fill
from tools.what_to_expect import PAGE, page


def test_a_repeat_runs_the_same_code_with_other_seeds_and_keeps_its_results(write_notebook):
    path = write_notebook(
        "one", "from minivit.expect import book_seed, expect\nseed = book_seed(3)",
        "expect('one/seed', seed, 'of a draw', decimals=0)", "assert seed < 10, 'true of the seed shown'")
    runs, errors = zip(*(measure([path], repeat, jobs=1) for repeat in (0, 2)), strict=True)
    assert [run["one/seed"]["value"] for run in runs] == [3, 2003]
    assert errors[0] == [] and "true of the seed shown" in errors[1][0]
    it = collect(list(runs))["one/seed"]
    assert (it["values"], it["unit"], it["decimals"]) == ([3, 2003], "of a draw", 0) and it["torch"] and it["device"]


def test_a_run_that_lacks_a_result_is_told():
    result = {"value": 1.0, "unit": "%", "decimals": 1}
    with pytest.raises(ValueError, match="not measured: one/loss in run 1"):
        collect([{"one/loss": result, "one/top": result}, {"one/top": result}])


def test_a_table_stands_between_its_marks():
    start, end = "<!-- budgets: written by make notebooks -->\n", "<!-- end of budgets -->\n"
    text = fill(f"before\n{start}old\n{end}after\n", {"budgets": ["| a |", "|---|"]}, "a page", "make notebooks")
    assert text == f"before\n{start}\n| a |\n|---|\n\n{end}after\n"
    with pytest.raises(ValueError, match="no place for the table of budgets"):
        fill("before\n", {"budgets": []}, "a page", "make notebooks")


def test_the_page_is_that_of_the_notebooks_and_the_records():
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(ROOT), "run `make notebooks`"


def test_every_range_is_of_a_result_that_a_chapter_prints():
    names = json.loads((ROOT / "results" / RECORD).read_text(encoding="utf-8"))
    sources = {path.stem: path.read_text(encoding="utf-8") for path in notebook_paths(ROOT)}
    for name, it in names.items():
        assert "expect(" in sources[name.partition("/")[0]] and len(it["values"]) == 5, name
