"""Each record under results/ is what its folder says: a whole run of one recipe, variant and seed, nobody else's."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

from minivit.tasks import TASKS
from minivit.training import Config, load_config, load_variants, read_record

ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted(path.parent for path in (ROOT / "results").rglob("run.json"))
variants_of = cache(load_variants)  # the records of one recipe ask for it up to ninety times
KEYS = {"epoch", "train_loss", "images_per_second", "time_s"}


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_a_record_is_a_whole_run_of_its_recipe(folder):
    run, history = read_record(folder)
    name, *variant, seed = folder.relative_to(ROOT / "results").parts
    recipe = ROOT / "recipes" / f"{name}.py"
    config = variants_of(recipe)[variant[0]] if variant else load_config(recipe)
    classes = {"num_classes": run["config"]["model_options"]["num_classes"]}  # the data set's, not the recipe's
    config = config.override(seed=int(seed.removeprefix("seed")), model_options=classes)
    assert Config.from_dict(run["config"]) == Config.from_dict(json.loads(json.dumps(asdict(config))))
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
    assert Config.from_dict(analysis["config"]) == Config.from_dict(run["config"])  # a newer one may have more keys
    assert analysis["commit"] and not analysis["commit"].endswith("+changes")
    # The same weights: a sample of the test images has about the accuracy of all, within four standard errors.
    top1 = history[-1]["test_top1"] / 100
    error = 4 * (top1 * (1 - top1) / analysis["images"]) ** 0.5
    assert abs(analysis["robustness"]["clean"] / 100 - top1) < error
