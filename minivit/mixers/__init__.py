"""Token mixers: one idea per file, and one table of them all."""

from minivit.mixers.attention import Attention, split_dim
from minivit.mixers.attention_downsample import AttentionDownsample
from minivit.mixers.base import MapMixer, TokenMixer
from minivit.mixers.less_attention import LessAttention
from minivit.mixers.linear import LinearAttention
from minivit.mixers.mlp import Mlp
from minivit.mixers.neighbourhood import NeighbourhoodAttention
from minivit.mixers.registry import MIXERS, create_mixer, mixer_class, register_mixer
from minivit.mixers.scores import Factors, Product
from minivit.mixers.spatial_reduction import SpatialReduction
from minivit.mixers.spectral import SpectralMixer
from minivit.mixers.token_map import TokenMap
from minivit.mixers.token_mlp import TokenMlp
from minivit.mixers.uniform_head import UniformHeadAttention

__all__ = [
    "Attention",
    "AttentionDownsample",
    "Factors",
    "LessAttention",
    "LinearAttention",
    "MIXERS",
    "MapMixer",
    "Mlp",
    "NeighbourhoodAttention",
    "Product",
    "SpatialReduction",
    "SpectralMixer",
    "TokenMap",
    "TokenMixer",
    "TokenMlp",
    "UniformHeadAttention",
    "create_mixer",
    "mixer_class",
    "register_mixer",
    "split_dim",
]
