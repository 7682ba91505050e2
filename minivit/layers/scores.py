"""Scores stand in :mod:`minivit.mixers.scores`; here they are by their first name."""

from minivit.mixers.scores import Factors, attend, attention_map, multiply_out

__all__ = ["Factors", "attend", "attention_map", "multiply_out"]
