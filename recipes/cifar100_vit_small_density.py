"""Every experiment of the context broadcasting paper on image classification, with ViT-S and 300 epochs of CIFAR-100.

    python -m minivit sweep recipes/cifar100_vit_small_density.py --data DIR --out runs/small_density --seeds 0 1 2 3 4

``--variants plain cb`` trains two of them. Table S15 is this comparison: 74.73 % plain and 75.43 % with CB.

WAITING FOR A GPU: the recipe has only taken a few steps on a CPU. Hardware, hours and accuracy (mean ± sd, n) go
here. The paper names no settings for CIFAR-100; these are its settings for ImageNet (section 4.2 and
appendix A.3: those of DeiT, without repeated augmentation). Figure 3 starts from eight blocks.
"""

from cifar100_vit_nano_density import get_variants as variants


def get_config():
    return dict(
        model="vit_small_patch4_32",
        model_options=dict(drop_path=0.1),
        dataset="cifar100",
        epochs=300,
        batch_size=512,
        learning_rate=1e-3 * 512 / 1024,
        weight_decay=0.05,
        warmup_epochs=5.0,
        label_smoothing=0.1,
        augmentation="randaugment",
        mixup=0.8,
        cutmix=1.0,
        erasing=0.25,
        precision="auto",
        compile="default",
    )


def get_variants(heads=(1, 2, 3, 12)):
    return variants(heads) | {
        f"extra_{block}": dict(model_options=dict(depth=8, extra_block=block)) for block in ("none", "msa", "mlp")}
