"""What the models with attention have in common: tokens, one of them is read, and maps on request.

Axes: B batch, N tokens, C channels, H heads.
"""

from torch import Tensor, nn


class AttentionClassifier(nn.Module):
    """Read logits off what ``forward_features`` of the model makes of an image.

    A model gives ``forward_features(images, return_attention)``, its tokens and with ``return_attention`` its maps, and
    ``head``, a linear layer.
    """

    def pool(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to what the head reads, (B, C): the class token, which is the first."""
        return x[:, 0]

    def forward(self, images: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Classify.

        Parameters
        ----------
        images
            (B, in_channels, image_size, image_size), normalised as in training.
        return_attention
            Whether to return the attention maps too (the unfused path: slower, same logits).

        Returns
        -------
        Tensor or (Tensor, list of Tensor)
            Logits, (B, num_classes); with ``return_attention`` also one map (B, H, N, N) per block with attention, rows
            of sum 1. H and N may differ from stage to stage.
        """
        x = self.forward_features(images, return_attention)
        x, maps = x if return_attention else (x, None)
        logits = self.head(self.pool(x))
        return (logits, maps) if return_attention else logits
