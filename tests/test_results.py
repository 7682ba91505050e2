"""Each record under results/ is what its folder says: a complete run of that recipe, variant and seed."""

import json
import re
import statistics
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

from minivit.bench.kernels import CATEGORIES, OPTIMISER, REST, category
from minivit.report.sweep import shorten
from minivit.tasks import TASKS
from minivit.training import Config, load_config, load_variants, read_record
from tests.step_records import check_step_record, is_step_record
from tools.step_times import WAYS

ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted(path.parent for path in (ROOT / "results").rglob("run.json"))
variants_of = cache(load_variants)  # the records of one recipe ask for it up to ninety times
KEYS = {"epoch", "train_loss", "images_per_second", "time_s"}


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_a_record_is_a_whole_run_of_its_recipe(folder):
    run, history = read_record(folder)
    name, *where, seed = folder.relative_to(ROOT / "results").parts
    part = int(where.pop(0).removeprefix("1of")) if where and where[0].startswith("1of") else 1  # a round of a search
    recipe = ROOT / "recipes" / f"{name.removesuffix('_repeated')}.py"
    config = shorten(variants_of(recipe)[where[0]] if where else load_config(recipe), part)
    classes = {"num_classes": run["config"]["model_options"]["num_classes"]}  # the data set's, not the recipe's
    config = config.override(seed=int(seed.removeprefix("seed")), model_options=classes)
    ran = run["config"]
    if ran["precision"] == "auto" != config.precision:  # the recipe names what the machine chose then
        ran |= {"precision": run["precision"]}
    assert Config.from_dict(ran) == Config.from_dict(json.loads(json.dumps(asdict(config))))
    assert [line["epoch"] for line in history] == list(range(1, config.epochs + 1))
    scores = {"test_loss", *TASKS[config.task].scores}
    assert all(line.keys() - scores == KEYS for line in history)
    assert all(scores <= line.keys() or not scores & line.keys() for line in history)  # evaluate_every
    assert scores <= history[-1].keys()
    assert run["commit"] and not run["commit"].endswith("+changes")


def test_no_two_records_are_the_same_run():
    assert len({(folder / "metrics.jsonl").read_text(encoding="utf-8") for folder in RECORDS}) == len(RECORDS)


ANALYSES = sorted((ROOT / "results").rglob("analysis.json"))


@pytest.mark.parametrize("path", ANALYSES, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_an_analysis_is_of_the_run_beside_it(path):
    analysis, (run, history) = json.loads(path.read_text(encoding="utf-8")), read_record(path.parent)
    config = Config.from_dict(run["config"])
    assert Config.from_dict(analysis["config"]) == config  # a newer one may have more keys
    assert analysis["commit"] and not analysis["commit"].endswith("+changes")
    # The same weights: a sample of the test images has about the score of all, within four standard errors of a share,
    # which are wide enough for the mean IoU too.
    score = history[-1][TASKS[config.task].score] / 100
    error = 4 * (score * (1 - score) / analysis["images"]) ** 0.5
    assert abs(analysis["robustness"]["clean"] / 100 - score) < error


def read_bench(name):
    return json.loads((ROOT / "results/bench" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_readme_says_how_many_images_a_core_reads():
    record, readme = read_bench("cpu_decode"), (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.fullmatch("[0-9a-f]{40}", record["commit"])
    for way in record["ways"].values():
        assert way["low"] <= way["median"] == statistics.median(way["images_per_second"]) <= way["high"]
    number = {name: round(way["median"]) for name, way in record["ways"].items()}
    assert (f"{number['training, 500 x 375, 40 KB']} for\ntraining on images of 500 × 375 pixels and 40 KB, and "
            f"{number['training, 500 x 375, 110 KB']} at 110 KB") in readme
    assert (f"reads {number['evaluation, 500 x 375, 40 KB']} and {number['evaluation, 500 x 375, 110 KB']}.") in readme
    one, all_cores = (record["ways"][f"training, 500 x 375, 40 KB{which}"] for which in ("", ", one thread per core"))
    assert all_cores["threads"] == 2 and f"read {all_cores['clock'] / one['clock']:.1f} times as many" in readme


def test_the_steps_on_a_gpu_are_of_recipes_and_commits_and_their_numbers_fit_each_other():
    record = read_bench("h100_steps")
    assert record["device"].startswith("NVIDIA H100") and record["how"] and record["versions"].keys() == {"torch"}
    for run in record["runs"]:
        assert run["model"] == load_config(ROOT / "recipes" / f"{run['recipe']}.py").model
        assert re.fullmatch("[0-9a-f]{40}", run["commit"])
        for step in run["steps"].values():
            assert step["what"] and step["step_times_s"] == sorted(step["step_times_s"])
            assert step["step_time_s"] == statistics.median(step["step_times_s"])
            assert step["images_per_second"] * step["step_time_s"] == pytest.approx(record["batch_size"], rel=1e-3)
    named = {way for run in record["runs"] for way in run["steps"]}
    of_older_code = {"compiled_alone", "muon_compiled", "half_scattered", "wide", "narrow", "queries_in_pieces",
                     "sums_of_64", "sums_of_128", "kernels_apart"}
    assert named - of_older_code <= WAYS.keys()


def test_steps_timed_in_turns_are_of_a_gpu_and_a_commit():
    records = {path.stem: read_bench(path.stem) for path in (ROOT / "results/bench").glob("*.json")}
    for name, record in records.items():
        if is_step_record(record):
            check_step_record(record)
            assert not record["device"].startswith("cpu") and re.fullmatch("[0-9a-f]{40}", record["commit"]), name
            assert record["model"] == load_config(ROOT / "recipes" / f"{record['recipe']}.py").model


def test_the_kernels_of_a_step_fill_it():
    steps = {(run["recipe"], run["commit"]): run["steps"] for run in read_bench("h100_steps")["runs"]}
    record = read_bench("h100_kernels")
    assert record["device"] == read_bench("h100_steps")["device"] and len(record["steps"]) == 2
    for profiled in record["steps"]:
        spent_s = sum(row["us"] for row in profiled["kernels"]) / 1e6
        whole_s = steps[profiled["recipe"], profiled["commit"]]["full"]["step_time_s"]
        assert 0.9 * whole_s < spent_s < whole_s  # a graph's kernels run one after the other, with short gaps
        assert {row["category"] for row in profiled["kernels"]} == {*CATEGORIES, REST}
        products = [row for row in profiled["kernels"] if row["name"].startswith("nvjet")]
        assert sum(row["calls"] for row in products if row["category"] == OPTIMISER) == 4 * 3 * 5  # shapes, and Muon's
        assert all(row["category"] == category(row["name"]) for row in profiled["kernels"] if row not in products)
