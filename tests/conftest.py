"""A small run, and a web server on this machine that misbehaves on demand."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from minivit.training import Config


@pytest.fixture
def config():
    """A run of two epochs of three steps (eight images are left out of each) that takes a fraction of a second."""
    return Config(dataset="digits", model="vit_nano_patch4_32", train_images=131, epochs=2, batch_size=41,
                  optimizer="muon", warmup_epochs=0.5, crop_padding=1,
                  augmentation="randaugment", erasing=0.25, repeats=2, mixup=0.2, cutmix=1.0, ema_decay=0.9,
                  model_options=dict(image_size=8, patch_size=4, in_channels=1, dim=12, depth=2, num_heads=3,
                                     context="cb_s", dropout=0.1, drop_path=0.1))


class Source:
    """One address of the server: what it holds, how it behaves, and the Range header of each request it got."""

    def __init__(self, url, content, ranges, cut, status):
        self.url, self.content, self.ranges, self.cut, self.status = url, content, ranges, cut, status
        self.requests = []


@pytest.fixture
def serve():
    """A function that offers content at an address of its own.

    ``ranges=False``: a server without resume. ``cut=n``: the connection ends after n bytes. ``status``: an error.
    """
    sources = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):   # noqa: N802 (http.server's name)
            source = sources[self.path]
            requested = self.headers.get("Range")
            source.requests.append(requested)
            if source.status:
                return self.send_error(source.status)
            start = int(requested.removeprefix("bytes=").rstrip("-")) if requested and source.ranges else 0
            total = len(source.content)
            if start >= total:
                return self.send_error(416)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(total - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.end_headers()
            self.wfile.write(source.content[start:source.cut])

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def offer(content=b"", *, ranges=True, cut=None, status=None):
        path = f"/{len(sources)}/file.bin"
        sources[path] = Source(f"http://127.0.0.1:{server.server_port}{path}", content, ranges, cut, status)
        return sources[path]

    yield offer
    server.shutdown()
    server.server_close()
    thread.join()
