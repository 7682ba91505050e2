"""Index the images in a folder of tar shards: the shard, first byte, size and label of each.

Shards have WebDataset's format: uncompressed tars in which the files of an image share their name up to the first dot,
KEY.jpg and KEY.cls or KEY.json. They are in one folder, as [PREFIX-]SPLIT-NUMBER.tar, where SPLIT is train, test, val
or validation, and numbers start at 0: train-0000.tar, imagenet1k-validation-0063.tar.

A manifest, ``_info.json``, may say how many images and bytes each shard has. It has the format that timm reads and
publishes; ``shard_bytes`` and ``classes`` are our additions. A truncated shard is detected without it, too: the last
blocks of a tar are zero.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minivit.data.dataset import DataError, os_errors
from minivit.data.folders import image_suffixes

TRAIN, HELD_OUT = "train", ("test", "val", "validation")
SHARD = re.compile(rf"(?P<prefix>(?:.+[-_])?)(?P<split>{'|'.join((TRAIN, *HELD_OUT))})[-_](?P<number>\d+)\.tar")
LAYOUT = "ROOT/[PREFIX-]train-0000.tar, ... and the same with test, val or validation instead of train"
MANIFEST = "_info.json"
FORMAT = 1   # of the stored index; one with another number is built again
PLACE = np.dtype([("shard", "<i4"), ("offset", "<i8"), ("size", "<i8"), ("label", "<i8"), ("name", "<i8")])

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shards:
    """The shards of a split.

    Attributes
    ----------
    paths
        The tars, ordered by number.
    states
        Size and modification time of each.
    images, sizes
        Images and bytes in each according to the manifest; None if it doesn't say.
    """

    paths: tuple[Path, ...]
    states: tuple[tuple[int, int], ...]
    images: tuple[int, ...] | None = None
    sizes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Index:
    """The images of a split.

    Attributes
    ----------
    places
        One row per image, in the order of the shards, of dtype ``PLACE``: index of the shard in ``paths``, first byte,
        number of bytes, label, index of the name.
    names
        Names of the members, UTF-8, one per line.
    """

    places: np.ndarray
    names: bytes


def find_shards(root: Path, *, only_test: bool = False) -> tuple[dict[str, Shards], tuple[str, ...] | None]:
    """Return the shards of the training and the held-out split, and the classes if the manifest names them.

    With ``only_test``, return the shards of the held-out split alone.

    Raises
    ------
    DataError
        Naming the first shard that is missing, empty, of the wrong size, or not in the manifest.
    """
    with os_errors(root, way_out=f"shards expects {LAYOUT}"):
        there = sorted(entry.name for entry in os.scandir(root) if SHARD.fullmatch(entry.name))
        manifest = _read_manifest(root)
        splits = {name: _find_split(root, name, there, manifest.get("splits", {}).get(name))
                  for name in (HELD_OUT if only_test else (TRAIN, *HELD_OUT))}
    held_out = next((name for name in HELD_OUT if splits[name]), HELD_OUT[1])
    wanted = (held_out,) if only_test else (TRAIN, held_out)
    for name in wanted:
        if splits[name] is None:
            raise DataError(f"{root} has no {name} shards; shards expects {LAYOUT}")
    if unused := [name for name in HELD_OUT if name != held_out and splits[name]]:
        log.info(f"shards: the {held_out} shards in {root} are used; those of {' and '.join(unused)} are not")
    classes = manifest.get("classes")
    return {name: splits[name] for name in wanted}, None if classes is None else tuple(classes)


def _read_manifest(root: Path) -> dict[str, Any]:
    path = root / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for split in manifest.get("splits", {}).values():
            lists = [split[key] for key in ("filenames", "shard_lengths", "shard_bytes") if key in split]
            if len({len(values) for values in lists}) != 1 or not all(isinstance(name, str) for name in lists[0]):
                raise ValueError("its lists differ in length")
        classes = manifest.get("classes", [])
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise ValueError("'classes' must be a list of names")
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}): write the shards again, or delete it") from None
    return manifest


def _find_split(root: Path, split: str, there: list[str], told: dict[str, Any] | None) -> Shards | None:
    names = [name for name in there if SHARD.fullmatch(name)["split"] == split]
    if told is not None:
        expected = [os.path.basename(name) for name in told["filenames"]]
        if other := sorted(set(names) - set(expected)):
            raise DataError(f"{root / other[0]} is not in {root / MANIFEST}: move it away, or write the shards again")
    elif names:
        expected = _numbered(root, split, names)
    else:
        return None
    for name in expected:
        if not (root / name).is_file():
            raise DataError(f"{root / name} is missing according to "
                            f"{root / MANIFEST if told else 'the numbers of the others'}: copy it again")
    status = [os.stat(root / name) for name in expected]
    lengths, sizes = (None if told is None or key not in told else tuple(told[key])
                      for key in ("shard_lengths", "shard_bytes"))
    for i, (name, of) in enumerate(zip(expected, status, strict=True)):
        if of.st_size == 0:
            raise DataError(f"{root / name} is empty: copy it again")
        if sizes is not None and of.st_size != sizes[i]:
            raise DataError(f"{root / name} has {of.st_size} bytes, but {MANIFEST} says {sizes[i]}: copy it again")
    return Shards(tuple(root / name for name in expected), tuple((of.st_size, of.st_mtime_ns) for of in status),
                  lengths, sizes)


def _numbered(root: Path, split: str, names: list[str]) -> list[str]:
    """Return the names of the shards from 0 to the last, including those that are missing."""
    numbers = {int(SHARD.fullmatch(name)["number"]): name for name in names}
    heads = {name[:SHARD.fullmatch(name).start("number")] for name in names}
    if len(heads) > 1 or len(numbers) != len(names):
        raise DataError(f"{root} holds more than one set of {split} shards: {names[0]} and {names[-1]}; move one away")
    digits = len(numbers[max(numbers)]) - len(heads.copy().pop()) - len(".tar")
    return [numbers.get(number, f"{names[0][:-len('.tar')].rstrip('0123456789')}{number:0{digits}}.tar")
            for number in range(max(numbers) + 1)]


def load_index(root: Path, split: str, shards: Shards) -> Index:
    """Return the index of a split: the stored one if no shard has changed since, else a new one, which is stored.

    It is stored next to the shards or, if nothing can be written there, in ``~/.cache/minivit/shards``.

    Raises
    ------
    DataError
        Naming the shard, if one is damaged, or has another number of images than the manifest says.
    """
    state = json.dumps([FORMAT, [[path.name, *of] for path, of in zip(shards.paths, shards.states, strict=True)]])
    away = hashlib.blake2b(os.fsencode(root.resolve()), digest_size=8).hexdigest()
    paths = [root / f"_index-{split}.npz"]
    with contextlib.suppress(RuntimeError):  # a user may have no home
        paths.append(Path.home() / ".cache" / "minivit" / "shards" / f"{away}-{split}.npz")
    index = next((found for path in paths if (found := _stored(path, state))), None)
    if index is None:
        log.info(f"shards: reading the headers of {len(shards.paths)} {split} shards in {root}, once")
        index = _build(shards)
        if not any(_store(path, state, index) for path in paths):
            log.warning(f"shards: the index cannot be written to {' or '.join(map(str, paths))}: every run will build "
                        "it again")
    counts = np.bincount(index.places["shard"], minlength=len(shards.paths)).tolist()
    for path, count, told in zip(shards.paths, counts, shards.images or counts, strict=True):
        if count != told:
            raise DataError(f"{path} has {count} images, but {MANIFEST} says {told}: copy it again")
    return index


def _stored(path: Path, state: str) -> Index | None:
    with contextlib.suppress(OSError, ValueError, KeyError, EOFError, tarfile.TarError, RuntimeError):
        with np.load(path, allow_pickle=False) as arrays:
            if arrays["state"].tobytes() == state.encode() and arrays["places"].dtype == PLACE:
                return Index(arrays["places"], arrays["names"].tobytes())
    return None


def _store(path: Path, state: str, index: Index) -> bool:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")   # several processes may write it at once
    content = io.BytesIO()
    np.savez(content, places=index.places, **{name: np.frombuffer(value, np.uint8) for name, value in
                                              (("state", state.encode()), ("names", index.names))})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.getbuffer())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        return False
    return True


def _build(shards: Shards) -> Index:
    rows, names, suffixes = [], [], image_suffixes()
    for number, path in enumerate(shards.paths):
        for offset, size, label, name in _read_shard(path, suffixes):
            rows.append((number, offset, size, label, len(names)))
            names.append(name.replace("\n", " "))
    return Index(np.array(rows, dtype=PLACE), "\n".join(names).encode("utf-8", "surrogateescape"))


def _read_shard(path: Path, suffixes: frozenset[str]) -> list[tuple[int, int, int, str]]:
    """Return first byte, size, label and name of each image in a shard.

    ``tarfile`` silently takes a damaged header for the end of the tar. So check that only zeros follow.
    """
    try:
        with os_errors(path), open(path, "rb") as file:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                samples = _group(path, tar)
                end = tar.offset
            rows = [_sample(path, file, key, members, suffixes) for key, members in samples.items()]
            _check_end(path, file, end)
    except tarfile.TarError as error:
        raise DataError(f"{path} is damaged or not an uncompressed tar ({error}): copy it again") from None
    if not rows:
        raise DataError(f"{path} contains no image: copy it again")
    return rows


def _group(path: Path, tar: tarfile.TarFile) -> dict[str, dict[str, tarfile.TarInfo]]:
    """Return the members of each image by their suffix, without the dot and in lower case."""
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    for member in tar:
        folder, base = os.path.split(member.name)
        stem, dot, suffix = base.partition(".")
        if member.isdir() or not stem:   # hidden files too
            continue
        if not member.isreg() or member.issparse() or not dot:
            raise DataError(f"{path}: member {member.name!r} is not a plain file KEY.SUFFIX, so this isn't a shard in "
                            "WebDataset's format")
        sample = samples.setdefault(os.path.join(folder, stem), {})
        if suffix.lower() in sample:
            raise DataError(f"{path} has two members {member.name!r}: write it again")
        sample[suffix.lower()] = member
    return samples


def _sample(path: Path, file: io.BufferedReader, key: str, members: dict[str, tarfile.TarInfo],
            suffixes: frozenset[str]) -> tuple[int, int, int, str]:
    images = [member for suffix, member in members.items() if f".{suffix}" in suffixes]
    if len(images) != 1:
        raise DataError(f"{path}: {key!r} has {len(images)} images ({', '.join(members)}); it must have one")
    kind = "cls" if "cls" in members else "json"
    if kind not in members:
        raise DataError(f"{path}: {key!r} has no label: neither {key}.cls nor {key}.json exists")
    file.seek(members[kind].offset_data)
    text = file.read(members[kind].size)
    try:
        label = int(text) if kind == "cls" else json.loads(text)["label"]
    except (ValueError, KeyError, TypeError):
        label = None
    if type(label) is not int or not 0 <= label < 2**31:
        shown = text if len(text) < 60 else text[:60] + b"..."
        raise DataError(f"{path}: {key}.{kind} holds {shown!r}, but must hold {'' if kind == 'cls' else 'a label, '}"
                        "a whole number from 0")
    return images[0].offset_data, images[0].size, label, images[0].name


def _check_end(path: Path, file: io.BufferedReader, end: int) -> None:
    file.seek(end)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise DataError(f"{path} ends early, at byte {end + len(block)}: it was cut off; copy it again")
    while block:
        if block.strip(b"\0"):
            raise DataError(f"{path} is damaged near byte {end}: it is neither the start of a member nor the end; "
                            "copy it again")
        block = file.read(1 << 20)
