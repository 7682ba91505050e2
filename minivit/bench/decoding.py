"""How many images per second one core reads from files, that is decodes, crops and scales, as a run does."""

import random
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from minivit.bench.models import describe_machine
from minivit.data.imagefolder import ImageFiles
from minivit.options import check_at_least, check_options
from minivit.report.table import text_table

if TYPE_CHECKING:
    from PIL.Image import Image

# Height, width and quality. ImageNet's files have 110 KB on average; copies that were scaled down have about 40.
PHOTOGRAPHS = {"500 x 375, 40 KB": (375, 500, 73), "500 x 375, 110 KB": (375, 500, 94), "2000 x 1500": (1500, 2000, 73)}
FILES, TURN = 12, 96   # of each kind; images read in a turn
IMAGE_SIZE, CROP_PCT, SMALLEST = 224, 0.875, 0.08


def bench_decoding(*, rounds: int = 10) -> dict[str, Any]:
    """Time reading JPEGs for training and for evaluation at 224 pixels, in turns.

    The images imitate photographs by noise at several scales. Their files are in the system's cache, so the speed of
    the disk is not included.

    Parameters
    ----------
    rounds
        Number of turns.

    Returns
    -------
    dict
        Ready for JSON: the hardware and versions, and in ``ways``, by name, ``images_per_second`` of processor time,
        that is per core, one number for each round; their ``median`` and the quartiles ``low`` and ``high``;
        ``clock``, the median of images per second of elapsed time; ``threads``; and ``kilobytes`` of a file.

    Raises
    ------
    ValueError
        If ``rounds`` is not a whole number of at least 1.
    """
    check_options(bench_decoding, {"rounds": rounds}, "bench")
    check_at_least(1, rounds=rounds)
    draw, order = np.random.default_rng(0), random.Random(0)
    with TemporaryDirectory() as folder:
        ways = {}
        for kind, (height, width, quality) in PHOTOGRAPHS.items():
            paths = [Path(folder, f"{kind} {i}.jpg") for i in range(FILES)]
            for path in paths:
                imitate_photograph(draw, height, width).save(path, quality=quality)
            images = ImageFiles(paths, IMAGE_SIZE, workers=1, crop_pct=CROP_PCT)
            ways |= {f"training, {kind}": images.randomly_cropped(SMALLEST), f"evaluation, {kind}": images}
        first = next(iter(ways))
        ways[f"{first}, one thread per core"] = ImageFiles(ways[first].paths, IMAGE_SIZE).randomly_cropped(SMALLEST)
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for turn in tqdm(range(rounds), desc="decoding", unit=" rounds", disable=None):
            for name in order.sample(list(ways), len(ways)):
                rates[name].append(measure(ways[name], turn if name.startswith("training") else None))
        results = {name: summary(rates[name]) | {"threads": images.workers, "kilobytes": mean_size(images)}
                   for name, images in ways.items()}
    run = describe_machine(torch.device("cpu"))
    run["versions"]["pillow"] = version("pillow")
    return run | {"rounds": rounds, "image_size": IMAGE_SIZE, "ways": results}


def imitate_photograph(draw: np.random.Generator, height: int, width: int) -> "Image":
    """Return a sum of noise blurred at several scales, in which coarse structure has the highest contrast."""
    from PIL import Image, ImageFilter

    pixels = np.zeros((height, width, 3))
    for radius, contrast in ((0.7, 9), (2, 17), (6, 29), (20, 54), (60, 93)):
        noise = Image.fromarray(draw.integers(256, size=(height, width, 3), dtype=np.uint8))
        blurred = np.asarray(noise.filter(ImageFilter.GaussianBlur(radius)), dtype=float)
        pixels += contrast * (blurred - blurred.mean()) / blurred.std()
    return Image.fromarray((127.5 + pixels).clip(0, 255).astype(np.uint8))


def measure(images: ImageFiles, turn: int | None) -> tuple[float, float]:
    """Return images per second of processor time, and of elapsed time."""
    rows = torch.arange(TURN) % len(images)
    keys = None if turn is None else torch.arange(TURN) + turn * TURN
    start, worked = time.perf_counter(), time.process_time()
    images.take(rows, keys)
    return TURN / (time.process_time() - worked), TURN / (time.perf_counter() - start)


def mean_size(images: ImageFiles) -> float:
    return round(sum(path.stat().st_size for path in images.paths) / len(images) / 1e3, 1)


def summary(rates: list[tuple[float, float]]) -> dict[str, Any]:
    per_core, clock = (list(values) for values in zip(*rates, strict=True))
    low, median, high = np.quantile(per_core, [0.25, 0.5, 0.75]).tolist()
    return {"images_per_second": per_core, "median": median, "low": low, "high": high,
            "clock": float(np.median(clock))}


def table(result: dict[str, Any]) -> str:
    """Format the result of :func:`bench_decoding` as text."""
    rows = [["", "KB", "threads", "images/s per core", "images/s"]]
    for name, way in result["ways"].items():
        rows.append([name, f"{way['kilobytes']:.0f}", str(way["threads"]),
                     f"{way['median']:.0f} [{way['low']:.0f}, {way['high']:.0f}]", f"{way['clock']:.0f}"])
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return "\n".join([result["device"], versions, f"JPEG to {result['image_size']} pixels, {result['rounds']} rounds",
                      "", text_table(rows, "<>>>>"), "",
                      "Per core: images per second of processor time, median [quartiles] of the rounds. images/s: of "
                      "elapsed time,\nall threads together, which other programs slow down."])
