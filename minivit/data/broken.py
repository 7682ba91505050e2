"""Images that turn out to be broken: a run goes on without them, up to one in a hundred, and names each.

In training, a broken image is replaced by another, drawn from the key of its augmentation: batches keep their size,
and it doesn't matter which process reads it. In evaluation it is left out, and counted nowhere.
"""

from collections.abc import Mapping, Sequence

from minivit.data.dataset import DataError

MOST = 0.01    # share of the images
SHOWN = 10


class Broken:
    """The images of a split that couldn't be read, and why.

    Parameters
    ----------
    total
        Images in the split.

    Attributes
    ----------
    reasons
        Error message of each, by its row.
    """

    def __init__(self, total: int):
        self.total, self.told = total, 0
        self.reasons: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.reasons)

    def __contains__(self, row: int) -> bool:
        return row in self.reasons

    def __str__(self) -> str:
        return f"{len(self)} of {self.total} images can't be read"

    def add(self, reasons: Mapping[int, str]) -> None:
        """Take note of broken images; several threads may do so at once.

        Raises
        ------
        DataError
            If more than one in a hundred images of the split are broken.
        """
        self.reasons.update(reasons)
        if len(self) > MOST * self.total:
            raise DataError(f"{self}, more than {100 * MOST:g} %: {join(list(self.reasons.values()))}")

    def news(self) -> list[str]:
        """Return the error messages that this hasn't returned before."""
        new = list(self.reasons.values())[self.told:]
        self.told += len(new)
        return new


def join(messages: Sequence[str]) -> str:
    more = [f"and {len(messages) - SHOWN} more"] if len(messages) > SHOWN else []
    return "; ".join([*messages[:SHOWN], *more])
