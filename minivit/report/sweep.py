"""Train every variant of a recipe with every seed, to search for settings or to compare in pairs."""

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from minivit.analysis import Comparison, compare_pairs
from minivit.data import DataInfo
from minivit.files import user_path
from minivit.options import from_json
from minivit.report.table import text_table
from minivit.tasks import find_task
from minivit.training.config import Config, changed_settings, places
from minivit.training.data import SharedData, fit_classes
from minivit.training.device import choose_device
from minivit.training.loop import train
from minivit.training.progress import TrainingError
from minivit.training.recipe import choose_variants, load_recipe
from minivit.training.record import METRICS, RUN, commit, conditions, read_record, read_run, sitting
from minivit.training.trainer import Trainer

Histories = dict[tuple[str, int], list[dict[str, Any]] | None]  # metrics by variant and seed; None: not finished


def sweep(path: str | Path, out: str | Path, seeds: Sequence[int] = (0,), *, names: Sequence[str] | None = None,
          overrides: Mapping[str, Any] | None = None, part: int = 1, root: str | Path | None = None,
          device: str = "auto", compare: bool = True, progress: bool = True, tell: Callable[[str], Any] = print
          ) -> list[dict[str, Any]]:
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
    part
        By how much each run is shortened; see :func:`shorten`.
    root, device, progress
        As for :func:`train`.
    compare
        Whether each variant is compared with the first; False only lists the runs.
    tell
        Called with a line for each run, and for each failure.

    Returns
    -------
    list of dict
        What :func:`summarize` returns. A run whose loss became infinite or nan counts as failed.

    Raises
    ------
    ValueError
        Before the first run, if the recipe, a variant or a seed is wrong, a folder holds another run, or runs that are
        to be compared differ in device, threads or precision.
    DataError, CheckpointError, Stopped
        As from :func:`train`. Finished runs are kept; the interrupted one continues with the next sweep.
    """
    path, out, overrides = user_path(path), user_path(out, "out"), overrides or {}
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds={seeds!r} must be one or more, each once")
    if ("seed",) in places(overrides):
        raise ValueError("overrides can't include seed: all variants of a sweep run with the same seeds")
    base, variants = load_recipe(path, **overrides)
    base, variants = shorten(base, part), {name: shorten(config, part) for name, config in variants.items()}
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
    records = expected_records(runs, histories, device)
    if unfinished:
        check_data(runs, {run: record for run, record in records.items() if histories[run] is not None}, data)
    if compare:
        check_alike(runs, records)
        tell_commits(records, tell)
    for number, (run, (folder, config)) in enumerate(runs.items(), 1):
        tell(f"run {number} of {len(runs)}: {folder}{', finished before' if histories[run] else ''}")
        if histories[run] is None:
            try:
                histories[run] = train(config, folder, dataset=data.load(config), resume=True, device=device,
                                       progress=progress)
            except TrainingError as error:
                tell(f"{folder} failed: {error}")
    return summarize(base, variants, histories, compare=compare)


def shorten(config: Config, part: int) -> Config:
    """Return a run of one ``part``-th of the epochs, at least one, whose warm-up is that much shorter too."""
    epochs = max(1, round(config.epochs / part))
    return config.override(epochs=epochs, warmup_epochs=config.warmup_epochs * (epochs / config.epochs))


def finished(folder: Path, config: Config) -> list[dict[str, Any]] | None:
    """Return the metrics of a complete run of ``config``; None if it has yet to be started or finished."""
    if not (folder / METRICS).exists():
        return None
    run, history = read_record(folder)
    found = Config.from_dict(run["config"])
    classes = {"num_classes": found.model_options.get("num_classes")}  # the data set's, where the recipe names none
    planned = config.override(model_options=classes | config.model_options)
    if different := changes(planned, found):
        raise ValueError(f"{folder} holds another run, with {different}; choose another --out")
    return history if len(history) == config.epochs else None


def check_fit(path: Path, variants: Mapping[str, Config], data: SharedData) -> None:
    """Set up each run and discard it, so that an error in the last variant shows before the first one has run."""
    for name, config in variants.items():
        try:
            dataset = data.load(config)
            Trainer(fit_classes(config, dataset), dataset, torch.device("cpu"))
        except ValueError as error:
            raise ValueError(f"recipe {path}{f', variant {name!r}' if name else ''}: {error}") from error


def check_data(runs: Mapping[tuple[str, int], tuple[Path, Config]],
               finished_records: Mapping[tuple[str, int], Mapping[str, Any]], data: SharedData) -> None:
    """Raise an error if a finished run was trained on other data than those that the others are about to see."""
    for run, record in finished_records.items():
        folder, config = runs[run]
        if record.get("data") is not None:  # older records don't say
            before = from_json(DataInfo, record["data"], "the run's data")
            now = find_task(config.task).fit(data.load(config)).info
            if other := [each.name for each in fields(now) if getattr(now, each.name) != getattr(before, each.name)]:
                raise ValueError(f"{folder} was trained on other data: {', '.join(other)} of {config.dataset} differ; "
                                 "use the same --data, or choose another --out")


def expected_records(runs: Mapping[tuple[str, int], tuple[Path, Config]], histories: Histories, device: str
                     ) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what ``run.json`` says of each run; those that aren't finished have the sitting to come on ``device``."""
    records, now = {}, {"commit": commit()} if None in histories.values() else {}
    for run, (folder, config) in runs.items():
        record = read_run(folder) if (folder / RUN).exists() else {}
        if histories[run] is None:
            coming = now | sitting(config, torch.device(device))
            record = record | {"resumed": [*record.get("resumed", []), coming]} if record else coming
        records[run] = {"config": asdict(config)} | record
    return records


def check_alike(runs: Mapping[tuple[str, int], tuple[Path, Config]],
                records: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
    """Raise if a run and its partner, the first variant with the same seed, differ in more than their recipe."""
    found = {run: conditions(record) for run, record in records.items()}
    for run, (folder, config) in runs.items():
        partner = next(each for each in runs if each[1] == run[1])
        other, base = runs[partner]
        for what, value in found[partner].items():
            if found[run][what] != value and (what != "precision" or config.precision == base.precision):
                raise ValueError(f"{folder} and {other} can't be compared: {what} {found[run][what]!r} and {value!r}; "
                                 "train one of them again, or only list them (--no-comparison)")


def tell_commits(records: Mapping[tuple[str, int], Mapping[str, Any]], tell: Callable[[str], Any]) -> None:
    """Say so if the runs to be compared are of several commits: their code may differ, too."""
    counts = Counter(str(part.get("commit"))[:7] for record in records.values()
                     for part in (record, *record.get("resumed", [])))
    if len(counts) > 1:
        tell(f"these runs are of different commits ({', '.join(f'{it}: {n}' for it, n in counts.items())}), so what "
             "changed in the code may show in their differences")


def changes(base: Config, config: Config) -> str:
    """Describe briefly how ``config`` differs from ``base``."""
    return ", ".join(f"{name.rpartition('.')[2]}={now}"
                     for name, (_, now) in changed_settings(base, config).items())


def summarize(base: Config, variants: Mapping[str, Config], histories: Histories, *, compare: bool = True
              ) -> list[dict[str, Any]]:
    """Summarise each variant over its seeds.

    Parameters
    ----------
    base
        The configuration against which ``changes`` are listed.
    variants
        Configurations by name; all others are compared with the first.
    histories
        The metrics of each run, by variant and seed; None if it failed.
    compare
        Whether to compare.

    Returns
    -------
    list of dict
        One per variant, in order: ``variant``; ``n`` and ``failed``, numbers of runs; ``held_out_images``, how many
        they were scored on, 0 for the test set; ``score``, the task's name for it; ``mean`` and ``sd`` of the score
        after the last epoch, in % (None for n < 1 and n < 2); ``time_s``, the mean time of training and evaluation
        (None for n < 1); ``changes``, in brief; and ``difference`` and ``loss_difference``, to the first variant's
        score and test loss over the seeds that both finished: a :class:`minivit.analysis.Comparison`, or None for fewer
        than two seeds. All differences are one family.
    """
    rows, task = [], find_task(base.task)
    last = {run: history[-1] for run, history in histories.items() if history}
    first, family = next(iter(variants)), {}
    for name in variants if compare else ():
        for measure in (task.score, "test_loss"):
            pairs = [(last[name, seed][measure], last[first, seed][measure]) for variant, seed in last
                     if variant == name != first and (first, seed) in last]
            differences = [a - b for a, b in pairs if isfinite(a) and isfinite(b)]  # a loss may overflow in a test
            if len(differences) >= 2:
                family[name, measure] = differences
    compared = compare_pairs(family)
    for name, config in variants.items():
        seeds = [seed for variant, seed in histories if variant == name]
        done = [last[name, seed] for seed in seeds if (name, seed) in last]
        scores = [metrics[task.score] for metrics in done]
        rows.append({"variant": name, "n": len(done), "failed": len(seeds) - len(done),
                     "held_out_images": config.held_out_images, "score": task.score_name,
                     "mean": mean(scores) if done else None, "sd": stdev(scores) if len(done) >= 2 else None,
                     "time_s": mean(metrics["time_s"] for metrics in done) if done else None,
                     "changes": changes(base, config), "difference": compared.get((name, task.score)),
                     "loss_difference": compared.get((name, "test_loss"))})
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format the result of :func:`summarize` as a text table; columns of differences only if there are any."""
    name = rows[0]["score"]
    compared = any(row["difference"] or row["loss_difference"] for row in rows)
    differences = ["difference to the first", "in test loss, nats"] if compared else []
    cells = [["variant", "n", f"{name}, %", *differences, "time, s", "what differs"]]
    for row in rows:
        sd = row["sd"]
        differences = [shown(row["difference"], 2), shown(row["loss_difference"], 3)] if compared else []
        cells.append([row["variant"] or "-", str(row["n"]) + (f" ({row['failed']} failed)" if row["failed"] else ""),
                      (f"{row['mean']:.2f}" if row["n"] else "-") + ("" if sd is None else f" ± {sd:.2f}"),
                      *differences, f"{row['time_s']:.0f}" if row["n"] else "-", row["changes"] or "-"])
    images = {row["held_out_images"] for row in rows}
    where = f" on {images.pop():,} held-out images" if images != {0} and len(images) == 1 else ""
    notes = [f"{name[0].upper()}{name[1:]} of the last epoch{where}: mean ± sd of n runs.",
             "Difference: mean [95 % interval] of n pairs with the same seed; * if Holm's correction for all "
             "differences of the table leaves it." * compared, "Time: mean of training and evaluation."]
    return "\n".join([text_table(cells, "<"), "", *textwrap.wrap(" ".join(filter(None, notes)), 95)])


def shown(found: Comparison | None, digits: int) -> str:
    if found is None:
        return "-"
    mean, low, high = (f"{value:+.{digits}f}" for value in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}], n = {found.n}{' *' if found.claimed else ''}"
