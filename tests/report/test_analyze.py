import json
from dataclasses import replace
from math import log

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from minivit.bench.memory import peak_bytes
from minivit.data import Dataset, Split
from minivit.models import LaViT, PiT, ViT
from minivit.report.analyze import analyze, choose_images, token_grid
from minivit.report.conditions import create_conditions
from minivit.training import evaluate

K, SIDE, IMAGES = 3, 6, 23
TOKENS = 10  # nine patches and the class token


@pytest.fixture
def dataset():
    chance = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, 1, SIDE, SIDE), dtype=torch.uint8, generator=chance)
    split = Split(images, torch.arange(IMAGES) % K)
    return Dataset("noise", split, split, ("a", "b", "c"), (0.5,), (0.3,))


def create_vit(**options):
    torch.manual_seed(0)
    model = ViT(image_size=SIDE, patch_size=2, in_channels=1, num_classes=K, dim=14, depth=3, num_heads=2, **options)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.5)  # far from uniform attention and from equal logits
    return model


class Conv(nn.Module):
    """A model without maps."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, K, 3)

    def forward(self, images):
        return self.conv(images).mean(dim=(2, 3))


class Pyramid(Conv):
    """A model whose maps are uniform, of another number of tokens in each layer."""

    tokens = (17, 9, 7, 2)  # with a class token, without one, in no square, and one patch with a class token

    def forward(self, images, return_attention=False):
        logits = super().forward(images)
        maps = [torch.full((len(images), 2, n, n), 1 / n) for n in self.tokens]
        return (logits, maps) if return_attention else logits


def test_without_queries_and_keys_attention_is_uniform(dataset):
    model = create_vit()
    for block in model.blocks:
        nn.init.zeros_(block.attn.qkv.weight)
    attention = analyze(model, dataset, progress=False)["attention"]
    assert attention["tokens"] == [TOKENS] * 3
    for name in ("entropy_bound", "entropy_mean", "entropy_p15", "entropy_p85", "entropy_class_token"):
        assert attention[name] == pytest.approx([log(TOKENS)] * 3, abs=1e-5)
    # Two places of {0, 1/2, 1} are 4/9 apart: over both axes and the 81 pairs of patches 72, as many as i != j.
    assert attention["distance"] == pytest.approx([1 / TOKENS] * 3, abs=1e-5)


def test_entropies_are_in_their_order(dataset):
    attention = analyze(create_vit(), dataset, progress=False)["attention"]
    for p15, mean, p85, bound in zip(*(attention[f"entropy_{name}"] for name in ("p15", "mean", "p85", "bound")),
                                     strict=True):
        assert 0 < p15 < mean < p85 < bound


def test_the_size_of_a_batch_changes_nothing(dataset):
    model = create_vit(context="cb_s")
    one, other = (analyze(model, dataset, batch_size=size, epsilon=20.0, progress=False) for size in (5, IMAGES))
    assert one["robustness"] == other["robustness"] and len(set(one["robustness"].values())) > 2
    for name, values in one["attention"].items():
        assert values == pytest.approx(other["attention"][name], abs=1e-5)


def test_memory_is_that_of_a_batch(dataset):
    model = create_vit()
    few, many = (peak_bytes(lambda n=n: analyze(model, dataset, images=n, batch_size=2, progress=False),
                            torch.device("cpu")) for n in (2, 6))
    assert many < 1.1 * few


def test_the_model_is_left_as_it_was(dataset):
    model = create_vit(dropout=0.5)
    in_training = analyze(model.train(), dataset, progress=False)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert analyze(model.eval(), dataset, progress=False) == in_training
    assert not model.training


def test_clean_images_are_as_evaluate_has_them(dataset):
    model = create_vit()
    clean = analyze(model, dataset, epsilon=0, progress=False)["robustness"]
    assert clean["clean"] == clean["fgsm"] == pytest.approx(evaluate(model, dataset)["test_top1"], abs=1e-3)


def test_a_large_step_against_the_model_costs_accuracy(dataset):
    robustness = analyze(create_vit(), dataset, epsilon=30, progress=False)["robustness"]
    assert robustness["fgsm"] < robustness["clean"]


def test_noise_depends_on_the_seed_alone():
    def spoiled(name, seed, sizes, device="cpu"):
        condition = create_conditions(None, seed, 1.0, torch.device(device))[name]
        return torch.cat([condition(part, None) for part in torch.full((7, 1, 5, 5), 99.0).split(sizes)])

    for name in ("gaussian_noise_5", "gaussian_noise_10", "shot_noise"):
        noisy = spoiled(name, 0, [7])
        assert torch.equal(spoiled(name, 0, [2, 4, 1]), noisy)
        assert torch.equal(spoiled(name, 0, [7], "mps"), noisy)  # drawn on the CPU: an Apple GPU has no Poisson numbers
        assert not torch.equal(spoiled(name, 1, [7]), noisy) and not torch.equal(noisy[0], noisy[1])


@pytest.mark.parametrize("options, layers", [
    ({"context_layers": [1]}, [2]), ({"context_position": "both"}, [2, 2, 3, 3]), ({"context": "cb"}, None)])
def test_scales_of_cb_s_are_told_by_layer(dataset, options, layers):
    model = create_vit(**{"context": "cb_s"} | options)
    for name, parameter in model.named_parameters():
        if name.endswith(".scale"):
            nn.init.constant_(parameter, -int(name.split(".")[1]))
    scale = analyze(model, dataset, images=1, progress=False)["scale"]
    assert scale == (layers and {"layers": layers, "mean": [1.0 - layer for layer in layers],
                                 "ratio": [1.0] * len(layers)})


def test_an_untrained_scale_has_no_ratio(dataset):
    scale = analyze(create_vit(context="cb_s"), dataset, images=1, progress=False)["scale"]
    assert scale == {"layers": [2, 3], "mean": [0.0, 0.0], "ratio": [None, None]}


def test_a_model_without_maps_has_its_robustness(dataset):
    result = analyze(Conv(), dataset, progress=False)
    assert result["attention"] is None and result["scale"] is None
    assert 0 <= result["robustness"]["clean"] <= 100 and len(result["robustness"]) == 8


def test_tokens_may_differ_by_layer_and_need_no_grid(dataset):
    result = analyze(Pyramid(), dataset, progress=False)
    attention = result["attention"]
    assert attention["tokens"] == list(Pyramid.tokens)
    assert attention["entropy_mean"] == pytest.approx([log(n) for n in Pyramid.tokens], abs=1e-5)
    assert [value is None for value in attention["entropy_class_token"]] == [False, True, True, False]
    assert [value is None for value in attention["distance"]] == [False, False, True, True]
    assert attention["similarity"] == [None] * 4  # no two neighbours have maps of one shape
    json.dumps(result, allow_nan=False)


def test_layers_that_repeat_the_map_below_are_as_alike_as_can_be(dataset):
    attention = analyze(create_vit(attention_layers=[0, 1]), dataset, progress=False)["attention"]
    assert attention["similarity"][0] is attention["similarity_centred"][0] is None
    assert attention["similarity"][2] == attention["similarity_centred"][2] == pytest.approx(1, abs=1e-5)
    assert 0 < attention["similarity"][1] < 0.999
    assert attention["similarity_centred"][1] < attention["similarity"][1]


def test_keys_may_be_fewer_than_queries(dataset):
    dataset = replace(dataset, test=Split(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.zeros(5, dtype=torch.long)))
    model = LaViT(image_size=8, in_channels=1, num_classes=K, patch_size=2, dims=(4, 6), depths=(2, 2),
                  attention_depths=(1, 1), num_heads=(1, 2), reductions=(2, 1), mlp_ratios=(2, 2))
    attention = analyze(model, dataset, progress=False)["attention"]
    assert attention["tokens"] == [4, 4, 4, 4]
    assert attention["entropy_class_token"] == [None] * 4
    assert [value is None for value in attention["distance"]] == [True, True, False, False]
    assert [value is None for value in attention["similarity"]] == [True, False, True, False]


@pytest.mark.parametrize("tokens, side, class_tokens", [(1, 1, 0), (2, 1, 1), (49, 7, 0), (50, 7, 1), (51, None, 0)])
def test_a_square_with_or_without_a_class_token(tokens, side, class_tokens):
    assert token_grid(Conv(), tokens) == (side and (side, side), class_tokens)


def test_a_model_knows_its_grids():
    wide = ViT(image_size=(4, 16), patch_size=2, num_classes=K, dim=6, depth=1, num_heads=1)
    assert token_grid(wide, 17) == ((2, 8), 1)  # not 4 x 4
    assert token_grid(AveragedModel(wide), 17) == ((2, 8), 1)
    assert token_grid(wide, 16) == (None, 0)    # it has a class token
    pit = PiT(image_size=(5, 7), patch_size=3, stride=2, dims=(4, 4), depths=(1, 1), num_heads=(1, 1))
    assert [token_grid(pit, n) for n in (7, 3)] == [((2, 3), 1), ((1, 2), 1)]


def test_images_are_drawn_by_the_seed(dataset):
    rows = choose_images(dataset, 7, 3, 1.0)
    assert len(set(rows.tolist())) == 7 and rows.tolist() == sorted(rows.tolist())
    assert torch.equal(rows, choose_images(dataset, 7, 3, 1.0))
    assert not torch.equal(rows, choose_images(dataset, 7, 4, 1.0))
    assert torch.equal(choose_images(dataset, None, 3, 1.0), torch.arange(IMAGES))
    assert analyze(Conv(), dataset, images=7, progress=False)["images"] == 7


@pytest.mark.parametrize("options, message", [
    ({"images": 0}, "images=0 must be in 1 ... 23, the test images of noise"), ({"images": 24}, "images=24"),
    ({"images": "many"}, "images='many'"), ({"epsilon": -1}, "epsilon=-1"), ({"epsilon": float("nan")}, "epsilon=nan"),
    ({"seed": -1}, "seed=-1"), ({"seed": 2**63}, "seed=9223372036854775808"), ({"batch_size": 0}, "batch_size=0")])
def test_a_value_out_of_range_is_named(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        analyze(Conv(), dataset, progress=False, **options)
