"""A plain ViT-Ti past 70 % on CIFAR-100 in the least time on one GPU.

    python -m minivit train recipes/cifar100_vit_tiny_record.py --data DIR --out runs/tiny_record

WAITING FOR A GPU: the recipe has run on a CPU for a few steps only. Its settings are a first guess, to be replaced by
what recipes/cifar100_vit_tiny_search.py finds on held-out images. Hardware, minutes and accuracy (mean ± sd, n) belong
here.
"""

from cifar100_vit_small_record import get_config as small


def get_config():
    return small() | dict(
        model="vit_tiny_patch4_32",
        model_options=dict(drop_path=0.0),
        epochs=62,
        erasing=0.0,
        mixup=0.2,
        patch_dropout=(0.5, 0.5, 0.0),
    )


def get_variants():
    def context(name, **options):
        return dict(model_options=dict(context=name, **options))

    return dict(plain={}, cb=context("cb"), cb_s=context("cb_s"), cb_all=context("cb", context_layers="all"))
