"""Files: written as a whole or not at all, and lists of names read line by line."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path``, flush it to the disk, and only then rename it to ``path``.

    If anything is raised, it is passed on; a file that was there before is unchanged, and nothing else is left.
    """
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read_names(path: str | os.PathLike) -> list[str]:
    """Return the lines of a text file, without the space around them and without empty ones."""
    lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]
