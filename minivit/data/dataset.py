"""What a data set is: two splits of uint8 images and labels, and the names and statistics that go with them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from minivit.options import did_you_mean


class DataError(Exception):
    """A file or a folder of data that cannot be used; the message names it and the way out."""


class Images(Protocol):
    """Images that are indexed like a uint8 tensor of shape (n, C, H, W), wherever they are kept."""

    @property
    def shape(self) -> torch.Size: ...

    @property
    def names(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Images stay uint8, a quarter of the memory and of the copying of float32, until they are on the device.

    Parameters
    ----------
    images
        uint8 (n, C, H, W), a tensor or files on disk that are indexed like one.
    labels
        int64 (n,), in 0 ... number of classes - 1.
    """

    images: Tensor | Images
    labels: Tensor

    def __post_init__(self):
        if isinstance(self.images, Tensor) and (self.images.dtype != torch.uint8 or self.images.ndim != 4):
            raise ValueError(f"images of dtype {self.images.dtype} and shape {tuple(self.images.shape)}: "
                             "they must be uint8 of shape (n, C, H, W)")
        if self.labels.dtype != torch.int64:
            raise ValueError(f"labels of dtype {self.labels.dtype}: they must be int64")
        for field in fields(self):
            if len(getattr(self, field.name)) != len(self.images):
                raise ValueError(f"{field.name} has {len(getattr(self, field.name))} rows "
                                 f"for {len(self.images)} images: one each is needed")

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Tensor | Sequence[int]) -> Self:
        """Return the split made of these rows, in this order; files on disk are chosen, not read."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return replace(self, **{field.name: _choose(getattr(self, field.name), rows) for field in fields(self)})

    def to(self, device: torch.device | str) -> Self:
        """Return the split with every tensor on the device; files on disk stay there."""
        return replace(self, **{field.name: value.to(device) for field in fields(self)
                                if isinstance(value := getattr(self, field.name), Tensor)})

    def digest(self, target: str = "labels") -> str:
        """Return a short text that is another one where the labels, the images or their order are others.

        Another ``target``, such as ``masks``, counts in place of the labels.
        Of files on disk it is the names that count, not the contents, which would have to be read.
        """
        content = hashlib.blake2b(getattr(self, target).cpu().contiguous().numpy(), digest_size=16)
        if isinstance(self.images, Tensor):
            content.update(self.images.cpu().contiguous().numpy())
        else:
            content.update("\0".join(self.images.names).encode("utf-8", "surrogateescape"))
        return content.hexdigest()


@dataclass(frozen=True)
class DataInfo:
    """What a trained model has to know of its data: what its logits stand for, and how its images were made.

    Attributes
    ----------
    classes
        Name of the class of each logit.
    image_shape
        Channels, height and width.
    mean, std
        Of each channel: the model sees ``(images / 255 - mean) / std``.
    """

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training split, a test split and what is common to both.

    Parameters
    ----------
    name
        What :func:`minivit.data.load` calls it.
    train, test
        The two splits.
    classes
        Name of each class; ``classes[label]`` reads a label.
    mean, std
        Of each channel of the training images divided by 255: ``(images / 255 - mean) / std`` is what a model sees.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def info(self) -> DataInfo:
        """What a model trained on this has to know of it."""
        return DataInfo(self.classes, self.image_shape, self.mean, self.std)

    def select_classes(self, names: Sequence[str]) -> Self:
        """Return the images of these classes alone; label k is then the class ``names[k]``.

        Raises
        ------
        ValueError
            Naming a class that there is not, or that stands there twice.
        """
        if tuple(names) == self.classes:
            return self
        for i, name in enumerate(names):
            if name not in self.classes:
                raise ValueError(f"{name!r} is no class of {self.name}{did_you_mean(name, self.classes)}")
            if name in names[:i]:
                raise ValueError(f"class {name!r} is named twice")
        new = torch.full((self.num_classes,), -1)
        new[[self.classes.index(name) for name in names]] = torch.arange(len(names))

        def choose(split: Split) -> Split:
            labels = new[split.labels]
            rows = (labels >= 0).nonzero()[:, 0]
            return replace(split.subset(rows), labels=labels[rows])

        return replace(self, train=choose(self.train), test=choose(self.test), classes=tuple(names))


def _choose(rows: Tensor | Images, indices: Tensor) -> Tensor | Images:
    return rows[indices.to(rows.device)] if isinstance(rows, Tensor) else rows.subset(indices)
