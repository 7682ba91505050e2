"""Read paths as users write them, write files completely or not at all, and find what comes with the package."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def user_path(path: str | os.PathLike, name: str = "path") -> Path:
    """Return a path, which need not exist; ``~`` stands for the user's home.

    Raises
    ------
    ValueError
        Naming the argument, ``name``, if it is not a path, is empty, or starts with the home of a user who has none.
    """
    if path == "":  # a shell's variable that isn't set; as a path it would be the current folder
        raise ValueError(f"{name}={path!r} is not allowed: use the path of a file or folder (. is the current folder)")
    try:
        return Path(path).expanduser()
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{name}={path!r} is not allowed: use the path of a file or folder ({error})") from None


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
    lines = user_path(path).read_text(encoding="utf-8-sig").splitlines()  # Windows marks its files with a sign
    return [line.strip() for line in lines if line.strip()]


def shipped(name: str) -> Path:
    """Return a folder that comes with the package: inside it where it was installed, beside it in a clone."""
    package = Path(__file__).resolve().parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
