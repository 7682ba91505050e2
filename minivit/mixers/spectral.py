"""Mixing by the Fourier transform: a global filter (Rao et al., 2021).

Axes: B batch, P prefix tokens, R x S rows and columns of patches, N = P + R S tokens, C channels.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from minivit.mixers.base import Grid, TokenMixer, check_tokens, count_tokens, no_map
from minivit.options import check_at_least


class SpectralMixer(TokenMixer):
    r"""Multiply the Fourier transform of the patches by a learned filter, channel by channel.

    .. math:: Y = \mathcal F^{-1}\big(\mathcal F(K) \odot \mathcal F(X)\big)

    That is the circular convolution of the grid of patches with a kernel K as large as the grid: each patch takes from
    all others, by weights that depend on the way from one to the other alone. The kernel is kept in space, where it is
    real and keeps its meaning on another grid.

    Tokens without a place have none in the grid: each reads the mean of the filtered patches and is added its own
    value, scaled by channel. The transform is done in float32 at least.

    Parameters
    ----------
    dim
        Channels C.
    num_heads
        Of no effect: each channel has a kernel of its own.
    grid, prefix_tokens
        (R, S) and P.

    References
    ----------
    Rao et al., "Global Filter Networks for Image Classification", NeurIPS 2021.
    """

    bound_to_grid = True
    grid_weights = ("kernel",)

    def __init__(self, dim: int, num_heads: int = 1, *, grid: Grid, prefix_tokens: int = 0):
        super().__init__()
        check_at_least(1, dim=dim)
        self.num_tokens = count_tokens(grid, prefix_tokens)
        self.grid, self.prefix_tokens = tuple(grid), prefix_tokens
        # In the spectrum each number then has deviation 1: the output is as large as the input.
        self.kernel = nn.Parameter(torch.randn(*grid, dim) * (grid[0] * grid[1]) ** -0.5)
        self.prefix_scale = nn.Parameter(torch.ones(dim)) if prefix_tokens else None

    def forward(self, x: Tensor, *, return_attention: bool = False) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        no_map(self, return_attention)
        check_tokens(self, x)
        prefix, patches = x[:, :self.prefix_tokens], x[:, self.prefix_tokens:]
        wide = torch.promote_types(x.dtype, torch.float32)
        grid = patches.to(wide).unflatten(1, self.grid)                                # (B, R S, C) -> (B, R, S, C)
        spectrum = torch.fft.rfft2(self.kernel.to(wide), dim=(0, 1)) * torch.fft.rfft2(grid, dim=(1, 2))
        mixed = torch.fft.irfft2(spectrum, s=self.grid, dim=(1, 2)).flatten(1, 2).to(x.dtype)
        if self.prefix_scale is None:
            return mixed
        return torch.cat([mixed.mean(dim=1, keepdim=True) + self.prefix_scale * prefix, mixed], dim=1)

    def fit(self, name: str, weight: Tensor, between: Callable[[int], Tensor]) -> Tensor:
        """Keep the kernel around its centre, the way of no length, and what the larger grid adds is zero."""
        fitted = weight.new_zeros(self.kernel.shape)
        steps = [torch.arange(-((min(old, new) - 1) // 2), min(old, new) // 2 + 1)
                 for old, new in zip(weight.shape[:2], self.grid, strict=True)]
        rows, columns = steps[0][:, None], steps[1][None, :]
        fitted[rows, columns] = weight[rows, columns]  # a negative step counts from the end: the kernel is circular
        return fitted
