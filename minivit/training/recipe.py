"""Recipes: Python files that say what to run, and how the variants of a comparison differ.

A recipe defines ``get_config()``, which returns keyword arguments for :class:`minivit.training.Config`, by name or in
their groups. It may also define variants, by what differs in each::

    def get_config():
        return dict(model="vit_nano_patch4_32", epochs=20)

    def get_variants():
        return dict(plain={}, cb=dict(model_options=dict(context="cb")))
"""

import json
import re
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

from minivit.files import user_path
from minivit.options import did_you_mean
from minivit.training.config import Config, places

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")  # a variant's name is also its folder's


def load_config(path: str | Path) -> Config:
    """Read the configuration of a recipe or of a ``run.json``.

    Raises
    ------
    ValueError
        Naming the file and what is wrong with it.
    """
    path = user_path(path)
    with recipe_errors(path):
        return create_config(read_recipe(path))


def load_variants(path: str | Path, **overrides: Any) -> dict[str, Config]:
    """Read the variants of a recipe: see :func:`load_recipe`."""
    return load_recipe(path, **overrides)[1]


def load_recipe(path: str | Path, **overrides: Any) -> tuple[Config, dict[str, Config]]:
    """Read a recipe and its variants.

    Parameters
    ----------
    path
        A recipe, or a ``run.json``, which has no variants.
    **overrides
        Values that replace the recipe's, in all variants.

    Returns
    -------
    Config, dict
        The recipe's own configuration, and its variants by name, in the recipe's order; without ``get_variants()``
        there is a single variant, whose name is empty.

    Raises
    ------
    ValueError
        Naming the recipe, the variant and what is wrong with it; also if two variants are the same.
    """
    path = user_path(path)
    with recipe_errors(path):
        names = read_recipe(path)
        base = create_config(names)
        overridden = base.override(**overrides)
        if "get_variants" not in names:
            return overridden, {"": overridden}
        values = names["get_variants"]()
        if not isinstance(values, Mapping) or not values:
            raise TypeError(f"get_variants() must return a dict of variants, not {values!r}")
        variants = {name: create_variant(base, name, its, overrides) for name, its in values.items()}
        for one, other in combinations(variants, 2):
            if variants[one] == variants[other]:
                raise ValueError(f"variants {one!r} and {other!r} are the same run")
        return overridden, variants


def choose_variants(variants: dict[str, Config], names: Sequence[str] | None) -> dict[str, Config]:
    if names is None:
        return variants
    for name in names:
        if name not in variants:
            known = ", ".join(variants) if "" not in variants else "none, the recipe has no get_variants()"
            raise ValueError(f"variant {name!r} is not in the recipe{did_you_mean(name, variants)}; there are: {known}")
    return {name: config for name, config in variants.items() if name in names}


def create_variant(base: Config, name: Any, values: Any, overrides: Mapping[str, Any]) -> Config:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"variant {name!r} must be named in lower-case letters, digits, '_', '-' and '.', "
                         "with a letter or digit first")
    if not isinstance(values, Mapping):
        raise TypeError(f"variant {name!r} must be a dict of what differs, not {values!r}")
    try:
        if ("seed",) in (its := places(values)):
            raise ValueError(f"seed={its['seed',]!r} can't differ: a sweep runs all variants with the same seeds")
        return base.override(**values).override(**overrides)
    except (ValueError, TypeError) as error:
        raise ValueError(f"variant {name!r}: {error}") from error


def create_config(names: Mapping[str, Any]) -> Config:
    values = names["get_config"]()
    if not isinstance(values, Mapping):
        raise TypeError(f"get_config() must return a dict, not {type(values).__name__}")
    return Config.from_dict(values)


def read_recipe(path: Path) -> dict[str, Any]:
    """Run a recipe once, and return the names it defines, ``get_config`` among them."""
    if path.suffix == ".json":
        run = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(run, dict) or "config" not in run:
            raise TypeError("it has no config, as the run.json of a run has")
        values = run["config"]
        return {"get_config": lambda: values}
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)  # a recipe may import another from the same folder
    try:
        names = runpy.run_path(str(path))
    finally:
        sys.path.remove(folder)
    if "get_config" not in names:
        raise TypeError("it defines no get_config()")
    return names


@contextmanager
def recipe_errors(path: Path) -> Iterator[None]:
    """Report any error in a recipe with the recipe's name: a recipe is code and may raise anything."""
    if path.is_dir():
        raise ValueError(f"recipe {path} is a folder; name a recipe, or the run.json of a run's folder")
    if not path.is_file():
        others = ", ".join(sorted(p.name for p in path.parent.glob("*.py"))) if path.parent.is_dir() else ""
        raise ValueError(f"recipe {path} does not exist" + (f"; its folder has {others}" if others else ""))
    try:
        yield
    except (Exception, SystemExit) as error:
        reason = str(error) if isinstance(error, ValueError | TypeError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"recipe {path}: {reason}") from error
