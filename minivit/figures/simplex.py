"""The triangle of all ways to spread attention over three tokens."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minivit.checks import as_array
from minivit.options import check_at_least

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])


def to_plane(probs: np.ndarray) -> np.ndarray:
    """Map attention over three tokens to points in a triangle.

    At each corner one token has all the weight; the centre is uniform attention.

    Parameters
    ----------
    probs
        (..., 3), rows sum to 1.

    Returns
    -------
    array of shape (..., 2)
        Coordinates in a triangle of side 1.
    """
    return as_array(probs) @ CORNERS


def plot_simplex(ax: Any, value: Callable[[np.ndarray], np.ndarray], steps: int = 120, **options: Any) -> Any:
    """Colour the triangle by a function of the attention.

    Parameters
    ----------
    ax
        A matplotlib axes; its frame is removed.
    value
        Takes attention of shape (n, 3) and returns (n,).
    steps
        Number of steps along each side.
    **options
        Passed on to ``ax.tripcolor``.

    Returns
    -------
    The coloured mesh, for a colour bar.

    Raises
    ------
    ValueError
        If ``steps`` is below 1.
    """
    check_at_least(1, steps=steps)
    i, j = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1), indexing="ij")
    inside = i + j <= steps
    probs = np.stack([i[inside], j[inside], steps - i[inside] - j[inside]], axis=-1) / steps
    x, y = to_plane(probs).T
    mesh = ax.tripcolor(x, y, as_array(value(probs)), shading="gouraud", rasterized=True, **options)
    ax.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color="black", linewidth=1)
    offsets = [((-4, -4), "right", "top"), ((4, -4), "left", "top"), ((0, 4), "center", "bottom")]
    for token, (corner, (offset, ha, va)) in enumerate(zip(CORNERS, offsets, strict=True), start=1):
        ax.annotate(f"token {token}", corner, offset, textcoords="offset points", ha=ha, va=va)
    ax.set_aspect("equal")
    ax.axis("off")
    return mesh
