"""Training one model with several processes: which process this is, and how their tensors are combined.

``torchrun`` starts the processes, on one machine or with ``--nnodes`` on several, and tells each its rank. In a single
process every function here returns at once.

What is combined with what:

==================================  ===============  ==================  ==================  ==================
setting                             one process      many processes      ``accumulate``      ``recompute``
==================================  ===============  ==================  ==================  ==================
``precision=bfloat16``              yes              yes                 yes                 yes
``compile``                         yes              yes                 yes                 yes
``cuda_graph``, on an NVIDIA GPU    yes              no effect           no effect           no effect
``optimizer=muon``                  yes              yes, shared out     yes                 yes
``accumulate``                      yes              yes                                     yes
``recompute``                       yes              yes                 yes
moving average, dropout, mixing     yes              yes                 yes                 yes
==================================  ===============  ==================  ==================  ==================

Where ``cuda_graph`` has no effect, steps are taken one by one, and the run says so: a graph would have to hold the
exchange of gradients, and ``recompute`` asks for the state of the generator, which can't be recorded.

FSDP isn't here. It would share out weights, gradients and moments, which are 1.4 GB in a ViT-B, and not what is kept
for the backward pass, which ``recompute`` is for; and checkpoints, the moving average and Muon, which needs whole
matrices, would each have to gather them. From some billion weights on it pays.
"""

import ctypes
import os
import re
import signal
import sys
import warnings
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

PR_SET_PDEATHSIG = 1  # of Linux's prctl


def asked_for() -> int:
    """Return how many processes the launcher started, according to ``WORLD_SIZE``.

    Raises
    ------
    ValueError
        If ``WORLD_SIZE`` is not a whole number.
    """
    processes = os.environ.get("WORLD_SIZE") or "1"
    if not processes.isdecimal():
        raise ValueError(f"WORLD_SIZE={processes!r} must be a whole number, or not set at all")
    return int(processes)


def timeout() -> timedelta:
    """Return how long the processes wait for one that doesn't answer: ``MINIVIT_TIMEOUT_S`` seconds, or 10 minutes.

    Raises
    ------
    ValueError
        If ``MINIVIT_TIMEOUT_S`` is not a number of seconds larger than 0.
    """
    seconds = os.environ.get("MINIVIT_TIMEOUT_S") or "600"
    if not re.fullmatch(r"\d+(\.\d+)?", seconds) or float(seconds) == 0:
        raise ValueError(f"MINIVIT_TIMEOUT_S={seconds!r} must be a number of seconds larger than 0, or not set at all")
    return timedelta(seconds=float(seconds))


def join(device: torch.device) -> None:
    """Connect to the other processes, if there are any: by NCCL for GPU tensors, by gloo for CPU tensors.

    Raises
    ------
    ValueError
        If the launcher hasn't set the variables that a process needs to find the others.
    """
    end_with_launcher()
    if asked_for() == 1 or dist.is_initialized():
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ValueError(f"WORLD_SIZE={asked_for()}, but {', '.join(missing)} not set: start the run with torchrun")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=timeout())


def end_with_launcher() -> None:
    """Have Linux send this process SIGTERM if torchrun dies.

    A launcher that's killed can't end its workers. They would go on, and the other launchers would wait for them.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def leave() -> None:
    """Disconnect from the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the index of this process, counted from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Say whether this process is the one that writes files and talks to the user."""
    return rank() == 0


def wait_for_all() -> None:
    """Wait until every process has got here; an error names one that doesn't."""
    if world_size() > 1:
        dist.monitored_barrier(timeout=timeout())


def add_up(tensor: Tensor) -> Tensor:
    """Replace a tensor by its sum over all processes, in place, and return it."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def largest(*values: int) -> list[int]:
    """Return, of each of the values, the largest that any process passes in."""
    if world_size() == 1:
        return list(values)
    most = torch.tensor(values, dtype=torch.int64)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return most.tolist()


def gather(value: Any) -> list[Any]:
    """Return the values that the processes pass in, ordered by rank."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def tells(message: str) -> bool:
    """Say whether this process should tell the user: only the first that asks with a message should."""
    if world_size() == 1:
        return True
    try:
        return _store().add(f"told: {message}", 1) == 1
    except RuntimeError:  # the process that kept the store has ended, and has said why
        return False


def stand_at(step: int) -> None:
    """Let the other processes know which step this one has reached."""
    if world_size() > 1:
        _store().set(f"step of {rank()}", str(step))


def who_is_behind() -> str:
    """Say which processes are behind the others, as far as is known; empty if none is."""
    if world_size() == 1:
        return ""
    try:
        steps = [int(_store().get(f"step of {other}")) for other in range(world_size())
                 if _store().check([f"step of {other}"])]
    except RuntimeError:
        return ""
    behind = [str(other) for other, step in enumerate(steps) if step < max(steps)]
    return f"process {', '.join(behind)} is behind, at step {min(steps)} of {max(steps)}" if behind else ""


def _store() -> dist.Store:
    return dist.distributed_c10d._get_default_store()


def distribute(model: nn.Module) -> nn.Module:
    """Wrap a model so that its gradients, after backward, are the mean over all processes."""
    if world_size() == 1:
        return model
    # With one channel, a convolution's gradient has other strides than its weight. That costs a copy of a small tensor.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # newer versions of PyTorch have another name for the option
        return nn.parallel.DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)


def share(items: Tensor) -> Tensor:
    """Return this process's share of some items: with P processes, every P-th, starting at this one's rank."""
    return items[rank()::world_size()]


def rows_of_parts(batch_size: int, parts: int, *, pairs: bool) -> list[Tensor]:
    """Split a batch into parts of equal size; return the rows of each.

    With ``pairs`` the first row and the last are in the same part, as are the second and the last but one, and so on:
    these images are mixed with each other. Within a part, too, the first row is paired with the last.

    Raises
    ------
    ValueError
        If the batch can't be split evenly; the message suggests sizes that can.
    """
    size, rows = batch_size // parts, torch.arange(batch_size)
    if batch_size % parts or (pairs and parts > 1 and size % 2):
        needed = parts * (1 + pairs)
        near = sorted({max(1, batch_size // needed) * needed, -(-batch_size // needed) * needed})
        raise ValueError(f"batch_size={batch_size} can't be split into {parts} equal parts"
                         f"{' of whole pairs, which are mixed with each other' * pairs}: use a multiple of {needed}, "
                         f"such as {' or '.join(map(str, near))}")
    if not pairs or parts == 1:
        return list(rows.split(size))
    half = size // 2
    return [torch.cat([first, (batch_size - 1 - first).flip(0)]) for first in rows[:batch_size // 2].split(half)]


def gather_parts(part: Tensor, whole: Tensor) -> Tensor:
    """Fill ``whole`` with the rows of all processes; ``part`` has those that :func:`share` gave to this one."""
    whole.zero_()
    whole[rank()::world_size()] = part
    return add_up(whole)
