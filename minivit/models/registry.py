"""Models by name."""

from typing import Any

from torch import nn

from minivit.models.lavit import LaViT
from minivit.models.mixer import Mixer
from minivit.models.pit import PiT
from minivit.models.pretrained import load_pretrained
from minivit.models.vit import ViT
from minivit.options import check_choice, check_options

SIZES = {
    "nano": {"dim": 128, "depth": 6, "num_heads": 4},
    "tiny": {"dim": 192, "depth": 12, "num_heads": 3},
    "small": {"dim": 384, "depth": 12, "num_heads": 6},
    "base": {"dim": 768, "depth": 12, "num_heads": 12},
}
IMAGENET = {"image_size": 224, "patch_size": 16, "num_classes": 1000}
CIFAR = {"image_size": 32, "patch_size": 4, "num_classes": 100}

LAVIT = {
    "nano": {"patch_size": 2, "dims": (32, 64, 128, 192), "depths": (1, 3, 4, 2), "num_heads": (1, 2, 4, 6),
             "attention_depths": (1, 1, 1, 1), "reductions": (2, 1, 1, 1)},
    "tiny": {"dims": (64, 128, 256, 384), "depths": (2, 2, 5, 2), "num_heads": (1, 2, 4, 6),
             "attention_depths": (2, 2, 2, 1)},
    "small": {"dims": (64, 128, 320, 448), "depths": (3, 4, 8, 3), "num_heads": (1, 2, 5, 7),
              "attention_depths": (3, 4, 3, 1)},
    "base": {"dims": (64, 128, 320, 512), "depths": (4, 6, 18, 3), "num_heads": (1, 2, 5, 8),
             "attention_depths": (4, 6, 5, 1)},
}

MODELS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    **{f"vit_{size}_patch16_224": (ViT, IMAGENET | SIZES[size]) for size in ("tiny", "small", "base")},
    **{f"vit_{size}_patch4_32": (ViT, CIFAR | SIZES[size]) for size in ("nano", "tiny", "small")},
    **{f"lavit_{size}": (LaViT, (CIFAR if size == "nano" else IMAGENET) | {"patch_size": 4} | stages)
       for size, stages in LAVIT.items()},
    "mixer_s16_224": (Mixer, IMAGENET | {"dim": 512, "depth": 8}),
    "pit_b_224": (PiT, IMAGENET | {"patch_size": 14, "stride": 7, "dims": (256, 512, 1024), "depths": (3, 6, 4),
                                   "num_heads": (4, 8, 16)}),
}


def list_models() -> list[str]:
    """Return the names that :func:`create_model` knows, sorted."""
    return sorted(MODELS)


def create_model(name: str, *, pretrained: bool = False, **options: Any) -> nn.Module:
    """Create a model by name.

    Parameters
    ----------
    name
        One of :func:`list_models`; timm's name where the architecture is timm's.
    pretrained
        Whether to load trained weights; :func:`list_pretrained` lists them. Some come with the package; larger ones are
        downloaded once into ``MINIVIT_WEIGHTS``, or else ``~/.cache/minivit/weights``. They fit only the options they
        were trained with, apart from ``dropout`` and ``drop_path``, which only matter in training. With another
        ``num_classes`` the head is new and untrained; with 0 there is none, and the model returns features.
    **options
        Keyword arguments of the model's class, which override those of the name: ``num_classes=10``,
        ``context="cb"``, ...

    Returns
    -------
    nn.Module
        With random weights, in training mode; or with trained weights, in evaluation mode.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or an option has the wrong type or is out of range; if there are no trained
        weights for the options, or they are damaged.
    DataError
        If the weights are missing and cannot be downloaded, or are not published yet.

    Examples
    --------
    >>> model = create_model("vit_nano_patch4_32", num_classes=10, context="cb")
    >>> sum(p.numel() for p in model.parameters())
    1205898
    >>> model = create_model("vit_nano_patch4_32", context="cb", pretrained=True)  # doctest: +SKIP
    """
    check_choice(list_models(), name=name)
    model_class, defaults = MODELS[name]
    check_options(model_class, options, name)
    check_options(create_model, {"pretrained": pretrained}, name)
    model = model_class(**defaults | options)
    return load_pretrained(model, name, defaults, options) if pretrained else model
