"""Each record under results/ is what its folder says: a whole run of one recipe with one seed, and nobody else's."""

from pathlib import Path

import pytest

from minivit.training import Config, load_config, read_record

ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted(path.parent for path in (ROOT / "results").rglob("run.json"))
KEYS = ["epoch", "train_loss", "test_loss", "test_top1", "test_top5", "images_per_second", "time_s"]


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_a_record_is_a_whole_run_of_its_recipe(folder):
    run, history = read_record(folder)
    recipe = load_config(ROOT / "recipes" / f"{folder.parent.name}.py")
    seed = int(folder.name.removeprefix("seed"))
    classes = {"num_classes": run["config"]["model_options"]["num_classes"]}  # the data set's, not the recipe's
    assert Config.from_dict(run["config"]) == recipe.override(seed=seed, model_options=classes)
    assert [line["epoch"] for line in history] == list(range(1, recipe.epochs + 1))
    assert all(list(line) == KEYS for line in history)
    assert run["commit"] and not run["commit"].endswith("+changes")


def test_no_two_records_are_the_same_run():
    assert len({(folder / "metrics.jsonl").read_text() for folder in RECORDS}) == len(RECORDS)
