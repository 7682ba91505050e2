"""What a run takes on a machine that isn't here: steps, hours, memory, money and energy.

Speed is given, the rest is computed. Memory is counted in a step on tensors without numbers, which takes a few seconds
whatever the batch.
"""

from dataclasses import fields, replace
from math import ceil, inf
from pathlib import Path
from typing import Any

import torch

from minivit.analysis import cost
from minivit.bench.memory import TensorBytes, without_numbers
from minivit.data import Dataset, Split, load
from minivit.options import check_at_least, check_options, check_positive, image_sides
from minivit.report.table import text_table
from minivit.training import parallel
from minivit.training.config import Config
from minivit.training.data import fit_classes
from minivit.training.interval import Interval
from minivit.training.trainer import Trainer

# Training and test images, side and classes of data sets whose size is known, or assumed, without loading them.
IMAGENET = (1_281_167, 50_000, 224, 1000)
KNOWN = {"cifar100": (50_000, 10_000, 32, 100), "imagefolder": IMAGENET, "shards": IMAGENET}
DECODED = ("imagefolder", "shards")  # others are in memory
FORWARD = 3  # a step takes three times the multiply-adds of a forward pass, and four with recompute


def plan(config: Config, *, images_per_second: float, gpus: int = 1, decode_per_core: float | None = None,
         cores: int | None = None, price: float | None = None, watts: float = 1000.0,
         root: str | Path | None = None) -> dict[str, Any]:
    """Compute what a run takes.

    Parameters
    ----------
    config
        Configuration of the run.
    images_per_second
        Images that one GPU trains on in a second, as :func:`minivit.bench.recipes.bench_recipe` measures.
    gpus
        How many GPUs there are, which share each batch.
    decode_per_core, cores
        Images that a core decodes in a second, and the number of cores on all machines. None if decoding keeps up.
    price
        Of one GPU for an hour, in any currency; None for no cost.
    watts
        Power that one GPU takes, with its share of the machine.
    root
        Folder with the data set, whose images are then counted; by default an ImageNet-1k is assumed.

    Returns
    -------
    dict
        ``steps`` and ``steps_per_epoch``; ``images_per_second`` of the run, and what the ``gpus`` and the ``decoding``
        (None if not given) could do; the ``bottleneck``, one of these two; ``gpus_wait``, the share of the time that
        GPUs wait for images; ``hours`` of ``training``, ``evaluation`` and in ``total``; ``cost`` and ``energy_kwh``;
        ``memory_bytes`` of one GPU by what they hold; what is ``assumed``; and what was planned. JSON can hold it.

    Raises
    ------
    ValueError
        If an argument is wrong, or the batch can't be shared out among the GPUs.
    DataError
        If the data set is missing or damaged.
    """
    given = {"images_per_second": images_per_second, "decode_per_core": decode_per_core, "cores": cores, "price": price,
             "watts": watts}
    check_options(plan, given | {"gpus": gpus}, "plan")
    check_at_least(1, gpus=gpus)
    check_positive(**{name: value for name, value in given.items() if value is not None})
    if (decode_per_core is None) != (cores is None):
        raise ValueError(f"decode_per_core={decode_per_core} and cores={cores} go together: give both or neither")
    dataset, train_images, test_images = describe_data(config, root)
    train_images = config.train_images or train_images - config.held_out_images
    config = fit_classes(config, dataset).override(batch_size=min(config.batch_size, train_images))
    if config.precision == "auto":
        config = config.override(precision="bfloat16")
    bytes_of, model = memory(config, dataset, gpus)

    rates = {"gpus": gpus * images_per_second,
             "decoding": cores * decode_per_core if cores and config.dataset in DECODED else None}
    rate = min(filter(None, rates.values()))
    steps_per_epoch = train_images // config.batch_size
    steps = config.epochs * steps_per_epoch
    training_s = steps * config.batch_size / rate
    times = evaluations(config, training_s)
    evaluation_s = times * (config.held_out_images or test_images) / min(FORWARD * rates["gpus"],
                                                                         rates["decoding"] or inf)
    hours = (training_s + evaluation_s) / 3600
    return {
        "model": config.model, "params": model.params, "macs": model.macs, "precision": config.precision, "gpus": gpus,
        "batch_size": config.batch_size, "accumulate": config.accumulate, "epochs": config.epochs, "steps": steps,
        "steps_per_epoch": steps_per_epoch, "evaluations": times,
        "images_per_second": {"run": rate} | rates, "bottleneck": min(filter(rates.get, rates), key=rates.get),
        "gpus_wait": 1 - rate / rates["gpus"],
        "hours": {"training": training_s / 3600, "evaluation": evaluation_s / 3600, "total": hours},
        "cost": None if price is None else hours * gpus * price, "energy_kwh": hours * gpus * watts / 1000,
        "flops_per_gpu": 2 * (FORWARD + config.recompute) * model.macs * rate / gpus,
        "memory_bytes": bytes_of | {"total": sum(bytes_of.values())},
        "assumed": assumptions(config, given, train_images, test_images, gpus, counted=root is not None)}


def describe_data(config: Config, root: str | Path | None) -> tuple[Dataset, int, int]:
    """Return a data set with images of the right kind, if perhaps none, and the numbers of training and test images."""
    if root is not None or config.dataset not in KNOWN:
        dataset = load(config.dataset, root, **config.dataset_options)
        return dataset, len(dataset.train), len(dataset.test)
    train_images, test_images, side, num_classes = KNOWN[config.dataset]
    sides = image_sides(config.dataset_options.get("image_size", side))
    none = Split(torch.empty((0, 3, *sides), dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
    classes = tuple(map(str, range(num_classes)))
    return Dataset(config.dataset, none, none, classes, (0.5,) * 3, (0.25,) * 3), train_images, test_images


def memory(config: Config, dataset: Dataset, gpus: int) -> tuple[dict[str, int], Any]:
    """Return what one GPU must hold, in bytes, and the cost of the model.

    Of several processes, or parts of a batch, one is like the other: two are run, so that the second finds gradients.
    """
    parts = gpus * config.accumulate
    pairs = bool(config.mixup or config.cutmix)
    size = len(parallel.rows_of_parts(config.batch_size, parts, pairs=pairs)[0])
    with without_numbers():
        # An average can't be copied without numbers, but it's known how large it is.
        every_part = config.override(accumulate=parts, train_images=None, held_out_images=0, ema_decay=None)
        if config.dataset in DECODED:  # they are cropped as they are read
            every_part = every_part.override(crop="shift", crop_padding=0)
        trainer = Trainer(every_part, replace(dataset, train=blank(dataset.train, config.batch_size),
                                              test=blank(dataset.test, 1)), torch.device("cpu"))
        trainer.parts = trainer.parts[:2]
        batch = trainer.images.subset(torch.arange(size * len(trainer.parts)))
        model = cost(trainer.model, dataset.image_shape[1:], dataset.image_shape[0])
        trainer.model.train()
        for _ in range(2):  # the first creates the optimisers' state
            trainer.prepare_step()
            trainer.set_patch_dropout(min(config.patch_dropout))
            with TensorBytes() as step:
                trainer.take_step(batch.images, getattr(batch, trainer.task.target))
        gradients = sum(p.nbytes for p in trainer.model.parameters() if p.requires_grad)
        weights = gradients + sum(buffer.nbytes for buffer in trainer.model.buffers())
        standing = sum(tensor.nbytes for tensor in trainer.take_step.tensors())
    return {"weights": weights, "gradients": gradients, "optimizer": standing - weights,
            "average": weights if config.ema_decay else 0, "activations": step.peak - gradients}, model


def blank(split: Split, n: int) -> Split:
    """Return a split of so many images, all zero, with the fields of another."""
    return replace(split, **{field.name: torch.zeros((n, *value.shape[1:]), dtype=getattr(value, "dtype", torch.uint8))
                             for field in fields(split) for value in [getattr(split, field.name)]})


def evaluations(config: Config, training_s: float) -> int:
    """Return how often a run is evaluated."""
    every = Interval("evaluate_every", config.evaluate_every)
    times = config.epochs / every.epochs if every.epochs else training_s / every.seconds
    return min(config.epochs, ceil(times))


def assumptions(config: Config, given: dict[str, Any], train_images: int, test_images: int, gpus: int, *,
                counted: bool) -> list[str]:
    """Say what a plan takes for granted, a line each."""
    rate = given["images_per_second"]
    lines = [f"a GPU trains on {rate:g} images/s, as given, and could evaluate {FORWARD} times as many"]
    if gpus > 1:
        lines.append("GPUs don't wait for each other: exchanging gradients takes no time")
    if config.dataset in DECODED:
        lines.append("images are decoded as fast as they are needed" if given["cores"] is None else
                     f"each of {given['cores']} cores decodes {given['decode_per_core']:g} images/s, as given")
        if not counted:
            lines.append(f"{train_images:,} training and {test_images:,} test images, as ImageNet-1k has; --data DIR "
                         "counts yours")
    lines.append(f"memory of a step that isn't compiled, in {config.precision}, without what the GPU's libraries take")
    lines.append(f"{given['watts']:g} W for a GPU and its share of the machine")
    return [*lines, "nothing for compiling, saving, reading the first batch, or starting again"]


def table(result: dict[str, Any], title: str) -> str:
    """Lay out what :func:`plan` returned for people."""
    rates, hours, bytes_of = result["images_per_second"], result["hours"], result["memory_bytes"]
    parts = f" in {result['accumulate']} parts" if result["accumulate"] > 1 else ""
    gpus = f"{result['gpus']} GPU{'s' * (result['gpus'] > 1)}"
    others = ", ".join(f"{name} {bytes_of[name] / 1e9:.2f}" for name in bytes_of if name != "total" and bytes_of[name])
    speed = f"{rates['run']:,.0f} images/s; {gpus} could do {rates['gpus']:,.0f}"
    if rates["decoding"]:
        speed += f", decoding {rates['decoding']:,.0f}"
    waits = f"decoding: GPUs wait {100 * result['gpus_wait']:.0f} % of the time"
    rows = [["", title], ["model", f"{result['model']}, {result['params'] / 1e6:.1f} M parameters, "
                                   f"{result['macs'] / 1e9:.2f} G multiply-adds an image"],
            ["steps", f"{result['steps']:,}: {result['epochs']} epochs of {result['steps_per_epoch']:,}, batch "
                      f"{result['batch_size']}{parts} on {gpus}"],
            ["speed", speed],
            ["bottleneck", waits if result["bottleneck"] == "decoding" else "the GPUs"],
            ["a GPU does", f"{result['flops_per_gpu'] / 1e12:.1f} TFLOP/s in matrix products"],
            ["time", f"{hours['total']:.1f} h: training {hours['training']:.1f}, {result['evaluations']} evaluations "
                     f"{hours['evaluation']:.1f}"],
            ["memory of a GPU", f"{bytes_of['total'] / 1e9:.2f} GB: {others}"],
            ["GPU hours", f"{hours['total'] * result['gpus']:,.1f}"],
            *([] if result["cost"] is None else [["cost", f"{result['cost']:,.0f}, in the currency of the price"]]),
            ["energy", f"{result['energy_kwh']:,.1f} kWh"]]
    return "\n".join([text_table(rows, "<"), "", "Assumed:", *(f"- {line}" for line in result["assumed"])])
