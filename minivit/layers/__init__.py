"""The parts of a Vision Transformer, one idea a file."""

from minivit.layers.attention import Attention, split_dim
from minivit.layers.block import Block, DropPath
from minivit.layers.context import (
    CONTEXTS,
    ContextBroadcast,
    ContextGate,
    ContextHybrid,
    ScaledContextBroadcast,
    SqueezeExcite,
    create_context,
)
from minivit.layers.embed import PatchDropout, PatchEmbed
from minivit.layers.extra_block import ExtraMlp, ExtraMsa
from minivit.layers.mlp import Mlp
from minivit.layers.uniform_head import UniformHeadAttention

__all__ = [
    "Attention",
    "Block",
    "CONTEXTS",
    "ContextBroadcast",
    "ContextGate",
    "ContextHybrid",
    "DropPath",
    "ExtraMlp",
    "ExtraMsa",
    "Mlp",
    "PatchDropout",
    "PatchEmbed",
    "ScaledContextBroadcast",
    "SqueezeExcite",
    "UniformHeadAttention",
    "create_context",
    "split_dim",
]
