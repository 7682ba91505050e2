"""The MLP-Mixer (Tolstikhin et al., 2021): a Vision Transformer whose attention is an MLP over the tokens.

Axes: B batch, N tokens (patches; there is no class token), C channels (dim).

The names of modules and parameters, the epsilon of LayerNorm and the exact GELU follow timm's ``mlp_mixer``, so that
published weights load unchanged.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from minivit.layers import DropPath, Mlp, PatchEmbed, create_context, drop_path_rate
from minivit.layers.context import check_without_class_token
from minivit.models.classifier import Classifier, create_head
from minivit.options import check_at_least, check_rate, layer_indices, scaled_size


class MixerBlock(nn.Module):
    r"""An MLP over the tokens of each channel, then one over the channels of each token, both pre-norm and residual.

    .. math:: x \leftarrow x + \operatorname{MLP}(\operatorname{LN}(x)^\top)^\top, \qquad
              x \leftarrow x + \operatorname{MLP}(\operatorname{LN}(x))

    The first is to a Mixer what attention is to a ViT, but how much one token takes from another depends on their
    positions alone, not on their content, and the number of tokens is fixed.

    Parameters
    ----------
    num_tokens, dim
        Tokens N and channels C.
    token_mlp_ratio, mlp_ratio
        Hidden size of the MLP over tokens and of the MLP over channels, both as multiples of ``dim``.
    drop_path
        Rate in [0, 1) of stochastic depth.
    context
        Context module at the end of the MLP over channels: see :mod:`minivit.layers.context`.
    """

    def __init__(self, num_tokens: int, dim: int, *, token_mlp_ratio: float = 0.5,
                 mlp_ratio: float = 4.0, drop_path: float = 0.0, context: str = "none"):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp_tokens = Mlp(num_tokens, scaled_size(dim, "token_mlp_ratio", token_mlp_ratio))
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp_channels = Mlp(dim, scaled_size(dim, "mlp_ratio", mlp_ratio), end=create_context(context, dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        x = x + self.drop_path(self.mlp_tokens(self.norm1(x).mT).mT)  # (B, N, C) -> (B, C, N) and back
        return x + self.drop_path(self.mlp_channels(self.norm2(x)))


class Mixer(Classifier):
    """Cut an image into patches, mix them ``depth`` times with MLPs alone, and read the answer off their mean.

    It has no attention and therefore no attention maps.

    Parameters
    ----------
    image_size
        Side of the image in pixels, or (height, width); each a multiple of ``patch_size``.
    patch_size
        Side of a patch in pixels.
    in_channels, num_classes
        Channels of the image; size of the output, or 0 to return features (B, C) instead of logits.
    dim, depth
        Channels C and blocks.
    token_mlp_ratio, mlp_ratio
        Hidden size of the MLP over tokens and of the MLP over channels, both as multiples of ``dim``.
    drop_path
        Rate in [0, 1) of stochastic depth in the last block; it grows linearly from 0 in the first.
    context
        Context module at the end of the MLP over channels: any of :mod:`minivit.layers.context` that needs no class
        token.
    context_layers
        Which blocks have it: ``upper`` (the deeper half), ``all``, or a sequence of indices in [0, depth).

    Raises
    ------
    ValueError
        Naming the argument that is out of range.

    Examples
    --------
    >>> model = Mixer(image_size=32, patch_size=4, num_classes=100, dim=64, depth=2, context="cb")
    >>> model(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 100])
    """

    def __init__(self, *, image_size: int | Sequence[int] = 224, patch_size: int = 16, in_channels: int = 3,
                 num_classes: int = 1000, dim: int = 512, depth: int = 8, token_mlp_ratio: float = 0.5,
                 mlp_ratio: float = 4.0, drop_path: float = 0.0, context: str = "none",
                 context_layers: str | Sequence[int] = "upper"):
        super().__init__()
        check_rate(drop_path=drop_path)
        check_at_least(1, depth=depth, dim=dim)
        check_without_class_token(context, "Mixer")
        with_context = layer_indices("context_layers", context_layers, depth)
        self.stem = PatchEmbed(image_size, patch_size, in_channels=in_channels, dim=dim)
        self.blocks = nn.ModuleList(
            MixerBlock(self.stem.num_patches, dim, token_mlp_ratio=token_mlp_ratio, mlp_ratio=mlp_ratio,
                       drop_path=drop_path_rate(drop_path, layer, depth),
                       context=context if layer in with_context else "none")
            for layer in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = create_head(dim, num_classes)
        self.init_weights()

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of patches; there is only one grid."""
        return (self.stem.grid,)

    @torch.no_grad()
    def init_weights(self) -> None:
        """Initialise as timm does: patches by LeCun's rule, MLPs by Glorot's; the head and all biases start at zero.

        Context modules draw nothing here, so models that differ only in ``context`` start from the same weights.
        """
        nn.init.trunc_normal_(self.stem.proj.weight, std=self.stem.proj.weight[0].numel() ** -0.5)
        nn.init.zeros_(self.stem.proj.bias)
        for block in self.blocks:
            for layer in (block.mlp_tokens.fc1, block.mlp_tokens.fc2, block.mlp_channels.fc1, block.mlp_channels.fc2):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        for weights in self.head.parameters():
            nn.init.zeros_(weights)

    def forward_features(self, images: Tensor) -> Tensor:
        """Map images (B, in_channels, height, width) to normalised tokens (B, N, C)."""
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, images: Tensor) -> Tensor:
        """Classify normalised images (B, in_channels, height, width) with logits (B, num_classes)."""
        return self.head(self.forward_features(images).mean(dim=1))
