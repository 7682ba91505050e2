import pytest
import torch
from torch import nn

from minivit.mixers import TokenMlp

GRID, C = (2, 3), 5


def make(**options):
    torch.manual_seed(0)
    return TokenMlp(C, grid=GRID, prefix_tokens=1, hidden_tokens=11, **options).double()


def test_without_the_nonlinearity_it_is_one_fixed_map():
    layer, x = make(), torch.randn(4, 7, C, dtype=torch.float64)
    layer.mlp.act = nn.Identity()
    fc1, fc2 = layer.mlp.fc1, layer.mlp.fc2
    want = (fc2.weight @ fc1.weight) @ x + (fc2.weight @ fc1.bias + fc2.bias)[:, None]
    torch.testing.assert_close(layer(x), want)


def test_places_count():
    layer, x, order = make(), torch.randn(4, 7, C, dtype=torch.float64), torch.tensor([0, 2, 1, 3, 4, 5, 6])
    assert (layer(x[:, order]) - layer(x)[:, order]).abs().max() > 1e-2


def test_channels_do_not_see_each_other():
    layer, x = make(), torch.randn(4, 7, C, dtype=torch.float64)
    torch.testing.assert_close(layer(x[..., [3, 0, 1, 2, 4]]), layer(x)[..., [3, 0, 1, 2, 4]])


def test_on_a_finer_grid_it_maps_interpolated_tokens_to_interpolated_ones():
    coarse, fine = make(), TokenMlp(C, grid=(4, 6), prefix_tokens=1, hidden_tokens=11).double()
    there = torch.randn(25, 7, dtype=torch.float64)  # any R of full rank
    weights = coarse.state_dict()
    for name in coarse.grid_weights:
        weights[name] = fine.fit(name, weights[name], lambda before: there)
    fine.load_state_dict(weights)
    x = torch.randn(4, 7, C, dtype=torch.float64)
    torch.testing.assert_close(fine(there @ x), there @ coarse(x))


@pytest.mark.parametrize("dim, hidden_tokens, width", [(14, None, 7), (5, None, 2), (1, None, 1), (14, 11, 11)])
def test_it_is_half_as_wide_as_the_channels_unless_it_is_told(dim, hidden_tokens, width):
    mlp = TokenMlp(dim, grid=GRID, hidden_tokens=hidden_tokens).mlp
    assert (mlp.fc1.in_features, mlp.fc1.out_features) == (6, width)
