"""Search for settings by successive halving: short runs of many variants first, long ones of the best."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minivit.options import check_at_least
from minivit.report.sweep import sweep
from minivit.training.progress import TrainingError
from minivit.training.recipe import choose_variants, load_variants


def halve(path: str | Path, out: str | Path, seeds: Sequence[int] = (0,), *, halvings: int = 2,
          names: Sequence[str] | None = None, overrides: Mapping[str, Any] | None = None,
          report: Callable[[list[dict[str, Any]]], Any] = print, tell: Callable[[str], Any] = print,
          **options: Any) -> list[str]:
    """Train all variants of a recipe briefly, the better half anew for twice as long, and so on.

    Every run of a round is shorter than its variant by the same factor, so variants that take equally long in full do
    so in each round. The last round has the full length. Calling this again continues where it stopped.

    Parameters
    ----------
    path
        A recipe whose variants hold images out of the training set, on which they are scored.
    out
        Folder for the last round, as for :func:`minivit.report.sweep.sweep`. The others have a folder of their own in
        it, such as ``1of4`` for runs of a quarter of the length.
    seeds
        Seeds to run every variant with.
    halvings
        How often the better half is chosen: there is one more round than that.
    names
        The variants to begin with; None for all.
    overrides
        Values that replace the recipe's in all variants.
    report
        Called with the result of each round, from :func:`minivit.report.sweep.summarize`, without comparisons: what
        was chosen for its score says nothing about differences.
    tell
        Called with a line for each run and each choice.
    **options
        ``root``, ``device`` and ``progress``, as for :func:`minivit.report.sweep.sweep`.

    Returns
    -------
    list of str
        The variants of the last round, the best first.

    Raises
    ------
    ValueError
        If a variant is scored on the test set, on which nothing may be chosen; or as from ``sweep``.
    DataError, CheckpointError, Stopped
        As from ``sweep``.
    TrainingError
        If no run of a round ended well.
    """
    check_at_least(1, halvings=halvings)
    variants = choose_variants(load_variants(path, **overrides or {}), names)
    for name, config in variants.items():
        if not config.held_out_images:
            raise ValueError(f"variant {name!r} would be chosen on the test set; set held_out_images, such as "
                             "held_out_images=5000")
    chosen = list(variants)
    for number in range(1, halvings + 2):
        part = 2**(halvings + 1 - number)
        rows = sweep(path, Path(out) / (f"1of{part}" if part > 1 else ""), seeds, part=part, names=chosen,
                     overrides=overrides, compare=False, tell=tell, **options)
        report(rows)
        best = sorted((row for row in rows if row["n"]), key=lambda row: -row["mean"])  # equal ones stay in order
        if not best:
            raise TrainingError(f"all runs of round {number} of {halvings + 1} failed: there's nothing to choose from")
        chosen = [row["variant"] for row in best]
        if part > 1:
            chosen = chosen[:(len(rows) + 1) // 2]
            tell(f"round {number} of {halvings + 1} leaves {', '.join(chosen)}")
    return chosen
