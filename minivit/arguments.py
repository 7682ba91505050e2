"""Words of the command line: from a field of the configuration to an option, and from a word to a value."""

import argparse
import ast
import contextlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from minivit.files import read_names
from minivit.training.config import FIELDS, GROUPS, describe


def add_flag(section: argparse._ArgumentGroup, name: str, field: FieldInfo, about: str | None = None) -> None:
    """Add an option for a field of the configuration, described as there unless ``about`` says something else."""
    is_options, kind = name.endswith("_options"), get_origin(field.annotation)
    metavar = "KEY=VALUE" if is_options else getattr(field.annotation, "__name__", "value").upper()
    section.add_argument("--" + name.replace("_", "-"), dest=name, default=argparse.SUPPRESS,
                         nargs="+" if is_options or kind is tuple else None,
                         action="extend" if is_options else "store",
                         metavar=f"{{{','.join(get_args(field.annotation))}}}" if kind is Literal else metavar,
                         help=(about or describe(name)).replace("%", "%%"))


def read_classes(words: list[str] | None) -> list[str] | None:
    """Return the given classes, or the lines of the file if a single word names one."""
    if words is None or len(words) != 1 or not Path(words[0]).expanduser().is_file():
        return words
    return read_names(words[0])


def read_overrides(options: argparse.Namespace, fields: Collection[str] = FIELDS) -> dict[str, Any]:
    """Return the values that replace those of a recipe or a run, given as flags or as ``KEY=VALUE``."""
    flags = {name: text for name, text in vars(options).items() if name in fields}
    values = {name: read_value(name, text) for name, text in flags.items() if not name.endswith("_options")}
    pairs = [("", word) for word in getattr(options, "settings", ())]
    pairs += [(f"{name}.", word) for name, words in flags.items() if name.endswith("_options") for word in words]
    for begin, word in pairs:
        key, equals, text = word.partition("=")
        if not key or not equals:
            raise ValueError(f"{word!r} must be KEY=VALUE, such as {begin or 'model_options.'}context=cb")
        # A flag that takes several words also takes KEY=VALUE that follow it but aren't meant for it.
        key = key if key.partition(".")[0] in GROUPS else begin + key
        if key in values:
            raise ValueError(f"{key} is given twice; leave one out")
        values[key] = read_value(key, text)
    return values


def read_value(name: str, text: str | list[str]) -> Any:
    """Parse a value as JSON, or else as a Python literal, or else return the text itself."""
    if isinstance(text, list):
        return tuple(read_value(name, word) for word in text)
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError):
            return read(text)
    return text
