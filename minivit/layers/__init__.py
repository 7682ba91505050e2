"""The parts of a Vision Transformer, one idea a file."""

from minivit.layers.attention import Attention
from minivit.layers.block import Block, DropPath
from minivit.layers.context import CONTEXTS, ContextBroadcast, ScaledContextBroadcast, create_context
from minivit.layers.embed import PatchDropout, PatchEmbed
from minivit.layers.mlp import Mlp

__all__ = [
    "Attention",
    "Block",
    "CONTEXTS",
    "ContextBroadcast",
    "DropPath",
    "Mlp",
    "PatchDropout",
    "PatchEmbed",
    "ScaledContextBroadcast",
    "create_context",
]
