"""Training: what to run, how a step is taken, and what is kept of it."""

from minivit.training.checkpoint import CheckpointError, load_model
from minivit.training.config import Config, load_config
from minivit.training.evaluate import evaluate
from minivit.training.interrupt import Stopped
from minivit.training.loop import train
from minivit.training.record import RESULTS, read_record, read_records
from minivit.training.sweep import load_variants
from minivit.training.trainer import Trainer, TrainingError

__all__ = [
    "RESULTS",
    "CheckpointError",
    "Config",
    "Stopped",
    "Trainer",
    "TrainingError",
    "evaluate",
    "load_config",
    "load_model",
    "load_variants",
    "read_record",
    "read_records",
    "train",
]
