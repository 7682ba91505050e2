"""ImageNet's reassessed labels (ReaL): every class that is right for a validation image, of which there may be none."""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from minivit.data.dataset import DataError, Split, os_errors
from minivit.files import user_path

NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})(?!\d)")

log = logging.getLogger(__name__)


def relabel(split: Split, path: str | Path, num_classes: int, chosen: Sequence[int]) -> Split:
    """Give ImageNet's validation images their reassessed labels, and leave out the images that have none.

    Parameters
    ----------
    split
        Images whose names contain their number: ``ILSVRC2012_val_00000001.JPEG``, ...
    path
        ``real.json``: for each image, in the order of the numbers, a list of the classes that are right, as indices in
        the order of the model's logits.
    num_classes
        Number of these classes.
    chosen
        Indices of the classes to keep, in this order.

    Returns
    -------
    Split
        Labels are bool, (n, len(chosen)).

    Raises
    ------
    DataError
        Naming the file, if it can't be read or is something else, or doesn't fit the images or the classes.

    References
    ----------
    Beyer et al., "Are we done with ImageNet?", 2020; ``real.json`` is in their repository, google-research/reassessed-
    imagenet.
    """
    lists = read_lists(user_path(path, "labels"), num_classes)
    labels = torch.zeros(len(split), num_classes, dtype=torch.bool)
    for row, name in enumerate(getattr(split.images, "names", ["no name"])):
        match = NUMBERED.search(name)
        if not match or not 1 <= int(match[1]) <= len(lists):
            raise DataError(f"{path} is for the images ILSVRC2012_val_00000001 to ILSVRC2012_val_{len(lists):08}, not "
                            f"for {name!r}")
        labels[row, lists[int(match[1]) - 1]] = True
    labels = labels[:, list(chosen)]
    rows = labels.any(1).nonzero()[:, 0]
    if not len(rows):
        raise DataError(f"{path} gives none of the {len(split)} images one of the classes")
    log.warning("%d of %d images are left out: %s gives them none of the classes", len(split) - len(rows), len(split),
                path)
    return replace(split.subset(rows), labels=labels[rows])


def read_lists(path: Path, num_classes: int) -> list[list[int]]:
    """Read ``real.json``."""
    try:
        with os_errors(path, way_out="it is real.json, in the repository google-research/reassessed-imagenet"):
            lists = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error})") from None
    if not isinstance(lists, list) or not all(isinstance(its, list) and all(isinstance(k, int) for k in its)
                                              for its in lists):
        raise DataError(f"{path} is not a list with a list of class indices for each image")
    if outside := [k for its in lists for k in its if not 0 <= k < num_classes]:
        raise DataError(f"{path} has class {outside[0]}, but the model has {num_classes} classes, counted from 0")
    return lists
