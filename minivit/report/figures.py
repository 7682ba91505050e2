"""Draw an analysis: its attention layer by layer, its robustness, and where the class token looks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minivit.analysis import attention_rollout
from minivit.data import Dataset, batches
from minivit.figures import COLORS, plot_by_layer, plot_robustness, plot_rollout
from minivit.report.analyze import token_grid
from minivit.tasks import TASKS, Task, find_task
from minivit.training.evaluate import predict
from minivit.wrappers import first_weights


def draw_figures(result: Mapping[str, Any], model: nn.Module, dataset: Dataset, rows: Tensor) -> dict[str, Any]:
    """Draw all figures that apply to the model; return them by name. ``rows`` are the images for the rollout."""
    attention, scale = result["attention"], result["scale"]
    color = COLORS.get(result["config"]["model_options"].get("context"), COLORS["plain"])
    figures = {"robustness": draw_robustness(result["robustness"], color, f"test {score_name(result)} [%]")}
    if attention:
        figures["entropy"] = draw_entropy(attention, color)
        figures["rollout"] = draw_rollout(model, dataset, rows, task_of(result))
    if attention and None not in attention["distance"]:
        figures["distance"] = draw_distance(attention, color)
    if attention and any(value is not None for value in attention["similarity"]):
        figures["similarity"] = draw_similarity(attention, color)
    if scale:
        figures["scale"] = draw_scale(scale, color)
    return {name: figure for name, figure in figures.items() if figure is not None}


def task_of(result: Mapping[str, Any]) -> Task:
    """Return the task of a run; old runs don't name one."""
    return find_task(result["config"].get("task", "classification"))


def score_name(result: Mapping[str, Any]) -> str:
    return task_of(result).score_name


def draw_entropy(attention: Mapping[str, Any], color: str) -> Any:
    figure, ax = new_figure()
    curves = {"mean": attention["entropy_mean"]}
    if None not in attention["entropy_class_token"]:
        curves["class token"] = attention["entropy_class_token"]
    plot_by_layer(ax, curves, {"mean": color, "class token": COLORS["mark"]}, ylabel="entropy of attention [nats]",
                  bound=attention["entropy_bound"], bound_label=r"uniform, $\ln N$")
    layers = np.arange(1, len(attention["tokens"]) + 1)
    ax.fill_between(layers, attention["entropy_p15"], attention["entropy_p85"], color=color, alpha=0.2, linewidth=0,
                    label="15th to 85th percentile")
    ax.set_ylim(0, 1.1 * max(attention["entropy_bound"]))
    ax.legend()
    return figure


def draw_distance(attention: Mapping[str, Any], color: str) -> Any:
    figure, ax = new_figure()
    draw_curve(ax, attention["distance"], color, ylabel="distance of attention\n[sides of the image]")
    ax.set_ylim(0, 1.1 * max(attention["distance"]))
    return figure


def draw_similarity(attention: Mapping[str, Any], color: str) -> Any:
    figure, ax = new_figure()
    curves = {"maps": attention["similarity"], "less the uniform map": attention["similarity_centred"]}
    plot_by_layer(ax, {name: np.array(values, float) for name, values in curves.items()},  # None is nan
                  {"maps": color, "less the uniform map": COLORS["mark"]}, ylabel="cosine to the layer below")
    ax.set_ylim(min(0, ax.get_ylim()[0]), 1.05)
    return figure


def draw_scale(scale: Mapping[str, Any], color: str) -> Any:
    figure, (left, right) = new_figure(1, 2)
    draw_curve(left, scale["mean"], color, ylabel=r"mean of $\lambda$", layers=scale["layers"])
    left.axhline(0, color=COLORS["bound"], linewidth=1)
    ratio = np.array(scale["ratio"], float)  # None is nan
    draw_curve(right, ratio, color, ylabel=r"$|\lambda_{0.1}|\,/\,|\lambda_{0.9}|$", layers=scale["layers"])
    right.set_ylim(0, 1)
    return figure


def draw_curve(ax: Any, values: Sequence[float], color: str, **options: Any) -> None:
    plot_by_layer(ax, {"model": values}, {"model": color}, **options)
    ax.get_legend().remove()  # there is only one curve


def draw_robustness(robustness: Mapping[str, float], color: str, xlabel: str = "top-1 test accuracy [%]") -> Any:
    figure, ax = new_figure()
    plot_robustness(ax, {"model": robustness}, {"model": color}, xlabel=xlabel)
    return figure


@torch.no_grad()
def draw_rollout(model: nn.Module, dataset: Dataset, rows: Tensor,
                 task: Task = TASKS["classification"]) -> Any:
    """Draw the rollout of the class token; None if there is no class token, N differs between layers, or no image."""
    images, targets = next(batches(dataset.test, rows, len(rows), first_weights(model).device, task.target), (None, ()))
    if images is None:  # all are broken
        return None
    _, maps = predict(model, images, dataset, return_attention=True)
    grid, class_tokens = token_grid(model, maps[0].shape[-1])
    if len({layer.shape[-1] for layer in maps}) > 1 or class_tokens != 1:
        return None
    weights = attention_rollout(maps)[:, 0, 1:].unflatten(1, grid).cpu()
    figure, axes = new_figure(2, len(images), squeeze=False)
    for column, image, target, weight in zip(axes.T, images.cpu(), targets, weights, strict=True):
        mesh = plot_rollout(column, image, weight, vmax=weights.max())
        column[0].set_title(task.caption(target, dataset.classes), parse_math=False)  # names may contain a dollar sign
    figure.colorbar(mesh, ax=axes, label="weight of a patch", shrink=0.6)
    return figure


def new_figure(rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """Return a figure that needs neither a window nor a notebook, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure()
    return figure, figure.subplots(rows, columns, **options)
