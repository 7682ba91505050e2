"""Folders of small random images, for tests that read images from files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image


def write_images(root: Path, counts: Mapping[str, int], name: str = "{split} {i}.jpg") -> dict[str, list[Path]]:
    """Write ``root/SPLIT/CLASS/NAME`` for two classes, ``a`` and ``b`` in turns, in several sizes; return the paths."""
    generator = torch.Generator().manual_seed(0)
    paths = {split: [root / split / "ab"[i % 2] / name.format(split=split, i=i) for i in range(count)]
             for split, count in counts.items()}
    for of_split in paths.values():
        for i, path in enumerate(of_split):
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = torch.randint(256, (13 + i % 7, 17, 3), dtype=torch.uint8, generator=generator)
            Image.fromarray(pixels.numpy()).save(path)
    return paths
