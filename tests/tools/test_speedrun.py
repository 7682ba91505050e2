"""The speed run: entries meet the rule, and the page says what the records say."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from minivit.training import RESULTS, Config
from tools import speedrun, speedrun_page
from tools.speedrun import TRACKS, check, main, read_entries

EPOCHS = 3
TOP1 = [75.5, 75.9, 75.7, 76.1, 75.6]  # mean 75.76, deviation 0.2408
TIMES = [91.0, 90.0, 92.0, 91.5, 90.5]


def make_run(seed, top1, time_s, **config):
    config = Config(**dict(model="vit_small_patch4_32", epochs=EPOCHS, warmup_epochs=0.5, seed=seed,
                           evaluate_every=2, model_options=dict(num_classes=100, drop_path=0.1)) | config)
    run = {"config": asdict(config), "seed": seed, "commit": "0123456789abcdef", "device": "NVIDIA H100",
           "data": {"classes": list(map(str, range(100))), "image_shape": [3, 32, 32]}, "versions": {"torch": "2.11.0"},
           "prepare_s": {"data": 1.0, "compile": 17.0 + seed}, "started": f"2026-11-2{seed}T23:59:00+00:00",
           "spent_s": {"training": time_s - 4, "evaluation": 4.0, "saving": 1.0}}
    history = [{"epoch": epoch, "train_loss": 4 - 0.1 * epoch - 0.01 * seed, "time_s": time_s * epoch / EPOCHS}
               for epoch in range(1, EPOCHS + 1)]
    for line in history[1:]:
        line |= {"test_loss": 1.0, "test_top1": top1, "test_top5": 90.0}
    return json.loads(json.dumps(run)), history


def write_runs(folder, runs):
    for seed, (run, history) in runs.items():
        (folder / f"seed{seed}").mkdir(parents=True)
        (folder / f"seed{seed}" / "run.json").write_text(json.dumps(run), encoding="utf-8")
        lines = "".join(json.dumps(line) + "\n" for line in history)
        (folder / f"seed{seed}" / "metrics.jsonl").write_text(lines, encoding="utf-8")


@pytest.fixture
def runs():
    return {seed: make_run(seed, *numbers) for seed, numbers in enumerate(zip(TOP1, TIMES, strict=True))}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results without a record, and the page with the book's words."""
    monkeypatch.setattr(speedrun, "RESULTS", tmp_path)
    monkeypatch.setattr(speedrun_page, "RESULTS", tmp_path)
    (tmp_path / "speedrun.json").write_text("[]", encoding="utf-8")
    (tmp_path / "speedrun.md").write_bytes((RESULTS / "speedrun.md").read_bytes())
    return tmp_path


def enter(results, *entries):
    values = [dict(track="vit", by="Ada", changed="more | speed") | entry for entry in entries]
    (results / "speedrun.json").write_text(json.dumps(values), encoding="utf-8")


def rows(results):
    """The cells of every row of the page's tables of entries."""
    text = (results / "speedrun.md").read_text(encoding="utf-8")
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| 20")]


def test_every_entry_of_the_repository_meets_the_rule_and_the_page_shows_it():
    entries = read_entries()
    for entry in entries:
        assert check(TRACKS[entry.track], entry.folder) == [], entry
    text = (RESULTS / "speedrun.md").read_text(encoding="utf-8")
    assert text == speedrun_page.filled(text, entries), "run `make speedrun`"


def test_the_page_has_what_the_records_have(results, runs, capsys):
    write_runs(results / "fast/plain", runs)
    slower = {seed: make_run(seed, 75.43 + 0.2 * (seed - 2), 120.0) for seed in range(5)}
    for seed, (_, history) in slower.items():
        history[0]["train_loss"] += 1 + seed
    write_runs(results / "slow", slower)
    enter(results, dict(records="fast/plain"), dict(records="slow", changed="the first"))
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["vit, fast/plain: ok", "vit, slow: ok"]
    slow, fast = rows(results)
    half = 2.7764 * np.std(TOP1, ddof=1) / 5**0.5  # the value that 2.5 of 100 draws of t exceed, with 4 degrees
    assert fast == ["2026-11-24", "**91.0 ± 0.8**, leads", "19", "NVIDIA H100", "5",
                    f"75.76 ± 0.24 [{75.76 - half:.2f}, {75.76 + half:.2f}]", "0.019, may be luck", "more \\| speed",
                    "Ada", "[records](fast/plain), `012345678`, torch 2.11.0"]
    assert slow[1] == "120.0 ± 0.0" and slow[6] == "0.5, may be luck" and slow[7] == "the first"
    assert (results / "speedrun.md").read_text(encoding="utf-8").count("No record meets the rule yet") == 1
    before = (results / "speedrun.md").read_bytes()
    assert main([]) == 0 and (results / "speedrun.md").read_bytes() == before


@pytest.mark.parametrize("top1, p", [(76.0, "0.00017"), (77.0, "< 0.0001"), (75.7, "0.0028")])
def test_a_claim_that_is_sure_says_so_by_its_p(results, top1, p):
    spread = [-0.15, -0.05, 0.0, 0.05, 0.15]
    write_runs(results / "sure", {seed: make_run(seed, top1 + spread[seed], 90.0) for seed in range(5)})
    enter(results, dict(records="sure"))
    assert main([]) == 0
    assert rows(results)[0][6] == p


def test_without_an_entry_the_page_says_how_close_anyone_came(results, runs):
    for name, less in (("near", 1), ("far", 3)):
        short = {seed: make_run(seed, TOP1[seed] - less, TIMES[seed]) for seed in range(3)}
        write_runs(results / name, short)
    with_cb = {seed: make_run(seed, 80, 60, model_options=dict(num_classes=100, context="cb")) for seed in range(3)}
    write_runs(results / "cb", with_cb)
    assert main([]) == 0
    vit, tiny = (results / "speedrun.md").read_text(encoding="utf-8").split("<!-- vit_tiny")
    assert ("Closest so far: 74.70 ± 0.20 % in 91.0 ± 1.0 s on NVIDIA H100, n = 3 ([records](near), 2026-11-22)"
            in vit)
    assert "the first entry may be yours" in tiny


def test_records_that_nobody_entered_are_told(results, runs):
    write_runs(results / "ready", runs)
    write_runs(results / "slower", {seed: make_run(seed, 79.0 + seed, 600.0) for seed in range(5)})
    assert main([]) == 0
    text = (results / "speedrun.md").read_text(encoding="utf-8")
    assert "These records meet the rule and could be one: 75.76 ± 0.24 % in 91.0 ± 0.8 s" in text


def tiny(**options):
    return {seed: make_run(seed, 71.0 + seed / 10, 40.0, model="vit_tiny_patch4_32",
                           model_options=dict(num_classes=100) | options) for seed in range(5)}


def test_the_smaller_track_is_for_one_model(results, runs):
    write_runs(results / "small", runs)
    write_runs(results / "tiny", tiny(drop_path=0.1, dropout=0.1, global_pool="avg", dim=192))
    write_runs(results / "wide", tiny(dim=384, num_heads=6))
    assert check(TRACKS["vit_tiny"], results / "tiny") == []
    assert set(check(TRACKS["vit_tiny"], results / "small")) == {
        f"seed{seed}: model='vit_small_patch4_32' must be vit_tiny_patch4_32" for seed in range(5)}
    faults = check(TRACKS["vit_tiny"], results / "wide")
    assert len(faults) == 10 and "seed4: num_heads=6 must be 3, the default" in faults
    assert check(TRACKS["vit"], results / "wide") == ["the mean top-1 is 71.20 %, below 75.43 %"]


def set_config(**values):
    return lambda run, history: run["config"].update(values)


def set_option(**values):
    return lambda run, history: run["config"]["model_options"].update(values)


def set_run(**values):
    return lambda run, history: run.update(values)


@pytest.mark.parametrize("spoil, fault", [
    (set_config(dataset="digits"), "dataset='digits' must be 'cifar100'"),
    (set_config(dataset_options={"labels": "coarse"}), "must be those of the 100 classes"),
    (set_config(task="segmentation"), "task='segmentation' must be 'classification'"),
    (set_config(train_images=40_000), "train_images=40000 must be null: all of them"),
    (set_config(held_out_images=5000), "held_out_images=5000 must be 0: it is the test set that counts"),
    (set_config(learning_rate=0.5), "differs from that of seed0: learning_rate=0.5"),
    (set_config(epochs=4), "metrics.jsonl has 3 of the 4 epochs"),
    (set_config(seed=5), "run.json has seed 3"),
    (set_config(model="lavit_nano"), "model='lavit_nano' must be a ViT"),
    (set_config(model="resnet18"), "model='resnet18' must be a ViT"),
    (set_config(colour="blue"), "no configuration that this version of minivit can read"),
    (set_option(context="cb"), "context='cb' must be 'none', the default"),
    (set_option(attention_layers=[0, 1]), "attention_layers=[0, 1] must be 'all'"),
    (set_option(mixer="linear"), "mixer='linear' must be 'attention'"),
    (set_option(uniform_head="replace"), "uniform_head='replace' must be 'none'"),
    (set_option(pretrained=True), "pretrained=True is not an option of a plain ViT that is trained from scratch"),
    (set_run(seed=4), "run.json has seed 4"),
    (set_run(config=None), "no configuration that"),
    (set_run(device="NVIDIA H200"), "from different devices: NVIDIA H100, NVIDIA H200"),
    (set_run(resumed=[{"device": "NVIDIA A100", "commit": "a"}]), "from different devices: NVIDIA H100, NVIDIA A100"),
    (set_run(device="cpu, a fast one, 2 cores, 2 threads"), "a GPU is required"),
    (set_run(commit=None), "commit None: commit first"),
    (set_run(commit="0123+changes"), "commit 0123+changes: commit first"),
    (set_run(resumed=[{"device": "NVIDIA H100", "commit": "12+changes"}]), "commit 12+changes: commit first"),
    (set_run(started="yesterday"), "started='yesterday' is not a date"),
    (set_run(data=None), "have data with 100 classes and image_shape [3, 32, 32]"),
    (set_run(spent_s={"training": 1.0}), "no spent_s with training and evaluation"),
    (set_run(spent_s={"training": 50.0, "evaluation": 4.0}), "time_s=91.5 is not the 54.00 s of training"),
    (lambda run, history: history.pop(), "metrics.jsonl has 2 of the 3 epochs"),
    (lambda run, history: history.clear(), "metrics.jsonl has 0 of the 3 epochs"),
    (lambda run, history: history[-1].pop("test_top1"), "the last epoch has no test_top1"),
    (lambda run, history: history[-1].update(test_top1=float("nan")), "the last epoch has no test_top1"),
    (lambda run, history: history[1].pop("train_loss"), "an epoch has no train_loss"),
    (lambda run, history: history[-1].pop("time_s"), "the last epoch has no time_s"),
    (lambda run, history: [a.update(b) for a, b in zip(history, make_run(2, 75, 91.5)[1], strict=True)],
     "the same run as seed2, loss by loss"),
])
def test_what_breaks_the_rule_is_told(results, runs, spoil, fault, capsys):
    spoil(*runs[3])
    write_runs(results / "bad", runs)
    assert main([str(results / "bad")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(line.startswith(f"{results / 'bad'}: ") for line in lines)
    told = [line for line in lines if fault in line]
    assert len(told) == 1 and ("seed3: " in told[0] or "devices" in fault)


@pytest.mark.parametrize("keep, faults", [
    ([0, 1, 2, 4], ["the seeds are 0, 1, 2, 4; they must be 0, 1, 2, ... without a gap"]),
    ([1, 2, 3, 4], ["the seeds are 1, 2, 3, 4; they must be 0, 1, 2, ... without a gap"]),
    ([0, 1, 2, 3], ["there are only 4 of the 5 seeds required"]),
    ([0], ["there are only 1 of the 5 seeds required"]),
    ([], ["holds no records"]),
])
def test_seeds_that_are_missing_are_told(results, runs, keep, faults):
    write_runs(results / "few", {seed: runs[seed] for seed in keep})
    found = check(TRACKS["vit"], results / "few")
    assert len(found) == len(faults) and all(fault in line for line, fault in zip(found, faults, strict=True))


def test_a_run_that_is_not_whole_is_told(results, runs):
    write_runs(results / "some", runs)
    (results / "some/seed5").mkdir()
    assert "seed5 holds no record of a run" in check(TRACKS["vit"], results / "some")[0]
    (results / "some/seed5").rename(results / "some/seeds")
    assert "seeds is not the folder of a seed" in check(TRACKS["vit"], results / "some")[0]


def test_a_faulty_entry_leaves_the_page_alone(results, runs, capsys):
    write_runs(results / "four", {seed: runs[seed] for seed in range(4)})
    enter(results, dict(records="four"))
    before = (results / "speedrun.md").read_bytes()
    assert main([]) == 1
    assert capsys.readouterr().out == "vit, four: there are only 4 of the 5 seeds required\n"
    assert (results / "speedrun.md").read_bytes() == before


@pytest.mark.parametrize("entries, message", [
    ([dict(records="a"), dict(records="a")], "entry 2 of .*: 'a' is listed twice"),
    ([dict(records="../a")], r"entry 1 of .*: records='../a' must lie below"),
    ([dict(records="a", track="vit_tin")], r"track='vit_tin' is not known \(did you mean 'vit_tiny'\?\)"),
    ([dict(records="a", changed=" ")], "must say who made it"),
    ([dict(records="a", tme=3)], "tme=3 is not an option of entry 1 of"),
    ([dict()], "entry 1 of .*'records'"),
])
def test_an_entry_that_cannot_be_read_is_told(results, entries, message):
    enter(results, *entries)
    with pytest.raises(ValueError, match=message):
        read_entries()
    assert main([]) == 1


def test_a_page_without_a_place_is_told(results, capsys):
    (results / "speedrun.md").write_text("# Nothing\n", encoding="utf-8")
    assert main([]) == 1
    assert "has no place for the table of vit" in capsys.readouterr().out
