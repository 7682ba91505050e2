"""The record of a run: its configuration, its machine and its results."""

import json
import logging
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import minivit
from minivit.data import DataInfo
from minivit.files import shipped, user_path
from minivit.training.config import Config
from minivit.training.device import resolve_precision
from minivit.training.files import damaged, read_json, write_json, write_whole

log = logging.getLogger(__name__)

RUN, METRICS = "run.json", "metrics.jsonl"
RESULTS, RECIPES = shipped("results"), shipped("recipes")  # the book's own


def describe_run(config: Config, device: torch.device, prepare_s: dict[str, float], data: DataInfo) -> dict[str, Any]:
    """Return the content of ``run.json``; ``python -m minivit train run.json`` repeats the run."""
    return {"config": asdict(config), "data": asdict(data), "seed": config.seed, "commit": commit(),
            **sitting(config, device), "prepare_s": prepare_s,
            "versions": {"python": platform.python_version(), "minivit": minivit.__version__}
                        | {name: version(name) for name in ("torch", "numpy")},
            "started": datetime.now(UTC).isoformat(timespec="seconds")}


def sitting(config: Config, device: torch.device) -> dict[str, str]:
    """Return on what, and in which precision, ``config`` is run on this device."""
    return {"device": describe_device(device), "precision": resolve_precision(config.precision, device)}


def conditions(run: Mapping[str, Any]) -> dict[str, str]:
    """Return what, beside its configuration, a run's numbers depend on: its ``device``, ``threads`` and ``precision``.

    Sittings that differ are all named, as in ``"1, then 2"``. Threads are those of a CPU; the records of a GPU don't
    count them. A record older than its ``precision`` has that of its configuration.

    Parameters
    ----------
    run
        The content of ``run.json``.
    """
    found: dict[str, dict[str, None]] = {"device": {}, "threads": {}, "precision": {}}  # a dict, to keep their order
    for part in (run, *run.get("resumed", [])):
        device, _, threads = part["device"].rpartition(", ") if part["device"].endswith(" threads") else (
            part["device"], "", "not counted")
        precision = part.get("precision") or Config.from_dict(run["config"]).precision
        for name, value in zip(found, (device, threads.removesuffix(" threads"), precision), strict=True):
            found[name][value] = None
    return {name: ", then ".join(values) for name, values in found.items()}


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
    """Return the package's commit, with ``+changes`` if files differ from it; None outside git."""
    package = Path(minivit.__file__).resolve().parent

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(package), *words], capture_output=True, encoding="utf-8",
                              errors="replace", check=True).stdout.strip()
    try:
        if not package.parent.samefile(git("rev-parse", "--show-toplevel")):
            return None  # an installed copy, or one that was downloaded, inside another repository
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", ".", "../recipes") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_metrics(out: Path, history: list[dict[str, Any]]) -> None:
    """Write one line of JSON per epoch."""
    text = "".join(json.dumps(epoch) + "\n" for epoch in history)
    write_whole(out / METRICS, lambda part: part.write_text(text, encoding="utf-8"))


def write_run(out: Path, config: Config, device: torch.device, prepare_s: dict[str, float], data: DataInfo) -> None:
    """Write ``run.json``; a resumed run keeps the first description and adds where and when it was resumed.

    If code or device have changed since the run stopped, a warning is logged: the run may then end with other weights
    than one that was never stopped.
    """
    path = out / RUN
    now = describe_run(config, device, prepare_s, data)
    if path.exists():
        first = read_run(out)
        before = first.get("resumed", [first])[-1]
        changed = [f"{name} {now[name]}, not {before[name]}" for name in ("device", "precision", "commit", "versions")
                   if name in before and before[name] != now[name]]
        if changed:
            log.warning("%s continues with %s; its results may differ from those of a run that was never stopped", out,
                        "; ".join(changed))
        for name in ("config", "data", "seed"):
            del now[name]
        now = first | {"resumed": [*first.get("resumed", []), now]}
    write_json(path, now)


def write_spent(out: Path, spent_s: dict[str, float]) -> None:
    """Add to ``run.json`` the seconds spent on training, evaluation and saving."""
    write_json(out / RUN, read_run(out) | {"spent_s": {name: round(x, 2) for name, x in spent_s.items()}})


def read_run(folder: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises
    ------
    ValueError
        Naming the file, if it cannot be read, or doesn't say how and on what the run was made.
    """
    run = read_json(folder / RUN)
    if not isinstance(run, dict) or not {"config", "device"} <= run.keys():
        raise damaged(folder / RUN, "it has no config, or no device")
    return run


def read_record(folder: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read the record of a run: ``run.json``, and ``metrics.jsonl`` as one dictionary per epoch.

    Raises
    ------
    ValueError
        If the folder holds no record, or a damaged one.
    """
    folder = user_path(folder, "folder")
    if not (folder / RUN).exists() or not (folder / METRICS).exists():
        raise ValueError(f"{folder} holds no record of a run ({RUN} and {METRICS}); "
                         f"the book's own records are in {RESULTS}")
    history = read_json(folder / METRICS, lines=True)
    if not all(isinstance(epoch, dict) for epoch in history):
        raise damaged(folder / METRICS, "a line isn't the metrics of an epoch")
    return read_run(folder), history


def read_records(folder: str | Path) -> dict[str, dict[int, tuple[dict[str, Any], list[dict[str, Any]]]]]:
    """Read the records of a sweep, ``VARIANT/seedN`` below ``folder``, by variant and seed; see :func:`read_record`.

    Raises
    ------
    ValueError
        If the folder holds no such record, a damaged one, or one that isn't called after its seed.
    """
    records: dict[str, dict[int, Any]] = {}
    for run in sorted(user_path(folder, "folder").glob(f"*/seed*/{RUN}")):
        variant, seed = run.parts[-3], run.parts[-2].removeprefix("seed")
        if not seed.isdecimal():
            raise ValueError(f"{run.parent} is not called seedN, after its seed: rename it, or move it away")
        records.setdefault(variant, {})[int(seed)] = read_record(run.parent)
    if not records:
        raise ValueError(f"{folder} holds no records of a sweep (VARIANT/seedN/{RUN}); "
                         f"the book's own records are in {RESULTS}")
    return records
