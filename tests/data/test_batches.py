"""Batches: every row once, in order, and no thread left behind."""

import threading

import pytest
import torch
from PIL import Image

from minivit.data import DataError, Split, batches
from minivit.data.batches import LOOK_AHEAD
from minivit.data.imagefolder import ImageFiles


@pytest.fixture
def in_memory():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (23, 3, 5, 7), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(11, (23,), generator=generator))


@pytest.fixture
def on_disk(tmp_path):
    paths = [tmp_path / f"{i:02}.png" for i in range(23)]
    for i, path in enumerate(paths):
        Image.new("RGB", (5, 5), (i, 2 * i, 3 * i)).save(path)
    return Split(ImageFiles(paths, 5, workers=2), torch.arange(23) % 11)


@pytest.mark.parametrize("kind", ["in_memory", "on_disk"])
@pytest.mark.parametrize(("length", "batch_size", "sizes"), [(23, 7, [7, 7, 7, 2]), (21, 7, [7, 7, 7]), (5, 7, [5]),
                                                             (0, 7, []), (3, 1, [1, 1, 1])])
def test_batches(request, kind, length, batch_size, sizes):
    split = request.getfixturevalue(kind)
    order = torch.randperm(23, generator=torch.Generator().manual_seed(1))[:length]
    seen = list(batches(split, order, batch_size, "cpu"))
    assert [len(labels) for _, labels in seen] == sizes
    assert all(images.dtype == torch.uint8 for images, _ in seen)
    if sizes:
        assert torch.equal(torch.cat([images for images, _ in seen]), split.images[order])
        assert torch.equal(torch.cat([labels for _, labels in seen]), split.labels[order])


class Recorder:
    """Images that note when they are asked for."""

    shape = torch.Size((23, 1, 1, 1))

    def __init__(self, fail_at=None):
        self.asked, self.fail_at = [], fail_at

    def __len__(self):
        return 23

    def take(self, rows, keys=None):
        self.asked.append(rows.tolist())
        if self.fail_at in rows.tolist():
            raise DataError("22.tar has changed")
        return torch.zeros(len(rows), 1, 1, 1, dtype=torch.uint8), rows


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("minivit-batches")]


def test_looks_ahead_but_not_far():
    split = Split(Recorder(), torch.zeros(23, dtype=torch.int64))
    going = batches(split, range(23), 2)
    assert split.images.asked == []   # nothing is read before the first batch is asked for
    next(going)
    going.close()
    assert 1 <= len(split.images.asked) <= 1 + LOOK_AHEAD
    assert not reading_threads()


def test_an_error_stops_the_loop_where_it_is():
    split = Split(Recorder(fail_at=9), torch.zeros(23, dtype=torch.int64))
    going = batches(split, range(23), 2)
    for _ in range(4):
        next(going)
    with pytest.raises(DataError, match=r"22\.tar"):
        next(going)
    assert not reading_threads()


def test_a_loop_left_early_leaves_no_thread():
    split = Split(Recorder(), torch.zeros(23, dtype=torch.int64))
    for _ in batches(split, range(23), 2):
        break
    assert not reading_threads()


@pytest.mark.gpu
def test_batches_on_the_gpu(in_memory):
    for split in (in_memory, in_memory.to("cuda")):
        images, labels = next(batches(split, range(5), 5, "cuda"))
        assert images.is_cuda and images.dtype == torch.uint8 and labels.is_cuda
        assert torch.equal(images.cpu(), in_memory.images[:5])


@pytest.mark.parametrize(("order", "batch_size", "named"), [
    ([0, 23], 2, "order"), ([-1], 2, "order"), ([[0, 1]], 2, "order"), ([0.5], 2, "order"), ([0], 0, "batch_size=0"),
    ([0, 1], 1.5, "batch_size=1.5 must be a whole number")])
def test_bad_arguments(in_memory, order, batch_size, named):
    with pytest.raises(ValueError, match=named):
        batches(in_memory, order, batch_size)
