"""Put a JupyterLite beside the book, in which the NumPy cells of Part I run in the reader's browser.

No server is needed. Python for the browser, Pyodide, comes from its public address when a reader opens a notebook, and
not before. PyTorch doesn't exist there: what needs it is commented out. Where NumPy goes on with a result of PyTorch's,
the result is read from a file.
"""

import base64
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import nbformat

from minivit.expect import RECORD
from tools.archives import write_zip
from tools.book import build_pages, outputs_are_stored, settings
from tools.editions import reader_edition
from tools.notebooks import notebook_paths
from tools.pages import PART
from tools.paths import BUILD, ROOT
from tools.version import BOOK, version
from tools.without_torch import ROOMS, WithoutTorch

EXPECTED = f"results/{RECORD}"
NEEDS = ("matplotlib", "numpy", "scipy", "threadpoolctl")
# What else is installed for JupyterLab, such as nbgrader's menu, asks for a server, which isn't there.
EXTENSIONS = ("@jupyterlite/pyodide-kernel-extension",)

FIRST = """\
# The book's package for the browser, without PyTorch. Lines that need PyTorch are comments here.
%pip install -q minivit"""

SECOND = """\
from minivit.stored import Stored

stored = Stored("{name}")  # what PyTorch gave, where NumPy goes on with it"""

STORED = '''\
"""What PyTorch gave in a notebook, for a browser, which lacks it."""

import pickle
import zlib
from importlib.resources import files


class Stored:
    """The values of a notebook by their names; each time a new copy."""

    def __init__(self, notebook):
        packed = files("minivit").joinpath(f"{notebook}.stored")
        self.values = pickle.loads(zlib.decompress(packed.read_bytes()))

    def __getitem__(self, name):
        return pickle.loads(self.values[name])
'''


def lite_edition(notebook: nbformat.NotebookNode, name: str) -> tuple[nbformat.NotebookNode, dict[str, bytes]]:
    """Return the notebook as it can run in a browser, with the outputs that it has, and the values that it reads."""
    edition = reader_edition(notebook)
    keeper = WithoutTorch([cell.source for cell in edition.cells if cell.cell_type == "code"])
    first = [nbformat.v4.new_code_cell(FIRST, id="install"),
             nbformat.v4.new_code_cell(SECOND.format(name=name), id="stored")]
    for cell in edition.cells:
        if cell.cell_type == "code":
            cell.source, cell.execution_count = keeper.cell(cell.source), None
    kernel = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
    return nbformat.v4.new_notebook(cells=[*first, *edition.cells], metadata={"kernelspec": kernel}), keeper.values


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


def write_wheel(folder: Path, values: dict[str, dict[str, bytes]]) -> Path:
    """Write a wheel of the part of the package that needs no torch, with the values of notebooks; return its path."""
    info = f"minivit-{version()}.dist-info"
    needs = [f"Requires-Dist: {name}" for name in NEEDS]
    metadata = ["Metadata-Version: 2.1", "Name: minivit", f"Version: {version()}", *needs]
    stored = {f"minivit/{name}.stored": zlib.compress(pickle.dumps(kept), 9) for name, kept in values.items()}
    files = dict(package_files()) | stored | {
        "minivit/stored.py": STORED.encode(),
        f"{info}/METADATA": "\n".join([*metadata, ""]).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: minivit\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},"
                     f"{len(content)}\n" for name, content in files.items()) + f"{info}/RECORD,,\n"
    path = folder / f"minivit-{version()}-py3-none-any.whl"
    write_zip(path, [*files.items(), (f"{info}/RECORD", record.encode())])
    return path


def main() -> int:
    if not (outputs_are_stored(ROOT) and build_pages(ROOT, BUILD, with_button(settings(ROOT)))):
        return 1
    matplotlib.use("Agg")  # the notebooks are run for the values of theirs that come from PyTorch
    work = BUILD / "lite"
    shutil.rmtree(work, ignore_errors=True)
    (work / "files").mkdir(parents=True)
    values = {}
    for path in (path for path in notebook_paths(ROOT) if path.parent.name == PART):
        edition, values[path.stem] = lite_edition(nbformat.read(path, as_version=4), path.stem)
        # Lines of an output are joined: JupyterLite's list of headings takes no list.
        nbformat.write(edition, work / "files" / path.name, split_lines=False)
    wheel = write_wheel(work / "wheel", values)
    for name in EXTENSIONS:
        shutil.copytree(Path(sys.prefix) / "share/jupyter/labextensions" / name, work / "extensions" / name)
    lite_settings = {"jupyter-lite-schema-version": 0,
                     "jupyter-config-data": {"appName": BOOK}}
    (work / "jupyter-lite.json").write_text(json.dumps(lite_settings), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--contents", "files", "--piplite-wheels", wheel,
               "--output-dir", BUILD / "html" / "lite", "--apps", "notebooks", "--no-unused-shared-packages",
               "--no-sourcemaps", "--ignore-sys-prefix", "federated_extensions",
               f"--FederatedExtensionAddon.extra_labextensions_path={work / 'extensions'}"]
    built = subprocess.run(command, cwd=work, capture_output=True, encoding="utf-8")
    if built.returncode:
        print(built.stdout, built.stderr, sep="\n", file=sys.stderr)
        return 1
    print(f"Part I runs beside the book, from {BUILD / 'html' / 'lite'}; `make serve` shows it.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
