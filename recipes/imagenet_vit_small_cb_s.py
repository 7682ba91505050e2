"""A ViT-S with scaled context broadcasting (CB_S) on ImageNet-1k.

    torchrun --nproc-per-node 8 -m minivit train recipes/imagenet_vit_small_cb_s.py --data DIR --out runs/small_cb_s

To reach, with ``cb_settings``: top-1 80.4 %, top-5 95.1 % (table 5 of the CB paper).

WAITING FOR A MACHINE: the recipe has run on a CPU for a few steps only. Hardware, hours and accuracy (mean ± sd, n)
belong here.

``cb_s`` differs from ``plain`` of imagenet_vit_small_plain.py in ``context`` alone. The paper compares
``cb_settings`` with ``plain``, so that CB is confounded with no repeated augmentation. ``cb_settings`` of both
recipes tells them apart.
"""

from imagenet_vit_small_plain import CB_SETTINGS
from imagenet_vit_small_plain import get_config as plain


def get_config():
    return plain(context="cb_s")


def get_variants():
    return dict(cb_s={}, cb_settings=CB_SETTINGS)
