"""The training loop: from a configuration to a folder with the run's record, checkpoint and weights."""

import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from minivit.data import Dataset, load
from minivit.files import user_path
from minivit.training import parallel
from minivit.training.checkpoint import (
    CHECKPOINT,
    WEIGHTS,
    Writer,
    save_checkpoint,
    save_weights,
    snapshot,
)
from minivit.training.config import Config
from minivit.training.data import fit_classes
from minivit.training.device import choose_device, failure
from minivit.training.files import CheckpointError
from minivit.training.interrupt import Stopped, note_signals
from minivit.training.interval import Interval
from minivit.training.progress import TrainingError
from minivit.training.record import write_metrics, write_run, write_spent
from minivit.training.resume import open_folder
from minivit.training.trainer import Trainer

log = logging.getLogger(__name__)

SAVE_INSIDE = "600s"  # a run is saved at least this often, even within an epoch, whatever save_every says
LOOK_EVERY_S = 0.5    # between two updates of the loss in the progress bar


def train(config: Config, out: str | Path, *, root: str | Path | None = None, dataset: Dataset | None = None,
          resume: bool = False, device: str = "auto", progress: bool = True) -> list[dict[str, Any]]:
    """Train a model and keep everything about it in a folder.

    Parameters
    ----------
    config
        Configuration of the run.
    out
        Folder for ``run.json``, ``metrics.jsonl``, ``checkpoint.pt`` and ``model.safetensors``.
    root
        Where the data sets are; None for the environment's ``MINIVIT_DATA``.
    dataset
        The configuration's data set, if it has already been loaded.
    resume
        Whether to continue from the folder's checkpoint, if there is one.
    device
        ``cpu``, ``cuda``, ...; ``auto`` uses an accelerator if there is one.
    progress
        Whether to show a progress bar and a line per epoch.

    Returns
    -------
    list of dict
        The metrics of each epoch, as in ``metrics.jsonl``.

    Raises
    ------
    ValueError
        If the configuration is wrong, or ``out`` holds another run.
    DataError
        If the data set is missing or damaged.
    CheckpointError
        If ``out`` cannot be written or has too little space, or its checkpoint is damaged.
    TrainingError
        If the loss is no longer a finite number. The last good checkpoint is kept.
    Stopped
        If Ctrl-C or SIGTERM stopped the run, after its checkpoint was saved.
    """
    out, device = user_path(out, "out"), choose_device(device, many=True)
    parallel.join(device)
    trainer = create_trainer(config, root, device, dataset)
    open_folder(out, trainer, resume=resume)
    parallel.wait_for_all()  # else the others might see the first one's files and report another run
    try:
        run(out, trainer, progress)
    except (TrainingError, RuntimeError) as error:
        reason = str(error) if isinstance(error, TrainingError) else failure(error)
        if reason is None:
            raise
        kept = f". The last good checkpoint is {out / CHECKPOINT}" if (out / CHECKPOINT).exists() else ""
        raise TrainingError(f"{reason}{kept}") from None
    if parallel.is_first():
        save_weights(out / WEIGHTS, trainer.best_model, trainer.config, trainer.dataset.info)
    parallel.wait_for_all()
    return trainer.history


def run(out: Path, trainer: Trainer, progress: bool) -> None:
    """Take the remaining steps of the run; evaluate and save at the configured intervals."""
    config = trainer.config
    trainer.prepare()
    first = parallel.is_first()
    if first:
        write_run(out, config, trainer.device, trainer.prepare_s, trainer.dataset.info)
    bar = tqdm(total=trainer.steps * trainer.batch_size, initial=trainer.images_seen, unit=" images", unit_scale=True,
               smoothing=0.05, dynamic_ncols=True, disable=None if progress and first else True)
    looked = time.monotonic()
    saves, inside = Interval("save_every", config.save_every, looked), Interval("SAVE_INSIDE", SAVE_INSIDE, looked)

    with bar, Writer() as writer, note_signals() as asked_to_stop:
        save(out, trainer, writer)
        writer.wait()  # if it can't be written, fail before the first step

        def save_or_stop(due: bool = False) -> None:
            due, signum = parallel.largest(due, asked_to_stop())  # all do the same, after the same step
            if signum:
                raise Stopped(signum)
            if due:
                save(out, trainer, writer)
                inside.last = time.monotonic()

        def after_step(images: int) -> None:
            nonlocal looked
            bar.update(images)
            now = time.monotonic()
            if now - looked > LOOK_EVERY_S:
                bar.set_postfix_str(describe_progress(trainer))
                parallel.stand_at(trainer.step)
                looked = now
            save_or_stop(saves.is_over(None, now) or inside.is_over(None, now))

        try:
            while len(trainer.history) < config.epochs:
                trainer.train_epoch(after_step)
                # Processes evaluate different numbers of batches, so they can't agree after each whether to stop.
                metrics = trainer.finish_epoch(after_batch=save_or_stop if parallel.world_size() == 1 else list)
                if progress and first:
                    bar.write(describe_epoch(trainer, metrics))
                done = len(trainer.history)
                save_or_stop(saves.is_over(done, time.monotonic()) or done == config.epochs)
        except Stopped:
            save(out, trainer, writer)
            writer.wait()  # when the user is told that the run is saved, it must be
            parallel.wait_for_all()  # a launcher ends the others when one is gone, and the first may still be writing
            raise
        finally:
            if first:
                with suppress(CheckpointError):  # the user should see why the run ended instead
                    write_spent(out, trainer.spent_s)


def describe_progress(trainer: Trainer) -> str:
    """Say how the epoch goes, as of the last time that this was asked."""
    loss, accuracy = trainer.progress.glance()
    return (f"epoch {len(trainer.history) + 1}/{trainer.config.epochs}, loss {loss:.3f}, "
            f"accuracy {accuracy:.1f} %")


def describe_epoch(trainer: Trainer, metrics: dict[str, Any]) -> str:
    """Summarise an epoch in one line."""
    images = "held-out" if trainer.config.held_out_images else "test"
    test = f"{images} loss {metrics['test_loss']:.3f}, {trainer.task.read(metrics)}, " if "test_loss" in metrics else ""
    return (f"epoch {metrics['epoch']}: train loss {metrics['train_loss']:.3f}, {test}"
            f"{metrics['images_per_second']:.0f} images/s, {metrics['time_s']:.0f} s")


def create_trainer(config: Config, root: str | Path | None, device: torch.device, dataset: Dataset | None) -> Trainer:
    """Load the data, unless given, and create the trainer."""
    start = time.perf_counter()
    dataset = dataset or load(config.dataset, root, **config.dataset_options)
    data_s = round(time.perf_counter() - start, 2)
    trainer = Trainer(fit_classes(config, dataset), dataset, device)
    trainer.prepare_s = {"data": data_s} | trainer.prepare_s
    return trainer


def save(out: Path, trainer: Trainer, writer: Writer) -> None:
    """Start writing the checkpoint and the metrics; a state that is not finite is never saved."""
    start = time.perf_counter()
    state = trainer.state_dict()
    trainer.progress.means(state["totals"])
    if parallel.is_first():  # all processes have the same state
        writer.submit(write_state, out, snapshot(state))
    trainer.spent_s["saving"] += time.perf_counter() - start


def write_state(out: Path, state: dict[str, Any]) -> None:
    save_checkpoint(out / CHECKPOINT, state)
    write_metrics(out, state["history"])
