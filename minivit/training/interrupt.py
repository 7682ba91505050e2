"""Stop a run cleanly: Ctrl-C, SIGTERM and SIGUSR1 are noted, and the run looks for them where it can be saved."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Sent by Ctrl-C, by a system that shuts down, and by a scheduler before the time is up.
SIGNALS = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])


class Stopped(Exception):  # noqa: N818, it is not an error
    """The user or the system asked the run to stop; ``signum`` is the signal that did."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@contextmanager
def note_signals() -> Iterator[Callable[[], int]]:
    """Provide a function that returns the number of the first signal that has arrived, or 0.

    A second Ctrl-C stops the program at once, as usual. Outside the main thread signals can't be caught, and the
    function returns 0.
    """
    came: list[int] = []

    def note(signum: int, frame: object) -> None:
        came.append(signum)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = {signum: signal.signal(signum, note) for signum in SIGNALS}
    except ValueError:
        before = {}
    try:
        yield lambda: came[0] if came else 0
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
