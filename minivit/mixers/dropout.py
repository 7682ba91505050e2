"""Dropout (Srivastava et al., 2014)."""

from torch import Tensor, nn

from minivit import draws


class Dropout(nn.Dropout):
    """Set numbers to zero with probability ``p`` and divide the others by ``1 - p``, in training.

    PyTorch's draws for the numbers at hand; this one also where a process has a part of the batch: see
    :mod:`minivit.draws`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to the same shape."""
        if not self.training or self.p == 0:
            return x
        return x * (draws.rand(*x.shape, device=x.device) >= self.p) / (1 - self.p)
