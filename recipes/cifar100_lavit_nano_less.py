"""LaViT piece by piece: less attention, scores handed from stage to stage, the loss on the diagonal, CB and low rank.

    python -m minivit sweep recipes/cifar100_lavit_nano_less.py --data DIR --out runs/lavit --seeds 0 1 2

One pass over 24,000 images. In each stage of ``la`` the first layer computes attention and the others transform it.

Two cores per run (AMD EPYC, float32, some with other work running): 2 to 4 minutes. Top-1, mean ± sd of n = 3:
attention in all layers 11.68 ± 0.16 %, less attention 13.42 ± 0.42 %, without the residual 12.92 ± 0.33 %, with the
loss on the diagonal, its sign turned, 11.47 ± 0.24 %. The records are in results/cifar100_lavit_nano_less.
"""

from cifar100_vit_nano_less import DIAGONALITY
from cifar100_vit_nano_less import get_config as vit_config


def get_config():
    return vit_config() | dict(model="lavit_nano")


def get_variants(depths=(1, 3, 4, 2), tokens=64):
    """Return what differs, by name.

    ``depths`` are the model's blocks in each stage, ``tokens`` those of the first stage with as many keys as queries:
    the loss on the diagonal acts on square maps alone.
    """
    def model(**options):
        return dict(model_options=options)

    everywhere = dict(attention_depths=depths)
    return {
        "va": model(**everywhere),
        "va_no_residual": model(**everywhere, attention_residual=False),
        "la": model(),
        "la_no_residual": model(attention_residual=False),
        "la_diagonal": dict(diagonality=DIAGONALITY),
        "la_printed": dict(diagonality=DIAGONALITY / tokens**2, diagonality_form="printed"),
        "la_rank2": model(less_attention_rank=2),
        "va_cb": model(**everywhere, context="cb"),
        "la_cb": model(context="cb"),
    }
