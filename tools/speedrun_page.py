"""The tables of the speed run's page, with every number read from the records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from minivit.analysis import chance_of, paired_difference
from minivit.training import RESULTS
from minivit.training.record import RUN
from tools.speedrun import (
    TRACKS,
    Entry,
    Run,
    Track,
    compile_times,
    date,
    faults,
    read_runs,
    scores,
    sittings,
    times,
)

PAGE = "speedrun.md"
CLAIM = 0.01  # a p-value below it is a claim that others may build on


@dataclass(frozen=True)
class Row:
    """What the records of an entry say, summed up over its seeds: times in seconds, top-1 in per cent."""

    records: str
    date: str
    time: list[float]
    compile: list[float]
    top1: list[float]
    devices: list[str]
    commits: list[str]
    torch: list[str]

    @property
    def time_s(self) -> float:
        return mean(self.time)


def sum_up(records: str, runs: dict[int, Run]) -> Row:
    all_sittings = [it for run, _ in runs.values() for it in sittings(run)]

    def distinct(values: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(values))

    return Row(records, date(runs), times(runs), compile_times(runs), scores(runs),
               distinct(it["device"] for it in all_sittings), distinct(it["commit"][:9] for it in all_sittings),
               distinct(it.get("versions", {}).get("torch", "?") for it in all_sittings))


def fill(text: str, entries: Sequence[Entry]) -> str:
    """Return the page with the table of each track between its two marks; the entries have been checked.

    Raises
    ------
    ValueError
        If a track has no marks.
    """
    for name, track in TRACKS.items():
        rows = sorted(((it, sum_up(it.records, read_runs(it.folder))) for it in entries if it.track == name),
                      key=lambda pair: (pair[1].date, -pair[1].time_s))
        before, start, rest = text.partition(f"<!-- {name}: written by make speedrun -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->\n")
        if not start or not end:
            raise ValueError(f"{RESULTS / PAGE} has no place for the entries of the track {name!r}")
        text = before + start + "\n" + (table(rows, track) if rows else no_entry(track)) + "\n" + end + after
    return text


def table(pairs: Sequence[tuple[Entry, Row]], track: Track) -> str:
    fastest = min(row.time_s for _, row in pairs)
    lines = ["| date | time, s | compiling, s | GPU | n | top-1, % [95 % interval] | p | what changed | by | code |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for entry, row in pairs:
        time = spread(row.time, 1) if row.time_s > fastest else f"**{spread(row.time, 1)}**, leads"
        _, low, high = paired_difference(row.top1)
        lines.append("| " + " | ".join([
            row.date, time, f"{mean(row.compile):.0f}", ", ".join(row.devices), str(len(row.top1)),
            f"{spread(row.top1, 2)} [{low:.2f}, {high:.2f}]", chance(chance_of(row.top1, track.target)),
            cell(entry.changed), cell(entry.by),
            f"[records]({row.records}), {', '.join(f'`{commit}`' for commit in row.commits)}, torch "
            f"{', '.join(row.torch)}"]) + " |")
    return "\n".join([*lines, "", "Time and top-1: mean ± standard deviation of n seeds.\n"])


def no_entry(track: Track) -> str:
    """Say that nobody has reached the target, and who came closest."""
    if (best := closest(track)) is None:
        return "No record meets the rule yet: the first entry may be yours.\n"
    n = len(best.top1)
    return (f"No record meets the rule yet. Closest so far: {spread(best.top1, 2)} % in {spread(best.time, 1)} s on "
            f"{', '.join(best.devices)}, n = {n} ([records]({best.records}), {best.date}).\n")


def closest(track: Track) -> Row | None:
    """Return the records that lack nothing but the target, or some seeds, and come closest to it."""
    folders = sorted({path.parents[1] for path in RESULTS.rglob(RUN)})
    rows = [sum_up(folder.relative_to(RESULTS).as_posix(), runs) for folder in folders
            if not any(faults(track, runs := read_runs(folder)))]
    return max(rows, key=lambda row: mean(row.top1), default=None)


def spread(values: Sequence[float], digits: int) -> str:
    sd = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{sd}"


def chance(p: float) -> str:
    text = "< 0.0001" if p < 1e-4 else f"{p:.1g}" if p < CLAIM else f"{p:.2f}"
    return text if p < CLAIM else f"{text}, may be luck"


def cell(text: str) -> str:
    """Return a text that stays in its cell."""
    return " ".join(text.split()).replace("|", "\\|")
