"""From an image to tokens in two ways that give the same numbers: a matrix product, and a strided convolution.

Axes: B images, I channels of the image, T x S height and width in pixels, P side of a patch, N = T / P * S / P patches,
C channels of a token; K side of a kernel.
"""

import math
from collections.abc import Sequence

import numpy as np

from minivit.options import check_at_least, image_sides
from minivit.scratch.arrays import check_shape
from minivit.scratch.linear import linear, linear_backward


def patchify(images: np.ndarray, patch_size: int) -> np.ndarray:
    """Cut images into squares and flatten the pixels of each.

    Parameters
    ----------
    images
        Shape (B, I, T, S).
    patch_size
        P, in pixels; it divides T and S.

    Returns
    -------
    array of shape (B, N, I P P)
        Patches row by row, from the upper left; the pixels of each, channel by channel.

    Raises
    ------
    ValueError
        If the patch does not divide the images.
    """
    images = check_shape("images", images, "B", "I", "T", "S")
    batch, channels, height, width = images.shape
    check_at_least(1, patch_size=patch_size)
    for side in (height, width):
        if not side or side % patch_size:
            raise ValueError(f"patch_size={patch_size} does not divide the side of images, {side} pixels")
    rows, columns = height // patch_size, width // patch_size
    squares = images.reshape(batch, channels, rows, patch_size, columns, patch_size)
    squares = squares.transpose(0, 2, 4, 1, 3, 5)  # (B, T/P, S/P, I, P, P)
    return squares.reshape(batch, rows * columns, channels * patch_size * patch_size)


def unpatchify(patches: np.ndarray, channels: int, grid: int | Sequence[int] | None = None) -> np.ndarray:
    """Put the squares back: the inverse of :func:`patchify`, and therefore also its backward pass.

    Parameters
    ----------
    patches
        Shape (B, N, I P P).
    channels
        I.
    grid
        Side of a square grid of patches, or its rows and columns; None for a square, if N is a square number.

    Returns
    -------
    array of shape (B, I, T, S)

    Raises
    ------
    ValueError
        If N doesn't fit the grid, or a row doesn't hold ``channels`` squares.
    """
    patches = check_shape("patches", patches, "B", "N", "I*P*P")
    check_at_least(1, channels=channels)
    batch, count, pixels = patches.shape
    rows, columns = (math.isqrt(count),) * 2 if grid is None else image_sides(grid, "grid")
    patch_size = math.isqrt(pixels // channels)
    if rows * columns != count or channels * patch_size**2 != pixels:
        wanted = "a square number" if grid is None else f"{rows} * {columns}"
        raise ValueError(f"patches has shape {patches.shape}; expected (B, N, {channels} * P * P), N {wanted}")
    squares = patches.reshape(batch, rows, columns, channels, patch_size, patch_size)
    squares = squares.transpose(0, 3, 1, 4, 2, 5)  # (B, I, T/P, P, S/P, P)
    return squares.reshape(batch, channels, rows * patch_size, columns * patch_size)


def patch_embed(images: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """Project every patch to a token with one matrix (Dosovitskiy et al., 2021, equation 1).

    Parameters
    ----------
    images
        Shape (B, I, T, S).
    weight
        Shape (C, I, P, P), like a convolution in PyTorch: each of C rows weights the pixels of one patch.
    bias
        Shape (C,), or None.

    Returns
    -------
    array of shape (B, N, C)

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    weight, images = _check_embedding(weight, images)
    return linear(patchify(images, weight.shape[-1]), weight.reshape(len(weight), -1), bias)


def patch_embed_backward(d_out: np.ndarray, images: np.ndarray, weight: np.ndarray
                         ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Backpropagate through :func:`patch_embed`.

    Parameters
    ----------
    d_out
        Gradient of the tokens, shape (B, N, C).
    images, weight
        The inputs of :func:`patch_embed`, shapes (B, I, T, S) and (C, I, P, P).

    Returns
    -------
    d_images, d_weight, d_bias
        Shapes (B, I, T, S), (C, I, P, P) and (C,).

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    weight, images = _check_embedding(weight, images)
    patches = patchify(images, weight.shape[-1])
    d_patches, d_weight, d_bias = linear_backward(d_out, patches, weight.reshape(len(weight), -1))
    grid = [side // weight.shape[-1] for side in images.shape[2:]]
    return unpatchify(d_patches, images.shape[1], grid), d_weight.reshape(weight.shape), d_bias


def conv2d(images: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, stride: int = 1) -> np.ndarray:
    """Slide a kernel over images in steps of ``stride`` pixels, without padding.

    With a stride as long as the kernel, the windows are the patches: flattened, the result is :func:`patch_embed`.

    Parameters
    ----------
    images
        Shape (B, I, height, width).
    weight
        Shape (C, I, K, K).
    bias
        Shape (C,), or None.
    stride
        Step in pixels, at least 1.

    Returns
    -------
    array of shape (B, C, (height - K) // stride + 1, (width - K) // stride + 1)

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    weight, images = _check_embedding(weight, images)
    out = np.tensordot(_windows(images, weight.shape[-1], stride), weight, axes=([1, 4, 5], [1, 2, 3]))
    out = out.transpose(0, 3, 1, 2)  # (B, rows, columns, C) -> (B, C, rows, columns)
    return out if bias is None else out + check_shape("bias", bias, len(weight))[:, None, None]


def conv2d_backward(d_out: np.ndarray, images: np.ndarray, weight: np.ndarray, stride: int = 1
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Backpropagate through :func:`conv2d`.

    Parameters
    ----------
    d_out
        Gradient of the output, shape (B, C, rows, columns).
    images, weight, stride
        The inputs of :func:`conv2d`.

    Returns
    -------
    d_images, d_weight, d_bias
        The shapes of ``images`` and ``weight``, and (C,).

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    weight, images = _check_embedding(weight, images)
    kernel = weight.shape[-1]
    windows = _windows(images, kernel, stride)  # (B, I, rows, columns, K, K)
    rows, columns = windows.shape[2:4]
    d_out = check_shape("d_out", d_out, len(images), len(weight), rows, columns)
    d_weight = np.tensordot(d_out, windows, axes=([0, 2, 3], [0, 2, 3]))
    d_windows = np.tensordot(d_out, weight, axes=([1], [0]))  # (B, rows, columns, I, K, K)
    d_images = np.zeros_like(images)
    for row in range(kernel):  # windows may overlap, so each pixel of the kernel adds to every pixel it met
        for column in range(kernel):
            met = np.s_[:, :, row:row + stride * rows:stride, column:column + stride * columns:stride]
            d_images[met] += d_windows[..., row, column].transpose(0, 3, 1, 2)
    return d_images, d_weight, d_out.sum(axis=(0, 2, 3))


def _windows(images: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Return a view of every window that the kernel covers, (B, I, rows, columns, K, K)."""
    check_at_least(1, stride=stride)
    if min(images.shape[2:]) < kernel:
        raise ValueError(f"images has shape {images.shape}; expected at least {kernel} pixels per side, as weight has")
    windows = np.lib.stride_tricks.sliding_window_view(images, (kernel, kernel), axis=(2, 3))
    return windows[:, :, ::stride, ::stride]


def _check_embedding(weight: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight = check_shape("weight", weight, "C", "I", "P", "P")
    if weight.shape[2] != weight.shape[3]:
        raise ValueError(f"weight has shape {weight.shape}; expected (C, I, P, P), as wide as it is high")
    return weight, check_shape("images", images, "B", weight.shape[1], "T", "S")
