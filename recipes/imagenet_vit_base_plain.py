"""A plain ViT-B on ImageNet-1k, after DeiT: the recipe of imagenet_vit_small_plain.py in another size.

    torchrun --nproc-per-node 8 -m minivit train recipes/imagenet_vit_base_plain.py --data DIR --out runs/base_plain

To reach: top-1 81.8 %, top-5 95.6 % (table 5 of the CB paper; DeiT's own is 81.8 %).

WAITING FOR A MACHINE: the recipe has run on a CPU for a few steps only. Hardware, hours and accuracy (mean ± sd, n)
belong here.

``cb_settings`` has what the CB paper changes beside CB, for ViT-B: ten epochs of warm-up rather than five, and more
drop-path (appendix A.3). It doesn't say how much; 0.2 is what it uses with distillation.
"""

from imagenet_vit_small_plain import get_config as small

CB_SETTINGS = dict(warmup_epochs=10.0, model_options=dict(drop_path=0.2))


def get_config(**model_options):
    return small(**model_options) | dict(model="vit_base_patch16_224")


def get_variants():
    return dict(plain={}, cb_settings=CB_SETTINGS)
