"""Fewer keys and values than queries (spatial-reduction attention of PVT; Wang et al., 2021).

Axes: B batch, R x S rows and columns of the grid, N = R * S tokens, r ratio, M = N / r**2 keys, C channels.
"""

from math import isqrt

from torch import Tensor, nn

from minivit.options import check_at_least, image_sides


class SpatialReduction(nn.Module):
    """Merge each square of r x r tokens into one, which gives the key and value for all of them.

    One matrix maps the r * r * C numbers of a square to C, written as a convolution whose stride equals its kernel;
    LayerNorm follows.

    Parameters
    ----------
    dim
        Channels C.
    ratio
        Side r of a square, in tokens.
    grid
        Rows and columns of the tokens; None for a square grid of any size.

    Raises
    ------
    ValueError
        If a number is out of range, or the tokens don't form such a grid.
    """

    def __init__(self, dim: int, ratio: int, grid: tuple[int, int] | None = None):
        super().__init__()
        check_at_least(1, dim=dim, ratio=ratio)
        self.grid = None if grid is None else image_sides(grid, "grid")
        self.conv = nn.Conv2d(dim, dim, kernel_size=ratio, stride=ratio)
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, R * S, C), row by row, to (B, R / r * S / r, C)."""
        tokens, ratio = x.shape[1], self.conv.stride[0]
        rows, columns = (isqrt(tokens),) * 2 if self.grid is None else self.grid
        if rows * columns != tokens or rows % ratio or columns % ratio:
            shape = "square grid whose side is a multiple" if rows == columns else (
                f"grid of {rows} x {columns} tokens whose sides are multiples")
            raise ValueError(f"x of {tokens} tokens is not a {shape} of ratio={ratio}")
        grid = x.mT.unflatten(2, (rows, columns))        # (B, N, C) -> (B, C, R, S)
        return self.norm(self.conv(grid).flatten(2).mT)  # (B, C, R / r, S / r) -> (B, M, C)
