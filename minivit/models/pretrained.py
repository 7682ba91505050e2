"""The trained models: small ones travel with the package, larger ones are fetched when they are first asked for.

A file of weights says itself what it is. It holds the weights, in float16 to be small, and in its header the
configuration of the run, the folder of its record under ``results/`` and its accuracy. Small files are in ``weights/``;
``weights/published.json`` says of the others what their header says, and their address and checksum. Both are written
by ``tools/pretrained.py``.
"""

import inspect
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from minivit.models.unwrap import load_weights
from minivit.options import folder_path, image_sides

FOLDER = Path(__file__).parent / "weights"
TABLE = "published.json"
RATES = ("dropout", "drop_path")  # options that act in training alone: weights fit whatever they are


@dataclass(frozen=True)
class Asset:
    """Where a file is fetched from that does not come with the package.

    Attributes
    ----------
    url
        Its address; None as long as it is not published.
    sha256
        Its checksum, in hexadecimal.
    num_bytes
        Its size.
    """

    url: str | None
    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class Pretrained:
    """What the header of a file says; printed, it is the call that gives the model.

    Attributes
    ----------
    file
        Name of the file.
    name, options
        Name and keyword arguments for :func:`minivit.models.create_model`, the rates of dropout left out.
    seed
        Of the run.
    record
        Folder of the run under ``results/``.
    test_top1
        Per cent of the test images that the run's float32 weights classified right after the last epoch.
    asset
        Where it is fetched from; None if it comes with the package.
    """

    file: str
    name: str
    options: dict[str, Any]
    seed: int
    record: str
    test_top1: float
    asset: Asset | None = None

    @property
    def path(self) -> Path:
        """Where the file is, or will be once it is fetched."""
        return (FOLDER if self.asset is None else weights_root()) / self.file

    def __str__(self) -> str:
        return call(self.name, self.options)


def weights_path(name: str, context: str) -> Path:
    """Return where the weights of a model go."""
    return FOLDER / f"{name if context == 'none' else f'{name}_{context}'}.safetensors"


def weights_root() -> Path:
    """Return the folder for weights that are fetched: ``MINIVIT_WEIGHTS``, else ``~/.cache/minivit/weights``.

    Raises
    ------
    ValueError
        If it begins with the home of a user who has none.
    """
    return folder_path("MINIVIT_WEIGHTS", os.environ.get("MINIVIT_WEIGHTS")
                       or Path("~", ".cache", "minivit", "weights"))


def list_pretrained() -> list[Pretrained]:
    """Return what :func:`minivit.models.create_model` makes with ``pretrained=True``.

    First what comes with the package, then what is fetched when it is first asked for; each sorted by file.

    Raises
    ------
    ValueError
        Naming a file that is damaged.
    """
    return [*map(read_header, sorted(FOLDER.glob("*.safetensors"))), *read_table()]


def read_header(path: Path) -> Pretrained:
    """Read what a file says of itself."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        config = json.loads(header["config"])
        options = {name: value for name, value in config["model_options"].items() if name not in RATES}
        return Pretrained(path.name, config["model"], options, config["seed"], header["record"],
                          float(header["test_top1"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged, or no file of trained weights; install minivit again") from error


def read_table() -> list[Pretrained]:
    """Read what there is beside the files of the package."""
    path = FOLDER / TABLE
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [Pretrained(**entry | {"asset": Asset(**entry["asset"])}) for entry in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); install minivit again") from error


def fetch(it: Pretrained) -> Path:
    """Return the file of a trained model, which is fetched and checked if it is not here yet.

    Raises
    ------
    DataError
        In one line, if it is not published yet, cannot be fetched, is another file than was trained, or there is no
        room for it.
    """
    from minivit.data import DataError, download  # whoever has the file, or wants none, needs neither

    if it.asset is None:
        return it.path
    if it.asset.url is None and not it.path.exists():
        raise DataError(f"{it}: its weights are not published yet; train it with python -m minivit train results/"
                        f"{it.record}/run.json, or put the file {it.file} into {it.path.parent}")
    return download([it.asset.url] if it.asset.url else [], it.path, sha256=it.asset.sha256,
                    elsewhere="MINIVIT_WEIGHTS")


def load_pretrained(model: nn.Module, name: str, defaults: dict[str, Any], options: dict[str, Any]) -> nn.Module:
    """Give a model the trained weights of its architecture, and put it in evaluation mode.

    Weights that don't come with the package are fetched first, if they are not here yet.

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
    DataError
        If they are not here and can't be fetched.
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
    path = fetch(fitting[0])
    try:
        weights = load_file(path)
        if (defaults | options)["num_classes"] != (defaults | fitting[0].options)["num_classes"]:
            head = {f"head.{name}": tensor for name, tensor in model.head.state_dict().items()}
            weights = {name: tensor for name, tensor in weights.items() if not name.startswith("head.")} | head
        load_weights(model, weights)
    except ValueError as error:
        raise ValueError(f"{path} does not fit this version of minivit: {error}") from error
    return model.eval()


def call(name: str, options: dict[str, Any]) -> str:
    arguments = [repr(name), *(f"{option}={value!r}" for option, value in options.items()), "pretrained=True"]
    return f"create_model({', '.join(arguments)})"
