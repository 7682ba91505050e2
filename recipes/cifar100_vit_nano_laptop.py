"""The best that a plain ViT of 1.2 M parameters reaches on CIFAR-100 in half an hour on two CPU cores, and with CB.

    python -m minivit train recipes/cifar100_vit_nano_laptop.py --data DIR --out runs/laptop

Two CPU cores (AMD EPYC, float32): 27 minutes. Top-1 53.83 %, top-5 83.03 % (n = 1, seed 0). With CB, on a machine that
had a little other work: 30 minutes, 53.62 % and 82.71 %. The records are in results/cifar100_vit_nano_laptop, and the
weights in the package: create_model(..., pretrained=True). The settings were chosen on held-out images, by
recipes/cifar100_vit_nano_laptop_search.py; the epochs are those that fit into half an hour.
"""


def get_config():
    return dict(
        model="vit_nano_patch4_32",
        dataset="cifar100",
        epochs=6,
        batch_size=64,
        optimizer="muon",
        learning_rate=3e-3,
        warmup_epochs=0.5,
        patch_dropout=(0.5, 0.5, 0.5, 0.0),
        precision="auto",
    )


def get_variants():
    return dict(plain={}, cb=dict(model_options=dict(context="cb")))
