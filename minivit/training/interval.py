"""How often a run does something: every few epochs or seconds."""

import re

from minivit.options import is_whole

SECONDS = re.compile(r"(\d+(?:\.\d+)?) ?s")


class Interval:
    """Tells when an interval has passed.

    Parameters
    ----------
    name
        Name of the value in error messages.
    value
        A number of epochs, at least 1, or seconds as a string such as ``"90s"``.
    now
        Time at which the first interval begins, in seconds.

    Raises
    ------
    ValueError
        If the value is neither.
    """

    def __init__(self, name: str, value: int | str, now: float = 0.0):
        seconds = SECONDS.fullmatch(value) if isinstance(value, str) else None
        if not seconds and not (is_whole(value) and value >= 1):
            raise ValueError(f"{name}={value!r} must be a number of epochs, at least 1, or seconds, such as '90s'")
        self.epochs = None if seconds else value
        self.seconds = float(seconds[1]) if seconds else None
        self.last = now

    def is_over(self, epochs: int | None, now: float) -> bool:
        """Say whether the interval has passed, and if so start the next.

        ``epochs`` is the number of finished epochs, or None within an epoch.
        """
        if self.seconds is None:
            return epochs is not None and epochs % self.epochs == 0
        over = now - self.last >= self.seconds
        self.last = now if over else self.last
        return over
