"""Write files so that they are either complete or absent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from minivit import files


class CheckpointError(Exception):
    """A checkpoint that cannot be written or read; the message names the file and the way out."""


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Do what :func:`minivit.files.write_whole` does, for the files of a run.

    Raises
    ------
    CheckpointError
        If it cannot be written. A file that was there before is still there, unchanged.
    """
    try:
        files.write_whole(path, write)
    except (OSError, RuntimeError, SafetensorError) as error:
        # A full disk is a RuntimeError to torch.save, raised while Python's error was handled.
        said = [it.strerror for it in (error, error.__context__) if isinstance(it, OSError) and it.strerror]
        reason = said[0] if said else str(error).splitlines()[0]
        raise CheckpointError(f"cannot write {path}: {reason}; free some space or choose another folder") from error


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON."""
    write_whole(path, lambda part: part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8"))


def read_json(path: Path, *, lines: bool = False) -> Any:
    """Read a JSON file, or with ``lines`` a file with one JSON value per line.

    Raises
    ------
    ValueError
        Naming the file, if it cannot be read or is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # not JSON, or not even text
        raise damaged(path, str(error)) from None


def damaged(path: Path, reason: str) -> ValueError:
    """Return the error for a file that doesn't hold what it should."""
    return ValueError(f"{path} is damaged ({reason}); delete it, or choose another folder")
