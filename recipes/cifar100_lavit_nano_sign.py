"""LaViT taken apart further than in cifar100_lavit_nano_less.py: is it the loss's sign, is it the optimiser?

    python -m minivit sweep recipes/cifar100_lavit_nano_sign.py --data DIR --out runs/lavit_sign --seeds 0 1 2

``la_reversed`` has the printed sign of the loss on the diagonal at the strength of the bounded form. In ``va_adamw``
and ``la_adamw`` AdamW steps all matrices alike, without weight decay. In ``la_frozen`` the maps Θ and Ψ stay what they
are at first, the identity: a stage computes its attention once and uses it in all of its layers.

Two cores per run (AMD EPYC, float32): about a minute. Top-1, mean ± sd of n = 3: the printed sign at full strength
13.83 ± 0.20 %, attention in all layers by AdamW 9.03 ± 0.46 %, less attention by AdamW 9.46 ± 0.53 %, maps
frozen at the identity 11.73 ± 0.31 %. The records are in results/cifar100_lavit_nano_sign.
"""

from cifar100_lavit_nano_less import get_config as less_config
from cifar100_lavit_nano_less import get_variants as less_variants
from cifar100_vit_nano_less import DIAGONALITY


def get_config():
    return less_config() | dict(precision="float32")


def get_variants():
    alike = dict(optimizer="adamw", learning_rate=1e-3, weight_decay=0.0)
    return {
        "la_reversed": dict(diagonality=DIAGONALITY, diagonality_form="reversed"),
        "va_adamw": less_variants()["va"] | alike,
        "la_adamw": alike,
        "la_frozen": dict(frozen=("*.theta.*", "*.psi.*")),
    }
