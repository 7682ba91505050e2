import matplotlib
import numpy as np
import pytest
import torch

from minivit.figures import (
    COLORS,
    pack_picture,
    plot_by_layer,
    plot_robustness,
    plot_rollout,
    plot_simplex,
    show_table,
    to_plane,
)

matplotlib.use("Agg")


@pytest.fixture
def ax():
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_corners_are_one_apart_and_uniform_is_in_the_middle():
    corners, centre = to_plane(np.eye(3)), to_plane(np.full(3, 1 / 3))
    distances = np.linalg.norm(corners[:, None] - corners[None], axis=-1)
    np.testing.assert_allclose(distances, 1 - np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(corners - centre, axis=-1), 1 / np.sqrt(3))


def test_the_triangle_is_coloured_by_the_function_on_attention(ax):
    seen = []

    def value(probs):
        seen.append(probs)
        return probs[:, 0]

    mesh = plot_simplex(ax, value, steps=7)
    (probs,) = seen
    assert probs.shape == (36, 3) and (probs >= 0).all()  # 8 * 9 / 2 points
    np.testing.assert_allclose(probs.sum(axis=1), 1)
    np.testing.assert_allclose(mesh.get_array(), probs[:, 0])


def test_curves_show_each_repeat_and_their_mean(ax):
    values = np.array([[1.0, 2.0, 4.0], [3.0, 4.0, 6.0]])
    plot_by_layer(ax, {"plain": values}, {"plain": "black"}, ylabel="entropy [nats]", bound=7.0, bound_label="bound")
    lines = [line.get_ydata() for line in ax.lines]
    np.testing.assert_array_equal(lines[:3], [*values, values.mean(axis=0)])
    np.testing.assert_array_equal(lines[3], [7.0, 7.0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["plain", "bound"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("layer", "entropy [nats]")


def test_curves_may_begin_at_any_layer_and_have_a_bound_for_each(ax):
    plot_by_layer(ax, {"cb": [1.0, 2.0, 4.0]}, COLORS, ylabel="entropy [nats]", bound=[5.0, 3.0, 4.0], layers=[4, 5, 7])
    curve, bound = ax.lines[-2:]
    np.testing.assert_array_equal(curve.get_xdata(), [4, 5, 7])
    np.testing.assert_array_equal(bound.get_xydata(), [[4, 5], [5, 3], [7, 4]])
    assert list(ax.get_xticks()) == [4, 5, 7]


def test_any_number_of_curves_can_be_drawn(ax):
    names = [f"variant {i}" for i in range(7)]
    plot_by_layer(ax, {name: [1.0, 2.0] for name in names}, dict.fromkeys(names, "black"), ylabel="entropy [nats]")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == names


def test_bars_are_means_and_repeats_are_dots(ax):
    results = {"plain": {"clean": [50.0, 60.0, 70.0], "fgsm": 20.0}, "cb": {"clean": [62.0, 64.0], "fgsm": 30.0}}
    plot_robustness(ax, results, COLORS)
    assert [bar.get_width() for bar in ax.patches] == [60, 20, 63, 30]
    np.testing.assert_array_equal(np.concatenate([line.get_xdata() for line in ax.lines]), [50, 60, 70, 62, 64])
    centres = [bar.get_y() + bar.get_height() / 2 for bar in ax.patches]
    np.testing.assert_allclose(centres, [-0.2, 0.8, 0.2, 1.2])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["clean", "FGSM"] and ax.yaxis_inverted()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["plain", "cb"]


@pytest.mark.parametrize("channels, shape", [(1, (8, 6)), (3, (8, 6, 3))])
def test_a_rollout_stands_beside_its_image(channels, shape):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2)
    image, weights = np.full((channels, 8, 6), 7, np.uint8), np.arange(6).reshape(2, 3) / 15
    mesh = plot_rollout(axes, image, weights, vmax=0.5)
    assert axes[0].images[0].get_array().shape == shape
    np.testing.assert_array_equal(mesh.get_array(), weights)
    assert mesh.get_clim() == (0, 0.5)
    plt.close(figure)


def test_a_table_is_markdown_of_what_its_cells_say(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    show_table(["name", "n"], [["`cb`", 3], ["plain", None]])
    assert [table.data for table in shown] == ["| name | n |\n| --- | --- |\n| `cb` | 3 |\n| plain | None |"]
    with pytest.raises(ValueError, match=r"row \['cb'\] has 1 cells.*\['name', 'n'\] has 2"):
        show_table(["name", "n"], [["cb"]])


def test_what_torch_computed_is_drawn_as_it_is(ax):
    curve = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.bfloat16, requires_grad=True)
    plot_by_layer(ax, {"a": curve}, {"a": "red"}, ylabel="y")
    np.testing.assert_array_equal(ax.lines[-1].get_ydata(), [2, 3])
    np.testing.assert_array_equal(to_plane(torch.eye(3, requires_grad=True)), to_plane(np.eye(3)))


def test_models_may_list_their_conditions_in_any_order(ax):
    plot_robustness(ax, {"a": {"clean": 80, "fgsm": 20}, "b": {"fgsm": 30, "clean": 90}}, {"a": "red", "b": "blue"})
    assert [bar.get_width() for bar in ax.patches] == [80, 20, 90, 30]
    with pytest.raises(ValueError, match=r"results\['b'\] has the conditions \['clean'\]; all .* \['clean', 'fgsm'\]"):
        plot_robustness(ax, {"a": {"clean": 80, "fgsm": 20}, "b": {"clean": 90}}, {"a": "red", "b": "blue"})


def test_an_image_of_floats_is_shown_as_one_of_bytes():
    import matplotlib.pyplot as plt

    image = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    figure, axes = plt.subplots(1, 2)
    plot_rollout(axes, torch.tensor(image, dtype=torch.float32, requires_grad=True), torch.ones(2, 3))
    np.testing.assert_array_equal(axes[0].images[0].get_array(), image.transpose(1, 2, 0))
    with pytest.raises(ValueError, match=r"shape \(5, 7, 3\); expected \(C, H, W\) with one or three"):
        plot_rollout(axes, image.transpose(1, 2, 0), torch.ones(2, 3))
    plt.close(figure)


def test_rows_may_come_from_generators(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    show_table(["a", "b"], ((cell for cell in row) for row in ((1, 2), (3, 4))))
    assert shown[0].data.endswith("| 1 | 2 |\n| 3 | 4 |")


@pytest.mark.parametrize("image", [np.full((3, 5, 5), 0.5), np.zeros((5, 5, 3)), np.full((3, 5, 5), 256),
                                   np.full((3, 5, 5), -1), np.zeros((3, 5, 7))])
def test_a_picture_that_a_page_cannot_show_is_told(image):
    with pytest.raises(ValueError, match=r"must be of shape \(3, S, S\), in whole numbers from 0 to 255"):
        pack_picture(image)
    assert pack_picture(np.ones((3, 5, 5))) == pack_picture(torch.ones(3, 5, 5).byte())
