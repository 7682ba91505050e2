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
from minivit.mixers import Attention, LessAttention, Mlp

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
    "LessAttention",
    "Mlp",
    "PatchDropout",
    "PatchEmbed",
    "ScaledContextBroadcast",
    "SqueezeExcite",
    "check_images",
    "create_context",
    "drop_path_rate",
    "sine_positions",
]
