"""Vision Transformers of other libraries, at the sizes of ours, for comparing speed.

These libraries aren't dependencies of the package: each function imports its library when it is called.
"""

import sys
from contextlib import redirect_stdout

from torch import nn


def timm_vit(*, image_size: int, patch_size: int, num_classes: int, dim: int, depth: int, num_heads: int) -> nn.Module:
    """Create timm's ViT; its parameters have the same names and shapes as ours."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(img_size=image_size, patch_size=patch_size, num_classes=num_classes, embed_dim=dim,
                             depth=depth, num_heads=num_heads)


def vit_pytorch_vit(*, image_size: int, patch_size: int, num_classes: int, dim: int, depth: int,
                    num_heads: int) -> nn.Module:
    """Create vit-pytorch's ViT; it has no bias on queries, keys and values, and LayerNorms around its patch matrix."""
    from vit_pytorch.vit import ViT

    return ViT(image_size=image_size, patch_size=patch_size, num_classes=num_classes, dim=dim, depth=depth,
               heads=num_heads, dim_head=dim // num_heads, mlp_dim=4 * dim)


PEERS = {"timm": timm_vit, "vit-pytorch": vit_pytorch_vit}


def create_peers(**sizes: int) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Create the model of each library that works here, and say why the others don't.

    Parameters
    ----------
    **sizes
        ``image_size``, ``patch_size``, ``num_classes``, ``dim``, ``depth`` and ``num_heads``, as for
        :class:`minivit.models.ViT`.

    Returns
    -------
    dict, dict
        Models and reasons, by name of the library.
    """
    peers, missing = {}, {}
    for name, create in PEERS.items():
        try:
            with redirect_stdout(sys.stderr):  # what a library prints on import isn't our output
                peers[name] = create(**sizes)
        except Exception as error:  # a library that doesn't fit this torch may raise anything
            missing[name] = " ".join(f"{type(error).__name__}: {error}".split())
    return peers, missing
