"""Stopping in an orderly way: Ctrl-C and SIGTERM wait until the step is finished."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(Exception):  # noqa: N818, it is no error
    """The user or the system asked the run to stop; ``signum`` is the signal it came by."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], None]]:
    """Give a function to call where it is safe to stop: it raises :class:`Stopped` once a signal has come.

    A second Ctrl-C stops at once, as Ctrl-C does without us. Outside the main thread no signal can be caught, and the
    function does nothing.
    """
    came: list[int] = []

    def note(signum: int, frame: object) -> None:
        came.append(signum)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop_if_asked() -> None:
        if came:
            raise Stopped(came[0])

    try:
        before = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        before = {}
    try:
        yield stop_if_asked
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
