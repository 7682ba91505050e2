import pytest
import torch

from minivit.analysis import attention_distance

GRID = (3, 5)
N = 15


@pytest.mark.parametrize("tokens", [N, N + 1])
def test_uniform_attention_by_hand(tokens):
    # Of n places in [0, 1], two drawn with replacement lie (n + 1) / (3 n) apart: 4/9 and 2/5 for 3 and 5. A sum over
    # all 225 pairs is 190, the mean over the 210 of two different patches 19/21.
    attn = torch.full((2, 7, tokens, tokens), 1 / tokens)
    torch.testing.assert_close(attention_distance(attn, GRID), torch.full((2, 7), 19 / 21 / tokens))


def test_a_token_that_attends_to_itself_alone_reaches_nowhere():
    assert attention_distance(torch.eye(N), GRID) == 0


def test_class_token_takes_weight_and_has_no_place():
    attn = torch.zeros(N + 1, N + 1)
    attn[:, 0] = 1
    attn[0] = 1 / (N + 1)
    assert attention_distance(attn, GRID) == 0


def test_it_is_the_mean_over_ordered_pairs():
    attn = torch.randn(2, N + 1, N + 1, dtype=torch.float64).softmax(-1)
    places = [(row / 2, column / 4) for row in range(3) for column in range(5)]
    pairs = [attn[:, 1 + i, 1 + j] * (abs(places[i][0] - places[j][0]) + abs(places[i][1] - places[j][1]))
             for i in range(N) for j in range(N) if i != j]
    torch.testing.assert_close(attention_distance(attn, GRID), torch.stack(pairs).mean(dim=0))


def test_opposite_ends_of_a_row_are_one_apart_and_corners_two():
    swap = torch.eye(2).flip(0)
    assert attention_distance(swap, (1, 2)) == 1
    assert attention_distance(torch.eye(4).flip(0), (2, 2)) == 2 / 3  # the bound, 2 / (N - 1)


@pytest.mark.parametrize("shape, grid", [((14, 14), GRID), ((17, 17), GRID), ((15, 16), GRID), ((15,), GRID),
                                         ((1, 1), (1, 1)), ((6, 6), (-2, -3))])
def test_a_grid_that_does_not_fit_is_named(shape, grid):
    with pytest.raises(ValueError, match=f"grid=\\({grid[0]}, {grid[1]}\\)"):
        attention_distance(torch.zeros(shape), grid)
