"""Chance by name: every random draw is a function of a few whole numbers, such as (seed, step)."""

import os

import numpy as np
import torch


def seed_torch(*key: int) -> None:
    """Set PyTorch's generators, on all devices, to a state that depends on ``key`` alone."""
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))


def permutation(n: int, *key: int) -> torch.Tensor:
    """Return the numbers 0 ... n - 1 in an order that depends on ``key`` alone."""
    return torch.from_numpy(np.random.default_rng(key).permutation(n))


def choose_kernels(device: torch.device, deterministic: bool) -> None:
    """Ask a GPU for kernels that give the same bits each time, or for the fastest; a CPU's are of the first kind.

    Called before the GPU multiplies the first matrix. Where there is no kernel of the first kind, PyTorch says so in a
    RuntimeError when it's called.
    """
    if device.type == "cpu":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it finds bugs, and costs time
