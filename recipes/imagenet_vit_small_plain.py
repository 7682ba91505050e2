"""A plain ViT-S on ImageNet-1k, after DeiT (Touvron et al., 2021).

    torchrun --nproc-per-node 8 -m minivit train recipes/imagenet_vit_small_plain.py --data DIR --out runs/small_plain
    python -m minivit train recipes/imagenet_vit_small_plain.py --data DIR --out runs/small_plain accumulate=8

To reach: top-1 79.9 %, top-5 95.0 % (table 5 of the CB paper; DeiT's own is 79.8 %).

WAITING FOR A MACHINE: the recipe has run on a CPU for a few steps only. Hardware, hours and accuracy (mean ± sd, n)
belong here. ``python -m minivit plan`` says what it takes. ``--dataset shards`` reads tar shards rather than files.

The settings are those of DeiT's code, with three differences: the learning rate changes at each step rather than each
epoch, mixup and CutMix draw weights for each image rather than each batch, and RandAugment differs as its docstring
says. Like DeiT's accuracy, ours is that of the weights themselves, not of their moving average.

``cb_settings`` has what the CB paper changes beside CB, for ViT-Ti and ViT-S: no repeated augmentation (appendix A.3).
"""

CB_SETTINGS = dict(repeats=1)


def get_config(**model_options):
    return dict(
        model="vit_small_patch16_224",
        model_options=dict(drop_path=0.1) | model_options,
        dataset="imagefolder",
        dataset_options=dict(crop_pct=0.875),
        epochs=300,
        batch_size=1024,
        learning_rate=5e-4 * 1024 / 512,
        final_learning_rate=1e-5,
        warmup_epochs=5.0,
        weight_decay=0.05,
        clip_norm=None,
        label_smoothing=0.1,
        repeats=3,
        crop="random_resized",
        smallest_crop=0.08,
        augmentation="randaugment",
        augmentation_options=dict(operations=2, magnitude=9.0, noise=0.5, probability=0.5),
        mixup=0.8,
        cutmix=1.0,
        erasing=0.25,
        precision="auto",
        compile="default",
    )


def get_variants():
    return dict(plain={}, cb_settings=CB_SETTINGS)
