"""Find a Chromium on this machine: the book's PDF is printed by it, and its pages are tested in it."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)
