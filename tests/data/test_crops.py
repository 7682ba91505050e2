"""Crops: random boxes as DeiT draws them, the same from a file and in memory, and a JPEG at reduced scale."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from minivit.data.crops import NARROWEST, TRIES, WIDEST, View, random_box, random_boxes, random_resized_crop
from minivit.data.decode import decode, decode_part
from minivit.draws import part_of

SIZES = [(37, 53), (53, 37), (41, 41), (11, 97), (97, 11), (1, 7)]
PHOTO = load_sample_image("china.jpg")[:, :601]   # 427 x 601


def chances(n, seed=0):
    return torch.rand(n, TRIES, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def jpeg(pixels, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_boxes_lie_inside_and_have_the_area_and_ratio_asked_for(height, width):
    for chance in chances(97):
        left, top, right, bottom = random_box(chance.tolist(), height, width, 0.3)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        w, h = right - left, bottom - top
        if max(height, width) < 60:   # else no box of this area has one of these ratios
            assert (w - 0.5) * (h - 0.5) < height * width and (w + 0.5) * (h + 0.5) > 0.3 * height * width
        assert min(height, width) == 1 or NARROWEST * (h - 0.5) <= w + 0.5 and w - 0.5 <= WIDEST * (h + 0.5)


@pytest.mark.parametrize(("height", "width", "box"), [(11, 97, (41, 0, 56, 11)), (97, 11, (0, 41, 11, 56))])
def test_where_no_box_fits_it_is_the_largest_in_the_middle(height, width, box):
    assert random_box(chances(1)[0].tolist(), height, width, 0.9) == box


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("smallest", [0.08, 0.7])
def test_a_batch_gets_the_boxes_of_single_images(height, width, smallest):
    chance = chances(97)
    chance[0] = 1 - 1e-16   # the largest number below 1
    assert random_boxes(chance, height, width, smallest).tolist() == [
        list(random_box(each, height, width, smallest)) for each in chance.tolist()]


def test_areas_are_uniform():
    boxes = random_boxes(chances(5000), 211, 211, 0.08)
    share = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 211**2
    assert share[share < 0.75].mean() == pytest.approx((0.08 + 0.75) / 2, abs=0.01)   # larger ones may not fit
    assert share.min() < 0.09 and share.max() > 0.98


@pytest.mark.parametrize(("height", "width"), [(37, 53), (53, 37)])
def test_crops_in_memory_are_those_of_pillow(height, width):
    images = torch.from_numpy(np.stack([PHOTO[i:i + height, 2 * i:2 * i + width] for i in range(29)]).copy())
    masks = torch.randint(7, (29, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    torch.manual_seed(3)
    cropped = random_resized_crop(torch.cat([images.permute(0, 3, 1, 2), masks[:, None]], dim=1), 0.2, masks=1)
    torch.manual_seed(3)
    boxes = random_boxes(torch.rand(29, TRIES * 4).view(29, TRIES, 4), height, width, 0.2).tolist()
    for image, mask, box, got in zip(images, masks, boxes, cropped, strict=True):
        pillow = Image.fromarray(image.numpy()).crop(box).resize((width, height), Image.Resampling.BICUBIC)
        away = np.abs(np.asarray(pillow).astype(int) - got[:3].permute(1, 2, 0).numpy())
        assert away.max() <= 2 and away.mean() < 0.02   # Pillow's weights are fixed-point numbers
        rows, columns = (np.floor(box[i] + (np.arange(size) + 0.5) * (box[i + 2] - box[i]) / size)
                         for i, size in ((1, height), (0, width)))
        assert torch.equal(mask[rows][:, columns], got[3])   # the nearest pixels, not a blend of classes


def test_the_whole_image_stays_as_it_is():
    images = torch.randint(256, (5, 3, 13, 13), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    same = random_resized_crop(images, 1.0)
    assert same.dtype == torch.uint8 and torch.equal(same, images)   # other ratios of that area don't fit


def test_a_part_of_a_batch_is_cropped_as_in_the_whole():
    images = torch.randint(256, (7, 1, 11, 13), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    torch.manual_seed(5)
    whole = random_resized_crop(images, 0.1)
    rows = torch.tensor([5, 0, 3])
    torch.manual_seed(5)
    with part_of(7, rows):
        assert torch.equal(random_resized_crop(images[rows], 0.1), whole[rows])


@pytest.mark.parametrize(("reduction", "size"), [(2, 129), (4, 64), (8, 32)])
@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_jpeg_at_reduced_scale_differs_little(name, reduction, size):
    """With no pixel to spare, the difference is at most what the docstring of View says, and half of what a quarter of
    a pixel makes."""
    data, side = jpeg(load_sample_image(name)), 387

    def see(left=13, **options):
        view = View(lambda height, width: (left, 17, left + side, 17 + side), (size, size), **options)
        assert not options or view.reduction(view.box(427, 640)) == reduction
        return decode_part(data, view).double()

    exact = see()
    away, shifted = ((other - exact).abs() for other in (see(fast=True), see(left=13 + side / size / 4)))
    assert 0 < away.mean() < 2 and away.quantile(0.99) <= 11 and away.max() <= 22
    assert away.mean() < shifted.mean() / 1.5


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos", "nearest"])
@pytest.mark.parametrize("size", [(224, 224), (61, 67)])
def test_the_fast_way_gives_the_pixels_of_pillow(interpolation, size):
    """Larger and smaller."""
    box = (31, 57, 301, 247)
    view = View(lambda height, width: box, size, interpolation, fast=True)
    pillow = Image.fromarray(PHOTO).crop(box).resize(size[::-1], Image.Resampling[interpolation.upper()])
    away = np.abs(np.asarray(pillow).astype(int) - view.scale(Image.fromarray(PHOTO), box).permute(1, 2, 0).numpy())
    if interpolation == "lanczos":   # as Pillow does it, with the pixels around the box
        away = away[3:-3, 3:-3]
    assert away.max() <= 2 and away.mean() < 0.1


@pytest.mark.parametrize(("box", "size", "options", "reduction"), [
    ((0, 0, 300, 299), (100, 100), {}, 1), ((0, 0, 300, 300), (100, 100), {}, 2), ((5, 5, 305, 1205), (200, 50), {}, 4),
    ((0, 0, 1200, 1200), (100, 100), {}, 8), ((0, 0, 9000, 9000), (1, 1), {}, 8),
    ((0, 0, 300, 300), (100, 100), {"fast": False}, 1),
    ((0, 0, 300, 300), (100, 100), {"interpolation": "nearest"}, 1)])
def test_a_reduction_leaves_pixels_to_spare(box, size, options, reduction):
    view = View(lambda height, width: box, size, **{"fast": True} | options)
    assert view.reduction(box) == reduction


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(("reduced", "sides"), [(False, (427, 601)), (True, (427, 601)), (True, (426, 600))])
def test_a_box_is_of_the_upright_image(turn, reduced, sides):
    """An odd side, of which a column of half a pixel is left over, may be turned round."""
    exif = Image.Exif()
    exif[0x0112] = turn
    seen = []

    def box(height, width):
        seen.append((height, width))
        return 31, 57, 351, 297

    view = View(box, (60, 80), fast=reduced)
    data = jpeg(PHOTO[:sides[0], :sides[1]], exif=exif)
    upright = decode(data)
    expected = upright.resize((80, 60), Image.Resampling.BICUBIC, box=(31, 57, 351, 297))
    away = np.abs(decode_part(data, view).permute(1, 2, 0).double().numpy() - np.asarray(expected))
    assert seen == [(upright.height, upright.width)]
    is_reduced = reduced and (turn == 1 or sides[0] % 2 == 0)
    assert 0.5 < away.mean() < 1.5 if is_reduced else away[3:-3, 3:-3].max() <= 2 * reduced


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"progressive": True}), ("PNG", {}),
                                               ("WEBP", {"lossless": True})])
def test_other_kinds_are_cropped_too(kind, options):
    """What isn't a plain JPEG is read the same way, or whole."""
    stream, box = io.BytesIO(), (31, 57, 351, 297)
    Image.fromarray(PHOTO).save(stream, kind, **options)
    view = View(lambda height, width: box, (60, 80), fast=True)
    expected = decode(stream.getvalue()).resize((80, 60), Image.Resampling.BICUBIC, box=box)
    away = np.abs(decode_part(stream.getvalue(), view).permute(1, 2, 0).double().numpy() - np.asarray(expected))
    assert 0.5 < away.mean() < 1.5 if kind == "JPEG" else away[3:-3, 3:-3].max() <= 2
