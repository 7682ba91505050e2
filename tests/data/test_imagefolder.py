"""Image files on disk, laid out as people have them."""

import json
import logging
import os
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image

from minivit.data import DataError, load
from minivit.data.imagefolder import ImageFiles


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


def test_options_of_images(root):
    clear = np.zeros((8, 16, 4), dtype=np.uint8)
    Image.fromarray(clear).save(root / "train" / "ant" / "0.png")
    data = load("imagefolder", root, image_size=[3, 7], mean=[0.5, 0.25, 0], std=(1, 0.5, 0.25), background=[1, 2, 3])
    assert data.mean == (0.5, 0.25, 0.0) and data.std == (1.0, 0.5, 0.25) and data.image_shape == (3, 3, 7)
    assert data.train.images[0][:, 1, 1].tolist() == [1, 2, 3] and data.train.images[:].shape == (9, 3, 3, 7)
    assert load("imagefolder", root, image_size=5).train.images[0].min() == 255   # white where nothing is
    kept = data.train.subset([8, 0])
    assert kept.images[torch.arange(2)].shape == (2, 3, 3, 7) and kept.images[1][:, 0, 0].tolist() == [1, 2, 3]


def test_published_weights_say_what_they_want(root):
    (root / "config.json").write_text(json.dumps({"pretrained_cfg": {
        "input_size": [3, 5, 5], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 0.5, "crop_mode": "squash",
        "interpolation": "nearest"}}))
    data = load("imagefolder", root, preprocessing=str(root))
    assert data.mean == data.std == (0.5, 0.5, 0.5) and data.image_shape == (3, 5, 5)
    assert data.train.images.view.box(10, 20) == (4, 2, 14, 7)   # squashed to 10 x 10, and about the middle of it
    assert data.train.images.view.interpolation == "nearest"
    data = load("imagefolder", root, preprocessing=str(root / "config.json"), image_size=7, std=[0.25] * 3, crop_pct=1)
    assert data.mean == (0.5, 0.5, 0.5) and data.std == (0.25,) * 3 and data.image_shape == (3, 7, 7)
    with pytest.raises(DataError, match=r"gone/config\.json cannot be read"):
        load("imagefolder", root, preprocessing=str(root / "gone" / "config.json"))


@pytest.mark.parametrize(("options", "message"), [
    ({"image_size": 0}, "image_size=0"), ({"image_size": [3, 5, 7]}, r"image_size=\[3, 5, 7\]"),
    ({"mean": [0.5, 0.5]}, "mean="), ({"std": [0, 1, 1]}, "std="), ({"mean": "0.5"}, "mean='0.5' has the wrong type"),
    ({"background": [0, 0, 256]}, r"background=\[0, 0, 256\]"), ({"background": [0, 0]}, "background"),
    ({"crop_mode": "border"}, "crop_mode='border'"), ({"interpolation": "cubic"}, "interpolation='cubic'"),
])
def test_bad_options(root, options, message):
    with pytest.raises(ValueError, match=message):
        load("imagefolder", root, **options)


def test_workers_are_the_cores_that_may_be_used(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert ImageFiles([], 5).workers == 3
    for processes, workers in (("2", 1), ("1", 3), ("5", 1), ("0", 3), ("many", 3)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        assert ImageFiles([], 5).workers == workers
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert ImageFiles([], 5).workers == 5


def test_val_stands_for_test(root):
    (root / "test").rename(root / "val")
    assert len(load("imagefolder", root).test) == 6
    (root / "test").mkdir()   # ImageNet's test images have no classes
    assert len(load("imagefolder", root).test) == 6


def test_the_first_of_test_and_val_that_has_classes_of_train(root, caplog):
    caplog.set_level(logging.INFO)
    for name in ("ant", "bee", "wolf"):
        save(root / "val" / name / "0.png")
    assert len(load("imagefolder", root).test) == 6
    assert f"{root / 'val'} is not used" in caplog.text
    (root / "test").rename(root / "unused")
    save(root / "test" / "images" / "0.png")   # without labels, all in one folder
    assert len(load("imagefolder", root).test) == 3


def test_what_is_passed_over_is_told(root, caplog):
    """Files of the system and notes for information, what may be data as a warning."""
    caplog.set_level(logging.INFO)
    ant = root / "train" / "ant"
    for name in (".DS_Store", "Thumbs.db", "._0.png", "desktop.ini"):
        (ant / name).write_text("what systems leave")
    for name in ("__MACOSX", "@eaDir", ".ipynb_checkpoints", "$RECYCLE.BIN", "lost+found", "System Volume Information"):
        save(root / "train" / name / "0.png")
    (ant / "notes.txt").write_text("no image")
    (ant / "x.png").mkdir()
    dataset = load("imagefolder", root)
    assert len(dataset.train) == 9 and dataset.classes == ("ant", "bee", "wolf")
    (record,) = caplog.records
    assert record.levelno == logging.INFO and record.message == (
        f"imagefolder: found 9 training images in {root / 'train'} and 6 test images in {root / 'test'}, of 3 classes; "
        f"skipped: system and hidden files (10, such as {root / 'train' / '$RECYCLE.BIN'}), "
        f".txt files (1, such as {ant / 'notes.txt'})")
    caplog.clear()
    for path in (ant / "1.HEIC", ant / "2.heic", root / "train" / "loose.png", ant / "without suffix"):
        path.write_bytes(b"")
    (ant / "broken.png").symlink_to(root / "gone.png")
    (ant / "circle.png").symlink_to("circle.png")
    (root / "train" / "cat").symlink_to(root / "gone")
    assert len(load("imagefolder", root).train) == 9
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for kind in (f".heic files (2, such as {ant / '1.HEIC'}", "images outside a class folder (1,",
                 "files without a suffix (1,", "broken links (3, such as"):
        assert kind in record.message


@pytest.mark.parametrize("name", ["9.JPG", "9.jfif", "9.jpe", "9.pgm", "9.PNM", "9.jp2", "9.tga", "9.bmp", "9.qoi",
                                  "a b/é c.webp", "deep/er/9.png", "images/9.JPEG"])
def test_whatever_pillow_reads_is_read_however_deep(root, name):
    path = root / "train" / "ant" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"jfif": "JPEG", "jpe": "JPEG"}.get(name.rsplit(".")[-1])
    Image.new("L" if "p" in name and ("pgm" in name or "PNM" in name) else "RGB", (17, 11), 5).save(path, format=kind)
    images = load("imagefolder", root, image_size=5).train.images
    assert len(images) == 10 and path in images.paths and images[:].shape == (10, 3, 5, 5)


def test_formats_that_need_more_than_pillow_are_passed_over(root, caplog):
    for name in ("9.eps", "9.mpg", "9.h5", "9.wmf", "9.pdf", "9.svg", "9.npy"):
        (root / "train" / "ant" / name).write_bytes(b"")
    assert len(load("imagefolder", root).train) == 9
    assert ".eps files (1," in caplog.text and ".npy files (1," in caplog.text


def test_links_are_followed_but_never_back_up(root, caplog):
    caplog.set_level(logging.INFO)
    save(root / "elsewhere" / "more" / "0.png")
    (root / "train" / "ant" / "linked").symlink_to(root / "elsewhere")
    (root / "train" / "ant" / "linked.png").symlink_to(root / "elsewhere" / "more" / "0.png")
    (root / "elsewhere" / "more" / "loop").symlink_to(root / "elsewhere")
    (root / "train" / "ant" / "up").symlink_to(root / "train")
    assert len(load("imagefolder", root).train) == 11
    (record,) = caplog.records
    assert record.levelno == logging.INFO and "links to a parent folder (2," in record.message
    (root / "train" / "wolf").rename(root / "wolf")
    (root / "train" / "wolf").symlink_to(root / "wolf")
    assert len(load("imagefolder", root).train) == 11


def test_unicode_forms_are_one_class(root):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    for split, name in (("train", decomposed), ("test", composed)):
        save(root / split / name / "0.png")
    dataset = load("imagefolder", root)
    assert dataset.classes == ("ant", "bee", composed, "wolf") and len(dataset.train) == 10
    try:
        (root / "train" / composed).mkdir()
    except FileExistsError:
        pytest.skip("this file system takes the two for one name")
    with pytest.raises(DataError, match=r"two folders for the class 'café'.*'cafe\\u0301' and 'caf\\xe9'|"
                                        r"'caf\\xe9' and 'cafe\\u0301'"):
        load("imagefolder", root)


def test_a_name_that_cannot_be_written_down(root):
    try:
        os.mkdir(os.fsencode(root / "train") + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(DataError, match=r"caf\\udce9' is not UTF-8: rename it"):
        load("imagefolder", root)


def test_one_class_may_be_loaded_and_is_mentioned_if_it_hides_others(root, caplog):
    for split in ("train", "test"):
        (root / split).rename(root / f"{split} classes")
        (root / split).mkdir()
        (root / f"{split} classes").rename(root / split / "images")
    assert load("imagefolder", root).classes == ("images",)
    assert "'images' is the only class, and its images are in 3 folders (ant, bee, wolf, ...)" in caplog.text


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


def test_an_error_says_what_is_there_instead(root):
    (root / "train").rename(root / "Training")
    with pytest.raises(DataError, match=r"train is missing .* holds Training, test$"):
        load("imagefolder", root)
    with pytest.raises(DataError, match=r"gone does not exist$"):
        load("imagefolder", root / "gone")
    with pytest.raises(DataError, match=r"0\.png is a file: name the folder"):
        load("imagefolder", root / "test" / "ant" / "0.png")


def test_classes_that_differ(root):
    save(root / "test" / "cat" / "0.png")
    with pytest.raises(DataError, match=r"'cat' is only in .*test; give both"):
        load("imagefolder", root)
    for name in ("Cat", "dog", "emu", "fox"):
        save(root / "train" / name / "0.png")
    both = r"'Cat', 'dog', 'emu' and 1 more are only in .*train and 'cat' is only in .*test"
    with pytest.raises(DataError, match=both):
        load("imagefolder", root)


def test_tiny_imagenet_as_it_comes(root):
    (root / "test").rename(root / "unsorted")
    for split in ("test", "val"):
        save(root / split / "images" / f"{split}_0.JPEG")
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tant\t0\t0\t62\t62\n")
    with pytest.raises(DataError, match=r"val has no class folders.*val_annotations\.txt.*move each .*val/CLASS/"):
        load("imagefolder", root)
    for name in ("ant", "bee", "wolf"):
        save(root / "val" / name / "images" / "val_0.JPEG")
    (root / "val" / "images" / "val_0.JPEG").unlink()
    (root / "val" / "images").rmdir()
    assert len(load("imagefolder", root).test) == 3


def test_a_class_without_images(root):
    (root / "train" / "cat").mkdir()
    with pytest.raises(DataError, match=r"train/cat has no image that Pillow reads: add some or delete it; .*nothing$"):
        load("imagefolder", root)
    (root / "train" / "cat" / "1.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"train/cat has no image.* \.heic files \(1, such as .*cat/1\.heic\)"):
        load("imagefolder", root)


@pytest.mark.parametrize("inside", ["val", "test", ""])
def test_an_evaluation_needs_no_training_images(tmp_path, caplog, inside):
    for name in ("bee", "ant"):
        save(tmp_path / inside / name / "0.png", colour=(10, 20, len(name)))
    (tmp_path / inside / "README.txt").write_text("about")
    with caplog.at_level(logging.INFO):
        data = load("imagefolder", tmp_path, image_size=5, only_test=True)
    assert data.classes == ("ant", "bee") and len(data.train) == 0 and data.image_shape == (3, 5, 5)
    assert data.test.labels.tolist() == [0, 1] and data.test.images[:].shape == (2, 3, 5, 5)
    assert f"found 2 test images in {tmp_path / inside}, of 2 classes; skipped: .txt files (1" in caplog.text
    assert len(data.select_classes(["bee"]).test) == 1


def test_an_evaluation_does_not_search_the_training_images(root):
    save(root / "val" / "other" / "0.png")   # shares no class with train
    (root / "train" / "ant" / "0.png").write_text("broken")
    (root / "train" / "new").mkdir()
    data = load("imagefolder", root, image_size=5, only_test=True)
    assert data.classes == ("ant", "bee", "wolf") and (len(data.train), len(data.test)) == (0, 6)


@pytest.mark.parametrize("inside", ["", "train/ant", "val"])
def test_without_class_folders_there_is_nothing_to_evaluate(tmp_path, inside):
    (tmp_path / inside).mkdir(parents=True, exist_ok=True)
    with pytest.raises(DataError, match="(test|val) is missing or has no class folder"):
        load("imagefolder", tmp_path, only_test=True)
