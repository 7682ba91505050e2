import gc
import json
import weakref
from dataclasses import replace

import pytest
import torch

import minivit.report.sweep as sweep_module
from minivit.__main__ import main
from minivit.analysis import compare_pairs
from minivit.report.sweep import summarize, sweep, table
from minivit.training import (
    Config,
    Stopped,
    Trainer,
    TrainingError,
    data,
    load_config,
    load_variants,
    loop,
    read_record,
    read_records,
)

VARIANTS = {"plain": {}, "cb-0.5": {"learning_rate": 3e-3, "model_options": {"context": "cb", "context_layers": (1,)}}}


@pytest.fixture
def recipe(config, tmp_path):
    """A function that writes the run of conftest.py as a recipe, with these variants, and returns its path."""
    def write(variants=None):
        path = tmp_path / "recipe.py"
        text = f"def get_config():\n    return {vars(config)!r}\n"
        path.write_text(text + (f"\ndef get_variants():\n    return {variants!r}\n" if variants is not None else ""))
        return path

    return write


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The folders that a training was begun in, below ``out`` and in order."""
    original, begun = sweep_module.train, []

    def train(config, folder, **options):
        begun.append(folder.relative_to(tmp_path / "out").as_posix())
        return original(config, folder, **options)

    monkeypatch.setattr(sweep_module, "train", train)
    return begun


def run(path, tmp_path, **options):
    return sweep(path, tmp_path / "out", **{"device": "cpu", "progress": False, "tell": lambda line: None} | options)


@pytest.mark.parametrize("error", [None, TrainingError("nan"), torch.OutOfMemoryError("full")],
                         ids=["", "nan", "memory"])
def test_a_run_is_freed_before_the_next_one_loads_its_images(recipe, tmp_path, monkeypatch, error):
    original, made = loop.create_trainer, weakref.WeakSet()

    def create_trainer(*args):
        assert not made
        trainer = original(*args)
        made.add(trainer)
        return trainer

    def fail(trainer, **options):
        raise type(error)(*error.args)

    monkeypatch.setattr(loop, "create_trainer", create_trainer)
    if error:
        monkeypatch.setattr(Trainer, "finish_epoch", fail)
    gc.disable()  # by luck it would be in time
    try:
        run(recipe(VARIANTS), tmp_path, overrides={"epochs": 1})
    finally:
        gc.enable()


def test_each_run_is_a_record_and_the_pairs_of_a_seed_come_first(recipe, runs, tmp_path):
    path = recipe(VARIANTS)
    rows = run(path, tmp_path, seeds=(3, 5), overrides={"epochs": 1})
    assert runs == ["plain/seed3", "cb-0.5/seed3", "plain/seed5", "cb-0.5/seed5"]
    top1 = {name: [] for name in VARIANTS}
    for name, config in load_variants(path, epochs=1).items():
        for seed in (3, 5):
            record, history = read_record(tmp_path / "out" / name / f"seed{seed}")
            top1[name].append(history[-1]["test_top1"])
            want = config.override(seed=seed, model_options={"num_classes": 10})
            assert Config.from_dict(record["config"]) == Config.from_dict(json.loads(json.dumps(vars(want))))
    records = read_records(tmp_path / "out")
    assert {name: set(seeds) for name, seeds in records.items()} == {name: {3, 5} for name in VARIANTS}
    assert [records[name][5][1][-1]["test_top1"] for name in VARIANTS] == [x[1] for x in top1.values()]
    assert [row["mean"] for row in rows] == [pytest.approx(sum(x) / 2) for x in top1.values()]
    assert rows[1]["changes"] == "context=cb, context_layers=(1,), learning_rate=0.003"


def test_only_the_variants_that_are_named_are_trained(recipe, runs, tmp_path):
    rows = run(recipe(VARIANTS), tmp_path, names=["cb-0.5"], overrides={"epochs": 1})
    assert runs == ["cb-0.5/seed0"] and [row["variant"] for row in rows] == ["cb-0.5"]


@pytest.mark.parametrize("variants, name, message", [
    (VARIANTS, "plane", "variant 'plane'.*did you mean 'plain'.*plain, cb-0.5"),
    (None, "plain", "variant 'plain'.*has no get_variants"),
])
def test_an_unknown_variant_is_told_with_the_known(recipe, runs, tmp_path, variants, name, message):
    with pytest.raises(ValueError, match=message):
        run(recipe(variants), tmp_path, names=[name])
    assert not runs


def test_a_folder_without_records_is_told(tmp_path):
    with pytest.raises(ValueError, match="no records of a sweep"):
        read_records(tmp_path)


@pytest.mark.parametrize("name, content, message", [
    ("run.json", "{}", "run.json is damaged"), ("run.json", "null", "run.json is damaged"),
    ("metrics.jsonl", "7", "metrics.jsonl is damaged"), ("metrics.jsonl", "[]", "metrics.jsonl is damaged"),
    ("run.json", None, "run.json cannot be read: Is a directory"),
])
def test_a_damaged_record_is_told(recipe, tmp_path, name, content, message):
    run(recipe(VARIANTS), tmp_path, seeds=(3,))
    path = tmp_path / "out" / "plain" / "seed3" / name
    path.unlink()
    path.mkdir() if content is None else path.write_text(content)
    for read in (lambda: run(recipe(VARIANTS), tmp_path, seeds=(3,)), lambda: read_records(tmp_path / "out")):
        with pytest.raises(ValueError, match=message):
            read()


def test_a_record_that_is_not_called_after_its_seed_is_told(recipe, tmp_path):
    run(recipe(VARIANTS), tmp_path)
    (tmp_path / "out" / "plain" / "seed0").rename(tmp_path / "out" / "plain" / "seed0.old")
    with pytest.raises(ValueError, match="seed0.old is not called seedN"):
        read_records(tmp_path / "out")


def test_a_recipe_without_variants_is_its_own_and_needs_no_folder_more(recipe, runs, tmp_path):
    rows = run(recipe(), tmp_path, seeds=(2,))
    assert runs == ["seed2"] and (tmp_path / "out" / "seed2" / "run.json").exists()
    assert len(rows) == 1 and (rows[0]["variant"], rows[0]["n"], rows[0]["changes"]) == ("", 1, "")
    assert load_variants(tmp_path / "out" / "seed2" / "run.json").keys() == {""}


def test_a_finished_run_is_skipped_and_an_interrupted_one_goes_on(recipe, runs, tmp_path, monkeypatch):
    path, epoch = recipe(VARIANTS), Trainer.finish_epoch

    def stop_in_the_second_run(trainer, **options):
        metrics = epoch(trainer, **options)
        if len(runs) == 2:
            raise Stopped(15)
        return metrics

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "finish_epoch", stop_in_the_second_run)
        with pytest.raises(Stopped):
            run(path, tmp_path, seeds=(0, 1))
    assert runs == ["plain/seed0", "cb-0.5/seed0"]
    out = tmp_path / "out"
    before = (out / "plain/seed0/run.json").read_bytes()
    begun = read_record(out / "cb-0.5/seed0")[1]
    assert len(begun) == 1

    runs.clear()
    rows = run(path, tmp_path, seeds=(0,))
    assert runs == ["cb-0.5/seed0"] and [row["n"] for row in rows] == [1, 1]
    assert (out / "plain/seed0/run.json").read_bytes() == before
    record, history = read_record(out / "cb-0.5/seed0")
    assert history[:1] == begun and len(history) == 2 and len(record["resumed"]) == 1

    runs.clear()
    assert run(path, tmp_path, seeds=(0,), root=tmp_path / "nowhere") == rows and not runs


def test_a_record_of_an_older_version_is_a_finished_run(recipe, runs, tmp_path):
    path = recipe(VARIANTS)
    rows = run(path, tmp_path)
    for file in (tmp_path / "out").rglob("run.json"):
        record = json.loads(file.read_text())
        del record["config"]["held_out_images"]
        file.write_text(json.dumps(record))
    runs.clear()
    assert run(path, tmp_path) == rows and not runs


def test_another_run_in_a_folder_is_told_and_left_alone(recipe, runs, tmp_path):
    path = recipe(VARIANTS)
    run(path, tmp_path)
    (tmp_path / "out/cb-0.5/seed0/checkpoint.pt").unlink()
    before = {file: file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()}
    recipe(VARIANTS | {"cb-0.5": {"learning_rate": 2e-3, "model_options": {"context": "cb", "context_layers": (1,)}}})
    runs.clear()
    with pytest.raises(ValueError, match="cb-0.5/seed0 holds another run, with learning_rate=0.003; choose another"):
        run(path, tmp_path)
    assert not runs and {file: file.read_bytes() for file in before} == before


def test_runs_on_other_data_are_not_mixed(recipe, runs, tmp_path, monkeypatch):
    path, load = recipe(VARIANTS), data.load
    run(path, tmp_path, names=["plain"])
    runs.clear()
    monkeypatch.setattr(data, "load", lambda *words, **options: replace(load(*words, **options),
                                                                        classes=tuple("abcdefghij")))
    with pytest.raises(ValueError, match="plain/seed0 was trained on other data: classes of .* differ; use the same"):
        run(path, tmp_path)
    assert not runs
    run(path, tmp_path, names=["plain"])  # which only reads


def test_a_failed_run_is_told_and_counted_and_the_others_go_on(recipe, runs, tmp_path, monkeypatch):
    original, told = sweep_module.train, []

    def train(config, folder, **options):
        if config.seed == 0 and config.model_options["context"] == "cb":
            raise TrainingError("step 4: the loss is not finite")
        return original(config, folder, **options)

    monkeypatch.setattr(sweep_module, "train", train)
    rows = run(recipe(VARIANTS), tmp_path, seeds=(0, 1), overrides={"epochs": 1}, tell=told.append)
    assert [(row["n"], row["failed"]) for row in rows] == [(2, 0), (1, 1)]
    assert runs == ["plain/seed0", "plain/seed1", "cb-0.5/seed1"]
    assert f"{tmp_path}/out/cb-0.5/seed0 failed: step 4: the loss is not finite" in told
    assert rows[1]["difference"] is None and "1 (1 failed)" in table(rows)


@pytest.mark.parametrize("variants, message", [
    ({"a": {}, "b": {"epoch": 5}}, "variant 'b': epoch=5.*did you mean 'epochs'"),
    ({"a": {}, "b": {"epochs": 0}}, "variant 'b': epochs=0 must be at least 1"),
    ({"a": {}, "b": {"seed": 3}}, "variant 'b': seed=3"),
    ({"a": {}, "b": {"run": {"seed": 3}}}, "variant 'b': seed=3"),
    ({"a": {}, "b": 5}, "variant 'b' must be a dict of what differs, not 5"),
    ({"a": {}, "b": {"flip": True}}, "variants 'a' and 'b' are the same run"),
    ({"a": {}, "b": {"model_options": {"context": "cbs"}}}, "variant 'b': .*cb_s"),
    ({"a": {}, "b": {"model_options": {"image_size": 12}}}, r"variant 'b': images has shape .*\(B, 1, 12, 12\)"),
    ({"a": {}, "b": {"model_options": {"num_classes": 7}}}, "variant 'b': num_classes=7 .*10 classes of digits"),
    ({"a": {}, "b": {"dataset": "digit"}}, "variant 'b': .*did you mean 'digits'"),
    ({"a": {}, "b": {"train_images": 10**6}}, "variant 'b': train_images=1000000"),
    ({}, "must return a dict of variants"),
    ([], "must return a dict of variants"),
    *(({"a": {}, name: {"epochs": 1}}, "must be named in lower-case letters")
      for name in ("B", "a b", "a/b", "..", ".b", "-b", "", "ä", "b\n", 7)),
])
def test_a_bad_variant_is_named_before_anything_runs(recipe, runs, tmp_path, variants, message):
    path = recipe(variants)
    with pytest.raises(ValueError, match=f"recipe {path}.*{message}"):
        run(path, tmp_path)
    assert not runs and not (tmp_path / "out").exists()


def test_the_check_before_the_first_run_compiles_nothing(config, recipe, monkeypatch):
    monkeypatch.setattr("torch.compile", lambda *_, **__: pytest.fail("something was compiled"))
    sweep_module.check_fit(recipe(), {"": config.override(compile="default")}, data.SharedData(None))


def test_a_sweep_reads_its_recipe_once_and_its_data_once(recipe, tmp_path, monkeypatch):
    path, load, loaded = recipe(VARIANTS), data.load, []
    count = tmp_path / "count"
    path.write_text(path.read_text() + f"\nwith open({str(count)!r}, 'a') as file:\n    file.write('x')\n")
    monkeypatch.setattr(data, "load", lambda *a, **options: loaded.append(a) or load(*a, **options))
    run(path, tmp_path, seeds=(0, 1), overrides={"epochs": 1})
    assert count.read_text() == "x" and len(loaded) == 1


def test_variants_that_raise_are_the_recipes_fault(recipe):
    path = recipe(VARIANTS)
    path.write_text(path.read_text() + "\ndef get_variants():\n    return 1 / 0\n")
    with pytest.raises(ValueError, match=f"recipe {path}: ZeroDivisionError"):
        load_variants(path)


def test_an_override_that_makes_two_variants_one_is_told(recipe):
    path = recipe({"slow": {"learning_rate": 1e-4}, "fast": {"learning_rate": 1e-2}})
    assert [config.epochs for config in load_variants(path, epochs=7).values()] == [7, 7]
    with pytest.raises(ValueError, match="variants 'slow' and 'fast' are the same run"):
        load_variants(path, learning_rate=1e-3)


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,), ("one",)])
def test_bad_seeds_are_told_before_anything_runs(recipe, runs, tmp_path, seeds):
    with pytest.raises(ValueError, match="seeds?="):
        run(recipe(VARIANTS), tmp_path, seeds=seeds)
    assert not runs


def test_the_numbers_of_the_table(config):
    variants = {name: config.override(model_options=options)
                for name, options in {"plain": {}, "cb": {"context": "cb"}, "wide": {"dim": 24}}.items()}
    top1 = {"plain": [30.0, 32.0, 37.0], "cb": [31.0, 34.0, None], "wide": [None, None, 50.0]}  # None: it failed
    best_then_last = {x: x and [{"test_top1": 99.0, "time_s": 1.0},
                                {"test_top1": x, "test_loss": 5 - x / 20, "time_s": 10 + x}]
                      for values in top1.values() for x in values}
    histories = {(name, seed): best_then_last[top1[name][seed]] for seed in range(3) for name in variants}
    plain, cb, wide = rows = summarize(config, variants, histories)
    assert [row["variant"] for row in rows] == ["plain", "cb", "wide"]
    assert [(row["n"], row["failed"], row["mean"], row["time_s"]) for row in rows] == [
        (3, 0, 33, 43), (2, 1, 32.5, 42.5), (1, 2, 50, 60)]
    # The deviations of the first are -3, -1 and 4: a variance of 26 / 2. Those of the second are -1.5 and 1.5.
    assert (plain["sd"], cb["sd"], wide["sd"]) == (pytest.approx(13**0.5), pytest.approx(4.5**0.5), None)
    family = compare_pairs({"score": [1, 2], "loss": [-0.05, -0.1]})
    assert cb["difference"] == pytest.approx(family["score"])
    assert cb["loss_difference"] == pytest.approx(family["loss"])
    assert plain["difference"] is None and wide["difference"] is wide["loss_difference"] is None
    lines = table(rows).splitlines()
    assert lines[1].split() == ["plain", "3", "33.00", "±", "3.61", "-", "-", "43", "-"]
    assert "32.50 ± 2.12" in lines[2] and "+1.50 [-4.85, +7.85], n = 2" in lines[2] and "context=cb" in lines[2]
    assert lines[3].split() == ["wide", "1", "(2", "failed)", "50.00", "-", "-", "60", "dim=24"]
    assert "difference" in lines[0] and summarize(config, variants, histories, compare=False)[1] == cb | {
        "difference": None, "loss_difference": None}


def test_the_correction_runs_over_all_variants_and_both_measures(config):
    top1 = {"plain": [30.0, 31.0, 32.0], "clear": [34.0, 35.0, 36.1], "likely": [31.0, 32.3, 33.8]}
    variants = {name: config.override(learning_rate=1e-3 * (2 + i)) for i, name in enumerate(top1)}
    histories = {(name, seed): [{"test_top1": x, "test_loss": 2 + (seed * x) % 1, "time_s": 1.0}]
                 for name, values in top1.items() for seed, x in enumerate(values)}
    _, clear, likely = rows = summarize(config, variants, histories)
    assert clear["difference"].claimed and not likely["difference"].claimed
    assert likely["difference"].p < 0.05  # alone it would pass
    assert [line.count("*") for line in table(rows).splitlines()[1:4]] == [0, 1, 0]


def as_if_on(folder, **changed):
    """Rewrite the record of a run as if it had been made elsewhere."""
    path = folder / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | changed))


@pytest.mark.parametrize("changed, what", [
    ({"device": "NVIDIA X1"}, "device 'NVIDIA X1' and 'cpu, .*'"),
    ({"device": "cpu, Z80, 1 cores, 3 threads"}, "device 'cpu, Z80, 1 cores' and 'cpu, "),
    ({"precision": "bfloat16"}, "precision 'bfloat16' and 'float32'"),
    ({"resumed": [{"device": "NVIDIA X1", "precision": "float32"}]}, "device 'cpu, .*, then NVIDIA X1' and 'cpu, "),
])
def test_runs_from_unlike_conditions_are_listed_and_not_compared(recipe, runs, tmp_path, changed, what):
    path, out = recipe(VARIANTS), tmp_path / "out"
    both = run(path, tmp_path, seeds=(0, 1), overrides={"epochs": 1})
    assert both[1]["difference"].n == 2
    runs.clear()
    as_if_on(out / "cb-0.5/seed1", **changed)
    with pytest.raises(ValueError, match=f"{out}/cb-0.5/seed1 and {out}/plain/seed1 can't be compared: {what}"):
        run(path, tmp_path, seeds=(0, 1), overrides={"epochs": 1})
    listed = run(path, tmp_path, seeds=(0, 1), overrides={"epochs": 1}, compare=False)
    assert [row["mean"] for row in listed] == [row["mean"] for row in both] and not runs
    assert listed[1]["difference"] is listed[1]["loss_difference"] is None


def test_a_run_that_would_have_no_like_partner_is_told_before_it_runs(recipe, runs, tmp_path, capsys):
    path, out = recipe(VARIANTS), tmp_path / "out"
    run(path, tmp_path, names=["plain"], overrides={"epochs": 1})
    device, threads = json.loads((out / "plain/seed0/run.json").read_text())["device"].rsplit(", ", 1)
    as_if_on(out / "plain/seed0", device=f"{device}, 97 threads")
    runs.clear()
    line = ["sweep", str(path), "--out", str(out), "--epochs", "1", "--device", "cpu"]
    assert main(line) == 1 and not runs
    assert f"threads '{threads.split()[0]}' and '97'; train one of them again" in capsys.readouterr().err
    assert main([*line, "--no-comparison"]) == 0 and runs == ["cb-0.5/seed0"]


def test_runs_of_different_commits_are_compared_and_told(recipe, runs, tmp_path, monkeypatch):
    path, told = recipe(VARIANTS), []
    run(path, tmp_path, overrides={"epochs": 1})
    monkeypatch.setattr(sweep_module, "commit", lambda: "fedcba9876")
    as_if_on(tmp_path / "out/plain/seed0", commit="0123456789")
    as_if_on(tmp_path / "out/cb-0.5/seed0", commit="0123456789", resumed=[])
    run(path, tmp_path, overrides={"epochs": 1}, tell=told.append)
    assert not [line for line in told if "different commits" in line]  # nothing is left to run
    rows = run(path, tmp_path, seeds=(0, 1), overrides={"epochs": 1}, tell=told.append)
    line, = (line for line in told if "different commits" in line)
    assert "(0123456: 2, fedcba9: 2)" in line and rows[1]["difference"].n == 2
    told.clear()
    run(path, tmp_path, seeds=(0, 1, 2), overrides={"epochs": 1}, tell=told.append, compare=False)
    assert not [line for line in told if "different commits" in line]


def test_a_precision_that_the_variant_asks_for_is_what_is_compared(recipe, tmp_path):
    path = recipe({"plain": {}, "half": {"precision": "bfloat16"}})
    rows = run(path, tmp_path, seeds=(0, 1), overrides={"epochs": 1})
    assert rows[1]["difference"].n == 2


def test_the_command_sweeps_and_prints_the_table(recipe, runs, tmp_path, capsys):
    path = str(recipe(VARIANTS))
    arguments = ["sweep", path, "--out", str(tmp_path / "out"), "--device", "cpu", "--seeds", "0", "1", "--epochs", "1",
                 "model.model_options.dim=15"]
    assert main(arguments) == 0
    assert runs == ["plain/seed0", "cb-0.5/seed0", "plain/seed1", "cb-0.5/seed1"]
    assert load_config(tmp_path / "out/plain/seed1/run.json").model_options["dim"] == 15
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("plain", "cb"))] == [["plain", "2"], ["cb-0.5", "2"]]


def test_a_seed_is_no_override_of_a_sweep(recipe, capsys):
    with pytest.raises(SystemExit):
        main(["sweep", str(recipe()), "--out", "out", "--seed", "1"])
    assert "unrecognized arguments: --seed 1" in capsys.readouterr().err
    for word in ("seed=1", "run.seed=1"):
        assert main(["sweep", str(recipe()), "--out", "out", word]) == 1
        assert "overrides can't include seed: all variants of a sweep" in capsys.readouterr().err


def test_a_stopped_sweep_says_how_to_go_on(recipe, tmp_path, capsys, monkeypatch):
    def stop(*_, **__):
        raise Stopped(15)

    monkeypatch.setattr(sweep_module, "train", stop)
    assert main(["sweep", str(recipe()), "--out", str(tmp_path / "out")]) == 143
    assert capsys.readouterr().err.endswith("go on with the same command\n")
