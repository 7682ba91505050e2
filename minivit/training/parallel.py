"""Many processes that train one model: who is here, and how what each of them has becomes one.

``torchrun`` starts them and says to each which one it is. A process without others needs nothing of this: each function
then returns at once.
"""

import os
import warnings
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

# How long the others wait for a process.
TIMEOUT = timedelta(seconds=float(os.environ.get("MINIVIT_TIMEOUT_S") or 600))


def asked_for() -> int:
    """Return how many processes the launcher started, by ``WORLD_SIZE``.

    Raises
    ------
    ValueError
        If that is no number.
    """
    processes = os.environ.get("WORLD_SIZE") or "1"
    if not processes.isdecimal():
        raise ValueError(f"WORLD_SIZE={processes!r} must be a whole number, or not set at all")
    return int(processes)


def join(device: torch.device) -> None:
    """Meet the other processes, if there are some: over NCCL between GPUs, over gloo between CPUs and for small words.

    Raises
    ------
    ValueError
        If the launcher hasn't said where to meet.
    """
    if asked_for() == 1 or dist.is_initialized():
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ValueError(f"WORLD_SIZE={asked_for()}, but {', '.join(missing)} not set: start the run with torchrun")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)


def leave() -> None:
    """Part from the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def world_size() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Say whether this process is the one that writes files and talks to the user."""
    return rank() == 0


def wait_for_all() -> None:
    """Return when every process is here; one that doesn't come is named in an error."""
    if world_size() > 1:
        dist.monitored_barrier(timeout=TIMEOUT)


def add_up(tensor: Tensor) -> Tensor:
    """Replace a tensor by the sum over all processes, in place, and return it."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def largest(value: int) -> int:
    """Return the largest of the values that the processes have."""
    if world_size() == 1:
        return value
    values = torch.tensor(int(value))
    dist.all_reduce(values, dist.ReduceOp.MAX)
    return int(values)


def tells(message: str) -> bool:
    """Say whether this process is the one to tell the user: the first to ask, of those with the same message."""
    if world_size() == 1:
        return True
    try:
        return _store().add(f"told: {message}", 1) == 1
    except RuntimeError:  # the process that had the store is gone, and has said why
        return False


def stand_at(step: int) -> None:
    """Let the others know how far this process is."""
    if world_size() > 1:
        _store().set(f"step of {rank()}", str(step))


def who_is_behind() -> str:
    """Say which process the others wait for, as far as is known; empty for none."""
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
    """Return a model whose gradients, after backward, are the mean over all processes."""
    if world_size() == 1:
        return model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # newer versions of PyTorch call the option otherwise
        return nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)


def share(items: Tensor) -> Tensor:
    """Return this process's share of a row of things: every so manyeth."""
    return items[rank()::world_size()]


def rows_of_parts(batch_size: int, parts: int, *, pairs: bool) -> list[Tensor]:
    """Share out a batch: return the rows of each part, all of one size.

    With ``pairs`` the first row and the last are in one part, the second and the last but one, and so on: images that
    are mixed with each other. In a part too the partner of the first is the last.

    Raises
    ------
    ValueError
        If it can't be shared out so; what could be is named.
    """
    size, rows = batch_size // parts, torch.arange(batch_size)
    if batch_size % parts or (pairs and parts > 1 and size % 2):
        needed = parts * (1 + pairs)
        near = sorted({max(1, batch_size // needed) * needed, -(-batch_size // needed) * needed})
        raise ValueError(f"batch_size={batch_size} can't be shared out {parts} ways"
                         f"{', in pairs that are mixed with each other' * pairs}: use a multiple of {needed}, such as "
                         f"{' or '.join(map(str, near))}")
    if not pairs or parts == 1:
        return list(rows.split(size))
    half = size // 2
    return [torch.cat([first, (batch_size - 1 - first).flip(0)]) for first in rows[:batch_size // 2].split(half)]


def gather_parts(part: Tensor, whole: Tensor) -> Tensor:
    """Fill a tensor whose every so manyeth row a process has, from :func:`share`, with those that the others have."""
    whole.zero_()
    whole[rank()::world_size()] = part
    return add_up(whole)


def same_everywhere(tensors: Iterable[Tensor]) -> bool:
    """Say whether the processes have the same numbers, to the last bit: for tests, and in doubt."""
    if world_size() == 1:
        return True
    for tensor in tensors:
        first = tensor.detach().clone()
        dist.broadcast(first, 0)
        if largest(int(not torch.equal(first, tensor))):
            return False
    return True
