"""Load a trained model and match it with a data set, so that both mean the same by each class."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from minivit.data import DataInfo, Dataset, load
from minivit.data.dataset import class_name
from minivit.data.registry import has_option
from minivit.data.relabel import relabel
from minivit.files import user_path
from minivit.models import keep_classes, unwrap_weights
from minivit.models.unwrap import load_weights
from minivit.options import did_you_mean, first_few, from_json
from minivit.tasks import find_task
from minivit.training.checkpoint import CHECKPOINT, WEIGHTS, is_safetensors, load_checkpoint, read_safetensors
from minivit.training.config import Config
from minivit.training.files import CheckpointError

log = logging.getLogger(__name__)


class Trained(NamedTuple):
    """A trained model with what is known about its run.

    Attributes
    ----------
    model
        The model, in evaluation mode.
    config
        Configuration of the run.
    data
        Its classes, and shape, mean and deviation of its images; None for a run of version 0.1, which didn't save them.
        There are no classes if nothing says which they are.
    """

    model: nn.Module
    config: Config
    data: DataInfo | None


def load_model(path: str | Path) -> tuple[nn.Module, Config]:
    """Rebuild a trained model; see :func:`load_trained`, which also says what it was trained on."""
    return load_trained(path)[:2]


def load_trained(path: str | Path) -> Trained:
    """Rebuild a trained model, in evaluation mode, from a run's folder, ``model.safetensors`` or ``checkpoint.pt``.

    If the run kept a moving average of the weights, the average is loaded.

    Raises
    ------
    CheckpointError
        Naming the file and what is wrong with it.
    """
    path = user_path(path)
    if path.is_dir():
        path = path / (WEIGHTS if (path / WEIGHTS).exists() else CHECKPOINT)
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; give a run's folder, its {WEIGHTS} or its {CHECKPOINT}")
    try:
        if is_safetensors(path):
            weights, header = read_safetensors(path)
            if "config" not in header:
                raise CheckpointError(f"{path} holds weights but not which model they are for; make it with "
                                      "create_model(...), and give it minivit.training.read_weights(...)")
            values, data = json.loads(header["config"]), json.loads(header.get("data", "null"))
        else:
            state = load_checkpoint(path)
            weights, values, data = state.get("average") or state["model"], state["config"], state.get("data")
        config = Config.from_dict(values)
        model = find_task(config.task).create_model(config.model, **config.model_options)
        load_weights(model, unwrap_weights(weights))
        return Trained(model.eval(), config, None if data is None else from_json(DataInfo, data, "the run's data"))
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path}: its header is not what minivit writes ({error}); use a {WEIGHTS} that minivit "
                              "wrote") from error
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit this version of minivit: {error}") from error


def choose_data(trained: Trained, **overrides: Any) -> Trained:
    """Let a model be evaluated on other images than those of its run.

    Parameters
    ----------
    trained
        The result of :func:`load_trained`.
    **overrides
        ``dataset`` and ``dataset_options``, as for :meth:`Config.override`. Options of the run's data set that the new
        one lacks are dropped.
    """
    config = trained.config
    if (dataset := overrides.get("dataset", config.dataset)) != config.dataset:
        kept = {name: value for name, value in config.dataset_options.items() if has_option(dataset, name)}
        config = replace(config, dataset=dataset, dataset_options=kept)
    return trained._replace(config=config.override(**overrides))


def load_data(trained: Trained, root: str | Path | None = None, classes: Sequence[str] | None = None,
              labels: str | Path | None = None) -> tuple[nn.Module, Dataset]:
    """Load the test images of a run and match them with the model, so that label k and logit k mean the same class.

    Classes that are numbers, such as the folders of ImageNet-V2, are positions among the model's, counted from 0.

    Parameters
    ----------
    trained
        The result of :func:`load_trained`.
    root
        Where the data sets are; None for the environment's ``MINIVIT_DATA``.
    classes
        Restrict the model and the images to these of its classes; an empty sequence means the classes that the data
        set has. None keeps all classes, and the data set must then have the same.
    labels
        ``real.json``, for :func:`minivit.data.relabel.relabel`: several classes may then be right for an image. None
        for the data set's own labels.

    Returns
    -------
    nn.Module, Dataset
        The model, with one logit per class, and the data set, normalised as in its training.

    Raises
    ------
    ValueError
        In one line, if classes or images differ from those of the training, and how; or if a single class is left.
    DataError
        If the data set is missing or damaged.
    """
    model, config, known = trained
    task = find_task(config.task)
    alone = {"only_test": True} if has_option(config.dataset, "only_test") else {}
    dataset = task.fit(load(config.dataset, root, **config.dataset_options | alone))
    if labels is not None and (known is None or not task.chooses_classes):
        raise ValueError(f"labels={str(labels)!r} needs a model that classifies images and says its classes")
    if known is None:
        return model, match_unknown(config, dataset, classes)
    if dataset.image_shape != known.image_shape:
        raise ValueError(f"images of {dataset.name} have shape {dataset.image_shape} (channels, height, width), the "
                         f"model was trained on {known.image_shape}")
    if (dataset.mean, dataset.std) != (known.mean, known.std):
        log.warning("images are normalised as in the model's training, with mean %s and std %s; those of %s are %s and "
                    "%s", known.mean, known.std, dataset.name, dataset.mean, dataset.std)
        dataset = replace(dataset, mean=known.mean, std=known.std)
    names = known.classes or assume_classes(model, dataset)
    dataset = name_by_number(names, dataset)
    chosen = choose_classes(names, dataset, classes)
    if not task.chooses_classes:
        if not tuple(chosen) == dataset.classes == names:
            raise ValueError(f"classes: a model for {config.task} can't choose among some of its classes, or have them "
                             f"in another order than {dataset.name}")
        return model, dataset
    if len(chosen) < 2:
        raise ValueError(f"classes: {chosen[0]!r} is the only one, and every answer would be right: choose two or more")
    kept, dataset = [names.index(name) for name in chosen], dataset.select_classes(chosen)
    if labels is not None:
        dataset = replace(dataset, test=relabel(dataset.test, labels, len(names), kept))
    return keep_classes(model, kept), dataset


def assume_classes(model: nn.Module, dataset: Dataset) -> tuple[str, ...]:
    """Assume that a model whose classes nobody names has those of the data set, in the order of their names."""
    names = sorted(dataset.classes, key=int if are_numbers(dataset.classes) else None)
    if len(names) != model.head.out_features:
        raise ValueError(f"{dataset.name} has {len(names)} classes ({listed(names)}), the model "
                         f"{model.head.out_features}: give --classes FILE, with the name of each logit in a line")
    log.warning("nothing says which classes the model knows; assuming those of %s, in this order: %s", dataset.name,
                listed(names))
    return tuple(names)


def name_by_number(known: Sequence[str], dataset: Dataset) -> Dataset:
    """Name classes that are numbers by the model's classes at these positions, unless those are numbers too."""
    if are_numbers(known) or not are_numbers(dataset.classes):
        return dataset
    if outside := [name for name in dataset.classes if int(name) >= len(known)]:
        raise ValueError(f"{dataset.name} has the class {outside[0]!r}, but the model's {len(known)} are "
                         "counted from 0")
    named = replace(dataset, classes=tuple(known[int(name)] for name in dataset.classes))
    log.warning("classes of %s are taken for the model's, counted from 0: %r for %r", dataset.name, dataset.classes[0],
                named.classes[0])
    return named


def are_numbers(names: Sequence[str]) -> bool:
    return all(name.isdecimal() for name in names) and len(set(map(int, names))) == len(names)


def choose_classes(known: Sequence[str], dataset: Dataset, classes: Sequence[str] | None) -> list[str]:
    """Return the classes to use, in the model's order; raise an error if ``classes`` and the data don't allow it."""
    if classes is None:
        if set(known) != set(dataset.classes):
            raise ValueError(f"the classes of {dataset.name} are not the model's: "
                             f"{differences(known, dataset.classes)}. Use the folders that it was trained on, or "
                             "choose some of the classes with --classes, or those that there are with --subset")
        return list(known)
    classes = list(map(class_name, classes))
    for name in classes:
        if name not in known:
            raise ValueError(f"classes: {name!r} is not a class of the model{did_you_mean(name, known)}")
        if name not in dataset.classes:
            raise ValueError(f"classes: {dataset.name} has no images of {name!r}{did_you_mean(name, dataset.classes)}")
    if not classes and (adds := [name for name in dataset.classes if name not in known]):
        raise ValueError(f"classes: those of {dataset.name} are not all classes of the model: {listed(adds)}")
    wanted = set(classes or dataset.classes)
    return [name for name in known if name in wanted]


def match_unknown(config: Config, dataset: Dataset, classes: Sequence[str] | None) -> Dataset:
    """Assume that a run that didn't save its classes had those of the data set, if their number matches."""
    if classes is not None:
        raise ValueError("classes can't be chosen: the run doesn't say which classes it was trained on. Runs of this "
                         "version do")
    if (known := config.model_options.get("num_classes", dataset.num_classes)) != dataset.num_classes:
        raise ValueError(f"{dataset.name} has {dataset.num_classes} classes ({listed(dataset.classes)}), the model was "
                         f"trained on {known}")
    log.warning("the run doesn't say which classes it was trained on; assuming those of %s: %s",
                dataset.name, listed(dataset.classes))
    return dataset


def differences(known: Sequence[str], classes: Sequence[str]) -> str:
    """Say which of the known classes are missing, and which classes are new."""
    sides = {"missing": [name for name in known if name not in classes],
             "new": [name for name in classes if name not in known]}
    return "; ".join(f"{side}: {listed(names)}" for side, names in sides.items() if names) or "another order"


def listed(names: Sequence[str]) -> str:
    return first_few(map(repr, names), 3)
