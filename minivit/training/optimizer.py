"""AdamW (Loshchilov and Hutter, 2019) or Muon (Jordan et al., 2024), warm-up and cosine."""

from collections.abc import Callable, Iterator
from math import cos, pi
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from minivit.mixers import TokenMixer
from minivit.training.muon import Muon

if TYPE_CHECKING:
    from minivit.training.config import Config

# What steps the matrices inside the blocks, of (params, lr=..., weight_decay=...); None if AdamW does that too.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer] | None] = {"adamw": None, "muon": Muon}


def create_optimizers(model: nn.Module, config: "Config") -> list[torch.optim.Optimizer]:
    """Make the optimisers that share out the parameters; weight decay pulls on matrices alone.

    Biases, norms, positions, the class token, CB_S, SE and what maps or merges scores, which starts at the identity or
    the mean and not near zero, do not decay. With ``muon`` the matrices inside the blocks are stepped by Muon, the rest
    by AdamW. Muon's steps are scaled to the size of AdamW's (Liu et al., 2025), so that both have one learning rate.
    """
    for_matrices = OPTIMIZERS[config.optimizer]
    decays = {id(p) for p in matrices_of(model)}
    matrices = {name: p for name, p in model.named_parameters() if id(p) in decays}
    others = [p for p in model.parameters() if id(p) not in decays]
    apart = {name for name, p in matrices.items() if for_matrices and p.ndim == 2 and "blocks" in name.split(".")}
    by_adamw = [p for name, p in matrices.items() if name not in apart]
    groups = [{"params": by_adamw, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    rate, on_gpu = config.learning_rate, others[0].is_cuda
    if on_gpu:  # a step that is recorded reads its rate where it lies
        rate = torch.tensor(rate, device=others[0].device)
    optimizers = [torch.optim.AdamW(groups, lr=rate, betas=config.betas, fused=True, capturable=on_gpu)]
    if apart:
        optimizers.append(for_matrices([p for name, p in matrices.items() if name in apart], lr=rate,
                                       weight_decay=config.weight_decay))
    return optimizers


def load_memory(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimiser the memory of another, and let it keep its own settings, which may be of another device."""
    settings = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, its in zip(optimizer.param_groups, settings, strict=True):
        group.update(its)


def matrices_of(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that decay: what a mixer says of its own, and elsewhere the weights of linear maps."""
    if isinstance(module, TokenMixer):
        yield from module.matrices()
    elif isinstance(module, nn.Linear | nn.Conv2d):
        yield module.weight
    else:
        for child in module.children():
            yield from matrices_of(child)


def learning_rate(step: int, steps: int, config: "Config") -> float:
    """Return the rate of step number ``step``, counted from 0, of ``steps`` in all.

    It is a function of the step and of nothing else, so that a resumed run need not remember it.
    """
    warmup = round(config.warmup_epochs / config.epochs * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * (1 + cos(pi * progress)) / 2


def set_learning_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    """Set the rate of every group of parameters: a number, or on a GPU what a tensor holds."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
