"""What a step does to a batch of images with labels: each option does what it says, and nothing else."""

import pytest
import torch
import torch.nn.functional as F

from minivit.data import Dataset, Split
from minivit.data.augment import normalize
from minivit.tasks.augmentation import Augmentation, create_policy

B, C, H, W, K = 401, 3, 7, 5, 11
CPU = torch.device("cpu")
MEAN, STD = (0.3, 0.4, 0.5), (0.2, 0.3, 0.25)


@pytest.fixture
def dataset():
    images = torch.randint(256, (B, C, H, W), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = Split(images, torch.arange(B) % K)
    return Dataset("noise", split, split, tuple("abcdefghijk"), MEAN, STD)


def augmented(dataset, **options):
    torch.manual_seed(1)
    return Augmentation(dataset, CPU, **options)(dataset.train.images, dataset.train.labels)


def shares(before, after):
    """Return the share of the images that differ, and of the pixels of those that do."""
    changed = (before != after).any(1).flatten(1)
    return changed.any(1).float().mean().item(), changed[changed.any(1)].float().mean().item()


def test_without_options_images_are_normalised_and_labels_are_certain(dataset):
    images, targets = augmented(dataset)
    assert torch.equal(images, normalize(dataset.train.images, MEAN, STD))
    assert torch.equal(targets, F.one_hot(dataset.train.labels, K).float())


@pytest.mark.parametrize("probability", [0.2, 0.9])
def test_that_many_images_lose_a_box(dataset, probability):
    plain, (images, targets) = augmented(dataset)[0], augmented(dataset, erasing=probability)
    images_changed, pixels_changed = shares(plain, images)
    # Four standard deviations of the share.
    assert abs(images_changed - probability) < 4 * (probability * (1 - probability) / B) ** 0.5
    assert 0.02 < pixels_changed < 0.5 and torch.equal(targets, augmented(dataset)[1])


def test_half_of_the_images_are_mirrored(dataset):
    plain, (images, _) = augmented(dataset)[0], augmented(dataset, flip=True)
    mirrored = (images == plain.flip(3)).flatten(1).all(1)
    assert ((images == plain).flatten(1).all(1) ^ mirrored).all() and abs(mirrored.float().mean() - 0.5) < 0.1


@pytest.mark.parametrize("options", [{"crop_padding": 2}, {"crop": "random_resized", "smallest_crop": 0.3}])
def test_images_are_cropped_unless_they_have_been(dataset, options):
    images, _ = augmented(dataset, **options)
    assert images.shape == (B, C, H, W) and shares(augmented(dataset)[0], images)[0] > 0.9
    assert torch.equal(augmented(dataset, **options | {"crop": "none"})[0], augmented(dataset)[0])


@pytest.mark.parametrize("options, boxes", [({"mixup": 1.0}, False), ({"cutmix": 1.0}, True)])
def test_images_are_mixed_with_their_targets(dataset, options, boxes):
    plain, (images, targets) = augmented(dataset), augmented(dataset, **options)
    torch.testing.assert_close(targets.sum(1), torch.ones(B))
    assert 0.25 < (1 - targets.gather(1, dataset.train.labels[:, None])).mean() < 0.5  # the mean share of the others
    pasted = ((images == plain[0]) | (images == plain[0].flip(0))).all()
    assert bool(pasted) is boxes


def test_a_policy_recolours_or_moves(dataset):
    for name in ("randaugment", "trivialaugment"):
        assert shares(augmented(dataset)[0], augmented(dataset, augmentation=name)[0])[0] > 0.5
    with pytest.raises(ValueError, match="magnitude=11"):
        create_policy("randaugment", {"magnitude": 11})
