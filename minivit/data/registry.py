"""Data sets by name."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minivit.data.cifar100 import fetch_cifar100, load_cifar100
from minivit.data.dataset import Dataset
from minivit.data.digits import load_digits
from minivit.data.imagefolder import load_imagefolder
from minivit.data.shapes import load_shapes
from minivit.data.shard_index import LAYOUT
from minivit.data.shards import load_shards
from minivit.files import user_path
from minivit.options import check_choice, check_options

LOADERS: dict[str, Callable[..., Dataset]] = {
    "cifar100": load_cifar100,
    "digits": load_digits,
    "imagefolder": load_imagefolder,
    "shapes": load_shapes,
    "shards": load_shards,
}
FETCHERS: dict[str, Callable[[Path], Path]] = {"cifar100": fetch_cifar100}
# Where the user's own images are expected.
OWN = {"imagefolder": "ROOT/train/CLASS/*.jpg and ROOT/test/CLASS/*.jpg", "shards": LAYOUT}


def list_datasets() -> list[str]:
    """Return the names that :func:`load` knows, sorted."""
    return sorted(LOADERS)


def has_option(name: str, option: str) -> bool:
    """Return whether :func:`load` takes this option for a data set."""
    check_choice(LOADERS, name=name)
    return option in inspect.signature(LOADERS[name]).parameters


def load(name: str, root: str | os.PathLike | None = None, **options: Any) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name
        ``digits`` and ``shapes`` need no file; ``cifar100`` reads the public archive or its unpacked folder;
        ``imagefolder`` reads your own images, ``ROOT/{train,test|val}/CLASS/*.jpg``, as people see them, and
        ``shards`` those in WebDataset's tars.
    root
        The folder that holds the data; by default the environment variable ``MINIVIT_DATA``, or else
        ``~/.cache/minivit``.
    **options
        Keyword arguments of the loader: ``labels="coarse"`` for cifar100, ``image_size=(160, 96)`` or
        ``preprocessing="config.json"`` for imagefolder, ``train_images=500`` for shapes, ...

    Raises
    ------
    ValueError
        If the name or an option is unknown, or the value of an option is not allowed.
    DataError
        If the data are missing or damaged, or hold anything but data; the message says what to do.
    """
    check_choice(LOADERS, name=name)
    check_options(LOADERS[name], options, name, given=("root",))
    return LOADERS[name](data_root(root), **options)


def fetch(name: str, root: str | os.PathLike | None = None) -> Path:
    """Download a data set if it can be downloaded and isn't there yet.

    Parameters
    ----------
    name, root
        As for :func:`load`.

    Returns
    -------
    Path
        Path of what was downloaded or found in place; for a data set without a download, the root.
    """
    check_choice(LOADERS, name=name)
    folder = data_root(root)
    if name in FETCHERS:
        return FETCHERS[name](folder)
    if name in OWN:
        print(f"{name}: nothing to fetch, it reads your own images: {OWN[name].replace('ROOT', str(folder))}")
    else:
        print(f"{name}: nothing to fetch, it comes with the package")
    return folder


def data_root(root: str | os.PathLike | None = None) -> Path:
    """Return the folder that holds the data: the argument, or ``MINIVIT_DATA``, or ``~/.cache/minivit``.

    Raises
    ------
    ValueError
        If it is not a path, or starts with the home of a user who has none.
    """
    return user_path(root or os.environ.get("MINIVIT_DATA") or Path("~", ".cache", "minivit"), "root")
