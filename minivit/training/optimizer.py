"""AdamW (Loshchilov and Hutter, 2019), warm-up and cosine."""

from math import cos, pi

import torch
from torch import nn

from minivit.training.config import Config


def create_optimizer(model: nn.Module, config: Config) -> torch.optim.AdamW:
    """Make AdamW; weight decay pulls on the matrices only, not on biases, norms, positions or the class token."""
    decays = {id(p) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d) for p in [m.weight]}
    matrices = [p for p in model.parameters() if id(p) in decays]
    others = [p for p in model.parameters() if id(p) not in decays]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def learning_rate(step: int, steps: int, config: Config) -> float:
    """Return the rate of step number ``step``, counted from 0, of ``steps`` in all.

    It is a function of the step and of nothing else, so that a resumed run need not remember it.
    """
    warmup = round(config.warmup_epochs / config.epochs * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * (1 + cos(pi * progress)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group of parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
