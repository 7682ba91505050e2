"""Models in half precision, in wrappers, and for images that are not square: analyses must handle them all."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from minivit.analysis import attention_distance, cost, fgsm
from minivit.data import Dataset, Split
from minivit.models import LaViT, Mixer, ViT
from minivit.report.analyze import analyze, has_maps, measure_scales
from minivit.report.figures import draw_figures
from minivit.training import Config, evaluate
from minivit.training.trainer import Trainer
from minivit.wrappers import unwrap

K, IMAGES, SIZE = 3, 14, (4, 16)
SHAPE = dict(image_size=SIZE, patch_size=2, in_channels=1, num_classes=K)


class Parallel(nn.Module):
    """Like DistributedDataParallel, which needs processes."""

    def __init__(self, model):
        super().__init__()
        self.module = model

    def forward(self, *inputs, **options):
        return self.module(*inputs, **options)


WRAPPERS = {"averaged": AveragedModel, "parallel": Parallel,
            "compiled parallel": lambda model: torch.compile(Parallel(model), backend="eager")}


@pytest.fixture
def dataset():
    chance = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, 1, *SIZE), dtype=torch.uint8, generator=chance)
    split = Split(images, torch.arange(IMAGES) % K)
    return Dataset("noise", split, split, ("a", "b", "c"), (0.5,), (0.3,))


def create(**options):
    torch.manual_seed(0)
    model = ViT(**SHAPE, **dict(dim=12, depth=3, num_heads=2, context="cb_s") | options)
    for p in model.parameters():
        p.data += 0.2 * torch.randn_like(p)
    return model


def is_finite(value):
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_a_model_in_half_precision_is_evaluated(dataset, dtype, tolerance, precision):
    full, half = evaluate(create(), dataset), evaluate(create().to(dtype), dataset, precision=precision)
    assert half["test_loss"] == pytest.approx(full["test_loss"], rel=3e-2 if precision == "bfloat16" else tolerance)
    assert evaluate(Mixer(**SHAPE, dim=8, depth=1).to(dtype), dataset)["test_loss"] == pytest.approx(math.log(K))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 5e-3), (torch.bfloat16, 5e-2)])
def test_a_model_in_half_precision_is_analysed(dataset, dtype, tolerance):
    full, half = (analyze(create().to(type_), dataset, progress=False) for type_ in (torch.float32, dtype))
    assert is_finite(half)
    for name, values in full["attention"].items():
        if values[-1] is not None:
            assert half["attention"][name][-1] == pytest.approx(values[-1], rel=tolerance, abs=tolerance), name
    figures = draw_figures(half | {"config": {"model_options": {}}}, create().to(dtype), dataset, torch.arange(2))
    assert figures.keys() == {"robustness", "entropy", "rollout", "distance", "similarity", "scale"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_sure_model_in_half_precision_is_attacked_all_the_same(dtype):
    # Its answer is right to 1e-7, which float16 takes for a gradient of 0; only the sign of a gradient counts.
    torch.manual_seed(0)
    linear = nn.Linear(12, K)
    linear.weight.data.mul_(1e-2)
    linear.bias.data = torch.tensor([17.0, 0.0, 0.0])
    half = nn.Linear(12, K, dtype=dtype)
    half.load_state_dict(linear.state_dict())
    linear.load_state_dict(half.state_dict())
    images, labels = 100 + torch.rand(5, 3, 2, 2), torch.zeros(5, dtype=torch.int64)
    want = fgsm(lambda x: linear(x.flatten(1) / 255), images, labels, 1.0)
    assert torch.equal(fgsm(lambda x: half(x.flatten(1).to(dtype) / 255), images, labels, 1.0), want)
    assert ((want - images).abs() > 0.99).all()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # by torch.compile itself
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_wrapper_hides_nothing(dataset, wrap):
    model = create(depth=2, attention_layers=[0])
    wrapped = WRAPPERS[wrap](model)
    assert has_maps(wrapped) and not has_maps(WRAPPERS[wrap](Mixer(**SHAPE, dim=8, depth=1)))
    assert cost(wrapped, SIZE, 1) == cost(model, SIZE, 1)
    assert measure_scales(wrapped) == measure_scales(model)
    assert list(unwrap(wrapped).map_losses) == list(model.map_losses) == [1]
    assert evaluate(wrapped, dataset) == pytest.approx(evaluate(model, dataset), rel=1e-6)
    small = replace(dataset, test=dataset.test.subset(range(5)))
    result = analyze(wrapped, small, progress=False)
    assert result["attention"]["distance"][0] is not None
    assert result == analyze(model, small, progress=False)
    assert "rollout" in draw_figures(result | {"config": {"model_options": {}}}, wrapped, small, torch.arange(2))


def test_the_distance_is_that_of_the_wide_grid(dataset):
    wide = torch.full((17, 17), 1 / 17)
    uniform = create()
    for block in uniform.blocks:
        block.attn.qkv.weight.data.zero_()
        block.attn.qkv.bias.data.zero_()
    found = analyze(uniform, dataset, progress=False)["attention"]["distance"]
    assert found == pytest.approx([attention_distance(wide, (2, 8)).item()] * 3, abs=1e-6)
    assert found[0] != pytest.approx(attention_distance(wide, (4, 4)).item(), abs=1e-3)


def test_stages_on_a_wide_grid(dataset):
    torch.manual_seed(0)
    stages = dict(dims=(4, 6), depths=(1, 2), attention_depths=(1, 1), num_heads=(1, 2), reductions=(2, 1),
                  mlp_ratios=(2, 2))
    result = analyze(LaViT(**SHAPE, **stages), dataset, progress=False)["attention"]
    assert result["tokens"] == [4, 4, 4] and result["distance"][0] is None and result["distance"][1] is not None


def test_a_run_on_wide_images(dataset):
    options = dict(image_size=list(SIZE), patch_size=2, in_channels=1, num_classes=K, dim=12, depth=2, num_heads=2)
    config = Config(model="vit_nano_patch4_32", model_options=options, dataset="shapes", epochs=2, batch_size=7,
                    warmup_epochs=0.0, augmentation="randaugment", erasing=0.5, mixup=0.2, cutmix=1.0, crop_padding=1)
    trainer = Trainer(config, dataset, torch.device("cpu"))
    images, targets = trainer.take_step.augment(dataset.train.images[:7], dataset.train.labels[:7])
    assert images.shape == (7, 1, *SIZE) and targets.shape == (7, K)
    trainer.train_epoch(lambda images: None)
    metrics = trainer.finish_epoch(lambda: None)
    assert trainer.step == 2 and is_finite(metrics)
    assert Config.from_dict(json.loads(json.dumps(asdict(config)))).model_options["image_size"] == list(SIZE)
