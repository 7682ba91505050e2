"""Curves over depth: one value per layer, with the spread over repeats."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from minivit.checks import as_array
from minivit.figures.style import COLORS


def plot_by_layer(ax: Any, curves: Mapping[str, np.ndarray], colors: Mapping[str, str], *, ylabel: str,
                  bound: float | Sequence[float] | None = None, bound_label: str = "",
                  layers: Sequence[int] | None = None) -> None:
    """Draw one line per curve over the layers, first layer on the left.

    Parameters
    ----------
    ax
        A matplotlib axes.
    curves
        Values by name, (repeats, layers): each repeat is a thin line, their mean a thick one with markers.
    colors
        Colours by name.
    ylabel
        What is plotted, with its unit.
    bound, bound_label
        A bound that no value can exceed, drawn dashed: one for all layers, or one for each.
    layers
        Numbers of the layers that have a value; 1, 2, ... if None.
    """
    markers = cycle("osD^v")
    for name, values in curves.items():
        values = np.atleast_2d(as_array(values))
        layers = np.arange(1, values.shape[1] + 1) if layers is None else layers
        ax.plot(layers, values.T, color=colors[name], linewidth=0.8, alpha=0.4)
        ax.plot(layers, values.mean(axis=0), color=colors[name], marker=next(markers), label=name)
    if bound is not None:
        look = {"color": COLORS["bound"], "linestyle": "--", "linewidth": 1, "label": bound_label}
        ax.axhline(bound, **look) if np.ndim(bound) == 0 else ax.plot(layers, bound, **look)
    ax.set(xlabel="layer", ylabel=ylabel, xticks=layers)
    ax.legend()
