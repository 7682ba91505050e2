"""A plain ViT-Ti on ImageNet-1k, after DeiT: the recipe of imagenet_vit_small_plain.py in another size.

    torchrun --nproc-per-node 8 -m minivit train recipes/imagenet_vit_tiny_plain.py --data DIR --out runs/tiny_plain

To reach: top-1 72.2 %, top-5 91.1 % (table 5 of the CB paper; DeiT's own is 72.2 %).

WAITING FOR A MACHINE: the recipe has run on a CPU for a few steps only. Hardware, hours and accuracy (mean ± sd, n)
belong here.
"""

from imagenet_vit_small_plain import CB_SETTINGS, get_variants  # noqa: F401
from imagenet_vit_small_plain import get_config as small


def get_config(**model_options):
    return small(**model_options) | dict(model="vit_tiny_patch16_224")
