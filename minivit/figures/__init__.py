"""The book's plots and tables: one style for all, and the figures that several cells share."""

from minivit.figures.explorer import attention_explorer, pack_picture
from minivit.figures.layers import plot_by_layer
from minivit.figures.live import live_figure, live_figures
from minivit.figures.robustness import plot_robustness
from minivit.figures.rollout import plot_rollout
from minivit.figures.simplex import plot_simplex, to_plane
from minivit.figures.slider import slider_figure
from minivit.figures.style import COLORS, bare, book_style, use_book_style
from minivit.figures.table import show_table

__all__ = [
    "COLORS",
    "attention_explorer",
    "bare",
    "book_style",
    "live_figure",
    "live_figures",
    "pack_picture",
    "plot_by_layer",
    "plot_robustness",
    "plot_rollout",
    "plot_simplex",
    "show_table",
    "slider_figure",
    "to_plane",
    "use_book_style",
]
