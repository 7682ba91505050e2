import pytest
import torch

from minivit.analysis import diagonality_loss

N = 5
EYE = torch.eye(N, dtype=torch.float64)


def by_hand(a):
    asymmetry = sum(abs(a[i, j] - a[j, i]) for i in range(N) for j in range(N))
    dominance = sum((N - 1) * a[i, i] - sum(a[i, j] for j in range(N) if j != i) for i in range(N))
    return asymmetry, dominance


def test_by_hand_and_mean_over_the_other_axes():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, N, N, dtype=torch.float64).softmax(-1)
    parts = [by_hand(a) for a in maps.flatten(0, 1)]
    torch.testing.assert_close(diagonality_loss(maps, "printed"), sum(s + d for s, d in parts) / 6)
    torch.testing.assert_close(diagonality_loss(maps, "reversed"), sum(s + d for s, d in parts) / 6 / N**2)
    torch.testing.assert_close(diagonality_loss(maps), sum(s - d for s, d in parts) / 6 / N**2)


def test_the_bounded_form_is_smallest_at_the_identity_and_bounded():
    smallest = -(1 - 1 / N)
    assert diagonality_loss(EYE) == pytest.approx(smallest)
    shifted = EYE.roll(1, 0)  # each token looks at its neighbour: no diagonal, not symmetric
    assert diagonality_loss(shifted) == pytest.approx(3 / N)
    assert diagonality_loss(torch.full_like(EYE, 1 / N)) == pytest.approx(0)
    torch.manual_seed(0)
    for spread in (0.1, 1, 10, 100):
        some = (spread * torch.randn(1000, 1, N, N, dtype=torch.float64)).softmax(-1)
        losses = torch.stack([diagonality_loss(a) for a in some])
        assert (losses > smallest).all() and (losses <= 3 / N).all()


def test_descent_goes_to_the_identity_in_one_form_and_away_from_it_in_the_other():
    ends = {}
    for form, rate in (("bounded", 5 * N**2), ("printed", 5)):
        torch.manual_seed(0)
        scores = torch.randn(N, N, dtype=torch.float64, requires_grad=True)
        for _ in range(200):
            gradient, = torch.autograd.grad(diagonality_loss(scores.softmax(-1), form), scores)
            scores = (scores - rate * gradient / N).detach().requires_grad_()
        ends[form] = scores.softmax(-1).diagonal()
    assert ends["bounded"].min() > 0.99
    assert ends["printed"].max() < 0.01


def test_printed_has_no_minimum_over_scores():
    losses = [diagonality_loss(-step * EYE, "printed").item() for step in (0, 1, 10, 100)]
    assert losses == pytest.approx([0, -20, -200, -2000])


@pytest.mark.parametrize("form", ["bounded", "printed", "reversed"])
def test_gradients(form):
    torch.manual_seed(0)
    scores = torch.randn(2, N, N, dtype=torch.float64, requires_grad=True)  # no two numbers alike, so no kinks
    assert torch.autograd.gradcheck(lambda s: diagonality_loss(s.softmax(-1), form), scores)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="form='bound'.*bounded, printed"):
        diagonality_loss(EYE, "bound")
    with pytest.raises(ValueError, match=r"\(5, 4\).*diagonal"):
        diagonality_loss(EYE[:, :4])
