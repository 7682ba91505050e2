"""Pure functions that measure attention, count what a model costs and compare results in pairs."""

from minivit.analysis.cost import Cost, cost
from minivit.analysis.density import attention_entropy, softmax_jacobian_norm
from minivit.analysis.paired import paired_difference

__all__ = ["Cost", "attention_entropy", "cost", "paired_difference", "softmax_jacobian_norm"]
