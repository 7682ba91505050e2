"""Image files on disk."""

import numpy as np
import pytest
import torch
from PIL import Image

from minivit.data import DataError, load


def save(path, *, size=(17, 11), colour=(10, 20, 30), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path)
    return path


@pytest.fixture
def root(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for number, name in enumerate(("wolf", "ant", "bee")):
            for i in range(count):
                save(tmp_path / split / name / f"{i}.png", colour=(50 * number, 10 * i, 7))
    return tmp_path


def test_load(root):
    dataset = load("imagefolder", root, image_size=5)
    assert dataset.classes == ("ant", "bee", "wolf") and dataset.image_shape == (3, 5, 5)
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2] and len(dataset.test) == 6
    images = dataset.train.images[torch.tensor([8, 0, 4])]
    assert images.dtype == torch.uint8 and images.shape == (3, 3, 5, 5)
    assert images[:, :, 2, 3].tolist() == [[0, 20, 7], [50, 0, 7], [100, 10, 7]]


def test_indexing_is_a_tensors(root):
    images = load("imagefolder", root, image_size=5).train.images
    whole = images[torch.arange(9)]
    assert images.shape == whole.shape and len(images) == len(whole)
    for index in (4, -1, slice(2, 7, 2), torch.tensor([1, 1, 0]), torch.tensor([], dtype=torch.int64),
                  whole[:, 0, 0, 0] > 0):
        assert torch.equal(images[index], whole[index])
    with pytest.raises(IndexError):
        images[torch.tensor([9])]


def test_images_are_read_when_asked_for(root):
    split = load("imagefolder", root, image_size=5).train
    kept = split.subset([7, 2])
    for path in set(split.images.paths) - set(kept.images.paths):
        path.unlink()
    assert kept.images[torch.arange(2)].shape == (2, 3, 5, 5) and kept.labels.tolist() == [2, 0]
    with pytest.raises(DataError, match=r"ant/0\.png"):
        split.images[0]


@pytest.mark.parametrize("shape", [(40, 20), (20, 40)], ids=["tall", "wide"])
def test_the_middle_is_cut_out(root, shape):
    """Black ends, white between: only white is left. It is more than a square, for the filter to reach into."""
    pixels = np.zeros((*shape, 3), dtype=np.uint8)
    pixels[tuple(slice((side - 28) // 2 if side > 20 else 0, (side + 28) // 2) for side in shape)] = 255
    Image.fromarray(pixels).save(root / "train" / "ant" / "0.png")
    assert (load("imagefolder", root, image_size=10).train.images[0] == 255).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_other_modes_become_rgb(root, mode):
    save(root / "train" / "aardvark" / "0.tif", colour=(255, 255, 255), mode=mode)
    save(root / "test" / "aardvark" / "0.tif", colour=(255, 255, 255), mode=mode)
    assert (load("imagefolder", root, image_size=5).train.images[0] == 255).all()


def test_val_stands_for_test(root):
    (root / "test").rename(root / "val")
    assert len(load("imagefolder", root).test) == 6
    (root / "test").mkdir()   # ImageNet's test images have no classes
    assert len(load("imagefolder", root).test) == 6


def test_other_files_are_passed_over(root):
    (root / "train" / "ant" / "notes.txt").write_text("no image")
    (root / "train" / "ant" / "._0.png").write_text("what some systems leave")
    (root / "train" / ".cache").mkdir()
    (root / "train" / "README.md").write_text("no folder")
    save(root / "train" / "ant" / "9.JPG")
    dataset = load("imagefolder", root)
    assert len(dataset.train) == 10 and dataset.image_shape == (3, 224, 224)


@pytest.mark.parametrize("content", [b"", b"no image", "truncated"])
def test_a_corrupt_image_is_named(root, content):
    path = root / "train" / "bee" / "1.png"
    if content == "truncated":
        Image.fromarray(np.random.default_rng(0).integers(256, size=(50, 50, 3), dtype=np.uint8)).save(path)
        content = path.read_bytes()[:2000]
    path.write_bytes(content)
    images = load("imagefolder", root, image_size=5).train.images
    with pytest.raises(DataError, match=r"bee/1\.png cannot be read as an image"):
        images[torch.arange(9)]


@pytest.mark.parametrize(("missing", "named"), [("train", "train"), ("test", "test"), (".", "train")])
def test_missing_folders(root, missing, named):
    (root / missing).rename(root.parent / f"{root.name} gone")
    with pytest.raises(DataError, match=rf"{named} is missing or has no class folder.*train/CLASS"):
        load("imagefolder", root)


def test_classes_that_differ(root):
    save(root / "test" / "cat" / "0.png")
    with pytest.raises(DataError, match=r"'cat' is only in .*test"):
        load("imagefolder", root)


def test_a_class_without_images(root):
    (root / "train" / "cat").mkdir()
    with pytest.raises(DataError, match=r"train/cat has no image"):
        load("imagefolder", root)


def test_bad_image_size(root):
    with pytest.raises(ValueError, match="image_size=0"):
        load("imagefolder", root, image_size=0)
