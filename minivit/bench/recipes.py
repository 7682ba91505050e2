"""Time the variants of a recipe by the steps that their runs take, interleaved in one run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from minivit.bench.kernels import AUGMENTATION
from minivit.bench.models import Subject, describe_machine, measure_groups
from minivit.data.augment import normalize
from minivit.options import check_at_least, check_options
from minivit.training.data import SharedData, fit_classes
from minivit.training.device import autocast, choose_device
from minivit.training.recipe import choose_variants, load_variants
from minivit.training.trainer import Trainer


class Run(Subject):
    """A training run that repeats its first step, with its own augmentation, loss and optimisers.

    If the run compiles, its training step is compiled; its forward passes are not, as in evaluation.

    Parameters
    ----------
    trainer
        The run, before its first step.
    """

    def __init__(self, trainer: Trainer):
        self.trainer, self.model, self.optimizers = trainer, trainer.model, trainer.optimizers
        self.precision, self.compiled = trainer.precision, trainer.config.compile != "none"
        self.recorded = trainer.records
        split = trainer.images.subset(range(trainer.batch_size))
        self.images = split.images[:].to(trainer.device)
        self.targets = getattr(split, trainer.task.target).to(trainer.device)

    def compile(self) -> None:
        self.trainer.prepare()

    def prepare(self, phase: str) -> Callable[[], None]:
        """Set the model to the mode of a phase and return the function that takes one step; the trainer records it."""
        self.model.train(phase == "training")
        return getattr(self, phase)

    def logits(self) -> Tensor:
        dataset = self.trainer.dataset
        with autocast(self.precision, self.images.device):
            return self.model(normalize(self.images, dataset.mean, dataset.std))

    def training(self) -> None:
        self.trainer.prepare_step()  # always the first step: the same draws, the same number of patches
        self.trainer.take(self.images, self.targets)

    def update(self) -> None:
        super().update()
        if average := self.trainer.take_step.average:
            average.update()

    def parts(self) -> dict[str, Callable[[], None]]:
        return {AUGMENTATION: lambda: self.trainer.take_step.augment(self.images, self.targets)} | super().parts()


def bench_recipe(path: str | Path, *, names: Sequence[str] | None = None, overrides: Mapping[str, Any] | None = None,
                 root: str | Path | None = None, device: str = "auto", rounds: int = 10, kernels: bool = False
                 ) -> dict[str, Any]:
    """Time forward passes and training steps of a recipe's variants, interleaved.

    Parameters
    ----------
    path
        A recipe, or a ``run.json``.
    names
        The variants to time, all if None; the others are compared with the first.
    overrides
        Values that replace the recipe's in all variants.
    root
        Where the data sets are; None for the environment's ``MINIVIT_DATA``.
    device
        ``cpu``, ``cuda``, ...; ``auto`` uses an accelerator if there is one.
    rounds
        Number of rounds.
    kernels
        Whether to profile each training step by kernel; see :func:`minivit.bench.kernels.kernel_table`.

    Returns
    -------
    dict
        As from :func:`minivit.bench.models.bench`; ``models`` has one entry, the recipe's name, which holds the
        variants. ``compiled`` and ``recorded`` refer to training steps: evaluation is neither.

    Raises
    ------
    ValueError
        If the recipe, a variant or an argument is wrong, or the variants differ in batch, precision or compilation.
    DataError
        If the data set is missing or damaged.
    """
    check_options(bench_recipe, {"rounds": rounds}, "bench")
    check_at_least(1, rounds=rounds)
    path, chosen = Path(path), choose_device(device)
    variants = choose_variants(load_variants(path, **overrides or {}), names)
    data, runs = SharedData(root), {}
    for name, config in variants.items():
        dataset = data.load(config)
        runs[name or "run"] = Run(Trainer(fit_classes(config, dataset), dataset, chosen))
    settings = {name: {"batch_size": len(run.images), "precision": run.precision, "compiled": run.compiled,
                       "recorded": run.recorded}
                for name, run in runs.items()}
    first = next(iter(settings.values()))
    for name, setting in settings.items():
        if setting != first:
            raise ValueError(f"variant {name!r} has {setting}, but the first has {first}; choose variants that agree")
    return (describe_machine(chosen) | first | {"rounds": rounds, "missing": {}}
            | measure_groups({path.stem: runs}, rounds, kernels))
