"""Load weights that others published: the file itself doesn't say which model, classes and images they are for."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

from minivit.data import DataInfo
from minivit.data.preprocessing import FILES, Preprocessing, parse_preprocessing, read_preprocessing
from minivit.data.registry import OWN
from minivit.files import user_path
from minivit.models import create_model
from minivit.models.registry import MODELS
from minivit.models.unwrap import load_weights
from minivit.options import check_options
from minivit.training.checkpoint import is_safetensors, read_weights
from minivit.training.config import Config
from minivit.training.files import CheckpointError
from minivit.training.trained import Trained, listed

DEIT = {"crop_pct": 0.875}
GOOGLE = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "crop_pct": 0.9}
GOOGLE_LARGE = GOOGLE | {"crop_pct": 1.0}  # at more than 224 pixels
GOOGLE_TAGS = ("augreg", "orig_", "goog_", "sam_")  # timm's, as in vit_small_patch16_224.augreg_in21k_ft_in1k
PRETRAINED_CFG = "pretrained_cfg"  # timm's name for it

log = logging.getLogger(__name__)


def load_published(path: str | Path, model: str, *, model_options: Mapping[str, Any] | None = None,
                   classes: Sequence[str] | None = None, dataset: str = "imagefolder",
                   dataset_options: Mapping[str, Any] | None = None) -> Trained:
    """Load published weights, so that they can be evaluated like a run.

    How images are prepared is read from the first of: the file that ``dataset_options`` name as ``preprocessing``;
    ``pretrained_cfg`` in the header of the weights, as JSON; ``preprocessor_config.json`` or ``config.json`` beside
    them. Without these it is as for Google's ViTs, 0.5 and 0.5, if timm's tag says that the weights are theirs, and
    else as for DeiT: ImageNet's mean and deviation. In both cases it's the centre of an image that is scaled
    bicubically, to 1 / 0.9 or 1 / 0.875 of the model's size; for Google's of more than 224 pixels, as timm
    1.0 has them in ``models/vision_transformer.py``, to just this size.

    Parameters
    ----------
    path
        A ``.safetensors`` file, or what ``torch.save`` wrote, with timm's names for the weights.
    model
        Its name: one of :func:`minivit.models.list_models`, or timm's name for it, with or without a tag, in which
        ``deit_`` stands for ``vit_``: the two differ only in their training.
    model_options
        Keyword arguments for :func:`minivit.models.create_model`, such as ``image_size``.
    classes
        Name of each logit. None if nothing says them: they are then assumed to be the data set's.
    dataset, dataset_options
        The test images, ``imagefolder`` or ``shards``, and options of this data set. They take precedence over what is
        said above.

    Returns
    -------
    Trained
        The model, in evaluation mode; a configuration with the data set; and what the model knows of its data.

    Raises
    ------
    CheckpointError
        Naming the file, if it can't be read, has no weights or doesn't fit the model.
    ValueError
        If the model, an option or the number of classes is wrong.
    DataError
        If a file says in a wrong way how to prepare images.
    """
    if dataset not in OWN:
        raise ValueError(f"dataset={dataset!r} is not for published weights: use {' or '.join(OWN)}")
    path, given = user_path(path), dict(dataset_options or {})
    weights = read_weights(path)
    header = read_header(path)
    if "data" in header:
        raise CheckpointError(f"{path} says itself what it is: give it as the run's weights, without the model's name")
    num_logits = len(weights.get("head.bias", ()))
    check_classes(classes, num_logits, path)
    name = own_name(model)
    options = ({"num_classes": num_logits} if num_logits else {}) | dict(model_options or {})
    network = create_model(name, **options)
    try:
        load_weights(network, weights)
    except ValueError as error:
        raise CheckpointError(f"{path} is not of {name}: {error}") from None
    shape = next(module.image_shape for module in network.modules() if hasattr(module, "image_shape"))
    how = choose_preprocessing(path, header, shape[1:], given, tag=model.partition(".")[2])
    config = Config(model=name, model_options=options, dataset=dataset, dataset_options=given | vars(how))
    return Trained(network.eval(), config, DataInfo(tuple(classes or ()), shape, how.mean, how.std))


def own_name(name: str) -> str:
    """Return our name for a model of timm's."""
    own = name.partition(".")[0].replace("deit_", "vit_", 1)
    return own if own in MODELS else name


def check_classes(classes: Sequence[str] | None, num_logits: int, path: Path) -> None:
    if classes is not None and num_logits and len(classes) != num_logits:
        raise ValueError(f"classes: there are {len(classes)} names ({listed(classes)}), but {path} has {num_logits} "
                         "logits; give a name for each, in their order")
    if twice := [name for i, name in enumerate(classes or ()) if name in classes[:i]]:
        raise ValueError(f"classes: {twice[0]!r} is listed twice; use names that differ, such as WordNet ids")


def choose_preprocessing(path: Path, header: Mapping[str, str], image_size: Sequence[int], given: dict[str, Any],
                         tag: str = "") -> Preprocessing:
    """Return how images are prepared, and remove from ``given`` what says so."""
    file = given.pop("preprocessing", None)
    values = {each.name: given.pop(each.name) for each in fields(Preprocessing) if given.get(each.name) is not None}
    check_options(Preprocessing, values, "published weights")
    if file is not None:
        how = read_preprocessing(file)
    elif PRETRAINED_CFG in header:
        how = parse_preprocessing(header[PRETRAINED_CFG], f"{PRETRAINED_CFG} in the header of {path}")
    elif any((path.parent / name).is_file() for name in FILES):
        how = read_preprocessing(path.parent)
    else:
        of_google = tag.startswith(GOOGLE_TAGS)
        of_its_size = GOOGLE_LARGE if max(image_size) > 224 else GOOGLE
        how = Preprocessing(tuple(image_size), **of_its_size if of_google else DEIT)
        guessed = [name for name in ("mean", "std", "crop_pct") if name not in values]
        if assumed := ", ".join(f"{name}={getattr(how, name)}" for name in guessed):
            log.warning("nothing says how to prepare images for %s; assuming %s, as for %s", path, assumed,
                        "Google's ViTs" if of_google else "DeiT")
    return replace(how, **values)


def read_header(path: Path) -> dict[str, str]:
    """Return the header of a safetensors file that can be read; of other files nothing."""
    if not is_safetensors(path):
        return {}
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}
