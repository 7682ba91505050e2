"""Execute the book's notebooks against the package's wheel, in an environment with Colab's versions.

The environment is kept in ``_build/colab``. The notebooks are those that any Jupyter gets, and run in a folder of their
own, so that nothing of the repository is within reach.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import nbformat

from tools import install
from tools.cores import usable_jobs
from tools.editions import for_any_jupyter, write
from tools.notebooks import notebook_paths
from tools.paths import BUILD, ROOT

PINS = ROOT / "tools" / "colab.txt"


def run(*words: str | Path, **options: object) -> None:
    """Run a command that must succeed, without the caller's modules."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # an older kernel would warn about its debugger
    if status := subprocess.run(words, env=env, **options).returncode:
        sys.exit(status)


def build_wheel(folder: Path) -> Path:
    """Build the wheel, from nothing that was built before, and return its path."""
    for old in (BUILD / "package", folder):
        shutil.rmtree(old, ignore_errors=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(wheel: Path, folder: Path, torch_cpu: str) -> Path:
    """Return the Python of an environment with the wheel, Colab's versions, and the newest torch that fits.

    See :func:`tools.install.steps` for ``torch_cpu``.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [python, "-m", "pip", "install", "--quiet"]
    torch = install.pinned_torch(install.REQUIREMENTS.read_text(encoding="utf-8"))
    for words in install.steps(torch, torch_cpu)[:-1]:
        run(*pip, *words)
    run(*pip, "--constraint", PINS, f"minivit[figures] @ {wheel.as_uri()}", "nbclient", "ipykernel", "ipywidgets")
    run(*pip, "--force-reinstall", "--no-deps", wheel)  # one of the same version may have been there
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of notebooks, without .ipynb; all if none is given")
    parser.add_argument("--jobs", type=int, default=usable_jobs(), help="number of notebooks to execute in parallel")
    parser.add_argument("--torch-cpu", default="", help="folder or index with torch's CPU builds")
    options = parser.parse_args()

    chapters = {path.stem: path for path in notebook_paths(ROOT)}
    if unknown := set(options.names) - chapters.keys():
        parser.error(f"no notebook {', '.join(sorted(unknown))}; known: {', '.join(chapters)}")
    wheel = build_wheel(BUILD / "wheel")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB", flush=True)
    python = environment(wheel, BUILD / "colab", options.torch_cpu)
    with tempfile.TemporaryDirectory() as folder:
        paths = [write(for_any_jupyter(nbformat.read(chapters[name], as_version=4)), chapters[name], Path(folder))
                 for name in options.names or chapters]
        run(python, "-m", "tools.execute", "--jobs", str(options.jobs), *paths, cwd=ROOT)


if __name__ == "__main__":
    main()
