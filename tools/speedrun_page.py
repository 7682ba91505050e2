"""The tables of the speed run's page, with every number read from the records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from minivit.analysis import one_sided_p, paired_difference
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
    misses,
    read_runs,
    scores,
    sittings,
    times,
)
from tools.tables import fill

PAGE = "speedrun.md"
CLAIM = 0.01  # with a p-value below it, an entry is a claim that others can build on


@dataclass(frozen=True)
class Row:
    """The records of an entry, summarised over its seeds: times in seconds, top-1 in per cent."""

    records: str
    date: str
    time: list[float]
    compile: list[float]
    top1: list[float]
    devices: list[str]
    commits: list[str]
    torch: list[str]


def sum_up(records: str, runs: dict[int, Run]) -> Row:
    all_sittings = [it for run, _ in runs.values() for it in sittings(run)]

    def distinct(values: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(values))

    return Row(records, date(runs), times(runs), compile_times(runs), scores(runs),
               distinct(it["device"] for it in all_sittings), distinct(it["commit"][:9] for it in all_sittings),
               distinct(it.get("versions", {}).get("torch", "?") for it in all_sittings))


def filled(text: str, entries: Sequence[Entry]) -> str:
    """Return the page with the table of each track; the entries must have been checked."""
    tables = {}
    for name, track in TRACKS.items():
        rows = sorted(((it, sum_up(it.records, read_runs(it.folder))) for it in entries if it.track == name),
                      key=lambda pair: (pair[1].date, -mean_time(pair[1])))
        tables[name] = table(rows, track) if rows else [no_entry(track)]
    return fill(text, tables, PAGE, "make speedrun")


def table(pairs: Sequence[tuple[Entry, Row]], track: Track) -> list[str]:
    fastest = min(mean_time(row) for _, row in pairs)
    lines = ["| date | time, s | compiling, s | GPU | n | top-1, % [95 % interval] | p | what changed | by | code |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for entry, row in pairs:
        time = spread(row.time, 1) if mean_time(row) > fastest else f"**{spread(row.time, 1)}**, leads"
        _, low, high = paired_difference(row.top1)
        lines.append("| " + " | ".join([
            row.date, time, f"{mean(row.compile):.0f}", ", ".join(row.devices), str(len(row.top1)),
            f"{spread(row.top1, 2)} [{low:.2f}, {high:.2f}]", chance(one_sided_p(row.top1, track.target)),
            cell(entry.changed), cell(entry.by),
            f"[records]({row.records}), {', '.join(f'`{commit}`' for commit in row.commits)}, torch "
            f"{', '.join(row.torch)}"]) + " |")
    return [*lines, "", "Time and top-1: mean ± standard deviation of n seeds."]


def no_entry(track: Track) -> str:
    """Say that there is no entry, and which records could be one, or come closest."""
    ready, near = candidates(track)
    if ready:
        return f"No entry yet. These records meet the rule and could be one: {tell(min(ready, key=mean_time))}."
    if near:
        best = max(near, key=lambda row: mean(row.top1))
        return f"No record meets the rule yet. Closest so far: {tell(best)}."
    return "No record meets the rule yet: the first entry may be yours."


def candidates(track: Track) -> tuple[list[Row], list[Row]]:
    """Return the records that meet the rule, and those that lack only the target or some seeds."""
    ready, near = [], []
    for folder in sorted({path.parents[1] for path in RESULTS.rglob(RUN)}):
        runs = read_runs(folder)
        if not any(faults(track, runs)):
            rows = near if any(misses(track, runs)) else ready
            rows.append(sum_up(folder.relative_to(RESULTS).as_posix(), runs))
    return ready, near


def tell(row: Row) -> str:
    return (f"{spread(row.top1, 2)} % in {spread(row.time, 1)} s on {', '.join(row.devices)}, n = {len(row.top1)} "
            f"([records]({row.records}), {row.date})")


def mean_time(row: Row) -> float:
    return mean(row.time)


def spread(values: Sequence[float], digits: int) -> str:
    sd = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{sd}"


def chance(p: float) -> str:
    text = "< 0.0001" if p < 1e-4 else f"{p:.2g}"
    return text if p < CLAIM else f"{text}, may be luck"


def cell(text: str) -> str:
    """Return the text as one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
