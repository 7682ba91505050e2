"""Your own images, one folder per class: ROOT/{train,test|val}/CLASS/*.jpg."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from minivit.data.crops import View
from minivit.data.dataset import DataError, Dataset, Split, os_errors
from minivit.data.decode import WHITE, decode_part
from minivit.data.folders import PassedOver, class_folders, find_images, image_suffixes
from minivit.data.stored import StoredImages, choose_preprocessing, options_of_images
from minivit.options import first_few

HELD_OUT = ("test", "val")
TINY_IMAGENET = "val_annotations.txt"

log = logging.getLogger(__name__)


class ImageFiles(StoredImages):
    """Image files that can be indexed like a uint8 tensor (n, 3, H, W); only their paths are kept in memory.

    Parameters
    ----------
    paths
        The files.
    image_size, workers, crop_pct, crop_mode, interpolation, background
        As for :class:`minivit.data.stored.StoredImages`.
    """

    def __init__(self, paths: Sequence[Path], image_size: int | Sequence[int], workers: int | None = None, **how: Any):
        super().__init__(tuple(paths), image_size, workers, **how)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return self.places

    @property
    def names(self) -> list[str]:
        """Names of the files, without their folders."""
        return [path.name for path in self.paths]

    def read(self, place: Path, view: View) -> Tensor:
        """Decode a view of a file."""
        return decode_part(place, view, self.background)


def load_imagefolder(root: Path, *, image_size: int | Sequence[int] | None = None,
                     mean: Sequence[float] | None = None, std: Sequence[float] | None = None,
                     crop_pct: float | None = None, crop_mode: Literal["center", "squash"] | None = None,
                     interpolation: str | None = None, preprocessing: str | Path | None = None,
                     background: Sequence[int] = WHITE, only_test: bool = False) -> Dataset:
    """Load a data set of image files, one folder per class.

    A class folder is searched with all its subfolders, and links are followed. A file is an image if Pillow reads its
    suffix, in upper or lower case; hidden files and what operating systems leave behind are skipped. The numbers of
    files found and skipped are logged: as a warning if any skipped file looks like data, as information otherwise.
    Names that differ only in Unicode form are the same class, named in the form NFC.

    Parameters
    ----------
    root
        Folder with ``train/CLASS/`` and ``test/CLASS/`` or ``val/CLASS/``; of these two, the first that shares classes
        with ``train`` is used.
    image_size
        Side in pixels, or (height, width), to which images are scaled and cropped; 224 by default.
    mean, std
        Three numbers each, in units of [0, 1]; ImageNet's by default. Published weights need those they were trained
        with: ImageNet's for DeiT, 0.5 and 0.5 for Google's ViTs (augreg).
    crop_pct, crop_mode, interpolation
        How images are scaled and cropped, as for :class:`minivit.data.preprocessing.Preprocessing`; by default the
        largest central part with the right proportions, scaled bicubically.
    preprocessing
        Path of the ``config.json`` (timm) or ``preprocessor_config.json`` (Hugging Face) that came with published
        weights, or of their folder; options given above take precedence over it.
    background
        Red, green and blue, 0 ... 255, shown where images are transparent; white by default.
    only_test
        Whether to leave out the training images, as an evaluation does: they need not be there, and aren't searched
        for. A ``root`` without ``train``, ``test`` and ``val`` may then hold the class folders itself: ``ROOT/CLASS/``.

    Returns
    -------
    Dataset
        Images uint8 (n, 3, H, W), decoded when they are indexed. Classes are sorted by name.

    Raises
    ------
    ValueError
        If the value of an option is not allowed.
    DataError
        If a folder is missing, a class has no image, the splits have different classes, or ``preprocessing`` cannot be
        read.
    """
    how = choose_preprocessing(preprocessing, background, image_size=image_size, mean=mean, std=std, crop_pct=crop_pct,
                               crop_mode=crop_mode, interpolation=interpolation)
    listed = list_splits(root, only_test=only_test)
    classes, options = tuple(next(iter(listed.values()))), options_of_images(how, background)
    *others, test = (Split(ImageFiles([path for name in classes for path in files[name]], **options),
                           torch.tensor([label for label, name in enumerate(classes) for _ in files[name]]))
                     for files in listed.values())
    return Dataset("imagefolder", *others or [test.subset([])], test, classes, how.mean, how.std)


def list_splits(root: Path, *, only_test: bool = False) -> dict[str, dict[str, list[Path]]]:
    """Return the image files of each class for the training and the held-out split, by name; log what was skipped.

    With ``only_test``, return the held-out split alone, which may be in ``root`` itself.

    Raises
    ------
    DataError
        As for :func:`load_imagefolder`.
    """
    places = {name: root / name for name in ("train", *HELD_OUT)}
    with os_errors(root):
        if only_test and not any(place.is_dir() for place in places.values()):
            places[HELD_OUT[0]] = root
        suffixes, passed = image_suffixes(), {name: PassedOver() for name in places}
        folders = {name: class_folders(place, suffixes, passed[name]) for name, place in places.items()}
        held_out = _choose_held_out(root, folders)
        wanted = [held_out] if only_test else ["train", held_out]
        for name in wanted:
            if not folders[name]:
                raise DataError(_missing(root, name))
        splits = {split: {name: find_images(folder, suffixes, passed[split])
                          for name, folder in folders[split].items()} for split in wanted}
    passed_over = PassedOver()
    for split in wanted:
        passed_over.update(passed[split])
    over = f"; skipped: {passed_over if passed_over.counts else 'nothing'}"
    for split, files in splits.items():
        if empty := [name for name, paths in files.items() if not paths]:
            raise DataError(f"{folders[split][empty[0]]} has no image that Pillow reads: add some or delete it{over}")
    if not only_test:
        _compare_classes(root, folders, held_out)
    found = " and ".join(f"{sum(map(len, files.values()))} {'training' if split == 'train' else 'test'} images in "
                         f"{places[split]}" for split, files in splits.items())
    classes = len(splits[held_out])
    unread = "".join(f"; {root / name} is not used" for name in HELD_OUT if name != held_out and folders[name])
    log.log(logging.WARNING if passed_over.lost else logging.INFO,
            f"imagefolder: found {found}, of {classes} class{'es' * (classes != 1)}{over}{unread}")
    _warn_of_one_class(folders[wanted[0]], splits[wanted[0]])
    return splits


def _choose_held_out(root: Path, folders: dict[str, dict[str, Path]]) -> str:
    """Return the first split that shares classes with the training set: ImageNet's test images, for one, have none."""
    there = [name for name in HELD_OUT if folders[name]]
    fitting = [name for name in there if folders[name].keys() & folders["train"].keys()]
    told = [name for name in there if (root / name / TINY_IMAGENET).is_file()]
    return (fitting + told + there + [HELD_OUT[0]])[0]


def _compare_classes(root: Path, folders: dict[str, dict[str, Path]], held_out: str) -> None:
    only = [sorted(folders[one].keys() - folders[other].keys())
            for one, other in (("train", held_out), (held_out, "train"))]
    if not any(only):
        return
    if not folders["train"].keys() & folders[held_out].keys() and (root / held_out / TINY_IMAGENET).is_file():
        raise DataError(f"{root / held_out} has no class folders: each line of {TINY_IMAGENET} there names an image "
                        f"and its class; move each image to {root / held_out}/CLASS/")
    what = " and ".join(f"{first_few(map(repr, names), 3)} {'is' if len(names) == 1 else 'are'} only in {root / split}"
                        for split, names in zip(("train", held_out), only, strict=True) if names)
    raise DataError(f"{root / 'train'} and {root / held_out} have different classes: {what}; give both the same "
                    "folders")


def _missing(root: Path, split: str) -> str:
    if root.is_file():
        return f"{root} is a file: name the folder that holds train/CLASS/*.jpg and test/CLASS/*.jpg"
    there = sorted(entry.name for entry in os.scandir(root) if not entry.name.startswith(".")) if root.is_dir() else []
    what = f"{root} holds {first_few(there, 5) or 'nothing'}" if root.is_dir() else f"{root} does not exist"
    return (f"{root / split} is missing or has no class folder; imagefolder expects {root}/train/CLASS/*.jpg and "
            f"{root}/test/CLASS/*.jpg, or val for test; {what}")


def _warn_of_one_class(folders: dict[str, Path], files: dict[str, list[Path]]) -> None:
    """Warn of a likely mistake: one folder too many above the classes makes them all one."""
    if len(files) == 1:
        (name, folder), (paths,) = *folders.items(), files.values()
        inner = sorted({path.relative_to(folder).parts[0] for path in paths if path.parent != folder})
        if len(inner) > 1 and all(path.parent != folder for path in paths):
            log.warning(f"imagefolder: {name!r} is the only class, and its images are in {len(inner)} folders "
                        f"({', '.join(inner[:3])}, ...); if these are the classes, move them to {folder.parent}")
