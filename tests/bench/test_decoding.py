"""Reading images, timed: every way in every round, and a table that fits on a page."""

import json

import numpy as np
import pytest

from minivit.__main__ import main
from minivit.bench import decoding
from minivit.bench.decoding import bench_decoding, imitate_photograph, table


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(decoding, "PHOTOGRAPHS", {"37 x 29": (29, 37, 73), "61 x 53": (53, 61, 94)})
    monkeypatch.setattr(decoding, "FILES", 2)
    monkeypatch.setattr(decoding, "TURN", 50)


def test_every_way_has_its_turns():
    result = bench_decoding(rounds=3)
    assert list(result["ways"]) == ["training, 37 x 29", "evaluation, 37 x 29", "training, 61 x 53",
                                    "evaluation, 61 x 53", "training, 37 x 29, one thread per core"]
    for way in result["ways"].values():
        assert len(way["images_per_second"]) == 3 and min(way["images_per_second"]) > 0
        assert way["low"] <= way["median"] <= way["high"] and way["clock"] > 0 and way["threads"] >= 1
    assert result["ways"]["training, 61 x 53"]["kilobytes"] > result["ways"]["training, 37 x 29"]["kilobytes"] > 0.5
    assert "pillow" in result["versions"] and json.loads(json.dumps(result)) == result
    lines = table(result).splitlines()
    assert all(len(line) <= 110 for line in lines) and sum("training" in line for line in lines) == 3


def test_imitated_photographs_have_coarse_structure_and_fine():
    pixels = np.asarray(imitate_photograph(np.random.default_rng(0), 60, 80), dtype=float)
    assert pixels.shape == (60, 80, 3) and 100 < pixels.mean() < 155 and 40 < pixels.std() < 90
    assert 2 < np.abs(np.diff(pixels, axis=0)).mean() < 25


@pytest.mark.parametrize(("words", "message"), [
    (["--rounds", "0"], "rounds=0"), (["--rounds", "few"], "rounds='few'"),
    (["--models", "vit_tiny_patch4_32"], "models and --decode do not go together"),
    (["--recipe", "none.py", "--data", "x"], "recipe, data and --decode do not go together"),
])
def test_the_command(capsys, words, message):
    assert main(["bench", "--decode", *words]) == 1
    assert message in capsys.readouterr().err
    assert main(["bench", "--decode", "--rounds", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rounds"] == 1
