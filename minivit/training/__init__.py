"""Training: configurations, the training loop, and the files that a run writes."""

from minivit.training.checkpoint import read_weights
from minivit.training.config import Config
from minivit.training.evaluate import evaluate
from minivit.training.files import CheckpointError
from minivit.training.interrupt import Stopped
from minivit.training.loop import train
from minivit.training.progress import TrainingError
from minivit.training.published import load_published
from minivit.training.recipe import load_config, load_variants
from minivit.training.record import RECIPES, RESULTS, read_record, read_records
from minivit.training.trained import Trained, choose_data, load_data, load_model, load_trained
from minivit.training.trainer import Trainer

__all__ = [
    "RECIPES",
    "RESULTS",
    "CheckpointError",
    "Config",
    "Stopped",
    "Trained",
    "Trainer",
    "TrainingError",
    "choose_data",
    "evaluate",
    "load_config",
    "load_data",
    "load_model",
    "load_published",
    "load_trained",
    "load_variants",
    "read_record",
    "read_records",
    "read_weights",
    "train",
]
