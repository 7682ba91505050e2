"""Shapes: drawn images with full annotations, so that every task has a data set that needs no file.

An image shows one to three shapes on a textured ground. Its class is the kind of the largest shape. The mask says what
kind of shape each pixel shows, and boxes say where the shapes are. No colour, position or size gives away the class.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minivit.data.dataset import Dataset, Split
from minivit.data.drawing import KINDS, Drawing, draw, numbers_needed
from minivit.options import check_at_least

# Of the training images that the default options draw.
MEAN, STD = (0.5036, 0.5009, 0.5037), (0.2581, 0.2587, 0.2585)
DRAWN_AT_A_TIME = 256   # small enough that the arrays of a drawing stay in the cache


@dataclass(frozen=True, eq=False)
class ShapesSplit(Split):
    """Images of shapes with all their annotations.

    Parameters
    ----------
    images, labels
        uint8 (n, 3, S, S); int64 (n,), the kind of the largest shape.
    masks
        uint8 (n, S, S): 0 for ground, k + 1 where a shape of kind k is visible.
    boxes
        int64 (n, 3, 4): x0, y0, x1, y1 in pixels around the visible part of each shape, x1 and y1 being one past its
        end. The first box is that of the largest shape. Zeros where there is no shape.
    box_labels
        int64 (n, 3): the kind of shape in each box, -1 where there is no shape.
    """

    masks: Tensor
    boxes: Tensor
    box_labels: Tensor


def load_shapes(root: Path | None = None, *, train_images: int = 4096, test_images: int = 1024, size: int = 32,
                seed: int = 0) -> Dataset:
    """Draw the shapes.

    Image i of a split depends only on the seed, the split and i: a larger data set begins with the same images, and the
    two splits have none in common.

    Parameters
    ----------
    root
        Ignored: nothing is read.
    train_images, test_images
        How many images to draw.
    size
        Height and width in pixels, 16 or more.
    seed
        0 or more; another seed gives other images.

    Returns
    -------
    Dataset
        Its splits are :class:`ShapesSplit`.

    Raises
    ------
    ValueError
        Naming the argument that is out of range.
    """
    check_at_least(1, train_images=train_images, test_images=test_images)
    check_at_least(16, size=size)
    check_at_least(0, seed=seed)
    return Dataset("shapes", _draw_split(seed, 0, train_images, size), _draw_split(seed, 1, test_images, size),
                   KINDS, MEAN, STD)


def _draw_split(seed: int, split: int, num_images: int, size: int) -> ShapesSplit:
    parts = [_label(draw(_numbers(seed, split, range(start, min(start + DRAWN_AT_A_TIME, num_images)), size), size))
             for start in range(0, num_images, DRAWN_AT_A_TIME)]
    return ShapesSplit(*(torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True)))


def _numbers(seed: int, split: int, indices: range, size: int) -> np.ndarray:
    # The spawn key makes the streams independent of each other, whatever the seed.
    streams = (np.random.SeedSequence(seed, spawn_key=(split, index)) for index in indices)
    return np.stack([np.random.default_rng(stream).random(numbers_needed(size)) for stream in streams])


def _label(drawing: Drawing) -> tuple[np.ndarray, ...]:
    """Return images, labels, masks, boxes and box labels."""
    visible, kinds = drawing.visible, drawing.kinds
    masks = (visible * (kinds + 1)[:, :, None, None]).sum(1).astype(np.uint8)
    (x0, x1), (y0, y1) = _extent(visible.any(2)), _extent(visible.any(3))
    return drawing.images, kinds[:, 0], masks, np.stack([x0, y0, x1, y1], axis=-1), kinds


def _extent(occupied: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first occupied position and one past the last, along the last axis; zeros where there is none."""
    size = occupied.shape[-1]
    return occupied.argmax(-1), np.where(occupied.any(-1), size - occupied[..., ::-1].argmax(-1), 0)
