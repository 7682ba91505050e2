"""Images that stay in their files until they are needed."""

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from minivit.data.decode import WHITE
from minivit.data.preprocessing import Preprocessing, fit, read_preprocessing
from minivit.options import image_sides

if TYPE_CHECKING:
    from PIL.Image import Image


class StoredImages(ABC):
    """Images in files that can be indexed like a uint8 tensor (n, 3, H, W); only their locations are kept in memory.

    Images are decoded on access, several at a time, since Pillow releases Python's lock. Each is read as people see it
    (:func:`minivit.data.decode.decode`), then scaled and cropped to its centre
    (:func:`minivit.data.preprocessing.fit`).

    Parameters
    ----------
    places
        Location of each image, in the form that the subclass reads: a sequence, or an array with one row per image.
    image_size
        Side of the images in pixels, or (height, width).
    workers
        How many files to decode at a time; by default one per core that this process may use, at most 16.
    crop_pct, crop_mode, interpolation
        As for :class:`minivit.data.preprocessing.Preprocessing`.
    background
        Red, green and blue, 0 ... 255, shown where pixels are transparent.
    """

    def __init__(self, places: Sequence[Any] | np.ndarray, image_size: int | Sequence[int], workers: int | None = None,
                 *, crop_pct: float = 1.0, crop_mode: str = "center", interpolation: str = "bicubic",
                 background: Sequence[int] = WHITE):
        self.places, self.image_size = places, image_sides(image_size)
        self.workers = workers or min(16, _cores())
        self.how = {"crop_pct": crop_pct, "crop_mode": crop_mode, "interpolation": interpolation}
        self.background = tuple(background)

    @property
    def shape(self) -> torch.Size:
        """Shape of the tensor this stands for: (n, 3, H, W)."""
        return torch.Size((len(self), 3, *self.image_size))

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of the images, without their folders."""

    @abstractmethod
    def read(self, place: Any) -> "Image":
        """Return the image at a place, upright and in mode RGB."""

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Decode an image, uint8 (3, H, W), or a selection of them, uint8 (b, 3, H, W)."""
        rows = torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index]
        if rows.ndim == 0:
            return self._decode(self.places[int(rows)])
        if not len(rows):
            return torch.empty((0, *self.shape[1:]), dtype=torch.uint8)
        with ThreadPoolExecutor(min(self.workers, len(rows))) as pool:
            return torch.stack(list(pool.map(self._decode, [self.places[row] for row in rows.tolist()])))

    def subset(self, indices: Tensor) -> Self:
        """Return these images, in this order, without reading them."""
        chosen, rows = copy.copy(self), indices.tolist()
        chosen.places = (self.places[rows] if isinstance(self.places, np.ndarray)
                         else tuple(self.places[row] for row in rows))
        return chosen

    def _decode(self, place: Any) -> Tensor:
        image = fit(self.read(place), self.image_size, **self.how)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


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
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
