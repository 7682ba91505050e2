"""Accuracy on corrupted images."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minivit.checks import as_array

LABELS = {
    "centre_occlusion": "centre black",
    "fgsm": "FGSM",
    "gaussian_noise_5": "Gaussian noise, σ = 5",
    "gaussian_noise_10": "Gaussian noise, σ = 10",
    "shot_noise": "shot noise, 60 photons",
    "gaussian_blur_1": "Gaussian blur, σ = 1 pixel",
    "gaussian_blur_2": "Gaussian blur, σ = 2 pixels",
}


def plot_robustness(ax: Any, results: Mapping[str, Mapping[str, Any]], colors: Mapping[str, str], *,
                    xlabel: str = "top-1 test accuracy [%]") -> None:
    """Draw a bar for each condition and model, first condition on top.

    Parameters
    ----------
    ax
        A matplotlib axes.
    results
        For each model, by name, its scores in per cent by condition; all models have the same conditions. A score is a
        number, or an array (repeats,), in which case each repeat is a dot and the bar is their mean. Conditions listed
        in ``LABELS`` are labelled as there.
    colors
        Colours by name of the model.
    xlabel
        Name of the score, with its unit.

    Raises
    ------
    ValueError
        If the models have different conditions; their order may differ.
    """
    height, conditions = 0.8 / len(results), list(next(iter(results.values())))
    for i, (name, scores) in enumerate(results.items()):
        if scores.keys() != set(conditions):
            raise ValueError(f"results[{name!r}] has the conditions {list(scores)}; all models must have {conditions}")
        places = np.arange(len(scores)) + (i - (len(results) - 1) / 2) * height
        values = [np.atleast_1d(as_array(scores[condition])) for condition in conditions]
        ax.barh(places, [value.mean() for value in values], height, color=colors[name], label=name)
        for place, value in zip(places, values, strict=True):
            if len(value) > 1:
                ax.plot(value, np.full(len(value), place), ".", color="black", markersize=4)
    labels = [LABELS.get(condition, condition) for condition in conditions]
    ax.set(xlabel=xlabel, xlim=(0, 100), yticks=range(len(labels)), yticklabels=labels)
    ax.grid(axis="y", visible=False)
    ax.invert_yaxis()
    if len(results) > 1:
        ax.legend()
