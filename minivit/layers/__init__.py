"""The parts of a Vision Transformer, one idea a file."""

from minivit.layers.attention import Attention, split_dim
from minivit.layers.attention_downsample import AttentionDownsample
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
from minivit.layers.embed import PatchDropout, PatchEmbed, check_images
from minivit.layers.extra_block import ExtraMlp, ExtraMsa
from minivit.layers.less_attention import LessAttention
from minivit.layers.mlp import Mlp
from minivit.layers.scores import Factors
from minivit.layers.spatial_reduction import SpatialReduction
from minivit.layers.token_map import TokenMap
from minivit.layers.uniform_head import UniformHeadAttention

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
    "split_dim",
]
