"""Measure speed: of models, next to those of other libraries, and of the training steps of a recipe."""
