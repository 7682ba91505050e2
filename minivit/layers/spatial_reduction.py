"""Fewer keys and values than queries (spatial-reduction attention of PVT; Wang et al., 2021).

Axes: B batch, S side of the grid, N = S * S tokens, r ratio, M = N / r**2 keys, C channels.
"""

from math import isqrt

from torch import Tensor, nn


class SpatialReduction(nn.Module):
    """Merge each square of r x r tokens into one, which is asked in their place.

    One matrix maps the r * r * C numbers of a square to C, written as a convolution whose stride equals its kernel;
    LayerNorm follows.

    Parameters
    ----------
    dim
        Channels C.
    ratio
        Side r of a square, in tokens.
    """

    def __init__(self, dim: int, ratio: int):
        super().__init__()
        if ratio < 1:
            raise ValueError(f"ratio={ratio} must be at least 1")
        self.conv = nn.Conv2d(dim, dim, kernel_size=ratio, stride=ratio)
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, S * S, C), row by row, to (B, (S / r)**2, C)."""
        side, ratio = isqrt(x.shape[1]), self.conv.stride[0]
        if side**2 != x.shape[1] or side % ratio:
            raise ValueError(f"x of {x.shape[1]} tokens is no square grid whose side is a multiple of ratio={ratio}")
        grid = x.mT.unflatten(2, (side, side))         # (B, N, C) -> (B, C, S, S)
        return self.norm(self.conv(grid).flatten(2).mT)  # (B, C, S / r, S / r) -> (B, M, C)
