"""Options: the one place where the names and types of keyword arguments are checked, and choices of layers are read."""

import difflib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar, get_origin

Record = TypeVar("Record")


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
    from pydantic import TypeAdapter, ValidationError

    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    allowed = [name for name in inspect.signature(target).parameters if name not in given]
    for name, value in options.items():
        if name not in allowed:
            raise ValueError(f"{name}={value!r} is no option of {owner}{did_you_mean(name, allowed)}; "
                             f"allowed: {', '.join(allowed) or 'none'}")
        try:
            TypeAdapter(hints[name]).validate_python(value, strict=True)
        except ValidationError as error:
            wanted = " or ".join(dict.fromkeys("a sequence, no string" if detail["type"] == "sequence_str"
                                               else detail["msg"].removeprefix("Input should be ")
                                               for detail in error.errors()))
            raise ValueError(f"{name}={value!r} is of the wrong type for {owner}: it should be {wanted}") from None


def from_json(record: type[Record], values: Mapping[str, Any], owner: str) -> Record:
    """Make a dataclass of values that went through JSON, which knows no tuples.

    Raises
    ------
    ValueError
        As :func:`check_options`; also if ``values`` is no mapping, or lacks a field that has no default.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{owner} must be a mapping of names to values, not {values!r}")
    values = dict(values)
    for each in fields(record):
        if get_origin(each.type) is tuple and isinstance(values.get(each.name), list):
            values[each.name] = tuple(values[each.name])
    check_options(record, values, owner)
    try:
        return record(**values)
    except TypeError as error:
        raise ValueError(f"{owner}: {error}") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint for a misspelt word, or nothing."""
    known = list(known)
    begin_so = [name for name in known if name.startswith(str(word))]  # nearer than what only looks alike
    close = difflib.get_close_matches(str(word), begin_so or known, n=1, cutoff=0.0 if begin_so else 0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def layer_indices(name: str, layers: str | Sequence[int], depth: int) -> frozenset[int]:
    """Read a choice of layers.

    Parameters
    ----------
    name
        The argument, as the caller knows it.
    layers
        ``upper`` (the deeper half; of an odd number, the larger part), ``all``, or indices in [0, depth).
    depth
        How many layers there are.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if layers == "all":
        return frozenset(range(depth))
    if layers == "upper":
        return frozenset(range(depth // 2, depth))
    is_choice = isinstance(layers, Iterable) and not isinstance(layers, str)
    if not is_choice or not all(isinstance(i, int) and 0 <= i < depth for i in layers):
        raise ValueError(f"{name}={layers!r} is neither 'upper', 'all' nor indices in [0, {depth})")
    return frozenset(layers)


def image_sides(image_size: int | Sequence[int], name: str = "image_size") -> tuple[int, int]:
    """Read the size of an image: one side of a square, or (height, width).

    Parameters
    ----------
    image_size
        Pixels, at least 1.
    name
        The argument, as the caller knows it.

    Raises
    ------
    ValueError
        If it is neither.
    """
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(f"{name}={image_size!r} must be one side in pixels, or (height, width), at least 1 each")
    return sides
