"""The speed run: check its entries, and write the tables of results/speedrun.md.

    python -m tools.speedrun                                  every entry of results/speedrun.json, then the page
    python -m tools.speedrun runs/NAME/plain --track vit      a folder of runs, before it becomes an entry

An entry names a folder of records below results/, one run per seed. Each line that is printed is ``ok`` or a fault.
"""

import argparse
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isclose, isfinite
from pathlib import Path
from statistics import mean
from typing import Any

from minivit.models import ViT
from minivit.models.registry import MODELS
from minivit.options import check_choice, from_json
from minivit.report.sweep import changes
from minivit.training import RESULTS, CheckpointError, Config, read_record
from minivit.training.files import read_json
from tools.notebooks import replace

SEEDS = 5
TRAIN_IMAGES, CLASSES, IMAGE_SHAPE = 50_000, 100, [3, 32, 32]
TRAINING = frozenset({"num_classes", "dropout", "drop_path", "global_pool"})
SIZES = frozenset({"image_size", "patch_size", "in_channels", "dim", "depth", "num_heads", "mlp_ratio", "qkv_bias"})

Run = tuple[dict[str, Any], list[dict[str, Any]]]  # run.json, and metrics.jsonl by epoch


@dataclass(frozen=True)
class Track:
    """The accuracy to reach, and the models allowed.

    Attributes
    ----------
    target
        Mean top-1 on the test set, in per cent.
    model
        The only model allowed; None for any ViT.
    free
        Options of the model that may differ from their defaults.
    """

    target: float
    model: str | None
    free: frozenset[str]


TRACKS = {
    "vit": Track(75.43, None, TRAINING | SIZES),
    "vit_tiny": Track(70.0, "vit_tiny_patch4_32", TRAINING),
}


@dataclass(frozen=True)
class Entry:
    """The part of an entry that is typed by hand; the rest comes from the records.

    Attributes
    ----------
    track
        A key of :data:`TRACKS`.
    records
        Folder below results/ with ``seed0``, ``seed1``, ...
    by
        Who made it.
    changed
        What it does differently from the entry before, in a sentence.
    """

    track: str
    records: str
    by: str
    changed: str

    @property
    def folder(self) -> Path:
        return RESULTS / self.records


def read_entries() -> list[Entry]:
    """Read results/speedrun.json.

    Raises
    ------
    ValueError
        Naming the entry, if it lacks something, its track is unknown, or it is listed twice.
    """
    path, entries = RESULTS / "speedrun.json", []
    for number, values in enumerate(read_json(path), 1):
        entry = from_json(Entry, values, f"entry {number} of {path}")
        check_choice(TRACKS, track=entry.track)
        if not all(text.strip() for text in (entry.by, entry.changed)):
            raise ValueError(f"entry {number} of {path} must say who made it (by) and what it does (changed)")
        if not entry.folder.resolve().is_relative_to(RESULTS.resolve()):
            raise ValueError(f"entry {number} of {path}: records={entry.records!r} must lie below {RESULTS}")
        if any((entry.track, entry.folder) == (other.track, other.folder) for other in entries):
            raise ValueError(f"entry {number} of {path}: {entry.records!r} is listed twice")
        entries.append(entry)
    return entries


def read_runs(folder: Path) -> dict[int, Run]:
    """Read the record of every seed.

    Raises
    ------
    ValueError
        If there is none, or one is incomplete.
    """
    runs = {}
    for path in sorted(folder.glob("seed*")):
        number = path.name.removeprefix("seed")
        if not number.isdecimal():
            raise ValueError(f"{path} is not the folder of a seed, such as seed0")
        runs[int(number)] = read_record(path)
    if not runs:
        raise ValueError(f"{folder} holds no records (seed0, seed1, ...)")
    return dict(sorted(runs.items()))


def check(track: Track, folder: Path) -> list[str]:
    """Return the faults of an entry, one line each; none if it meets the rule."""
    try:
        runs = read_runs(folder)
    except ValueError as error:
        return [str(error)]
    return [*faults(track, runs)] or [*misses(track, runs)]


def faults(track: Track, runs: Mapping[int, Run]) -> Iterator[str]:
    """Yield reasons why runs can't be judged by the rule, or why their seeds can't be compared."""
    if [*runs] != [*range(len(runs))]:
        yield f"the seeds are {', '.join(map(str, runs))}; they must be 0, 1, 2, ... without a gap"
    for seed, (run, history) in runs.items():
        for fault in run_faults(track, seed, run, history):
            yield f"seed{seed}: {fault}"
    (first, (one, _)), *others = runs.items()
    for seed, (run, _) in others:
        values = [Config.from_dict(it["config"]).override(seed=0) for it in (one, run) if is_config(it.get("config"))]
        if len(values) == 2 and (different := changes(*values)):
            yield f"seed{seed}: its configuration differs from that of seed{first}: {different}"
    devices = dict.fromkeys(str(sitting.get("device")) for run, _ in runs.values() for sitting in sittings(run))
    if len(devices) > 1:
        yield f"the runs are from different devices: {', '.join(devices)}"
    seen: dict[str, int] = {}
    for seed, (_, history) in runs.items():
        losses = repr([line.get("train_loss") for line in history])
        if seen.setdefault(losses, seed) != seed:
            yield f"seed{seed}: the same run as seed{seen[losses]}, loss by loss"


def misses(track: Track, runs: Mapping[int, Run]) -> Iterator[str]:
    """Yield what runs without faults still lack: seeds or accuracy."""
    if len(runs) < SEEDS:
        yield f"there are only {len(runs)} of the {SEEDS} seeds required"
    if (top1 := mean(scores(runs))) < track.target:
        yield f"the mean top-1 is {top1:.2f} %, below {track.target} %"


def run_faults(track: Track, seed: int, run: Mapping[str, Any], history: list[dict[str, Any]]) -> Iterator[str]:
    if not is_config(run.get("config")):
        yield "run.json has no configuration that this version of minivit can read"
        return
    config = Config.from_dict(run["config"])
    if not run.get("seed") == config.seed == seed:
        yield f"run.json has seed {run.get('seed')}"
    yield from model_faults(track, config)
    data = run.get("data") or {}
    for name, allowed, holds in (
        ("task", "'classification'", config.task == "classification"),
        ("dataset", "'cifar100'", config.dataset == "cifar100"),
        ("dataset_options", "those of the 100 classes", config.dataset_options in ({}, {"labels": "fine"})),
        ("train_images", "null: all of them", config.train_images in (None, TRAIN_IMAGES)),
        ("held_out_images", "0: it is the test set that counts", config.held_out_images == 0),
        ("diagonality", "0: it is for less attention", config.diagonality == 0),
    ):
        if not holds:
            yield f"{name}={getattr(config, name)!r} must be {allowed}"
    if len(data.get("classes", ())) != CLASSES or data.get("image_shape") != IMAGE_SHAPE:
        yield f"run.json doesn't have data with {CLASSES} classes and image_shape {IMAGE_SHAPE}"
    for sitting in sittings(run):
        commit, device = sitting.get("commit"), sitting.get("device")
        if not commit or commit.endswith("+changes"):
            yield f"commit {commit}: commit first, and run in a clone, so that others can get the same code"
        if not device or device.startswith("cpu"):
            yield f"device {device}: a GPU is required"
    try:
        date({seed: (run, history)})
    except (KeyError, TypeError, ValueError):
        yield f"started={run.get('started')!r} is not a date"
    yield from history_faults(run, config.epochs, history)


def model_faults(track: Track, config: Config) -> Iterator[str]:
    """Yield ways in which a model is not a plain ViT of the track."""
    kind, defaults = MODELS.get(config.model, (None, {}))
    if kind is not ViT or track.model not in (None, config.model):
        yield f"model={config.model!r} must be {track.model or 'a ViT'}"
        return
    defaults = {p.name: p.default for p in inspect.signature(ViT).parameters.values()} | defaults
    for name, value in config.model_options.items():
        if name not in defaults:
            yield f"{name}={value!r} is not an option of a plain ViT that is trained from scratch"
        elif name not in track.free and value != defaults[name]:
            yield f"{name}={value!r} must be {defaults[name]!r}, the default"


def history_faults(run: Mapping[str, Any], epochs: int, history: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is missing from the metrics, and any seconds that don't add up."""
    if [line.get("epoch") for line in history] != [*range(1, epochs + 1)]:
        yield f"metrics.jsonl has {len(history)} of the {epochs} epochs, or not in order"
        return
    last, spent = history[-1], run.get("spent_s") or {}
    for name in ("test_top1", "time_s"):
        if not is_number(last.get(name)):
            yield f"the last epoch has no {name}"
    if not all(is_number(line.get("train_loss")) for line in history):
        yield "an epoch has no train_loss"
    parts = [spent.get(name) for name in ("training", "evaluation")]
    if not all(map(is_number, parts)):
        yield "run.json has no spent_s with training and evaluation"
    elif is_number(last.get("time_s")) and not isclose(sum(parts), last["time_s"], abs_tol=0.05):
        yield f"time_s={last['time_s']} is not the {sum(parts):.2f} s of training and evaluation in spent_s"


def is_config(values: Any) -> bool:
    try:
        return bool(Config.from_dict(values))
    except ValueError:
        return False


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def sittings(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the description of each sitting of a run; there is only one unless it was resumed."""
    return [run, *run.get("resumed", [])]


def scores(runs: Mapping[int, Run]) -> list[float]:
    """Return the top-1 accuracy of each run after its last epoch, in per cent."""
    return [history[-1]["test_top1"] for _, history in runs.values()]


def times(runs: Mapping[int, Run]) -> list[float]:
    """Return the seconds that each run took for training and evaluation."""
    return [history[-1]["time_s"] for _, history in runs.values()]


def compile_times(runs: Mapping[int, Run]) -> list[float]:
    """Return the seconds that each run took to compile and record its steps, over all sittings."""
    return [sum(sitting.get("prepare_s", {}).get("compile", 0.0) for sitting in sittings(run))
            for run, _ in runs.values()]


def date(runs: Mapping[int, Run]) -> str:
    """Return the day on which the last of the runs was started."""
    return max(datetime.fromisoformat(run["started"]) for run, _ in runs.values()).date().isoformat()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="folder with seed0, seed1, ...")
    parser.add_argument("--track", choices=TRACKS, default="vit", help="track of the folder; vit by default")
    options = parser.parse_args(arguments)
    try:
        if options.folder:
            found = {str(options.folder): check(TRACKS[options.track], options.folder)}
        else:
            entries = read_entries()
            found = {f"{it.track}, {it.records}": check(TRACKS[it.track], it.folder) for it in entries}
        for name, lines in found.items():
            print("\n".join(f"{name}: {line}" for line in lines or ["ok"]))
        if any(found.values()):
            return 1
        if not options.folder:
            from tools.speedrun_page import PAGE, filled

            text = filled((RESULTS / PAGE).read_text(encoding="utf-8"), entries)
            replace(RESULTS / PAGE, text)
            print(f"wrote {RESULTS / PAGE}")
    except (ValueError, CheckpointError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
