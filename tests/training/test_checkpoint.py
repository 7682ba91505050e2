import argparse
import os
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file

from minivit.data import load
from minivit.models import create_model
from minivit.training import CheckpointError, load_model, read_weights
from minivit.training.checkpoint import load_checkpoint, save_checkpoint, save_weights
from minivit.training.files import write_whole


class Code:
    """A pickle of it makes the file ``marker`` when it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (self.marker, "w")


@pytest.fixture
def saved(tmp_path, config):
    torch.manual_seed(0)
    config = config.override(model_options={"num_classes": 10})
    model = create_model(config.model, **config.model_options)
    path = tmp_path / "model.safetensors"
    save_weights(path, model, config)
    return path, model, config


def test_weights_come_back_with_their_model(saved):
    path, model, config = saved
    for place in (path, path.parent):
        again, again_config = load_model(place)
        assert again_config == config and not again.training
        assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True))


def test_the_same_weights_are_the_same_bytes_and_aligned(saved):
    path, model, config = saved
    files = set()
    for _ in range(9):  # the library's order of the header changes from call to call
        save_weights(path, model, config, load("digits").info)
        files.add(path.read_bytes())
    assert len(files) == 1 and int.from_bytes(files.pop()[:8], "little") % 8 == 0
    assert all(torch.equal(weight, model.state_dict()[name]) for name, weight in load_file(path).items())


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file_is_named(saved, keep):
    path = saved[0]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=f"{path} is damaged or cut off"):
        load_model(path)


@pytest.mark.parametrize("keep", [0, 5, 100, 2000, -1])
def test_a_truncated_checkpoint_is_named(tmp_path, keep):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"config": {}, "step": 0, "model": {"w": torch.ones(1000)}, "optimizer": {}})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=f"{path} (cannot be read|is damaged)"):
        load_checkpoint(path)


@pytest.mark.parametrize("write", [
    lambda path, code: torch.save({"config": code}, path),
    lambda path, code: path.write_bytes(pickle.dumps(code)),
    lambda path, code: path.write_bytes(pickle.dumps(code, protocol=0)),
])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, write):
    path, marker = tmp_path / "checkpoint.pt", tmp_path / "marker"
    write(path, Code(str(marker)))
    with pytest.raises(CheckpointError, match=str(path)):
        load_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"root:x:0:0\n", os.urandom(1000)])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    for name in ("checkpoint.pt", "model.safetensors"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=str(path)):
            load_model(path)


def test_a_checkpoint_of_something_else_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="is not a checkpoint of minivit"):
        load_checkpoint(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist; give a run's folder"):
        load_model(tmp_path / "nothing")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(part):
        part.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=f"cannot write {path}: No space left on device"):
        write_whole(path, fail)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_format_is_told_by_the_content(saved, tmp_path):
    weights = load_file(saved[0])
    shutil.copy(saved[0], tmp_path / "safe.pth")
    shutil.copy(saved[0], tmp_path / "LOUD.SAFETENSORS")
    torch.save(weights, tmp_path / "torch.safetensors")
    for name in ("safe.pth", "LOUD.SAFETENSORS", "torch.safetensors"):
        assert read_weights(tmp_path / name).keys() == weights.keys()
    assert load_model(tmp_path / "safe.pth")[1] == saved[2]


def test_settings_of_a_run_are_no_code(tmp_path):
    path = tmp_path / "mae.pth"
    torch.save({"model": {"w": torch.ones(1)}, "args": argparse.Namespace(lr=0.1, out="x")}, path)
    assert read_weights(path)["w"] == 1
    torch.save({"model": {"w": torch.ones(1)}, "args": tmp_path}, path)
    with pytest.raises(CheckpointError, match=r"plain values \(pathlib\..*the weights alone"):
        read_weights(path)


def test_a_folder_in_place_of_weights_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder: name the file"):
        read_weights(tmp_path)
