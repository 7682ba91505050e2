"""What to expect where chance has a part: the seeds of the book's notebooks, and the range of their results over seeds.

``python -m tools.ranges NOTEBOOK`` runs a notebook five times, with seeds of its own each time, and keeps what it got.
"""

import json
import os

from minivit.checks import say
from minivit.files import shipped

RECORD = "expected.json"  # in results/
REPEAT, VALUES = "MINIVIT_REPEAT", "MINIVIT_VALUES"  # set while ranges are measured
SEEDS_OF_A_REPEAT = 1000


def book_seed(seed: int) -> int:
    """Return the seed itself; while the range of a result is measured, another one in each run of the notebook."""
    return seed + SEEDS_OF_A_REPEAT * int(os.environ.get(REPEAT, 0))


def expect(name: str, value: float, unit: str = "%", decimals: int = 1) -> None:
    """Print a result of chance beside what the same code gave with other seeds.

    A result outside the range is no failure, and is told with how rare it is.

    Parameters
    ----------
    name
        The chapter and what was measured, such as ``"numpy_to_pytorch/test accuracy"``.
    value
        What was measured here.
    unit, decimals
        How to print it.
    """
    if path := os.environ.get(VALUES):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, "value": float(value), "unit": unit, "decimals": decimals}) + "\n")
    what = name.partition("/")[2]
    say(f"{what}: {value:.{decimals}f} {unit}{beside(value, _recorded(name), unit, decimals)}")


def beside(value: float, others: list[float], unit: str = "%", decimals: int = 1) -> str:
    """Return the words that follow a result: the range of the others, and whether it's outside; nothing if no others.

    All n + 1 runs are equally likely to be the lowest, or the highest, so 2 in n + 1 new ones fall outside. Numbers are
    compared as they are printed.
    """
    if not others:
        return ""
    value, low, high = (round(it, decimals) for it in (value, min(others), max(others)))
    span = f"{low:.{decimals}f} to {high:.{decimals}f} {unit}"
    if low <= value <= high:
        return f" (expect {span}: {len(others)} runs with different seeds)"
    side = "below" if value < low else "above"
    if low - (high - low) <= value <= high + (high - low):
        rarity = f"1 new run in {(len(others) + 1) / 2:g}"
        return f" (a little {side} {span}, the range of {len(others)} runs: {rarity} falls outside)"
    return f" (far {side} {span}, the range of {len(others)} runs: did you change something?)"


def _recorded(name: str) -> list[float]:
    path = shipped("results") / RECORD
    if not path.is_file():  # a copy of the package without its records
        return []
    return json.loads(path.read_text(encoding="utf-8")).get(name, {}).get("values", [])
