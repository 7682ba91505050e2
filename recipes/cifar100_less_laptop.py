"""A LaViT and a plain ViT with less attention on the whole of CIFAR-100, each in a quarter of an hour on two cores.

    python -m minivit train recipes/cifar100_less_laptop.py --data DIR --out runs/lavit
    python -m minivit sweep recipes/cifar100_less_laptop.py --data DIR --out runs/less_laptop

``train`` trains the LaViT, ``sweep`` trains both.

Two passes. Two CPU cores (AMD EPYC, float32, with a little other work running), n = 1, seed 0: the LaViT 10 minutes,
top-1 30.50 %, top-5 61.53 %; the ViT, which computes attention in three of six layers, 14 minutes, 29.95 % and 61.25 %.
The records are in results/cifar100_less_laptop.
"""

from cifar100_lavit_nano_less import get_config as lavit_config


def get_config():
    return lavit_config() | dict(train_images=None, epochs=2)


def get_variants():
    return dict(lavit={}, la_vit=dict(model="vit_nano_patch4_32", model_options=dict(attention_layers=(0, 1, 2))))
