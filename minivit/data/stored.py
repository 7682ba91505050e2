"""Images that stay in their files until they are needed."""

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from minivit.data.broken import Broken
from minivit.data.crops import TRIES, View, central_box, random_box
from minivit.data.dataset import BrokenImageError
from minivit.data.decode import WHITE
from minivit.data.preprocessing import Preprocessing, read_preprocessing
from minivit.data.readers import number_of_readers, start_readers
from minivit.options import image_sides


class StoredImages(ABC):
    """Images in files that can be indexed like a uint8 tensor (n, 3, H, W); only their locations are kept in memory.

    Images are decoded on access, several at a time, by threads, as Pillow releases Python's lock, or by the processes
    of :mod:`minivit.data.readers`. Each is read as people see it
    (:func:`minivit.data.decode.decode`), then its centre is scaled to the size, as by
    :func:`minivit.data.preprocessing.fit`; or, after :meth:`randomly_cropped`, a random part of it in training.

    Parameters
    ----------
    places
        Location of each image, in the form that the subclass reads: a sequence, or an array with one row per image.
    image_size
        Side of the images in pixels, or (height, width).
    workers
        How many files to decode at a time; by default ``MINIVIT_READERS``, or one per core that this process may use,
        at most 16. Processes that torchrun started on one machine share its cores.
    crop_pct, crop_mode, interpolation
        As for :class:`minivit.data.preprocessing.Preprocessing`.
    background
        Red, green and blue, 0 ... 255, shown where pixels are transparent.

    Attributes
    ----------
    broken
        The broken images that :meth:`take` has found so far.
    """

    def __init__(self, places: Sequence[Any] | np.ndarray, image_size: int | Sequence[int], workers: int | None = None,
                 *, crop_pct: float = 1.0, crop_mode: str = "center", interpolation: str = "bicubic",
                 background: Sequence[int] = WHITE):
        self.places, self.image_size = places, image_sides(image_size)
        self.workers = workers or number_of_readers() or min(16, _cores())
        self.view = View(partial(central_box, image_size=image_size, crop_pct=crop_pct, crop_mode=crop_mode),
                         self.image_size, interpolation)
        self.background = tuple(background)
        self.smallest_crop: float | None = None
        self.broken = Broken(len(places))

    @property
    def shape(self) -> torch.Size:
        """Shape of the tensor this stands for: (n, 3, H, W)."""
        return torch.Size((len(self), 3, *self.image_size))

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of the images, without their folders."""

    @abstractmethod
    def read(self, place: Any, view: View) -> Tensor:
        """Decode a view of the image at a place, uint8 (3, H, W).

        Raises
        ------
        BrokenImageError
            If the image cannot be read.
        """

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Decode the centre of an image, uint8 (3, H, W), or of a selection of them, uint8 (b, 3, H, W)."""
        rows = torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index]
        if rows.ndim == 0:
            return self.read(self.places[int(rows)], self.view)
        images = torch.empty((len(rows), *self.shape[1:]), dtype=torch.uint8)
        self._map(lambda image, row: self._fill(image, row, self.view), images, rows.tolist())
        return images

    def take(self, rows: Tensor, keys: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Decode a batch; broken images in it are replaced or left out.

        Parameters
        ----------
        rows
            Which images, int64 (b,).
        keys
            For training, a seed for each image, int64 (b,), of which its random crop and its replacement are a
            function. None for evaluation.

        Returns
        -------
        images, rows
            uint8 (b, 3, H, W), and which images these are, int64 (b,). In training, broken images are replaced with
            others; in evaluation, they are left out, so there may be fewer than b.

        Raises
        ------
        DataError
            If more than one in a hundred of the images are broken.
        """
        images = torch.empty((len(rows), *self.shape[1:]), dtype=torch.uint8)
        seeds = [None] * len(rows) if keys is None else keys.tolist()
        found = torch.tensor(self._map(self._read, images, rows.tolist(), seeds), dtype=torch.int64)
        return (images, found) if (found >= 0).all() else (images[found >= 0], found[found >= 0])

    def randomly_cropped(self, smallest: float) -> Self:
        """Return these images, so that :meth:`take` reads a random part of each in training.

        Parameters
        ----------
        smallest
            Smallest share of an image's area, as for :func:`minivit.data.crops.random_box`.
        """
        cropped = copy.copy(self)
        cropped.smallest_crop = smallest
        return cropped

    def subset(self, indices: Tensor) -> Self:
        """Return these images, in this order, without reading them."""
        chosen, rows = copy.copy(self), indices.tolist()
        chosen.places = (self.places[rows] if isinstance(self.places, np.ndarray)
                         else tuple(self.places[row] for row in rows))
        chosen.broken = Broken(len(rows))
        return chosen

    def without_places(self) -> Self:
        """Return a copy that can :meth:`read` places but has none itself, to send to another process."""
        bare = copy.copy(self)
        bare.places = ()
        return bare

    @cached_property
    def _bare(self) -> Self:
        return self.without_places()

    def _fill(self, image: Tensor, row: int, view: View) -> None:
        place, readers = self.places[row], start_readers(number_of_readers())
        if readers is not None:
            with readers.one() as reader:
                if reader.fill(image, self._bare, place, view):
                    return
        image.copy_(self.read(place, view))

    def _map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list:
        with ThreadPoolExecutor(self.workers) as pool:   # it starts no more threads than it needs
            return list(pool.map(function, *arguments))

    def _read(self, image: Tensor, row: int, key: int | None) -> int:
        """Fill ``image`` and return its row; if it is broken, that of a random replacement with a key, else -1."""
        chance = None if key is None else np.random.default_rng(key)
        view = self.view
        if chance is not None and self.smallest_crop is not None:
            view = replace(view, box=partial(random_box, chance.random((TRIES, 4)).tolist(),
                                             smallest=self.smallest_crop), fast=True)
        while True:
            if row not in self.broken:
                try:
                    self._fill(image, row, view)
                    return row
                except BrokenImageError as error:
                    self.broken.add({row: str(error)})
            if chance is None:
                return -1
            row = int(chance.integers(len(self)))


def choose_preprocessing(preprocessing: str | Path | None, background: Sequence[int], **given: Any) -> Preprocessing:
    """Return the preprocessing that a file describes, or our default; options that are given take precedence.

    Raises
    ------
    ValueError
        If the value of an option is not allowed, or the background is not a colour.
    DataError
        If the file cannot be read.
    """
    how = replace(Preprocessing() if preprocessing is None else read_preprocessing(preprocessing),
                  **{name: value for name, value in given.items() if value is not None})
    if len(background) != 3 or not all(0 <= value <= 255 for value in background):
        raise ValueError(f"background={background!r} is not allowed: use red, green and blue, 0 ... 255 each")
    return how


def options_of_images(how: Preprocessing, background: Sequence[int]) -> dict[str, Any]:
    """Return a preprocessing as keyword arguments of :class:`StoredImages`."""
    return {"image_size": how.image_size, "crop_pct": how.crop_pct, "crop_mode": how.crop_mode,
            "interpolation": how.interpolation, "background": background}


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, cores // int(processes)) if processes.isdecimal() and int(processes) else cores
