"""One run as an object: what a step does, what an epoch does, and where the run stands.

Chance enters through the seed and a count alone: the order of an epoch's images is a function of (seed, epoch), every
draw inside a step a function of (seed, step). So a run that goes on from a checkpoint needs no memory of chance, and
ends, on the same machine, in bitwise the weights of one that was never stopped.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property
from math import isfinite
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from minivit.analysis import diagonality_loss
from minivit.data import Dataset, batches
from minivit.data.augment import cutmix, mixup, normalize, random_crop, random_flip
from minivit.data.erasing import random_erasing
from minivit.data.randaugment import rand_augment, trivial_augment
from minivit.layers import PatchDropout
from minivit.models import create_model
from minivit.training.compilation import compiling
from minivit.training.config import Config
from minivit.training.device import autocast, resolve_precision, synchronize
from minivit.training.evaluate import evaluate
from minivit.training.optimizer import create_optimizers, learning_rate, set_learning_rate
from minivit.training.seeding import permutation, seed_torch
from minivit.wrappers import as_input, unwrap

AUGMENTATIONS = {"none": lambda images: images, "randaugment": rand_augment, "trivialaugment": trivial_augment}
START, STEP, EPOCH, SUBSET = range(4)  # what a draw is for: the second number of its key


class TrainingError(Exception):
    """A run that cannot go on; the message names the step and the way out."""


@torch.no_grad()
def find_diagonal_maps(model: nn.Module, dataset: Dataset) -> list[int]:
    """Return which of a model's maps the diagonality loss is for: those of less-attention layers that are square."""
    found = []
    if layers := getattr(unwrap(model), "less_attention_maps", ()):
        _, maps = model(as_input(torch.zeros(1, *dataset.image_shape), model), return_attention=True)
        found = [i for i in layers if maps[i].shape[-1] == maps[i].shape[-2]]
    if not found:
        raise ValueError("diagonality must be 0: the model has no less-attention layer with as many keys as queries")
    return found


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
    time_s
        Seconds of training and evaluation so far, over all sittings.
    prepare_s
        Seconds that went by before the first step, by what they went into.
    """

    def __init__(self, config: Config, dataset: Dataset, device: torch.device):
        self.config, self.dataset, self.device = config, dataset, device
        self.precision = resolve_precision(config.precision, device)
        seed_torch(config.seed, START)
        self.model = create_model(config.model, **config.model_options)
        with torch.no_grad():
            self.model(torch.zeros(1, *dataset.image_shape))  # a model made for other images says so here
        if any(config.patch_dropout) and not isinstance(getattr(self.model, "patch_dropout", None), PatchDropout):
            raise ValueError(f"patch_dropout={config.patch_dropout}: {config.model} with model_options="
                             f"{config.model_options} drops no patches; leave it out")
        self.diagonal_maps = find_diagonal_maps(self.model, dataset) if config.diagonality else []
        self.model.to(device)
        self.average = (AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
                        if config.ema_decay else None)
        self.optimizers = create_optimizers(self.model, config)
        held_out, train_images = config.held_out_images, config.train_images
        left = len(dataset.train) - held_out
        if left < (train_images or 1):
            raise ValueError(f"train_images={train_images} and held_out_images={held_out} do not fit into the "
                             f"{len(dataset.train)} training images of {dataset.name}")
        self.images = dataset.train
        if held_out or train_images is not None:
            # The same images for every seed, so that seeds differ in training alone; the held-out ones are the last.
            order = permutation(len(dataset.train), SUBSET)
            self.images = dataset.train.subset(order[:left if train_images is None else train_images])
            if held_out:
                self.dataset = replace(dataset, test=dataset.train.subset(order[left:]))
        self.images = self.images.to(device)
        self.batch_size = min(config.batch_size, len(self.images))
        self.steps_per_epoch = len(self.images) // self.batch_size
        self.steps = config.epochs * self.steps_per_epoch
        self.step, self.time_s, self.epoch_time_s = 0, 0.0, 0.0
        self.history: list[dict[str, Any]] = []
        # Of the epoch under way: sum of losses, images classified right, images; and the run's first step that failed,
        # or -1. They stay on the device, in float32: an Apple GPU has no float64, and counts are exact below 2**24.
        self.totals = torch.tensor([0.0, 0.0, 0.0, -1.0], device=device)
        self.glanced = self.totals.cpu()
        # The function, not the method: a run that points to itself keeps its images when nobody else needs it any more.
        self.forward, self.prepare_s = Trainer.predict_and_compare, {}

    @cached_property
    def digest(self) -> str:
        """Tells whether a run that goes on has the same training images: see :meth:`minivit.data.Split.digest`."""
        return self.images.digest()

    @property
    def images_seen(self) -> int:
        """Training images seen so far, an image as often as it was seen."""
        return self.step * self.batch_size

    @property
    def best_model(self) -> nn.Module:
        """The model to evaluate and to keep: the moving average of the weights where there is one."""
        return self.average.module if self.average else self.model

    def augment(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Turn uint8 images (B, C, H, W) and labels (B,) into what the model sees and class probabilities (B, K)."""
        config = self.config
        images = random_crop(images, config.crop_padding)
        if config.flip:
            images = random_flip(images)
        images = AUGMENTATIONS[config.augmentation](images)
        images = normalize(images, self.dataset.mean, self.dataset.std)
        if config.erasing:
            images = random_erasing(images, probability=config.erasing)
        targets = F.one_hot(labels, self.dataset.num_classes).float()
        mixes = [(mix, alpha) for mix, alpha in ((mixup, config.mixup), (cutmix, config.cutmix)) if alpha]
        if mixes:
            mix, alpha = mixes[int(torch.randint(len(mixes), ()))]
            images, targets = mix(images, targets, alpha)
        return images, targets

    def predict_and_compare(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Map augmented images (B, C, H, W) and targets (B, K) to the loss, a number, and the logits (B, K)."""
        weight, form = self.config.diagonality, self.config.diagonality_form
        with autocast(self.precision, self.device):
            logits, maps = self.model(images, return_attention=True) if weight else (self.model(images), [])
        logits = logits.float()
        loss = F.cross_entropy(logits, targets, label_smoothing=self.config.label_smoothing)
        if weight:
            losses = [diagonality_loss(maps[i].float(), form) for i in self.diagonal_maps]
            loss = loss + weight * torch.stack(losses).mean()
        return loss, logits

    def compile(self) -> None:
        """Compile forward and backward where the run asks for it, for every number of patches that it will see.

        This may take a minute, so it is no part of making a run: who has one may find that it cannot start.
        """
        mode = self.config.compile
        if mode == "none" or self.step == self.steps:
            return
        start = time.perf_counter()
        self.forward = torch.compile(Trainer.predict_and_compare, dynamic=False,
                                     mode=None if mode == "default" else mode)
        images = torch.zeros(self.batch_size, *self.dataset.image_shape, device=self.device)
        targets = torch.zeros(self.batch_size, self.dataset.num_classes, device=self.device)
        self.model.train()
        with compiling(mode):
            for share in set(self.config.patch_dropout):
                self.set_patch_dropout(share)
                for _ in range(2):  # a CUDA graph is recorded the second time
                    self.forward(self, images, targets)[0].backward()
        synchronize(self.device)
        self.prepare_s["compile"] = round(time.perf_counter() - start, 2)

    def set_patch_dropout(self, share: float) -> None:
        if any(self.config.patch_dropout):  # a model need not have it
            self.model.patch_dropout.rate = share

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        """Augment, predict, compare, improve: one step on uint8 images (B, C, H, W) and labels (B,)."""
        config = self.config
        seed_torch(config.seed, STEP, self.step)
        images, targets = self.augment(images, labels)
        self.set_patch_dropout(config.patch_dropout[self.step * len(config.patch_dropout) // self.steps])
        loss, logits = self.forward(self, images, targets)
        self.model.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm or torch.inf)
        set_learning_rate(self.optimizers, learning_rate(self.step, self.steps, config))
        for optimizer in self.optimizers:
            optimizer.step()
        if self.average:
            self.average.update_parameters(self.model)
        self.note(loss.detach(), norm, (logits.argmax(1) == targets.argmax(1)).sum(), len(images))
        self.step += 1

    def note(self, loss: Tensor, norm: Tensor, right: Tensor, n: int) -> None:
        """Add a step to the epoch's totals, without waiting for the device."""
        failed = self.totals[3]
        fails = ~(loss.isfinite() & norm.isfinite()) & (failed < 0)
        new = (loss * n, right, torch.full_like(loss, n), torch.where(fails, self.step - failed, 0))
        self.totals += torch.stack(new)

    def progress(self) -> tuple[float, float]:
        """Return this epoch's mean training loss and accuracy in per cent. This waits for the device.

        Raises
        ------
        TrainingError
            If the loss or its gradient was not finite at some step.
        """
        return self.read(self.totals)

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
        order = order[seen:self.steps_per_epoch * self.batch_size]
        self.model.train()
        start = time.perf_counter()

        def count_time() -> None:
            nonlocal start
            now = time.perf_counter()
            self.time_s, self.epoch_time_s, start = self.time_s + now - start, self.epoch_time_s + now - start, now

        for images, labels in batches(self.images, order, self.batch_size, self.device):
            self.train_step(images, labels)
            count_time()
            after_step(len(images))
        synchronize(self.device)  # only now has the device done what it was given
        count_time()

    def finish_epoch(self, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Evaluate on the test set; add this epoch's metrics to the history and return them."""
        train_loss, _ = self.progress()
        start = time.perf_counter()
        test = evaluate(self.best_model, self.dataset, precision=self.precision, after_batch=after_batch)
        if not isfinite(test["test_loss"]):
            raise TrainingError(f"step {self.step}: the test loss is not a finite number; try a lower learning_rate")
        self.time_s += time.perf_counter() - start
        speed = self.steps_per_epoch * self.batch_size / self.epoch_time_s
        metrics = {"train_loss": train_loss, **test, "images_per_second": speed, "time_s": self.time_s}
        self.history.append({"epoch": len(self.history) + 1} | {name: round(x, 4) for name, x in metrics.items()})
        self.totals[:3] = 0
        self.epoch_time_s = 0.0
        return self.history[-1]

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on: tensors and plain values."""
        average = self.average
        return {"config": asdict(self.config), "data": asdict(self.dataset.info), "digest": self.digest,
                "step": self.step, "history": self.history, "time_s": self.time_s,
                "epoch_time_s": self.epoch_time_s, "totals": self.totals, "model": self.model.state_dict(),
                "average": average.module.state_dict() if average else None,
                "averaged": int(average.n_averaged) if average else 0,
                "optimizer": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where :meth:`state_dict` was taken."""
        self.step, self.history, self.time_s = state["step"], list(state["history"]), state["time_s"]
        self.epoch_time_s = state["epoch_time_s"]
        self.totals.copy_(state["totals"])
        self.model.load_state_dict(state["model"])
        for optimizer, its_state in zip(self.optimizers, state["optimizer"], strict=True):
            optimizer.load_state_dict(its_state)
        if self.average:
            self.average.module.load_state_dict(state["average"])
            self.average.n_averaged.fill_(state["averaged"])
