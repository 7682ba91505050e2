"""The building blocks of a Vision Transformer, one idea per file; token mixers live in :mod:`minivit.mixers`."""

from minivit.layers.block import Block, DropPath, drop_path_rate
from minivit.layers.context import (
    CONTEXTS,
    ContextBroadcast,
    ContextGate,
    ContextHybrid,
    ScaledContextBroadcast,
    SqueezeExcite,
    create_context,
)
from minivit.layers.embed import PatchDropout, PatchEmbed, check_images, sine_positions
from minivit.layers.extra_block import ExtraMlp, ExtraMsa
from minivit.mixers import (
    Attention,
    AttentionDownsample,
    Factors,
    LessAttention,
    Mlp,
    SpatialReduction,
    TokenMap,
    UniformHeadAttention,
    split_dim,
)

__all__ = [
    "Attention",
    "AttentionDownsample",
    "Block",
    "CONTEXTS",
    "ContextBroadcast",
    "ContextGate",
    "ContextHybrid",
    "DropPath",
    "ExtraMlp",
    "ExtraMsa",
    "Factors",
    "LessAttention",
    "Mlp",
    "PatchDropout",
    "PatchEmbed",
    "ScaledContextBroadcast",
    "SpatialReduction",
    "SqueezeExcite",
    "TokenMap",
    "UniformHeadAttention",
    "check_images",
    "create_context",
    "drop_path_rate",
    "sine_positions",
    "split_dim",
]
