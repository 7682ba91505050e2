"""Plain, CB, CB_S and CB in all blocks: the main comparison of recipes/cifar100_vit_nano_density.py, trained further.

    python -m minivit sweep recipes/cifar100_vit_nano_density_main.py --data DIR --out runs/density_main --seeds 0 1 2

Two passes over all 50,000 images, the last half of the second on all patches. One core per run (AMD EPYC, float32, with
other work running): 17 to 20 minutes. Top-1, mean ± sd of n = 3: plain 34.00 ± 0.62 %, CB 34.30 ± 0.45 %, CB_S
34.05 ± 0.56 %, CB in all blocks 32.51 ± 0.31 %. The records are in results/cifar100_vit_nano_density_main.
"""

from cifar100_vit_nano_density import get_config as short
from cifar100_vit_nano_density import get_variants as all_variants


def get_config():
    return short() | dict(train_images=None, epochs=2, warmup_epochs=0.2, patch_dropout=(0.75, 0.75, 0.5, 0.0))


def get_variants():
    return {name: all_variants()[name] for name in ("plain", "cb", "cb_s", "cb_all")}
