"""How fast the variants of a recipe are: the very steps that a run takes, in turns in one run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from minivit.bench.models import Subject, describe, measure_groups
from minivit.data.augment import normalize
from minivit.options import check_options
from minivit.training.device import autocast, choose_device
from minivit.training.loop import SharedData, fit_classes
from minivit.training.recipe import choose_variants, load_variants
from minivit.training.trainer import Trainer


class Run(Subject):
    """A training run whose first step is taken again and again: augmentation, loss and optimisers are its own.

    Where the run compiles, its training step is compiled; forward passes are not, as in its evaluation.

    Parameters
    ----------
    trainer
        The run, at its start.
    """

    def __init__(self, trainer: Trainer):
        self.trainer, self.model, self.optimizers = trainer, trainer.model, trainer.optimizers
        self.precision, self.compiled = trainer.precision, trainer.config.compile != "none"
        self.recorded = trainer.records
        split = trainer.images.subset(range(trainer.batch_size))
        self.images, self.labels = split.images[:].to(trainer.device), split.labels.to(trainer.device)

    def compile(self) -> None:
        self.trainer.prepare()

    def prepare(self, phase: str) -> Callable[[], None]:
        """Put the model in the mode of a phase and return what does one step of it; a training step records itself."""
        self.model.train(phase == "training")
        return getattr(self, phase)

    def logits(self) -> Tensor:
        dataset = self.trainer.dataset
        with autocast(self.precision, self.images.device):
            return self.model(normalize(self.images, dataset.mean, dataset.std))

    def training(self) -> None:
        self.trainer.prepare_step()  # always the first one: the same draws, the same number of patches
        self.trainer.take(self.images, self.labels)


def bench_recipe(path: str | Path, *, names: Sequence[str] | None = None, root: str | Path | None = None,
                 device: str = "auto", rounds: int = 10) -> dict[str, Any]:
    """Time forward passes and training steps of a recipe's variants, in turns.

    Parameters
    ----------
    path
        A recipe, or a ``run.json``.
    names
        The variants to time; None for all. The others are compared with the first.
    root
        Where the data sets are; None for the environment's ``MINIVIT_DATA``.
    device
        ``cpu``, ``cuda``, ...; ``auto`` takes an accelerator where there is one.
    rounds
        Turns of each variant.

    Returns
    -------
    dict
        As :func:`minivit.bench.models.bench` has it; ``models`` has one entry, the recipe's name, and in it the
        variants. ``compiled`` and ``recorded`` speak of training steps: a run evaluates without.

    Raises
    ------
    ValueError
        If the recipe, a variant or an argument is wrong, or the variants differ in batch, precision or compilation.
    DataError
        If the data set is missing or damaged.
    """
    check_options(bench_recipe, {"rounds": rounds}, "bench")
    if rounds < 1:
        raise ValueError(f"rounds={rounds} must be at least 1")
    path, chosen = Path(path), choose_device(device)
    variants = choose_variants(load_variants(path), names)
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
            raise ValueError(f"variant {name!r} with {setting} is not to be compared with {first} of the first; choose "
                             "variants that agree")
    return describe(chosen) | first | {"rounds": rounds, "missing": {}} | measure_groups({path.stem: runs}, rounds)
