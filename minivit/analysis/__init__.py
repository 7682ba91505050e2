"""Pure functions that measure attention, count a model's cost, corrupt images and compare results in pairs."""

from minivit.analysis.attention_cost import Latency, attention_macs, break_even_tokens, latency
from minivit.analysis.cost import Cost, cost
from minivit.analysis.curves import mean_height
from minivit.analysis.density import (
    EntropyStatistics,
    attention_entropy,
    entropy_statistics,
    softmax_jacobian_norm,
)
from minivit.analysis.diagonality import diagonality_loss
from minivit.analysis.distance import attention_distance
from minivit.analysis.paired import Comparison, compare_pairs, holm, one_sided_p, paired_difference, paired_p
from minivit.analysis.robustness import centre_occlusion, fgsm, gaussian_blur, gaussian_noise, shot_noise
from minivit.analysis.rollout import attention_rollout
from minivit.analysis.saturation import attention_similarity
from minivit.analysis.scales import scale_statistics

__all__ = [
    "Comparison",
    "Cost",
    "EntropyStatistics",
    "Latency",
    "attention_distance",
    "attention_entropy",
    "attention_macs",
    "attention_rollout",
    "attention_similarity",
    "break_even_tokens",
    "centre_occlusion",
    "one_sided_p",
    "compare_pairs",
    "cost",
    "diagonality_loss",
    "entropy_statistics",
    "fgsm",
    "gaussian_blur",
    "gaussian_noise",
    "holm",
    "latency",
    "mean_height",
    "paired_difference",
    "paired_p",
    "scale_statistics",
    "shot_noise",
    "softmax_jacobian_norm",
]
