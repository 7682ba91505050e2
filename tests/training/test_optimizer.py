import pytest
import torch

from minivit.models import PiT, ViT, create_model
from minivit.training import Config
from minivit.training.optimizer import create_optimizers, freeze, learning_rate

CONFIG = Config(epochs=10, warmup_epochs=2.0, learning_rate=1e-2, final_learning_rate=1e-4)
STEPS, WARMUP = 70, 14


@pytest.mark.parametrize("step, rate", [
    (0, 1e-2 / WARMUP), (6, 5e-3), (WARMUP - 1, 1e-2), (WARMUP, 1e-2), ((WARMUP + STEPS) // 2, (1e-2 + 1e-4) / 2),
])
def test_learning_rate_by_hand(step, rate):
    assert learning_rate(step, STEPS, CONFIG) == pytest.approx(rate)


def test_learning_rate_rises_then_falls_to_the_final_one():
    rates = [learning_rate(step, STEPS, CONFIG) for step in range(STEPS)]
    assert rates[:WARMUP] == sorted(rates[:WARMUP])
    assert rates[WARMUP:] == sorted(rates[WARMUP:], reverse=True)
    assert 1e-4 < rates[-1] < 1.2e-4


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_only_matrices_decay(optimizer):
    model = ViT(image_size=8, patch_size=4, dim=12, depth=2, num_heads=3, context="cb_s", num_classes=5)
    # With no gradient and a rate of 1, AdamW and Muon take exactly the decayed share of each weight.
    config = Config(optimizer=optimizer, weight_decay=0.25, learning_rate=1.0)
    before = {name: p.clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    for part in create_optimizers(model, config):
        part.step()
    for name, p in model.named_parameters():
        matrix = name == "patch_embed.proj.weight" or (name.endswith("weight") and p.ndim == 2)
        torch.testing.assert_close(p.data, before[name] * (0.75 if matrix else 1.0), msg=name)


def test_muon_has_the_matrices_of_the_blocks_and_adamw_the_rest():
    model = ViT(image_size=8, patch_size=4, dim=12, depth=2, num_heads=3, context="cb_s", num_classes=5)
    adamw, muon = create_optimizers(model, Config(optimizer="muon"))
    names = {id(p): name for name, p in model.named_parameters()}
    stepped = [{names[id(p)] for group in part.param_groups for p in group["params"]} for part in (adamw, muon)]
    assert stepped[1] == {f"blocks.{layer}.{name}.weight" for layer in range(2)
                          for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")}
    assert stepped[0] | stepped[1] == set(names.values()) and not stepped[0] & stepped[1]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_frozen_parameters_are_in_no_optimizer(optimizer):
    model = create_model("lavit_nano", num_classes=5)
    freeze(model, ["*.theta.*", "stages.1.*"])
    named = {id(p): name for name, p in model.named_parameters()}
    stepped = {named[id(p)] for part in create_optimizers(model, Config(optimizer=optimizer))
               for group in part.param_groups for p in group["params"]}
    assert stepped == {name for name in named.values() if ".theta." not in name and not name.startswith("stages.1.")}


def test_a_pattern_that_freezes_nothing_or_everything_is_an_error():
    model = ViT(image_size=8, patch_size=4, dim=12, depth=2, num_heads=3, num_classes=5)
    with pytest.raises(ValueError, match=r"frozen='\*\.theta' matches no parameter; the model has blocks\.\*\.attn"):
        freeze(model, ["*.theta"])
    with pytest.raises(ValueError, match="leaves no parameter to train"):
        freeze(model, ["*"])


def test_muon_finds_the_blocks_of_a_model_in_stages():
    model = PiT(image_size=11, patch_size=3, stride=2, num_classes=5, dims=(6, 12), depths=(1, 2), num_heads=(1, 2))
    _, muon = create_optimizers(model, Config(optimizer="muon"))
    assert sum(len(group["params"]) for group in muon.param_groups) == 4 * 3


def test_a_step_of_muon_turns_a_matrix_by_as_much_in_every_direction():
    model = ViT(image_size=8, patch_size=4, dim=12, depth=1, num_heads=3, num_classes=5)
    weight = model.blocks[0].attn.proj.weight
    before = weight.detach().clone()
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    generator = torch.Generator().manual_seed(0)
    weight.grad = torch.randn(12, 12, generator=generator)  # singular values from near 0 to about 7
    for part in create_optimizers(model, Config(optimizer="muon", weight_decay=0.0, learning_rate=1.0)):
        part.step()
    turned = torch.linalg.svdvals(before - weight.detach()) / (0.2 * 12**0.5)  # match_rms_adamw: 0.2 sqrt(max side)
    assert 0.5 < turned[:-1].min() and turned.max() < 1.3  # Newton and Schulz come near 1, not to it


def test_convolutions_of_a_stage_and_maps_over_tokens_are_for_adamw():
    model = create_model("lavit_nano")
    adamw, muon = create_optimizers(model, Config(optimizer="muon"))
    names = {id(p): name for name, p in model.named_parameters()}
    by_muon = {names[id(p)].partition("blocks.")[2] for group in muon.param_groups for p in group["params"]}
    assert {name.partition(".")[2] for name in by_muon} == {"attn.qkv.weight", "attn.v.weight", "attn.proj.weight",
                                                            "mlp.fc1.weight", "mlp.fc2.weight"}
    decayed = {names[id(p)].rpartition(".")[0].rpartition(".")[2] for p in adamw.param_groups[0]["params"]}
    assert decayed == {"conv", "head"} and adamw.param_groups[1]["weight_decay"] == 0
