"""Write an analysis to a folder: the numbers, and figures that show them."""

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minivit.analysis import attention_rollout
from minivit.data import Dataset, batches
from minivit.figures import COLORS, book_style, plot_by_layer, plot_robustness, plot_rollout
from minivit.figures.robustness import LABELS
from minivit.files import user_path
from minivit.report.analyze import analyze, choose_images, token_grid
from minivit.report.table import text_table
from minivit.tasks import TASKS, Task, find_task
from minivit.training.device import choose_device
from minivit.training.evaluate import predict
from minivit.training.files import CheckpointError, write_json, write_whole
from minivit.training.record import describe
from minivit.training.trained import Trained, load_data, load_trained
from minivit.wrappers import first_weights

log = logging.getLogger(__name__)

ANALYSIS, FOLDER = "analysis.json", "analysis"
ROLLOUT_IMAGES = 4


def place_for(weights: str | Path) -> Path:
    """Return the folder for the analysis of a run, or of a file with weights: beside it."""
    weights = user_path(weights, "weights")
    return (weights if weights.is_dir() else weights.parent) / FOLDER


def report(trained: str | Path | Trained, out: str | Path | None = None, *, root: str | Path | None = None,
           classes: Sequence[str] | None = None, images: int | None = None, seed: int = 0, epsilon: float = 1.0,
           device: str = "auto", progress: bool = True) -> tuple[dict[str, Any], Path]:
    """Analyse a trained model on its test images, and write the numbers and figures to a folder.

    Parameters
    ----------
    trained
        A run's folder, its ``model.safetensors`` or its ``checkpoint.pt``; or what
        :func:`minivit.training.load_trained` or :func:`minivit.training.load_published` returned, which needs ``out``.
    out
        Folder for ``analysis.json`` and the figures ``entropy``, ``distance``, ``similarity``, ``scale``,
        ``robustness`` and ``rollout``, as PNG and SVG, as far as they apply to the model; by default ``analysis`` in
        the run's folder.
    root
        Where the data sets are; None for the environment variable ``MINIVIT_DATA``.
    classes
        As for :func:`minivit.training.load_data`.
    images, seed, epsilon, progress
        As for :func:`minivit.report.analyze.analyze`.
    device
        ``cpu``, ``cuda``, ...; ``auto`` picks an accelerator if there is one.

    Returns
    -------
    dict, Path
        The content of ``analysis.json``, and the folder. The content is what :func:`~minivit.report.analyze.analyze`
        returns, the run's ``config`` (its model and options, data set and seed), the ``data`` (classes, shape, mean and
        standard deviation), and ``commit``, ``device``, ``precision``, ``versions`` and ``started`` of the analysis, as
        in ``run.json``.

    Raises
    ------
    ValueError
        If a value is out of range, or matplotlib is not installed or does not start.
    CheckpointError
        If the checkpoint cannot be read, or ``out`` cannot be written.
    DataError
        If the data set is missing or damaged.
    """
    try:
        from matplotlib import style
    except ImportError:
        raise ValueError("the figures need matplotlib, which is not installed: pip install matplotlib") from None
    except ValueError as error:  # it reads MPLBACKEND, although we need no backend
        raise ValueError(f"the figures need matplotlib, which does not start: {error}; unset MPLBACKEND") from None
    if not isinstance(trained, Trained):
        trained, out = load_trained(trained), out or place_for(trained)
    config, (model, dataset) = trained.config, load_data(trained, root, classes)
    model.to(choose_device(device))
    rows = choose_images(dataset, images, seed, epsilon)
    out = user_path(out, "out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=out).close()  # fail now rather than after the analysis
    except OSError as error:
        raise CheckpointError(f"cannot write to {out}: {error.strerror}; choose another --out") from error
    run = describe(config, first_weights(model).device, {}, dataset.info)
    result = {name: run[name] for name in ("config", "data", "commit", "device", "precision", "versions", "started")}
    result |= analyze(model, dataset, images=images, precision=config.precision, seed=seed, epsilon=epsilon,
                      task=config.task, progress=progress)
    write_json(out / ANALYSIS, result)
    few = rows[::max(1, len(rows) // ROLLOUT_IMAGES)][:ROLLOUT_IMAGES]  # spread out: a data set may be sorted by class
    # Without the user's settings, the same figure gives the same file, and needs no LaTeX.
    with style.context(["default", book_style() | {"svg.hashsalt": ANALYSIS}]):
        save_figures(out, draw_figures(result, model, dataset, few))
    return result, out


def save_figures(out: Path, figures: Mapping[str, Any]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, figure in figures.items():
            for kind, options in (("png", {"dpi": 200}), ("svg", {"metadata": {"Date": None}})):
                write_whole(out / f"{name}.{kind}", partial(figure.savefig, format=kind, **options))
    missing = {warning for warning in caught if "missing from font" in str(warning.message)}
    if missing:  # one warning instead of matplotlib's for each character and file
        log.warning("no installed font has all characters in the class names; figures show boxes for the missing ones")
    for warning in set(caught) - missing:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


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


def table(result: Mapping[str, Any]) -> str:
    """Format the result of :func:`report` as text tables."""
    parts = []
    if attention := result["attention"]:
        titles = {"tokens": "tokens", "entropy_bound": "ln N", "entropy_mean": "entropy", "entropy_p15": "15 %",
                  "entropy_p85": "85 %", "entropy_class_token": "class token", "distance": "distance",
                  "similarity": "similarity", "similarity_centred": "centred"}
        parts.append({"layer": range(1, len(attention["tokens"]) + 1)}
                     | {title: attention[name] for name, title in titles.items()})
    if scale := result["scale"]:
        parts.append({"layer": scale["layers"], "mean of λ": scale["mean"], "ratio": scale["ratio"]})
    parts.append({"images": [LABELS.get(name, name) for name in result["robustness"]],
                  f"{score_name(result)}, %": result["robustness"].values()})
    return "\n\n".join(map(lay_out, parts))


def lay_out(columns: Mapping[str, Iterable[Any]]) -> str:
    cells = [[title, *("-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
                       for value in values)] for title, values in columns.items()]
    return text_table(list(zip(*cells, strict=True)))
