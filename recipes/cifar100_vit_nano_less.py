"""Attention computed in the first layers only, and transformed in the others: how many layers can do without it?

    python -m minivit sweep recipes/cifar100_vit_nano_less.py --data DIR --out runs/less --seeds 0 1 2

One pass over 24,000 images, all patches shown: a layer that transforms scores needs every token in its place. The six
layers are counted from 0; ``la_from3`` computes attention in layers 0 to 2.

One core per run (AMD EPYC, float32, some with other work running): 3 to 6 minutes. Top-1, mean ± sd of n = 3: plain
16.17 ± 0.41 %; from layer 5 on 16.99 ± 0.90 %, from 3 on 16.05 ± 0.89 %, from 1 on 15.04 ± 0.19 %, every other
17.47 ± 0.90 %; from 3 on with CB 16.84 ± 0.86 %. The records are in results/cifar100_vit_nano_less.
"""

DIAGONALITY = 0.1  # a guess: the paper names no weight
TOKENS = 65


def get_config():
    return dict(
        model="vit_nano_patch4_32",
        dataset="cifar100",
        train_images=24_000,
        epochs=1,
        batch_size=64,
        optimizer="muon",
        learning_rate=3e-3,
        warmup_epochs=0.1,
        precision="float32",
    )


def get_variants(depth=6):
    """Return what differs, by name. ``depth`` is the model's number of blocks, even."""
    half = depth // 2

    def model(**options):
        return dict(model_options=options)

    def less(first=half, **options):
        return model(attention_layers=tuple(range(first)), **options)

    name = f"la_from{half}"
    return {
        "plain": model(),
        # From which layer on?
        **{f"la_from{first}": less(first) for first in range(depth - depth // 6, 0, -(depth // 6))},
        "la_every_other": model(attention_layers=tuple(range(0, depth, 2))),
        # The loss on the diagonal, and the sign that is printed. That form is a sum and the other a mean over N**2.
        f"{name}_diagonal": less() | dict(diagonality=DIAGONALITY),
        f"{name}_printed": less() | dict(diagonality=DIAGONALITY / TOKENS**2, diagonality_form="printed"),
        # Cheaper: queries and keys transformed in place of scores, and maps that differ from the identity by rank r.
        f"{name}_factors": less(less_attention_form="factors"),
        f"{name}_rank4": less(less_attention_rank=4),
        f"{name}_rank16": less(less_attention_rank=16),
        # Uniform attention supplies the dense part.
        "cb": model(context="cb"),
        f"{name}_cb": less(context="cb"),
        f"{name}_cb_rank4_factors": less(context="cb", less_attention_rank=4, less_attention_form="factors"),
    }
