"""scikit-learn's digits."""

import pytest
import torch
from sklearn.datasets import load_digits

from minivit.data import load


def test_digits_are_scikit_learns():
    dataset = load("digits")
    assert dataset.image_shape == (1, 8, 8) and dataset.num_classes == 10
    ours = torch.cat([dataset.train.images, dataset.test.images]).flatten(1)
    labels = torch.cat([dataset.train.labels, dataset.test.labels])
    digits = load_digits()
    theirs = torch.from_numpy(digits.data).mul(255 / 16).round().to(torch.uint8)
    assert ours.max() == 255 and ours.min() == 0

    def rows(images, labels):
        return sorted([*image, label] for image, label in zip(images.tolist(), labels.tolist(), strict=True))

    assert rows(ours, labels) == rows(theirs, digits.target)


def test_digits_split_is_fixed_and_stratified():
    first, second = load("digits"), load("digits")
    assert torch.equal(first.train.images, second.train.images)
    assert (len(first.train), len(first.test)) == (1437, 360)
    share = first.test.labels.bincount() / torch.from_numpy(load_digits().target).bincount()
    assert ((share - 0.2).abs() < 1 / 174).all()   # the smallest class has 174 images


def test_digits_mean_and_std():
    dataset = load("digits")
    pixels = dataset.train.images.double() / 255
    assert dataset.mean[0] == pytest.approx(pixels.mean().item(), abs=6e-5)
    assert dataset.std[0] == pytest.approx(pixels.std().item(), abs=6e-5)
