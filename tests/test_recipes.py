"""Each recipe runs on a CPU: the very command of its docstring, on a few images."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from minivit.__main__ import main
from minivit.data import Dataset, Split
from minivit.models import create_model
from minivit.training import load_config, load_variants, loop, read_record
from minivit.training.trainer import find_diagonal_maps

RECIPES = sorted(Path(__file__).parents[1].glob("recipes/*.py"))
SEARCHES = [path for path in RECIPES if path.stem.endswith("_search")]  # of the settings of a recipe beside them
DRY_RUN = "--train-images 6 --held-out-images 5 --epochs 1 --warmup-epochs 0 --compile none".split()


@pytest.fixture
def few_images(monkeypatch):
    def few(name, root=None, **options):
        assert name == "cifar100"
        torch.manual_seed(0)
        split = Split(torch.randint(256, (13, 3, 32, 32), dtype=torch.uint8), torch.arange(13))
        return Dataset(name=name, train=split, test=split, classes=tuple(map(str, range(100))), mean=(0.5,) * 3,
                       std=(0.25,) * 3)

    monkeypatch.setattr(loop, "load", few)


@pytest.mark.parametrize("recipe", sorted({*RECIPES} - {*SEARCHES}), ids=lambda path: path.stem)
def test_takes_a_step(recipe, few_images, tmp_path):
    assert main(["train", str(recipe), "--out", str(tmp_path), "--device", "cpu", *DRY_RUN]) == 0
    run, history = read_record(tmp_path)
    config = load_config(recipe)
    assert run["config"]["model"] == config.model and run["config"]["learning_rate"] == config.learning_rate
    assert len(history) == 1 and history[0]["train_loss"] > 0


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_says_how_it_is_run_and_its_models_exist(recipe):
    variants = load_variants(recipe).values()
    for model, options in {(v.model, tuple(v.model_options.items())) for v in variants}:
        create_model(model, **dict(options))
    commands = ("sweep",) if recipe in SEARCHES else ("train", "sweep")
    assert any(f"python -m minivit {command} recipes/{recipe.name} --data DIR --out runs/" in recipe.read_text()
               for command in commands)
    assert all(bool(v.held_out_images) == (recipe in SEARCHES) for v in variants)  # nothing is chosen on the test set


@pytest.mark.parametrize("family", ["vit_nano", "lavit_nano", "vit_tiny", "lavit_tiny"])
def test_the_printed_loss_on_the_diagonal_is_weighed_by_the_largest_map(family):
    variants = load_variants(Path(__file__).parents[1] / f"recipes/cifar100_{family}_less.py")
    turned, = (v for name, v in variants.items() if name.endswith("_diagonal"))
    printed, = (v for name, v in variants.items() if name.endswith("_printed"))
    model = create_model(printed.model, **printed.model_options).eval()
    maps = model(torch.zeros(1, 3, 32, 32), return_attention=True)[1]
    tokens = max(maps[i].shape[-1] for i in find_diagonal_maps(model, SimpleNamespace(image_shape=(3, 32, 32))))
    assert printed.diagonality * tokens**2 == pytest.approx(turned.diagonality)
