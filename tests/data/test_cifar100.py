"""CIFAR-100: archive and folder, old and new pickles, damage of every kind, and the real images where there are any."""

import hashlib
import pickle
import tarfile

import numpy as np
import pytest
import torch

from minivit.data import DataError, fetch, load
from minivit.data.cifar100 import ARCHIVE, FOLDER, MD5, SOURCES


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5, "python2"])
@pytest.mark.parametrize("labels", ["fine", "coarse"])
def test_load(cifar_content, write_cifar, protocol, packed, labels):
    dataset = load("cifar100", write_cifar(cifar_content, protocol=protocol, packed=packed), labels=labels)
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        # Row after row, plane after plane: red, green, blue.
        expected = cifar_content[name]["data"].reshape(-1, 3, 32, 32)
        np.testing.assert_array_equal(split.images.numpy(), expected)
        assert split.images.dtype == torch.uint8 and split.images.is_contiguous()
        assert split.labels.tolist() == cifar_content[name][f"{labels}_labels"]
    assert list(dataset.classes) == cifar_content["meta"][f"{labels}_label_names"]
    assert dataset.image_shape == (3, 32, 32)


def test_python2_pickles_are_what_numpy_reads(cifar_content, write_cifar):
    """The tests' own imitation of Python 2 holds what NumPy's reader finds in it."""
    folder = write_cifar(cifar_content, protocol="python2", packed=False) / FOLDER
    content = pickle.loads((folder / "train").read_bytes(), encoding="latin1")
    np.testing.assert_array_equal(content["data"], cifar_content["train"]["data"])
    assert content["filenames"] == cifar_content["train"]["filenames"]


def test_the_root_may_be_the_unpacked_folder_itself(cifar_content, write_cifar):
    assert len(load("cifar100", write_cifar(cifar_content, packed=False) / FOLDER).train) == 13


def test_an_incomplete_folder_beside_an_archive_does_no_harm(cifar_content, write_cifar, tmp_path):
    write_cifar({"train": cifar_content["train"]}, packed=False)
    assert len(load("cifar100", write_cifar(cifar_content)).test) == 7


@pytest.mark.parametrize("made", [None, "root", "folder"])
def test_missing_data_name_the_command_that_fetches_them(tmp_path, made):
    root = tmp_path / "my data"
    if made:
        (root / FOLDER if made == "folder" else root).mkdir(parents=True)
    with pytest.raises(DataError) as failure:
        load("cifar100", root)
    assert f"python -m minivit data cifar100 --data '{root}'" in str(failure.value)
    assert "train, test, meta" in str(failure.value) if made == "folder" else ARCHIVE in str(failure.value)


def test_the_root_is_a_folder(cifar_content, write_cifar):
    root = write_cifar(cifar_content)
    with pytest.raises(DataError, match=f"name the folder that holds it, {root}"):
        load("cifar100", root / ARCHIVE)


def check_damage(root, *words):
    with pytest.raises(DataError) as failure:
        load("cifar100", root)
    message = str(failure.value)
    assert "\n" not in message and str(root) in message
    assert "fetch it again: python -m minivit data cifar100" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_archive(cifar_content, write_cifar, share):
    root = write_cifar(cifar_content)
    whole = (root / ARCHIVE).read_bytes()
    (root / ARCHIVE).write_bytes(whole[:int(share * len(whole))])
    check_damage(root, ARCHIVE)


def test_a_flipped_bit_anywhere_in_the_archive(cifar_content, write_cifar):
    root = write_cifar(cifar_content)
    whole = bytearray((root / ARCHIVE).read_bytes())
    # Behind the header, whose time and flags nobody checks.
    for position in np.linspace(40, len(whole) - 1, 12, dtype=int):
        damaged = whole.copy()
        damaged[position] ^= 16
        (root / ARCHIVE).write_bytes(damaged)
        check_damage(root, ARCHIVE)


def test_an_archive_that_is_none(tmp_path):
    (tmp_path / ARCHIVE).write_text("<html>503 Service Unavailable</html>")
    check_damage(tmp_path, ARCHIVE)


@pytest.mark.parametrize("lacking", ["train", "test", "meta"])
def test_an_archive_that_lacks_a_file(cifar_content, write_cifar, lacking):
    del cifar_content[lacking]
    check_damage(write_cifar(cifar_content), lacking)


def test_an_archive_with_a_link_for_a_file(cifar_content, write_cifar, tmp_path):
    root = write_cifar(cifar_content)
    with tarfile.open(root / ARCHIVE, "w:gz") as tar:
        for name in ("train", "test", "meta"):
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
    check_damage(root, "not found")


def test_an_archive_that_would_fill_the_memory(tmp_path):
    member = tarfile.TarInfo(f"{FOLDER}/train")
    member.size = 10**12
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as tar:
        tar.fileobj.write(member.tobuf())  # the header alone makes the claim
    check_damage(tmp_path, "1000000000000 bytes")


@pytest.mark.parametrize("packed", [True, False])
def test_code_in_a_pickle_is_refused_by_name(cifar_content, write_cifar, packed):
    cifar_content["test"] = b"cposix\nsystem\n(S'exit 1'\ntR."
    check_damage(write_cifar(cifar_content, packed=packed), "posix.system", "test")


@pytest.mark.parametrize("packed", [True, False])
def test_a_truncated_pickle(cifar_content, write_cifar, packed):
    cifar_content["train"] = pickle.dumps(cifar_content["train"])[:-1000]
    check_damage(write_cifar(cifar_content, packed=packed), "train", "damaged")


@pytest.mark.parametrize(("file", "key", "value"), [
    ("train", "data", np.zeros((13, 3071), np.uint8)),
    ("train", "data", np.zeros((13, 3072), np.float32)),
    ("train", "data", np.zeros((13, 3, 1024), np.uint8)),
    ("train", "data", np.zeros((11, 3072), np.uint8)),
    ("train", "data", [[0] * 3072] * 13),
    ("test", "fine_labels", [0] * 6 + [100]),
    ("test", "fine_labels", [0] * 6 + [-1]),
    ("test", "fine_labels", [0] * 6 + [0.5]),
    ("test", "fine_labels", [0] * 6),
    ("test", "fine_labels", "abcdefg"),
    ("meta", "fine_label_names", ["a"] * 100),
    ("meta", "fine_label_names", [str(i) for i in range(99)]),
    ("meta", "fine_label_names", list(range(100))),
    ("train", "data", None),
    ("test", "fine_labels", None),
    ("meta", "fine_label_names", None),
])
def test_content_that_is_not_cifar100(cifar_content, write_cifar, file, key, value):
    """None stands for a key that is not there."""
    cifar_content[file][key] = value
    if value is None:
        del cifar_content[file][key]
    check_damage(write_cifar(cifar_content), f"file {file}", "labels" if file == "test" else key.split("_")[0])


def test_labels_are_fine_or_coarse(tmp_path):
    with pytest.raises(ValueError, match="labels='medium'"):
        load("cifar100", tmp_path, labels="medium")


def test_fetch_takes_what_is_there(cifar_content, write_cifar):
    root = write_cifar(cifar_content, packed=False)
    assert fetch("cifar100", root) == root / FOLDER


def test_fetch_downloads_the_archive(tmp_path, serve, monkeypatch, cifar_content, write_cifar):
    content = (write_cifar(cifar_content) / ARCHIVE).read_bytes()
    monkeypatch.setattr("minivit.data.cifar100.SOURCES", (serve(status=503).url, serve(content).url))
    monkeypatch.setattr("minivit.data.cifar100.MD5", hashlib.md5(content).hexdigest())
    root = tmp_path / "elsewhere"
    assert fetch("cifar100", root) == root / ARCHIVE
    assert len(load("cifar100", root).train) == 13


def test_the_sources_are_independent():
    hosts = {url.split("/")[2] for url in SOURCES}
    assert len(hosts) == len(SOURCES) >= 3 and all(url.startswith("https://") for url in SOURCES)
    assert all(url.endswith(ARCHIVE) for url in SOURCES) and len(MD5) == 32


@pytest.fixture(scope="module")
def real():
    return load("cifar100")


@pytest.mark.cifar
def test_real_sizes(real):
    for split, per_class in ((real.train, 500), (real.test, 100)):
        assert split.images.shape == (100 * per_class, 3, 32, 32)
        assert split.labels.bincount().tolist() == [per_class] * 100
    assert real.classes[:2] == ("apple", "aquarium_fish") and real.classes[-1] == "worm"


@pytest.mark.cifar
def test_real_mean_and_std(real):
    """Computed from counts of the 256 values, hence exact."""
    values = torch.arange(256, dtype=torch.float64) / 255
    for channel in range(3):
        counts = real.train.images[:, channel].flatten().bincount(minlength=256).double()
        mean = (counts * values).sum() / counts.sum()
        std = ((counts * (values - mean)**2).sum() / counts.sum()).sqrt()
        assert real.mean[channel] == pytest.approx(mean.item(), abs=6e-5)
        assert real.std[channel] == pytest.approx(std.item(), abs=6e-5)


@pytest.mark.cifar
def test_real_coarse_labels_group_five_fine_ones(real):
    coarse = load("cifar100", labels="coarse")
    pairs = torch.stack([torch.cat([real.train.labels, real.test.labels]),
                         torch.cat([coarse.train.labels, coarse.test.labels])]).unique(dim=1)
    assert pairs[0].tolist() == list(range(100))              # each fine class has one coarse class
    assert pairs[1].bincount().tolist() == [5] * 20
    group = {real.classes[fine]: coarse.classes[group] for fine, group in pairs.T.tolist()}
    assert group["maple_tree"] == "trees" and group["shark"] == "fish"
