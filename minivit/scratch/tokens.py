"""What happens to tokens before the first block and after the last: class token, positions, pooling.

Axes: B batch, N tokens, C channels.
"""

import numpy as np

from minivit.options import check_at_least
from minivit.scratch.arrays import check_shape


def add_class_token(x: np.ndarray, cls_token: np.ndarray) -> np.ndarray:
    """Prepend one token, the same for all images, to the patches of every image, to collect the answer.

    Parameters
    ----------
    x
        Tokens of the patches, shape (B, N - 1, C).
    cls_token
        Shape (1, 1, C).

    Returns
    -------
    array of shape (B, N, C)

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    x = check_shape("x", x, "B", "N", "C")
    cls_token = check_shape("cls_token", cls_token, 1, 1, x.shape[-1])
    return np.concatenate([np.broadcast_to(cls_token, (len(x), 1, x.shape[-1])), x], axis=1)


def add_class_token_backward(d_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split the gradient (B, N, C) into those of the patches, (B, N - 1, C), and of the class token, (1, 1, C)."""
    d_out = check_shape("d_out", d_out, "B", "N", "C")
    return d_out[:, 1:], d_out[:, :1].sum(axis=0, keepdims=True)


def add_positions(x: np.ndarray, pos_embed: np.ndarray) -> np.ndarray:
    """Tell every token where it is, by adding a vector for its position.

    Parameters
    ----------
    x
        Tokens, shape (B, N, C).
    pos_embed
        Shape (1, N, C): learned, or :func:`sine_positions`.

    Returns
    -------
    array of shape (B, N, C)

    Raises
    ------
    ValueError
        Naming the argument whose shape does not fit.
    """
    x = check_shape("x", x, "B", "N", "C")
    return x + check_shape("pos_embed", pos_embed, 1, *x.shape[1:])


def add_positions_backward(d_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of the tokens, (B, N, C), and of the positions, (1, N, C), which all images share."""
    d_out = check_shape("d_out", d_out, "B", "N", "C")
    return d_out, d_out.sum(axis=0, keepdims=True)


def sine_positions(num_tokens: int, dim: int) -> np.ndarray:
    r"""Return position vectors that are not learned: waves from short to long (Vaswani et al., 2017, section 3.5).

    .. math:: e_{i,2m} = \sin(i\,\omega_m), \qquad e_{i,2m+1} = \cos(i\,\omega_m), \qquad \omega_m = 10000^{-2m/C}

    Parameters
    ----------
    num_tokens
        N.
    dim
        C, an even number.

    Returns
    -------
    array of shape (1, N, C)
        Values in [-1, 1].

    Raises
    ------
    ValueError
        If ``num_tokens`` is below 1, or ``dim`` is odd or below 2.
    """
    check_at_least(1, num_tokens=num_tokens, dim=dim)
    if dim % 2:
        raise ValueError(f"dim={dim} must be an even number, a sine and a cosine for each wave")
    frequency = 10_000.0 ** (-np.arange(0, dim, 2) / dim)  # ω, (C/2,)
    angle = np.arange(num_tokens)[:, None] * frequency     # (N, C/2)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(1, num_tokens, dim)


def class_token_pool(x: np.ndarray) -> np.ndarray:
    """Take the class token to represent the image: (B, N, C) -> (B, C)."""
    return check_shape("x", x, "B", "N", "C")[:, 0]


def class_token_pool_backward(d_out: np.ndarray, num_tokens: int) -> np.ndarray:
    """Pass the whole gradient (B, C) to the class token, none to the patches: (B, N, C)."""
    d_out = check_shape("d_out", d_out, "B", "C")
    check_at_least(1, num_tokens=num_tokens)
    d_x = np.zeros_like(d_out, shape=(len(d_out), num_tokens, d_out.shape[-1]))
    d_x[:, 0] = d_out
    return d_x


def mean_pool(x: np.ndarray) -> np.ndarray:
    """Average the patches, without the class token, to represent the image: (B, N, C) -> (B, C)."""
    x = check_shape("x", x, "B", "N", "C")
    if x.shape[1] < 2:
        raise ValueError(f"x has shape {x.shape}; expected a class token and at least one patch")
    return x[:, 1:].mean(axis=1)


def mean_pool_backward(d_out: np.ndarray, num_tokens: int) -> np.ndarray:
    """Share the gradient (B, C) evenly among the patches, with none for the class token: (B, N, C)."""
    d_out = check_shape("d_out", d_out, "B", "C")
    check_at_least(2, num_tokens=num_tokens)
    d_x = np.repeat(d_out[:, None] / (num_tokens - 1), num_tokens, axis=1)
    d_x[:, 0] = 0
    return d_x
