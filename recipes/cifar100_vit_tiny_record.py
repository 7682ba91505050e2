"""A plain ViT-Ti on CIFAR-100 in the least time on one GPU, and what CB and less attention change at that accuracy.

    python -m minivit train recipes/cifar100_vit_tiny_record.py --data DIR --out runs/tiny_record
    python -m minivit sweep recipes/cifar100_vit_tiny_record.py --data DIR --out runs/tiny_record --seeds 0 1 2 3 4

One H100, bfloat16: 50 s per run, training and evaluation together, after up to 8 s of compiling. Top-1, mean ± sd:
plain 69.58 ± 0.17 %, n = 5, 0.4 points short of the 70 % of the speed run's small track; CB 70.26 ± 0.65 %, n = 4. The
time on the GPU ended before the fifth run with CB did, twice, at epochs 38 and 57; it is not kept. The records are in
results/cifar100_vit_tiny_record and of commit 5dc8120. Since then tokens between blocks are in bfloat16, so runs to be
compared with these need that commit. With more epochs the plain model reaches 70 %: cifar100_vit_tiny_speedrun.py.

The settings are a first guess, to be replaced by what recipes/cifar100_vit_tiny_search.py finds on held-out images.
They were not tuned, but the test set had been used before: one plain run of a draft was scored on it.

WAITING FOR A GPU: CB_S; CB in all blocks; and attention in the first six layers only, which needs every token in its
place, so that its partner is ``all_patches`` and not ``plain``.
"""

from cifar100_vit_small_record import get_config as small


def get_config():
    return small() | dict(
        model="vit_tiny_patch4_32",
        model_options=dict(drop_path=0.0),
        epochs=62,
        erasing=0.0,
        mixup=0.2,
        patch_dropout=(0.5, 0.5, 0.0),
    )


def get_variants():
    def model(**options):
        return dict(model_options=options)

    all_patches = dict(patch_dropout=(0.0,))
    return {
        "plain": {},
        "cb": model(context="cb"),
        "cb_s": model(context="cb_s"),
        "cb_all": model(context="cb", context_layers="all"),
        "all_patches": all_patches,
        "la_from6": all_patches | model(attention_layers=tuple(range(6))),
    }
