"""From an image to tokens (Dosovitskiy et al., 2021, equation 1), and to fewer of them.

Axes: B batch, N tokens, C channels (dim), P patch size in pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from minivit import draws
from minivit.options import check_at_least, check_rate, image_sides, patch_grid


class PatchEmbed(nn.Module):
    """Cut the image into squares and project each to a token with one matrix.

    The projection is written as a convolution whose stride equals its kernel: the same numbers in one call.

    Parameters
    ----------
    image_size
        Side of the image in pixels, or (height, width); each a multiple of ``patch_size``.
    patch_size
        Side of a patch in pixels.
    in_channels
        Channels of the image.
    dim
        Channels C of a token.

    Attributes
    ----------
    grid
        Rows and columns of patches.
    num_patches
        N, their product.

    Raises
    ------
    ValueError
        If the patch doesn't divide the image, or if images of another size are passed in.
    """

    def __init__(self, image_size: int | Sequence[int], patch_size: int, *, in_channels: int = 3, dim: int = 768):
        super().__init__()
        check_at_least(1, in_channels=in_channels, dim=dim)
        self.grid = patch_grid(image_size, patch_size)
        self.image_shape = (in_channels, *image_sides(image_size))
        self.num_patches = self.grid[0] * self.grid[1]
        self.proj = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, in_channels, height, width) to tokens (B, N, C), row by row."""
        check_images(images, self.image_shape)
        return self.proj(images).flatten(2).mT  # (B, C, rows, columns) -> (B, N, C)


def sine_positions(grid: tuple[int, int], dim: int) -> Tensor:
    r"""Return a position embedding for each patch, (1, N, C): sines and cosines of its column, then of its row.

    .. math:: \sin(x \omega_i), \quad \cos(x \omega_i), \quad \sin(y \omega_i), \quad \cos(y \omega_i), \qquad
              \omega_i = 10000^{-i / (C/4 - 1)}, \quad 0 \le i < C/4

    As in Beyer et al. (2022, *Better plain ViT baselines for ImageNet-1k*).

    Parameters
    ----------
    grid
        Rows and columns of patches.
    dim
        Channels C, a multiple of 4 and at least 8.

    Raises
    ------
    ValueError
        If ``dim`` is neither.
    """
    if dim % 4 or dim < 8:
        raise ValueError(f"dim={dim} must be a multiple of 4, at least 8, for sine positions")
    frequencies = 10000 ** -torch.linspace(0, 1, dim // 4)
    rows, columns = (torch.arange(side)[:, None] * frequencies for side in grid)             # (R, C/4) and (S, C/4)
    y, x = rows[:, None].expand(-1, grid[1], -1), columns.expand(grid[0], -1, -1)            # (R, S, C/4) each
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], dim=2).flatten(0, 1)[None]


class PatchDropout(nn.Module):
    """In training, keep a random subset of each image's patches, drawn anew each time (Liu et al., 2023).

    Most of the work in a training step is proportional to the number of tokens, and neighbouring patches carry much the
    same information. The patches already have their position embeddings, so nothing else in the model changes. In
    evaluation all patches are kept.

    Parameters
    ----------
    rate
        Fraction of each image's patches to drop, in [0, 1); at least one patch is kept.
    """

    def __init__(self, rate: float = 0.0):
        super().__init__()
        check_rate(rate=rate)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Map patches (B, N, C) to (B, n, C), n = N - round(rate N), in random order."""
        if not self.training or self.rate == 0:
            return x
        batch, tokens, _ = x.shape
        keep = max(1, tokens - round(self.rate * tokens))
        order = draws.rand(batch, tokens, device=x.device).argsort(dim=1)
        return FirstRows.apply(x, order, keep)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3g}"


class FirstRows(torch.autograd.Function):
    """Permute each image's tokens separately and keep the first ones.

    The backward pass of PyTorch's ``gather`` scatters and adds, which on a GPU is either slow or nondeterministic. But
    no token is gathered twice, so this one gathers the gradients instead.
    """

    @staticmethod
    def forward(ctx, x: Tensor, order: Tensor, keep: int) -> Tensor:
        """Map tokens (B, N, C), permuted by ``order`` (B, N), to the first (B, keep, C)."""
        ctx.save_for_backward(order)
        ctx.keep = keep
        return x.gather(1, order[:, :keep, None].expand(-1, -1, x.shape[2]))

    @staticmethod
    def backward(ctx, d_out: Tensor) -> tuple[Tensor, None, None]:
        """Map gradients (B, keep, C) to (B, N, C)."""
        place = ctx.saved_tensors[0].argsort(dim=1)[..., None]  # of each token in the permutation
        fetched = d_out.gather(1, place.clamp(max=ctx.keep - 1).expand(-1, -1, d_out.shape[2]))
        return torch.where(place < ctx.keep, fetched, 0), None, None


def check_images(images: Tensor, shape: tuple[int, int, int]) -> None:
    """Raise an error unless the images are floating point and of a model's ``shape``, (in_channels, height, width)."""
    if not images.is_floating_point():
        raise ValueError(f"images has dtype {images.dtype}; a model takes floating-point images, normalised as in "
                         "training: see minivit.data.augment.normalize")
    if images.ndim != 4 or images.shape[1:] != shape:
        raise ValueError(f"images has shape {tuple(images.shape)}; this model takes (B, {', '.join(map(str, shape))}). "
                         "For images of another size, make a model with that image_size and fit its weights with "
                         "minivit.models.interpolate_weights")
