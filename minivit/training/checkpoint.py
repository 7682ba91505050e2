"""Checkpoints, from which a run resumes, and files of weights."""

import argparse
import json
import pickle
import re
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from minivit.data import DataInfo
from minivit.files import user_path
from minivit.models import unwrap_weights
from minivit.training.config import Config
from minivit.training.files import CheckpointError, write_whole
from minivit.wrappers import unwrap

CHECKPOINT, WEIGHTS = "checkpoint.pt", "model.safetensors"


def save_weights(path: Path, model: nn.Module, config: Config, data: DataInfo | None = None) -> None:
    """Write a model's weights as safetensors, with its configuration, images and classes described in the header."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in unwrap(model).state_dict().items()}
    header = {"config": json.dumps(asdict(config))} | ({"data": json.dumps(asdict(data))} if data else {})
    write_whole(path, lambda part: part.write_bytes(pack_weights(tensors, header)))


def pack_weights(tensors: dict[str, Tensor], header: dict[str, str]) -> bytes:
    """Return the content of a safetensors file: the same bytes for the same weights (the library shuffles headers)."""
    content = save(tensors, metadata=header)
    end = 8 + int.from_bytes(content[:8], "little")
    about = json.loads(content[8:end]) | {"__metadata__": header}
    text = json.dumps(about, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers after it are aligned
    return len(text).to_bytes(8, "little") + text + content[end:]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write everything needed to resume a run."""
    def write(part: Path) -> None:
        with open(part, "wb") as file:  # if the disk is full, Python's error says so, and torch's doesn't
            torch.save(state, file)

    write_whole(path, write)


class Writer:
    """Runs functions that write to the disk in a thread, one at a time, so that training needn't wait for them.

    Leaving the ``with`` block waits for the last one. An error in one is raised by the next call or at the end.
    """

    def __init__(self):
        self.pool, self.last = ThreadPoolExecutor(1, thread_name_prefix="minivit-checkpoint"), None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.pool.shutdown()
        if error is None:
            self.wait()

    def wait(self) -> None:
        """Wait for the last write."""
        if self.last:
            last, self.last = self.last, None
            last.result()

    def submit(self, write: Callable[..., Any], *arguments: Any) -> None:
        """Start the next write once the last one is done."""
        self.wait()
        self.last = self.pool.submit(write, *arguments)


def snapshot(state: Any) -> Any:
    """Copy every tensor of a state to the CPU, so that training doesn't change it while it is being written."""
    return tree_map(lambda leaf: leaf.detach().to("cpu", copy=True) if isinstance(leaf, Tensor) else leaf, state)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote; only tensors and plain values are loaded, never code.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, not a checkpoint, or a pickle that contains code.
    """
    state = read_pickle(path)
    if not isinstance(state, dict) or not {"config", "step", "model", "optimizer"} <= state.keys():
        raise CheckpointError(f"{path} is not a checkpoint of minivit{_what_else(state)}")
    return state


def read_weights(path: str | Path, key: str | None = None) -> dict[str, Tensor]:
    """Read the weights in a file, by name, whichever tool wrote it.

    Whatever training tools wrap around weights is removed: see :func:`minivit.models.unwrap_weights`. You create the
    model for them yourself::

        model = create_model("vit_small_patch16_224")
        model.load_state_dict(read_weights("deit_small_patch16_224.pth"))

    Parameters
    ----------
    path
        A safetensors file, or what ``torch.save`` wrote: tensors and plain values, no code.
    key
        Which set of weights to read, if the file has more than one: ``"model_ema"``, ...

    Raises
    ------
    CheckpointError
        If the file is missing or damaged, has no weights, or has several sets of them and no ``key`` is given.
    """
    path = user_path(path)
    content = read_safetensors(path)[0] if is_safetensors(path) else read_pickle(path)
    if key is not None:
        if not isinstance(content, dict) or key not in content:
            raise CheckpointError(f"{path} has no {key!r}; it has {', '.join(map(repr, list(content)[:5]))}")
        content = content[key]
    try:
        return unwrap_weights(content)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def is_safetensors(path: Path) -> bool:
    """Say whether a file has the format of safetensors: by its first bytes, or else by its name."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError:
        start = b""
    by_name = path.suffix.lower() == ".safetensors" and not start.startswith((b"PK", b"\x80"))  # of a zip, or a pickle
    return start[8:] == b"{" or by_name


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read weights and header."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118, no dict
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or cut off, or not a safetensors file; copy it again, or train again"
                              ) from error


def read_pickle(path: Path) -> Any:
    """Read what ``torch.save`` wrote, if it holds only tensors and plain values, or argparse's settings of a run."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: name the file of weights")
    try:
        with (open(path, "rb") as file, torch.serialization.safe_globals([argparse.Namespace]),
              warnings.catch_warnings()):
            warnings.simplefilter("ignore")  # of old formats
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        raise CheckpointError(f"{path} is damaged, or holds more than tensors and plain values"
                              f"{f' ({found[1]})' if found else ''}; it was not loaded. Use a checkpoint that minivit "
                              "wrote, or a file with the weights alone") from error
    except Exception as error:  # arbitrary bytes can make torch.load fail in any way
        raise CheckpointError(f"{path} cannot be read: it is damaged or cut off, or not a checkpoint. Copy it again, "
                              f"train again, or use {WEIGHTS} if it is next to it") from error


def _what_else(state: Any) -> str:
    try:
        unwrap_weights(state)
    except ValueError:
        return ""
    wrapped = [] if not isinstance(state, dict) else [key for key in state if isinstance(state[key], dict)]
    return (f": it holds weights{f' under {wrapped[0]!r}' if wrapped else ''}, but not which model they are for; make "
            "it with create_model(...), and give it minivit.training.read_weights(...)")
