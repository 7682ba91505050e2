"""Splits and data sets."""

import numpy as np
import pytest
import torch

from minivit.data import Dataset, Split, load


def test_subset_takes_every_field_along():
    split = load("shapes", train_images=11, test_images=1).train
    chosen = split.subset([7, 3, 3])
    assert type(chosen) is type(split) and len(chosen) == 3
    for field in ("images", "labels", "masks", "boxes", "box_labels"):
        assert torch.equal(getattr(chosen, field), getattr(split, field)[[7, 3, 3]])
    assert len(split.subset(torch.arange(0))) == 0


def test_dataset_shape_and_classes():
    split = Split(torch.zeros(3, 1, 5, 7, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    dataset = Dataset("mine", split, split, ("a", "b"), (0.5,), (0.2,))
    assert dataset.image_shape == (1, 5, 7) and dataset.num_classes == 2


def test_a_mean_in_bytes_is_told():
    split = Split(torch.zeros(3, 1, 5, 7, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"mean=\(127.5,\) of mine must be in \[0, 1\], that of images divided by 255"):
        Dataset("mine", split, split, ("a", "b"), (127.5,), (50.0,))


@pytest.mark.parametrize(("images", "labels", "named"), [
    (torch.zeros(3, 1, 5, 7), torch.zeros(3, dtype=torch.int64), "images of dtype torch.float32"),
    (torch.zeros(3, 5, 7, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), "images of dtype"),
    (torch.zeros(3, 1, 5, 7, dtype=torch.uint8), torch.zeros(3), "labels of dtype torch.float32"),
    (torch.zeros(3, 1, 5, 7, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "labels has 2 rows for 3 images"),
    (torch.zeros(3, 1, 5, 7).byte(), [0, 1, 0], "labels is a list: they must be tensors"),
    (torch.zeros(3, 1, 5, 7).byte(), np.zeros(3, np.int64), "labels is a ndarray: they must be tensors"),
    (np.zeros((3, 1, 5, 7), np.uint8), torch.zeros(3).long(), "images is a ndarray and .* must be tensors"),
])
def test_a_split_of_the_wrong_kind(images, labels, named):
    with pytest.raises(ValueError, match=named):
        Split(images, labels)


@pytest.mark.parametrize(("indices", "named"), [
    (torch.tensor([True, False, True]), "indices of dtype torch.bool.*mask.nonzero"), ([0.0, 1.0], "torch.float32"),
    ([[0, 1]], r"shape \(1, 2\)"), ([0, 3], "from 0 to 3: they must stay in 0 ... 2"), ([-1], "from -1 to -1"),
])
def test_rows_that_are_no_indices(indices, named):
    split = Split(torch.zeros(3, 1, 5, 7, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=named):
        split.subset(indices)


@pytest.mark.parametrize(("labels", "named"), [((1, 2), "train labels of mine go from 1 to 2: .* 0 ... 1"),
                                               ((-1, 1), "train labels of mine go from -1 to 1")])
def test_labels_are_those_of_the_classes(labels, named):
    images = torch.zeros(2, 1, 5, 7, dtype=torch.uint8)
    train, test = Split(images, torch.tensor(labels)), Split(images, torch.tensor([0, 1]))
    for one, other, name in ((train, test, named), (test, train, named.replace("train", "test"))):
        with pytest.raises(ValueError, match=name):
            Dataset("mine", one, other, ("a", "b"), (0.5,), (0.2,))


def test_some_classes_are_chosen_and_counted_anew():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1)
    split = Split(images, torch.tensor([0, 1, 2, 2, 1, 0]))
    dataset = Dataset("mine", split, split.subset([2, 1]), ("ant", "bee", "cat"), (0.5,), (0.2,))
    chosen = dataset.select_classes(["cat", "ant"])
    assert chosen.classes == ("cat", "ant") and chosen.train.images.flatten().tolist() == [0, 2, 3, 5]
    assert chosen.train.labels.tolist() == [1, 0, 0, 1] and chosen.test.labels.tolist() == [0]
    assert dataset.select_classes(dataset.classes) is dataset


@pytest.mark.parametrize(("names", "named"), [([], r"names=\[\] must be one or more classes of mine"),
                                              (["bee", "bee"], "class 'bee' is listed twice"),
                                              (["be"], "'be' is not a class of mine .did you mean 'bee'")])
def test_classes_that_cannot_be_chosen(names, named):
    split = Split(torch.zeros(2, 1, 5, 7, dtype=torch.uint8), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=named):
        Dataset("mine", split, split, ("ant", "bee"), (0.5,), (0.2,)).select_classes(names)
