"""Where each head of each layer looks: the attention of trained models on one image, to be explored in the page."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minivit.checks import as_array
from minivit.figures.live import LiveFigure, live_figure

ROOM = 165_000  # characters of maps in a page that may have 200 KB
STEPS = (12, 8, 6, 5, 4, 3, 2)  # of a weight for each factor of 2, from fine to coarse


def pack_picture(image: Any) -> str:
    """Return an image, uint8 (3, S, S), as text that a live figure can draw.

    Raises
    ------
    ValueError
        If it is of another shape, or its numbers are not whole ones from 0 to 255.
    """
    picture = as_array(image)
    levels = picture.astype(np.uint8)
    if picture.shape != (3, *picture.shape[-1:] * 2) or not (levels == picture).all():
        raise ValueError(f"image of dtype {picture.dtype} and shape {picture.shape}: it must be of shape (3, S, S), in "
                         "whole numbers from 0 to 255")
    return base64.b64encode(np.ascontiguousarray(levels.transpose(1, 2, 0))).decode()


def pack_maps(maps: np.ndarray) -> tuple[str, int]:
    """Return weights as text, and how many steps it has for each factor of 2: the finest for which there is room.

    A byte for each weight counts by how many steps it is smaller than 1.
    """
    for steps in STEPS:
        codes = np.rint(-steps * np.log2(np.maximum(maps, 2.0 ** (-255 / steps)))).astype(np.uint8)
        packed = base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode()
        if len(packed) <= ROOM:
            break
    return packed, steps


def effective_number(rows: np.ndarray) -> np.ndarray:
    """Return of how many tokens each row of attention (..., N) makes use: e to the entropy."""
    return np.exp(-(rows * np.log(np.maximum(rows, 1e-300))).sum(axis=-1))


def attention_explorer(image: Any, maps: Mapping[str, Sequence[Any]]) -> LiveFigure:
    """Let the reader choose a patch of an image, and see where every head of every layer looks from there.

    Parameters
    ----------
    image
        uint8, (3, S, S).
    maps
        For each model by name, its attention on this image: for each layer (H, N, N), where N counts the class token,
        which comes first, and the patches of a square grid. All models have as many layers and heads.

    Returns
    -------
    LiveFigure
        The last expression of a cell. It says how exact its weights are: within 3 % of those given if there is room.

    Raises
    ------
    ValueError
        If the maps are not of these shapes.
    """
    of = {name: np.stack([as_array(layer).astype(np.float64) for layer in layers]) for name, layers in maps.items()}
    shapes = {each.shape for each in of.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 4 or shape[2] != shape[3]:
        raise ValueError(f"maps of shapes {[each.shape for each in of.values()]}: each model needs as many (H, N, N)")
    layers, heads, tokens, _ = shape
    grid = round((tokens - 1) ** 0.5)
    if grid**2 != tokens - 1:
        raise ValueError(f"{tokens} tokens are not a class token and the patches of a square grid")
    seen = {name: effective_number(each).mean(axis=(1, 2)) for name, each in of.items()}
    words = "The mean effective number of tokens in this image, layer by layer: " + "; ".join(
        f"{name} {', '.join(f'{number:.0f}' for number in numbers)}" for name, numbers in seen.items()) + "."
    text, steps = pack_maps(np.stack(list(of.values())))
    words += f" Weights are rounded to within {100 * (2 ** (0.5 / steps) - 1):.0f} %."
    return live_figure("attention", words=words, picture=pack_picture(image), side=np.shape(image)[1], grid=grid,
                       layers=layers, heads=heads, names=list(of), steps=steps, packed=text)
