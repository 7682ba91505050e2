"""What runs say of the claims of a paper: one word for each claim, by the book's one rule."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minivit.analysis import Comparison, compare_pairs, paired_difference
from minivit.figures import show_table
from minivit.training import read_records
from minivit.training.record import conditions

HOLDS, HOLDS_HERE, UNDECIDED, NOT_HERE, WRONG = (
    "holds", "holds here", "undecided", "does not hold here", "wrong as stated")
# In the order of a page, with what one claim and several claims do.
VERBS = {HOLDS: ("holds", "hold"), HOLDS_HERE: ("holds here", "hold here"),
         NOT_HERE: ("doesn't hold here", "don't hold here"), WRONG: ("is wrong as stated", "are wrong as stated"),
         UNDECIDED: ("is undecided", "are undecided")}
DIGITS = {"points": 2, "nats": 3}
ALIKE = 0  # the sign of a claim that two models do not differ

Measure = str | Callable[[dict[str, Any]], float]


class Measured(NamedTuple):
    """Differences of pairs, and what a claim says of them.

    ``sign`` is 1 or -1, the claimed sign; ``ALIKE``, if their mean is claimed to lie within ``margin`` of 0; or None
    where the numbers are shown, and counted by Holm, but decide nothing. ``unlike`` counts pairs whose two runs differ
    in device, threads or precision.
    """

    label: str
    differences: np.ndarray
    unit: str = "points"
    sign: int | None = 1
    margin: float = 0.0
    unlike: int = 0


class Claim(NamedTuple):
    """A claim of a paper: in its words and numbers, what we derived, what we measured, what would change our mind.

    ``proven`` is True or False where an argument or a count decides, and None where runs have to.
    """

    paper: str
    derived: str
    measured: Sequence[Measured]
    mind: str
    proven: bool | None = None


def of_pairs(folders: Path | Sequence[Path], label: str, plus: str | Sequence[str], minus: str | Sequence[str],
             measure: Measure = "test_top1", **options: Any) -> Measured:
    """Return the differences of a sweep's variants: the sum of ``plus`` less the sum of ``minus``, one a seed.

    Parameters
    ----------
    folders
        The records of a sweep, ``VARIANT/seedN``, or of several, whose variants are all different.
    label, options
        As for :class:`Measured`.
    plus, minus
        Variants. Seeds that one of them lacks are left out; a sweep without a variant has no differences.
    measure
        A metric of the last epoch, or what takes a number from the content of ``analysis.json``.

    Raises
    ------
    ValueError
        If two of the sweeps have a variant of the same name, or a folder holds no records.
    """
    plus, minus = ((names,) if isinstance(names, str) else tuple(names) for names in (plus, minus))
    runs, homes = {}, {}
    for folder in [folders] if isinstance(folders, Path) else folders:
        for variant, seeds in read_records(folder).items():
            if variant in homes:
                raise ValueError(f"{variant} is in {homes[variant]} and in {folder}: say which by giving one of them")
            runs[variant], homes[variant] = seeds, folder

    def analysis(variant: str, seed: int) -> Path:
        return homes[variant] / variant / f"seed{seed}/analysis.json"

    def value(variant: str, seed: int) -> float:
        if isinstance(measure, str):
            return runs[variant][seed][1][-1][measure]
        return measure(json.loads(analysis(variant, seed).read_text(encoding="utf-8")))

    def there(variant: str) -> set[int]:
        return {seed for seed in runs.get(variant, ())
                if isinstance(measure, str) or analysis(variant, seed).exists()}

    seeds = sorted(set.intersection(*map(there, plus + minus)))
    ran = [[conditions(runs[variant][seed][0]) for variant in plus + minus] for seed in seeds]
    return Measured(label, np.array([sum(value(x, seed) for x in plus) - sum(value(x, seed) for x in minus)
                                     for seed in seeds]),
                    unlike=sum(any(one != alike[0] for one in alike) for alike in ran), **options)


def both_measures(folders: Path | Sequence[Path], label: str, plus: str | Sequence[str], minus: str | Sequence[str],
                  sign: int | None = 1) -> list[Measured]:
    """Return a comparison in top-1, which decides, and in test loss, which is shown."""
    return [of_pairs(folders, label, plus, minus, sign=sign),
            of_pairs(folders, "its test loss", plus, minus, "test_loss", unit="nats", sign=None)]


def word_for(claim: Claim, compared: Sequence[Comparison | None]) -> str:
    """Return the verdict on a claim.

    Parameters
    ----------
    claim
        The claim.
    compared
        For each of ``claim.measured``, what Holm leaves of it among all that the page shows; None without two pairs.
    """
    if claim.proven is not None:
        return HOLDS if claim.proven else WRONG
    said = [answer(one, found) for one, found in zip(claim.measured, compared, strict=True) if one.sign is not None]
    if False in said:
        return NOT_HERE
    return HOLDS_HERE if said and all(said) else UNDECIDED


def tested(one: Measured) -> np.ndarray:
    """Return the differences whose mean is compared with 0; where two models are claimed to be alike, the room left.

    A mean lies within the margin if it's above the lower end *and* below the upper one. The nearer end decides.
    """
    if one.sign != ALIKE:
        return one.differences
    return one.margin - np.sign(one.differences.mean()) * one.differences


def answer(one: Measured, found: Comparison | None) -> bool | None:
    """Say whether a comparison bears out the claim; None if it does not tell."""
    if found is None or one.unlike or not found.claimed:
        return None
    return bool(np.sign(found.mean) == (1 if one.sign == ALIKE else one.sign))


def compare(claims: Sequence[Claim]) -> list[list[Comparison | None]]:
    """Compare all pairs of a page as one family; None where there are fewer than two."""
    places = [(i, j) for i, claim in enumerate(claims) for j in range(len(claim.measured))]
    family = compare_pairs({(i, j): tested(claims[i].measured[j]) for i, j in places
                            if len(claims[i].measured[j].differences) >= 2})
    return [[family.get((i, j)) for j in range(len(claim.measured))] for i, claim in enumerate(claims)]


def written(one: Measured, found: Comparison | None) -> str:
    """Write a comparison with its interval; a star if Holm leaves it, a double dagger if pairs ran unlike."""
    if found is None:
        return f"{one.label}: {len(one.differences) or 'no'} pair{'' if len(one.differences) == 1 else 's'} on record"
    interval = paired_difference(one.differences) if one.sign == ALIKE else found[1:4]  # not that of the room left
    numbers = "{:+.{k}f} [{:+.{k}f}, {:+.{k}f}]".format(*interval, k=DIGITS.get(one.unit, 3))
    marks = " ★" * found.claimed + " ‡" * bool(one.unlike)
    return f"{one.label}: {' '.join([numbers, one.unit]).strip()}, n = {found.n}{marks}"


def judge(claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    """Return the claims by verdict, in the order of ``VERBS``, without the words that no claim gets."""
    words = [word_for(claim, found) for claim, found in zip(claims, compare(claims), strict=True)]
    return {word: [claim for claim, its in zip(claims, words, strict=True) if its == word]
            for word in VERBS if word in words}


def tally(claims: Sequence[Claim]) -> str:
    """Say how many claims get each verdict: "2 hold, 1 is wrong as stated and 4 are undecided"."""
    parts = [f"{len(these)} {VERBS[word][len(these) > 1]}" for word, these in judge(claims).items()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if parts[1:] else parts[0]


def show_verdicts(claims: Sequence[Claim]) -> None:
    """Show a table for each verdict, with a line for each claim; all that the page shows is one family."""
    from IPython.display import Markdown, display

    lines = {}
    for claim, found in zip(claims, compare(claims), strict=True):
        measured = "<br>".join(map(written, claim.measured, found)) or "–"
        lines.setdefault(word_for(claim, found), []).append([claim.paper, claim.derived, measured, claim.mind])
    for word in filter(lines.get, VERBS):
        display(Markdown(f"**{word.capitalize()}** ({len(lines[word])})"))
        show_table(["the paper", "what we derived", "what we measured", "what would change our mind"], lines[word])
