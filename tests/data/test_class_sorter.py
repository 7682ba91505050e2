"""A flat folder sorted into classes: by ImageNet's devkit or by a list; whole or not at all, and the originals stay."""

import os
import shutil

import numpy as np
import pytest
from scipy.io import savemat

import minivit.data.class_sorter
from minivit.__main__ import main
from minivit.data import DataError
from minivit.data.class_sorter import sort_into_classes

SYNSETS = ["n01440764", "n02119789", "n01440764", "n07753592", "n02119789", "n02119789", "n01440764"]
NUMBERS = {"n02119789": 1, "n07753592": 2, "n01440764": 3, "n00000001": 4}


@pytest.fixture
def images(tmp_path):
    """Files, written in no order, whose contents say their numbers."""
    (folder := tmp_path / "ILSVRC2012_img_val").mkdir()
    for number in (5, 1, 7, 3, 2, 6, 4):
        (folder / f"ILSVRC2012_val_{number:08}.JPEG").write_text(str(number))
    (folder / "readme.txt").write_text("not an image")
    (folder / ".ILSVRC2012_val_00000001.JPEG").write_text("hidden")
    return folder


@pytest.fixture
def listed(tmp_path):
    (path := tmp_path / "synsets.txt").write_text("\n".join(SYNSETS) + "\n")
    return path


@pytest.fixture
def devkit(tmp_path):
    (folder := tmp_path / "ILSVRC2012_devkit_t12" / "data").mkdir(parents=True)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(str(NUMBERS[name]) for name in SYNSETS))
    synsets = np.zeros(len(NUMBERS), dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("words", object)])
    for row, (name, number) in zip(synsets, NUMBERS.items(), strict=True):
        row["ILSVRC2012_ID"], row["WNID"], row["words"] = number, name, "a word, another"
    savemat(folder / "meta.mat", {"synsets": synsets[:, None]})
    return folder.parent


def sorted_right(target, copied=False):
    places = {path.relative_to(target).as_posix() for path in target.rglob("*.JPEG")}
    assert places == {f"{name}/ILSVRC2012_val_{i:08}.JPEG" for i, name in enumerate(SYNSETS, 1)}
    for i, name in enumerate(SYNSETS, 1):
        path = target / name / f"ILSVRC2012_val_{i:08}.JPEG"
        assert path.read_text() == str(i) and path.is_symlink() != copied
    return True


@pytest.mark.parametrize("copy", [False, True])
def test_by_a_list(images, listed, tmp_path, copy):
    target = tmp_path / "imagenet" / "val"
    assert sort_into_classes(images, listed, target, copy=copy) == (7, 3) and sorted_right(target, copy)
    assert len(list(images.iterdir())) == 9   # the originals
    assert sort_into_classes(images, listed, target, copy=copy) == (7, 3)   # again: all is there
    assert [path.name for path in target.parent.iterdir()] == ["val"]


@pytest.mark.parametrize("place", [".", "data", "data/ILSVRC2012_validation_ground_truth.txt"])
def test_by_the_devkit(images, devkit, tmp_path, place):
    assert sort_into_classes(images, devkit / place, tmp_path / "val") == (7, 3) and sorted_right(tmp_path / "val")


def test_links_hold_when_all_is_moved(images, listed, tmp_path):
    (tmp_path / "a").mkdir()
    shutil.move(images, tmp_path / "a" / "flat")
    sort_into_classes(tmp_path / "a" / "flat", listed, tmp_path / "a" / "val")
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert sorted_right(tmp_path / "b" / "val")


@pytest.mark.parametrize("copy", [False, True])
def test_it_goes_on_where_it_was_stopped(images, listed, tmp_path, copy, monkeypatch):
    put, target = minivit.data.class_sorter._put, tmp_path / "val"
    placed = []

    def stop(place, *arguments):
        if len(placed) == 4:
            raise KeyboardInterrupt
        placed.append(place)
        put(place, *arguments)

    monkeypatch.setattr(minivit.data.class_sorter, "_put", stop)
    with pytest.raises(KeyboardInterrupt):
        sort_into_classes(images, listed, target, copy=copy)
    assert not target.exists() and all(path.exists() for path in placed)
    monkeypatch.undo()
    before = [path.lstat().st_ino for path in placed]
    assert sort_into_classes(images, listed, target, copy=copy) == (7, 3) and sorted_right(target, copy)
    assert [(target / path.relative_to(f"{target}.part")).lstat().st_ino for path in placed] == before


def test_links_begun_may_become_copies(images, listed, tmp_path):
    (tmp_path / "val.part" / SYNSETS[0]).mkdir(parents=True)
    (tmp_path / "val.part" / SYNSETS[0] / "ILSVRC2012_val_00000001.JPEG").symlink_to(images)
    sort_into_classes(images, listed, tmp_path / "val", copy=True)
    assert sorted_right(tmp_path / "val", copied=True)


def remove(path):
    path.unlink()


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda i, t: remove(i / "ILSVRC2012_val_00000003.JPEG"), "has 6 images .* 7 lines; number 3 is missing"),
    (lambda i, t: (i / "ILSVRC2012_val_00000008.JPEG").touch(), "00000008.JPEG has no class: .* has 7 lines"),
    (lambda i, t: (i / "copy_3.JPEG").touch(), "two images of number 3, "),
    (lambda i, t: (remove(i / "ILSVRC2012_val_00000003.JPEG"), (i / "ILSVRC2012_val_00000009.JPEG").touch()),
     "has 7 images .* number 3 is missing"),
    (lambda i, t: shutil.rmtree(i), "ILSVRC2012_img_val cannot be read or written: No such file"),
    (lambda i, t: [remove(path) for path in i.glob("*.JPEG")], "has 0 images PREFIX1.JPEG"),
    (lambda i, t: (t / "synsets.txt").write_text(""), "synsets.txt has 0 lines"),
    (lambda i, t: (t / "synsets.txt").write_text("ab\n../../c\n"), "line '../../c', which cannot be the name"),
    (lambda i, t: (t / "synsets.txt").write_text("n01440764 tench\n"), "line 'n01440764 tench'"),
    (lambda i, t: (t / "synsets.txt").write_bytes(b"\xff\xfe"), "is not a text file"),
    (lambda i, t: (t / "synsets.txt").write_text("1\n2\n"), "meta.mat, which has their names, is missing"),
    (lambda i, t: remove(t / "synsets.txt"), "synsets.txt cannot be read"),
    (lambda i, t: (remove(t / "synsets.txt"), (t / "synsets.txt").mkdir()), "has no ILSVRC2012_validation_ground"),
    (lambda i, t: ((t / "val" / "x").mkdir(parents=True), (t / "val" / "x" / "own.jpg").touch()),
     "val already exists with other files"),
    (lambda i, t: ((t / "val.part" / "x").mkdir(parents=True), (t / "val.part" / "x" / "own.jpg").touch()),
     "own.jpg is from an earlier call"),
])
def test_what_does_not_fit_is_told(images, listed, tmp_path, spoil, message):
    spoil(images, tmp_path)
    with pytest.raises(DataError, match=message):
        sort_into_classes(images, listed, tmp_path / "val")
    assert not list(tmp_path.glob("val/n*"))


def test_a_devkit_that_is_damaged_is_told(images, devkit, tmp_path):
    meta = devkit / "data" / "meta.mat"
    meta.write_bytes(meta.read_bytes()[:300])
    with pytest.raises(DataError, match=r"meta\.mat cannot be read .*copy it again"):
        sort_into_classes(images, devkit, tmp_path / "val")
    (devkit / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text("7\n")
    savemat(meta, {"synsets": np.array([(1, "n1"), (2, "n2")], dtype=[("ILSVRC2012_ID", object), ("WNID", object)])})
    with pytest.raises(DataError, match=r"has the class 7, which .*meta\.mat lacks"):
        sort_into_classes(images, devkit, tmp_path / "val")


def test_the_command(images, listed, tmp_path, capsys):
    target = tmp_path / "imagenet" / "val"
    command = ["data", "imagefolder", "--from", str(images), "--labels", str(listed)]
    assert main([*command, "--to", str(target)]) == 0 and sorted_right(target)
    assert capsys.readouterr().out == f"imagefolder: 7 images linked into 3 class folders in {target}\n"
    assert main(command) == 1
    assert main(["data", "shards", *command[2:], "--to", str(target)]) == 1
    assert all("--labels needs imagefolder" in line for line in capsys.readouterr().err.splitlines())
    assert os.listdir(target.parent) == ["val"]
