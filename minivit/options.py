"""Options by name: the one place where the names and types of keyword arguments are checked."""

import difflib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError


def check_options(target: Callable, options: Mapping[str, Any], owner: str, *, given: Iterable[str] = ()) -> None:
    """Check that ``target(**options)`` has the names and the types it is annotated with.

    Parameters
    ----------
    target
        A function or class with annotated parameters.
    options
        Keyword arguments for it.
    owner
        What an error calls the thing the options are for.
    given
        Parameters that the caller fills in, so that they are no options.

    Raises
    ------
    ValueError
        Naming the option, its value and what is allowed.
    """
    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    allowed = [name for name in inspect.signature(target).parameters if name not in given]
    for name, value in options.items():
        if name not in allowed:
            raise ValueError(f"{name}={value!r} is no option of {owner}{did_you_mean(name, allowed)}; "
                             f"allowed: {', '.join(allowed) or 'none'}")
        try:
            TypeAdapter(hints[name]).validate_python(value, strict=True)
        except ValidationError as error:
            wanted = " or ".join(dict.fromkeys(detail["msg"].removeprefix("Input should be ")
                                               for detail in error.errors()))
            raise ValueError(f"{name}={value!r} is of the wrong type for {owner}: it should be {wanted}") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint for a misspelt word, or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
