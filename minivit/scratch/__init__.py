"""The operations of a Vision Transformer written by hand in NumPy, each as a forward and a backward function.

The gradient with respect to ``x`` is called ``d_x`` and has the shape of ``x``. A backward function takes the gradient
of the output, then the inputs or outputs of the forward function, and returns a gradient for each input array. A
composite operation, with parameters, also returns ``saved``, which its backward function needs; gradients of parameters
come in a dictionary, by parameter name.

Numbers are float64, unless the inputs are float32.
"""

from minivit.scratch.attention import (
    attention,
    attention_backward,
    merge_heads,
    self_attention,
    self_attention_backward,
    split_heads,
)
from minivit.scratch.block import block, block_backward
from minivit.scratch.context import (
    context_broadcast,
    context_broadcast_backward,
    scaled_context_broadcast,
    scaled_context_broadcast_backward,
    uniform_attention,
    uniform_attention_backward,
)
from minivit.scratch.gelu import gelu, gelu_backward
from minivit.scratch.gradients import check_gradients, numerical_gradient
from minivit.scratch.less_attention import less_attention, less_attention_backward
from minivit.scratch.linear import linear, linear_backward
from minivit.scratch.loss import cross_entropy, cross_entropy_backward
from minivit.scratch.mlp import mlp, mlp_backward
from minivit.scratch.norm import layer_norm, layer_norm_backward
from minivit.scratch.optimizers import SGD, AdamW
from minivit.scratch.params import part
from minivit.scratch.patches import conv2d, conv2d_backward, patch_embed, patch_embed_backward, patchify, unpatchify
from minivit.scratch.softmax import (
    softmax,
    softmax_backward,
    softmax_jacobian,
    softmax_jacobian_nuclear_norm,
)
from minivit.scratch.tokens import (
    add_class_token,
    add_class_token_backward,
    add_positions,
    add_positions_backward,
    class_token_pool,
    class_token_pool_backward,
    mean_pool,
    mean_pool_backward,
    sine_positions,
)
from minivit.scratch.vit import ViT

__all__ = [
    "AdamW",
    "SGD",
    "ViT",
    "add_class_token",
    "add_class_token_backward",
    "add_positions",
    "add_positions_backward",
    "attention",
    "attention_backward",
    "block",
    "block_backward",
    "check_gradients",
    "class_token_pool",
    "class_token_pool_backward",
    "context_broadcast",
    "context_broadcast_backward",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "gelu",
    "gelu_backward",
    "layer_norm",
    "layer_norm_backward",
    "less_attention",
    "less_attention_backward",
    "linear",
    "linear_backward",
    "mean_pool",
    "mean_pool_backward",
    "merge_heads",
    "mlp",
    "mlp_backward",
    "numerical_gradient",
    "part",
    "patch_embed",
    "patch_embed_backward",
    "patchify",
    "scaled_context_broadcast",
    "scaled_context_broadcast_backward",
    "self_attention",
    "self_attention_backward",
    "sine_positions",
    "softmax",
    "softmax_backward",
    "softmax_jacobian",
    "softmax_jacobian_nuclear_norm",
    "split_heads",
    "uniform_attention",
    "uniform_attention_backward",
    "unpatchify",
]
