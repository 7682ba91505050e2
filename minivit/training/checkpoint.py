"""Files that are whole or not there: checkpoints, weights and records."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from minivit.models import create_model
from minivit.training.config import Config

CHECKPOINT, WEIGHTS = "checkpoint.pt", "model.safetensors"


class CheckpointError(Exception):
    """A checkpoint that cannot be written or read; the message names the file and the way out."""


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a file beside ``path``, flush it to the disk, and only then give it the name ``path``.

    Raises
    ------
    CheckpointError
        If it cannot be written. A file that was there before is still there, unchanged.
    """
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError, SafetensorError) as error:  # a full disk is a RuntimeError to torch.save
        part.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise CheckpointError(f"cannot write {path}: {reason}; free some space or choose another folder") from error


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON."""
    write_whole(path, lambda part: part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8"))


def save_weights(path: Path, model: nn.Module, config: Config) -> None:
    """Write a model's weights as safetensors, with the configuration that rebuilds it in the header."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    header = {"config": json.dumps(asdict(config))}
    write_whole(path, lambda part: part.write_bytes(save(tensors, metadata=header)))


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write all that is needed to resume."""
    write_whole(path, lambda part: torch.save(state, part))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote; only tensors and plain values are admitted, no code.

    Raises
    ------
    CheckpointError
        If the file is missing, cut off, of another kind, or a pickle with code in it.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} is damaged, or holds more than tensors and plain values; it was not loaded. "
                              "Use a checkpoint that minivit wrote") from error
    except Exception as error:  # bytes that are no checkpoint fail in as many ways as there are bytes
        raise CheckpointError(f"{path} cannot be read: it is damaged or cut off, or no checkpoint. "
                              f"Train again, or use {WEIGHTS} if it stands beside it") from error
    if not isinstance(state, dict) or not {"config", "step", "model", "optimizer"} <= state.keys():
        raise CheckpointError(f"{path} is not a checkpoint of minivit")
    return state


def load_model(path: str | Path) -> tuple[nn.Module, Config]:
    """Rebuild a trained model, in evaluation mode, from a run's folder, ``model.safetensors`` or ``checkpoint.pt``.

    Where the run kept a moving average of the weights, it is the average that is loaded.

    Raises
    ------
    CheckpointError
        Naming the file and what is wrong with it.
    """
    path = Path(path)
    if path.is_dir():
        path = path / (WEIGHTS if (path / WEIGHTS).exists() else CHECKPOINT)
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; give a run's folder, its {WEIGHTS} or its {CHECKPOINT}")
    weights, values = read_safetensors(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    try:
        config = Config.from_dict(values)
        model = create_model(config.model, **config.model_options)
        model.load_state_dict(weights)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit this version of minivit: {error}") from error
    return model.eval(), config


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or cut off, or no safetensors file; train again") from error
    if "config" not in header:
        raise CheckpointError(f"{path} holds weights but not which model they are for; "
                              f"use create_model(...).load_state_dict(...), or a {WEIGHTS} that minivit wrote")
    return weights, json.loads(header["config"])


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    state = load_checkpoint(path)
    return state["average"] or state["model"], state["config"]
