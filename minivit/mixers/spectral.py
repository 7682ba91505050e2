"""Mixing by the Fourier transform: a global filter (Rao et al., 2021).

Axes: B batch, P prefix tokens, R x S rows and columns of patches, N = P + R S tokens, C channels.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from minivit.mixers.base import Grid, TokenMixer, check_tokens, count_tokens
from minivit.options import check_at_least


class SpectralMixer(TokenMixer):
    r"""Multiply the Fourier transform of the patches by a learned filter, channel by channel.

    .. math:: Y = \mathcal F^{-1}\big(\mathcal F(K) \odot \mathcal F(X)\big)

    This is the circular convolution of the grid of patches with a kernel K as large as the grid: each patch reads all
    others, with weights that depend only on the offset between the two. The kernel is stored in space, where it is
    real and keeps its meaning on another grid.

    Prefix tokens are not on the grid. Each becomes the mean of the filtered patches plus its own value, scaled channel
    by channel. The transform is computed in float32 or wider.

    Parameters
    ----------
    dim
        Channels C.
    num_heads
        Ignored: each channel has its own kernel.
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
        # Each coefficient of the spectrum then has standard deviation 1, so that the output is as large as the input.
        self.kernel = nn.Parameter(torch.randn(*grid, dim) * (grid[0] * grid[1]) ** -0.5)
        self.prefix_scale = nn.Parameter(torch.ones(dim)) if prefix_tokens else None

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
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
        """Keep the kernel around offset zero: crop it for a smaller grid, pad it with zeros for a larger one."""
        fitted = weight.new_zeros(self.kernel.shape)
        offsets = [torch.arange(-((min(old, new) - 1) // 2), min(old, new) // 2 + 1)
                   for old, new in zip(weight.shape[:2], self.grid, strict=True)]
        rows, columns = offsets[0][:, None], offsets[1][None, :]
        fitted[rows, columns] = weight[rows, columns]  # negative offsets count from the end: the kernel is circular
        return fitted
