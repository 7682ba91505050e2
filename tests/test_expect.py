"""A result of chance is printed beside what other seeds gave; the seeds shift together while that is measured."""

import json

import pytest

from minivit import expect as module
from minivit.expect import REPEAT, VALUES, beside, book_seed, expect

FIVE = [86.14, 88.21, 87.0, 87.3, 86.9]


@pytest.fixture
def record(tmp_path, monkeypatch):
    it = {"chapter/accuracy": {"values": FIVE, "unit": "%", "decimals": 1}}
    (tmp_path / module.RECORD).write_text(json.dumps(it), encoding="utf-8")
    monkeypatch.setattr(module, "shipped", lambda name: tmp_path)


@pytest.mark.parametrize(("value", "words"), [
    (87.3, " (expect 86.1 to 88.2 %: 5 runs with different seeds)"),
    (86.06, " (expect 86.1 to 88.2 %: 5 runs with different seeds)"),  # printed as 86.1
    (85.0, " (a little below 86.1 to 88.2 %, the range of 5 runs: 1 new run in 3 falls outside)"),
    (90.0, " (a little above 86.1 to 88.2 %, the range of 5 runs: 1 new run in 3 falls outside)"),
    (80.0, " (far below 86.1 to 88.2 %, the range of 5 runs: did you change something?)"),
    (97.0, " (far above 86.1 to 88.2 %, the range of 5 runs: did you change something?)"),
])
def test_a_result_is_told_to_be_inside_a_little_outside_or_far_from_the_range(value, words):
    assert beside(value, FIVE) == words


def test_a_result_is_printed_with_its_range(record, capsys):
    expect("chapter/accuracy", 87.25)
    expect("chapter/loss", 0.1234, "nats", decimals=3)  # not on record
    assert capsys.readouterr().out == (
        "accuracy: 87.2 % (expect 86.1 to 88.2 %: 5 runs with different seeds)\nloss: 0.123 nats\n")


def test_a_copy_without_records_prints_the_result_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "shipped", lambda name: tmp_path / "nowhere")
    expect("chapter/accuracy", 87.25)
    assert capsys.readouterr().out == "accuracy: 87.2 %\n"


def test_while_a_range_is_measured_results_are_kept_and_no_two_runs_share_a_seed(tmp_path, monkeypatch):
    monkeypatch.setenv(VALUES, str(tmp_path / "values"))
    seeds = [book_seed(seed) for seed in range(5)]
    assert seeds == [0, 1, 2, 3, 4]
    for repeat in (1, 2):
        monkeypatch.setenv(REPEAT, str(repeat))
        seeds += [book_seed(seed) for seed in range(5)]
        expect("chapter/loss", repeat / 8, "nats", decimals=3)
    assert len(set(seeds)) == 15
    kept = [json.loads(line) for line in (tmp_path / "values").read_text(encoding="utf-8").splitlines()]
    assert kept == [{"name": "chapter/loss", "value": value, "unit": "nats", "decimals": 3} for value in (0.125, 0.25)]
