"""Write files completely or not at all, read lists of names, and find the files that come with the package."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file next to ``path``, flush it to the disk, and only then rename it to ``path``.

    If this fails, the error is passed on, an existing file is unchanged, and nothing else is left behind.
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
    """Return the lines of a text file, stripped, without empty ones."""
    lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def shipped(name: str) -> Path:
    """Return a folder that comes with the package: inside it where it was installed, beside it in a clone."""
    package = Path(__file__).resolve().parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
