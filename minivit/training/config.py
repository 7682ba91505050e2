"""What a run is made of: five groups of settings, each with its type, its range and what it is for.

The name of a setting is in one group alone. So a :class:`Config` has all of them by name, and takes them by name or by
group and name: ``learning_rate``, ``optimizer.learning_rate``, or ``learning_rate`` in a mapping called ``optimizer``.
A setting may be called like a group; a mapping is meant for the group then, and anything else for the setting.
"""

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from minivit.training.interval import Interval
from minivit.training.optimizer import OPTIMIZERS

OWNER = "a run's configuration"
Share = Annotated[float, Field(ge=0, lt=1)]
FromList = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)  # JSON has no tuples
settings = pydantic_dataclass(frozen=True, kw_only=True,
                              config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))


@settings
class DataConfig:
    """What is learnt, from which images."""

    task: str = Field("classification", description=(
        "What is to be learnt: classification, or another key of minivit.tasks.TASKS."))
    dataset: str = Field("cifar100", description="Name for minivit.data.load.")
    dataset_options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments for it.")
    train_images: int | None = Field(None, ge=1, description=(
        "Train on this many images, drawn once and for all from the training set; None for all of them."))
    held_out_images: int = Field(0, ge=0, description=(
        "Keep so many other images of the training set, the same ones always, out of training, and evaluate on them in "
        "place of the test set: for choosing settings. 0 for the test set."))

    @field_validator("task")
    @classmethod
    def check_task(cls, task: str) -> str:
        find_task(task)
        return task


@settings
class ModelConfig:
    """What is trained."""

    model: str = Field("vit_nano_patch4_32", description="Name for minivit.models.create_model.")
    model_options: dict[str, Any] = Field(default_factory=dict, description=(
        "Keyword arguments for it; num_classes is the data set's."))
    patch_dropout: Annotated[tuple[Share, ...], FromList] = Field((0.0,), min_length=1, description=(
        "Share of the patches that each training image loses, others each time; with more than one number the run has "
        "as many equal stretches: (0.5, 0.0) is half of the patches in its first half, all in its second."))


@settings
class OptimizerConfig:
    """What is minimised, and by which steps."""

    optimizer: Literal[tuple(OPTIMIZERS)] = Field("adamw", description=(
        "adamw; or what steps the matrices inside the blocks, such as muon, with AdamW for the rest."))
    learning_rate: float = Field(1e-3, gt=0, description="Where the rate is after the warm-up, which begins at 0.")
    final_learning_rate: float = Field(1e-5, ge=0, description=(
        "Where it ends, along half a cosine; no more than learning_rate."))
    warmup_epochs: float = Field(5.0, ge=0, description="How long the rate grows linearly; no more than epochs.")
    weight_decay: float = Field(0.05, ge=0, description="Decay of the matrices, and no others, whatever steps them.")
    betas: Annotated[tuple[Share, Share], FromList] = Field((0.9, 0.999), description="Decay rates of AdamW.")
    clip_norm: float | None = Field(1.0, gt=0, description=(
        "Gradients longer than this are shortened to it; None for no limit."))
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Share of each target that is spread over all classes.")
    diagonality: float = Field(0.0, ge=0, description=(
        "Weight of minivit.analysis.diagonality_loss, which is added to the cross-entropy: the mean over the "
        "less-attention layers whose maps are square. 0 is off."))
    diagonality_form: Literal["bounded", "printed"] = Field("bounded", description="Its form.")
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
    """What happens to a training image before the model sees it."""

    repeats: int = Field(1, ge=1, description=(
        "Repeated augmentation (Hoffer et al., 2020): so often an image stands in a batch, augmented anew each time. "
        "An epoch keeps its length and has as many images fewer."))
    crop_padding: int = Field(4, ge=0, description="Largest shift, in pixels.")
    flip: bool = Field(True, description="Whether to mirror left to right, every other time.")
    augmentation: Literal["none", "randaugment", "trivialaugment"] = Field("none", description=(
        "randaugment as DeiT has it, trivialaugment, or none, after crop and flip."))
    erasing: float = Field(0.0, ge=0, le=1, description="Chance that a box of an image is replaced by noise.")
    mixup: float = Field(0.0, ge=0, description="Its alpha; 0 is off. With CutMix on too, a coin decides for a batch.")
    cutmix: float = Field(0.0, ge=0, description="Its alpha; 0 is off.")


@settings
class RunConfig:
    """How long it runs, from which seed, in which arithmetic, and how often it is looked at."""

    epochs: int = Field(300, ge=1, description="Passes over the training images.")
    batch_size: int = Field(128, ge=1, description=(
        "Images a step, of all processes together. Those that do not fill a batch are left out of an epoch, others "
        "each time, so that all steps have one shape."))
    accumulate: int = Field(1, ge=1, description=(
        "Parts in which a process takes its share of a batch, one after the other: so a small machine takes the same "
        "steps as a large one."))
    seed: int = Field(0, ge=0, description="Of the first weights, the order of the images and every random draw.")
    precision: Literal["auto", "float32", "bfloat16"] = Field("float32", description=(
        "float32, bfloat16 for autocast, or auto: bfloat16 where the device multiplies it in hardware."))
    compile: Literal["none", "default"] = Field("none", description=(
        "none, or default: torch.compile of the blocks, which share their code, and of the augmentation."))
    cuda_graph: bool = Field(True, description=(
        "On an NVIDIA GPU, record a whole step once for each number of patches, and replay it. Elsewhere, with more "
        "than one process, and with accumulate, it does nothing."))
    deterministic: bool = Field(True, description=(
        "On a GPU, use kernels that give the same bits each time, so that a resumed run ends in the weights of one "
        "that was never stopped. A CPU's always do."))
    evaluate_every: int | str = Field(1, description=(
        "Epochs from one evaluation to the next, at least 1; or seconds, such as '90s', which are up at the end of an "
        "epoch. The last epoch has one."))
    save_every: int | str = Field(1, description=(
        "Epochs from one checkpoint to the next, at least 1; or seconds, such as '90s'. The last epoch has one."))

    @field_validator("evaluate_every", "save_every")
    @classmethod
    def check_interval(cls, value: int | str, info: ValidationInfo) -> int | str:
        Interval(info.field_name, value)
        return value


@settings
class Groups(RunConfig, AugmentationConfig, OptimizerConfig, ModelConfig, DataConfig):
    """All groups, the last one's fields first, and what must hold between fields of different ones."""

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
    """Everything that decides the numbers of a run; data folder, output folder and device do not.

    The settings stand in five groups, which a name may begin with: ``Config(learning_rate=1e-3)``,
    ``Config(optimizer={"learning_rate": 1e-3})`` and, on the command line, ``optimizer.learning_rate=1e-3`` are the
    same. ``print(config)`` shows them so.

    Raises
    ------
    ValueError
        In one line, if a name is unknown or given twice, or a value has the wrong type or is out of its range.
    """

    def __init__(self, **values: Any):
        values = merge({}, values)
        try:
            super().__init__(**values)
        except ValidationError as error:
            errors = error.errors()
            name = next(iter(errors[0]["loc"]), None)  # none where it's about two fields
            errors = [each for each in errors if next(iter(each["loc"]), None) == name]
            raise ValueError(explain(errors, name, values.get(name), FIELDS.get(name), OWNER)) from None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Make a configuration of a recipe's or ``run.json``'s values; the defaults fill the rest."""
        if not isinstance(values, Mapping):
            raise ValueError(f"{OWNER} must be a mapping of names to values, not {values!r}")
        return cls(**merge({}, values))

    def override(self, **values: Any) -> "Config":
        """Return a copy with ``values`` instead of its own; options of model and data set are merged in."""
        return type(self)(**merge(vars(self), values))

    def __str__(self) -> str:
        return "\n".join(f"{group}.{name}={getattr(self, name)!r}" for name, group in GROUP_OF.items())


def merge(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base``, by the names of its fields, with ``values`` put where they belong."""
    merged = dict(base)
    for (*way, last), value in places(values).items():
        inside = merged
        for name in way:
            inside[name] = dict(inside[name]) if isinstance(inside.get(name), Mapping) else {}
            inside = inside[name]
        inside[last] = value
    return merged


def places(values: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return where each value belongs: the name of its field and, inside options, the keys that lead to it.

    Raises
    ------
    ValueError
        If a name is unknown, or two stand for the same place.
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


def describe(name: str) -> str:
    """Say what a setting is, and which values it takes."""
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
            lines += [about, textwrap.indent(textwrap.fill(describe(name), 100), "    ")]
    return "\n".join(lines)


Config.__doc__ = f"{inspect.cleandoc(Config.__doc__ or '')}\n{document()}"
