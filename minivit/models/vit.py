"""The Vision Transformer (Dosovitskiy et al., 2021; sizes of Touvron et al., 2021).

Axes: B batch, N tokens (patches and the class token), C channels (dim), H heads.

The names of modules and parameters, the epsilon of LayerNorm and the exact GELU follow timm's ``vision_transformer``,
so that published weights load unchanged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.layers import (
    Block,
    ExtraMlp,
    ExtraMsa,
    PatchDropout,
    PatchEmbed,
    drop_path_rate,
    sine_positions,
)
from minivit.mixers import create_mixer, mixer_class, split_dim
from minivit.mixers.dropout import Dropout
from minivit.models.classifier import AttentionClassifier, create_head, run_blocks
from minivit.models.plan import plan_mixers
from minivit.options import check_at_least, check_choice, check_rate, layer_indices, scaled_size

GLOBAL_POOLS = ("token", "avg")
POSITIONS = ("learned", "sine")
EXTRA_BLOCKS = ("none", "msa", "mlp")


class ViT(AttentionClassifier):
    """Cut an image into patches, let them talk for ``depth`` blocks, and read the answer off the result.

    Parameters
    ----------
    image_size
        Side of the image in pixels, or (height, width); each a multiple of ``patch_size``.
    patch_size
        Side of a patch in pixels. N is the number of patches plus one.
    in_channels, num_classes
        Channels of the image; size of the output, or 0 to return features (B, C) instead of logits.
    dim, depth, num_heads, mlp_ratio
        Channels C, number of blocks, heads H, and hidden channels of the MLP as a multiple of C.
    qkv_bias
        Whether queries, keys and values have a bias.
    dropout
        Rate in [0, 1) after the position embedding and the linear layers.
    drop_path
        Rate in [0, 1) of stochastic depth in the last block; it grows linearly from 0 in the first.
    context, context_position
        Uniform attention added by hand, and its position in a block: see :class:`minivit.layers.Block`.
    context_layers
        Which blocks have it: ``upper`` (the deeper half), ``all``, or a sequence of indices in [0, depth).
    uniform_head
        ``none``, or how every block gets one uniform head (table 1 of the CB paper): ``replace`` removes the queries
        and keys of the last head (A); ``matched`` also widens the MLP by ``dim / num_heads`` hidden channels, which
        restores the number of parameters (B); ``append`` adds a head and the channels for it (C).
    extra_block
        ``none``, or one more ``msa`` or ``mlp`` of about the same size after the blocks (figure 3 of the CB paper).
    attention_layers
        Which blocks compute attention: ``all``, or a sequence of indices in [0, depth) that includes 0. In every other
        block, a :class:`minivit.mixers.LessAttention` transforms the scores of the block below.
    less_attention_rank
        Rank, in [1, N), of the difference of the transformations from the identity; None for full rank.
    less_attention_form
        What to transform: ``scores``, as in the paper, or ``factors``, the queries and keys. The output is the same,
        the cost is not.
    mixer, mixer_options
        How tokens mix: a key of :data:`minivit.mixers.MIXERS`, and keyword arguments of its class.
    mixer_layers
        Which blocks use this mixer: ``all``, ``upper`` (the deeper half), or a sequence of indices in [0, depth); the
        others compute attention.
    positions
        Position embeddings: ``learned``, or ``sine``, which are fixed: see :func:`minivit.layers.sine_positions`.
    global_pool
        What the head reads: ``token`` (the class token) or ``avg`` (the mean of the patches).

    Raises
    ------
    ValueError
        Naming the argument that is out of range.

    Examples
    --------
    >>> model = ViT(image_size=32, patch_size=4, num_classes=100, dim=64, depth=2, num_heads=4, context="cb")
    >>> logits, maps = model(torch.zeros(1, 3, 32, 32), return_attention=True)
    >>> logits.shape, [tuple(a.shape) for a in maps]
    (torch.Size([1, 100]), [(1, 4, 65, 65), (1, 4, 65, 65)])
    """

    def __init__(self, *, image_size: int | Sequence[int] = 224, patch_size: int = 16, in_channels: int = 3,
                 num_classes: int = 1000, dim: int = 768, depth: int = 12, num_heads: int = 12, mlp_ratio: float = 4.0,
                 qkv_bias: bool = True, dropout: float = 0.0, drop_path: float = 0.0, context: str = "none",
                 context_position: str = "mlp_end", context_layers: str | Sequence[int] = "upper",
                 uniform_head: str = "none", extra_block: str = "none",
                 attention_layers: str | Sequence[int] = "all", less_attention_rank: int | None = None,
                 less_attention_form: str = "scores", mixer: str = "attention",
                 mixer_options: Mapping[str, Any] | None = None, mixer_layers: str | Sequence[int] = "all",
                 positions: str = "learned", global_pool: str = "token"):
        super().__init__()
        check_rate(dropout=dropout, drop_path=drop_path)
        check_at_least(1, depth=depth, dim=dim)
        scaled_size(dim, "mlp_ratio", mlp_ratio)
        check_choice(EXTRA_BLOCKS, extra_block=extra_block)
        check_choice(GLOBAL_POOLS, global_pool=global_pool)
        check_choice(POSITIONS, positions=positions)
        if uniform_head == "append":
            dim, num_heads = dim + split_dim(dim, num_heads), num_heads + 1
        elif uniform_head == "matched":  # queries and keys have 2 D (C + 1) weights, D hidden channels D (2 C + 1)
            mlp_ratio += split_dim(dim, num_heads) / dim
        self.patch_embed = PatchEmbed(image_size, patch_size, in_channels=in_channels, dim=dim)
        num_tokens = 1 + self.patch_embed.num_patches
        plan = plan_mixers(depth, num_tokens, uniform_head=uniform_head, attention_layers=attention_layers,
                           less_attention_rank=less_attention_rank, less_attention_form=less_attention_form,
                           mixer=mixer, mixer_options=mixer_options, mixer_layers=mixer_layers)
        with_context = layer_indices("context_layers", context_layers, depth)
        self.global_pool = global_pool
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        if positions == "learned":
            self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, dim))
        else:
            self.register_buffer("pos_embed", F.pad(sine_positions(self.patch_embed.grid, dim), (0, 0, 1, 0)))
        # Training may set its rate; some mixers need all patches in their order.
        bound_to_grid = any(mixer_class(name).bound_to_grid for name, _ in plan)
        self.patch_dropout = nn.Identity() if bound_to_grid else PatchDropout()
        self.dropout = Dropout(dropout)

        def create_block(layer: int) -> Block:
            name, options = plan[layer]
            mixes = create_mixer(name, dim, num_heads, grid=self.patch_embed.grid, prefix_tokens=1, options=options,
                                 qkv_bias=qkv_bias, v_bias=qkv_bias, dropout=dropout)
            return Block(dim, mixes, mlp_ratio=mlp_ratio, dropout=dropout,
                         drop_path=drop_path_rate(drop_path, layer, depth),
                         context=context if layer in with_context else "none", context_position=context_position)

        self.blocks = nn.ModuleList(map(create_block, range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = create_head(dim, num_classes)
        self.init_weights()
        if extra_block != "none":  # drawn last, so that all other weights start as they would without it
            self.blocks.append(ExtraMsa(dim, num_heads, qkv_bias=qkv_bias, dropout=dropout) if extra_block == "msa"
                               else ExtraMlp(dim, dropout=dropout))
            init_linear_layers(self.blocks[-1])

    @torch.no_grad()
    def init_weights(self) -> None:
        """Draw linear layers and positions from a normal distribution of deviation 0.02, truncated at 2; zero biases.

        Context modules draw nothing here, so models that differ only in ``context`` start from the same weights.
        """
        init_linear_layers(self)
        if isinstance(self.pos_embed, nn.Parameter):
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)

    def tokens(self, images: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """Map images (B, in_channels, height, width) to tokens (B, N, C), class token first."""
        x = self.patch_embed(images)
        pos_embed = self.pos_embed.to(x)  # under autocast, tokens remain in the precision of the products
        x = self.patch_dropout(x + pos_embed[:, 1:])
        first = self.cls_token.to(x) + pos_embed[:, :1]
        x = self.dropout(torch.cat([first.expand(len(x), -1, -1), x], dim=1))
        return run_blocks(self.blocks, x, maps)[0]

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of patches; there is only one grid."""
        return (self.patch_embed.grid,)

    def pool(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to what the head reads, (B, C)."""
        return super().pool(x) if self.global_pool == "token" else self.norm(x[:, 1:]).mean(dim=1)


@torch.no_grad()
def init_linear_layers(model: nn.Module) -> None:
    """Draw all linear weights from a normal distribution of deviation 0.02, truncated at 2; set the biases to zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
