"""Every experiment of the context broadcasting paper on image classification, with ViT-Ti and 300 epochs of CIFAR-100.

    python -m minivit sweep recipes/cifar100_vit_tiny_density.py --data DIR --out runs/tiny_density --seeds 0 1 2 3 4

``--variants heads1 heads1_cb`` trains two of them. Figure 9 of the paper has ViT-Ti.

WAITING FOR A GPU: the recipe has only taken a few steps on a CPU. Hardware, hours and accuracy (mean ± sd, n) go
here.
"""

from cifar100_vit_small_density import get_config as small
from cifar100_vit_small_density import get_variants as variants


def get_config():
    return small() | dict(model="vit_tiny_patch4_32")


def get_variants():
    return variants(heads=(1, 2, 6))
