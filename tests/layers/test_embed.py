import numpy as np
import pytest
import torch

from minivit.layers import PatchDropout, PatchEmbed, sine_positions
from minivit.layers.embed import FirstRows
from minivit.models import create_model

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


def test_images_that_are_not_normalised_are_refused():
    with pytest.raises(ValueError, match="images has dtype torch.uint8; .*normalize"):
        PatchEmbed(35, 5)(torch.zeros(B, IN, 35, 35, dtype=torch.uint8))


@pytest.mark.parametrize("image_size, grid", [(35, (7, 7)), ((15, 35), (3, 7)), ([35, 15], (7, 3))])
def test_patches_are_read_row_by_row(image_size, grid):
    torch.manual_seed(0)
    embed = PatchEmbed(image_size, 5, in_channels=IN, dim=C)
    assert embed.grid == grid and embed.num_patches == grid[0] * grid[1]
    images = torch.randn(B, *embed.image_shape)
    at = images[:, :, 10:15, 5:10].flatten(1) @ embed.proj.weight.flatten(1).T + embed.proj.bias
    torch.testing.assert_close(embed(images)[:, 2 * grid[1] + 1], at)


def test_the_product_of_sine_positions_depends_on_how_far_apart_they_are():
    dim, (rows, columns) = 20, (3, 7)
    positions = sine_positions((rows, columns), dim)
    assert positions.shape == (1, rows * columns, dim)
    products = (positions @ positions.mT).view(rows, columns, rows, columns)
    torch.testing.assert_close(products[0, 1, 2, 5], products[2, 2, 0, 6])   # two rows and four columns apart
    assert products[0, 1, 2, 5] != pytest.approx(products[0, 1, 0, 3])
    y, x = 2, 5
    place = positions[0, y * columns + x].view(4, dim // 4)
    slow = 10000 ** -0.75                                                    # the last frequency but one
    want = [np.sin(x * slow), np.cos(x * slow), np.sin(y * slow), np.cos(y * slow)]
    np.testing.assert_allclose(place[:, 3], want, rtol=1e-5)


@pytest.mark.parametrize("image_size, patch_size", [(32, 5), (32, 0), (0, 4)])
def test_patch_must_divide_image(image_size, patch_size):
    with pytest.raises(ValueError, match=f"patch_size={patch_size}.*image_size={image_size}|(patch|image)_size=0 "):
        PatchEmbed(image_size, patch_size)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.75, 0.99])
def test_patch_dropout_rounds_as_numpy_does(rate):
    for tokens in range(1, 60):
        kept = PatchDropout(rate)(torch.zeros(1, tokens, 1)).shape[1]
        assert kept == max(1, tokens - int(np.round(rate * tokens)))


def test_patch_dropout_keeps_so_many_of_each_images_own_patches():
    torch.manual_seed(0)
    dropout = PatchDropout(0.3)
    patches = torch.arange(B * 11 * C).reshape(B, 11, C).double()
    kept = dropout(patches)
    assert kept.shape == (B, 8, C)  # 11 - round(3.3)
    for image in range(B):
        rows = {tuple(row.tolist()) for row in kept[image]}
        assert len(rows) == 8 and rows < {tuple(row.tolist()) for row in patches[image]}
    first = (dropout(patches.expand(1, -1, -1, -1)[0])[:, 0, 0] for _ in range(50))
    assert len({tuple(x.tolist()) for x in first}) > 20  # drawn anew, for each image
    assert torch.equal(dropout.eval()(patches), patches)


def test_gradients_go_where_the_kept_patches_came_from():
    torch.manual_seed(0)
    x, order = torch.randn(3, 11, 5, dtype=torch.float64, requires_grad=True), torch.rand(3, 11).argsort(dim=1)
    out = FirstRows.apply(x, order, 4)
    expected = x.gather(1, order[:, :4, None].expand(-1, -1, 5))
    assert torch.equal(out, expected)
    d_out = torch.randn_like(out)
    assert torch.equal(*(torch.autograd.grad(y, x, d_out)[0] for y in (out, expected)))


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_patch_dropout_is_a_share(rate):
    with pytest.raises(ValueError, match=f"rate={rate}"):
        PatchDropout(rate)
    assert PatchDropout(0.99)(torch.zeros(B, 7, C)).shape[1] == 1


@pytest.mark.parametrize("size", ["nano", "tiny"])
def test_a_model_without_some_patches_is_the_model_on_the_others(size):
    torch.manual_seed(0)
    model = create_model(f"vit_{size}_patch4_32", depth=2, dropout=0.0).double()
    images = torch.randn(B, 3, 32, 32, dtype=torch.float64)
    want = model(images)
    model.patch_dropout.rate = 1e-9  # the patches in another order: attention does not know it
    torch.testing.assert_close(model(images), want)
