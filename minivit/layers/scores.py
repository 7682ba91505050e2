"""Scores stand in :mod:`minivit.mixers.scores`; here they are by their first name."""

from minivit.mixers.scores import Factors, Product, attend, attention_map

__all__ = ["Factors", "Product", "attend", "attention_map"]
