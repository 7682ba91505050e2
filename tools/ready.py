"""Say whether this machine is ready for a lesson, by its packages and by a chapter that it runs, or what is missing."""

import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from tools.budget import SLOW, budget_of
from tools.execute import execute
from tools.install import REQUIREMENTS, describe
from tools.paths import ROOT

CHAPTER = ROOT / "book" / "attention" / "softmax_jacobian.ipynb"


def wrong_packages(requirements: str) -> list[str]:
    """Return what is missing or of another version, of the packages that the text of requirements.txt names."""
    wrong = []
    for line in requirements.splitlines():
        if not line or line.startswith(("#", "-")):
            continue
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} is {found}, not {str(wanted.specifier).removeprefix('==')}")
    return wrong


def ran(chapter: Path) -> tuple[bool, str]:
    """Run a chapter; return whether it ran to its end, and in words how fast, or why not."""
    start = time.monotonic()
    try:
        execution = execute(chapter)
    except RuntimeError as error:  # nbclient's, if a kernel can't be reached
        return False, f"Jupyter doesn't reach its kernel on this machine, perhaps for a firewall: {error}"
    if execution.error:
        return False, f"a chapter stopped, {execution.error}"
    times = execution.cost.cpu_s / budget_of(execution.notebook).cpu_s
    speed = f"a chapter ran in {time.monotonic() - start:.0f} s, {times:.1f} times what it declares"
    return True, speed + (". Slow: sit with a neighbour in lessons that train" if times > SLOW else "")


def main() -> int:
    if wrong := wrong_packages(REQUIREMENTS.read_text(encoding="utf-8")):
        print(*wrong, sep="\n", file=sys.stderr)
        print("Not ready: `make lab` installs what is missing.", file=sys.stderr)
        return 1
    good, words = ran(CHAPTER)
    if not good:
        print(f"Not ready: {words}", file=sys.stderr)
        return 1
    print(f"Ready: {describe()}; {words}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
