"""Whatever a folder of real images holds: read right, or passed over and told, in folders and in shards alike."""

import io
import logging
import os

import numpy as np
import pytest
import torch
from PIL import Image

from minivit.__main__ import main
from minivit.data import DataError, batches, load
from minivit.data.broken import SHOWN, Broken, join
from minivit.data.shard_writer import write_shards

GREEN = (0, 128, 0)


def saved(image, kind="JPEG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def green(mode="RGB", size=(20, 30)):
    return Image.new("RGB", size, GREEN).convert(mode)


def turned():
    """Green on top once it is turned upright, and red below; the file has them side by side."""
    exif, image = Image.Exif(), Image.new("RGB", (40, 20), (255, 0, 0))
    image.paste(GREEN, (0, 0, 20, 20))
    exif[0x0112] = 6
    return saved(image, exif=exif, quality=95)


RIGHT = {
    "plain.jpg": saved(green()),
    "cmyk.JPEG": saved(green("CMYK")),
    "progressive.jpeg": saved(green(), progressive=True),
    "a png.JPEG": saved(green(), "PNG"),
    "palette.png": saved(green("P"), "PNG"),
    "rgba.png": saved(green("RGBA"), "PNG"),
    "gif.gif": saved(green(), "GIF"),
    "bmp.jpg": saved(green(), "BMP"),
    "ünïcode und Leerzeichen 🐝.jpg": saved(green()),
    "turned.jpg": turned(),
}
GREY = {
    "grey.jpg": saved(Image.new("L", (20, 30), 100)),
    "16 bits.png": saved(Image.fromarray(np.full((30, 20), 100 * 257, np.uint16)), "PNG"),
}
BROKEN = {
    "empty.JPEG": b"",
    "truncated.jpg": saved(Image.effect_noise((64, 64), 99))[:999],
    "text.jpg": b"not an image at all",
    "cut.png": saved(Image.effect_noise((64, 64), 99), "PNG")[:500],
}
IGNORED = {"notes.txt": b"a stray text file", ".DS_Store": b"\0"}


@pytest.fixture
def root(tmp_path):
    """Four broken ones among 400 images of each split: one in a hundred, and no more."""
    for split in ("train", "val"):
        for name in ("ant", "bee"):
            (tmp_path / split / name).mkdir(parents=True)
        for i in range(400 - len(RIGHT) - len(GREY) - len(BROKEN)):
            (tmp_path / split / "ant" / f"{i:03}.jpg").write_bytes(RIGHT["plain.jpg"])
        for name, content in (RIGHT | GREY | BROKEN | IGNORED).items():
            (tmp_path / split / "bee" / name).write_bytes(content)
        (tmp_path / split / "bee" / "linked.jpg").symlink_to(tmp_path / split / "ant" / "000.jpg")
        (tmp_path / split / "bee" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
        (tmp_path / split / "ant" / "001.jpg").unlink()
    return tmp_path


@pytest.fixture(params=["imagefolder", "shards"])
def data(request, root, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HOME", str(root))
    if request.param == "imagefolder":
        return load("imagefolder", root, image_size=16)
    shards = tmp_path_factory.mktemp("shards")
    write_shards(root, shards, size_mb=0.05)
    return load("shards", shards, image_size=16)


def rows_of(split, names):
    stems = [name.rpartition(".")[0].replace(".", "_") for name in names]
    return [row for row, name in enumerate(split.images.names) if any(stem in name for stem in stems)]


def test_each_is_read_right(data):
    assert len(data.train) == len(data.test) == 400
    for name, colour in {**dict.fromkeys(RIGHT, GREEN), **dict.fromkeys(GREY, (100, 100, 100))}.items():
        (row,) = rows_of(data.train, [name])
        away = data.train.images[row][:, 2, 7].int() - torch.tensor(colour)
        assert away.abs().max() < 20, name


def test_training_goes_on_with_others(data):
    """A batch keeps its size, and what stands in for a broken image is a matter of the key alone."""
    broken, order = rows_of(data.train, BROKEN), torch.arange(400)
    seen, keys = [], torch.arange(400) + 7
    for workers in (1, 5):
        data = load(data.name, data_root(data), image_size=16) if seen else data
        data.train.images.workers = workers
        seen.append([torch.cat(parts) for parts in zip(*batches(data.train, order, 37, keys=keys), strict=True)])
        assert sorted(data.train.images.broken.errors) == sorted(broken) and data.train.num_read == 396
    assert all(map(torch.equal, *seen)) and len(seen[0][0]) == 400
    images, rows = data.train.images.take(order, keys)
    assert torch.equal(data.train.labels[rows], seen[0][1]) and torch.equal(images, seen[0][0])
    assert [row for row in range(400) if rows[row] != row] == sorted(broken)
    assert not set(rows.tolist()) & set(broken)
    others = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    assert torch.equal(data.train.images.take(others, keys[others])[1], rows[others])
    assert not torch.equal(data.train.images.take(order, keys + 400)[1], rows)


def data_root(data):
    images = data.train.images
    return (images.paths[0].parents[2] if data.name == "imagefolder" else images.shards.paths[0].parent)


def test_evaluation_leaves_them_out(data):
    broken = rows_of(data.test, BROKEN)
    read = list(batches(data.test, torch.arange(400), 37))
    assert sum(len(labels) for _, labels in read) == 396 == data.test.num_read
    kept = [row for row in range(400) if row not in broken]
    assert torch.equal(torch.cat([labels for _, labels in read]), data.test.labels[kept])
    assert torch.equal(torch.cat([images for images, _ in read])[:9], data.test.images[kept[:9]])
    assert list(batches(data.test, torch.tensor(broken), 3)) == []


def test_what_is_left_out_is_named_once(data):
    list(batches(data.test, torch.arange(400), 37))
    new = data.test.images.broken.unreported()
    assert len(new) == 4 and str(data.test.images.broken) == "4 of 400 images cannot be read"
    assert all(name.rpartition(".")[0] in "".join(new) for name in BROKEN) and "it is empty" in "".join(new)
    assert data.test.images.broken.unreported() == []


def test_more_than_one_in_a_hundred_stop_the_run_with_a_list(root):
    (root / "train" / "ant" / "007.jpg").write_bytes(b"")
    data = load("imagefolder", root, image_size=16)
    with pytest.raises(DataError, match=r"5 of 400 images cannot be read, more than 1 % \(.*\): ") as error:
        list(batches(data.train, torch.arange(400), 37, keys=torch.arange(400)))
    assert all(name in str(error.value) for name in [*BROKEN, "007.jpg"])


def test_a_check_lists_all_of_them(root, capsys):
    assert main(["data", "imagefolder", "--data", str(root), "--check"]) == 0
    printed = capsys.readouterr().out
    assert all(printed.count(f"/{name} cannot be read") == 2 for name in BROKEN)
    assert "train: 4 of 400 images cannot be read" in printed and "test: 4 of 400" in printed
    for i in range(300, 300 + SHOWN):
        (root / "train" / "ant" / f"{i}.jpg").write_bytes(b"")
    assert main(["data", "imagefolder", "--data", str(root), "--check"]) == 1
    told = capsys.readouterr()
    assert told.out.count("cannot be read as an image") == 8 + SHOWN and "too many" in told.err
    assert main(["data", "digits", "--check"]) == 0 and "0 of 1437 images" in capsys.readouterr().out


def test_a_folder_of_broken_images_ends(root):
    for path in (root / "train").rglob("*.*"):
        path.write_bytes(b"")
    data = load("imagefolder", root, image_size=16)
    with pytest.raises(DataError, match="more than 1 %"):
        list(batches(data.train, torch.arange(400), 37, keys=torch.arange(400)))


def test_what_isnt_an_image_is_told_when_the_data_are_loaded(root, caplog):
    with caplog.at_level(logging.INFO, "minivit"):
        load("imagefolder", root)
    assert "broken links (2, such as" in caplog.text and ".txt files (2" in caplog.text
    assert "system and hidden files (2" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_broken(root):
    (root / "train" / "ant" / "000.jpg").chmod(0)
    images = load("imagefolder", root, image_size=16).train.images
    images.take(torch.tensor([0]))
    assert "000.jpg cannot be read: Permission denied" in images.broken.errors[0]


def test_a_list_names_some_and_counts_the_rest():
    broken = Broken(10_000)
    broken.add({row: f"{row}.jpg" for row in range(SHOWN + 3)})
    assert join(broken.unreported()) == "; ".join(f"{row}.jpg" for row in range(SHOWN)) + "; and 3 more"
    broken.add({0: "0.jpg", 99: "99.jpg"})
    assert broken.unreported() == ["99.jpg"] and len(broken) == SHOWN + 4
    assert Broken(100).add({0: "one of a hundred"}) is None
    with pytest.raises(DataError, match=r"2 of 199 images cannot be read, more than 1 % .*: 0.jpg; 1.jpg"):
        Broken(199).add({0: "0.jpg", 1: "1.jpg"})
