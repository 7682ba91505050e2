"""The configuration of a run: five groups of settings, each with its type, its range and its purpose.

The name of a setting occurs in only one group. So a :class:`Config` has all settings as attributes, and takes them by
name or by group and name: ``learning_rate``, ``optimizer.learning_rate``, or ``learning_rate`` in a mapping called
``optimizer``. A setting may have the name of a group; then a mapping is taken for the group, and any other value for
the setting.
"""

import inspect
import json
import os
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from minivit.options import did_you_mean, explain, range_in_words, type_in_words
from minivit.tasks import find_task
from minivit.tasks.augmentation import create_policy
from minivit.training.interval import Interval
from minivit.training.optimizer import OPTIMIZERS

OWNER = "a run's configuration"
Share = Annotated[float, Field(ge=0, lt=1)]
FromList = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)  # JSON has no tuples
settings = pydantic_dataclass(frozen=True, kw_only=True,
                              config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))


@settings
class DataConfig:
    """What to learn, and from which images."""

    task: str = Field("classification", description=(
        "What to learn: classification, or another key of minivit.tasks.TASKS."))
    dataset: str = Field("cifar100", description="Name for minivit.data.load.")
    dataset_options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments for it.")
    train_images: int | None = Field(None, ge=1, description=(
        "Train on this many images of the training set, always the same ones; None for all of them."))
    held_out_images: int = Field(0, ge=0, description=(
        "Hold out this many other images of the training set, always the same ones, and evaluate on them instead of "
        "the test set: for choosing settings. 0 to evaluate on the test set."))

    @field_validator("task")
    @classmethod
    def check_task(cls, task: str) -> str:
        find_task(task)
        return task


@settings
class ModelConfig:
    """The model to train."""

    model: str = Field("vit_nano_patch4_32", description="Name for minivit.models.create_model.")
    model_options: dict[str, Any] = Field(default_factory=dict, description=(
        "Keyword arguments for it; num_classes is the data set's."))
    frozen: Annotated[tuple[str, ...], FromList] = Field((), description=(
        "Parameters that keep their first values: names, or patterns for them, such as '*.attn.theta.*'."))
    patch_dropout: Annotated[tuple[Share, ...], FromList] = Field((0.0,), min_length=1, description=(
        "Fraction of patches to drop from each training image, chosen anew each time. Several numbers divide the run "
        "into as many equal stretches: (0.5, 0.0) drops half of the patches in its first half, none in its second."))


@settings
class OptimizerConfig:
    """What to minimise, and how."""

    optimizer: Literal[tuple(OPTIMIZERS)] = Field("adamw", description=(
        "adamw, or the optimiser of the matrices inside the blocks, such as muon; AdamW then updates the rest."))
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate after the warm-up, which begins at 0.")
    final_learning_rate: float = Field(1e-5, ge=0, description=(
        "Learning rate at the end, reached along half a cosine; at most learning_rate."))
    warmup_epochs: float = Field(5.0, ge=0, description=(
        "Epochs in which the learning rate grows linearly; at most epochs."))
    weight_decay: float = Field(0.05, ge=0, description="Weight decay, of matrices only, with either optimiser.")
    betas: Annotated[tuple[Share, Share], FromList] = Field((0.9, 0.999), description="Decay rates of AdamW.")
    clip_norm: float | None = Field(1.0, gt=0, description=(
        "Largest norm of the gradient, which is scaled down if it exceeds this; None for no limit."))
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Part of each target that is spread over all classes.")
    diagonality: float = Field(0.0, ge=0, description=(
        "Weight of minivit.analysis.diagonality_loss, whose mean over the less-attention layers with square maps is "
        "added to the cross-entropy. 0 is off."))
    diagonality_form: Literal["bounded", "printed", "reversed"] = Field("bounded", description=(
        "Form of the diagonality loss."))
    ema_decay: float | None = Field(None, gt=0, lt=1, description=(
        "Evaluate an exponential moving average of the weights with this decay, updated every step; None for the "
        "weights themselves."))

    @model_validator(mode="after")
    def check_final_rate(self) -> "OptimizerConfig":
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(f"final_learning_rate={self.final_learning_rate!r} must be in [0, learning_rate], and "
                             f"learning_rate is {self.learning_rate!r}")
        return self


@settings
class AugmentationConfig:
    """How training images are augmented before the model sees them."""

    repeats: int = Field(1, ge=1, description=(
        "Repeated augmentation (Hoffer et al., 2020): how many times an image occurs in a batch, augmented anew each "
        "time. An epoch keeps its length, so it has this many times fewer different images."))
    crop: Literal["shift", "random_resized"] = Field("shift", description=(
        "How to crop: shift moves an image by up to crop_padding pixels; random_resized scales a random part of it to "
        "the size of the whole (as in DeiT). Images in files are cropped while they are read."))
    crop_padding: int = Field(4, ge=0, description="Largest shift, in pixels.")
    smallest_crop: float = Field(0.08, gt=0, le=1, description=(
        "Smallest share of an image's area that random_resized keeps."))
    flip: bool = Field(True, description="Whether to mirror images left to right, half of the time.")
    augmentation: Literal["none", "randaugment", "trivialaugment"] = Field("none", description=(
        "Augmentation after crop and flip: randaugment (as in DeiT), trivialaugment or none."))
    augmentation_options: dict[str, Any] = Field(default_factory=dict, description=(
        "Keyword arguments for it: operations, magnitude, noise and probability of randaugment."))
    erasing: float = Field(0.0, ge=0, le=1, description="Probability of replacing a box of an image by noise.")
    mixup: float = Field(0.0, ge=0, description=(
        "Alpha of Mixup; 0 is off. If CutMix is on too, each batch uses one of the two at random."))
    cutmix: float = Field(0.0, ge=0, description="Alpha of CutMix; 0 is off.")

    @model_validator(mode="after")
    def check_augmentation(self) -> "AugmentationConfig":
        create_policy(self.augmentation, self.augmentation_options)
        return self


@settings
class RunConfig:
    """How long to run, from which seed, in which precision, and how often to evaluate and save."""

    epochs: int = Field(300, ge=1, description="Passes over the training images.")
    batch_size: int = Field(128, ge=1, description=(
        "Images per step, over all processes. Images that don't fill a batch are left out of an epoch, different ones "
        "each time, so that all steps have the same shape."))
    accumulate: int = Field(1, ge=1, description=(
        "Number of parts in which a process handles its share of a batch, one after the other, so that a small machine "
        "can take the same steps as a large one."))
    recompute: bool = Field(False, description=(
        "Save memory by computing each block a second time in the backward pass, from what went into it, instead of "
        "keeping what was computed inside (activation checkpointing). The steps are the same and take a third longer."))
    seed: int = Field(0, ge=0, description="Seed of the initial weights, the order of images and all random draws.")
    precision: Literal["auto", "float32", "bfloat16"] = Field("float32", description=(
        "float32, bfloat16 for autocast, or auto: bfloat16 if the device multiplies it in hardware."))
    compile: Literal["none", "default"] = Field("none", description=(
        "none, or default: use torch.compile on the blocks, which share their code, and on the augmentation."))
    cuda_graph: bool = Field(True, description=(
        "On an NVIDIA GPU, record a whole step once for each number of patches, and replay it. It has no effect on "
        "other devices, with more than one process, with accumulate or with recompute."))
    deterministic: bool = Field(True, description=(
        "On a GPU, use kernels that give the same bits each time, so that a resumed run ends with the weights of one "
        "that was never stopped. Those of a CPU always do."))
    evaluate_every: int | str = Field(1, description=(
        "Epochs between evaluations, at least 1; or seconds, such as '90s', checked at the end of each epoch. The "
        "last epoch is always evaluated."))
    save_every: int | str = Field(1, description=(
        "Epochs between checkpoints, at least 1; or seconds, such as '90s'. The last epoch is always saved."))

    @field_validator("evaluate_every", "save_every")
    @classmethod
    def check_interval(cls, value: int | str, info: ValidationInfo) -> int | str:
        Interval(info.field_name, value)
        return value


@settings
class Groups(RunConfig, AugmentationConfig, OptimizerConfig, ModelConfig, DataConfig):
    """All groups, with the fields of the last one first, and checks across groups."""

    @model_validator(mode="after")
    def check_warmup(self) -> "Groups":
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs={self.warmup_epochs!r} must be in [0, epochs], and epochs is "
                             f"{self.epochs!r}")
        return self


FIELDS = Groups.__pydantic_fields__
GROUPS = {"data": DataConfig, "model": ModelConfig, "optimizer": OptimizerConfig, "augmentation": AugmentationConfig,
          "run": RunConfig}
GROUP_OF = {name: group for group, its in GROUPS.items() for name in its.__pydantic_fields__}


@dataclass(frozen=True, init=False)
class Config(Groups):
    """Everything that determines the results of a run, which excludes data folder, output folder and device.

    The settings are in five groups, whose name may precede that of a setting: ``Config(learning_rate=1e-3)``,
    ``Config(optimizer={"learning_rate": 1e-3})`` and, on the command line, ``optimizer.learning_rate=1e-3`` are the
    same. ``print(config)`` shows the names with their groups.

    Raises
    ------
    ValueError
        In one line, if a name is unknown or given twice, or a value has the wrong type or is out of range.
    """

    def __init__(self, **values: Any):
        values = merge({}, values)
        try:
            super().__init__(**values)
        except ValidationError as error:
            errors = error.errors()
            name = next(iter(errors[0]["loc"]), None)  # none if it's about two fields
            errors = [each for each in errors if next(iter(each["loc"]), None) == name]
            raise ValueError(explain(errors, name, values.get(name), FIELDS.get(name), OWNER)) from None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Create a configuration from the values in a recipe or ``run.json``, with defaults for the rest."""
        if not isinstance(values, Mapping):
            raise ValueError(f"{OWNER} must be a mapping of names to values, not {values!r}")
        return cls(**merge({}, values))

    def override(self, **values: Any) -> "Config":
        """Return a copy with ``values`` replaced; options of model and data set are merged."""
        return type(self)(**merge(vars(self), values))

    def __str__(self) -> str:
        return "\n".join(f"{group}.{name}={getattr(self, name)!r}" for name, group in GROUP_OF.items())


def merge(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``base``, whose keys are field names, updated with ``values``."""
    merged = dict(base)
    for (*way, last), value in places(values).items():
        inside = merged
        for name in way:
            inside[name] = dict(inside[name]) if isinstance(inside.get(name), Mapping) else {}
            inside = inside[name]
        inside[last] = os.fspath(value) if isinstance(value, os.PathLike) else value  # a record is JSON, without paths
    return merged


def places(values: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return each value by its place: the name of its field and, inside options, the keys that lead to it.

    Raises
    ------
    ValueError
        If a name is unknown, or two names mean the same place.
    """
    found: dict[tuple[str, ...], Any] = {}
    for place, value in find_places(values):
        if any(place[:len(other)] == other[:len(place)] for other in found):
            raise ValueError(f"{'.'.join(map(str, place))}={value!r} is given twice, under two names; leave one out")
        found[place] = value
    return found


def find_places(values: Mapping[str, Any], group: str | None = None) -> Iterator[tuple[tuple[str, ...], Any]]:
    known = GROUPS[group].__pydantic_fields__ if group else FIELDS
    for key, value in values.items():
        name, *inside = str(key).split(".")
        is_mapping = isinstance(value, Mapping)
        if group is None and name in GROUPS and (inside or is_mapping):
            yield from find_places({".".join(inside): value} if inside else value, name)
        elif name not in known:
            begin = f"{group}." if group else ""
            alike = [*known, *GROUPS] if inside or is_mapping else known
            hint = (f" (did you mean '{GROUP_OF[name]}.{name}'?)" if name in GROUP_OF else did_you_mean(name, alike))
            raise ValueError(f"{begin}{key}={value!r} is not an option of {OWNER}{hint}; allowed: "
                             f"{', '.join(begin + name for name in known)}")
        elif is_mapping and not inside and name.endswith("_options"):
            yield from (((name, option), its) for option, its in value.items())
        else:
            yield (name, *inside), value


def changed_settings(before: Config, now: Config) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, and options one by one, each with its value before and now.

    A tuple and a list of the same values don't differ: what went through JSON has lists.
    """
    old, new = flatten(asdict(before)), flatten(asdict(now))
    return {name: (old.get(name), new.get(name)) for name in new | old
            if json.dumps(old.get(name)) != json.dumps(new.get(name))}


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        flat |= {f"{name}.{key}": x for key, x in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def describe_setting(name: str) -> str:
    """Describe a setting and the values it takes."""
    its = FIELDS[name]
    allowed = range_in_words(its)
    return its.description + (f" Allowed: {allowed}." if allowed else "")


def document() -> str:
    """Return a section for each group, with a paragraph for each of its settings."""
    lines = []
    for group, its in GROUPS.items():
        lines += ["", group, "-" * len(group), f"{its.__doc__}", ""]
        for name, field in its.__pydantic_fields__.items():
            default = field.get_default(call_default_factory=True)
            about = f"{name} : {type_in_words(field.annotation)}, by default {default!r}"
            lines += [about, textwrap.indent(textwrap.fill(describe_setting(name), 100), "    ")]
    return "\n".join(lines)


Config.__doc__ = f"{inspect.cleandoc(Config.__doc__ or '')}\n{document()}"
