"""A Vision Transformer (Dosovitskiy et al., 2021) in NumPy, forward and backward.

Axes: B batch, N tokens (patches and the class token), C channels (dim), H heads, K classes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minivit.options import check_at_least, check_choice, image_sides, layer_indices, patch_grid, scaled_size
from minivit.scratch.arrays import check_shape
from minivit.scratch.block import block, block_backward
from minivit.scratch.linear import linear, linear_backward
from minivit.scratch.loss import cross_entropy, cross_entropy_backward
from minivit.scratch.mlp import CONTEXTS
from minivit.scratch.norm import layer_norm, layer_norm_backward
from minivit.scratch.params import Params, check_params, part, prefixed
from minivit.scratch.patches import patch_embed, patch_embed_backward
from minivit.scratch.tokens import (
    add_class_token,
    add_class_token_backward,
    add_positions,
    add_positions_backward,
    class_token_pool,
    class_token_pool_backward,
    mean_pool,
    mean_pool_backward,
)

POOLS = {"token": (class_token_pool, class_token_pool_backward), "avg": (mean_pool, mean_pool_backward)}


class ViT:
    """Cut an image into patches, let them talk for ``depth`` blocks, and read the answer off the result.

    The operations are the plain functions of this package. This class keeps the parameters, in :attr:`params`, under
    their names in :class:`minivit.models.ViT`, and calls the functions in order, forward and backward.

    Parameters
    ----------
    image_size
        Side of the image in pixels, or (height, width); each a multiple of ``patch_size``.
    patch_size
        Side of a patch in pixels.
    in_channels, num_classes
        Channels of the image; K.
    dim, depth, num_heads, mlp_ratio
        Channels C, number of blocks, heads H, and hidden channels of the MLP as a multiple of C (rounded, halves to
        even).
    context
        ``none``, ``cb`` or ``cb_s``, at the end of the MLP.
    context_layers
        Which blocks have it: ``upper`` (the deeper half), ``all``, or a sequence of indices in [0, depth).
    global_pool
        What the head reads: ``token`` (the class token) or ``avg`` (the mean of the patches).
    seed
        Seed of the initial weights, which are drawn from the same distributions as in :class:`minivit.models.ViT`.

    Attributes
    ----------
    params : dict of str to array
        The parameters, float64. An optimiser changes them in place.

    Raises
    ------
    ValueError
        Naming the argument that is out of range.

    Examples
    --------
    >>> model = ViT(image_size=8, patch_size=2, in_channels=1, num_classes=10, dim=12, depth=2, num_heads=3)
    >>> logits, maps = model(np.zeros((5, 1, 8, 8)), return_attention=True)
    >>> logits.shape, [a.shape for a in maps]
    ((5, 10), [(5, 3, 17, 17), (5, 3, 17, 17)])
    """

    def __init__(self, *, image_size: int | Sequence[int], patch_size: int, in_channels: int = 3, num_classes: int,
                 dim: int, depth: int, num_heads: int, mlp_ratio: float = 4.0, context: str = "none",
                 context_layers: str | Sequence[int] = "upper", global_pool: str = "token", seed: int = 0):
        check_at_least(1, in_channels=in_channels, num_classes=num_classes, dim=dim, depth=depth, num_heads=num_heads)
        check_at_least(0, seed=seed)
        grid, hidden_dim = patch_grid(image_size, patch_size), scaled_size(dim, "mlp_ratio", mlp_ratio)
        if dim % num_heads:
            raise ValueError(f"num_heads={num_heads} does not divide dim={dim}")
        check_choice(CONTEXTS, context=context)
        check_choice(POOLS, global_pool=global_pool)
        with_context = layer_indices("context_layers", context_layers, depth)
        self.image_shape = (in_channels, *image_sides(image_size))
        self.num_heads, self.global_pool = num_heads, global_pool
        self.contexts = [context if layer in with_context else "none" for layer in range(depth)]
        self.shapes = self._shapes(patch_size, num_classes, dim, hidden_dim, math.prod(grid))
        self.params = self._draw(np.random.default_rng(seed))

    def _shapes(self, patch_size: int, num_classes: int, dim: int, hidden_dim: int, num_patches: int
                ) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter, in the order of the forward pass."""
        channels, _, _ = self.image_shape
        shapes = {"cls_token": (1, 1, dim), "pos_embed": (1, 1 + num_patches, dim),
                  "patch_embed.proj.weight": (dim, channels, patch_size, patch_size), "patch_embed.proj.bias": (dim,)}
        for layer, context in enumerate(self.contexts):
            shapes |= prefixed({
                "norm1.weight": (dim,), "norm1.bias": (dim,),
                "attn.qkv.weight": (3 * dim, dim), "attn.qkv.bias": (3 * dim,),
                "attn.proj.weight": (dim, dim), "attn.proj.bias": (dim,),
                "norm2.weight": (dim,), "norm2.bias": (dim,),
                "mlp.fc1.weight": (hidden_dim, dim), "mlp.fc1.bias": (hidden_dim,),
                "mlp.fc2.weight": (dim, hidden_dim), "mlp.fc2.bias": (dim,),
                **({"mlp.end.scale": (dim,)} if context == "cb_s" else {}),
            }, f"blocks.{layer}")
        return shapes | {"norm.weight": (dim,), "norm.bias": (dim,),
                         "head.weight": (num_classes, dim), "head.bias": (num_classes,)}

    def _draw(self, rng: np.random.Generator) -> Params:
        """Draw initial weights: standard deviation 0.02 for linear layers and positions, 1 for LayerNorm, 0 biases."""
        params = {}
        for name, shape in self.shapes.items():
            if name.startswith("patch_embed"):  # as PyTorch initialises a convolution
                bound = 1 / math.sqrt(math.prod(self.shapes["patch_embed.proj.weight"][1:]))
                params[name] = rng.uniform(-bound, bound, shape)
            elif "norm" in name:
                params[name] = np.ones(shape) if name.endswith("weight") else np.zeros(shape)
            elif name.endswith("weight") or name == "pos_embed":
                params[name] = rng.normal(0, 0.02, shape)
            elif name == "cls_token":
                params[name] = rng.normal(0, 1e-6, shape)
            else:
                params[name] = np.zeros(shape)
        return params

    def load(self, params: Mapping[str, Any]) -> None:
        """Load weights: arrays, or the state dict of the same model in PyTorch.

        Parameters
        ----------
        params
            Weights by name, of any precision and on any device; they are copied into the arrays in :attr:`params`.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape is wrong; then no parameter has been changed.
        """
        arrays = check_params(params, self.shapes)
        for name, array in arrays.items():  # in place, since an optimiser may hold the arrays
            self.params[name][...] = array

    def forward(self, images: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """Classify images, and save what the backward pass needs.

        Parameters
        ----------
        images
            Shape (B, in_channels, height, width).

        Returns
        -------
        logits
            Shape (B, K).
        saved
            What :meth:`backward` needs; ``saved["blocks"][l]["attn"]["maps"]`` holds the maps of block l.

        Raises
        ------
        ValueError
            If the images or a parameter have the wrong shape.
        """
        images = check_shape("images", images, "B", *self.image_shape)
        params = check_params(self.params, self.shapes)
        x = patch_embed(images, params["patch_embed.proj.weight"], params["patch_embed.proj.bias"])
        x = add_positions(add_class_token(x, params["cls_token"]), params["pos_embed"])
        blocks = []
        for layer, context in enumerate(self.contexts):
            x, saved = block(x, part(params, f"blocks.{layer}"), self.num_heads, context)
            blocks.append(saved)
        normal = layer_norm(x, params["norm.weight"], params["norm.bias"])
        pool, _ = POOLS[self.global_pool]
        pooled = pool(normal)
        logits = linear(pooled, params["head.weight"], params["head.bias"])
        return logits, {"images": images, "params": params, "blocks": blocks, "x": x, "pooled": pooled}

    def backward(self, d_logits: np.ndarray, saved: dict[str, Any]) -> tuple[np.ndarray, Params]:
        """Backpropagate the gradient of the logits to all parameters and to the images.

        Parameters
        ----------
        d_logits
            Shape (B, K).
        saved
            What :meth:`forward` saved.

        Returns
        -------
        d_images
            Shape (B, in_channels, height, width).
        d_params
            Gradients by parameter name.

        Raises
        ------
        ValueError
            If ``d_logits`` does not have the shape of the logits.
        """
        params, d = saved["params"], {}
        d_logits = check_shape("d_logits", d_logits, len(saved["images"]), len(params["head.bias"]))
        d_pooled, d["head.weight"], d["head.bias"] = linear_backward(d_logits, saved["pooled"], params["head.weight"])
        _, pool_backward = POOLS[self.global_pool]
        d_normal = pool_backward(d_pooled, saved["x"].shape[1])
        d_x, d["norm.weight"], d["norm.bias"] = layer_norm_backward(d_normal, saved["x"], params["norm.weight"])
        for layer in reversed(range(len(self.contexts))):
            d_x, d_block = block_backward(d_x, saved["blocks"][layer])
            d |= prefixed(d_block, f"blocks.{layer}")
        d_x, d["pos_embed"] = add_positions_backward(d_x)
        d_x, d["cls_token"] = add_class_token_backward(d_x)
        d_images, d["patch_embed.proj.weight"], d["patch_embed.proj.bias"] = patch_embed_backward(
            d_x, saved["images"], params["patch_embed.proj.weight"])
        return d_images, {name: d[name] for name in self.shapes}

    def __call__(self, images: np.ndarray, return_attention: bool = False
                 ) -> np.ndarray | tuple[np.ndarray, list[np.ndarray]]:
        """Return logits (B, K); with ``return_attention`` also a map (B, H, N, N) per block, whose rows sum to 1."""
        logits, saved = self.forward(images)
        return (logits, [b["attn"]["maps"] for b in saved["blocks"]]) if return_attention else logits

    def loss_and_gradients(self, images: np.ndarray, labels: np.ndarray, label_smoothing: float = 0.0
                           ) -> tuple[float, Params]:
        """Run one forward and backward pass: return the cross-entropy of a batch and its gradients.

        Parameters
        ----------
        images, labels
            Shapes (B, in_channels, height, width) and (B,).
        label_smoothing
            In [0, 1].

        Returns
        -------
        loss
            In nats.
        d_params
            Gradients by parameter name, as an optimiser takes them.
        """
        logits, saved = self.forward(images)
        _, d_params = self.backward(cross_entropy_backward(logits, labels, label_smoothing), saved)
        return cross_entropy(logits, labels, label_smoothing), d_params
