"""Which settings for the record of ViT-Ti? Variants of about the same time, measured on 5,000 held-out training images.

    python -m minivit sweep recipes/cifar100_vit_tiny_search.py --data DIR --out runs/tiny_search --halvings 2

As recipes/cifar100_vit_small_search.py says, in three rounds.

WAITING FOR A GPU. Records go into results/cifar100_vit_tiny_search, and the best settings into
recipes/cifar100_vit_tiny_record.py.
"""

from cifar100_vit_small_search import get_variants as small_variants
from cifar100_vit_tiny_record import get_config as record


def get_config():
    return record() | dict(held_out_images=5_000)


def get_variants():
    variants = small_variants() | {
        "more_drop_path": dict(model_options=dict(drop_path=0.1)),
        "erasing": dict(erasing=0.25),
        "less_mixing": dict(cutmix=0.5),
        "more_mixing": dict(mixup=0.8),
        "all_patches": dict(patch_dropout=(0.0,), epochs=48),
        "patches_by_and_by": dict(patch_dropout=(0.75, 0.5, 0.25, 0.0), epochs=76),
    }
    del variants["no_drop_path"], variants["no_erasing"]  # the base has neither
    return variants
