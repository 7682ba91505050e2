"""A run as an object: how it takes a step and an epoch, and how far it has come.

All randomness depends on the seed and a counter: the order of an epoch's images is a function of (seed, epoch), and
every draw inside a step is a function of (seed, step). So a checkpoint needs no state of a random generator, and on the
same machine a resumed run ends with the same weights, bit for bit, as one that was never stopped.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, replace
from functools import cached_property
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor, nn

from minivit.data import Dataset, batches
from minivit.draws import part_of
from minivit.layers import PatchDropout
from minivit.mixers import TokenMixer
from minivit.tasks import find_task
from minivit.training import parallel
from minivit.training.compilation import compile_step, compiling
from minivit.training.config import Config
from minivit.training.data import choose_images
from minivit.training.device import resolve_precision, synchronize
from minivit.training.evaluate import evaluate, report_broken
from minivit.training.graph import Replay
from minivit.training.interval import Interval
from minivit.training.objective import create_objective
from minivit.training.optimizer import create_optimizers, freeze, learning_rate, load_optimizer, set_learning_rate
from minivit.training.progress import Progress, TrainingError
from minivit.training.recompute import recompute_blocks
from minivit.training.seeding import EPOCH, READ, START, STEP, choose_kernels, keys, permutation, seed_torch
from minivit.training.step import MovingAverage, Step

log = logging.getLogger(__name__)


def create_first_model(config: Config, dataset: Dataset) -> nn.Module:
    """Create the model with its initial weights, which depend on the seed, and check that it fits the data."""
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
    freeze(model, config.frozen)
    return model


class Trainer:
    """A run: its model, its optimisers and its progress.

    Parameters
    ----------
    config
        Configuration of the run.
    dataset
        The data set that :func:`minivit.data.load` returns for it.
    device
        Device to run on.

    Attributes
    ----------
    step
        Number of steps taken.
    history
        The metrics of each finished epoch.
    spent_s
        Seconds so far, including those before a resumption, spent on ``training``, ``evaluation`` and ``saving``.
    prepare_s
        Seconds before the first step, by what they were spent on.
    """

    def __init__(self, config: Config, dataset: Dataset, device: torch.device):
        start = time.perf_counter()
        self.config, self.device, self.task = config, device, find_task(config.task)
        choose_kernels(device, config.deterministic)
        dataset = self.task.fit(dataset)
        self.precision = resolve_precision(config.precision, device)
        self.images, held_out = choose_images(config, dataset)
        self.dataset = replace(dataset, test=(held_out or dataset.test).to(device))
        self.images, self.crop = self.images.to(device), config.crop
        if self.crop == "random_resized" and not isinstance(self.images.images, Tensor):
            cropped = self.images.images.randomly_cropped(config.smallest_crop)
            self.images, self.crop = replace(self.images, images=cropped), "none"
        self.batch_size = min(config.batch_size, len(self.images))
        pairs = bool(config.mixup or config.cutmix)
        num_parts = parallel.world_size() * config.accumulate
        parts = [rows.to(device) for rows in parallel.rows_of_parts(self.batch_size, num_parts, pairs=pairs)]
        self.parts = parts[parallel.rank() * config.accumulate:][:config.accumulate]  # rows of each batch, here
        self.is_whole = num_parts == 1
        self.steps_per_epoch = len(self.images) // self.batch_size
        self.steps = config.epochs * self.steps_per_epoch
        self.model = create_first_model(config, dataset)
        if device.type != "cpu":  # the tensors of a plan, which have no numbers, can't be moved at all
            self.model.to(device)
        self.average = deepcopy(self.model) if config.ema_decay else None
        if config.recompute:
            recompute_blocks(self.model)
        self.optimizers = create_optimizers(self.model, config)
        self.objective = create_objective(self.model, config, self.precision, device)
        self.objective.model = parallel.distribute(self.model)
        self.take_step = self.create_step()
        self.replays: dict[float, Replay] = {}  # by the fraction of patches that are dropped
        self.step, self.epoch_time_s = 0, 0.0
        self.spent_s = {"training": 0.0, "evaluation": 0.0, "saving": 0.0}
        self.evaluates = Interval("evaluate_every", config.evaluate_every, time.monotonic())
        self.history: list[dict[str, Any]] = []
        self.progress = Progress(self.take_step.totals, self.steps_per_epoch)
        self.prepare_s = {"model": round(time.perf_counter() - start, 2)}

    def create_step(self) -> Step:
        """Assemble a step from the parts that the configuration asks for."""
        config = self.config
        augment = self.task.augmentation(self.dataset, self.device, crop=self.crop, crop_padding=config.crop_padding,
                                         smallest_crop=config.smallest_crop, flip=config.flip,
                                         augmentation=config.augmentation,
                                         augmentation_options=config.augmentation_options, erasing=config.erasing,
                                         mixup=config.mixup, cutmix=config.cutmix)
        average = MovingAverage(self.average, self.model, config.ema_decay) if self.average else None
        return Step(augment, self.objective, self.model, self.optimizers, clip_norm=config.clip_norm or inf,
                    average=average, device=self.device, parts=None if self.is_whole else self.take_parts,
                    num_parts=config.accumulate)

    @cached_property
    def digest(self) -> str:
        """Digest of the training images, which a resumed run compares: see :meth:`minivit.data.Split.digest`."""
        return self.images.digest(self.task.target)

    @property
    def records(self) -> bool:
        """Whether steps are recorded as CUDA graphs: see the table in :mod:`minivit.training.parallel`."""
        return self.config.cuda_graph and self.device.type == "cuda" and self.is_whole and not self.config.recompute

    @property
    def images_seen(self) -> int:
        """Number of training images seen so far, counting repetitions."""
        return self.step * self.batch_size

    @property
    def best_model(self) -> nn.Module:
        """The model to evaluate and to save: the moving average of the weights if there is one."""
        return self.average or self.model

    @property
    def time_s(self) -> float:
        """Seconds of training and evaluation so far, including those before a resumption."""
        return self.spent_s["training"] + self.spent_s["evaluation"]

    def prepare(self) -> None:
        """Compile and record a step, if the configuration says so, for every number of patches still to come.

        This may take a minute, so it isn't part of creating a trainer: there may be reasons not to start the run. It
        doesn't change the state of the run.
        """
        compiles, records = self.config.compile != "none", self.records
        if self.config.cuda_graph and self.device.type == "cuda" and not records:
            log.info("steps aren't recorded: cuda_graph has no effect with more than one process, with accumulate or "
                     "with recompute")
        if self.step == self.steps or not (compiles or records):
            return
        start = time.perf_counter()
        if compiles:
            compile_step(self.take_step)
        batch = next(self.read_batches(0, 0, self.batch_size))
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
        """Return the fraction of patches that a step drops."""
        return self.config.patch_dropout[step * len(self.config.patch_dropout) // self.steps]

    def set_patch_dropout(self, share: float) -> None:
        if any(self.config.patch_dropout):  # not every model has it
            self.model.patch_dropout.rate = share

    def train_step(self, *batch: Tensor) -> None:
        """Take a step on a batch: uint8 images (B, C, H, W) and their targets."""
        self.prepare_step()
        self.take(*batch)
        if self.step == 0 and self.average:
            self.take_step.average.begin()
        self.step += 1

    def take_parts(self, images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the parts of this process's share of a batch; each gets the draws it would get in the whole batch."""
        last = len(self.parts) - 1
        sizes = [len(rows) for rows in self.parts]
        for i, (rows, *part) in enumerate(zip(self.parts, images.split(sizes), targets.split(sizes), strict=True)):
            seed_torch(self.config.seed, STEP, self.step)
            waits = getattr(self.objective.model, "no_sync", nullcontext)  # gradients are averaged with the last part
            with part_of(self.batch_size, rows), nullcontext() if i == last else waits():
                yield tuple(part)

    def read_batches(self, epoch: int, first: int, last: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Read this process's share of the images from ``first`` up to ``last`` in the order of an epoch."""
        config = self.config
        order = permutation(len(self.images), config.seed, EPOCH, epoch)
        order = order.repeat_interleave(config.repeats)[:len(self.images)]
        places = self.own_rows(torch.arange(first, last))
        return batches(self.images, order[places], sum(map(len, self.parts)), self.device, self.task.target,
                       keys(places, config.seed, READ, epoch))

    def own_rows(self, order: Tensor) -> Tensor:
        """Return this process's share of the rows of one or more batches (n,), in the order of its parts."""
        return order if self.is_whole else order.view(-1, self.batch_size)[:, torch.cat(self.parts).cpu()].flatten()

    def take(self, *batch: Tensor) -> None:
        """Take the prepared step, replaying its recording if there is one."""
        self.replays.get(self.patch_dropout_at(self.step), self.take_step)(*batch)

    def prepare_step(self) -> None:
        """Set what changes from step to step: random state, learning rate, number of patches, and step number."""
        config = self.config
        seed_torch(config.seed, STEP, self.step)
        set_learning_rate(self.optimizers, learning_rate(self.step, self.steps, config))
        self.set_patch_dropout(self.patch_dropout_at(self.step))
        self.take_step.number.fill_(self.step)

    def train_epoch(self, after_step: Callable[[int], None]) -> None:
        """Take the remaining steps of this epoch; call ``after_step(number of images)`` after each."""
        epoch = len(self.history)
        seen = (self.step - epoch * self.steps_per_epoch) * self.batch_size
        reading = self.read_batches(epoch, seen, self.steps_per_epoch * self.batch_size)
        self.model.train()
        start = time.perf_counter()

        def count_time() -> None:
            nonlocal start
            now = time.perf_counter()
            self.spent_s["training"] += now - start
            self.epoch_time_s, start = self.epoch_time_s + now - start, now

        for batch in reading:
            self.train_step(*batch)
            count_time()
            after_step(self.batch_size)
        synchronize(self.device)  # the device may lag behind the calls that it was given
        count_time()

    def finish_epoch(self, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Evaluate, if it's time; add this epoch's metrics to the history and return them."""
        train_loss, _ = self.progress.read()
        report_broken(self.images, "were replaced with others")
        last = len(self.history) + 1 == self.config.epochs
        evaluates, = parallel.largest(self.evaluates.is_over(len(self.history) + 1, time.monotonic()) or last)
        test = self.evaluate(after_batch) if evaluates else {}
        speed = self.steps_per_epoch * self.batch_size / self.epoch_time_s
        metrics = {"train_loss": train_loss, **test, "images_per_second": speed, "time_s": self.time_s}
        self.history.append({"epoch": len(self.history) + 1} | {name: round(x, 4) for name, x in metrics.items()})
        self.progress.totals[:3] = 0
        self.epoch_time_s = 0.0
        return self.history[-1]

    def evaluate(self, after_batch: Callable[[], None]) -> dict[str, float]:
        """Measure the model on the test set, or on what is held out in its place."""
        start = time.perf_counter()
        # Compiling the blocks for shapes that occur once per epoch would cost more time than it saves.
        as_written = nullcontext() if self.config.compile == "none" else torch.compiler.set_stance("force_eager")
        with as_written:
            test = evaluate(self.best_model, self.dataset, precision=self.precision, after_batch=after_batch,
                            batch_size=max(500, 2 * self.batch_size), task=self.config.task)
        if not isfinite(test["test_loss"]):
            raise TrainingError(f"step {self.step}: the test loss is not a finite number; try a lower learning_rate")
        self.spent_s["evaluation"] += time.perf_counter() - start
        return test

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to resume, as tensors and plain values. Every process must call this."""
        average = self.average
        return {"config": asdict(self.config), "data": asdict(self.dataset.info), "digest": self.digest,
                "step": self.step, "history": self.history, "spent_s": self.spent_s,
                "epoch_time_s": self.epoch_time_s, "totals": self.progress.of_all(), "model": self.model.state_dict(),
                "average": average.state_dict() if average else None,
                "optimizer": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        self.step, self.history = state["step"], list(state["history"])
        self.spent_s |= state.get("spent_s", {"training": state.get("time_s", 0.0)})  # older ones have only the sum
        self.epoch_time_s = state["epoch_time_s"]
        self.progress.totals.copy_(state["totals"])
        self.progress.totals[:3] *= parallel.is_first()  # the checkpoint has the sum over all processes
        self.model.load_state_dict(state["model"])
        for optimizer, its_state in zip(self.optimizers, state["optimizer"], strict=True):
            load_optimizer(optimizer, its_state)
        if self.average:
            self.average.load_state_dict(state["average"])
