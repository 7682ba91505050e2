"""Tar shards: written from a folder, read in place, and any damage is reported before the first step."""

import io
import json
import logging
import os
import shutil
import tarfile

import pytest
import torch
from PIL import Image

import minivit.data.shard_writer
from minivit.data import DataError, batches, load
from minivit.data.shard_writer import write_shards
from minivit.data.shards import _open

NAMES = ("ant", "bée and wasp", "cat.dog")
COUNTS = {"train": (13, 7, 11), "val": (3, 5, 2)}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """JPEGs of drawn shapes; some have one name in different folders, dots, spaces or accents in it."""
    root = tmp_path_factory.mktemp("folder")
    images = iter(load("shapes", train_images=41, test_images=1, size=29).train.images)
    for split, counts in COUNTS.items():
        for name, count in zip(NAMES, counts, strict=True):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                file = ("{}.JPEG", "é {}.jpg", "a.b.{}.jpeg")[i % 3].format(i)
                Image.fromarray(next(images).permute(1, 2, 0).numpy()).save(root / split / name / file)
    return root


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    """Four or so shards for each split, with the manifest."""
    root = tmp_path_factory.mktemp("written")
    write_shards(str(folder), str(root), size_mb=0.008, seed=3)
    return root


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "shards")


def tar(path, contents):
    with tarfile.open(path, "w") as file:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


def members(path):
    with tarfile.open(path) as file:
        return [(member.name, file.extractfile(member).read()) for member in file]


def jpeg(grey):
    file = io.BytesIO()
    Image.new("L", (17, 11), grey).save(file, "JPEG")
    return file.getvalue()


def by_row(split):
    """Images and labels in the order of the folder, which the number in each name has."""
    order = torch.tensor([int(name[:8]) for name in split.images.names]).argsort()
    return split.images[order], split.labels[order]


def test_what_is_written_is_what_the_folder_has(folder, root):
    direct, shards = load("imagefolder", folder, image_size=23), load("shards", root, image_size=23)
    assert shards.classes == direct.classes == NAMES
    assert shards.image_shape == (3, 23, 23) and shards.mean == direct.mean
    for mine, its in ((shards.train, direct.train), (shards.test, direct.test)):
        images, labels = by_row(mine)
        assert torch.equal(images, its.images[:]) and torch.equal(labels, its.labels)
    manifest = json.loads((root / "_info.json").read_text(encoding="utf-8"))
    lengths = manifest["splits"]["train"]["shard_lengths"]
    assert sum(lengths) == 31 and len(lengths) > 2 and max(lengths) - min(lengths) <= 1
    labels = shards.train.labels.split(lengths)
    assert all(part.unique().tolist() == [0, 1, 2] and part.sort().values.tolist() != part.tolist() for part in labels)
    files = sorted(path.read_bytes() for path in (folder / "val").rglob("*.*") if path.is_file())
    copies = [content for path in root.glob("val-*.tar") for name, content in members(path) if name.endswith(".jpg")]
    assert sorted(copies) == files
    assert not list(root.glob("*.part")) and not (root / "_unfinished.json").exists()


def test_indexing_is_a_tensors_and_rows_are_shared_out(root):
    split = load("shards", root, image_size=5).train
    whole = split.images[:]
    for index in (4, -1, slice(2, 7, 2), torch.tensor([1, 1, 0]), torch.tensor([], dtype=torch.int64)):
        assert torch.equal(split.images[index], whole[index])
    kept = split.subset([7, 2])
    assert torch.equal(kept.images[:], whole[[7, 2]]) and kept.images.names == [split.images.names[i] for i in (7, 2)]
    order = torch.randperm(31, generator=torch.Generator().manual_seed(5))
    ranks = [list(batches(split, order[rank::2], 7)) for rank in range(2)]
    seen = torch.cat([labels for rank in ranks for _, labels in rank])
    assert len(seen) == 31 and torch.equal(seen.bincount(), split.labels.bincount())
    assert torch.equal(ranks[1][0][0], whole[order[1::2][:7]])
    assert split.digest() == load("shards", root, image_size=5).train.digest()


def test_the_index_is_made_once_and_again_when_a_shard_changes(root, caplog):
    caplog.set_level(logging.INFO)
    first = load("shards", root, image_size=5)
    assert caplog.text.count("reading the headers") == 2
    assert torch.equal(load("shards", root, image_size=5).train.images[:], first.train.images[:])
    assert caplog.text.count("reading the headers") == 2
    os.utime(root / "train-0001.tar", ns=(1, 1))
    load("shards", root)
    assert caplog.text.count("reading the headers") == 3
    (root / "_index-val.npz").write_bytes(b"no index")
    load("shards", root)
    assert caplog.text.count("reading the headers") == 4 and not list(root.glob("*.part"))


def test_where_no_index_can_be_written_beside_the_shards(root, tmp_path, caplog):
    cache = tmp_path / "home" / ".cache" / "minivit" / "shards"
    (root / "_index-train.npz").mkdir()   # so that no file can be put there
    expected = load("shards", root, image_size=5).train.images[:]
    (kept,) = cache.glob("*-train.npz")
    assert torch.equal(load("shards", root, image_size=5).train.images[:], expected) and not caplog.text
    kept.unlink()
    kept.mkdir()
    assert torch.equal(load("shards", root, image_size=5).train.images[:], expected)
    assert "every run will build it again" in caplog.text and not list(root.glob("*.part")) + list(cache.glob("*.part"))


def test_a_user_without_a_home_has_an_index_beside_the_shards(root, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", no_home)
    assert len(load("shards", root).train) and (root / "_index-train.npz").is_file()


def test_tars_of_others(tmp_path):
    """No manifest, a prefix, labels as text or JSON, a folder in the key, and additional members."""
    for split, number in (("train", 0), ("train", 1), ("validation", 0)):
        tar(tmp_path / f"imagenet1k-{split}-{number:04d}.tar", [
            ("a/0.x.jpg" if number else "a/0.jpg", jpeg(50)), ("a/0.cls", b"1\n"), ("._0.jpg", b"Mac"),
            ("1.JSON", b'{"label": 0, "filename": "x"}'), ("1.PNG", jpeg(100)), ("1.txt", b"a caption")][number:])
        if number:
            tar(tmp_path / f"imagenet1k-{split}-{number:04d}.tar", [("é.webp", jpeg(9)), ("é.cls", b"1")])
    data = load("shards", tmp_path, image_size=3)
    assert data.classes == ("0", "1") and data.train.labels.tolist() == [1, 0, 1] and len(data.test) == 2
    assert data.train.images[:][:, 0, 1, 1].tolist() == [50, 100, 9]
    assert data.train.images.names == ["a/0.jpg", "1.PNG", "é.webp"]
    (tmp_path / "names.txt").write_text("tench\ngoldfish\n\n", encoding="utf-8")
    assert load("shards", tmp_path, classes=str(tmp_path / "names.txt")).classes == ("tench", "goldfish")
    with pytest.raises(DataError, match=r"train shards.* have no image of class 2, but there are 3 classes"):
        load("shards", tmp_path, classes=["a", "b", "c"])
    with pytest.raises(DataError, match=r"train-0000\.tar has an image of class 1, but there are 1 classes"):
        load("shards", tmp_path, classes=["a"])


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def member_offsets(path):
    with tarfile.open(path) as file:
        return [member.offset for member in file]


def spoil(path):
    """Break a header in the middle: tarfile then stops as if that were the end."""
    content = bytearray(path.read_bytes())
    content[member_offsets(path)[6] + 148] ^= 0x55
    path.write_bytes(content)


@pytest.mark.parametrize("manifest", [True, False], ids=["manifest", "alone"])
@pytest.mark.parametrize(("damage", "message"), [
    (lambda path: path.unlink(), "is missing"),
    (lambda path: path.write_bytes(b""), "is empty"),
    (lambda path: cut(path, member_offsets(path)[4]), "ends early|bytes, but _info.json says"),
    (lambda path: cut(path, member_offsets(path)[4] + 700), "is damaged|bytes, but _info.json says"),
    (spoil, "is damaged near byte"),
    (lambda path: path.write_bytes(b"\0" * path.stat().st_size), "contains no image"),
    (lambda path: path.write_bytes(b"x" * path.stat().st_size), "is damaged or not an uncompressed tar"),
])
def test_a_damaged_shard_is_named(root, damage, message, manifest):
    load("shards", root)
    if not manifest:
        (root / "_info.json").unlink()
    damage(root / "train-0001.tar")
    with pytest.raises(DataError, match=rf"train-0001\.tar.*({message})") as error:
        load("shards", root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("members", "message"), [
    ([("0.jpg", b"x")], r"'0' has no label"), ([("0.cls", b"1")], r"'0' has 0 images \(cls\)"),
    ([("0.jpg", b"x"), ("0.png", b"x"), ("0.cls", b"1")], r"'0' has 2 images"),
    ([("0.jpg", b"x"), ("0.cls", b"-1")], r"0\.cls holds b'-1'"), ([("0.jpg", b"x"), ("0.cls", b"x")], r"holds b'x'"),
    ([("0.jpg", b"x"), ("0.json", b"[]")], r"0\.json holds b'\[\]', but must hold a label"),
    ([("0.jpg", b"x"), ("0.jpg", b"x"), ("0.cls", b"1")], r"two members '0\.jpg'"),
    ([("0", b"x")], r"'0' is not a plain file KEY\.SUFFIX"), ([], "contains no image"),
])
def test_what_is_no_shard(tmp_path, members, message):
    tar(tmp_path / "val-0000.tar", [("0.jpg", jpeg(5)), ("0.cls", b"0")])
    tar(tmp_path / "train-0.tar", members)
    with pytest.raises(DataError, match=rf"train-0\.tar.*{message}"):
        load("shards", tmp_path)


def test_what_the_manifest_says(root):
    path = root / "_info.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["splits"]["train"]["shard_lengths"][1] += 1
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(DataError, match=r"train-0001\.tar has \d+ images, but _info\.json says"):
        load("shards", root)
    manifest["splits"]["train"]["shard_lengths"][1] -= 1
    for classes, message in ((NAMES[:2], r"tar has an image of class 2, but there are 2 classes"),
                             ((*NAMES, "emu"), r"no image of class 3, but there are 4 classes .*_info\.json")):
        path.write_text(json.dumps(manifest | {"classes": classes}), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            load("shards", root)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    shutil.copy(root / "train-0000.tar", root / "train-0077.tar")
    with pytest.raises(DataError, match=r"train-0077\.tar is not in .*_info\.json"):
        load("shards", root)
    for text in ("{", "[]", '{"splits": {"train": {"filenames": ["a"], "shard_lengths": []}}}', '{"classes": [1]}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"_info\.json is damaged"):
            load("shards", root)


def test_what_is_not_there(tmp_path, root):
    with pytest.raises(DataError, match=r"gone cannot be read: No such file.*train-0000\.tar"):
        load("shards", tmp_path / "gone")
    (root / "_info.json").unlink()
    shutil.copy(root / "train-0000.tar", root / "other-train-0000.tar")
    with pytest.raises(DataError, match="more than one set of train shards"):
        load("shards", root)
    for path in root.glob("*train*.tar"):
        path.unlink()
    with pytest.raises(DataError, match="has no train shards; shards expects"):
        load("shards", root)


def test_an_evaluation_needs_no_training_shards(root):
    whole = load("shards", root, image_size=8)
    for path in root.glob("*train*"):
        path.unlink()
    with pytest.raises(DataError, match="train"):
        load("shards", root)
    data = load("shards", root, image_size=8, only_test=True)
    assert len(data.train) == 0 and data.classes == whole.classes and data.image_shape == (3, 8, 8)
    assert torch.equal(data.test.labels, whole.test.labels) and torch.equal(data.test.images[:], whole.test.images[:])


def test_a_broken_image_is_named_with_its_shard(tmp_path):
    for split in ("train", "val"):
        tar(tmp_path / f"{split}-0.tar", [("ü.jpg", jpeg(3)[:150]), ("ü.cls", b"0")])
    images = load("shards", tmp_path).train.images
    with pytest.raises(DataError, match=r"train-0\.tar: member 'ü\.jpg' cannot be read as an image"):
        images[0]
    cut(tmp_path / "train-0.tar", 600)
    with pytest.raises(DataError, match=r"train-0\.tar ends within 'ü\.jpg'"):
        images[0]


def test_more_shards_than_files_may_be_open(tmp_path):
    _open.cache_clear()
    for number in range(300):
        tar(tmp_path / f"train-{number}.tar", [("0.jpg", jpeg(number % 256)), ("0.cls", b"0")])
    tar(tmp_path / "val-0.tar", [("0.jpg", jpeg(5)), ("0.cls", b"0")])
    images = load("shards", tmp_path, image_size=2).train.images
    images.workers = 7   # so that other threads make the cache drop a file that one is reading
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        assert images[:][:, 0, 0, 0].tolist() == [number % 256 for number in range(300)]
    assert len(os.listdir("/dev/fd")) - before <= 256
    _open.cache_clear()


def test_writing_goes_on_where_it_was_stopped(folder, written, tmp_path, monkeypatch):
    target, write, count = tmp_path / "target", minivit.data.shard_writer._write_shard, []

    def stop_at_the_third(part, *rest):
        count.append(part)
        write(part, *rest)
        if len(count) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(minivit.data.shard_writer, "_write_shard", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write_shards(folder, target, size_mb=0.008, seed=3)
    assert sorted(path.name for path in target.iterdir()) == ["_unfinished.json", "train-0000.tar", "train-0001.tar"]
    with pytest.raises(DataError, match=r"train-0000\.tar is from another set .* with other options"):
        write_shards(folder, target, size_mb=0.008, seed=4)
    write_shards(folder, target, size_mb=0.008, seed=3)
    tars = sorted(path.name for path in written.glob("*.tar"))
    assert len(count) == len(tars) + 1 and sorted(path.name for path in target.iterdir()) == ["_info.json", *tars]
    for name in ("_info.json", *tars):
        assert (target / name).read_bytes() == (written / name).read_bytes()
    with pytest.raises(DataError, match="already has shards"):
        write_shards(folder, target)


@pytest.mark.parametrize("options", [{"size_mb": 0}, {"size_mb": "x"}, {"seed": -1}])
def test_bad_options_of_the_writer(folder, tmp_path, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        write_shards(folder, tmp_path / "target", **options)
    assert not (tmp_path / "target").exists()
