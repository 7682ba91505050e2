"""The built book, served on this machine, and a browser."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.figures.live_data import make
from tools.browsers import NAMES, find_browser, running
from tools.paths import BUILD


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def site():
    """Return the address of the built book."""
    html = BUILD / "html"
    if not html.is_dir():
        pytest.skip("the book is not built: run make book")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=html)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    pytest.importorskip("playwright.sync_api")
    program = find_browser()
    if not program:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with running(program) as chromium:
        yield chromium


@pytest.fixture
def show(browser):
    """Return a function that shows HTML on a page of its own, wide or narrow; the page must not fail or fetch."""
    contexts, faults = [], []

    def show_it(body, width=900, style=""):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, has_touch=True))
        page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if not request.url.startswith("data:") else None)
        page.set_content(f"""<!doctype html><html lang="en"><title>A figure</title>
            <body style="{style}"><main><h1>A figure</h1>{body}</main></body></html>""")
        return page

    yield show_it
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def figure(show):
    """Return a function that shows a live figure."""
    def show_it(name, **options):
        page = show(make(name).data, **options)
        page.wait_for_selector(".says span")
        return page

    return show_it
