"""Context broadcasting: uniform attention added by hand (Hyeon-Woo et al., 2023, section 3.2).

Axes: B batch, N tokens, C channels.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ContextBroadcast(nn.Module):
    r"""Give every token half of the mean token (CB).

    .. math:: \operatorname{CB}(x_i) = \frac{1}{2}\Big(x_i + \frac{1}{N}\sum_{j=1}^{N} x_j\Big)
       \qquad\text{(the paper's equation 1)}

    The mean over tokens is attention with all weights 1/N: the densest map there is, at no parameter and N C additions.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        return 0.5 * x + 0.5 * x.mean(dim=1, keepdim=True)


class ScaledContextBroadcast(nn.Module):
    r"""Add the mean token, each channel by as much as it learns to want (CB_S).

    .. math:: \operatorname{CB}_S(x_i) = x_i + \Lambda \odot \frac{1}{N}\sum_{j=1}^{N} x_j

    Parameters
    ----------
    dim
        Channels C, the size of :math:`\Lambda`, which starts at zero: an untrained CB_S changes nothing.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        return x + self.scale * x.mean(dim=1, keepdim=True)


CONTEXTS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda dim: nn.Identity(),
    "cb": lambda dim: ContextBroadcast(),
    "cb_s": ScaledContextBroadcast,
}
CONTEXT_POSITIONS = ("mlp_end", "mlp_mid", "mlp_front", "msa_end", "both")


def create_context(context: str, dim: int) -> nn.Module:
    """Make the context module of that name for tokens of ``dim`` channels.

    Raises
    ------
    ValueError
        If there is no such context.
    """
    if context not in CONTEXTS:
        raise ValueError(f"context={context!r} is not known; it is one of {', '.join(CONTEXTS)}")
    return CONTEXTS[context](dim)
