"""Stop a run cleanly: Ctrl-C, SIGTERM and SIGUSR1 are noted, and the run looks for them where it can be saved."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Sent by Ctrl-C, by a system that shuts down, and by a scheduler before the time is up.
SIGNALS = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])

ONE_REQUEST_S = 1.0  # timeout, and other programs that start one, pass a signal on to a process and to its group


class Stopped(Exception):  # noqa: N818, it is not an error
    """The user or the system asked the run to stop; ``signum`` is the signal that did."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@contextmanager
def note_signals() -> Iterator[Callable[[], int]]:
    """Provide a function that returns the number of the first signal that has arrived, or 0.

    A second Ctrl-C stops the program at once, as usual, unless it comes within :data:`ONE_REQUEST_S` of the first.
    Outside the main thread signals can't be caught, and the function returns 0.
    """
    came: list[tuple[int, float]] = []

    def note(signum: int, frame: object) -> None:
        now = time.monotonic()
        if came and signum == signal.SIGINT and now - came[0][1] > ONE_REQUEST_S:
            raise KeyboardInterrupt
        came.append((signum, now))

    try:
        before = {signum: signal.signal(signum, note) for signum in SIGNALS}
    except ValueError:
        before = {}
    try:
        yield lambda: came[0][0] if came else 0
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
