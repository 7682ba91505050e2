from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from minivit.data.operations import BLENDS, MAPS, OPERATIONS, TABLES, apply_operations

FILL = 101
STRENGTHS = {  # the extremes of RandAugment or TrivialAugment, what changes nothing, and between
    "posterize": [1, 2, 3, 5, 8], "solarize": [0, 26, 127, 128, 256], "solarize_add": [0, 1, 64, 99, 110],
    **dict.fromkeys(BLENDS, [0.01, 0.19, 1, 1.81, 2]),
    **dict.fromkeys(["shear_x", "shear_y"], [-0.99, -0.27, 0, 0.13, 0.99]),
    **dict.fromkeys(["translate_x", "translate_y"], [-32, -3.7, 0, 0.5, 5]), "rotate": [-135, -27.3, 0, 4, 133],
}
NEUTRAL = {"posterize": 8, "solarize": 256, "solarize_add": 0, **dict.fromkeys(BLENDS, 1), **dict.fromkeys(MAPS, 0)}


@pytest.fixture(params=[(3, 29, 37), (1, 13, 23), (3, 5, 2)], ids=str)
def images(request):
    """Noise over all levels and over few, a ramp, two levels, one level; for each, five images."""
    torch.manual_seed(0)
    c, h, w = request.param
    noise = torch.randint(256, (5, 5, c, h, w))
    ramp = torch.arange(h)[:, None] * 9 + torch.arange(w) * 5 + torch.arange(c)[:, None, None] * 3
    kinds = [noise[0], noise[1] // 5 + 60, (noise[2] // 200 + ramp).clamp(max=255), noise[3] // 128 * 90 + 31,
             noise[4] * 0 + 77]
    return torch.stack(kinds, dim=1).flatten(0, 1).to(torch.uint8)


def pictures(images):
    for image in images.numpy():
        yield Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def tensor(pictures):
    arrays = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(arrays[:, None] if arrays.ndim == 3 else arrays.transpose(0, 3, 1, 2))


def by_pillow(picture, name, strength):
    """The operation as timm or TrivialAugment calls Pillow for it."""
    filled = {"resample": Image.Resampling.BILINEAR, "fillcolor": (FILL,) * len(picture.getbands())}
    matrices = {"shear_x": (1, strength, 0, 0, 1, 0), "shear_y": (1, 0, 0, strength, 1, 0),
                "translate_x": (1, 0, strength, 0, 1, 0), "translate_y": (1, 0, 0, 0, 1, strength)}
    if name in matrices:
        return picture.transform(picture.size, Image.Transform.AFFINE, matrices[name], **filled)
    match name:
        case "rotate":
            return picture.rotate(strength, **filled)
        case "auto_contrast":
            return ImageOps.autocontrast(picture)
        case "solarize_add":
            added = [min(level + int(strength), 255) if level < 128 else level for level in range(256)]
            return picture.point(added * len(picture.getbands()))
        case "posterize" | "solarize":
            return getattr(ImageOps, name)(picture, int(strength))
        case "invert" | "equalize":
            return getattr(ImageOps, name)(picture)
        case "brightness" | "contrast" | "color" | "sharpness":
            return getattr(ImageEnhance, name.capitalize())(picture).enhance(strength)


def both(images, name):
    """The batch of ours, each image by one of five strengths, and Pillow's, image by image; as int."""
    strengths = torch.tensor(STRENGTHS.get(name, [0.0] * 5), dtype=torch.float32).repeat_interleave(len(images) // 5)
    got = apply_operations(images, *draws([name] * len(images), strengths), FILL)
    want = tensor([by_pillow(picture, name, strength)
                   for picture, strength in zip(pictures(images), strengths.tolist(), strict=True)])
    assert got.dtype == torch.uint8 and got.shape == images.shape
    return got.int(), want.int()


def draws(names, strengths):
    """One round: indices and strengths, both (1, B)."""
    return (torch.tensor([[OPERATIONS.index(name) for name in names]]),
            torch.as_tensor(strengths, dtype=torch.float32)[None])


@pytest.mark.parametrize("name", ["invert", "solarize_add", "posterize", "solarize", "equalize"])
def test_a_table_is_pillows(images, name):
    assert torch.equal(*both(images, name))


def test_auto_contrast_is_pillows_except_where_its_quotient_is_whole(images):
    got, want = both(images, "auto_contrast")
    low, high = (f(images.int(), dim=(2, 3), keepdim=True) for f in (torch.amin, torch.amax))
    whole = 255 * (images.int() - low) % (high - low).clamp(min=1) == 0
    assert ((got == want) | (got == want + 1) & whole).all()


@pytest.mark.parametrize("name", BLENDS)
def test_a_blend_is_pillows(images, name):
    got, want = both(images, name)
    # The same operations in float32. A Pillow built to fuse a product and a sum rounds once less: one level, rarely.
    assert (got - want).abs().max() <= 1 and (got != want).float().mean() < 0.01


@pytest.mark.parametrize("name", MAPS)
def test_a_map_is_pillows_but_rounded_to_the_nearest(images, name):
    got, want = both(images, name)
    assert ((got == want) | (got == want + 1)).all()  # Pillow rounds levels down


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_strength_leaves_every_bit(images, name):
    neutral = [NEUTRAL[name]] * len(images)
    assert torch.equal(apply_operations(images, *draws([name] * len(images), neutral), FILL), images)


def test_a_mixed_batch_is_its_images_one_by_one(images):
    names, strengths = zip(*[(name, s) for name in OPERATIONS for s in STRENGTHS.get(name, [0.0])], strict=True)
    operation, strength = draws(names, strengths)
    batch = images[torch.arange(len(names)) % len(images)]
    got = apply_operations(batch, operation, strength, FILL)
    for i in range(len(names)):
        alone = apply_operations(batch[i:i + 1], operation[:, i:i + 1], strength[:, i:i + 1], FILL)
        assert torch.equal(got[i:i + 1], alone), names[i]
    untouched = operation[0] == OPERATIONS.index("identity")
    assert untouched.sum() == 1 and torch.equal(got[untouched], batch[untouched])


def test_rounds_are_done_in_their_order(images):
    pairs = [pair for pair in product(OPERATIONS, repeat=2) if not set(pair) <= set(MAPS)]
    rounds = [draws(names, [STRENGTHS.get(name, [0.0] * 5)[i % 5] for i, name in enumerate(names)])
              for names in zip(*pairs, strict=True)]
    operation, strength = (torch.cat(values) for values in zip(*rounds, strict=True))
    batch = images[torch.arange(len(pairs)) % len(images)]
    want = batch
    for one in rounds:
        want = apply_operations(want, *one, FILL)
    assert torch.equal(apply_operations(batch, operation, strength, FILL), want)


def test_three_rounds_are_pillows_three(images):
    steps = [("translate_x", 2), ("invert", 0), ("translate_y", -1)]   # whole pixels, so that nothing is interpolated
    rounds = [draws([name] * len(images), [strength] * len(images)) for name, strength in steps]
    got = apply_operations(images, *(torch.cat(values) for values in zip(*rounds, strict=True)), FILL)
    want = list(pictures(images))
    for step in steps:
        want = [by_pillow(picture, *step) for picture in want]
    assert torch.equal(got, tensor(want))


def test_two_maps_are_one_sampling(images):
    height, width = images.shape[2:]
    shear, degrees = 0.3, 25.0
    rounds = [draws(["shear_x"] * len(images), [shear] * len(images)),
              draws(["rotate"] * len(images), [degrees] * len(images))]
    got = apply_operations(images, *(torch.cat(values) for values in zip(*rounds, strict=True)), FILL).int()
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    centre = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1]])
    rotation = centre @ [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]] @ np.linalg.inv(centre)
    matrix = [[1, shear, 0], [0, 1, 0], [0, 0, 1]] @ rotation  # a pixel's way back: out of the last operation first
    fill = (FILL,) * images.shape[1]
    want = tensor([picture.transform(picture.size, Image.Transform.AFFINE, matrix[:2].flatten().tolist(),
                                     resample=Image.Resampling.BILINEAR, fillcolor=fill)
                   for picture in pictures(images)]).int()
    assert ((got == want) | (got == want + 1)).all()


def test_what_the_first_map_moves_out_the_second_moves_back_in(images):
    count = len(images)
    rounds = [draws(["translate_x"] * count, [2] * count), draws(["translate_x"] * count, [-2] * count)]
    operation, strength = (torch.cat(values) for values in zip(*rounds, strict=True))
    assert torch.equal(apply_operations(images, operation, strength, FILL), images)


def test_every_operation_has_a_kind():
    assert OPERATIONS == (*TABLES, *BLENDS, *MAPS, "identity") and len(set(OPERATIONS)) == 16
