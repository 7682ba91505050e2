"""The book's version and date, which every page and every edition carries."""

import datetime
import os
import subprocess
import tomllib
from functools import cache

from tools.paths import ROOT

BOOK = "Less Attention, More Context"
FULL_TITLE = f"{BOOK}: Vision Transformers from scratch"


@cache
def version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@cache
def date() -> datetime.date:
    """Return the day of the sources: of SOURCE_DATE_EPOCH, or else of the last commit, or else today."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not seconds:
        try:
            seconds = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, check=True,
                                     encoding="utf-8").stdout
        except (OSError, subprocess.CalledProcessError):  # a download has no history
            return datetime.date.today()
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).date()


def in_words(day: datetime.date) -> str:
    return f"{day.day} {day:%B %Y}"


def release_name() -> str:
    """Return the name of the book's files, without their ending."""
    return f"less-attention-more-context-{version()}"
