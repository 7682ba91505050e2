"""LaViT-S on ImageNet-1k.

    torchrun --nproc-per-node 8 -m minivit train recipes/imagenet_lavit_small.py --data DIR --out runs/lavit_small

To reach: top-1 82.6 % (Zhang et al., 2024, at 224 pixels).

WAITING FOR A MACHINE: the recipe has run on a CPU for a few steps only. Hardware, hours and accuracy (mean ± sd, n)
belong here.

The settings and variants are those of imagenet_lavit_tiny.py, which says where they are from.
"""

from imagenet_lavit_tiny import get_config as tiny
from imagenet_lavit_tiny import get_variants as variants


def get_config():
    return tiny() | dict(model="lavit_small")


def get_variants():
    return variants(depths=(3, 4, 8, 3))
