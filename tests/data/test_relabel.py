"""ImageNet's reassessed labels, on images with the names of ImageNet's."""

import json
import re

import pytest
import torch
from PIL import Image

from minivit.data import DataError, Split
from minivit.data.imagefolder import ImageFiles
from minivit.data.relabel import relabel

REAL = [[2, 0], [], [4], [1, 2, 3], [3]]


@pytest.fixture
def images(tmp_path):
    """Images 4, 2, 1 and 5 of ImageNet, each of one level, 40 times its number."""
    paths = [tmp_path / f"ILSVRC2012_val_{number:08}.JPEG" for number in (4, 2, 1, 5)]
    for path in paths:
        Image.new("L", (8, 8), 40 * int(path.stem[-8:])).save(path)
    return Split(ImageFiles(paths, 8), torch.zeros(4, dtype=torch.int64))


@pytest.fixture
def real(tmp_path):
    path = tmp_path / "real.json"
    path.write_text(json.dumps(REAL))
    return path


def test_images_have_all_their_labels_and_those_without_are_left_out(images, real, caplog):
    split = relabel(images, real, 5, range(5))
    assert [row.nonzero()[:, 0].tolist() for row in split.labels] == [[1, 2, 3], [0, 2], [3]]
    assert split.images[torch.arange(3)][:, 0, 0, 0].tolist() == [160, 40, 200]
    assert f"1 of 4 images are left out: {real} gives them none of the classes" in caplog.text


def test_some_classes_in_another_order(images, real):
    split = relabel(images, real, 5, [4, 2, 0])
    assert split.labels.tolist() == [[False, True, False], [False, True, True]] and len(split.images) == 2


@pytest.mark.parametrize("content, message", [
    (None, "cannot be read: No such file.*reassessed-imagenet"), ("[[1]", "is not JSON"),
    ('{"1": [2]}', "is not a list with a list"), ("[[1], 2]", "is not a list with a list"),
    ('[["1"]]', "is not a list with a list"), ("[[0], [5]]", "has class 5, but the model has 5 classes"),
    ("[[0], [-1]]", "has class -1"), ("[[0], [1]]", "1 to ILSVRC2012_val_00000002, not for 'ILSVRC2012_val_00000004"),
    ("[[4], [4], [4], [], []]", "gives none of the 4 images"),
])
def test_a_file_that_is_not_real_json(images, tmp_path, content, message):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=rf"other\.json.*{message}"):
        relabel(images, path, 5, range(4))


def test_other_images(real, tmp_path):
    unnamed = Split(torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    other = Split(ImageFiles([tmp_path / "ILSVRC2012_val_000000011.JPEG"], 8), torch.zeros(1, dtype=torch.int64))
    for split, name in ((unnamed, "no name"), (other, "ILSVRC2012_val_000000011.JPEG")):
        with pytest.raises(DataError, match=re.escape(f"not for {name!r}")):
            relabel(split, real, 5, range(5))
