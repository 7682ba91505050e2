"""Stop a run cleanly: Ctrl-C, SIGTERM and SIGUSR1 take effect once the current step is finished."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minivit.training import parallel

# Sent by Ctrl-C, by a system that shuts down, and by a scheduler before the time is up.
SIGNALS = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])


class Stopped(Exception):  # noqa: N818, it is not an error
    """The user or the system asked the run to stop; ``signum`` is the signal that did."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], None]]:
    """Provide a function to call where it is safe to stop: it raises :class:`Stopped` once a signal has arrived.

    A second Ctrl-C stops the program at once, as usual. Outside the main thread signals can't be caught, and the
    function has no effect.
    """
    came: list[int] = []

    def note(signum: int, frame: object) -> None:
        came.append(signum)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop_if_asked() -> None:
        signum = parallel.largest(came[0] if came else 0)  # all stop, and after the same step
        if signum:
            raise Stopped(signum)

    try:
        before = {signum: signal.signal(signum, note) for signum in SIGNALS}
    except ValueError:
        before = {}
    try:
        yield stop_if_asked
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
