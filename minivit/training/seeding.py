"""Reproducible randomness: every draw is a function of a few whole numbers, such as (seed, step)."""

import os

import numpy as np
import torch

START, STEP, EPOCH, SUBSET, READ = range(5)  # what a random draw is for: the second number of its key


def seed_torch(*key: int) -> None:
    """Set PyTorch's generators, on all devices, to a state that depends only on ``key``."""
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))


def permutation(n: int, *key: int) -> torch.Tensor:
    """Return the numbers 0 ... n - 1 in an order that depends only on ``key``."""
    return torch.from_numpy(np.random.default_rng(key).permutation(n))


def keys(places: torch.Tensor, *key: int) -> torch.Tensor:
    """Return a seed for each place, int64 (n,), that depends only on the place and ``key``."""
    return places + int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 2)  # the sum must not overflow


def choose_kernels(device: torch.device, deterministic: bool) -> None:
    """Make a GPU use deterministic kernels, or the fastest; those of a CPU are deterministic anyway.

    Call this before the GPU multiplies its first matrix. If an operation has no deterministic kernel, PyTorch raises a
    RuntimeError when it is called.
    """
    if device.type == "cpu":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs time
