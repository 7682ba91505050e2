"""The plain-ViT baseline of Beyer et al. (2022), *Better plain ViT baselines for ImageNet-1k*: ViT-S in 90 epochs.

    torchrun --nproc-per-node 8 -m minivit train recipes/imagenet_vit_small_90ep.py --data DIR --out runs/small_90ep
    python -m minivit train recipes/imagenet_vit_small_90ep.py --data DIR --out runs/small_90ep accumulate=8

To reach: top-1 76.5 %; 76.7 % in the paper's ablation with a linear head, which is what this has.

WAITING FOR A MACHINE: the recipe has run on a CPU for a few steps only. Hardware, hours and accuracy (mean ± sd, n)
belong here.

The settings are those of big_vision's vit_s16_i1k.py. There weight decay isn't multiplied by the peak learning rate, so
that its 0.0001 is 0.1 here. Differences: the class token stays among the tokens, though the head reads the mean of
the patches; linear layers start as in our other ViTs, the head not at zero; RandAugment has other operations (no
cutout), and contrast as it was meant; mixup draws a weight for each image; images are scaled with antialiasing; and
all training images are used rather than 99 %.
"""


def get_config():
    return dict(
        model="vit_small_patch16_224",
        model_options=dict(positions="sine", global_pool="avg"),
        dataset="imagefolder",
        dataset_options=dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop_pct=0.875, interpolation="bilinear"),
        epochs=90,
        batch_size=1024,
        learning_rate=1e-3,
        final_learning_rate=0.0,
        warmup_epochs=8.0,  # 10,000 steps
        weight_decay=1e-4 / 1e-3,
        clip_norm=1.0,
        label_smoothing=0.0,
        crop="random_resized",
        smallest_crop=0.05,
        augmentation="randaugment",
        augmentation_options=dict(operations=2, magnitude=10.0, noise=0.0, probability=1.0),
        mixup=0.2,
        precision="auto",
        compile="default",
    )
