"""Install requirements.txt in the environment whose Python runs this; first say how much will be installed."""

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
Installing about 3 GB of downloads, 6.1 GB on disk, since torch for Linux comes with CUDA. Without an NVIDIA GPU that's
wasted: make TORCH_CPU=PLACE needs 2.1 GB in all, see README.md. This takes minutes and prints nothing more."""


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
    """Return the arguments of ``pip install`` for each step.

    Parameters
    ----------
    torch
        Version of torch.
    torch_cpu
        A folder of wheels or the address of an index that has torch's build without CUDA; may be empty. Only torch is
        installed from there, with its build in the version, so that no other is chosen. It satisfies the pin in
        requirements.txt, so the next step keeps it.
    """
    everything = ["--requirement", str(REQUIREMENTS)]
    if not torch_cpu:
        return [everything]
    folder = Path(torch_cpu).expanduser()
    place = ["--no-index", "--find-links", str(folder)] if folder.is_dir() else ["--index-url", torch_cpu]
    return [["--no-deps", *place, f"torch=={torch}+cpu"], everything]


def problem(torch_cpu: str) -> str | None:
    """Say why torch can't be installed from TORCH_CPU; None if it can."""
    if not torch_cpu:
        return None
    if "://" not in torch_cpu and not Path(torch_cpu).expanduser().is_dir():
        return f"TORCH_CPU={torch_cpu!r} must be a folder with wheels of torch, or the address of an index"
    if platform.system() != "Linux":
        return "TORCH_CPU is for Linux; elsewhere torch comes without CUDA anyway"
    torch = installed_torch()
    if torch and not torch.endswith("+cpu"):
        return f"{sys.prefix} has torch {torch}, not a CPU build: remove that folder, then try again"
    return None


def describe() -> str:
    """Say which Python and which build of torch the environment has."""
    import torch

    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    return f"Python {platform.python_version()}, torch {torch.__version__}, {build}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-cpu", default="", help="folder or index with torch's CPU builds")
    parser.add_argument("--check", action="store_true", help="only say why --torch-cpu can't be used")
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
    # pip downloads to the folder for temporary files, which is often in memory and too small.
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
