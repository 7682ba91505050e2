"""Train every variant of a recipe with every seed, to search for settings or to compare in pairs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from minivit.analysis import paired_difference
from minivit.report.table import text_table
from minivit.tasks import find_task
from minivit.training.config import Config, places
from minivit.training.device import choose_device
from minivit.training.loop import SharedData, fit_classes, flatten, train
from minivit.training.recipe import choose_variants, load_recipe
from minivit.training.record import METRICS, read_record
from minivit.training.trainer import Trainer, TrainingError

Histories = dict[tuple[str, int], list[dict[str, Any]] | None]  # metrics by variant and seed; None: not finished


def sweep(path: str | Path, out: str | Path, seeds: Sequence[int] = (0,), *, names: Sequence[str] | None = None,
          overrides: Mapping[str, Any] | None = None, root: str | Path | None = None, device: str = "auto",
          progress: bool = True, tell: Callable[[str], Any] = print) -> list[dict[str, Any]]:
    """Train every variant of a recipe with every seed, each in its own folder.

    All variants run with the first seed before any runs with the second, so that an early stop leaves complete pairs.
    Calling this again continues where it stopped; finished runs are only read.

    Parameters
    ----------
    path
        A recipe or a ``run.json``.
    out
        Folder for ``VARIANT/seedN``, or ``seedN`` if the recipe has no variants; see :func:`train` for what each holds.
    seeds
        Seeds to run every variant with, without repeats.
    names
        The variants to train; None for all.
    overrides
        Values that replace the recipe's in all variants.
    root, device, progress
        As for :func:`train`.
    tell
        Called with a line for each run, and for each failure.

    Returns
    -------
    list of dict
        What :func:`summarize` returns. A run whose loss became infinite or nan counts as failed.

    Raises
    ------
    ValueError
        Before the first run, if the recipe, a variant or a seed is wrong, or a folder holds another run.
    DataError, CheckpointError, Stopped
        As from :func:`train`. Finished runs are kept; the interrupted one continues with the next sweep.
    """
    path, out, overrides = Path(path), Path(out).expanduser(), overrides or {}
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds={seeds!r} must be one or more, each once")
    if ("seed",) in places(overrides):
        raise ValueError("overrides can't include seed: all variants of a sweep run with the same seeds")
    base, variants = load_recipe(path, **overrides)
    for name, config in variants.items():
        if config.task != base.task:
            raise ValueError(f"variant {name!r}: task={config.task!r} differs from the recipe's, {base.task!r}: their "
                             "scores can't be compared")
    variants, data = choose_variants(variants, names), SharedData(root)
    runs = {(name, seed): (out / name / f"seed{seed}", config.override(seed=seed))
            for seed in seeds for name, config in variants.items()}
    histories = {run: finished(folder, config) for run, (folder, config) in runs.items()}
    unfinished = dict.fromkeys(name for (name, _), history in histories.items() if history is None)
    check_fit(path, {name: variants[name] for name in unfinished}, data)
    device = str(choose_device(device)) if unfinished else device  # once, so that its warnings appear once
    for number, (run, (folder, config)) in enumerate(runs.items(), 1):
        tell(f"run {number} of {len(runs)}: {folder}{', finished before' if histories[run] else ''}")
        if histories[run] is None:
            try:
                histories[run] = train(config, folder, dataset=data.load(config), resume=True, device=device,
                                       progress=progress)
            except TrainingError as error:
                tell(f"{folder} failed: {error}")
    return summarize(base, variants, histories)


def finished(folder: Path, config: Config) -> list[dict[str, Any]] | None:
    """Return the metrics of a complete run of ``config``; None if it has yet to be started or finished."""
    if not (folder / METRICS).exists():
        return None
    run, history = read_record(folder)
    found = Config.from_dict(run["config"])
    classes = {"num_classes": found.model_options["num_classes"]}  # the data set's, where the recipe names none
    planned = config.override(model_options=classes | config.model_options)
    planned = Config.from_dict(json.loads(json.dumps(asdict(planned))))  # JSON has no tuples
    if found != planned:
        raise ValueError(f"{folder} holds another run, with {changes(planned, found)}; choose another --out")
    return history if len(history) == config.epochs else None


def check_fit(path: Path, variants: Mapping[str, Config], data: SharedData) -> None:
    """Set up each run and discard it, so that an error in the last variant shows before the first one has run."""
    for name, config in variants.items():
        try:
            dataset = data.load(config)
            Trainer(fit_classes(config, dataset), dataset, torch.device("cpu"))
        except ValueError as error:
            raise ValueError(f"recipe {path}{f', variant {name!r}' if name else ''}: {error}") from error


def changes(base: Config, config: Config) -> str:
    """Describe briefly how ``config`` differs from ``base``."""
    before, now = flatten(asdict(base)), flatten(asdict(config))
    return ", ".join(f"{name.rpartition('.')[2]}={now.get(name)}" for name in now | before
                     if before.get(name) != now.get(name))


def summarize(base: Config, variants: Mapping[str, Config], histories: Histories) -> list[dict[str, Any]]:
    """Summarise each variant over its seeds.

    Parameters
    ----------
    base
        The configuration against which ``changes`` are listed.
    variants
        Configurations by name; all others are compared with the first.
    histories
        The metrics of each run, by variant and seed; None if it failed.

    Returns
    -------
    list of dict
        One per variant, in order: ``variant``; ``n`` and ``failed``, numbers of runs; ``score``, the task's name for
        it; ``mean`` and ``sd`` of the score after the last epoch, in % (None for n < 1 and n < 2); ``time_s``, the mean
        time of training and evaluation (None for n < 1); ``changes``, in brief; and ``difference`` to the first
        variant's score over the seeds that both finished: ``n`` and the ``mean``, ``low`` and ``high`` of
        :func:`minivit.analysis.paired_difference`, or None for fewer than two seeds.
    """
    rows, task = [], find_task(base.task)
    last = {run: history[-1] for run, history in histories.items() if history}
    first = next(iter(variants))
    for name, config in variants.items():
        seeds = [seed for variant, seed in histories if variant == name]
        done = [last[name, seed] for seed in seeds if (name, seed) in last]
        scores = [metrics[task.score] for metrics in done]
        pairs = [(last[name, seed][task.score], last[first, seed][task.score]) for seed in seeds
                 if name != first and (name, seed) in last and (first, seed) in last]
        difference = None
        if len(pairs) >= 2:
            difference = dict(zip(("mean", "low", "high"), paired_difference(*zip(*pairs, strict=True)), strict=True))
            difference["n"] = len(pairs)
        rows.append({"variant": name, "n": len(done), "failed": len(seeds) - len(done),
                     "score": task.score_name, "mean": mean(scores) if done else None,
                     "sd": stdev(scores) if len(done) >= 2 else None,
                     "time_s": mean(metrics["time_s"] for metrics in done) if done else None,
                     "changes": changes(base, config), "difference": difference})
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format the result of :func:`summarize` as a text table."""
    name = rows[0]["score"]
    cells = [["variant", "n", f"{name}, %", "difference to the first", "time, s", "what differs"]]
    for row in rows:
        sd, difference = row["sd"], row["difference"]
        cells.append([row["variant"] or "-", str(row["n"]) + (f" ({row['failed']} failed)" if row["failed"] else ""),
                      (f"{row['mean']:.2f}" if row["n"] else "-") + ("" if sd is None else f" ± {sd:.2f}"),
                      "{mean:+.2f} [{low:+.2f}, {high:+.2f}], n = {n}".format(**difference) if difference else "-",
                      f"{row['time_s']:.0f}" if row["n"] else "-", row["changes"] or "-"])
    return "\n".join([text_table(cells, "<"), "", f"{name[0].upper()}{name[1:]} of the last epoch: mean ± sd of n "
                      "runs. Difference: mean [95 % interval] of n pairs with\nthe same seed. Time: mean of training "
                      "and evaluation."])
