"""Sizes and rates of everything that is made: an error names whatever isn't one, whatever its type."""

from math import inf, nan

import numpy as np
import pytest

from minivit import layers, mixers, models, scratch
from minivit.analysis import attention_macs, break_even_tokens

IMAGE = dict(image_size=8, in_channels=1)
GRID = dict(grid=(2, 3), prefix_tokens=1)
MAKE = [
    (layers.Attention, dict(dim=12, num_heads=3, head_size=4, dropout=0.1)),
    (mixers.UniformHeadAttention, dict(dim=12, num_heads=3, dropout=0.1)),
    (layers.LessAttention, dict(GRID, dim=12, num_heads=3, num_keys=5, rank=2, dropout=0.1)),
    (mixers.LinearAttention, dict(dim=12, num_heads=3, dropout=0.1)),
    (mixers.NeighbourhoodAttention, dict(GRID, dim=12, num_heads=3, window=2, stride=1, dropout=0.1)),
    (mixers.TokenMlp, dict(GRID, dim=12, hidden_tokens=5, dropout=0.1)),
    (mixers.SpectralMixer, dict(GRID, dim=12)),
    (mixers.TokenMap, dict(num_tokens=7, rank=2)),
    (layers.Block, dict(dim=12, mixer=layers.Attention(12, 3), mlp_ratio=1.5, dropout=0.1, drop_path=0.1)),
    (layers.ExtraMsa, dict(dim=12, num_heads=3, dropout=0.1)),
    (layers.ExtraMlp, dict(dim=12, dropout=0.1)),
    (layers.Mlp, dict(dim=12, hidden_dim=5, dropout=0.1)),
    (layers.PatchEmbed, dict(IMAGE, patch_size=4, dim=5)),
    (layers.PatchDropout, dict(rate=0.1)),
    (layers.DropPath, dict(rate=0.1)),
    (mixers.SpatialReduction, dict(dim=4, ratio=2)),
    (mixers.AttentionDownsample, dict(num_heads=2, out_heads=3, side=4, key_side=2)),
    (layers.ScaledContextBroadcast, dict(dim=4)),
    (layers.SqueezeExcite, dict(dim=4, reduction=2)),
    (models.ViT, dict(IMAGE, patch_size=4, num_classes=3, dim=12, depth=2, num_heads=3, mlp_ratio=1.5, dropout=0.1,
                      drop_path=0.1, attention_layers=[0], less_attention_rank=2)),
    (models.Mixer, dict(IMAGE, patch_size=4, num_classes=3, dim=12, depth=2, token_mlp_ratio=0.5, mlp_ratio=1.5,
                        drop_path=0.1)),
    (models.PiT, dict(IMAGE, patch_size=4, stride=2, num_classes=3, dims=(4, 8), depths=(1, 1), num_heads=(1, 2),
                      mlp_ratio=1.5, drop_path=0.1)),
    (models.LaViT, dict(IMAGE, patch_size=2, num_classes=3, dims=(4, 8), depths=(1, 2), attention_depths=(1, 1),
                        num_heads=(1, 2), reductions=(1, 1), mlp_ratios=(1.5, 1.5), drop_path=0.1,
                        less_attention_rank=2)),
    (scratch.ViT, dict(IMAGE, patch_size=4, num_classes=3, dim=12, depth=2, num_heads=3, mlp_ratio=1.5)),
    (scratch.sine_positions, dict(num_tokens=3, dim=4)),
    (attention_macs, dict(kind="la", num_tokens=3, dim=4, num_heads=2, num_keys=3, rank=2)),
    (break_even_tokens, dict(dim=4, num_heads=2, rank=2)),
]
NO_SIZE = (0, -1, -8, 2.0, 8.0, True, "3", nan, inf)
NO_RATIO = (0, 0.0, -1, nan, inf, True, "3", 1e-9)
NO_RATE = (-0.1, 1, 1.0, nan, inf, True, "0.1", None)


def values_for(name, value):
    """What the argument must not be."""
    if name in ("kind", "attention_layers", "mixer", "grid"):
        return ()
    if name in ("num_classes", "prefix_tokens"):  # there may be none of them
        return NO_SIZE[1:]
    return NO_RATIO if "ratio" in name and name != "ratio" else NO_RATE if isinstance(value, float) else NO_SIZE


@pytest.mark.parametrize("make, options", MAKE, ids=lambda given: getattr(given, "__name__", ""))
def test_what_is_no_size_and_no_rate_is_named(make, options):
    make(**options)
    for name, value in options.items():
        for bad in values_for(name, value):
            several = isinstance(value, tuple)
            with pytest.raises(ValueError, match=f"{name}=") as raised:
                make(**options | {name: (bad,) * len(value) if several else bad})
            assert "\n" not in str(raised.value)
        if isinstance(value, int):
            make(**options | {name: np.int64(value)})  # a whole number of NumPy is one


@pytest.mark.parametrize("make, options, message", [
    (models.ViT, dict(dim=10, num_heads=3), "dim=10 cannot be split into num_heads=3"),
    (layers.Attention, dict(dim=10, num_heads=3), "dim=10 cannot be split into num_heads=3"),
    (models.PiT, dict(patch_size=16, image_size=8), "patch_size=16 .*image_size=8"),
    (models.Mixer, dict(patch_size=16, image_size=8), "patch_size=16 does not divide image_size=8"),
    (models.Mixer, dict(dim=3, token_mlp_ratio=0.1), "token_mlp_ratio=0.1 leaves nothing of 3: 0.3 is rounded to 0"),
    (mixers.SpatialReduction, dict(dim=3, ratio=2, grid=(4, 0)), r"grid=\(4, 0\)"),
    (mixers.AttentionDownsample, dict(num_heads=1, out_heads=1, side=(4, 3)), r"side=\(4, 3\) must be even"),
])
def test_sizes_that_do_not_fit_each_other_are_named(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
