"""Broken images: a run skips and counts them, and stops if there are more than one in a hundred.

In training, a broken image is replaced with another, drawn from the key that also seeds the image's augmentation. So
batches keep their size, and the result doesn't depend on which process reads the image. In evaluation, a broken image
is left out and not counted.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from minivit.data.dataset import DataError, Split

LIMIT = 0.01   # share of the images
SHOWN = 10
BATCH = 500    # images that are looked at together


class Broken:
    """The broken images that have been found in a split so far.

    Parameters
    ----------
    total
        Number of images in the split.
    limit
        Share of them that may be broken.

    Attributes
    ----------
    errors
        Error message of each broken image, by its row.
    """

    def __init__(self, total: int, limit: float = LIMIT):
        self.total, self.limit, self.reported = total, limit, 0
        self.errors: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.errors)

    def __contains__(self, row: int) -> bool:
        return row in self.errors

    def __str__(self) -> str:
        return f"{len(self)} of {self.total} images cannot be read"

    def add(self, errors: Mapping[int, str]) -> None:
        """Add broken images; safe to call from several threads.

        Raises
        ------
        DataError
            If more images are broken than the limit allows; it lists the first of them.
        """
        self.errors.update(errors)
        if len(self) > self.limit * self.total:
            raise DataError(f"{self}, more than {100 * self.limit:g} % (`python -m minivit data NAME --check` lists "
                            f"all): {join(list(self.errors.values()))}")

    def unreported(self) -> list[str]:
        """Return the error messages that earlier calls have not returned."""
        new = list(self.errors.values())[self.reported:]
        self.reported += len(new)
        return new


def find_broken(split: Split) -> Broken:
    """Read all images of a split, and return the broken ones, however many there are."""
    broken = Broken(len(split), limit=1)
    if not isinstance(split.images, Tensor):
        images = copy.copy(split.images)
        images.broken = broken
        for rows in tqdm(torch.arange(len(split)).split(BATCH), unit=" batches", disable=None):
            images.take(rows)
    return broken


def join(errors: Sequence[str]) -> str:
    """Join the first error messages in one line."""
    more = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
    return "; ".join([*errors[:SHOWN], *more])
