"""Run ``python -m minivit bench`` with timm and vit-pytorch where torchvision is not available.

Both libraries import torchvision, whose wheels don't load with a CPU-only PyTorch, although their Vision Transformers
don't use it. This script replaces it by an empty stand-in and runs the command; what is timed is the same. The two
libraries needn't be installed in the same place as this package either::

    pip install --no-deps --target PEERS timm vit-pytorch einops huggingface_hub safetensors pyyaml
    PYTHONPATH=PEERS python -m tools.bench_with_peers --rounds 20
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from unittest.mock import MagicMock

from minivit.__main__ import main

MODULES = ["torchvision", "torchvision.datasets", "torchvision.models", "torchvision.models.feature_extraction",
           "torchvision.ops", "torchvision.ops.misc", "torchvision.transforms", "torchvision.transforms.functional",
           "torchvision.utils"]


class StandIn(ModuleType):
    """A module that has every name; each accepts any use and does nothing."""

    def __getattr__(self, name: str) -> MagicMock:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


def install() -> None:
    for name in MODULES:
        module = StandIn(name)
        module.__spec__ = ModuleSpec(name, loader=None, is_package=True)
        module.__path__ = []
        sys.modules[name] = module


if __name__ == "__main__":
    install()
    sys.exit(main(["bench", *sys.argv[1:]]))
