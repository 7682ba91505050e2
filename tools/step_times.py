"""Find out where the milliseconds of a recipe's step go: time it with and without each thing that makes it fast.

    python -m tools.step_times recipes/cifar100_vit_small_record.py --data DIR --kernels --json

All ways are timed in turns in one run, since two runs also differ by what else the machine was doing. A step is that
of a training run, repeated on one batch; see :class:`minivit.bench.recipes.Run`. A CPU has no CUDA graphs, so
``--ways eager --train-images 64`` will do there. All ways are in memory at once; if they don't fit, name fewer.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from minivit.analysis import cost
from minivit.bench.kernels import by_category
from minivit.bench.models import WARMUP_STEPS, describe_machine, matrix_peak, seconds, summary
from minivit.bench.recipes import Run
from minivit.data import DataError, Dataset
from minivit.mixers import attention
from minivit.options import check_at_least, check_options
from minivit.report.table import text_table
from minivit.tasks.task import Task
from minivit.training import Config, load_config
from minivit.training.compilation import OPTIONS, compile_parts, compiling
from minivit.training.data import SharedData, fit_classes
from minivit.training.device import choose_device, failure
from minivit.training.seeding import choose_kernels
from minivit.training.trainer import Trainer

TURN_STEPS = 20
EVERYTHING = {"compile": "default", "cuda_graph": True, "patch_dropout": (0.0,)}
PLAIN = {"compile": "none", "cuda_graph": False}


@contextmanager
def library_attention(*kernels: SDPBackend) -> Iterator[None]:
    """Leave out the kernel made for short sequences; the library takes one of its own, or of those named."""
    with patch.object(attention, "fits_one_kernel", lambda *_: False):
        with sdpa_kernel(list(kernels)) if kernels else nullcontext():
            yield


def tanh_gelu() -> AbstractContextManager:
    """Approximate GELU, which then differs from the exact one by up to 5e-4."""
    return patch.object(nn, "GELU", partial(nn.GELU, approximate="tanh"))


def fused_loss() -> AbstractContextManager:
    """Compile the loss too."""
    return patch.object(Task, "loss", torch.compile(Task.loss, dynamic=False, options=OPTIONS))


class Way(NamedTuple):
    """A way to take a step: its description, its changes to the configuration, and what can't be configured."""

    what: str
    changes: dict[str, Any] = {}
    blocks_alone: bool = False  # compile these and not the augmentation
    around: Callable[[], AbstractContextManager] = nullcontext  # holds while the step is set up and recorded
    needs_graphs: bool = False
    if_named: bool = False      # not among those that are timed by default, for which the memory has to suffice


WAYS = {
    "eager": Way("each kernel launched by itself, nothing compiled", PLAIN),
    "graph": Way("the same kernels, recorded as one CUDA graph", {"compile": "none"}, needs_graphs=True),
    "blocks": Way("a graph, with only the model's blocks compiled", {"compile": "none"}, blocks_alone=True),
    "full": Way("a graph, with blocks and augmentation compiled"),
    "unpacked": Way("full, with a library's kernels for attention", around=library_attention, needs_graphs=True),
    "half": Way("full, with half of the patches", {"patch_dropout": (0.5,)}),
    "half_unpacked": Way("half, with a library's kernels for attention", {"patch_dropout": (0.5,)},
                         around=library_attention, needs_graphs=True),
    "any_kernels": Way("full, with kernels that needn't be deterministic", {"deterministic": False},
                       needs_graphs=True),
    "no_augmentation": Way("full, with images only cropped and flipped",
                           {"augmentation": "none", "mixup": 0.0, "cutmix": 0.0, "erasing": 0.0}),
    "cb": Way("full, with Context Broadcasting", {"model_options": {"context": "cb"}}),
    "tanh": Way("full, with GELU approximated by tanh", around=tanh_gelu, if_named=True),
    "fused_loss": Way("full, with cross-entropy compiled too", around=fused_loss, needs_graphs=True, if_named=True),
    "flash": Way("full, with FlashAttention's kernels", around=partial(library_attention, SDPBackend.FLASH_ATTENTION),
                 needs_graphs=True, if_named=True),
    "efficient": Way("full, with memory-efficient attention's kernels",
                     around=partial(library_attention, SDPBackend.EFFICIENT_ATTENTION), needs_graphs=True,
                     if_named=True),
    "adamw": Way("full, with AdamW for all weights", {"optimizer": "adamw"}, if_named=True),
    "batch_1024": Way("full, with batches of 1,024", {"batch_size": 1024}, if_named=True),
}


def step_times(recipe: str | Path, *, names: Sequence[str] | None = None, root: str | Path | None = None,
               device: str = "auto", rounds: int = 10, train_images: int | None = None, kernels: bool = False
               ) -> dict[str, Any]:
    """Time a recipe's training step in several ways, in turns.

    Parameters
    ----------
    recipe
        A recipe, or a ``run.json``.
    names
        Keys of :data:`WAYS`; None for all that the device supports, but for those with ``if_named``. The others are
        compared with the first.
    root
        Where the data sets are; None for the environment's ``MINIVIT_DATA``.
    device
        ``cpu``, ``cuda``, ...; ``auto`` uses an accelerator if there is one.
    rounds
        Number of rounds; in each, every way takes :data:`TURN_STEPS` steps on a GPU, or one on a CPU.
    train_images
        Number of images to load, enough for a batch; None for all.
    kernels
        Whether to profile ``full`` by kernel, or the first way if ``full`` isn't measured; see
        :func:`minivit.bench.kernels.kernel_table`.

    Returns
    -------
    dict
        Plain values, ready for JSON: the settings and the machine, ``macs`` (multiply-adds of one image's forward
        pass), ``matrix_peak_macs_per_second``, and ``steps``: by way, ``what`` it is, ``prepare_s`` and the result of
        :func:`minivit.bench.models.summary`. With ``kernels`` also these.

    Raises
    ------
    ValueError
        If the recipe, a name or an argument is wrong, or the device doesn't support a way that is named.
    DataError
        If the data set is missing or damaged.
    """
    check_options(step_times, {"rounds": rounds, "train_images": train_images}, "step_times")
    check_at_least(1, rounds=rounds)
    chosen, recipe = choose_device(device), Path(recipe)
    ways = choose_ways(names, chosen)
    config = load_config(recipe).override(train_images=train_images, **EVERYTHING)
    dataset = SharedData(root).load(config)
    runs = {name: prepare(way, fit_classes(config.override(**way.changes), dataset), dataset, chosen)
            for name, way in tqdm(ways.items(), desc="prepare", disable=None)}
    first, batches = next(iter(runs.values())), {name: len(run.images) for name, run in runs.items()}
    macs = cost(first.model, first.images.shape[-2:], first.images.shape[1]).macs
    times, peak = take_turns(runs, rounds)
    steps = {name: {"what": way.what, "batch_size": batches[name], "prepare_s": runs[name].trainer.prepare_s}
                   | summary(times[name], times[next(iter(ways))], batches[name]) for name, way in ways.items()}
    result = describe_machine(chosen, missing=()) | {
        "recipe": recipe.stem, "model": config.model, "batch_size": len(first.images), "precision": first.precision,
        "rounds": rounds, "macs": macs, "matrix_peak_macs_per_second": peak, "steps": steps}
    return result | ({"kernels": runs.get("full", first).kernels()} if kernels else {})


def choose_ways(names: Sequence[str] | None, device: torch.device) -> dict[str, Way]:
    """Return the ways with these names, or all that the device supports."""
    possible = {name: way for name, way in WAYS.items() if device.type == "cuda" or not way.needs_graphs}
    for name in names or ():
        if name not in possible:
            raise ValueError(f"ways={name!r} must be one of {', '.join(possible)}"
                             + (f"; {device} has no CUDA graphs" if name in WAYS else ""))
    return {name: possible[name] for name in names or (name for name, way in possible.items() if not way.if_named)}


def prepare(way: Way, config: Config, dataset: Dataset, device: torch.device) -> Run:
    """Set up a run and compile and record its step, as the way says."""
    with ExitStack() as stack:
        stack.enter_context(way.around())
        stack.enter_context(compiling("default"))
        run = Run(Trainer(config, dataset, device))
        if way.blocks_alone:
            compile_parts(run.model)
        run.compile()
    return run


def take_turns(runs: dict[str, Run], rounds: int) -> tuple[dict[str, list[float]], float]:
    """Return the seconds per step, a list for each run, and the matrix peak in multiply-adds per second."""
    first = next(iter(runs.values()))
    device, precision = first.images.device, first.precision
    repeats = 1 if device.type == "cpu" else TURN_STEPS
    times, order, peak = {name: [] for name in runs}, random.Random(0), 0.0
    with compiling("default"):
        for turn in tqdm(range(rounds + 1), unit=" rounds", disable=None):
            peak = max(peak, matrix_peak(device, precision))
            for name in order.sample(list(runs), len(runs)):
                run = runs[name]
                choose_kernels(device, run.trainer.config.deterministic)
                step = run.prepare("training")
                spent = seconds(step, repeats if turn else WARMUP_STEPS, device)
                times[name] += [spent] if turn else []  # the first turn is the warm-up
    return times, peak


def table(result: dict[str, Any]) -> str:
    """Format the result of :func:`step_times` as text tables."""
    rows = [[result["recipe"], "ms per step", "images/s", "% of matrix peak", "time over the first's"]]
    for name, step in result["steps"].items():
        # A product needs two more for its gradients.
        share = 3 * result["macs"] * step["images_per_second"] / result["matrix_peak_macs_per_second"]
        rows.append([name, f"{1e3 * step['step_time_s']:.2f}", f"{step['images_per_second']:.0f}",
                     "-" if name.startswith("half") else f"{100 * share:.1f}", f"{step['time_ratio']['median']:.3f}"])
    lines = [f"{result['device']}, {result['precision']}, batch {result['batch_size']}, {result['rounds']} rounds", "",
             text_table(rows, "<>>>>"), "", *(f"{name}: {step['what']}" for name, step in result["steps"].items())]
    if "kernels" in result:
        rows = [["kernels", "ms"], *([what, f"{ms:.2f}"] for what, ms in by_category(result["kernels"]).items())]
        lines += ["", text_table(rows, "<>")]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=step_times.__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("recipe", help="recipes/NAME.py, or a run.json")
    parser.add_argument("--ways", nargs="+", metavar="NAME", help=f"any of {', '.join(WAYS)}; by default all but "
                        f"{', '.join(name for name, way in WAYS.items() if way.if_named)}, as far as the device "
                        "supports them. They're in memory at once, so name fewer if it runs out")
    parser.add_argument("--data", metavar="DIR", help="folder with the data sets")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--train-images", type=int, metavar="N", help="load only N training images")
    parser.add_argument("--kernels", action="store_true", help="also profile the way full, kernel by kernel")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    try:
        result = step_times(options.recipe, names=options.ways, root=options.data, device=options.device,
                            rounds=options.rounds, train_images=options.train_images, kernels=options.kernels)
    except (ValueError, DataError, RuntimeError) as error:
        reason = failure(error) if isinstance(error, RuntimeError) else error
        if reason is None:
            raise
        print(f"step_times: error: {reason}", file=sys.stderr)
        return 1
    print(json.dumps(result) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
