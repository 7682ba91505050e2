"""Segmentation: a linear head on the tokens of a ViT, or on the feature maps of a LaViT, gives each pixel a class.

Axes: B batch, N tokens, C channels, R x S rows and columns of the finest grid, P side of its patches in pixels, K
classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.models.lavit import LaViT
from minivit.models.registry import create_model
from minivit.models.vit import ViT, init_linear_layers
from minivit.options import check_at_least


class Segmenter(nn.Module):
    """Let each token predict what its own P x P pixels show.

    The head is one linear map from a token's channels to K logits for each of its pixels. Interpolating K logits per
    token would take a smaller head, but it could draw nothing finer than a patch: in a 32 x 32 image, a ring would lose
    its hole. If the backbone has several grids, the coarser ones are repeated up to the finest, and the channels of all
    are concatenated.

    Parameters
    ----------
    backbone
        A :class:`minivit.models.ViT` or :class:`minivit.models.LaViT` without a head (``num_classes=0``).
    num_classes
        Number of classes K.

    Raises
    ------
    ValueError
        If the backbone is of another kind, or ``num_classes`` is below 1.
    """

    def __init__(self, backbone: nn.Module, num_classes: int):
        super().__init__()
        check_at_least(1, num_classes=num_classes)
        if not isinstance(backbone, ViT | LaViT):
            raise ValueError(f"a {type(backbone).__name__} has no head for segmentation; use a ViT or a LaViT")
        self.backbone = backbone
        staged = isinstance(backbone, LaViT)
        height = (backbone if staged else backbone.patch_embed).image_shape[1]
        self.patch_size = height // backbone.grids[0][0]
        dims = [backbone.num_features]
        if staged:
            dims = [stage.merge.norm.normalized_shape[0] for stage in backbone.stages]
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-6) for dim in dims[:-1])  # the last grid uses backbone.norm
        self.head = nn.Linear(sum(dims), num_classes * self.patch_size**2)
        init_linear_layers(self.head)

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the backbone's tokens."""
        return self.backbone.grids

    @property
    def cls_token(self) -> Tensor:
        """The backbone's class token; a LaViT has none."""
        return self.backbone.cls_token

    @property
    def has_maps(self) -> bool:
        """Whether any of the backbone's blocks has an attention map."""
        return self.backbone.has_maps

    @property
    def map_losses(self) -> dict[int, Callable[[Tensor, str], Tensor]]:
        """The losses that the backbone's mixers define on their maps."""
        return self.backbone.map_losses

    def features(self, images: Tensor, maps: list[Tensor] | None) -> list[Tensor]:
        """Map images to normalised grids (B, R, S, C), finest first; append attention maps to ``maps``."""
        if isinstance(self.backbone, LaViT):
            norms = [*self.norms, self.backbone.norm]
            grids = self.backbone.feature_maps(images, maps)
            return [norm(grid.movedim(1, 3)) for norm, grid in zip(norms, grids, strict=True)]
        x = self.backbone.forward_features(images, maps is not None)
        if maps is not None:
            x, new = x
            maps.extend(new)
        return [x[:, 1:].unflatten(1, self.grids[0])]

    def forward(self, images: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Classify each pixel of images (B, in_channels, height, width).

        Returns
        -------
        Tensor or (Tensor, list of Tensor)
            Logits, (B, K, height, width); with ``return_attention`` also the maps of the backbone.
        """
        maps = self.backbone.start_maps(return_attention)
        x = torch.cat([repeat(grid, self.grids[0]) for grid in self.features(images, maps)], dim=3)
        logits = F.pixel_shuffle(self.head(x).movedim(3, 1), self.patch_size)  # (B, K P P, R, S) -> (B, K, R P, S P)
        return (logits, maps) if return_attention else logits


def repeat(grid: Tensor, size: Sequence[int]) -> Tensor:
    """Upsample a grid (B, r, s, C) to (B, R, S, C) by repeating its tokens."""
    down, right = size[0] // grid.shape[1], size[1] // grid.shape[2]
    return grid.repeat_interleave(down, dim=1).repeat_interleave(right, dim=2)


def create_segmenter(name: str, *, num_classes: int, **options: Any) -> Segmenter:
    """Create a model by name, with a segmentation head; for the arguments see :func:`minivit.models.create_model`.

    Raises
    ------
    ValueError
        If the name or an option is wrong, or there is no segmentation head for the model.
    """
    return Segmenter(create_model(name, **options, num_classes=0), num_classes)
