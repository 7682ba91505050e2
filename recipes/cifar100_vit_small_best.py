"""The best that a plain ViT-S reaches on CIFAR-100 in ten minutes on one GPU.

    python -m minivit train recipes/cifar100_vit_small_best.py --data DIR --out runs/small_best

WAITING FOR A GPU: the recipe has only taken a few steps on a CPU. The number of epochs is what ten minutes of an H100
allow, by results/bench/h100_steps.json: 22.3 ms for a step with all patches, and two thirds of that with half of them
(as in ViT-Ti). Hardware, minutes and accuracy (mean ± sd, n) go here.
"""

from cifar100_vit_small_record import get_config as record


def get_config():
    return record() | dict(
        model_options=dict(drop_path=0.2),
        epochs=320,
        warmup_epochs=10.0,
        patch_dropout=(0.5, 0.25, 0.0),
        ema_decay=0.9995,
    )


def get_variants():
    return dict(plain={}, cb=dict(model_options=dict(context="cb")))
