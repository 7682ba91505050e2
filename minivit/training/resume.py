"""The folder of a run before its first step: made, or compared with the run that is to be resumed from it."""

import logging
import shutil
from pathlib import Path
from typing import Any

from minivit.data import DataInfo
from minivit.options import from_json
from minivit.training.checkpoint import CHECKPOINT, load_checkpoint
from minivit.training.config import Config, changed_settings
from minivit.training.files import CheckpointError
from minivit.training.record import RUN
from minivit.training.trained import differences
from minivit.training.trainer import Trainer

log = logging.getLogger(__name__)

OTHER = "resume with the same data, or choose another --out"


def open_folder(out: Path, trainer: Trainer, *, resume: bool) -> None:
    """Create the folder or resume from it; raise errors before the first step rather than after the first epoch."""
    checkpoint = out / CHECKPOINT
    if not resume and (checkpoint.exists() or (out / RUN).exists()):
        raise ValueError(f"out={str(out)!r} already holds a run; go on with --resume, or choose another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(out).free
    except OSError as error:
        raise CheckpointError(f"cannot write to {out}: {error.strerror}; choose another --out") from error
    if resume and checkpoint.exists():
        restore(checkpoint, trainer)
    # A checkpoint has weights, two moments and perhaps an average; there are two while a new one is written. Weights
    # are also saved by themselves.
    weights = sum(p.numel() * p.element_size() for p in trainer.model.parameters())
    need = weights * (2 * (4 if trainer.average else 3) + 2)
    if free < need:
        raise CheckpointError(f"{out} has {free / 1e6:.1f} MB free, the run's checkpoints need {need / 1e6:.1f} MB; "
                              "free some space or choose another --out")


def restore(checkpoint: Path, trainer: Trainer) -> None:
    """Load the state of a run into the trainer; raise an error if its configuration or its data are others."""
    state, out = load_checkpoint(checkpoint), checkpoint.parent
    changed = changed_settings(Config.from_dict(state["config"]), trainer.config)
    if "data" in state:
        changed.pop("model_options.num_classes", None)  # the classes are compared below, by their names
    if changed:
        name, (before, now) = next(iter(changed.items()))
        raise ValueError(f"{name}={now!r} differs from the run in {out}, which has {before!r}; resume with the same "
                         "configuration, or choose another --out")
    compare_data(out, trainer, state)
    try:
        trainer.load_state_dict(state)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{checkpoint} does not fit this version of minivit ({reason}); go on with the version "
                              "that wrote it, or choose another --out") from error


def compare_data(out: Path, trainer: Trainer, state: dict[str, Any]) -> None:
    """Raise an error if the data differ from those a checkpoint was made with; version 0.1 didn't record them."""
    if "data" not in state or "digest" not in state:
        log.warning("the checkpoint in %s doesn't say what data it was made with; assuming that they are these", out)
        return
    dataset, known = trainer.dataset, from_json(DataInfo, state["data"], "the run's data")
    for name in ("image_shape", "mean", "std"):
        now, before = getattr(dataset.info, name), getattr(known, name)
        if now != before:
            raise ValueError(f"{name}={now} of {dataset.name} differs from the run in {out}, which has {before}; "
                             f"{OTHER}")
    if dataset.classes != known.classes:
        raise ValueError(f"the classes of {dataset.name} differ from those of the run in {out}: "
                         f"{differences(known.classes, dataset.classes)}; {OTHER}")
    if trainer.digest != state["digest"]:
        raise ValueError(f"the training images of {dataset.name} differ from those of the run in {out}: some were "
                         f"added, removed or renamed; {OTHER}")
