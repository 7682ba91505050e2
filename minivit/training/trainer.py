"""One run as an object: what a step does, what an epoch does, and where the run stands.

Chance enters through the seed and a count alone: the order of an epoch's images is a function of (seed, epoch), every
draw inside a step a function of (seed, step). So a run that goes on from a checkpoint needs no memory of chance, and
ends, on the same machine, in bitwise the weights of one that was never stopped.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from math import isfinite
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from minivit.data import Dataset, batches
from minivit.data.augment import cutmix, mixup, normalize, random_crop, random_flip
from minivit.data.erasing import random_erasing
from minivit.data.randaugment import rand_augment, trivial_augment
from minivit.models import create_model
from minivit.training.chance import permutation, seed_torch
from minivit.training.config import Config
from minivit.training.evaluate import evaluate
from minivit.training.optimizer import create_optimizers, learning_rate, set_learning_rate

AUGMENTATIONS = {"none": lambda images: images, "randaugment": rand_augment, "trivialaugment": trivial_augment}
START, STEP, EPOCH, SUBSET = range(4)  # what a draw is for: the second number of its key


class TrainingError(Exception):
    """A run that cannot go on; the message names the step and the way out."""


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
    """

    def __init__(self, config: Config, dataset: Dataset, device: torch.device):
        self.config, self.dataset, self.device = config, dataset, device
        seed_torch(config.seed, START)
        self.model = create_model(config.model, **config.model_options)
        with torch.no_grad():
            self.model(torch.zeros(1, *dataset.image_shape))  # a model made for other images says so here
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
        self.steps_per_epoch = -(-len(self.images) // config.batch_size)
        self.step, self.time_s, self.epoch_time_s = 0, 0.0, 0.0
        self.history: list[dict[str, Any]] = []
        # Of the epoch under way: sum of losses, images classified right, images. They stay on the device, in float32:
        # an Apple GPU has no float64, and the counts are exact below 2**24.
        self.totals = torch.zeros(3, device=device)
        self.failed_step = torch.tensor(-1, device=device)

    @property
    def images_seen(self) -> int:
        """Training images seen so far, an image as often as it was seen."""
        epochs, steps = divmod(self.step, self.steps_per_epoch)
        return epochs * len(self.images) + steps * self.config.batch_size

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

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        """Augment, predict, compare, improve: one step on uint8 images (B, C, H, W) and labels (B,)."""
        config = self.config
        seed_torch(config.seed, STEP, self.step)
        images, targets = self.augment(images, labels)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = self.model(images)
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=config.label_smoothing)
        self.model.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm or torch.inf)
        set_learning_rate(self.optimizers, learning_rate(self.step, config.epochs * self.steps_per_epoch, config))
        for optimizer in self.optimizers:
            optimizer.step()
        if self.average:
            self.average.update_parameters(self.model)
        self.note(loss.detach(), norm, (logits.argmax(1) == targets.argmax(1)).sum(), len(images))
        self.step += 1

    def note(self, loss: Tensor, norm: Tensor, right: Tensor, n: int) -> None:
        """Add a step to the epoch's totals, without waiting for the device."""
        self.totals += torch.stack([loss * n, right, torch.full_like(right, n)])
        fails = ~(loss.isfinite() & norm.isfinite()) & (self.failed_step < 0)
        self.failed_step = torch.where(fails, self.step, self.failed_step)

    def progress(self) -> tuple[float, float]:
        """Return this epoch's mean training loss and accuracy in per cent. This waits for the device.

        Raises
        ------
        TrainingError
            If the loss or its gradient was not finite at some step.
        """
        failed = int(self.failed_step)
        if failed >= 0:
            raise TrainingError(f"step {failed} (epoch {failed // self.steps_per_epoch + 1}): the loss or its gradient "
                                "is not a finite number; try a lower learning_rate, more warmup_epochs or "
                                "precision=float32")
        loss, right, n = self.totals.tolist()
        return (loss / n, 100 * right / n) if n else (float("nan"), float("nan"))

    def train_epoch(self, after_step: Callable[[int], None]) -> None:
        """Take the steps that this epoch still lacks; call ``after_step(number of images)`` after each."""
        config, epoch = self.config, len(self.history)
        order = permutation(len(self.images), config.seed, EPOCH, epoch)
        order = order.repeat_interleave(config.repeats)[:len(self.images)]
        seen = (self.step - epoch * self.steps_per_epoch) * config.batch_size
        self.model.train()
        start = time.perf_counter()
        for images, labels in batches(self.images, order[seen:], config.batch_size, self.device):
            self.train_step(images, labels)
            now = time.perf_counter()
            self.time_s, self.epoch_time_s, start = self.time_s + now - start, self.epoch_time_s + now - start, now
            after_step(len(images))

    def finish_epoch(self, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Evaluate on the test set; add this epoch's metrics to the history and return them."""
        train_loss, _ = self.progress()
        start = time.perf_counter()
        test = evaluate(self.best_model, self.dataset, precision=self.config.precision, after_batch=after_batch)
        if not isfinite(test["test_loss"]):
            raise TrainingError(f"step {self.step}: the test loss is not a finite number; try a lower learning_rate")
        self.time_s += time.perf_counter() - start
        metrics = {"train_loss": train_loss, **test, "images_per_second": len(self.images) / self.epoch_time_s,
                   "time_s": self.time_s}
        self.history.append({"epoch": len(self.history) + 1} | {name: round(x, 4) for name, x in metrics.items()})
        self.totals.zero_()
        self.epoch_time_s = 0.0
        return self.history[-1]

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on: tensors and plain values."""
        average = self.average
        return {"config": asdict(self.config), "step": self.step, "history": self.history, "time_s": self.time_s,
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
