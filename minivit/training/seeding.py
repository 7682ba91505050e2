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


def choose_deterministic_kernels() -> None:
    """Ask a GPU for kernels that give the same bits each time; a CPU's do already.

    Called before the GPU is first used.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it finds bugs, and costs time
