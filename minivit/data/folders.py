"""Find the image files in a folder, and count the other files, so that nothing is skipped silently."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from minivit.data.dataset import DataError, class_name

# What operating systems and file servers leave behind, in lower case. Hidden files, which begin with a dot, also count.
SYSTEM = frozenset({"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information",
                    "lost+found", "__pycache__", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
# Files that come with images to describe them: skipping these loses no image.
NOTES = frozenset({".cfg", ".csv", ".doc", ".docx", ".htm", ".html", ".ini", ".ipynb", ".json", ".jsonl", ".log", ".md",
                   ".pdf", ".py", ".rst", ".rtf", ".sh", ".toml", ".tsv", ".txt", ".xlsx", ".xml", ".yaml", ".yml"})
# Formats that Pillow knows but needs other programs for, and video.
NO_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"})

SYSTEM_KIND = "system and hidden files"


class PassedOver:
    """A count and an example of each kind of file that was skipped.

    Attributes
    ----------
    lost
        Whether any of these files looks like data.
    """

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.lost = False

    def add(self, path: str, kind: str | None = None, *, lost: bool = True) -> None:
        """Count a file. By default its suffix is its kind and decides whether it looks like data."""
        if kind is None and os.path.islink(path) and not os.path.exists(path):
            kind = "broken links"
        if kind is None:
            suffix = os.path.splitext(path)[1].lower()
            kind, lost = f"{suffix} files" if suffix else "files without a suffix", suffix not in NOTES
        self.counts[kind] += 1
        self.examples.setdefault(kind, path)
        self.lost |= lost

    def update(self, other: "PassedOver") -> None:
        self.counts.update(other.counts)
        self.examples = other.examples | self.examples
        self.lost |= other.lost

    def __str__(self) -> str:
        return ", ".join(f"{kind} ({count}, such as {self.examples[kind]})"
                         for kind, count in self.counts.most_common())


def image_suffixes() -> frozenset[str]:
    """Return the suffixes of all image formats that Pillow reads, including those added by plug-ins."""
    from PIL import Image

    return frozenset(suffix for suffix, kind in Image.registered_extensions().items()
                     if kind in Image.OPEN and kind not in NO_PICTURES)


def class_folders(split: Path, suffixes: frozenset[str], passed: PassedOver) -> dict[str, Path]:
    """Return the class folders of a split by class name, sorted.

    Names are normalised by :func:`minivit.data.dataset.class_name`.

    Raises
    ------
    DataError
        If two folders belong to the same class, or a name is not valid UTF-8.
    """
    classes: dict[str, Path] = {}
    for entry in _entries(split, passed) if split.is_dir() else ():
        if not _is(entry.is_dir):
            passed.add(entry.path, "images outside a class folder" if _is_image(entry, suffixes) else None)
            continue
        if not _can_be_written(entry.name):
            raise DataError(f"the name of the class folder {ascii(entry.path)} is not UTF-8: rename it")
        name = class_name(entry.name)
        if name in classes:
            raise DataError(f"{split} has two folders for the class {name!r} whose names differ only in Unicode form: "
                            f"{ascii(classes[name].name)} and {ascii(entry.name)}; put their images into one")
        classes[name] = Path(entry.path)
    return dict(sorted(classes.items()))


def find_images(folder: Path, suffixes: frozenset[str], passed: PassedOver) -> list[Path]:
    """Return all image files below a folder, at any depth, sorted; links are followed, but not in circles."""
    found, waiting = [], [(os.fspath(folder), frozenset(map(_identity, folder.resolve().parents)))]
    while waiting:
        path, above = waiting.pop()
        here = _identity(path)
        if here in above:
            passed.add(path, "links to a parent folder", lost=False)
            continue
        for entry in _entries(path, passed):
            if _is(entry.is_dir):
                waiting.append((entry.path, above | {here}))
            elif _is_image(entry, suffixes):
                found.append(Path(entry.path))
            else:
                passed.add(entry.path)
    return sorted(found)


def _identity(folder: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _entries(folder: str | os.PathLike, passed: PassedOver) -> Iterator[os.DirEntry]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):   # so that the examples are always the same
            if entry.name.startswith(".") or entry.name.lower() in SYSTEM:
                passed.add(entry.path, SYSTEM_KIND, lost=False)
            else:
                yield entry


def _is_image(entry: os.DirEntry, suffixes: frozenset[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in suffixes and _is(entry.is_file)


def _is(question) -> bool:
    try:
        return question()
    except OSError:   # a link that leads in a circle is neither a file nor a folder
        return False


def _can_be_written(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
