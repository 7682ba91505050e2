"""The plots of the pages are made smaller, and look the same."""

import io

import numpy as np
import pytest
from PIL import Image

from tools.pages import PLOT, smaller


def drawing(kind: str) -> bytes:
    """Return a picture of 200 colours in fields of 7 x 11 pixels, half of it transparent at its right edge."""
    colours = np.random.default_rng(0).integers(0, 256, (20, 10, 4), np.uint8)
    colours[..., 3], colours[:, -1, 3] = 255, 0
    buffer = io.BytesIO()
    Image.fromarray(colours.repeat(7, axis=0).repeat(11, axis=1)).save(buffer, kind, lossless=True)
    return buffer.getvalue()


def on_white(image: bytes) -> np.ndarray:
    picture = Image.open(io.BytesIO(image)).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("new", ["", "PNG", "WEBP"])
def test_a_plot_looks_the_same_in_the_kind_that_is_asked_for(kind, new):
    made = smaller(drawing(kind), new)
    assert Image.open(io.BytesIO(made)).format == (new or kind)
    np.testing.assert_array_equal(on_white(made), on_white(drawing(kind)))


def test_only_stored_plots_change_their_kind():
    digest = 64 * "a"
    assert PLOT.sub(r"\1webp", f"../_images/{digest}.png _images/card-intro.png") == (
        f"../_images/{digest}.webp _images/card-intro.png")
