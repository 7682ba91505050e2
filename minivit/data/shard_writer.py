"""Write the images of class folders to WebDataset tar shards, byte for byte."""

import contextlib
import hashlib
import io
import json
import math
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from minivit.data.dataset import DataError, os_errors
from minivit.data.imagefolder import list_splits
from minivit.data.shard_index import MANIFEST, SHARD
from minivit.files import user_path, write_whole
from minivit.options import check_at_least, check_positive

PLAN = "_unfinished.json"


def write_shards(source: str | Path, target: str | Path, *, size_mb: float = 100, seed: int = 0) -> Path:
    """Write the images of a folder to tar shards, with a manifest.

    The images of each class are dealt out to the shards of their split like cards, in an order drawn from the seed. So
    shards differ by at most one image, and a class with as many images as there are shards is in all of them. A shard
    is written completely or not at all. If a call is interrupted, repeating it continues where it stopped; the
    manifest, written last, shows that all shards are there.

    Parameters
    ----------
    source
        Folder with ``train/CLASS/`` and ``test/CLASS/`` or ``val/CLASS/``, as for
        :func:`minivit.data.imagefolder.load_imagefolder`.
    target
        Folder for the shards; created if it doesn't exist.
    size_mb
        Approximate size of a shard, in megabytes.
    seed
        Seed of the order, at least 0.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    ValueError
        If the value of an option is not allowed.
    DataError
        If the images cannot be read, the shards cannot be written, or the target has other shards.
    """
    source, target = user_path(source, "source"), user_path(target, "target")
    check_positive(size_mb=size_mb)
    check_at_least(0, seed=seed)
    listed = list_splits(source)
    classes = list(listed["train"])
    deals, plan = {}, hashlib.blake2b(json.dumps([size_mb, seed, classes]).encode(), digest_size=16)
    for number, (split, files) in enumerate(listed.items()):
        images = [(path, label) for label, name in enumerate(classes) for path in files[name]]
        with os_errors(source):
            sizes = [path.stat().st_size for path, _ in images]
        plan.update("".join(f"{path.relative_to(source)}\0{size}\0" for (path, _), size in
                            zip(images, sizes, strict=True)).encode("utf-8", "surrogateescape"))
        labels = np.array([label for _, label in images])
        deals[split] = images, _deal(labels, math.ceil(sum(sizes) / size_mb / 1e6) or 1, seed, number)
    splits = {}
    with os_errors(target, "written"):
        target.mkdir(parents=True, exist_ok=True)
        _begin(target, plan.hexdigest())
        for split, (images, shards) in deals.items():
            digits = max(4, len(str(len(shards) - 1)))
            paths = [target / f"{split}-{number:0{digits}}.tar" for number in range(len(shards))]
            for path, rows in zip(paths, shards, strict=True):
                if not path.exists():
                    write_whole(path, lambda part, rows=rows, images=images: _write_shard(part, images, rows))
            splits[split] = {"name": split, "filenames": [path.name for path in paths],
                             "shard_lengths": [len(rows) for rows in shards], "num_samples": len(images),
                             "shard_bytes": [path.stat().st_size for path in paths]}
        _write_json(target / MANIFEST, {"splits": splits, "classes": classes})
        (target / PLAN).unlink()
    return target / MANIFEST


def _deal(labels: np.ndarray, shards: int, seed: int, split: int) -> list[list[int]]:
    """Return the rows of each shard, in the order in which they are written."""
    draw = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(split,)))
    order = draw.permutation(len(labels))
    order = order[labels[order].argsort(kind="stable")]
    return [draw.permutation(order[number::shards]).tolist() for number in range(min(shards, len(labels)))]


def _begin(target: Path, plan: str) -> None:
    """Record what will be written, unless an earlier call did; raise an error if the folder has other shards."""
    if (target / MANIFEST).exists():
        raise DataError(f"{target} already has shards: choose another folder, or delete them and {MANIFEST}")
    with contextlib.suppress(FileNotFoundError, ValueError):
        if json.loads((target / PLAN).read_text(encoding="utf-8")) == plan:
            return
    if shards := sorted(entry.name for entry in os.scandir(target) if SHARD.fullmatch(entry.name)):
        raise DataError(f"{target / shards[0]} is from another set of shards, or was written from other images or with "
                        "other options: delete it and the others like it, or choose another folder")
    _write_json(target / PLAN, plan)


def _write_shard(part: Path, images: list[tuple[Path, int]], rows: list[int]) -> None:
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        for row in rows:
            path, label = images[row]
            # A key ends at its first dot; the number tells apart files of the same name in different folders.
            stem = path.stem.replace(".", "_").encode("utf-8", "replace").decode()
            suffix = path.suffix.lower().replace(".jpeg", ".jpg")   # which other programs look for
            with os_errors(path):
                content = path.read_bytes()
            for name, value in ((f"{row:08d}_{stem}{suffix}", content), (f"{row:08d}_{stem}.cls", b"%d" % label)):
                member = tarfile.TarInfo(name)
                member.size = len(value)
                tar.addfile(member, io.BytesIO(value))


def _write_json(path: Path, value: Any) -> None:
    write_whole(path, lambda part: part.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n",
                                                   encoding="utf-8"))
