"""Which settings for the record of ViT-S? Variants of about the same time, measured on 5,000 held-out training images.

    python -m minivit sweep recipes/cifar100_vit_small_search.py --data DIR --out runs/small_search --halvings 2

First all variants with a quarter of the epochs, then the better half of them with half of the epochs, then the better
half of these with all: as many steps as twelve full runs. ``--variants base more_drop_path ...`` searches among some.

WAITING FOR A GPU. Records go into results/cifar100_vit_small_search, and the best settings into
recipes/cifar100_vit_small_record.py. Two changes that are good alone may not be so together: search again from there.
"""

from cifar100_vit_small_record import get_config as record


def get_config():
    return record() | dict(held_out_images=5_000)


def get_variants():
    return {
        "base": {},
        # regularisation
        "no_drop_path": dict(model_options=dict(drop_path=0.0)),
        "more_drop_path": dict(model_options=dict(drop_path=0.2)),
        "more_decay": dict(weight_decay=0.2),
        "no_erasing": dict(erasing=0.0),
        "randaugment": dict(augmentation="randaugment"),
        "crop_and_flip": dict(augmentation="none"),
        "less_mixing": dict(mixup=0.2, cutmix=0.5),
        "no_mixing": dict(mixup=0.0, cutmix=0.0),
        # rate
        "adamw": dict(optimizer="adamw", learning_rate=1e-3),
        "rate_2e-3": dict(learning_rate=2e-3),
        "rate_5e-3": dict(learning_rate=5e-3),
        "batch_1024": dict(batch_size=1024),
        # patches, and with them epochs
        "all_patches": dict(patch_dropout=(0.0,), epochs=68),
        "patches_by_and_by": dict(patch_dropout=(0.75, 0.5, 0.25, 0.0), epochs=108),
    }
