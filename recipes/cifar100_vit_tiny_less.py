"""The experiments of recipes/cifar100_vit_nano_less.py with ViT-Ti and 300 epochs.

    python -m minivit sweep recipes/cifar100_vit_tiny_less.py --data DIR --out runs/tiny_less --seeds 0 1 2 3 4

``--variants plain la_from6`` trains two of them. WAITING FOR A GPU: the recipe has only taken a few steps on a CPU.
Hardware, hours and accuracy (mean ± sd, n) go here.
"""

from cifar100_vit_nano_less import get_variants as nano_variants
from cifar100_vit_tiny_density import get_config as tiny_config


def get_config():
    return tiny_config()


def get_variants():
    return nano_variants(depth=12)
