"""The trained models that travel with the package.

A file of ``weights/`` says itself what it is. It holds the weights, in float16 to be small, and in its header the
configuration of the run, the folder of its record under ``results/`` and its accuracy. It is written by
``tools/pretrained.py``.
"""

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from minivit.models.unwrap import load_weights
from minivit.options import image_sides

FOLDER = Path(__file__).parent / "weights"
RATES = ("dropout", "drop_path")  # options that act in training alone: weights fit whatever they are


@dataclass(frozen=True)
class Pretrained:
    """What the header of a file says; printed, it is the call that gives the model.

    Attributes
    ----------
    path
        The file.
    name, options
        Name and keyword arguments for :func:`minivit.models.create_model`, the rates of dropout left out.
    seed
        Of the run.
    record
        Folder of the run under ``results/``.
    test_top1
        Per cent of the test images that the run's float32 weights classified right after the last epoch.
    """

    path: Path
    name: str
    options: dict[str, Any]
    seed: int
    record: str
    test_top1: float

    def __str__(self) -> str:
        return call(self.name, self.options)


def weights_path(name: str, context: str) -> Path:
    """Return where the weights of a model go."""
    return FOLDER / f"{name if context == 'none' else f'{name}_{context}'}.safetensors"


def list_pretrained() -> list[Pretrained]:
    """Return what :func:`minivit.models.create_model` makes with ``pretrained=True``, sorted by file.

    Raises
    ------
    ValueError
        Naming a file that is damaged.
    """
    return [read_header(path) for path in sorted(FOLDER.glob("*.safetensors"))]


def read_header(path: Path) -> Pretrained:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        config = json.loads(header["config"])
        options = {name: value for name, value in config["model_options"].items() if name not in RATES}
        return Pretrained(path, config["model"], options, config["seed"], header["record"], float(header["test_top1"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged, or no file of trained weights; install minivit again") from error


def load_pretrained(model: nn.Module, name: str, defaults: dict[str, Any], options: dict[str, Any]) -> nn.Module:
    """Give a model the trained weights of its architecture, and put it in evaluation mode.

    A model for another number of classes than the trained one keeps its own, untrained head.

    Parameters
    ----------
    model
        In float32, whatever the file holds.
    name, defaults, options
        What it was made of: its name, the options that this stands for, and the options over them.

    Raises
    ------
    ValueError
        If no file was trained with these options (``num_classes``, ``dropout`` and ``drop_path`` aside), saying which
        there are; or if one is damaged.
    """
    defaults = {p.name: p.default for p in inspect.signature(type(model)).parameters.values()} | defaults

    def architecture(options: dict[str, Any]) -> dict[str, Any]:
        chosen = {name: value for name, value in (defaults | options).items() if name not in (*RATES, "num_classes")}
        return chosen | {"image_size": image_sides(chosen["image_size"])}  # (32, 32) is 32

    known = list_pretrained()
    fitting = [it for it in known if it.name == name and architecture(it.options) == architecture(options)]
    if not fitting:
        raise ValueError(f"{call(name, options)}: no such model was trained; there are "
                         f"{', '.join(map(str, known)) or f'none in {FOLDER}'}")
    try:
        weights = load_file(fitting[0].path)
        if (defaults | options)["num_classes"] != (defaults | fitting[0].options)["num_classes"]:
            head = {f"head.{name}": tensor for name, tensor in model.head.state_dict().items()}
            weights = {name: tensor for name, tensor in weights.items() if not name.startswith("head.")} | head
        load_weights(model, weights)
    except ValueError as error:
        raise ValueError(f"{fitting[0].path} does not fit this version of minivit: {error}") from error
    return model.eval()


def call(name: str, options: dict[str, Any]) -> str:
    arguments = [repr(name), *(f"{option}={value!r}" for option, value in options.items()), "pretrained=True"]
    return f"create_model({', '.join(arguments)})"
