"""Whole models: the layers assembled, and their names."""

from minivit.models.registry import create_model, list_models
from minivit.models.vit import ViT

__all__ = ["ViT", "create_model", "list_models"]
