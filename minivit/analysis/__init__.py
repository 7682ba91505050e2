"""Pure functions that measure attention and count what a model costs."""

from minivit.analysis.cost import Cost, cost
from minivit.analysis.density import attention_entropy, softmax_jacobian_norm

__all__ = ["Cost", "attention_entropy", "cost", "softmax_jacobian_norm"]
