"""A run on images in files: what is wrong is told in a line, before the first step or at the end of an epoch."""

import json
import shutil

import pytest
import torch

from minivit.__main__ import main
from minivit.data.shard_writer import write_shards
from minivit.training import load_config
from minivit.training.loop import create_trainer
from tests.folders import write_images

RECIPE = '''
def get_config():
    return dict(dataset="imagefolder", dataset_options=dict(image_size=8), epochs=2, batch_size=20, warmup_epochs=0.0,
                crop="random_resized",
                model_options=dict(image_size=8, patch_size=4, dim=12, depth=1, num_heads=3))
'''


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / "data", {"train": 101, "val": 103})
    return tmp_path / "data"


@pytest.fixture
def train(tmp_path, capsys):
    recipe, out = tmp_path / "recipe.py", tmp_path / "run"
    recipe.write_text(RECIPE)

    def train(root, *options):
        code = main(["train", str(recipe), "--data", str(root), "--out", str(out), *options])
        return code, capsys.readouterr(), out

    return train


def spoil(root, *names):
    for name in names:
        (path,) = root.rglob(name)
        path.write_bytes(b"")


def test_broken_images_are_named_at_the_end_of_the_first_epoch(root, train, capsys):
    spoil(root, "train 7.jpg", "val 8.jpg")
    code, told, out = train(root)
    assert code == 0
    lines = [line for line in told.err.splitlines() if "cannot be read and" in line]
    assert [line.split(":")[1] for line in lines] == [" 1 of 101 images cannot be read and were replaced with others",
                                                      " 1 of 103 images cannot be read and were left out"]
    assert "train 7.jpg cannot be read as an image (it is empty)" in lines[0] and "val 8.jpg" in lines[1]
    metrics = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    hits = metrics["test_top1"] / 100 * 102
    assert hits == pytest.approx(round(hits), abs=1e-3)
    assert main(["eval", str(out), "--data", str(root)]) == 0
    assert f"on 102 test images of imagefolder: top-1 {metrics['test_top1']:.2f} %" in capsys.readouterr().out


@pytest.mark.parametrize("split", ["train", "val"])
def test_more_than_one_in_a_hundred_end_the_run(root, train, split):
    spoil(root, f"{split} 7.jpg", f"{split} 8.jpg")
    code, told, out = train(root)
    assert code == 1
    (line,) = [line for line in told.err.splitlines() if "error" in line]
    assert f"2 of {101 if split == 'train' else 103} images cannot be read, more than 1 %" in line
    assert f"{split} 7.jpg" in line and f"{split} 8.jpg" in line
    assert (out / "checkpoint.pt").exists() and not (out / "model.safetensors").exists()


def resorted(root):
    shutil.move(root / "val" / "b", root / "val" / "c")


def empty_shard(root):
    (shards := root.parent / "shards").mkdir()
    write_shards(root, shards, size_mb=0.02)
    (shards / "train-0001.tar").write_bytes(b"")
    return "--dataset", "shards", "--data", str(shards)


@pytest.mark.parametrize(("change", "message"), [
    (lambda root: shutil.rmtree(root / "train"), "data/train is missing or has no class folder; imagefolder expects"),
    (lambda root: shutil.rmtree(root / "val"), "data/test is missing or has no class folder"),
    (lambda root: shutil.rmtree(root), "data does not exist"),
    (lambda root: shutil.rmtree(root / "val" / "b"), "have different classes: 'b' is only in"),
    (resorted, "have different classes: 'b' is only in"),
    (lambda root: [path.unlink() for path in (root / "train" / "b").iterdir()], "train/b has no image that Pillow"),
    (lambda root: [shutil.rmtree(root / split / "b") for split in ("train", "val")], "has one class, 'a'"),
    (lambda root: ["--model-options", "num_classes=3"], "num_classes=3 in model_options does not fit the 2 classes"),
    (lambda root: ["--dataset-options", "mean=[0.5]"], "mean=(0.5,) is not allowed"),
    (empty_shard, "train-0001.tar is empty: copy it again"),
    (lambda root: ["--dataset", "shards"], "has no train shards; shards expects"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_is_told_before_the_first_step(root, train, change, message):
    options = change(root)
    code, told, out = train(root, *(options if isinstance(options, list | tuple) and "--" in str(options[0]) else ()))
    assert code == 1 and not out.exists()
    (line,) = [line for line in told.err.splitlines() if line.startswith("minivit: error")]
    assert message in line


def test_an_image_is_cropped_anew_each_time_and_the_same_from_any_place_in_an_epoch(root, tmp_path):
    (path := tmp_path / "recipe.py").write_text(RECIPE)
    config = load_config(path).override(repeats=2)
    trainer = create_trainer(config, root, torch.device("cpu"), None)
    whole, again = (list(trainer.read_batches(epoch, 0, 100)) for epoch in (3, 4))
    rest = list(trainer.read_batches(3, 40, 100))
    assert len(rest) == 3 and all(torch.equal(a, b) for one, two in zip(whole[2:], rest, strict=True)
                                  for a, b in zip(one, two, strict=True))
    images = torch.cat([images for images, _ in whole])
    assert len(images.flatten(1).unique(dim=0)) > 98   # 50 images, twice each
    assert not torch.equal(images, torch.cat([images for images, _ in again]))
