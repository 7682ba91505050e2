"""Analyse a trained model: how dense its attention is, how far it reaches, and how corrupted images affect it.

Axes: B batch, H heads, N tokens, M keys, K classes.
"""

import inspect
import re
from collections.abc import Sequence
from math import isnan, isqrt, log
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from minivit.analysis import attention_distance, attention_similarity, entropy_statistics, scale_statistics
from minivit.data import DataError, Dataset, batches
from minivit.layers import ScaledContextBroadcast
from minivit.options import check_options
from minivit.report.conditions import check_ranges, create_conditions
from minivit.tasks import find_task
from minivit.tasks.task import add
from minivit.training.evaluate import LEFT_OUT, predict, predict_logits, report_broken
from minivit.wrappers import first_weights, unwrap

STATISTICS = ("entropy_mean", "entropy_p15", "entropy_p85", "entropy_class_token", "distance", "similarity",
              "similarity_centred")
DIGITS = 6  # decimal places; a distance is of order 1/N


@torch.no_grad()
def analyze(model: nn.Module, dataset: Dataset, *, images: int | None = None, batch_size: int = 100,
            precision: str = "float32", seed: int = 0, epsilon: float = 1.0, task: str = "classification",
            progress: bool = True) -> dict[str, Any]:
    """Measure a model's attention and robustness on test images.

    Only sums are kept between batches, so the memory needed is that of one batch with its maps, however many images
    there are.

    Parameters
    ----------
    model
        Maps normalised images (B, C, H, W) to logits, for classification (B, K). If it accepts
        ``return_attention=True``, it also returns one map (B, H, N, N) per layer with attention, or (B, H, N, M) where
        there are fewer keys than queries. It may be wrapped (compiled, averaged) and of any precision. It runs in
        evaluation mode; its mode is restored afterwards.
    dataset
        Its ``test`` split is used.
    images
        Number of test images, drawn with the seed; all if None.
    batch_size
        Images at a time.
    precision
        ``float32``, ``bfloat16`` for autocast, or ``auto``.
    seed
        Seed for choosing images and for the noise on them, at least 0. The noise on an image doesn't depend on the
        batch size.
    epsilon
        Step of the fast gradient sign method, in pixel units, in [0, 255].
    task
        Decides what is measured: a key of :data:`minivit.tasks.TASKS`. The data set's classes are those of the task.
    progress
        Whether to show a progress bar.

    Returns
    -------
    dict
        Plain values, ready for JSON:

        - ``images``, ``seed``, ``epsilon``: as above.
        - ``attention``: None for a model without maps, otherwise lists with one value per layer with attention:
          ``tokens``, the number of keys; ``entropy_bound``, its logarithm; ``entropy_mean``, ``entropy_p15``,
          ``entropy_p85`` and ``entropy_class_token`` from :func:`minivit.analysis.entropy_statistics` [nats];
          ``distance`` from :func:`minivit.analysis.attention_distance`; ``similarity`` and ``similarity_centred`` to
          the layer below, from :func:`minivit.analysis.attention_similarity`. All are means over the images. The
          patches form one of the model's ``grids``, or else are assumed to form a square, with or without a class token
          before them. Values that have no meaning for a layer are None.
        - ``scale``: None without CB_S, otherwise lists with one value per CB_S: ``layers``, the number of its block,
          counted from 1, which occurs twice if a block has two; ``mean`` and ``ratio`` from
          :func:`minivit.analysis.scale_statistics`, the ratio being None where it is not a number.
        - ``robustness``: the task's first score, such as top-1 accuracy, in per cent by condition: ``clean`` and each
          corruption. The targets stay the same.

    Raises
    ------
    ValueError
        If ``images``, ``seed``, ``epsilon`` or ``batch_size`` is out of range.
    DataError
        If too many images are broken; those that are count nowhere.
    """
    rows, task = choose_images(dataset, images, seed, epsilon), find_task(task)
    device = first_weights(model).device

    def classify(pixels: Tensor) -> Tensor:
        return predict_logits(model, pixels, dataset, precision, task)

    conditions = create_conditions(classify, seed, epsilon, device)
    sums: dict[str, Any] = dict.fromkeys(conditions)
    on_maps, tokens, n = 0, [], 0
    was_training = model.training
    model.eval()
    try:
        with tqdm(total=len(rows), unit=" images", unit_scale=True, dynamic_ncols=True,
                  disable=None if progress else True) as bar:
            for pixels, targets in batches(dataset.test, rows, batch_size, device, task.target):
                if has_maps(model):
                    _, maps = predict(model, pixels, dataset, precision, return_attention=True)
                    tokens = [layer.shape[-1] for layer in maps]
                    maps = [layer.float() for layer in maps]
                    below, grids = [None, *maps[:-1]], [token_grid(model, n) for n in tokens]
                    on_maps += torch.stack(list(map(measure, below, maps, grids)))  # (layers, statistics)
                    del maps, below
                for name, spoil in conditions.items():
                    logits = classify(spoil(pixels.float(), targets))
                    sums[name] = add(sums[name], task.measure(logits, targets, dataset.num_classes))
                n += len(targets)
                bar.update(len(targets))
    finally:
        model.train(was_training)
    report_broken(dataset.test, LEFT_OUT)
    if n == 0:
        raise DataError(f"none of the {len(rows)} images chosen of {dataset.name} can be read; choose more")
    return {"images": n, "seed": seed, "epsilon": epsilon,
            "attention": summarize(tokens, on_maps / n) if tokens else None,
            "scale": measure_scales(model),
            "robustness": {name: round(task.summarize(total, n)[task.score], 4)
                           for name, total in sums.items()}}


def choose_images(dataset: Dataset, images: int | None, seed: int, epsilon: float) -> Tensor:
    """Check the arguments, and return the sorted rows of the test images to use, (images,)."""
    check_options(analyze, {"images": images, "seed": seed, "epsilon": epsilon}, "analyze")
    total = len(dataset.test)
    if images is not None and not 1 <= images <= total:
        raise ValueError(f"images={images} must be in 1 ... {total}, the test images of {dataset.name}")
    check_ranges(seed, epsilon)
    # A random choice, not the first: a data set may be sorted by class.
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    return order[:images].sort().values


def has_maps(model: nn.Module) -> bool:
    model = unwrap(model)
    return "return_attention" in inspect.signature(model.forward).parameters and getattr(model, "has_maps", True)


def token_grid(model: nn.Module, tokens: int) -> tuple[tuple[int, int] | None, int]:
    """Return the grid of patches among N tokens, None if there is none, and the number of class tokens, 0 or 1.

    A model without ``grids`` is assumed to have square ones.
    """
    inside = unwrap(model)
    grids = getattr(inside, "grids", None)
    for class_tokens in (0, 1) if grids is None else (int(hasattr(inside, "cls_token")),):
        patches = tokens - class_tokens
        for grid in [(isqrt(patches),) * 2] if grids is None else grids:
            if grid[0] * grid[1] == patches:
                return grid, class_tokens
    return None, 0


def measure(below: Tensor | None, attn: Tensor, layout: tuple[tuple[int, int] | None, int]) -> Tensor:
    """Sum the statistics of one layer's maps (B, H, N, M) over the images: (statistics,), float64, on the CPU.

    ``below`` holds the maps of the layer below; ``layout`` is :func:`token_grid` of M. Statistics that have no meaning
    for the layer are nan.
    """
    unknown = attn.new_full((len(attn),), torch.nan)
    grid, class_tokens = layout
    is_square = attn.shape[-1] == attn.shape[-2]
    entropy = entropy_statistics(attn)
    if not is_square or class_tokens != 1:
        entropy = entropy._replace(class_token=unknown)
    distance = attention_distance(attn, grid).mean(dim=1) if is_square and grid and max(grid) > 1 else unknown
    similarities = [unknown, unknown]
    if below is not None and below.shape == attn.shape:
        similarities = [attention_similarity([below, attn], centred=centred)[0] for centred in (False, True)]
    return torch.stack([*entropy, distance, *similarities]).cpu().double().sum(dim=1)


def summarize(tokens: Sequence[int], means: Tensor) -> dict[str, list[Any]]:
    """Turn the means (layers, statistics) into lists over layers, by name; nan becomes None."""
    lists = {name: [None if isnan(value) else round(value, DIGITS) for value in column]
             for name, column in zip(STATISTICS, means.T.tolist(), strict=True)}
    return {"tokens": list(tokens), "entropy_bound": [round(log(n), DIGITS) for n in tokens]} | lists


@torch.no_grad()
def measure_scales(model: nn.Module) -> dict[str, list[Any]] | None:
    """Return the statistics of every CB_S and the number of its block."""
    blocks = [module for name, module in model.named_modules() if re.fullmatch(r"(.+\.)?blocks\.\d+", name)]
    found = [(layer, *map(float, scale_statistics(module.scale))) for layer, block in enumerate(blocks, start=1)
             for module in block.modules() if isinstance(module, ScaledContextBroadcast)]
    if not found:
        return None
    layers, means, ratios = zip(*found, strict=True)
    return {"layers": list(layers), "mean": [round(mean, DIGITS) for mean in means],
            "ratio": [None if ratio != ratio else round(ratio, DIGITS) for ratio in ratios]}
