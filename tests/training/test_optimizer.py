import pytest
import torch

from minivit.models import ViT
from minivit.training import Config
from minivit.training.optimizer import create_optimizer, learning_rate

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


def test_only_matrices_decay():
    model = ViT(image_size=8, patch_size=4, dim=12, depth=2, num_heads=3, context="cb_s", num_classes=5)
    # With no gradient and a rate of 1, AdamW takes exactly the decayed share of each weight.
    optimizer = create_optimizer(model, Config(weight_decay=0.25, learning_rate=1.0))
    before = {name: p.clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in model.named_parameters():
        matrix = name == "patch_embed.proj.weight" or (name.endswith("weight") and p.ndim == 2)
        torch.testing.assert_close(p.data, before[name] * (0.75 if matrix else 1.0), msg=name)
