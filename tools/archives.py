"""Archives that are the same, byte for byte, whenever they are made of the same files."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from minivit.files import write_whole
from tools.version import date


def write_zip(target: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write an archive of files, each with its path in it; all have the date of the book."""
    def write(part: Path) -> None:
        with zipfile.ZipFile(part, "w") as archive:
            for name, content in files:
                entry = zipfile.ZipInfo(name, (*date().timetuple()[:3], 0, 0, 0))
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, content)

    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, write)
