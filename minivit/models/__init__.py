"""Whole models: assembled from layers, created by name, and a few of them trained."""

from minivit.models.classifier import keep_classes
from minivit.models.interpolate import interpolate_weights
from minivit.models.lavit import LaViT
from minivit.models.mixer import Mixer
from minivit.models.pit import PiT
from minivit.models.pretrained import list_pretrained
from minivit.models.registry import create_model, list_models
from minivit.models.unwrap import unwrap_weights
from minivit.models.vit import ViT

__all__ = [
    "LaViT",
    "Mixer",
    "PiT",
    "ViT",
    "create_model",
    "interpolate_weights",
    "keep_classes",
    "list_models",
    "list_pretrained",
    "unwrap_weights",
]
