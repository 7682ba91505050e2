"""How often something is done in a run: every so many epochs, or seconds."""

import re

from minivit.options import is_whole

SECONDS = re.compile(r"(\d+(?:\.\d+)?) ?s")


class Interval:
    """Tells whether it's time again.

    Parameters
    ----------
    name, value
        What the value is called, and it: epochs as a whole number, at least 1, or seconds in words, such as ``"90s"``.
    now
        The clock's seconds at the beginning.

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
        """Say whether it's time after so many epochs, or inside one, for which ``epochs`` is None; and begin anew."""
        if self.seconds is None:
            return epochs is not None and epochs % self.epochs == 0
        over = now - self.last >= self.seconds
        self.last = now if over else self.last
        return over
