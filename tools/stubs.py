"""Derive from an exercise's solution what a learner finds in its place.

A solution is between ``### BEGIN SOLUTION`` and ``### END SOLUTION``; without these markers the whole cell is one. In
its place stands what the code below it needs: each name that it assigned as ``name = ...``, and each function and class
with its signature and docstring. Then no code that a learner sees ends in a NameError, and a check can say what is
still to do.
"""

import ast
import re
from collections.abc import Iterator
from itertools import takewhile
from textwrap import dedent

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
MARKER = re.compile(rf"^[ \t]*(?:{BEGIN}|{END})[ \t]*(?:\n|$)", re.MULTILINE)
OPEN = "...  # your code"

# The order in which these evaluate their parts, where it isn't the order of the fields.
ORDER = {
    ast.Assign: ("value", "targets"),
    ast.AnnAssign: ("annotation", "value", "target"),
    ast.AugAssign: ("value", "target"),
    ast.NamedExpr: ("value", "target"),
    ast.For: ("iter", "target", "body", "orelse"),
}
MAGIC = re.compile(r"^(\s*)(?=[%!]+\w)", re.MULTILINE)  # `%pip`, which isn't Python
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class MarkerError(ValueError):
    """A solution that lacks its beginning or its end, or code that isn't Python."""


def without_solutions(source: str, wanted: set[str] = frozenset()) -> str:
    """Return a cell's code with something to fill in instead of each solution.

    Parameters
    ----------
    source
        The code of a cell tagged ``solution``.
    wanted
        Names that the cells below need.

    Raises
    ------
    MarkerError
        Naming the line, if the markers don't form pairs.
    """
    lines, parts = [], _parts(source)
    while parts:  # from below, as what is left there says which names are needed
        indent, part = parts.pop()
        if indent is not None:
            names = wanted_before(_below(lines, indent), set() if indent else wanted) - _stored(parts, indent)
            part = _indented(_stub("\n".join(part), names) or ([OPEN] if indent else ["# your code"]), indent)
        lines = part + lines
    return "\n".join(lines)


def wanted_before(source: str, wanted: set[str]) -> set[str]:
    """Return the names that must be there before some code runs, if those in ``wanted`` must be there after it."""
    loaded, stored = set(), set()
    for name, is_stored in uses(parse(source)):
        if is_stored:
            stored.add(name)
        elif name not in stored:
            loaded.add(name)
    return loaded | (wanted - stored)


def uses(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield the names of its surroundings that code loads (False) and stores (True), in the order of evaluation."""
    if isinstance(node, ast.Name):
        yield node.id, not isinstance(node.ctx, ast.Load)
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).split(".")[0], True
    elif isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda, *COMPREHENSIONS)):
        inside = [use for child in ast.iter_child_nodes(node) for use in uses(child)]
        own = {name for name, is_stored in inside if is_stored} | {
            part.arg for child in ast.iter_child_nodes(node) if isinstance(child, ast.arguments)
            for part in ast.walk(child) if isinstance(part, ast.arg)}
        yield from ((name, False) for name, is_stored in inside if not is_stored and name not in own)
        if hasattr(node, "name"):
            yield node.name, True
    else:
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, False
        for field in ORDER.get(type(node), node._fields):
            parts = getattr(node, field, None)
            for part in parts if isinstance(parts, list) else [parts]:
                if isinstance(part, ast.AST):
                    yield from uses(part)


def parse(source: str) -> ast.Module:
    """Parse code of a cell, in which IPython's magics count for nothing."""
    try:
        return ast.parse(MAGIC.sub(r"\1pass  # ", source))
    except SyntaxError as error:
        raise MarkerError(f"line {error.lineno}: {error.msg}") from None


def without_markers(source: str) -> str:
    """Return code with its solutions, without the lines that mark them."""
    return MARKER.sub("", source).removesuffix("\n")


def _parts(source: str) -> list[tuple[str | None, list[str]]]:
    """Split code into what is to stay, with None, and solutions, with their indentation and without it."""
    if BEGIN not in source and END not in source:
        return [("", source.splitlines())]
    parts, indent = [(None, [])], None
    for number, line in enumerate(source.splitlines(), start=1):
        marker, inside = line.strip(), indent is not None
        if marker == (BEGIN if inside else END):
            raise MarkerError(f"line {number}: {marker!r} {'inside a solution' if inside else 'without a beginning'}")
        if marker == BEGIN:
            indent = re.match(r"\s*", line).group()
            parts.append((indent, []))
        elif marker == END:
            indent = None
            parts.append((None, []))
        else:
            parts[-1][1].append(line.removeprefix(indent or ""))
    if indent is not None:
        raise MarkerError(f"{BEGIN!r} without {END!r}")
    return parts


def _below(lines: list[str], indent: str) -> str:
    """Return the code from here to the end of the function, or of the cell if nothing is indented."""
    return dedent("\n".join(takewhile(lambda line: not line.strip() or line.startswith(indent), lines)))


def _stored(above: list[tuple[str | None, list[str]]], indent: str) -> set[str]:
    """Return the names that have a value already where a solution begins: in its function, or in its cell."""
    source = "\n".join(line for its, part in above for line in (part if its is None else [f"{its}pass"]))
    body = parse(f"{source}\n{indent}pass").body
    nodes = ast.walk(body[-1]) if indent else body
    return {node.id for part in nodes for node in ast.walk(part)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _stub(solution: str, wanted: set[str]) -> list[str]:
    """Return the lines that give a value to each wanted name that the solution gives one."""
    lines, open_names = [], set()
    for statement in parse(solution).body:
        names = dict.fromkeys(name for name, is_stored in uses(statement) if is_stored and name in wanted)
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom)):
            if names:
                lines += ast.unparse(_outline(statement)).splitlines()
            continue
        lines += [f"{name} = {OPEN}" for name in names if name not in open_names]
        open_names |= names.keys()
    return [re.sub(r"^( +)\.\.\.$", rf"\1{OPEN}", line) for line in lines]


def _outline(statement: ast.stmt) -> ast.stmt:
    """Return a function or class without its code."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        has_docstring = ast.get_docstring(statement, clean=False) is not None
        parts = [_outline(part) for part in statement.body if isinstance(part, FUNCTIONS)]
        inner = parts if isinstance(statement, ast.ClassDef) and parts else [ast.Expr(ast.Constant(...))]
        statement.body = statement.body[:has_docstring] + inner
    return statement


def _indented(lines: list[str], indent: str) -> list[str]:
    return [f"{indent}{line}" if line else line for line in lines]
