"""Processes that decode images, so that Python's lock doesn't limit the number of cores in use.

``MINIVIT_READERS`` is their number, for each process that trains. By default it is 0, and threads decode: they need no
time to start, and less memory and processor time. But each image holds Python's lock for about a quarter of a
millisecond, so threads read at most some 3,000 images per second, however many there are.

With readers, each thread sends a place and a view to a process, and receives the pixels. The input of a reader ends
when the process that started it does, even if that was killed, and then the reader ends too.
"""

import atexit
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from torch import Tensor

from minivit.data.crops import View
from minivit.data.dataset import DataError

if TYPE_CHECKING:
    from minivit.data.stored import StoredImages

PIPE_BYTES = 1 << 18   # more than an image of 224 x 224, so that it is written without waiting
# These signals are for the process that trains, which saves its state and then ends.
SERVE = ("import signal; [signal.signal(getattr(signal, name), signal.SIG_IGN) for name in "
         "('SIGINT', 'SIGTERM', 'SIGUSR1') if hasattr(signal, name)]; from minivit.data.readers import serve; serve()")


class Reader:
    """A process that decodes one image at a time."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        pipesize=PIPE_BYTES,
                                        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
        self.images: StoredImages | None = None

    def fill(self, pixels: Tensor, images: "StoredImages", place: Any, view: View) -> bool:
        """Let the process decode an image into ``pixels``; return False if it failed.

        Raises
        ------
        DataError
            If the process has ended.
        """
        new = None if images is self.images else images
        try:
            pickle.dump((new, place, view), self.process.stdin)
            self.process.stdin.flush()
            self.images = images
            done = self.process.stdout.read(1)
            target = memoryview(pixels.numpy()).cast("B")
            if done == b"\0" or done == b"\1" and self.process.stdout.readinto(target) == len(target):
                return done == b"\1"
        except BrokenPipeError:
            pass
        raise DataError(f"a process that decodes images ended with status {self.process.wait()}; if memory is short, "
                        "choose a smaller MINIVIT_READERS")

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):   # it may have ended already
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Readers:
    """Several readers; each is used by one thread at a time."""

    def __init__(self, count: int):
        self.all = [Reader() for _ in range(count)]
        self.free: SimpleQueue[Reader] = SimpleQueue()
        for reader in self.all:
            self.free.put(reader)
        atexit.register(self.close)

    @contextmanager
    def one(self) -> Iterator[Reader]:
        """Use a reader inside the ``with`` block, after waiting for one that is free."""
        reader = self.free.get()
        try:
            yield reader
        finally:
            self.free.put(reader)

    def close(self) -> None:
        """End the processes."""
        for reader in self.all:
            reader.close()


def number_of_readers() -> int:
    """Return ``MINIVIT_READERS``, or 0.

    Raises
    ------
    ValueError
        If it is not a whole number.
    """
    count = os.environ.get("MINIVIT_READERS") or "0"
    if not count.isdecimal():
        raise ValueError(f"MINIVIT_READERS={count!r} must be a number of processes, or not set at all")
    return int(count)


@lru_cache
def start_readers(count: int) -> Readers | None:
    """Start this number of readers at the first call; return None for 0."""
    return Readers(count) if count else None


def serve() -> None:
    """Decode the images requested on standard input, until it ends."""
    import torch

    from minivit.data.decode import ignore_warnings

    torch.set_num_threads(1)
    ignore_warnings()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    images: StoredImages | None = None
    while True:
        try:
            new, place, view = pickle.load(requests)
        except EOFError:
            return
        images = images if new is None else new
        try:
            pixels = images.read(place, view)
        except Exception:   # the other process tries to read the image itself, and gets the error
            answers.write(b"\0")
        else:
            answers.write(b"\1")
            answers.write(pixels.numpy().data)
        answers.flush()
