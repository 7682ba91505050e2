"""Paths of the repository and of the folder for everything that is built from it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
TEACH = BUILD / "teach"  # the teaching kit
RELEASE = BUILD / "release"  # the book in files to hand out
