import pytest
import torch
from scipy.stats import binomtest, chisquare

from minivit.data.operations import BLENDS, OPERATIONS
from minivit.data.randaugment import (
    IDENTITY,
    RAND_AUGMENT,
    TRIVIAL_AUGMENT,
    draw_rand_augment,
    draw_trivial_augment,
    rand_augment,
    trivial_augment,
)

C, H, W = 3, 11, 7
UNLIKELY = 1e-6  # a right draw fails a test for one seed in a million


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.randint(256, (211, C, H, W), dtype=torch.uint8)


def many():
    """Sizes of a large batch; the draws look at nothing else."""
    torch.manual_seed(0)
    return torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(50_000, C, H, W)


def uniform(values, of):
    """Whether the values occur as often as one another, by a chi-square test."""
    counts = [int((values == value).sum()) for value in of]
    assert sum(counts) == len(values)
    return chisquare(counts).pvalue > UNLIKELY


def fair(hits, probability):
    """Whether that share of the draws hits, by an exact binomial test."""
    return binomtest(int(hits.sum()), hits.numel(), probability).pvalue > UNLIKELY


def strengths_of(name, operation, strength):
    return strength[operation == OPERATIONS.index(name)]


def near(values, wanted):
    """Whether the values are these, all of them, up to float32."""
    got = sorted({round(value, 4) for value in values.tolist()})
    return got == pytest.approx(sorted(wanted), abs=2e-4)


def test_the_operations_are_timms_and_the_papers():
    both = {"auto_contrast", "equalize", "rotate", "posterize", "solarize", "color", "contrast", "brightness",
            "sharpness", "shear_x", "shear_y", "translate_x", "translate_y"}
    assert set(RAND_AUGMENT) == both | {"invert", "solarize_add"}
    assert set(TRIVIAL_AUGMENT) == both | {"identity"}


def test_rand_augment_draws_every_operation_as_often_and_does_half_of_them():
    operation, _ = draw_rand_augment(many(), 2, 9, 0.5)
    assert fair(operation != IDENTITY, 0.5)
    for one in operation:
        assert uniform(one[one != IDENTITY], [OPERATIONS.index(name) for name in RAND_AUGMENT])


def test_rand_augment_does_as_many_as_was_asked():
    assert (draw_rand_augment(many(), 3, 9, 0.5, 1.0)[0] != IDENTITY).all()
    assert fair(draw_rand_augment(many(), 3, 9, 0.5, 0.2)[0] != IDENTITY, 0.2)


def test_rand_augments_rounds_are_independent():
    first, second = draw_rand_augment(many(), 2, 9, 0.5)[0]
    again = (first == second) & (first != IDENTITY)  # both done, and the same: with replacement
    assert fair(again, 0.5 * 0.5 / len(RAND_AUGMENT))


@pytest.mark.parametrize("name", ["rotate", "shear_x", "translate_y"])
def test_signs_are_balanced(name):
    for draws in (draw_rand_augment(many(), 2, 9, 0.5), draw_trivial_augment(many())):
        drawn = strengths_of(name, *draws)
        assert fair(drawn[drawn != 0] > 0, 0.5)


def test_rand_augment_makes_half_of_the_factors_larger_than_one():
    for name in BLENDS:
        assert fair(strengths_of(name, *draw_rand_augment(many(), 2, 9, 0.5)) > 1, 0.5)


def test_magnitudes_are_normal_and_cut_off():
    degrees = strengths_of("rotate", *draw_rand_augment(many(), 2, 9, 0.5)).abs()
    assert degrees.max() == 30                       # magnitude 10
    assert fair(degrees == 30, 0.02275)              # two deviations above the mean and more
    assert fair(degrees < 27, 0.5)                   # below the mean
    assert fair(degrees < 25.5, 0.15866)             # one deviation below and more
    low = strengths_of("rotate", *draw_rand_augment(many(), 2, 0, 0.5)).abs()
    assert low.min() == 0 and fair(low == 0, 0.5)


@pytest.mark.parametrize("magnitude, posterize, solarize, add, factors, shear, share, degrees", [
    (0, 4, 256, 0, (1,), 0, 0, 0),
    (9, 1, 26, 99, (0.19, 1.81), 0.27, 0.405, 27),
    (10, 1, 0, 110, (0.1, 1.9), 0.3, 0.45, 30),
])
def test_strengths_are_timms(magnitude, posterize, solarize, add, factors, shear, share, degrees):
    draws = draw_rand_augment(many(), 2, magnitude, 0)
    want = {"posterize": (posterize,), "solarize": (solarize,), "solarize_add": (add,),
            **dict.fromkeys(BLENDS, factors),
            "shear_x": {-shear, shear}, "shear_y": {-shear, shear}, "translate_x": {-share * W, share * W},
            "translate_y": {-share * H, share * H}, "rotate": {-degrees, degrees}}
    for name, values in want.items():
        assert near(strengths_of(name, *draws), values), name


def test_trivial_augment_draws_every_operation_and_every_strength_as_often():
    operation, strength = draw_trivial_augment(many())
    assert operation.shape == strength.shape == (1, 50_000)
    assert uniform(operation[0], [OPERATIONS.index(name) for name in TRIVIAL_AUGMENT])
    whole = {"posterize": [8 - i * 6 // 30 for i in range(31)], "solarize": [256 - i * 256 // 30 for i in range(31)]}
    sizes = {"shear_x": [0.033 * i for i in range(31)], "translate_x": [i * 32 // 30 for i in range(31)],
             "rotate": [i * 135 // 30 for i in range(31)], "color": [0.01 + 1.99 * i / 30 for i in range(31)]}
    for name, values in (whole | sizes).items():
        drawn = strengths_of(name, operation, strength).abs()
        assert near(drawn, set(values)), name
    assert uniform(strengths_of("solarize", operation, strength), whole["solarize"])


@pytest.mark.parametrize("augment", [rand_augment, trivial_augment])
def test_each_image_has_its_own_draw(augment, images):
    same = images[:1].expand(len(images), -1, -1, -1)
    out = augment(same)
    # Half of the draws of RandAugment have a strength that hardly any other has, most of TrivialAugment one of many.
    assert len(out.flatten(1).unique(dim=0)) > len(images) / 4
    assert out.dtype == torch.uint8 and out.shape == images.shape


def test_some_images_stay_as_they_are(images):
    kept = (rand_augment(images) == images).flatten(1).all(1)
    assert binomtest(int(kept.sum()), len(images), 0.25, alternative="less").pvalue > UNLIKELY  # neither one done
    assert not kept.all()


@pytest.mark.parametrize("augment", [rand_augment, trivial_augment])
def test_the_seed_decides(augment, images):
    got = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        got.append(augment(images))
    assert torch.equal(got[0], got[1]) and not torch.equal(got[0], got[2])


@pytest.mark.parametrize("augment", [rand_augment, trivial_augment])
@pytest.mark.parametrize("shape", [(5, 1, 7, 3), (0, 3, 7, 5), (1, 3, 1, 1)])
def test_grey_empty_and_tiny_batches(augment, shape):
    assert augment(torch.full(shape, 200, dtype=torch.uint8)).shape == shape


def test_images_are_not_changed_in_place(images):
    before = images.clone()
    rand_augment(images), trivial_augment(images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("augment", [rand_augment, trivial_augment])
def test_nothing_waits_for_a_value(augment):
    """Tensors on the meta device have none, so that reading one would fail."""
    assert augment(torch.empty(5, C, H, W, dtype=torch.uint8, device="meta")).shape == (5, C, H, W)


@pytest.mark.gpu
@pytest.mark.parametrize("augment", [rand_augment, trivial_augment])
def test_a_gpu_is_not_waited_for(augment, images, waiting_is_an_error):
    images = images.cuda()
    augment(images)
    with waiting_is_an_error():
        augment(images)


@pytest.mark.parametrize("options, message", [
    ({"operations": 0}, "operations=0 must be at least 1"), ({"magnitude": 11}, r"magnitude=11 .* in \[0, 10\]"),
    ({"magnitude": -1}, "magnitude=-1"), ({"noise": -0.5}, "noise=-0.5 .* at least 0"),
    ({"probability": 1.1}, r"probability=1.1 .* in \[0, 1\]"),
])
def test_bad_options_are_named(images, options, message):
    with pytest.raises(ValueError, match=message):
        rand_augment(images, **options)


@pytest.mark.parametrize("augment", [rand_augment, trivial_augment])
@pytest.mark.parametrize("bad", [torch.zeros(2, 3, 5, 7), torch.zeros(3, 5, 7, dtype=torch.uint8),
                                 torch.zeros(2, 4, 5, 7, dtype=torch.uint8)])
def test_bad_images_are_named(augment, bad):
    with pytest.raises(ValueError, match="images of dtype .* uint8 of shape"):
        augment(bad)
