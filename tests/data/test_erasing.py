import pytest
import torch
from scipy.stats import binomtest, chisquare, kstest

from minivit.data.erasing import AREA, ASPECT, draw_boxes, random_erasing

C, H, W = 3, 23, 19
UNLIKELY = 1e-6  # a right draw fails a test for one seed in a million


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.randn(503, C, H, W)


def sides(boxes):
    """Heights and widths, after a check that each box is one full rectangle."""
    height, width = boxes.any(2).sum(1), boxes.any(1).sum(1)
    assert torch.equal(boxes.sum((1, 2)), height * width)
    for lines in (boxes.any(2), boxes.any(1)):
        assert (lines.int().diff(dim=1) == 1).sum(1).max() <= 1  # in one piece
    return height, width


@pytest.mark.parametrize("h, w", [(103, 97), (32, 32), (H, W), (7, 31)])
def test_area_and_aspect_ratio_are_within_range(h, w):
    torch.manual_seed(0)
    height, width = sides(draw_boxes(torch.empty(1, 1, h, w).expand(499, C, -1, -1), 1.0))
    assert (height < h).all() and (width < w).all()
    # Sides are rounded to whole pixels, so that each was up to half a pixel shorter or longer.
    assert ((height + 0.5) * (width + 0.5) >= AREA[0] * h * w).all()
    assert ((height - 0.5) * (width - 0.5) <= AREA[1] * h * w).all()
    assert ((height + 0.5) / (width - 0.5) >= ASPECT[0]).all()
    assert ((height - 0.5) / (width + 0.5) <= ASPECT[1]).all()


def test_areas_are_uniform_where_no_box_is_drawn_again():
    torch.manual_seed(0)
    h, w = 211, 199
    height, width = sides(draw_boxes(torch.empty(1, 1, h, w).expand(499, C, -1, -1), 1.0))
    share = height * width / (h * w)
    small = share[share < 0.25]  # a box of aspect ratio 3.3 and so small an area is within the image
    assert kstest((small - AREA[0]) / (0.25 - AREA[0]), "uniform").pvalue > UNLIKELY


def test_every_place_inside_the_image_is_as_likely():
    torch.manual_seed(0)
    boxes = draw_boxes(torch.empty(1, 1, H, W).expand(20_000, C, -1, -1), 1.0)
    height, _ = sides(boxes)
    top = boxes.any(2).int().argmax(1)[height == 8]
    assert chisquare(torch.bincount(top, minlength=H - 8 + 1)).pvalue > UNLIKELY


@pytest.mark.parametrize("probability", [0.25, 0.7])
def test_that_share_of_the_images_has_a_box(images, probability):
    erased = (random_erasing(images, probability=probability) != images).flatten(1).any(1)
    assert binomtest(int(erased.sum()), len(images), probability).pvalue > UNLIKELY


def test_outside_the_box_every_bit_stays_and_inside_is_noise(images):
    torch.manual_seed(1)
    boxes = draw_boxes(images, 1.0)
    torch.manual_seed(1)
    out = random_erasing(images, probability=1.0)
    inside = boxes[:, None].expand_as(images)
    assert torch.equal(out[~inside], images[~inside])
    assert (out[inside] != images[inside]).float().mean() > 0.999
    assert kstest(out[inside][::97], "norm").pvalue > UNLIKELY
    assert boxes.flatten(1).any(1).all()


def test_certain_and_impossible(images):
    assert torch.equal(random_erasing(images, probability=0.0), images)
    assert (random_erasing(images, probability=1.0) != images).flatten(1).any(1).all()


def test_an_image_too_small_for_a_box_stays(images):
    tiny = images[:, :, :1, :1]
    assert torch.equal(random_erasing(tiny, probability=1.0), tiny)


def test_the_seed_decides(images):
    before, got = images.clone(), []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        got.append(random_erasing(images))
    assert torch.equal(got[0], got[1]) and not torch.equal(got[0], got[2])
    assert torch.equal(images, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shape_and_type_stay_and_nothing_waits_for_a_value(dtype):
    out = random_erasing(torch.empty(5, C, H, W, dtype=dtype, device="meta"))
    assert out.shape == (5, C, H, W) and out.dtype == dtype


@pytest.mark.gpu
def test_a_gpu_is_not_waited_for(images, waiting_is_an_error):
    images = images.cuda()
    random_erasing(images)
    with waiting_is_an_error():
        random_erasing(images)


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_a_bad_probability_is_named(images, probability):
    with pytest.raises(ValueError, match=rf"probability={probability} .* in \[0, 1\]"):
        random_erasing(images, probability=probability)


@pytest.mark.parametrize("bad", [torch.zeros(2, 3, 5, 7, dtype=torch.uint8), torch.zeros(3, 5, 7)])
def test_bad_images_are_named(bad):
    with pytest.raises(ValueError, match="images of dtype .* normalise"):
        random_erasing(bad)
