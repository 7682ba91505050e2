import pytest
import torch

from minivit.layers import PatchEmbed

B, IN, P, GRID, C = 2, 3, 5, 7, 11


def test_is_one_matrix_on_each_patch_row_by_row():
    torch.manual_seed(0)
    embed = PatchEmbed(GRID * P, P, in_channels=IN, dim=C).double()
    images = torch.randn(B, IN, GRID * P, GRID * P, dtype=torch.float64)
    tokens = embed(images)
    assert tokens.shape == (B, GRID**2, C)
    row, column = 2, 6
    patch = images[:, :, row * P:(row + 1) * P, column * P:(column + 1) * P].flatten(1)
    want = patch @ embed.proj.weight.flatten(1).T + embed.proj.bias
    torch.testing.assert_close(tokens[:, row * GRID + column], want)


@pytest.mark.parametrize("shape", [(B, IN, 30, 35), (B, 1, 35, 35), (IN, 35, 35)])
def test_other_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"images has shape .*\(B, 3, 35, 35\)"):
        PatchEmbed(35, 5)(torch.zeros(shape))


@pytest.mark.parametrize("image_size, patch_size", [(32, 5), (32, 0), (0, 4)])
def test_patch_must_divide_image(image_size, patch_size):
    with pytest.raises(ValueError, match=f"patch_size={patch_size} .*image_size={image_size}"):
        PatchEmbed(image_size, patch_size)
