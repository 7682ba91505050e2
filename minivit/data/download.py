"""Download a file from the first of several sources that has it, resume if interrupted, and verify its checksum.

This needs only the standard library and a progress bar: pooch, the usual choice, neither resumes nor tries a second
source.
"""

import errno
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from minivit.data.dataset import DataError

TIMEOUT_S = 30
CHUNK_BYTES = 1 << 18
# A source slower than this is abandoned for the next; if all are, they are tried again without a limit.
SLOW_BYTES_PER_S = 300_000
RATE_WINDOW_S = 15


class _SourceError(Exception):
    """This source failed; another may work."""


class _SlowError(_SourceError):
    """This source works, but another may be faster."""


def download(urls: str | Sequence[str], path: str | os.PathLike, *, md5: str | None = None,
             sha256: str | None = None, elsewhere: str = "--data") -> Path:
    """Download a file to ``path``, complete and verified, or not at all.

    The bytes are collected in ``PATH.part``. An interrupted download leaves them there, and the next one continues from
    any source, since the checksum will show whether the pieces belong together. Without a checksum nothing would show
    it, so the download starts over.

    Parameters
    ----------
    urls
        Sources of the same bytes, tried in turn.
    path
        Where to put the file. A file that is already there is checked and left alone.
    md5, sha256
        Checksums in hexadecimal; those that are given are checked.
    elsewhere
        The option or variable with which the user can choose another folder, for the error message.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    DataError
        If no source gave the right bytes (each is listed with its failure), if the disk is full or not writable, or if
        another file is in the way.
    """
    urls, path = [urls] if isinstance(urls, str) else list(urls), Path(path)
    checksums = {name: value for name, value in (("md5", md5), ("sha256", sha256)) if value}
    part = path.with_name(path.name + ".part")
    with _os_errors(path, elsewhere):
        if path.exists():
            if wrong := _wrong_checksum(path, checksums):
                raise DataError(f"{path} already exists and is another file or a damaged one ({wrong}): "
                                "delete it to fetch it again")
            return path
        if not urls:
            raise ValueError("urls is empty: at least one source is needed")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not checksums:
            part.unlink(missing_ok=True)

    failures: dict[str, str] = {}
    queue = deque((url, SLOW_BYTES_PER_S if len(urls) > 1 else 0) for url in urls)
    while queue:
        url, slowest = queue.popleft()
        try:
            resumed = _receive(url, part, slowest, elsewhere)
        except _SourceError as failure:
            failures[url] = str(failure)
            if isinstance(failure, _SlowError):
                queue.append((url, 0))
            continue
        with _os_errors(path, elsewhere):
            if not part.exists() and path.exists() and not _wrong_checksum(path, checksums):
                return path   # another process fetched it meanwhile
            if not (wrong := _wrong_checksum(part, checksums)):
                os.replace(part, path)
                return path
            part.unlink()
        failures[url] = wrong
        if resumed:   # the earlier part may be to blame
            queue.appendleft((url, slowest))
    way_out = "check the connection and run the same command again: it continues from where it stopped"
    if len(urls) == 1:
        raise DataError(f"{path.name} could not be downloaded from {urls[0]}: {failures[urls[0]]}; {way_out}")
    tried = "\n".join(f"  {url}: {failure}" for url, failure in failures.items())
    raise DataError(f"{path.name} could not be downloaded; the sources tried:\n{tried}\n{way_out}")


def _receive(url: str, part: Path, slowest: float, elsewhere: str) -> bool:
    """Append what is missing to the partial file; return whether an earlier download had begun it."""
    with _os_errors(part, elsewhere):
        start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "Mozilla/5.0 (compatible; minivit)"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return True   # nothing is missing, or the partial file is wrong: the checksum will show
        raise _SourceError(f"HTTP {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _SourceError(_reason(error)) from None
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            start = 0   # the server sends the whole file
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _SourceError("sent a different range from the one requested")
        total = None if response.length is None else start + response.length
        with _os_errors(part, elsewhere):
            file = open(part, "r+b" if start else "wb", buffering=0)
        with file, tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem) as bar:
            file.seek(start)
            for chunk in _chunks(response, slowest):
                with _os_errors(part, elsewhere):
                    _write(file, chunk)
                bar.update(len(chunk))
            if total is not None and bar.n < total:
                raise _SourceError(f"the connection ended after {bar.n} of {total} bytes")
    return start > 0


def _chunks(response: http.client.HTTPResponse, slowest: float):
    """Yield what arrives; give up on a source that is too slow."""
    began, arrived = time.monotonic(), 0
    while True:
        try:
            chunk = response.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _SourceError(_reason(error)) from None
        if not chunk:
            return
        yield chunk
        arrived += len(chunk)
        elapsed_s = time.monotonic() - began
        if elapsed_s >= RATE_WINDOW_S:
            if arrived < slowest * elapsed_s:
                raise _SlowError(f"slow, {arrived / elapsed_s / 1000:.0f} kB/s")
            began, arrived = time.monotonic(), 0


def _write(file, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:   # an unbuffered file may write less than it is given
        left = left[file.write(left):]


def _wrong_checksum(path: Path, checksums: dict[str, str]) -> str | None:
    """Describe the first checksum that doesn't match; None if all match."""
    for name, expected in checksums.items():
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, name).hexdigest()
        if found != expected.lower():
            return f"{name} is {found}, not {expected}"
    return None


@contextmanager
def _os_errors(path: Path, elsewhere: str):
    """Turn a failure to write on this machine into a DataError; another source would not help."""
    try:
        yield
    except OSError as error:
        way_out = "free some space there or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise DataError(f"{path} cannot be written: {error.strerror or error}; {way_out}choose another folder with "
                        f"{elsewhere}") from None


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(reason) or type(reason).__name__
