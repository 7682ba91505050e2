"""Each recipe runs on a CPU: the command of its docstring with a narrow model, its own models as shapes only."""

from pathlib import Path

import pytest
import torch

from minivit.__main__ import main
from minivit.data import Dataset, Split, list_datasets, load
from minivit.tasks import TASKS
from minivit.training import load_config, load_variants, loop, read_record
from minivit.training.optimizer import create_optimizers
from minivit.training.step import Step
from tests.host_free import host_free

RECIPES = sorted(Path(__file__).parents[1].glob("recipes/*.py"))
SEARCHES = [path for path in RECIPES if path.stem.endswith("_search")]  # of the settings of a recipe beside them
SIDES = {"imagefolder": 224}  # of the images of each data set; 32 of the others
DRY_RUN = "--train-images 6 --held-out-images 5 --epochs 1 --warmup-epochs 0 --compile none --model-options".split()
NARROW = {"vit": "dim=24", "lavit": "dims=(8,16,20,168)"}  # as deep, with as many heads, tokens and options


def image_of(dataset):
    return (3, *[SIDES.get(dataset, 32)] * 2)


@pytest.fixture
def few_images(monkeypatch):
    def few(name, root=None, **options):
        if name == "shapes":
            return load(name, train_images=13, test_images=5)
        assert name in ("cifar100", "imagefolder")
        torch.manual_seed(0)
        split = Split(torch.randint(256, (13, *image_of(name)), dtype=torch.uint8), torch.arange(13))
        return Dataset(name=name, train=split, test=split, classes=tuple(map(str, range(100))), mean=(0.5,) * 3,
                       std=(0.25,) * 3)

    monkeypatch.setattr(loop, "load", few)


@pytest.fixture
def nothing_of_the_host(monkeypatch):
    take_step = Step.__call__

    def watched(step, *batch):
        with host_free():
            take_step(step, *batch)

    monkeypatch.setattr(Step, "__call__", watched)


@pytest.mark.parametrize("recipe", sorted({*RECIPES} - {*SEARCHES}), ids=lambda path: path.stem)
def test_takes_a_step_that_asks_nothing_of_the_host(recipe, few_images, nothing_of_the_host, tmp_path):
    config = load_config(recipe)
    narrow = NARROW[config.model.partition("_")[0]]
    assert main(["train", str(recipe), "--out", str(tmp_path), "--device", "cpu", *DRY_RUN, narrow]) == 0
    run, history = read_record(tmp_path)
    assert run["config"]["model"] == config.model and run["config"]["learning_rate"] == config.learning_rate
    assert run["config"]["model_options"].items() >= config.model_options.items()
    assert len(history) == 1 and history[0]["train_loss"] > 0


def meta_model(config):
    with torch.device("meta"):  # shapes without numbers: nothing is drawn and nothing multiplied
        return TASKS[config.task].create_model(config.model, **config.model_options | {"num_classes": 100})


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_its_models_take_the_images_and_its_optimizers_every_weight(recipe):
    shown = set()
    for config in load_variants(recipe).values():
        model = meta_model(config)
        if config.model not in shown:  # a variant changes nothing about the images
            shown.add(config.model)
            assert model(torch.zeros(1, *image_of(config.dataset), device="meta")).shape[:2] == (1, 100)
        parts = [group for part in create_optimizers(model, config) for group in part.param_groups]
        stepped = [id(p) for group in parts for p in group["params"]]
        assert sorted(stepped) == sorted(map(id, model.parameters()))
        assert all(p.ndim > 1 for group in parts if group["weight_decay"] for p in group["params"])
        assert model.map_losses or not config.diagonality


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_says_how_it_is_run(recipe):
    commands = ("sweep",) if recipe in SEARCHES else ("train", "sweep")
    text = recipe.read_text(encoding="utf-8")
    assert any(f" -m minivit {command} recipes/{recipe.name} --data DIR --out runs/" in text
               for command in commands)
    variants = load_variants(recipe).values()
    assert {v.dataset for v in variants} <= set(list_datasets())
    assert all(bool(v.held_out_images) == (recipe in SEARCHES) for v in variants)  # nothing is chosen on the test set


@pytest.mark.parametrize("family", ["cifar100_vit_nano_less", "cifar100_lavit_nano_less", "cifar100_vit_tiny_less",
                                    "cifar100_lavit_tiny_less", "imagenet_lavit_base"])
def test_the_printed_loss_on_the_diagonal_is_weighed_by_the_largest_map(family):
    variants = load_variants(Path(__file__).parents[1] / f"recipes/{family}.py")
    turned, = (v for name, v in variants.items() if name.endswith("_diagonal"))
    printed, = (v for name, v in variants.items() if name.endswith("_printed"))
    model = meta_model(printed).eval()
    maps = model(torch.zeros(1, *image_of(printed.dataset), device="meta"), return_attention=True)[1]
    tokens = max(maps[i].shape[-1] for i in model.map_losses)
    assert printed.diagonality * tokens**2 == pytest.approx(turned.diagonality)


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
@pytest.mark.parametrize("context", ["cb", "cb_s"])
def test_a_pair_on_imagenet_differs_in_the_context_alone(size, context):
    plain, other = (load_variants(Path(__file__).parents[1] / f"recipes/imagenet_vit_{size}_{kind}.py")
                    for kind in ("plain", context))
    assert plain["plain"].override(model_options={"context": context}) == other[context]
    assert plain["cb_settings"].override(model_options={"context": context}) == other["cb_settings"]
    assert plain["plain"] != plain["cb_settings"] and plain["plain"].model == f"vit_{size}_patch16_224"
