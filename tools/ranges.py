"""Measure what to expect: run notebooks five times, each time with other seeds, and record what ``expect`` printed.

The first run has the seeds that the notebooks show, so that what they show is in the range.
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

import torch

from minivit.expect import RECORD, REPEAT, VALUES
from minivit.training.record import processor
from tools.cores import usable_jobs
from tools.execute import environment, execute_all
from tools.notebooks import replace
from tools.paths import ROOT
from tools.what_to_expect import renew_page

REPEATS = 5


def measure(paths: list[Path], repeat: int, jobs: int) -> tuple[dict[str, dict], list[str]]:
    """Run notebooks with the seeds of a repeat; return what they expect, by name, and what went wrong.

    A notebook that fails after it has printed its results still has them: a claim may hold for some seeds only.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "values.jsonl")
        with environment(**{REPEAT: str(repeat), VALUES: str(file)}):
            errors = []
            for path, execution in execute_all(paths, jobs):
                print(f"  run {repeat}  {path.stem:<35} {execution}", flush=True)
                errors += [f"{path.stem}, run {repeat}, {execution.error}"] if execution.error else []
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {line.pop("name"): line for line in map(json.loads, lines)}, errors


def collect(runs: list[dict[str, dict]]) -> dict[str, dict]:
    """Return for each result its values, one a run, and on what they were measured.

    Raises
    ------
    ValueError
        If a run lacks a result of another.
    """
    names = sorted(set().union(*runs))
    if missing := [f"{name} in run {i}" for name in names for i, run in enumerate(runs) if name not in run]:
        raise ValueError(f"not measured: {', '.join(missing)}")
    where = {"device": processor(), "python": platform.python_version(), "torch": torch.__version__}
    return {name: {"values": [round(run[name]["value"], 4) for run in runs], "unit": runs[0][name]["unit"],
                   "decimals": runs[0][name]["decimals"], **where} for name in names}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, help="notebooks that call expect")
    parser.add_argument("--jobs", type=int, default=usable_jobs(), help="number of notebooks to run in parallel")
    options = parser.parse_args()
    runs, errors = zip(*(measure(options.paths, repeat, options.jobs) for repeat in range(REPEATS)), strict=True)
    for error in sum(errors, []):
        print(f"{error}\n", file=sys.stderr)
    try:
        found = collect(list(runs))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    record = ROOT / "results" / RECORD
    before = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    chapters = {path.stem for path in options.paths}
    kept = {name: it for name, it in before.items() if name.partition("/")[0] not in chapters}
    replace(record, json.dumps(kept | found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    renew_page(ROOT)
    for name, it in found.items():
        print(f"{name}: {min(it['values']):.{it['decimals']}f} to {max(it['values']):.{it['decimals']}f} {it['unit']}")
    return 1 if any(errors) else 0


if __name__ == "__main__":
    raise SystemExit(main())
