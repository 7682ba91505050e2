"""The record of a run: what was run, on what, and what came out."""

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import minivit
from minivit.training.checkpoint import write_json, write_whole
from minivit.training.config import Config
from minivit.training.device import resolve_precision

RUN, METRICS = "run.json", "metrics.jsonl"
# The book's records: they are in the repository, beside the package, and not in an installed copy of it.
RESULTS = Path(minivit.__file__).resolve().parents[1] / "results"


def describe(config: Config, device: torch.device, prepare_s: dict[str, float]) -> dict[str, Any]:
    """Return what ``run.json`` holds: ``python -m minivit train run.json`` does the run again."""
    return {"config": asdict(config), "seed": config.seed, "commit": commit(), "device": describe_device(device),
            "precision": resolve_precision(config.precision, device), "prepare_s": prepare_s,
            "versions": {"python": platform.python_version(), "minivit": minivit.__version__}
                        | {name: version(name) for name in ("torch", "numpy")},
            "started": datetime.now(UTC).isoformat(timespec="seconds")}


def describe_device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {processor()}, {torch.get_num_threads()} threads"


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def commit() -> str | None:
    """Return the commit the package stands at, with ``+changes`` where files differ from it; None outside git."""
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(Path(minivit.__file__).parent), *words], capture_output=True,
                              encoding="utf-8", errors="replace", check=True).stdout.strip()
    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", ".", "../recipes") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_metrics(out: Path, history: list[dict[str, Any]]) -> None:
    """Write one line of JSON an epoch."""
    text = "".join(json.dumps(epoch) + "\n" for epoch in history)
    write_whole(out / METRICS, lambda part: part.write_text(text, encoding="utf-8"))


def write_run(out: Path, config: Config, device: torch.device, prepare_s: dict[str, float]) -> None:
    """Write ``run.json``; a resumed run keeps the first description and adds where and when it went on."""
    path = out / RUN
    now = describe(config, device, prepare_s)
    if path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
        now.pop("config"), now.pop("seed")
        now = first | {"resumed": [*first.get("resumed", []), now]}
    write_json(path, now)


def read_record(folder: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read the record of a run: ``run.json``, and ``metrics.jsonl`` as one dictionary an epoch.

    Raises
    ------
    ValueError
        If the folder holds no record.
    """
    folder = Path(folder)
    if not (folder / RUN).exists() or not (folder / METRICS).exists():
        raise ValueError(f"{folder} holds no record of a run ({RUN} and {METRICS}); "
                         "the book's records are in a clone of its repository, in results/")
    lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    return json.loads((folder / RUN).read_text(encoding="utf-8")), [json.loads(line) for line in lines]


def read_records(folder: str | Path) -> dict[str, dict[int, tuple[dict[str, Any], list[dict[str, Any]]]]]:
    """Read the records of a sweep, ``VARIANT/seedN`` below ``folder``: by variant and seed, as :func:`read_record`.

    Raises
    ------
    ValueError
        If the folder holds no such record.
    """
    records: dict[str, dict[int, Any]] = {}
    for run in sorted(Path(folder).glob(f"*/seed*/{RUN}")):
        variant, seed = run.parts[-3:-1]
        records.setdefault(variant, {})[int(seed.removeprefix("seed"))] = read_record(run.parent)
    if not records:
        raise ValueError(f"{folder} holds no records of a sweep (VARIANT/seedN/{RUN}); "
                         "the book's records are in a clone of its repository, in results/")
    return records
