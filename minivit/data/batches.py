"""Read a split in batches, in a given order, onto a device."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from minivit.data.dataset import Split, row_indices
from minivit.options import check_at_least

LOOK_AHEAD = 2

Pair = tuple[Tensor, Tensor]   # images and targets


def batches(split: Split, order: Tensor | Sequence[int], batch_size: int, device: torch.device | str = "cpu",
            target: str = "labels", keys: Tensor | None = None) -> Iterator[Pair]:
    """Go through a split in a given order, one batch at a time.

    Images in memory are simply indexed, on the device if they live there. Files are decoded on a thread, up to two
    batches ahead of the one in use. Broken ones are left out or, with ``keys``, replaced with others.

    Parameters
    ----------
    split
        Images and labels.
    order
        Row indices in the desired order, of any length; ``torch.randperm(len(split))`` for an epoch of training.
    batch_size
        Images in a batch; the last batch may have fewer.
    device
        Where the batches go.
    target
        What to yield along with the images: ``labels``, or another field of the split, such as ``masks``.
    keys
        For training, a seed for each row of ``order``, int64 (n,), for the random draws while its file is read: see
        :meth:`minivit.data.stored.StoredImages.take`.

    Yields
    ------
    images, targets
        uint8 (b, C, H, W) and the matching rows of the target, for labels int64 (b,), on the device.

    Raises
    ------
    ValueError
        If the order is not a vector of valid indices, the number of keys differs, or the batch size is less than 1.
    DataError
        If more than one in a hundred images are broken.
    """
    order = row_indices("order", order, len(split)).cpu()
    check_at_least(1, batch_size=batch_size)
    if keys is not None and len(keys) != len(order):
        raise ValueError(f"keys has {len(keys)} rows for an order of {len(order)}: there must be one for each")
    targets = getattr(split, target)

    def read(rows: Tensor, keys: Tensor | None) -> Pair:
        images, rows = split.images.take(rows, keys)
        return images, targets[rows]

    if isinstance(split.images, Tensor):
        order = order.to(split.images.device)  # once: copying the rows of each batch would wait for the device
        pairs = ((split.images[rows], targets[rows]) for rows in _chunks(order, batch_size))
    else:
        chunks_of_keys = repeat(None) if keys is None else _chunks(keys, batch_size)
        pairs = _ahead(read, zip(_chunks(order, batch_size), chunks_of_keys, strict=False))
    return _on_device(pairs, torch.device(device))


def _chunks(rows: Tensor, size: int) -> Sequence[Tensor]:
    return rows.split(size) if len(rows) else ()


def _on_device(pairs: Generator[Pair, None, None], device: torch.device) -> Iterator[Pair]:
    with closing(pairs):
        for images, labels in pairs:
            if len(images):  # not all of them are broken
                yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def _ahead(read: Callable[..., Pair], chunks: Iterable[tuple[Any, ...]]) -> Generator[Pair, None, None]:
    """Yield ``read(*chunk)`` for every chunk while a thread reads the next ones."""
    with ThreadPoolExecutor(1, thread_name_prefix="minivit-batches") as pool:
        waiting = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(read, *chunk))
                if len(waiting) > LOOK_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
