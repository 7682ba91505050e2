"""AdamW (Loshchilov and Hutter, 2019) or Muon (Jordan et al., 2024); warm-up and cosine decay of the learning rate."""

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from math import cos, pi
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from minivit.mixers import TokenMixer
from minivit.training.muon import Muon

if TYPE_CHECKING:
    from minivit.training.config import Config

# The optimiser for the matrices inside the blocks, called as (params, lr=..., weight_decay=...); None for AdamW.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer] | None] = {"adamw": None, "muon": Muon}


def create_optimizers(model: nn.Module, config: "Config") -> list[torch.optim.Optimizer]:
    """Create optimisers that update all trainable parameters between them; weight decay applies only to matrices.

    Biases, norms, position embeddings, the class token, CB_S, SE, and weights that map or merge scores (these start at
    the identity or the mean, not near zero) do not decay. With ``muon`` the matrices inside the blocks are updated by
    Muon, the rest by AdamW. Muon's steps are scaled to the size of AdamW's (Liu et al., 2025), so that both use the
    same learning rate.
    """
    for_matrices = OPTIMIZERS[config.optimizer]
    decays = {id(p) for p in matrices_of(model)}
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = {name: p for name, p in trainable.items() if id(p) in decays}
    others = [p for p in trainable.values() if id(p) not in decays]
    apart = {name for name, p in matrices.items() if for_matrices and p.ndim == 2 and "blocks" in name.split(".")}
    by_adamw = [p for name, p in matrices.items() if name not in apart]
    groups = [{"params": by_adamw, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    device = next(model.parameters()).device
    rate, on_gpu = config.learning_rate, device.type == "cuda"
    if on_gpu:  # a recorded step reads its learning rate from the device
        rate = torch.tensor(rate, device=device)
    optimizers = [torch.optim.AdamW(groups, lr=rate, betas=config.betas, fused=True, capturable=on_gpu)]
    if apart:
        optimizers.append(for_matrices([p for name, p in matrices.items() if name in apart], lr=rate,
                                       weight_decay=config.weight_decay))
    return optimizers


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Let the parameters whose names match one of the patterns keep their values.

    Raises
    ------
    ValueError
        If a pattern matches no parameter, or nothing is left to train.
    """
    for pattern in patterns:
        matched = [p for name, p in model.named_parameters() if fnmatchcase(name, pattern)]
        if not matched:
            names = sorted({re.sub(r"\d+", "*", name) for name, _ in model.named_parameters()})
            raise ValueError(f"frozen={pattern!r} matches no parameter; the model has {', '.join(names)}")
        for p in matched:
            p.requires_grad_(False)
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(f"frozen={list(patterns)} leaves no parameter to train")


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state but keep its own settings, since those in the state may be for another device."""
    settings = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, its in zip(optimizer.param_groups, settings, strict=True):
        group.update(its)


def matrices_of(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that decay: those that a mixer lists, and elsewhere the weights of linear layers."""
    if isinstance(module, TokenMixer):
        yield from module.matrices()
    elif isinstance(module, nn.Linear | nn.Conv2d):
        yield module.weight
    else:
        for child in module.children():
            yield from matrices_of(child)


def learning_rate(step: int, steps: int, config: "Config") -> float:
    """Return the learning rate of step number ``step``, counted from 0, in a run of ``steps`` steps.

    For a given configuration it depends only on the step, so a checkpoint needn't store it.
    """
    warmup = round(config.warmup_epochs / config.epochs * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * (1 + cos(pi * progress)) / 2


def set_learning_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of every parameter group: a number, or on a GPU a tensor, which is filled in place."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
