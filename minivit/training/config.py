"""What a run is made of: a typed configuration."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from minivit.options import check_options, from_json
from minivit.tasks import find_task
from minivit.training.interval import Interval


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers of a run; data folder, output folder and device do not.

    Attributes
    ----------
    model, model_options
        Name and keyword arguments for :func:`minivit.models.create_model`; ``num_classes`` is the data set's.
    task
        What is to be learnt: ``classification``, or another key of :data:`minivit.tasks.TASKS`.
    dataset, dataset_options
        Name and keyword arguments for :func:`minivit.data.load`.
    train_images
        Train on this many images, drawn once and for all from the training set; None for all of them.
    held_out_images
        Keep so many other images of the training set, the same ones always, out of training, and evaluate on them in
        place of the test set: for choosing settings. 0 for the test set.
    epochs, batch_size
        Passes over the training images; images a step, of all processes together. The images that do not fill a batch
        are left out of an epoch, others each time, so that all steps have one shape.
    seed
        Of the first weights, the order of the images and every random draw.
    optimizer
        ``adamw``; or ``muon`` for the matrices inside the blocks, with AdamW for the rest.
    learning_rate, final_learning_rate, warmup_epochs
        The rate grows linearly from 0 to the first over the warm-up and falls to the second along a half cosine.
    weight_decay, betas
        Decay of the matrices, and no others, whatever steps them; decay rates of AdamW.
    clip_norm
        Gradients longer than this are shortened to it; None for no limit.
    label_smoothing
        Share of each target in [0, 1) spread over all classes.
    diagonality, diagonality_form
        Weight and form of :func:`minivit.analysis.diagonality_loss`, which is added to the cross-entropy: the mean over
        the less-attention layers whose maps are square. 0 is off.
    repeats
        Repeated augmentation (Hoffer et al., 2020): so often an image stands in a batch, augmented anew each time. An
        epoch keeps its length and has as many images fewer.
    crop_padding, flip
        Largest shift in pixels; whether to mirror left to right.
    augmentation
        ``randaugment`` as DeiT has it, ``trivialaugment``, or ``none``, after crop and flip.
    erasing
        Chance in [0, 1] that a box of an image is replaced by noise.
    mixup, cutmix
        The alpha of each; 0 is off. With both on, a coin decides for each batch.
    ema_decay
        Evaluate an exponential moving average of the weights with this decay in (0, 1), updated every step; None for
        the weights themselves.
    patch_dropout
        Share in [0, 1) of the patches that each training image loses, others each time; with more than one number the
        run has as many equal stretches: ``(0.5, 0.0)`` is half of the patches in its first half, all in its second.
    accumulate
        Parts in which each process takes its share of a batch, one after the other, so that a small machine gives the
        same steps as a large one.
    precision
        ``float32``, ``bfloat16`` for autocast, or ``auto``: bfloat16 where the device multiplies it in hardware.
    compile
        ``none``, or ``default``: ``torch.compile`` of the blocks, which share their code, and of the augmentation.
    cuda_graph
        On an NVIDIA GPU, record a whole step once for each number of patches, and replay it; elsewhere, with more than
        one process, and with ``accumulate``, it's nothing.
    deterministic
        On a GPU, use kernels that give the same bits each time, so that a resumed run ends in the weights of one that
        was never stopped. A CPU's always do.
    evaluate_every, save_every
        Epochs from one evaluation, and one checkpoint, to the next; or seconds, such as ``"90s"``, where an evaluation
        waits for the end of an epoch. The last epoch has both.
    """

    task: str = "classification"
    model: str = "vit_nano_patch4_32"
    model_options: dict[str, Any] = field(default_factory=dict)
    dataset: str = "cifar100"
    dataset_options: dict[str, Any] = field(default_factory=dict)
    train_images: int | None = None
    held_out_images: int = 0

    epochs: int = 300
    batch_size: int = 128
    seed: int = 0

    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    warmup_epochs: float = 5.0
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float | None = 1.0

    label_smoothing: float = 0.1
    diagonality: float = 0.0
    diagonality_form: Literal["bounded", "printed"] = "bounded"
    repeats: int = 1
    crop_padding: int = 4
    flip: bool = True
    augmentation: Literal["none", "randaugment", "trivialaugment"] = "none"
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    ema_decay: float | None = None
    patch_dropout: tuple[float, ...] = (0.0,)
    accumulate: int = 1
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    compile: Literal["none", "default"] = "none"
    cuda_graph: bool = True
    deterministic: bool = True
    evaluate_every: int | str = 1
    save_every: int | str = 1

    def __post_init__(self):
        check_options(Config, asdict(self), "a run's configuration")
        find_task(self.task)
        for name, allowed, holds in (
            ("train_images", "at least 1", self.train_images is None or self.train_images >= 1),
            ("held_out_images", "at least 0", self.held_out_images >= 0),
            ("epochs", "at least 1", self.epochs >= 1),
            ("batch_size", "at least 1", self.batch_size >= 1),
            ("seed", "at least 0", self.seed >= 0),
            ("accumulate", "at least 1", self.accumulate >= 1),
            ("learning_rate", "larger than 0", self.learning_rate > 0),
            ("final_learning_rate", "in [0, learning_rate]", 0 <= self.final_learning_rate <= self.learning_rate),
            ("warmup_epochs", "in [0, epochs]", 0 <= self.warmup_epochs <= self.epochs),
            ("weight_decay", "at least 0", self.weight_decay >= 0),
            ("betas", "in [0, 1)", all(0 <= beta < 1 for beta in self.betas)),
            ("clip_norm", "larger than 0, or None", self.clip_norm is None or self.clip_norm > 0),
            ("label_smoothing", "in [0, 1)", 0 <= self.label_smoothing < 1),
            ("diagonality", "at least 0", self.diagonality >= 0),
            ("repeats", "at least 1", self.repeats >= 1),
            ("crop_padding", "at least 0", self.crop_padding >= 0),
            ("erasing", "in [0, 1]", 0 <= self.erasing <= 1),
            ("mixup", "at least 0", self.mixup >= 0),
            ("cutmix", "at least 0", self.cutmix >= 0),
            ("ema_decay", "in (0, 1), or None", self.ema_decay is None or 0 < self.ema_decay < 1),
            ("patch_dropout", "one or more shares in [0, 1)",
             self.patch_dropout and all(0 <= share < 1 for share in self.patch_dropout)),
        ):
            if not holds:
                raise ValueError(f"{name}={getattr(self, name)!r} must be {allowed}")
        for name in ("evaluate_every", "save_every"):
            Interval(name, getattr(self, name))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Make a configuration of ``values``; the defaults fill the rest. Unknown names and wrong types are errors."""
        return from_json(cls, values, "a run's configuration")

    def override(self, **values: Any) -> "Config":
        """Return a copy with ``values`` instead of its own; options of model and data set are merged in."""
        for name in ("model_options", "dataset_options"):
            if isinstance(values.get(name), Mapping):
                values[name] = getattr(self, name) | dict(values[name])
        check_options(Config, values, "a run's configuration")
        return replace(self, **values)
