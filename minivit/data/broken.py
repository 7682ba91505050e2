"""Broken images: a run skips and counts them, and stops if there are more than one in a hundred.

In training, a broken image is replaced with another, drawn from the key that also seeds the image's augmentation. So
batches keep their size, and the result doesn't depend on which process reads the image. In evaluation, a broken image
is left out and not counted.
"""

from collections.abc import Mapping, Sequence

from minivit.data.dataset import DataError

LIMIT = 0.01   # share of the images
SHOWN = 10


class Broken:
    """The broken images that have been found in a split so far.

    Parameters
    ----------
    total
        Number of images in the split.

    Attributes
    ----------
    errors
        Error message of each broken image, by its row.
    """

    def __init__(self, total: int):
        self.total, self.reported = total, 0
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
            If more than one in a hundred images of the split are broken; it lists the first of them.
        """
        self.errors.update(errors)
        if len(self) > LIMIT * self.total:
            raise DataError(f"{self}, more than {100 * LIMIT:g} %: {join(list(self.errors.values()))}")

    def unreported(self) -> list[str]:
        """Return the error messages that earlier calls have not returned."""
        new = list(self.errors.values())[self.reported:]
        self.reported += len(new)
        return new


def join(errors: Sequence[str]) -> str:
    """Join the first error messages in one line."""
    more = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
    return "; ".join([*errors[:SHOWN], *more])
