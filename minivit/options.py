"""Options: the one place that checks names, types and ranges of keyword arguments and reads choices of layers."""

import difflib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from math import inf
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_origin

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Record = TypeVar("Record")
OUT_OF_RANGE = {"finite_number", "greater_than", "greater_than_equal", "less_than", "less_than_equal", "too_short"}
# In place of pydantic's words.
INSTEAD = {"sequence_str": "a sequence, not a string", "missing": "longer", "too_long": "shorter"}

ROUNDED_SUM = 0.01  # how far from 1 weights may sum up to: in half precision, rounding moves the sum by up to 0.004


def check_options(target: Callable, options: Mapping[str, Any], owner: str, *, given: Iterable[str] = ()) -> None:
    """Check that ``options`` match the parameters of ``target`` in name and annotated type.

    Parameters
    ----------
    target
        A function or class. A parameter without annotation takes any value, and ``**options`` any name.
    options
        Keyword arguments for ``target``.
    owner
        What the options are for, as error messages should call it.
    given
        Parameters that the caller fills in, which are therefore not options.

    Raises
    ------
    ValueError
        Naming the option, its value and what is allowed.
    """
    from pydantic import TypeAdapter, ValidationError
    from pydantic.fields import FieldInfo

    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)
    parameters = inspect.signature(target).parameters.values()
    allowed = [each.name for each in parameters if each.name not in given and each.kind is not each.VAR_KEYWORD]
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    for name, value in options.items():
        if takes_all and name not in (*allowed, *given):
            continue
        if name not in allowed:
            raise ValueError(f"{name}={value!r} is not an option of {owner}{did_you_mean(name, allowed)}; "
                             f"allowed: {', '.join(allowed) or 'none'}")
        hint = hints.get(name, Any)
        try:
            TypeAdapter(hint).validate_python(value, strict=True)
        except ValidationError as error:
            field = FieldInfo.from_annotation(hint)
            raise ValueError(explain(error.errors(), name, value, field, owner)) from None


def explain(errors: Sequence[Mapping[str, Any]], name: str, value: Any, field: "FieldInfo", owner: str) -> str:
    """Say in one line what pydantic has against a value: its type, its range, or what a validator said."""
    if said := [error["ctx"]["error"] for error in errors if error["type"] == "value_error"]:
        return str(said[0])
    if all(error["type"] in OUT_OF_RANGE for error in errors):
        finite = ["a finite number"] if errors[0]["type"] == "finite_number" else []
        return f"{name}={value!r} must be {', '.join(filter(None, [*finite, range_in_words(field)]))}"
    wanted = dict.fromkeys(INSTEAD.get(error["type"], error["msg"].removeprefix("Input should be "))
                           for error in errors)
    return f"{name}={value!r} has the wrong type for {owner}: it should be {' or '.join(wanted)}"


def range_in_words(field: "FieldInfo") -> str:
    """Say what numbers a field with pydantic's constraints admits, such as ``in [0, 1), or None``; of any, nothing."""
    bounds = {name: getattr(each, name) for each in field.metadata for name in ("ge", "gt", "le", "lt", "min_length")
              if hasattr(each, name)}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    words = ["one or more"] if "min_length" in bounds else []
    if low is not None and high is not None:
        words.append(f"in {'[' if 'ge' in bounds else '('}{low:g}, {high:g}{']' if 'le' in bounds else ')'}")
    elif low is not None:
        words.append(f"{'at least' if 'ge' in bounds else 'larger than'} {low:g}")
    elif high is not None:
        words.append(f"{'at most' if 'le' in bounds else 'less than'} {high:g}")
    parts = typing.get_args(field.annotation)
    words += dict.fromkeys(f"{inner} each" for part in parts if get_origin(part) is Annotated
                           and (inner := range_in_words(type(field).from_annotation(part))))
    return ", ".join(words + (["or None"] if words and NoneType in parts else []))


def type_in_words(hint: Any) -> str:
    """Say in words what a type is: ``int or None``, ``'adamw' or 'muon'``, ``tuple``."""
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    parts = typing.get_args(hint) if isinstance(hint, UnionType) else [hint]
    return " or ".join("None" if part is NoneType else (get_origin(part) or part).__name__ for part in parts)


def from_json(record: type[Record], values: Mapping[str, Any], owner: str) -> Record:
    """Create a dataclass from values that went through JSON, which turns tuples into lists.

    Raises
    ------
    ValueError
        As in :func:`check_options`; also if ``values`` is not a mapping, or lacks a field that has no default.
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
    """Return a hint for a misspelt word, or an empty string."""
    known = list(known)
    completions = [name for name in known if name.startswith(str(word))]  # better than a name that only looks alike
    close = difflib.get_close_matches(str(word), completions or known, n=1, cutoff=0.0 if completions else 0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def first_few(items: Iterable[Any], most: int) -> str:
    """List the first items, and say how many more there are."""
    words = list(map(str, items))
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def layer_indices(name: str, layers: str | Iterable[int], depth: int) -> frozenset[int]:
    """Return the indices of the chosen layers.

    Parameters
    ----------
    name
        Name of the caller's argument, for the error.
    layers
        ``upper`` (the deeper half, rounded up if ``depth`` is odd), ``all``, or indices in [0, depth).
    depth
        How many layers there are.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(layers, str):
        chosen = {"all": range(depth), "upper": range(depth // 2, depth)}.get(layers)
    else:
        chosen = tuple(layers) if isinstance(layers, Iterable) else None  # an iterator can be read only once
    if chosen is None or not all(is_whole(i) and 0 <= i < depth for i in chosen):
        raise ValueError(f"{name}={layers!r} is neither 'upper', 'all' nor indices in [0, {depth})")
    return frozenset(chosen)


def check_at_least(least: int, **counts: Any) -> None:
    """Check that each argument is a whole number of at least ``least``.

    Raises
    ------
    ValueError
        Naming the first that is not; 2.0 and True don't count as whole numbers.
    """
    for name, count in counts.items():
        if not is_whole(count) or count < least:
            what = "" if is_whole(count) else "a whole number, "
            raise ValueError(f"{name}={count!r} must be {what}at least {least}")


def check_choice(known: Iterable[str], **choices: Any) -> None:
    """Check that each argument is one of the ``known`` words.

    Raises
    ------
    ValueError
        Naming the first that is not, and the known words.
    """
    known = list(known)
    for name, choice in choices.items():
        if choice not in known:
            raise ValueError(f"{name}={choice!r} is not known{did_you_mean(choice, known)}; it must be one of "
                             f"{', '.join(known)}")


def check_rate(**rates: Any) -> None:
    """Check that each argument is a rate in [0, 1).

    Raises
    ------
    ValueError
        Naming the first that is not.
    """
    for name, rate in rates.items():
        if not is_number(rate) or not 0 <= rate < 1:
            raise ValueError(f"{name}={rate!r} is not a rate in [0, 1)")


def check_between(low: float, high: float, **values: Any) -> None:
    """Check that each argument is a finite number in [low, high]; ``high`` may be infinite.

    Raises
    ------
    ValueError
        Naming the first that is not.
    """
    for name, value in values.items():
        if not is_number(value) or not low <= value <= high or value == inf:
            what = f"in [{low:g}, {high:g}]" if high < inf else f"a finite number of at least {low:g}"
            raise ValueError(f"{name}={value!r} must be {what}")


def check_positive(**values: Any) -> None:
    """Check that each argument is a finite number larger than 0.

    Raises
    ------
    ValueError
        Naming the first that is not.
    """
    for name, value in values.items():
        if not is_number(value) or not 0 < value < inf:
            raise ValueError(f"{name}={value!r} must be a finite number larger than 0")


def scaled_size(size: int, name: str, ratio: float) -> int:
    """Return ``ratio * size`` rounded to a whole number, halves to even, such as the hidden channels of an MLP.

    Raises
    ------
    ValueError
        Naming the ratio, ``name``, if it is not a positive number or the result is 0.
    """
    check_positive(**{name: ratio})
    scaled = round(size * ratio)
    if scaled < 1:
        raise ValueError(f"{name}={ratio!r} leaves nothing of {size}: {size * ratio:g} is rounded to 0")
    return scaled


def is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, or an array or tensor that holds a single one."""
    return isinstance(value, Real) and not isinstance(value, bool) or getattr(value, "ndim", None) == 0


def image_sides(image_size: int | Sequence[int], name: str = "image_size") -> tuple[int, int]:
    """Return the height and width of an image, or of a grid, given as the side of a square or as (height, width).

    Parameters
    ----------
    image_size
        Pixels, at least 1.
    name
        Name of the caller's argument, for the error.

    Raises
    ------
    ValueError
        If it is neither.
    """
    is_pair = isinstance(image_size, Sequence) and not isinstance(image_size, str) and len(image_size) == 2
    sides = tuple(image_size) if is_pair else (image_size, image_size)
    if not all(is_whole(side) and side >= 1 for side in sides):
        raise ValueError(f"{name}={image_size!r} must be one side in pixels, or (height, width), at least 1 each")
    return int(sides[0]), int(sides[1])


def patch_grid(image_size: int | Sequence[int], patch_size: int) -> tuple[int, int]:
    """Return the numbers of rows and columns of patches that cover an image.

    Raises
    ------
    ValueError
        If a size is not valid, or the patch doesn't divide the image.
    """
    height, width = image_sides(image_size)
    check_at_least(1, patch_size=patch_size)
    if height % patch_size or width % patch_size:
        raise ValueError(f"patch_size={patch_size} does not divide image_size={image_size!r}; "
                         "each side of the image must be a multiple of the patch's")
    return height // patch_size, width // patch_size
