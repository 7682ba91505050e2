"""The Chromium of this machine: the book's PDF is printed by it, and its pages are tested in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def running(program: str) -> Iterator[Any]:
    """Run a Chromium, without a window, inside the ``with`` block."""
    from playwright.sync_api import sync_playwright  # installed only where pages are drawn or tested

    with sync_playwright() as playwright:
        with playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]) as browser:
            yield browser
