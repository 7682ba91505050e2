"""Part I in a browser: nothing that needs PyTorch is left, and what is left runs."""

import ast
import pickle
import subprocess
import sys

import matplotlib
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.lite import NEEDS, lite_edition, write_wheel
from tools.notebooks import notebook_paths
from tools.pages import PART
from tools.paths import ROOT
from tools.stubs import parse
from tools.without_torch import ROOMS, WithoutTorch, is_missing, read

CHAPTERS = [path for path in notebook_paths(ROOT) if path.parent.name == PART]

# Runs the cells of a notebook with the wheel alone, as a browser has it: no torch, and none of the rest of the package.
RUN = """\
import sys
notebook, wheel, root = sys.argv[1:]
sys.path = [wheel, *(place for place in sys.path if place not in ("", root))]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
sys.modules["torch"] = sys.modules["tracemalloc"] = None
import matplotlib, nbformat, minivit
matplotlib.use("Agg")
assert minivit.__file__.startswith(wheel)
names = {"__name__": "__main__"}
for cell in nbformat.read(notebook, as_version=4).cells[1:]:
    if cell.cell_type == "code":
        exec(compile(cell.source, cell.source[:60], "exec"), names)
"""


@pytest.mark.parametrize(("module", "missing"), [
    ("torch.nn.functional", True), ("minivit.data", True), ("minivit.layers", True), ("numpy", False),
    ("minivit", False), ("minivit.scratch", False), ("minivit.checks", False), ("minivit.figures.slider", False),
])
def test_modules_that_a_browser_lacks(module, missing):
    assert is_missing(module) == missing


def test_what_needs_torch_is_commented_out_with_what_needs_its_results():
    keeper = WithoutTorch()
    assert keeper.cell("import numpy as np\nimport torch\nx = np.ones(3)\ny = torch.ones(3)\nfound = []") == (
        "import numpy as np\n# import torch\nx = np.ones(3)\n# y = torch.ones(3)\nfound = []")
    assert keeper.cell("def f(a):\n    return a + y\n\nfound.append(f(x))\nprint(x)") == (
        "# def f(a):\n#     return a + y\n\n# found.append(f(x))\nprint(x)")
    assert keeper.cell("print(found)") == "# print(found)"
    assert keeper.cell("y = x\nfound = [y]\nprint(found)") == "y = x\nfound = [y]\nprint(found)"


def test_a_module_is_not_lost_by_a_call_with_what_is():
    keeper = WithoutTorch()
    keeper.cell("import numpy as np\nimport torch")
    assert keeper.cell("np.asarray(torch.ones(3))\nnp.ones(3)") == "# np.asarray(torch.ones(3))\nnp.ones(3)"


@pytest.mark.parametrize(("source", "names"), [
    ("for i, x in pairs: total += x * i", {"pairs", "total"}),
    ("y = {k: v * scale for k, v in items if v}", {"items", "scale"}),
    ("f = lambda a, b=c: a + b + d", {"c", "d"}),
    ("def f(x):\n    y = x + z\n    return y", {"z"}),
    ("x[i] = y", {"x", "i", "y"}),
    ("for each in these:\n    here = each\n    print(here)", {"these", "print"}),
])
def test_a_statement_reads_what_it_does_not_give_first(source, names):
    assert read(ast.parse(source).body) == names


def test_a_loop_may_use_the_name_of_a_lost_one():
    keeper = WithoutTorch()
    keeper.cell("import torch\nfor x in torch.ones(3):\n    last = x")
    assert keeper.cell("for x in range(3):\n    print(x)\nprint(last)") == (
        "for x in range(3):\n    print(x)\n# print(last)")


def test_a_generator_is_not_lost_by_a_draw_for_torch():
    keeper = WithoutTorch()
    keeper.cell("import torch\nimport numpy as np\nrng = np.random.default_rng(0)\nlist_of = []")
    keeper.cell("list_of.append(torch.from_numpy(rng.normal(size=3)))")
    assert keeper.cell("x = rng.normal()\nprint(list_of)") == "x = rng.normal()\n# print(list_of)"


def test_what_numpy_needs_of_pytorch_is_stored():
    sources = ["import numpy as np\nimport torch\nmodel = torch.nn.Linear(2, 2)",
               "x = torch.ones(3).numpy()\nunused = torch.ones(2).numpy()\n"
               "for i in torch.arange(2):\n    last = i.item()",
               "print(x.sum(), last)\nprint(model)"]
    keeper = WithoutTorch(sources)
    keeper.cell(sources[0])
    assert keeper.cell(sources[1]) == (
        '# x = torch.ones(3).numpy()\nx = stored["x 1"]  # as PyTorch gave it\n# unused = torch.ones(2).numpy()\n'
        '# for i in torch.arange(2):\n#     last = i.item()\nlast = stored["last 2"]  # as PyTorch gave it')
    assert keeper.cell(sources[2]) == "print(x.sum(), last)\n# print(model)"
    assert pickle.loads(keeper.values["x 1"]).tolist() == [1, 1, 1] and pickle.loads(keeper.values["last 2"]) == 1


def test_of_an_import_what_exists_is_left():
    keeper = WithoutTorch()
    assert keeper.cell("from minivit import models, scratch") == (
        "# from minivit import models, scratch\nfrom minivit import scratch")
    assert keeper.cell("scratch.softmax(1)\nmodels.ViT()") == "scratch.softmax(1)\n# models.ViT()"


def test_the_edition_installs_the_package_and_keeps_text_and_outputs():
    output = nbformat.v4.new_output("stream", text="6")
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), new_code_cell("print(6)", outputs=[output])])
    edition, values = lite_edition(notebook, "chapter")
    install, stored, title, code = edition.cells
    assert "%pip install -q minivit" in install.source and title.source == "# Title" and code.outputs == [output]
    assert 'Stored("chapter")' in stored.source and values == {}


def test_the_wheel_requires_what_the_chapters_import():
    cells = [cell for path in CHAPTERS for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    statements = [node for cell in cells for node in ast.walk(parse(cell.source))]
    modules = {alias.name for node in statements if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in statements if isinstance(node, ast.ImportFrom)}
    packages = {module.partition(".")[0] for module in modules if not is_missing(module)}
    assert packages - sys.stdlib_module_names - {"IPython", "minivit"} == set(NEEDS)


def test_the_rooms_of_the_wheel_need_no_torch(tmp_path):
    wheel = write_wheel(tmp_path, {})
    imports = "; ".join(f"import minivit.{room.removesuffix('.py')}" for room in ROOMS if room != "__init__.py")
    (tmp_path / "empty.ipynb").write_text(nbformat.writes(new_notebook(cells=[
        new_code_cell(""), new_code_cell(f"{imports}; minivit.figures.live_figure('softmax')")])), encoding="utf-8")
    subprocess.run([sys.executable, "-c", RUN, tmp_path / "empty.ipynb", wheel, ROOT], cwd=tmp_path, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_is_left_of_a_chapter_runs(path, tmp_path):
    matplotlib.use("Agg")
    edition, values = lite_edition(nbformat.read(path, as_version=4), path.stem)
    nbformat.write(edition, tmp_path / path.name)
    wheel = write_wheel(tmp_path, {path.stem: values})
    subprocess.run([sys.executable, "-c", RUN, tmp_path / path.name, wheel, ROOT], cwd=tmp_path,
                   check=True, stdout=subprocess.DEVNULL)
