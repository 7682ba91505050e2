"""The experiments of recipes/cifar100_lavit_nano_less.py with LaViT-T and 300 epochs.

    python -m minivit sweep recipes/cifar100_lavit_tiny_less.py --data DIR --out runs/lavit_tiny --seeds 0 1 2 3 4

A patch is one pixel, so that the four grids are of 32, 16, 8 and 4 tokens per side. All have 4 x 4 keys, so only the
last stage has square maps, and the loss on the diagonal acts on its one less-attention layer.

WAITING FOR A GPU: the recipe has only taken a few steps on a CPU. Hardware, hours and accuracy (mean ± sd, n) go
here.
"""

from cifar100_lavit_nano_less import get_variants as nano_variants
from cifar100_vit_tiny_density import get_config as tiny_config


def get_config():
    return tiny_config() | dict(model="lavit_tiny", model_options=dict(drop_path=0.1, image_size=32, patch_size=1))


def get_variants():
    return nano_variants(depths=(2, 2, 5, 2), tokens=16)
