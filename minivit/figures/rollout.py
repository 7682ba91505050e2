"""Where a token looks, next to the image it looks at."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minivit.checks import as_array
from minivit.figures.style import bare


def plot_rollout(axes: Sequence[Any], image: np.ndarray, weights: np.ndarray, **options: Any) -> Any:
    """Draw an image and the weights of its patches.

    Parameters
    ----------
    axes
        Two matplotlib axes, for the image and for the weights; their frames are removed.
    image
        (C, H, W) in 0..255, of whole numbers or not, with one or three channels.
    weights
        (rows, columns), non-negative: one token's row of :func:`minivit.analysis.attention_rollout`, or of a map, on
        the grid of patches.
    **options
        Passed on to ``imshow`` for the weights, such as ``vmax`` to compare several images.

    Returns
    -------
    The image of the weights, for a colour bar.

    Raises
    ------
    ValueError
        If the image is of another shape.
    """
    picture = np.moveaxis(as_array(image), 0, -1)
    if picture.ndim != 3 or picture.shape[-1] not in (1, 3):
        raise ValueError(f"image has shape {as_array(image).shape}; expected (C, H, W) with one or three channels")
    picture = np.rint(picture).clip(0, 255).astype(np.uint8)  # matplotlib wants other numbers in 0..1
    axes[0].imshow(picture if picture.shape[-1] == 3 else picture[..., 0], cmap="gray", vmin=0, vmax=255)
    mesh = axes[1].imshow(as_array(weights), **{"vmin": 0} | options)
    for ax in axes:
        bare(ax)
    return mesh
