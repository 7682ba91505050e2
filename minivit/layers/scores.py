"""Scores under their former name; they now live in :mod:`minivit.mixers.scores`."""

from minivit.mixers.scores import Factors, Product, attend, attention_map

__all__ = ["Factors", "Product", "attend", "attention_map"]
