"""The book's plots: one look for all, and the drawings that more than one cell needs."""

from minivit.figures.layers import plot_by_layer
from minivit.figures.live import live_figure
from minivit.figures.robustness import plot_robustness
from minivit.figures.rollout import plot_rollout
from minivit.figures.simplex import plot_simplex, to_plane
from minivit.figures.slider import slider_figure
from minivit.figures.style import COLORS, book_style, use_book_style

__all__ = [
    "COLORS",
    "book_style",
    "live_figure",
    "plot_by_layer",
    "plot_robustness",
    "plot_rollout",
    "plot_simplex",
    "slider_figure",
    "to_plane",
    "use_book_style",
]
