"""Install requirements.txt in the environment whose Python runs this, and say first how much that will be."""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"

# Measured with Python 3.11 on x86-64.
NOTICE = """\
Installing about 3 GB of downloads, 5.4 GB on disk: on Linux, torch comes with CUDA. Without an NVIDIA GPU that's
wasted, and make TORCH_CPU=PLACE takes 1.7 GB in all: see README.md. It takes minutes and prints nothing more."""


def pinned_torch(requirements: str) -> str:
    """Return the version of torch in the text of requirements.txt."""
    (pin,) = [line for line in requirements.splitlines() if line.startswith("torch==")]
    return pin.removeprefix("torch==")


def installed_torch() -> str | None:
    try:
        return version("torch")
    except PackageNotFoundError:
        return None


def steps(torch: str, torch_cpu: str) -> list[list[str]]:
    """Return the words after ``pip install`` of each step.

    Parameters
    ----------
    torch
        Version of torch.
    torch_cpu
        A folder of wheels or the address of an index from which torch's build without CUDA is taken; may be empty.
        Only torch comes from there, and its build is named, so that no other is chosen. What is installed then meets
        the pin in requirements.txt, and is kept.
    """
    everything = ["--requirement", str(REQUIREMENTS)]
    if not torch_cpu:
        return [everything]
    folder = Path(torch_cpu).expanduser()
    place = ["--no-index", "--find-links", str(folder)] if folder.is_dir() else ["--index-url", torch_cpu]
    return [["--no-deps", *place, f"torch=={torch}+cpu"], everything]


def problem(torch_cpu: str) -> str | None:
    """Say why TORCH_CPU cannot be had, if so: it is no place, or the environment holds another build."""
    if not torch_cpu:
        return None
    if "://" not in torch_cpu and not Path(torch_cpu).expanduser().is_dir():
        return f"TORCH_CPU={torch_cpu!r} must be a folder with wheels of torch, or the address of an index"
    if platform.system() != "Linux":
        return "TORCH_CPU is for Linux; elsewhere torch comes without CUDA anyway"
    torch = installed_torch()
    if torch and not torch.endswith("+cpu"):
        return f"{sys.prefix} holds torch {torch}, not its build for a CPU: remove that folder, then try again"
    return None


def describe() -> str:
    """Return which Python and which build of torch the environment has."""
    import torch

    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    return f"Python {platform.python_version()}, torch {torch.__version__}, {build}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-cpu", default="", help="folder or address of torch's builds for a CPU")
    parser.add_argument("--check", action="store_true", help="only say what keeps --torch-cpu from being used")
    parser.add_argument("--show", action="store_true", help="only say which Python and torch are installed")
    options = parser.parse_args()

    if options.show:
        print(describe())
        return 0
    if wrong := problem(options.torch_cpu):
        print(wrong, file=sys.stderr)
        return 1
    if options.check:
        return 0
    torch = pinned_torch(REQUIREMENTS.read_text(encoding="utf-8"))
    if platform.system() == "Linux" and not options.torch_cpu and (installed_torch() or "").partition("+")[0] != torch:
        print(NOTICE, flush=True)
    # pip keeps its downloads in the folder for temporary files, which often is a small one in memory.
    with tempfile.TemporaryDirectory(dir=sys.prefix) as folder:
        for words in steps(torch, options.torch_cpu):
            done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *words], cwd=ROOT,
                                  env={**os.environ, "TMPDIR": folder})
            if done.returncode:
                print(f"pip could not install {words[-1]}", file=sys.stderr)
                return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
