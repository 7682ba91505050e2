"""What a record of tools.step_times must hold, so that the chapter Where the time goes can show it."""

import statistics
from typing import Any

import pytest

from minivit.bench.kernels import CATEGORIES, REST
from tools.step_times import WAYS

ROUNDS = 6  # with fewer, a median has no 95 % interval: equation (2) of the chapter


def is_step_record(record: dict[str, Any]) -> bool:
    return {"recipe", "steps"} <= record.keys()


def check_step_record(record: dict[str, Any]) -> None:
    assert record["device"] and record["precision"] in ("float32", "bfloat16")
    assert record["macs"] > 0 and record["matrix_peak_macs_per_second"] > 0
    first = next(iter(record["steps"].values()))
    for way, step in record["steps"].items():
        assert step["what"] == WAYS[way].what and step["prepare_s"].keys() >= {"model"}
        assert len(step["step_times_s"]) == record["rounds"] >= ROUNDS
        assert step["step_time_s"] == pytest.approx(statistics.median(step["step_times_s"]))
        assert step["images_per_second"] * step["step_time_s"] == pytest.approx(step["batch_size"])
        ratios = [t / u for t, u in zip(step["step_times_s"], first["step_times_s"], strict=True)]
        assert step["time_ratio"]["median"] == pytest.approx(statistics.median(ratios))
    for row in record.get("kernels", []):
        assert row["category"] in {*CATEGORIES, REST} and row["name"] and row["us"] >= 0
