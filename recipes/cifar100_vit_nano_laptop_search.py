"""Which settings for half an hour on a laptop? Variants of about the same computation, a sixth of that, measured on
5,000 held-out training images.

    python -m minivit sweep recipes/cifar100_vit_nano_laptop_search.py --data DIR --out runs/search

One core each (AMD EPYC), two runs at a time on a machine with other work, so their 15 to 17 minutes say little.
Held-out top-1 (n = 1, seed 0): muon_4e-3 24.60 %, half_the_patches 30.24 %, patches_by_and_by 29.56 %; the records are
in results/cifar100_vit_nano_laptop_search. A rate of 2e-3 stood at 19.54 % after two of three epochs, 4e-3 at 18.94 %,
when it was stopped for lack of time: not a difference to act on.
"""

from cifar100_vit_nano_laptop import get_config as laptop


def get_config():
    return laptop() | dict(train_images=15_000, held_out_images=5_000, epochs=3, patch_dropout=(0.0,))


def get_variants():
    # A step on half of the patches takes about half the time, on a quarter of them a third.
    return {
        "muon_4e-3": dict(learning_rate=4e-3),
        "half_the_patches": dict(patch_dropout=(0.5, 0.5, 0.5, 0.0), epochs=5),
        "patches_by_and_by": dict(patch_dropout=(0.75, 0.5, 0.0), epochs=5),
    }
