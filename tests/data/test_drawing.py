"""The geometry of the shapes."""

import numpy as np
import pytest

from minivit.data import drawing


@pytest.mark.parametrize("kind", range(len(drawing.KINDS)), ids=drawing.KINDS)
def test_silhouettes_have_area_one_and_end_at_their_reach(kind):
    """Drawn with 1009 pixels a side at 0.3 of the image, where counting pixels measures area to a percent."""
    size, scale = 1009, 0.3
    for angle in (0.0, 0.4):
        covers = drawing._silhouettes(np.array([[kind]]), np.full((1, 1, 2), 0.5), np.full((1, 1), scale),
                                      np.full((1, 1), angle), size)[0, 0]
        assert covers.sum() / size**2 == pytest.approx(scale**2, rel=0.01)
        y, x = np.nonzero(covers)
        reach = np.hypot((x + 0.5) / size - 0.5, (y + 0.5) / size - 0.5).max()
        assert reach == pytest.approx(scale * drawing.REACH[kind], rel=0.01)


def test_numbers_decide_everything():
    numbers = np.random.default_rng(0).random((7, drawing.numbers_needed(29)))
    together, alone = drawing.draw(numbers, 29), drawing.draw(numbers[3:4], 29)
    np.testing.assert_array_equal(together.images[3:4], alone.images)
    np.testing.assert_array_equal(together.visible[3:4], alone.visible)


def test_largest_shape_stays_clearly_the_largest_and_each_pixel_has_one_owner():
    seen = drawing.draw(np.random.default_rng(1).random((1000, drawing.numbers_needed(32))), 32)
    areas = seen.visible.sum((2, 3))
    assert (areas[:, 0] >= 1.5 * areas[:, 1:].max(1)).all()
    assert seen.visible.sum(1).max() == 1
    np.testing.assert_array_equal(areas > 0, seen.kinds >= 0)


def test_choose_apart_takes_the_first_that_fits_else_the_farthest():
    candidates = np.array([[[[0.0], [9.0]], [[0.1], [0.7]], [[0.3], [0.4]]]])
    chosen = drawing._choose_apart(candidates, apart=np.full((1, 3, 3), 0.5))
    np.testing.assert_allclose(chosen, [[[0.0], [0.7], [0.3]]])
    away = drawing._choose_apart(candidates, apart=np.zeros((1, 3, 3)), avoid=np.zeros((1, 1, 1)),
                                 apart_from_avoided=0.5)
    np.testing.assert_allclose(away, [[[9.0], [0.7], [0.4]]])
