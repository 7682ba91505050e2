"""Training: what to run, how a step is taken, and what is kept of it."""

from minivit.training.checkpoint import CheckpointError, read_weights
from minivit.training.config import Config, load_config
from minivit.training.evaluate import evaluate
from minivit.training.interrupt import Stopped
from minivit.training.loop import train
from minivit.training.record import RESULTS, read_record, read_records
from minivit.training.sweep import load_variants
from minivit.training.trained import Trained, load_data, load_model, load_trained
from minivit.training.trainer import Trainer, TrainingError

__all__ = [
    "RESULTS",
    "CheckpointError",
    "Config",
    "Stopped",
    "Trained",
    "Trainer",
    "TrainingError",
    "evaluate",
    "load_config",
    "load_data",
    "load_model",
    "load_trained",
    "load_variants",
    "read_record",
    "read_records",
    "read_weights",
    "train",
]
