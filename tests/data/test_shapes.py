"""Drawn shapes: what the labels, masks and boxes say agrees, and the draw depends on nothing it should not."""

import pytest
import torch

from minivit.data import load
from minivit.data.drawing import KINDS, MAX_SHAPES


@pytest.fixture(scope="module")
def dataset():
    return load("shapes", train_images=1021, test_images=307)


def test_what_is_there(dataset):
    train = dataset.train
    assert train.images.shape == (1021, 3, 32, 32) and train.images.dtype == torch.uint8
    assert train.masks.shape == (1021, 32, 32) and train.masks.dtype == torch.uint8
    assert train.boxes.shape == (1021, MAX_SHAPES, 4) and train.boxes.dtype == torch.int64
    assert train.box_labels.shape == (1021, MAX_SHAPES) and train.box_labels.dtype == torch.int64
    assert dataset.classes == KINDS and len(dataset.test) == 307


def test_masks_agree_with_boxes(dataset):
    train = dataset.train
    for mask, boxes, kinds in zip(train.masks, train.boxes, train.box_labels, strict=True):
        shown = torch.zeros_like(mask, dtype=torch.bool)
        for (x0, y0, x1, y1), kind in zip(boxes.tolist(), kinds.tolist(), strict=True):
            if kind < 0:
                assert (x0, y0, x1, y1) == (0, 0, 0, 0)
                continue
            assert 0 <= x0 < x1 <= 32 and 0 <= y0 < y1 <= 32
            inside = mask[y0:y1, x0:x1] == kind + 1
            # The box is tight: its kind shows in its first and last row and column.
            assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
            shown[y0:y1, x0:x1] |= inside
        assert torch.equal(shown, mask > 0)   # nothing outside the boxes


def test_class_is_the_kind_of_the_clearly_largest_shape(dataset):
    train = dataset.train
    assert torch.equal(train.labels, train.box_labels[:, 0])
    areas = torch.stack([(train.masks == kind + 1).sum((1, 2)) for kind in range(len(KINDS))], dim=1).float()
    # Where no other shape is of the class's kind, the area of a kind other than the class's is at most two shapes'.
    single = (train.box_labels >= 0).sum(1) <= 2
    largest = areas.gather(1, train.labels[:, None])[single]
    others = areas.scatter(1, train.labels[:, None], 0)[single]
    assert (largest >= 1.3 * others.amax(1, keepdim=True)).all()


def test_images_vary(dataset):
    train = dataset.train
    assert (train.labels.bincount(minlength=5) > 1021 / 5 * 0.8).all()
    assert ((train.box_labels >= 0).sum(1).bincount(minlength=4)[1:] > 1021 / 3 * 0.8).all()
    assert len(train.images.flatten(1).unique(dim=0)) == 1021


def test_colour_does_not_give_the_class_away(dataset):
    """The class's pixels have the same mean colour in every class, within four standard errors."""
    train = dataset.train
    own = (train.masks == (train.labels + 1)[:, None, None])[:, None]
    colour = (train.images.double() * own).sum((2, 3)) / own.sum((2, 3)) / 255
    for kind in range(len(KINDS)):
        chosen = train.labels == kind
        error = colour.std(0) * (1 / chosen.sum() + 1 / (~chosen).sum())**0.5
        assert ((colour[chosen].mean(0) - colour[~chosen].mean(0)).abs() < 4 * error).all()


def test_shapes_stand_out_from_the_ground(dataset):
    train = dataset.train
    ground = (train.masks == 0)[:, None]
    own = (train.masks == (train.labels + 1)[:, None, None])[:, None]
    pixels = train.images.double() / 255
    difference = (pixels * own).sum((2, 3)) / own.sum((2, 3)) - (pixels * ground).sum((2, 3)) / ground.sum((2, 3))
    assert difference.norm(dim=1).quantile(0.01) > 0.35


def test_an_image_depends_on_seed_split_and_index_alone(dataset):
    longer = load("shapes", train_images=1031, test_images=3)
    other = load("shapes", train_images=307, test_images=3, seed=1)
    assert torch.equal(longer.train.images[:1021], dataset.train.images)
    assert torch.equal(longer.train.boxes[:1021], dataset.train.boxes)
    assert torch.equal(longer.test.images, dataset.test.images[:3])
    for images in (dataset.test.images, other.train.images):
        assert not (images[:307] == dataset.train.images[:307]).all((1, 2, 3)).any()


def test_the_same_scene_at_another_size(dataset):
    fine = load("shapes", train_images=53, test_images=1, size=64).train
    assert fine.images.shape == (53, 3, 64, 64)
    assert torch.equal(fine.labels, dataset.train.labels[:53])
    same = (fine.masks[:, ::2, ::2] == dataset.train.masks[:53]).double().mean()
    assert same > 0.95   # all but the outlines


def test_mean_and_std(dataset):
    """Those of the default 4096 images; a quarter of them comes within a hundredth."""
    pixels = dataset.train.images.double() / 255
    assert torch.allclose(pixels.mean((0, 2, 3)), torch.tensor(dataset.mean).double(), atol=0.01)
    assert torch.allclose(pixels.std((0, 2, 3)), torch.tensor(dataset.std).double(), atol=0.01)


@pytest.mark.parametrize("options", [{"train_images": 0}, {"test_images": -1}, {"size": 8}, {"seed": -1}])
def test_bad_options(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name}={value}"):
        load("shapes", **options)
