import pytest
import torch

from minivit.mixers import SpectralMixer

C = 3


def make(grid, prefix_tokens=0):
    torch.manual_seed(0)
    return SpectralMixer(C, grid=grid, prefix_tokens=prefix_tokens).double()


@pytest.mark.parametrize("grid", [(3, 5), (4, 6), (1, 7), (5, 2)])
def test_it_is_a_circular_convolution(grid):
    layer, x = make(grid), torch.randn(2, *grid, C, dtype=torch.float64)
    want = sum(layer.kernel[r, s] * x.roll((r, s), dims=(1, 2)) for r in range(grid[0]) for s in range(grid[1]))
    torch.testing.assert_close(layer(x.flatten(1, 2)), want.flatten(1, 2))


def test_it_moves_with_the_image():
    layer, x = make((4, 6)), torch.randn(2, 4, 6, C, dtype=torch.float64)
    moved = layer(x.roll((1, 2), dims=(1, 2)).flatten(1, 2)).unflatten(1, (4, 6))
    torch.testing.assert_close(moved, layer(x.flatten(1, 2)).unflatten(1, (4, 6)).roll((1, 2), dims=(1, 2)))


def test_the_prefix_reads_the_mean_of_the_filtered_patches():
    layer, x = make((3, 5), prefix_tokens=2), torch.randn(2, 17, C, dtype=torch.float64)
    out = layer(x)
    torch.testing.assert_close(out[:, :2], out[:, 2:].mean(1, keepdim=True) + x[:, :2])
    patches = SpectralMixer(C, grid=(3, 5)).double()
    patches.kernel = layer.kernel
    torch.testing.assert_close(out[:, 2:], patches(x[:, 2:]))


@pytest.mark.parametrize("before, after", [((3, 5), (5, 7)), ((4, 6), (7, 8)), ((5, 7), (3, 3))])
def test_a_small_kernel_stays_itself_on_another_grid(before, after):
    small, large = make(before), make(after)
    with torch.no_grad():
        small.kernel.zero_()
        for r, s in ((0, 0), (1, 0), (0, -1), (-1, 1)):
            small.kernel[r, s] = torch.randn(C)
        large.kernel.copy_(large.fit("kernel", small.kernel, None))
    for r, s in ((0, 0), (1, 0), (0, -1), (-1, 1), (1, 1)):
        assert torch.equal(large.kernel[r, s], small.kernel[r, s])
    assert large.kernel.count_nonzero() == 4 * C
