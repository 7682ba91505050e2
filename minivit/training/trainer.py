"""One run as an object: what a step does, what an epoch does, and where the run stands.

Chance enters through the seed and a count alone: the order of an epoch's images is a function of (seed, epoch), every
draw inside a step a function of (seed, step). So a run that goes on from a checkpoint needs no memory of chance, and
ends, on the same machine, in bitwise the weights of one that was never stopped.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, replace
from functools import cached_property, partial
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor, nn

from minivit.data import Dataset, Split, batches
from minivit.draws import part_of
from minivit.layers import PatchDropout
from minivit.mixers import TokenMixer
from minivit.tasks import find_task
from minivit.training import parallel
from minivit.training.compilation import compile_step, compiling
from minivit.training.config import Config
from minivit.training.device import resolve_precision, synchronize
from minivit.training.evaluate import evaluate
from minivit.training.graph import Replay
from minivit.training.interval import Interval
from minivit.training.optimizer import create_optimizers, learning_rate, load_memory, set_learning_rate
from minivit.training.seeding import choose_kernels, permutation, seed_torch
from minivit.training.step import MovingAverage, Objective, ObjectiveOnMaps, Step

START, STEP, EPOCH, SUBSET = range(4)  # what a draw is for: the second number of its key


class TrainingError(Exception):
    """A run that cannot go on; the message names the step and the way out."""


def create_first_model(config: Config, dataset: Dataset) -> nn.Module:
    """Make the model with its first weights, which the seed decides; what does not fit the data is told here."""
    seed_torch(config.seed, START)
    model = find_task(config.task).create_model(config.model, **config.model_options)
    with torch.no_grad():
        model(torch.zeros(1, *dataset.image_shape))
    if any(config.patch_dropout) and not isinstance(getattr(model, "patch_dropout", None), PatchDropout):
        bound = sorted({type(module).__name__ for module in model.modules()
                        if isinstance(module, TokenMixer) and module.bound_to_grid})
        why = f"{' and '.join(bound)} needs every patch in its place" if bound else "it drops no patches"
        raise ValueError(f"patch_dropout={config.patch_dropout} and model={config.model!r} with model_options="
                         f"{config.model_options} do not go together: {why}; leave patch_dropout out")
    return model


def create_objective(model: nn.Module, config: Config, precision: str, device: torch.device) -> Objective:
    """Make what the configuration minimises."""
    loss = partial(find_task(config.task).loss, label_smoothing=config.label_smoothing)
    if not config.diagonality:
        return Objective(model, loss, precision, device)
    losses = getattr(model, "map_losses", {})
    if not losses:
        raise ValueError(f"diagonality={config.diagonality} must be 0: none of the model's mixers brings a loss on its "
                         "map, as a less-attention layer with as many keys as queries does")
    return ObjectiveOnMaps(model, loss, precision, device, weight=config.diagonality, losses=losses,
                           form=config.diagonality_form)


def choose_images(config: Config, dataset: Dataset) -> tuple[Split, Split | None]:
    """Return the images to train on, and those to evaluate on in place of the test set, if there are any.

    They are the same for every seed, so that seeds differ in training alone; the held-out ones are the last.
    """
    held_out, train_images = config.held_out_images, config.train_images
    left = len(dataset.train) - held_out
    if left < (train_images or 1):
        raise ValueError(f"train_images={train_images} and held_out_images={held_out} do not fit into the "
                         f"{len(dataset.train)} training images of {dataset.name}")
    if not held_out and train_images is None:
        return dataset.train, None
    order = permutation(len(dataset.train), SUBSET)
    chosen = dataset.train.subset(order[:left if train_images is None else train_images])
    return chosen, dataset.train.subset(order[left:]) if held_out else None


class Trainer:
    """A run: its model, its optimisers and where it stands.

    Parameters
    ----------
    config
        What to run.
    dataset
        What :func:`minivit.data.load` gives for it.
    device
        Where to run.

    Attributes
    ----------
    step
        Steps done.
    history
        The metrics of each epoch done.
    spent_s
        Seconds so far, over all sittings, by what they went into: ``training``, ``evaluation`` and ``saving``.
    prepare_s
        Seconds that went by before the first step, by what they went into.
    """

    def __init__(self, config: Config, dataset: Dataset, device: torch.device):
        start = time.perf_counter()
        self.config, self.device, self.task = config, device, find_task(config.task)
        choose_kernels(device, config.deterministic)
        dataset = self.task.fit(dataset)
        self.precision = resolve_precision(config.precision, device)
        self.images, held_out = choose_images(config, dataset)
        self.dataset = replace(dataset, test=(held_out or dataset.test).to(device))
        self.images = self.images.to(device)
        self.batch_size = min(config.batch_size, len(self.images))
        pairs = bool(config.mixup or config.cutmix)
        num_parts = parallel.world_size() * config.accumulate
        parts = [rows.to(device) for rows in parallel.rows_of_parts(self.batch_size, num_parts, pairs=pairs)]
        self.parts = parts[parallel.rank() * config.accumulate:][:config.accumulate]  # of each batch, what is here
        self.is_whole = num_parts == 1
        self.steps_per_epoch = len(self.images) // self.batch_size
        self.steps = config.epochs * self.steps_per_epoch
        self.model = create_first_model(config, dataset).to(device)
        self.average = deepcopy(self.model) if config.ema_decay else None
        self.optimizers = create_optimizers(self.model, config)
        self.objective = create_objective(self.model, config, self.precision, device)
        self.objective.model = parallel.distribute(self.model)
        self.take_step = self.create_step()
        self.replays: dict[float, Replay] = {}  # by the share of patches that are dropped
        self.step, self.epoch_time_s = 0, 0.0
        self.spent_s = {"training": 0.0, "evaluation": 0.0, "saving": 0.0}
        self.evaluates = Interval("evaluate_every", config.evaluate_every, time.monotonic())
        self.history: list[dict[str, Any]] = []
        self.glanced = self.totals.cpu()
        self.prepare_s = {"model": round(time.perf_counter() - start, 2)}

    def create_step(self) -> Step:
        """Put together what a step does, of the parts that the configuration asks for."""
        config = self.config
        augment = self.task.augmentation(self.dataset, self.device, crop_padding=config.crop_padding, flip=config.flip,
                                         augmentation=config.augmentation, erasing=config.erasing, mixup=config.mixup,
                                         cutmix=config.cutmix)
        average = MovingAverage(self.average, self.model, config.ema_decay) if self.average else None
        return Step(augment, self.objective, self.model, self.optimizers, clip_norm=config.clip_norm or inf,
                    average=average, device=self.device, parts=None if self.is_whole else self.take_parts,
                    num_parts=config.accumulate)

    @property
    def totals(self) -> Tensor:
        """What the epoch under way adds up to: see :class:`minivit.training.step.Step`."""
        return self.take_step.totals

    @cached_property
    def digest(self) -> str:
        """Tells whether a run that goes on has the same training images: see :meth:`minivit.data.Split.digest`."""
        return self.images.digest(self.task.target)

    @property
    def images_seen(self) -> int:
        """Training images seen so far, an image as often as it was seen."""
        return self.step * self.batch_size

    @property
    def best_model(self) -> nn.Module:
        """The model to evaluate and to keep: the moving average of the weights where there is one."""
        return self.average or self.model

    @property
    def time_s(self) -> float:
        """Seconds of training and evaluation so far, over all sittings."""
        return self.spent_s["training"] + self.spent_s["evaluation"]

    def prepare(self) -> None:
        """Compile and record a step, for every number of patches that is still to come, where the run asks for it.

        This may take a minute, so it's no part of making a run: who has one may find that it cannot start. It leaves
        the run where it stands.
        """
        compiles = self.config.compile != "none"
        records = self.config.cuda_graph and self.device.type == "cuda" and self.is_whole
        if self.step == self.steps or not (compiles or records):
            return
        start = time.perf_counter()
        if compiles:
            compile_step(self.take_step)
        rows = self.own_rows(torch.arange(self.batch_size))
        batch = next(batches(self.images, rows, len(rows), self.device, self.task.target))
        pool = torch.cuda.graph_pool_handle() if records else None
        self.model.train()
        with compiling(self.config.compile), self.take_step.rehearsal():
            for share in dict.fromkeys(map(self.patch_dropout_at, range(self.step, self.steps))):
                self.set_patch_dropout(share)
                if records:
                    self.replays[share] = Replay(self.take_step, *batch, pool=pool)
                else:
                    self.take_step(*batch)
        synchronize(self.device)
        self.prepare_s["compile"] = round(time.perf_counter() - start, 2)

    def patch_dropout_at(self, step: int) -> float:
        """Return the share of patches that a step drops."""
        return self.config.patch_dropout[step * len(self.config.patch_dropout) // self.steps]

    def set_patch_dropout(self, share: float) -> None:
        if any(self.config.patch_dropout):  # a model need not have it
            self.model.patch_dropout.rate = share

    def train_step(self, *batch: Tensor) -> None:
        """Take a step on a batch: uint8 images (B, C, H, W) and what is known of them."""
        self.prepare_step()
        self.take(*batch)
        if self.step == 0 and self.average:
            self.take_step.average.begin()
        self.step += 1

    def take_parts(self, images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the parts of this process's share of a batch, each with the draws that the whole batch would have."""
        last = len(self.parts) - 1
        sizes = [len(rows) for rows in self.parts]
        for i, (rows, *part) in enumerate(zip(self.parts, images.split(sizes), targets.split(sizes), strict=True)):
            seed_torch(self.config.seed, STEP, self.step)
            waits = getattr(self.objective.model, "no_sync", nullcontext)  # gradients go round with the last part
            with part_of(self.batch_size, rows), nullcontext() if i == last else waits():
                yield tuple(part)

    def own_rows(self, order: Tensor) -> Tensor:
        """Return, of the rows of one or more batches (n,), this process's share, in the order of its parts."""
        return order if self.is_whole else order.view(-1, self.batch_size)[:, torch.cat(self.parts).cpu()].flatten()

    def take(self, *batch: Tensor) -> None:
        """Take the step that is prepared, as it was recorded if it was."""
        self.replays.get(self.patch_dropout_at(self.step), self.take_step)(*batch)

    def prepare_step(self) -> None:
        """Set what changes from step to step: chance, the rate, the number of patches, the number of the step."""
        config = self.config
        seed_torch(config.seed, STEP, self.step)
        set_learning_rate(self.optimizers, learning_rate(self.step, self.steps, config))
        self.set_patch_dropout(self.patch_dropout_at(self.step))
        self.take_step.number.fill_(self.step)

    def progress(self) -> tuple[float, float]:
        """Return this epoch's mean training loss and accuracy in per cent. This waits for the device.

        Raises
        ------
        TrainingError
            If the loss or its gradient was not finite at some step.
        """
        return self.read(self.totals_of_all())

    def totals_of_all(self) -> Tensor:
        """Return the totals of all processes together; each of them has to call this."""
        totals = self.totals.clone()
        if parallel.world_size() > 1:
            parallel.add_up(totals[:3])
            totals[3] = parallel.largest(int(totals[3]))
        return totals

    def glance(self) -> tuple[float, float]:
        """Return what :meth:`progress` would have at the last glance. This does not wait for the device."""
        arrived = self.glanced
        # What the device copies into pinned memory by itself is there long before the next glance.
        self.glanced = torch.zeros_like(arrived, pin_memory=self.device.type == "cuda")
        self.glanced.copy_(self.totals, non_blocking=True)
        return self.read(arrived)

    def read(self, totals: Tensor) -> tuple[float, float]:
        loss, right, n, failed = totals.tolist()
        if failed >= 0:
            raise TrainingError(f"step {failed:.0f} (epoch {failed // self.steps_per_epoch + 1:.0f}): the loss or its "
                                "gradient is not a finite number; try a lower learning_rate, more warmup_epochs or "
                                "precision=float32")
        return (loss / n, 100 * right / n) if n else (float("nan"), float("nan"))

    def train_epoch(self, after_step: Callable[[int], None]) -> None:
        """Take the steps that this epoch still lacks; call ``after_step(number of images)`` after each."""
        config, epoch = self.config, len(self.history)
        order = permutation(len(self.images), config.seed, EPOCH, epoch)
        order = order.repeat_interleave(config.repeats)[:len(self.images)]
        seen = (self.step - epoch * self.steps_per_epoch) * self.batch_size
        order = self.own_rows(order[seen:self.steps_per_epoch * self.batch_size])
        self.model.train()
        start = time.perf_counter()

        def count_time() -> None:
            nonlocal start
            now = time.perf_counter()
            self.spent_s["training"] += now - start
            self.epoch_time_s, start = self.epoch_time_s + now - start, now

        here = sum(map(len, self.parts))
        for batch in batches(self.images, order, here, self.device, self.task.target):
            self.train_step(*batch)
            count_time()
            after_step(self.batch_size)
        synchronize(self.device)  # only now has the device done what it was given
        count_time()

    def finish_epoch(self, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Evaluate, if it's time; add this epoch's metrics to the history and return them."""
        train_loss, _ = self.progress()
        last = len(self.history) + 1 == self.config.epochs
        evaluates = parallel.largest(self.evaluates.is_over(len(self.history) + 1, time.monotonic()) or last)
        test = self.evaluate(after_batch) if evaluates else {}
        speed = self.steps_per_epoch * self.batch_size / self.epoch_time_s
        metrics = {"train_loss": train_loss, **test, "images_per_second": speed, "time_s": self.time_s}
        self.history.append({"epoch": len(self.history) + 1} | {name: round(x, 4) for name, x in metrics.items()})
        self.totals[:3] = 0
        self.epoch_time_s = 0.0
        return self.history[-1]

    def evaluate(self, after_batch: Callable[[], None]) -> dict[str, float]:
        """Measure the model on the test set, or on what is held out in its place."""
        start = time.perf_counter()
        # Compiled for shapes that are seen once an epoch, the blocks would cost more than they'd save.
        as_written = nullcontext() if self.config.compile == "none" else torch.compiler.set_stance("force_eager")
        with as_written:
            test = evaluate(self.best_model, self.dataset, precision=self.precision, after_batch=after_batch,
                            batch_size=max(500, 2 * self.batch_size), task=self.config.task)
        if not isfinite(test["test_loss"]):
            raise TrainingError(f"step {self.step}: the test loss is not a finite number; try a lower learning_rate")
        self.spent_s["evaluation"] += time.perf_counter() - start
        return test

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on: tensors and plain values. Each of many processes has to call this."""
        average = self.average
        return {"config": asdict(self.config), "data": asdict(self.dataset.info), "digest": self.digest,
                "step": self.step, "history": self.history, "spent_s": self.spent_s,
                "epoch_time_s": self.epoch_time_s, "totals": self.totals_of_all(), "model": self.model.state_dict(),
                "average": average.state_dict() if average else None,
                "optimizer": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where :meth:`state_dict` was taken."""
        self.step, self.history = state["step"], list(state["history"])
        self.spent_s |= state.get("spent_s", {"training": state.get("time_s", 0.0)})  # older ones have the sum alone
        self.epoch_time_s = state["epoch_time_s"]
        self.totals.copy_(state["totals"])
        self.totals[:3] *= parallel.is_first()  # they're the sum over all processes
        self.model.load_state_dict(state["model"])
        for optimizer, its_state in zip(self.optimizers, state["optimizer"], strict=True):
            load_memory(optimizer, its_state)
        if self.average:
            self.average.load_state_dict(state["average"])
