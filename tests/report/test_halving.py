"""Successive halving: each round is a sweep of the variants that are left, twice as long as the one before."""

import pytest

from minivit.__main__ import main
from minivit.report.halving import halve
from minivit.report.sweep import shorten
from minivit.training import Stopped, Trainer, TrainingError, read_record

VARIANTS = {f"rate_{i}": {"learning_rate": rate} for i, rate in enumerate((1e-5, 2e-5, 3e-3, 5e-5, 2e-3))}


@pytest.fixture
def recipe(config, tmp_path):
    path = tmp_path / "recipe.py"
    values = vars(config.override(held_out_images=43, epochs=8, warmup_epochs=2.0))
    path.write_text(f"def get_config():\n    return {values!r}\n\n\ndef get_variants():\n    return {VARIANTS!r}\n")
    return path


def run(recipe, tmp_path, **options):
    told, rounds = [], []
    best = halve(recipe, tmp_path / "out", **{"device": "cpu", "progress": False} | options, tell=told.append,
                 report=rounds.append)
    return best, rounds, [line for line in told if line.startswith("round")]


def test_the_better_half_goes_on_for_twice_as_long_and_all_is_kept(recipe, tmp_path):
    best, rounds, told = run(recipe, tmp_path)
    assert [[row["n"] for row in rows] for rows in rounds] == [[1] * 5, [1] * 3, [1] * 2]
    for rows, following in zip(rounds, rounds[1:], strict=False):
        ranked = sorted(rows, key=lambda row: -row["mean"])[:len(following)]
        assert {row["variant"] for row in ranked} == {row["variant"] for row in following}
    assert best == [row["variant"] for row in sorted(rounds[-1], key=lambda row: -row["mean"])]
    assert told[0].startswith("round 1 of 3 leaves ") and told[1].startswith("round 2 of 3 leaves ") and len(told) == 2
    for folder, part in (("1of4/rate_0", 4), (f"1of2/{best[0]}", 2), (best[0], 1)):
        record, history = read_record(tmp_path / "out" / folder / "seed0")
        assert len(history) == record["config"]["epochs"] == 8 // part
        assert record["config"]["warmup_epochs"] == 2 / part and record["config"]["held_out_images"] == 43


def test_a_search_goes_on_where_it_was_stopped(recipe, tmp_path, monkeypatch):
    whole, epoch, epochs = run(recipe, tmp_path / "whole"), Trainer.finish_epoch, []

    def count(trainer, **options):
        if len(epochs) == 17:  # in the second round
            raise Stopped(2)
        epochs.append(trainer)
        return epoch(trainer, **options)

    monkeypatch.setattr(Trainer, "finish_epoch", count)
    with pytest.raises(Stopped):
        run(recipe, tmp_path)
    monkeypatch.setattr(Trainer, "finish_epoch", lambda *args, **options: epochs.append(0) or epoch(*args, **options))
    best, rounds, told = run(recipe, tmp_path)
    assert len(epochs) == 5 * 2 + 3 * 4 + 2 * 8 and (best, told) == (whole[0], whole[2])
    assert [[row["mean"] for row in rows] for rows in rounds] == [[row["mean"] for row in rows] for rows in whole[1]]


def test_a_round_of_which_no_run_ends_well_ends_the_search(recipe, tmp_path, monkeypatch):
    def fail(trainer, **options):
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(Trainer, "finish_epoch", fail)
    with pytest.raises(TrainingError, match="all runs of round 1 of 3 failed"):
        run(recipe, tmp_path)


def test_nothing_is_chosen_on_the_test_set(recipe, tmp_path, capsys):
    line = ["sweep", str(recipe), "--out", str(tmp_path / "out"), "--device", "cpu", "--halvings"]
    assert main([*line, "1", "held_out_images=0"]) == 1
    assert "variant 'rate_0' would be chosen on the test set" in capsys.readouterr().err
    assert main([*line, "-1"]) == 1
    assert "halvings=-1 must be at least 1" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_command_prints_each_round_and_the_best(recipe, tmp_path, capsys):
    assert main(["sweep", str(recipe), "--out", str(tmp_path / "out"), "--device", "cpu", "--halvings", "1", "--epochs",
                 "2", "--warmup-epochs", "0", "--variants", "rate_1", "rate_2", "rate_3"]) == 0
    out = capsys.readouterr().out
    assert out.count("Top-1 of the last epoch on 43 held-out images") == 2
    assert "held-out loss" in out and "test loss 2" not in out
    best = out.splitlines()[-1].removeprefix("Best first: ").split(", ")
    assert len(best) == 2 and {*best} < {"rate_1", "rate_2", "rate_3"}


def test_a_run_that_is_not_shortened_is_the_run(config):
    for epochs, warmup in ((3, 0.3), (7, 0.7), (62, 5.0)):
        whole = config.override(epochs=epochs, warmup_epochs=warmup)
        assert shorten(whole, 1) == whole
    assert shorten(whole, 4).epochs == 16 and shorten(whole, 100).epochs == 1
