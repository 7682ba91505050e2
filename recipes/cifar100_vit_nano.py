"""A small plain ViT on CIFAR-100, on a laptop: a first look, not a record.

    python -m minivit train recipes/cifar100_vit_nano.py --data DIR --out runs/nano

Two CPU cores (AMD EPYC) that had other work too: 44 minutes. Top-1 32.80 %, top-5 64.73 % (n = 1, seed 0), in
results/cifar100_vit_nano/seed0.
"""


def get_config():
    return dict(
        model="vit_nano_patch4_32",
        dataset="cifar100",
        epochs=5,
        batch_size=64,
        learning_rate=1e-3,
        warmup_epochs=1.0,
    )
