"""Write an analysis to a folder: the numbers, and figures that show them."""

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from minivit.figures import book_style
from minivit.figures.robustness import LABELS
from minivit.files import user_path
from minivit.report.analyze import analyze, choose_images
from minivit.report.figures import draw_figures, score_name
from minivit.report.table import text_table
from minivit.training.device import choose_device
from minivit.training.files import CheckpointError, write_json, write_whole
from minivit.training.record import describe_run
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
    run = describe_run(config, first_weights(model).device, {}, dataset.info)
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
