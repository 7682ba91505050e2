"""The device of a run: which one, and what it is good at."""

import os
from contextlib import AbstractContextManager

import torch

from minivit.training.chance import choose_deterministic_kernels


def choose_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` prefers an accelerator."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"WORLD_SIZE={os.environ['WORLD_SIZE']}: a run is one process; start it without torchrun")
    try:
        best = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        device = best if name == "auto" else torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={name!r} is not to be had here: {str(error).splitlines()[0]}; try cpu") from None
    if device.type != "cpu":
        choose_deterministic_kernels()
    return device


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given; a CPU has when a call returns."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return ``float32`` or ``bfloat16``; for ``auto`` the latter where the device multiplies it in hardware.

    A CPU that does not takes a hundred times as long for it.
    """
    if precision != "auto":
        return precision
    if device.type == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if fast else "float32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Return the context in which a model calculates in that precision, ``auto`` included."""
    return torch.autocast(device.type, torch.bfloat16, enabled=resolve_precision(precision, device) == "bfloat16")
