"""Put a JupyterLite beside the book, in which the NumPy cells of Part I run in the reader's browser.

No server is needed. Python for the browser, Pyodide, comes from its public address when a reader opens a notebook, and
not before. PyTorch doesn't exist there: what needs it is commented out, and so is what needs the results of that.
"""

import ast
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat

from minivit.expect import RECORD
from tools.book import build_pages, outputs_are_stored, settings
from tools.editions import reader_edition
from tools.notebooks import notebook_paths
from tools.pages import PART
from tools.paths import BUILD, ROOT
from tools.version import version

# Of the package, without torch; and what to expect of results that depend on chance.
ROOMS = ("__init__.py", "checks.py", "expect.py", "files.py", "options.py", "figures", "scratch")
EXPECTED = f"results/{RECORD}"
NEEDS = ("matplotlib", "numpy", "scipy")
MISSING = ("torch", "tracemalloc")  # from Python in a browser
# What gives names a value that nobody outside sees.
PRIVATE = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

FIRST = """\
# The book's package for the browser, without PyTorch. Lines that need PyTorch are comments here.
%pip install -q minivit"""


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


class WithoutTorch:
    """Comment out what can't run, cell by cell; a name that lost its value takes with it what uses it.

    A generator of random numbers isn't lost with what drew from it: it goes on, with other numbers.
    """

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self.kept: set[str] = set()

    def runs(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.ImportFrom):
            return not is_missing(statement.module) and not any(
                is_missing(f"{statement.module}.{alias.name}") for alias in statement.names
                if statement.module == "minivit")
        if isinstance(statement, ast.Import):
            return not any(is_missing(alias.name) for alias in statement.names)
        return not read(statement) & self.lost

    def cell(self, source: str) -> str:
        lines = source.splitlines()
        for statement in ast.parse(source).body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)) or is_generator(getattr(statement, "value", None)):
                self.kept |= bound(statement)
            if self.runs(statement):
                self.lost -= bound(statement)
                continue
            self.lost |= bound(statement) | {name for name in changed(statement) if name} - self.kept
            first = min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", []))])
            for number in range(first - 1, statement.end_lineno):
                lines[number] = f"# {lines[number]}".rstrip()
        return "\n".join(lines)


def lite_edition(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook as it can run in a browser, with the outputs that it has."""
    keeper = WithoutTorch()
    cells = [nbformat.v4.new_code_cell(FIRST, id="install")]
    for cell in reader_edition(notebook).cells:
        if cell.cell_type == "markdown":
            cells.append(nbformat.v4.new_markdown_cell(cell.source, id=cell.id))
        elif cell.cell_type == "code":
            cells.append(nbformat.v4.new_code_cell(keeper.cell(cell.source), id=cell.id, outputs=cell.outputs,
                                                   metadata={"tags": cell.metadata.get("tags", [])}))
    kernel = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def with_button(book: dict) -> dict:
    """Return the settings of the book with a button on each page of Part I that opens it in the JupyterLite."""
    return book | {"sphinx": book["sphinx"] | {"config": book["sphinx"]["config"] | {"lite": True}}}


def package_files() -> Iterator[tuple[str, bytes]]:
    for room in ROOMS:
        start = ROOT / "minivit" / room
        for path in sorted([start] if start.is_file() else start.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_bytes()
    yield f"minivit/{EXPECTED}", (ROOT / EXPECTED).read_bytes()


def write_wheel(folder: Path) -> Path:
    """Write a wheel of the part of the package that needs no torch, and return its path."""
    info = f"minivit-{version()}.dist-info"
    needs = [f"Requires-Dist: {name}" for name in NEEDS]
    metadata = ["Metadata-Version: 2.1", "Name: minivit", f"Version: {version()}", *needs]
    files = dict(package_files()) | {
        f"{info}/METADATA": "\n".join([*metadata, ""]).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: minivit\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},"
                     f"{len(content)}\n" for name, content in files.items()) + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"minivit-{version()}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in [*files.items(), (f"{info}/RECORD", record.encode())]:
            wheel.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
    return path


def main() -> int:
    if not (outputs_are_stored(ROOT) and build_pages(ROOT, BUILD, with_button(settings(ROOT)))):
        return 1
    work = BUILD / "lite"
    shutil.rmtree(work, ignore_errors=True)
    for path in notebook_paths(ROOT):
        if path.parent.name == PART:
            target = work / "files" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(lite_edition(nbformat.read(path, as_version=4)), target)
    wheel = write_wheel(work / "wheel")
    lite_settings = {"jupyter-lite-schema-version": 0,
                     "jupyter-config-data": {"appName": "Less Attention, More Context"}}
    (work / "jupyter-lite.json").write_text(json.dumps(lite_settings), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--contents", "files", "--piplite-wheels", wheel,
               "--output-dir", BUILD / "html" / "lite", "--apps", "notebooks", "--no-unused-shared-packages",
               "--no-sourcemaps"]
    built = subprocess.run(command, cwd=work, capture_output=True, encoding="utf-8")
    if built.returncode:
        print(built.stdout, built.stderr, sep="\n", file=sys.stderr)
        return 1
    print(f"Part I runs beside the book, from {BUILD / 'html' / 'lite'}; `make serve` shows it.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
