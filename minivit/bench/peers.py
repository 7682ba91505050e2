"""The Vision Transformers of other libraries, at the sizes of ours, to compare speed with.

They are no dependency of this package: a function imports its library when it is called.
"""

import sys
from contextlib import redirect_stdout

from torch import nn


def timm_vit(*, image_size: int, patch_size: int, num_classes: int, dim: int, depth: int, num_heads: int) -> nn.Module:
    """Make timm's: the same parameters as ours, by name and shape."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(img_size=image_size, patch_size=patch_size, num_classes=num_classes, embed_dim=dim,
                             depth=depth, num_heads=num_heads)


def vit_pytorch_vit(*, image_size: int, patch_size: int, num_classes: int, dim: int, depth: int,
                    num_heads: int) -> nn.Module:
    """Make vit-pytorch's: no bias on queries, keys and values, and a LayerNorm on either side of the patch matrix."""
    from vit_pytorch.vit import ViT

    return ViT(image_size=image_size, patch_size=patch_size, num_classes=num_classes, dim=dim, depth=depth,
               heads=num_heads, dim_head=dim // num_heads, mlp_dim=4 * dim)


PEERS = {"timm": timm_vit, "vit-pytorch": vit_pytorch_vit}


def create_peers(**sizes: int) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Make each peer that can be made; of the others, say why not.

    Parameters
    ----------
    **sizes
        ``image_size``, ``patch_size``, ``num_classes``, ``dim``, ``depth`` and ``num_heads``, as for
        :class:`minivit.models.ViT`.

    Returns
    -------
    (dict, dict)
        Models, and reasons, by the name of the library.
    """
    peers, missing = {}, {}
    for name, create in PEERS.items():
        try:
            with redirect_stdout(sys.stderr):  # what a library prints as it is imported is no part of our output
                peers[name] = create(**sizes)
        except Exception as error:  # a library that does not fit this torch fails in its own way, not by ImportError
            missing[name] = " ".join(f"{type(error).__name__}: {error}".split())
    return peers, missing
