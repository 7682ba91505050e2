"""Images in WebDataset's tar shards, read in place: ROOT/{train,val}-0000.tar, ... with KEY.jpg and KEY.cls.

Any image can be read at any time. So neither the order and length of an epoch nor the place where a run resumes depends
on shards or processes. :mod:`minivit.data.shard_index` says which files are read, and how damage is detected.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from minivit.data.crops import View
from minivit.data.dataset import BrokenImageError, DataError, Dataset, Split, os_errors, read_class_names
from minivit.data.decode import WHITE, decode_part
from minivit.data.shard_index import MANIFEST, Index, Shards, find_shards, load_index
from minivit.data.stored import StoredImages, choose_preprocessing, options_of_images
from minivit.options import first_few


class ShardImages(StoredImages):
    """Images in tar shards that can be indexed like a uint8 tensor (n, 3, H, W); only their index is kept in memory.

    Parameters
    ----------
    shards, index
        The tars of a split, and where each image is in them.
    image_size, workers, crop_pct, crop_mode, interpolation, background
        As for :class:`minivit.data.stored.StoredImages`.
    """

    def __init__(self, shards: Shards, index: Index, image_size: int | Sequence[int], workers: int | None = None,
                 **how: Any):
        super().__init__(index.places, image_size, workers, **how)
        self.shards, self.index = shards, index

    @property
    def names(self) -> list[str]:
        """Names of the members of the tars."""
        names = self.index.names.decode("utf-8", "surrogateescape").split("\n")
        return [names[row] for row in self.places["name"].tolist()]

    def read(self, place: np.void, view: View) -> Tensor:
        """Decode a view of one member of a tar."""
        path, state = self.shards.paths[place["shard"]], self.shards.states[place["shard"]]
        offset, size = int(place["offset"]), int(place["size"])
        with os_errors(path):
            opened = _open(path, state)   # held while it is read: the cache may drop it, which closes it
            content = os.pread(opened.descriptor, size, offset)
        if len(content) < size:
            raise DataError(f"{path} ends within {self._name(place)!r}: it has changed since the run began")
        try:
            return decode_part(content, view, self.background)
        except BrokenImageError:   # look up the name only when it is needed
            return decode_part(content, view, self.background, name=f"{path}: member {self._name(place)!r}")

    def without_places(self) -> Self:
        """Return a copy without places, for another process; it doesn't know the names of the members either."""
        bare = super().without_places()
        bare.index = Index(bare.index.places[:0], b"")
        return bare

    def _name(self, place: np.void) -> str:
        return self.index.names.split(b"\n")[place["name"]].decode("utf-8", "surrogateescape")


class _Opened:
    """An open file, closed when nothing refers to it any more: a thread may still read what the cache has dropped."""

    def __init__(self, path: Path):
        self.descriptor = -1
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self):
        if self.descriptor >= 0:
            os.close(self.descriptor)


@lru_cache(maxsize=256)   # ImageNet has more shards than many systems let a process open
def _open(path: Path, state: tuple[int, int]) -> _Opened:
    return _Opened(path)


def load_shards(root: Path, *, classes: Sequence[str] | str | Path | None = None,
                image_size: int | Sequence[int] | None = None, mean: Sequence[float] | None = None,
                std: Sequence[float] | None = None, crop_pct: float | None = None,
                crop_mode: Literal["center", "squash"] | None = None, interpolation: str | None = None,
                preprocessing: str | Path | None = None, background: Sequence[int] = WHITE,
                only_test: bool = False) -> Dataset:
    """Load a data set of WebDataset tar shards; nothing is unpacked or copied.

    The headers of the tars are read once, into an index next to them or, if nothing can be written there, in
    ``~/.cache/minivit``.

    Parameters
    ----------
    root
        Folder with ``[PREFIX-]train-NUMBER.tar`` and the same with ``test``, ``val`` or ``validation``; of these three,
        the first one found is used.
    classes
        Names of the classes in the order of their labels, or a file with one name per line; by default those in the
        manifest, or else the labels themselves.
    image_size, mean, std, crop_pct, crop_mode, interpolation, preprocessing, background
        As for :func:`minivit.data.imagefolder.load_imagefolder`.
    only_test
        Whether to leave out the training images, as an evaluation does: their shards need not be there, nor indexed.

    Returns
    -------
    Dataset
        Images uint8 (n, 3, H, W), decoded when they are indexed, in the order of the shards.

    Raises
    ------
    ValueError
        If the value of an option is not allowed.
    DataError
        Naming the shard, if one is missing, empty, truncated, damaged, or has unexpected images or classes.
    """
    how = choose_preprocessing(preprocessing, background, image_size=image_size, mean=mean, std=std, crop_pct=crop_pct,
                               crop_mode=crop_mode, interpolation=interpolation)
    shards, listed = find_shards(root, only_test=only_test)
    source = f"{root / MANIFEST}" if classes is None else "the option classes"
    named = listed if classes is None else _read_classes(classes)
    indices = {name: load_index(root, name, of_split) for name, of_split in shards.items()}
    if named is None:
        count = 1 + max(int(index.places["label"].max()) for index in indices.values())
        named, source = tuple(map(str, range(count))), "the largest label"
    for name, index in indices.items():
        _check_labels(shards[name], name, index.places, len(named), source)
    options = options_of_images(how, background)
    *others, test = (Split(ShardImages(shards[name], index, **options), torch.from_numpy(index.places["label"].copy()))
                     for name, index in indices.items())
    return Dataset("shards", *others or [test.subset([])], test, named, how.mean, how.std)


def _read_classes(classes: Sequence[str] | str | Path) -> tuple[str, ...]:
    if isinstance(classes, str | Path):
        classes = read_class_names(classes)
    if len(set(classes)) != len(classes) or not classes:
        raise ValueError(f"classes has {len(classes)} names, of which {len(set(classes))} are different: there must be "
                         "at least one, and all must differ")
    return tuple(classes)


def _check_labels(shards: Shards, split: str, places: np.ndarray, count: int, source: str) -> None:
    """Raise an error unless the labels of a split are those of all classes."""
    if (outside := places["label"] >= count).any():
        first = places[outside.argmax()]
        raise DataError(f"{shards.paths[first['shard']]} has an image of class {first['label']}, but there are {count} "
                        f"classes, counted from 0, according to {source}")
    if absent := np.flatnonzero(np.bincount(places["label"], minlength=count) == 0).tolist():
        raise DataError(f"{shards.paths[0].parent}: the {split} shards, {shards.paths[0].name} to "
                        f"{shards.paths[-1].name}, have no image of class {first_few(absent, 5)}, but there are "
                        f"{count} classes according to {source}: copy the missing shards, or give the right classes")
