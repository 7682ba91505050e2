"""Your own images, one folder a class: ROOT/{train,test|val}/CLASS/*.jpg."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from minivit.data.dataset import DataError, Dataset, Split

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
# ImageNet's, which published weights were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageFiles:
    """Image files that are indexed like a uint8 tensor (n, 3, S, S); only their paths are kept in memory.

    An image is decoded when it is asked for, several at a time, since Pillow decodes outside Python's lock. Its shorter
    side is scaled to ``image_size`` and the middle cut out.

    Parameters
    ----------
    paths
        The files.
    image_size
        Height and width S of the images, in pixels.
    workers
        How many files are decoded at a time; by default one a core, at most 16.
    """

    def __init__(self, paths: Sequence[Path], image_size: int, workers: int | None = None):
        if image_size < 1:
            raise ValueError(f"image_size={image_size!r} is not allowed: use 1 or more pixels")
        self.paths, self.image_size = tuple(paths), image_size
        self.workers = workers or min(16, os.cpu_count() or 1)

    @property
    def shape(self) -> torch.Size:
        """Shape of the tensor this stands for: (n, 3, image_size, image_size)."""
        return torch.Size((len(self.paths), 3, self.image_size, self.image_size))

    @property
    def names(self) -> list[str]:
        """The files, without the folders they are in."""
        return [path.name for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Decode an image, uint8 (3, S, S), or a selection of them, uint8 (b, 3, S, S)."""
        rows = torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index]
        if rows.ndim == 0:
            return self._decode(self.paths[rows])
        if not len(rows):
            return torch.empty((0, *self.shape[1:]), dtype=torch.uint8)
        with ThreadPoolExecutor(min(self.workers, len(rows))) as pool:
            return torch.stack(list(pool.map(self._decode, [self.paths[row] for row in rows.tolist()])))

    def subset(self, indices: Tensor) -> Self:
        """Return these files, in this order, without reading them."""
        return type(self)([self.paths[row] for row in indices.tolist()], self.image_size, self.workers)

    def _decode(self, path: Path) -> Tensor:
        from PIL import Image, ImageOps
        try:
            with Image.open(path) as image:
                square = ImageOps.fit(image.convert("RGB"), (self.image_size,) * 2, Image.Resampling.BICUBIC)
        # Broken bytes make Pillow's decoders fail with nearly anything.
        except Exception as error:
            raise DataError(f"{path} cannot be read as an image ({error}): replace it or delete it") from None
        return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def load_imagefolder(root: Path, *, image_size: int = 224) -> Dataset:
    """Load a data set of image files, one folder a class.

    Parameters
    ----------
    root
        Folder with ``train/CLASS/`` and ``test/CLASS/`` or ``val/CLASS/``; of the latter two, ``test`` if it is there.
    image_size
        Height and width, in pixels, that images are scaled and cut to.

    Returns
    -------
    Dataset
        Images uint8 (n, 3, image_size, image_size), decoded when they are indexed. Classes are sorted by name.

    Raises
    ------
    DataError
        If a folder is missing, a class has no image, or the splits have different classes.
    """
    try:
        train = _list_images(root / "train")
        held_out = next((root / name for name in ("test", "val") if _folders(root / name)), root / "test")
        test = _list_images(held_out)
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read: {error.strerror or error}") from None
    if different := sorted(set(train) ^ set(test)):
        where = root / "train" if different[0] in train else held_out
        raise DataError(f"{root / 'train'} and {held_out} have different classes: {different[0]!r} is only in {where}"
                        + (f", and {len(different) - 1} more differ" if len(different) > 1 else "")
                        + "; give both the same folders")
    classes = tuple(train)
    splits = (Split(ImageFiles([path for name in classes for path in files[name]], image_size),
                    torch.tensor([label for label, name in enumerate(classes) for _ in files[name]]))
              for files in (train, test))
    return Dataset("imagefolder", *splits, classes, MEAN, STD)


def _list_images(split: Path) -> dict[str, list[Path]]:
    """Return the image files of each class, both sorted by name."""
    classes = {folder.name: sorted(path for path in folder.iterdir()
                                   if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
               for folder in _folders(split)}
    if not classes:
        raise DataError(f"{split} is missing or has no class folder; imagefolder expects "
                        f"{split.parent}/train/CLASS/*.jpg and {split.parent}/test/CLASS/*.jpg, or val for test")
    if empty := [name for name, paths in classes.items() if not paths]:
        raise DataError(f"{split / empty[0]} has no image ({', '.join(sorted(SUFFIXES))}): add some or delete it")
    return classes


def _folders(split: Path) -> list[Path]:
    return sorted(path for path in split.iterdir()
                  if path.is_dir() and not path.name.startswith(".")) if split.is_dir() else []
