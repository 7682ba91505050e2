"""Dropout (Srivastava et al., 2014)."""

from torch import Tensor, nn

from minivit import draws


class Dropout(nn.Dropout):
    """In training, set elements to zero with probability ``p`` and divide the others by ``1 - p``.

    Unlike in PyTorch's dropout, the elements don't depend on how a batch is shared among processes or split into parts:
    see :mod:`minivit.draws`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to the same shape."""
        if not self.training or self.p == 0:
            return x
        return x * (draws.rand(*x.shape, device=x.device) >= self.p) / (1 - self.p)
