"""What remains of a notebook's code where PyTorch doesn't exist, as in a browser."""

import ast
import io
import pickle
import sys
import zlib
from contextlib import redirect_stdout
from numbers import Number
from typing import Any

import numpy as np

# The rooms of the package that need no torch.
ROOMS = ("__init__.py", "checks.py", "expect.py", "files.py", "options.py", "figures", "scratch")
MISSING = ("torch", "tracemalloc")  # from Python in a browser
# What gives names a value that nobody outside sees.
PRIVATE = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
MOST_BYTES = 300_000  # of a value that is stored, compressed


def is_missing(module: str) -> bool:
    """Say whether a module can't be imported in the browser."""
    first, _, rest = module.partition(".")
    return first in MISSING or first == "minivit" and bool(rest) and not any(
        rest.partition(".")[0] == room.removesuffix(".py") for room in ROOMS)


def root(node: ast.expr) -> str | None:
    """Return the name that an attribute or an item belongs to."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def bound(node: ast.AST) -> set[str]:
    """Return the names that a statement gives a value where it stands."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    return set() if isinstance(node, PRIVATE) else set().union(*map(bound, ast.iter_child_nodes(node)))


def read(node: ast.AST | list[ast.AST]) -> set[str]:
    """Return the names whose earlier values a node needs: not those that it gives a value first, as a loop does."""
    if isinstance(node, list):
        names, given = set(), set()
        for each in node:
            names |= read(each) - given
            given |= bound(each)
        return names
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.AugAssign):
        return read([node.value, node.target]) | bound(node.target)
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
        return read([part for part in [node.value, *getattr(node, "targets", [getattr(node, "target", None)])] if part])
    if isinstance(node, ast.For):
        return read([node.iter, node.target, *node.body]) | read(node.orelse) - bound(node.target)
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        parts = [part for loop in node.generators for part in (loop.iter, loop.target, *loop.ifs)]
        return read([*parts, *([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])])
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        body = node.body if isinstance(node.body, list) else [node.body]
        outside = [*node.args.defaults, *filter(None, node.args.kw_defaults), *getattr(node, "decorator_list", [])]
        own = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}.union(*map(bound, body))
        return read(outside) | read(body) - own
    return read(list(ast.iter_child_nodes(node)))


def changed(statement: ast.stmt) -> set[str | None]:
    """Return the names whose values a statement may change: items set, methods called."""
    return {root(node) for node in ast.walk(statement)
            if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store)
            or isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            for node in [node.func if isinstance(node, ast.Call) else node]}


def is_generator(value: ast.AST | None) -> bool:
    """Say whether an expression makes a generator of random numbers."""
    return isinstance(value, ast.Call) and ast.unparse(value.func).endswith("default_rng")


def importable(statement: ast.Import | ast.ImportFrom) -> list[ast.alias]:
    """Return what a statement imports that exists in the browser: of the package itself, its rooms are imported."""
    module = getattr(statement, "module", None)
    return [alias for alias in statement.names
            if not is_missing({None: alias.name, "minivit": f"minivit.{alias.name}"}.get(module, module))]


def is_plain(value: Any) -> bool:
    """Say whether a value is made of numbers, words and arrays alone, so that it means the same without PyTorch."""
    if type(value) in (list, tuple, set):  # not torch.Size, which is a tuple too
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(map(is_plain, [*value, *value.values()]))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufcU"
    return value is None or isinstance(value, (Number, str, np.generic))


def needed_later(sources: list[str]) -> list[set[str]]:
    """Return for each statement the names whose values what follows it needs."""
    statements = [statement for source in sources for statement in ast.parse(source).body]
    functions = [node for statement in statements for node in ast.walk(statement)
                 if isinstance(node, (ast.FunctionDef, ast.Lambda))]
    always = set().union(*map(read, functions))  # a function may be called anywhere
    needed, found = set(), []
    for statement in reversed(statements):
        found.append(needed | always)
        needed = needed - bound(statement) | read(statement)
    return found[::-1]


class WithoutTorch:
    """Comment out what can't run, cell by cell; a name that lost its value takes with it what uses it.

    Where a value that was lost is plain and is needed later, it is stored, and a line that reads it follows. For this,
    the cells are run here, with PyTorch. A generator of random numbers goes on, with other numbers than here.

    Parameters
    ----------
    sources
        The code of all cells, in order; without it, nothing is run, and no value is stored.
    """

    def __init__(self, sources: list[str] | None = None) -> None:
        self.lost: set[str] = set()
        self.kept: set[str] = set()
        self.values: dict[str, bytes] = {}
        self.names = None if sources is None else {"__name__": "__main__"}
        self.needed = iter(needed_later(sources or []))

    def runs(self, statement: ast.stmt) -> bool:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return len(importable(statement)) == len(statement.names)
        return not read(statement) & self.lost

    def run_here(self, statement: ast.stmt) -> None:
        if self.names is not None:
            with redirect_stdout(io.StringIO()):
                exec(compile(ast.Module([statement], []), "<cell>", "exec"), self.names)

    def store(self, names: set[str]) -> dict[str, str]:
        """Keep the values of those names that have a plain one; return under which key."""
        found = {}
        for name in sorted(names & set(self.names or ())):
            if is_plain(value := self.names[name]) and len(zlib.compress(packed := pickle.dumps(value))) <= MOST_BYTES:
                found[name] = f"{name} {len(self.values) + 1}"
                self.values[found[name]] = packed
        return found

    def cell(self, source: str) -> str:
        lines = source.splitlines()
        for statement in ast.parse(source).body:
            needed = next(self.needed, set())
            self.run_here(statement)
            if isinstance(statement, (ast.Import, ast.ImportFrom)) or is_generator(getattr(statement, "value", None)):
                self.kept |= bound(statement)
            if self.runs(statement):
                self.lost -= bound(statement)
                continue
            lost = bound(statement) | {name for name in changed(statement) if name} - self.kept
            more = []
            if isinstance(statement, ast.ImportFrom) and (rest := importable(statement)):
                part = ast.ImportFrom(statement.module, rest, statement.level)
                lost, more = lost - bound(part), [ast.unparse(part)]
            stored = self.store(lost & needed)
            self.lost = self.lost - set(stored) | lost - set(stored)
            first = min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", []))])
            for number in range(first - 1, statement.end_lineno):
                lines[number] = f"# {lines[number]}".rstrip()
            more += [f'{name} = stored["{key}"]  # as PyTorch gave it' for name, key in stored.items()]
            lines[statement.end_lineno - 1] = "\n".join([lines[statement.end_lineno - 1], *more])
        if self.names is not None and (plots := sys.modules.get("matplotlib.pyplot")):
            plots.close("all")  # as a notebook does after each cell
        return "\n".join(lines)
