"""The operations by hand, in NumPy: each a forward and a backward function.

A gradient with respect to ``x`` is called ``d_x`` and has the shape of ``x``.
"""

from minivit.scratch.softmax import (
    softmax,
    softmax_backward,
    softmax_jacobian,
    softmax_jacobian_nuclear_norm,
)

__all__ = ["softmax", "softmax_backward", "softmax_jacobian", "softmax_jacobian_nuclear_norm"]
