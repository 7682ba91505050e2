"""Data sets: two splits of uint8 images and labels, with the names of the classes and the statistics of the pixels."""

import hashlib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from minivit.files import read_names
from minivit.options import did_you_mean


class DataError(Exception):
    """A file or folder of data cannot be used; the message names it and says what to do."""


class BrokenImageError(DataError):
    """One image cannot be read; a run continues without it, see :mod:`minivit.data.broken`."""


@contextmanager
def os_errors(path: str | os.PathLike, what: str = "read", way_out: str = "") -> Iterator[None]:
    """Turn an error of the operating system inside the ``with`` block into a DataError that names file and reason.

    Parameters
    ----------
    path
        The file or folder, if the error names none.
    what
        What cannot be done with it.
    way_out
        What the user can do.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be {what}: {error.strerror or error}"
                        f"{way_out and f'; {way_out}'}") from None


def read_class_names(path: str | os.PathLike) -> list[str]:
    """Return the names of classes, which a text file lists one per line.

    Raises
    ------
    DataError
        If the file is missing, empty, or not a text.
    """
    try:
        names = list(map(class_name, read_names(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): give a file with one class name per line") from None
    if not names:
        raise DataError(f"{path} is empty: give a file with one class name per line")
    return names


def class_name(text: str) -> str:
    """Return a name in Unicode's form NFC: a Mac may write é as e plus an accent, which is the same class."""
    return unicodedata.normalize("NFC", text)


class Images(Protocol):
    """Images that are indexed like a uint8 tensor of shape (n, C, H, W), wherever they are kept.

    For ``take``, see :meth:`minivit.data.stored.StoredImages.take`.
    """

    @property
    def shape(self) -> torch.Size: ...

    @property
    def names(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor) -> Tensor: ...

    def take(self, rows: Tensor, keys: Tensor | None = None) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Images stay uint8 until they are on the device, which takes a quarter of the memory and copying of float32.

    Parameters
    ----------
    images
        uint8 (n, C, H, W): a tensor, or files on disk that can be indexed like one.
    labels
        int64 (n,), from 0 to the number of classes - 1. For an evaluation also bool (n, K): which of the K classes are
        right for each image.

    Raises
    ------
    ValueError
        If images or labels are of another type or shape, or differ in number.
    """

    images: Tensor | Images
    labels: Tensor

    def __post_init__(self):
        if isinstance(self.images, np.ndarray | list | tuple) or not isinstance(self.labels, Tensor):
            raise ValueError(f"images is a {type(self.images).__name__} and labels is a {type(self.labels).__name__}: "
                             "they must be tensors, as torch.tensor makes of an array, or images files on disk")
        if isinstance(self.images, Tensor) and (self.images.dtype != torch.uint8 or self.images.ndim != 4):
            raise ValueError(f"images of dtype {self.images.dtype} and shape {tuple(self.images.shape)}: "
                             "they must be uint8 of shape (n, C, H, W)")
        if (self.labels.dtype, self.labels.ndim) not in ((torch.int64, 1), (torch.bool, 2)):
            raise ValueError(f"labels of dtype {self.labels.dtype} and shape {tuple(self.labels.shape)}: they must be "
                             "int64 of shape (n,), or bool of shape (n, K)")
        for field in fields(self):
            if len(getattr(self, field.name)) != len(self.images):
                raise ValueError(f"{field.name} has {len(getattr(self, field.name))} rows "
                                 f"for {len(self.images)} images: there must be one for each")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_read(self) -> int:
        """Number of images without the broken ones that have been found so far."""
        return len(self) - len(getattr(self.images, "broken", ()))

    def subset(self, indices: Tensor | Sequence[int]) -> Self:
        """Return the rows with these indices, in this order, as a split; files on disk are selected, not read.

        Raises
        ------
        ValueError
            If the indices are not whole numbers, such as a mask, or not in [0, n).
        """
        rows = row_indices("indices", indices, len(self))
        return replace(self, **{field.name: _choose(getattr(self, field.name), rows) for field in fields(self)})

    def to(self, device: torch.device | str) -> Self:
        """Return the split with every tensor on the device; files on disk stay there."""
        return replace(self, **{field.name: value.to(device) for field in fields(self)
                                if isinstance(value := getattr(self, field.name), Tensor)})

    def digest(self, target: str = "labels") -> str:
        """Return a short hash of the images, the labels and their order.

        With another ``target``, such as ``masks``, that is hashed instead of the labels. Of files on disk only the
        names are hashed, since the contents would have to be read.
        """
        content = hashlib.blake2b(getattr(self, target).cpu().contiguous().numpy(), digest_size=16)
        if isinstance(self.images, Tensor):
            content.update(self.images.cpu().contiguous().numpy())
        else:
            content.update("\0".join(self.images.names).encode("utf-8", "surrogateescape"))
        return content.hexdigest()


@dataclass(frozen=True)
class DataInfo:
    """What a trained model has to know about its data: what the logits stand for, and how to normalise images.

    Attributes
    ----------
    classes
        Class name of each logit.
    image_shape
        Channels, height and width.
    mean, std
        Mean and standard deviation of each channel: the model sees ``(images / 255 - mean) / std``.
    """

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training split, a test split and what both have in common.

    Parameters
    ----------
    name
        Its name in :func:`minivit.data.load`.
    train, test
        The two splits.
    classes
        Class names; ``classes[label]`` is the name of a label.
    mean, std
        Mean and standard deviation of each channel of the training images divided by 255: a model sees
        ``(images / 255 - mean) / std``.

    Raises
    ------
    ValueError
        If a label is not that of a class, or a mean is not in [0, 1], as of images that weren't divided by 255.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self):
        if not all(0 <= value <= 1 for value in self.mean):
            raise ValueError(f"mean={self.mean!r} of {self.name} must be in [0, 1], that of images divided by 255")
        for name in ("train", "test"):
            labels = getattr(self, name).labels
            # A label outside would be no class at all in training, where targets are probabilities.
            if labels.ndim == 1 and ((labels < 0) | (labels >= len(self.classes))).any():
                raise ValueError(f"the {name} labels of {self.name} go from {labels.min()} to {labels.max()}: they "
                                 f"must stay in 0 ... {len(self.classes) - 1}, one for each of its classes")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def info(self) -> DataInfo:
        """What a model trained on this data set has to know about it."""
        return DataInfo(self.classes, self.image_shape, self.mean, self.std)

    def select_classes(self, names: Sequence[str]) -> Self:
        """Return only the images of these classes; label k then stands for the class ``names[k]``.

        Raises
        ------
        ValueError
            Naming a class that is unknown or listed twice; or if there is none.
        """
        if tuple(names) == self.classes:
            return self
        if not names:
            raise ValueError(f"names={names!r} must be one or more classes of {self.name}")
        for i, name in enumerate(names):
            if name not in self.classes:
                raise ValueError(f"{name!r} is not a class of {self.name}{did_you_mean(name, self.classes)}")
            if name in names[:i]:
                raise ValueError(f"class {name!r} is listed twice")
        new = torch.full((self.num_classes,), -1)
        new[[self.classes.index(name) for name in names]] = torch.arange(len(names))

        def choose(split: Split) -> Split:
            labels = new[split.labels]
            rows = (labels >= 0).nonzero()[:, 0]
            return replace(split.subset(rows), labels=labels[rows])

        return replace(self, train=choose(self.train), test=choose(self.test), classes=tuple(names))


def row_indices(name: str, indices: Tensor | Sequence[int], count: int) -> Tensor:
    """Return indices of rows as a tensor, int64 (n,).

    Raises
    ------
    ValueError
        Naming the caller's argument, ``name``, if they are not whole numbers, such as a mask, or not in [0, count).
    """
    rows = torch.as_tensor(indices)
    if rows.ndim != 1 or len(rows) and (rows.is_floating_point() or rows.dtype == torch.bool):
        raise ValueError(f"{name} of dtype {rows.dtype} and shape {tuple(rows.shape)}: rows are given by whole "
                         "numbers, of shape (n,); those of a mask are mask.nonzero()[:, 0]")
    if ((rows < 0) | (rows >= count)).any():
        raise ValueError(f"{name} with rows from {rows.min()} to {rows.max()}: they must stay in 0 ... {count - 1}")
    return rows.long()


def _choose(rows: Tensor | Images, indices: Tensor) -> Tensor | Images:
    return rows[indices.to(rows.device)] if isinstance(rows, Tensor) else rows.subset(indices)
