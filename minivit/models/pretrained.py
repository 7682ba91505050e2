"""The trained models: small ones come with the package, larger ones are downloaded on first use.

Each file of weights describes itself. It holds the weights, in float16 to keep it small; its header holds the run's
configuration, the folder of its record under ``results/``, and its accuracy. Small files are in ``weights/``. For the
others, ``weights/published.json`` repeats the header and adds the address and the checksum. Both are written by
``tools/pretrained.py``.
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

from minivit.files import user_path
from minivit.models.unwrap import load_weights
from minivit.options import image_sides

FOLDER = Path(__file__).parent / "weights"
TABLE = "published.json"
RATES = ("dropout", "drop_path")  # options that only matter in training: weights fit whatever their values


@dataclass(frozen=True)
class Asset:
    """Where to download a file that does not come with the package.

    Attributes
    ----------
    url
        Address of the file; None if it is not published yet.
    sha256
        Checksum in hexadecimal.
    num_bytes
        Size in bytes.
    """

    url: str | None
    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class Pretrained:
    """What the header of a file says; printed, it shows the call that creates the model.

    Attributes
    ----------
    file
        Name of the file.
    name, options
        Name and keyword arguments for :func:`minivit.models.create_model`, without the dropout rates.
    seed
        Seed of the run.
    record
        Folder of the run under ``results/``.
    test_top1
        Percentage of test images that the run's float32 weights classified correctly after the last epoch.
    asset
        Where to download the file; None if it comes with the package.
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
        """Where the file is, or will be after the download."""
        return (FOLDER if self.asset is None else weights_root()) / self.file

    def __str__(self) -> str:
        return call(self.name, self.options)


def weights_path(name: str, context: str) -> Path:
    """Return the path for the weights of a model that comes with the package."""
    return FOLDER / f"{name if context == 'none' else f'{name}_{context}'}.safetensors"


def weights_root() -> Path:
    """Return the folder for downloaded weights: ``MINIVIT_WEIGHTS``, or else ``~/.cache/minivit/weights``.

    Raises
    ------
    ValueError
        If it starts with the home of a user who has none.
    """
    return user_path(os.environ.get("MINIVIT_WEIGHTS") or Path("~", ".cache", "minivit", "weights"), "MINIVIT_WEIGHTS")


def list_pretrained() -> list[Pretrained]:
    """List the models that :func:`minivit.models.create_model` offers with ``pretrained=True``.

    Models that come with the package are listed first, then those that are downloaded on first use, each sorted by
    file name.

    Raises
    ------
    ValueError
        Naming the file, if one is damaged.
    """
    return [*map(read_header, sorted(FOLDER.glob("*.safetensors"))), *read_table()]


def read_header(path: Path) -> Pretrained:
    """Read the header of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        config = json.loads(header["config"])
        options = {name: value for name, value in config["model_options"].items() if name not in RATES}
        return Pretrained(path.name, config["model"], options, config["seed"], header["record"],
                          float(header["test_top1"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged or not a file of trained weights; install minivit again") from error


def read_table() -> list[Pretrained]:
    """Read the table of models that do not come with the package."""
    path = FOLDER / TABLE
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [Pretrained(**entry | {"asset": Asset(**entry["asset"])}) for entry in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); install minivit again") from error


def fetch(it: Pretrained) -> Path:
    """Return the file of a trained model, downloading and checking it first if need be.

    Raises
    ------
    DataError
        If the file is not published yet, cannot be downloaded, has the wrong checksum, or does not fit on the disk.
    """
    from minivit.data import DataError, download  # needed only for a download

    if it.asset is None:
        return it.path
    if it.asset.url is None and not it.path.exists():
        raise DataError(f"{it}: its weights are not published yet; train it with python -m minivit train results/"
                        f"{it.record}/run.json, or put the file {it.file} into {it.path.parent}")
    return download([it.asset.url] if it.asset.url else [], it.path, sha256=it.asset.sha256,
                    elsewhere="MINIVIT_WEIGHTS")


def load_pretrained(model: nn.Module, name: str, defaults: dict[str, Any], options: dict[str, Any]) -> nn.Module:
    """Load the trained weights of a model's architecture into it, and put it in evaluation mode.

    Weights that don't come with the package are downloaded first if need be. If the number of classes differs from the
    trained model's, the new, untrained head is kept.

    Parameters
    ----------
    model
        In float32, whatever the file holds.
    name, defaults, options
        What the model was made from: its name, the defaults of that name, and the options that override them.

    Raises
    ------
    ValueError
        If no file was trained with these options (``num_classes``, ``dropout`` and ``drop_path`` aside), listing those
        that exist; or if one is damaged.
    DataError
        If the weights are missing and cannot be downloaded.
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
