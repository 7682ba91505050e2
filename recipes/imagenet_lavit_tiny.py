"""LaViT-T on ImageNet-1k.

    torchrun --nproc-per-node 8 -m minivit train recipes/imagenet_lavit_tiny.py --data DIR --out runs/lavit_tiny

To reach: top-1 79.2 % (Zhang et al., 2024, at 224 pixels).

WAITING FOR A MACHINE: the recipe has run on a CPU for a few steps only. Hardware, hours and accuracy (mean ± sd, n)
belong here.

The paper's settings for ImageNet weren't at hand. These are DeiT's, which PVT, its nearest relative, uses unchanged.

The first layers of each stage compute attention, the others transform it. ``la``, which ``train`` trains, has no loss
on the diagonal; ``la_diagonal`` and ``la_printed`` have it, in our form and the printed one, and the other variants
are the paper's ablations and LaViT with CB.
"""

from cifar100_lavit_nano_less import get_variants as variants
from imagenet_vit_small_plain import get_config as vit


def get_config():
    return vit() | dict(model="lavit_tiny")


def get_variants(depths=(2, 2, 5, 2)):
    return variants(depths, tokens=7 * 7)
