"""Cut a figure whose plots stand below each other: what a page can hold is too small for the last row of a room.

A cell says in ``slide_bands`` which parts of its figure each slide shows, such as ``"0-48 91-100"``: bands from the
top, in per cent of its height. They're put together, so each row of plots may have the titles above and the axis below.
"""

import base64
import io
import re

import numpy as np
from PIL import Image

BAND = re.compile(r"(\d+)-(\d+)")
NEAR = 0.015  # a cut may lie so far from where it's asked for, as a share of the height
WHITE = 250  # and what is as light as this isn't drawn


def gaps(picture: Image.Image) -> list[tuple[int, int]]:
    """Return the first row and the row after the last of each band in which nothing is drawn."""
    blank = (np.asarray(picture.convert("L")) >= WHITE).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], blank, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def cut(picture: Image.Image, per_cent: int) -> int:
    """Return the row at which to cut: in the middle of the nearest gap.

    Raises
    ------
    ValueError
        If something is drawn there.
    """
    height = picture.height
    if per_cent in (0, 100):
        return per_cent * height // 100
    at = per_cent * height / 100
    away, row = min(((max(start - at, at - stop, 0), (start + stop) // 2) for start, stop in gaps(picture)),
                    default=(height, 0))
    if away > NEAR * height:
        raise ValueError(f"a cut at {per_cent} % goes through the figure")
    return row


def banded(image: str, bands: str) -> str:
    """Return of a PNG in base64 the chosen bands, one below the other.

    Raises
    ------
    ValueError
        If the bands aren't written as they should be, or a cut goes through what is drawn.
    """
    asked = [(int(start), int(stop)) for start, stop in BAND.findall(bands)]
    if BAND.sub("", bands).strip() or not asked or not all(start < stop <= 100 for start, stop in asked):
        raise ValueError(f"{bands!r} isn't a list of bands such as '0-48 91-100', in per cent of the height")
    whole = Image.open(io.BytesIO(base64.b64decode(image)))
    pieces = [whole.crop((0, cut(whole, start), whole.width, cut(whole, stop))) for start, stop in asked]
    joined = Image.new(whole.mode, (whole.width, sum(piece.height for piece in pieces)))
    for place, piece in enumerate(pieces):
        joined.paste(piece, (0, sum(above.height for above in pieces[:place])))
    buffer = io.BytesIO()
    joined.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
