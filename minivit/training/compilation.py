"""torch.compile, where the machine has what it takes."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def compiling(mode: str) -> Iterator[None]:
    """Say in one line what a machine lacks to compile: mostly a C++ compiler, or a place for what it writes.

    Raises
    ------
    ValueError
        Naming the option ``compile`` and the reason.
    """
    from torch._dynamo.exc import ShortenTraceback  # what all failures of a back end are; heavy, and rarely needed

    try:
        yield
    except (ShortenTraceback, OSError) as error:
        cause = getattr(error, "inner_exception", error)
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise ValueError(f"compile={mode!r} is not available here: {reason}; try compile=none") from error
