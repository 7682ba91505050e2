"""Context broadcasting: uniform attention added by hand (Hyeon-Woo et al., 2023, section 3.2), and its alternatives.

Axes: B batch, N tokens, C channels.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minivit.options import check_at_least, check_choice


class ContextBroadcast(nn.Module):
    r"""Give every token half of the mean token (CB).

    .. math:: \operatorname{CB}(x_i) = \frac{1}{2}\Big(x_i + \frac{1}{N}\sum_{j=1}^{N} x_j\Big)
       \qquad\text{(the paper's equation 1)}

    The mean over tokens is attention whose weights are all 1/N: the densest possible map, for N C additions and no
    parameters.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        return 0.5 * x + 0.5 * x.mean(dim=1, keepdim=True)


class ScaledContextBroadcast(nn.Module):
    r"""Add the mean token, each channel scaled by a learned factor (CB_S).

    .. math:: \operatorname{CB}_S(x_i) = x_i + \Lambda \odot \frac{1}{N}\sum_{j=1}^{N} x_j

    Parameters
    ----------
    dim
        Channels C, the size of :math:`\Lambda`, which starts at zero: an untrained CB_S changes nothing.
    """

    def __init__(self, dim: int):
        super().__init__()
        check_at_least(1, dim=dim)
        self.scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        return x + self.scale * x.mean(dim=1, keepdim=True)


class ContextGate(nn.Module):
    r"""Let the class token, which has seen the whole image, gate the channels of every token (CB_gate).

    .. math:: \operatorname{CB}_{gate}(x_i) = x_i \odot (x_0 + \mathbf{1})

    The class token :math:`x_0` comes first. It is gated too, by itself.

    References
    ----------
    Hyeon-Woo et al., 2023, appendix B.7.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        return x * (x[:, :1] + 1)


class ContextHybrid(ContextBroadcast):
    r"""Gate every token by the class token, and give it half of the mean token too (CB_hybrid).

    .. math:: \operatorname{CB}_{hybrid}(x_i) = x_i \odot x_0 + \operatorname{CB}(x_i)

    References
    ----------
    Hyeon-Woo et al., 2023, appendix B.7.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        return x * x[:, :1] + super().forward(x)


class SqueezeExcite(nn.Module):
    r"""Let the mean token say how much of each channel every token keeps (SE).

    .. math:: \operatorname{SE}(x_i) = x_i \odot \sigma\Big(W_2 \operatorname{ReLU}\Big(
              W_1 \frac{1}{N}\sum_{j=1}^{N} x_j + b_1\Big) + b_2\Big), \qquad \sigma(s) = \frac{1}{1 + e^{-s}}

    Parameters
    ----------
    dim
        Channels C.
    reduction
        Ratio of C to the number of hidden channels, which is at least 1.

    References
    ----------
    Hu et al., "Squeeze-and-excitation networks", CVPR 2018. Table 3 of the CB paper compares with it.
    """

    def __init__(self, dim: int, reduction: int = 16):
        super().__init__()
        check_at_least(1, dim=dim, reduction=reduction)
        hidden_dim = max(1, dim // reduction)
        # With a separate generator, the other weights of a model start the same with or without this module.
        generator = torch.Generator().manual_seed(torch.initial_seed())
        self.squeeze, self.excite = (
            nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02, generator=generator))
            for shape in ((hidden_dim, dim), (dim, hidden_dim)))
        self.squeeze_bias, self.excite_bias = (nn.Parameter(torch.zeros(n)) for n in (hidden_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        hidden = F.linear(x.mean(dim=1, keepdim=True), self.squeeze, self.squeeze_bias).relu()
        return x * F.linear(hidden, self.excite, self.excite_bias).sigmoid()


CONTEXTS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda dim: nn.Identity(),
    "cb": lambda dim: ContextBroadcast(),
    "cb_s": ScaledContextBroadcast,
    "cb_gate": lambda dim: ContextGate(),
    "cb_hybrid": lambda dim: ContextHybrid(),
    "se": SqueezeExcite,
}
OF_THE_CLASS_TOKEN = ("cb_gate", "cb_hybrid")  # they take the first token for it, whatever that is
CONTEXT_POSITIONS = ("mlp_end", "mlp_mid", "mlp_front", "msa_end", "both")


def create_context(context: str, dim: int) -> nn.Module:
    """Create a context module by name, for tokens with ``dim`` channels.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    check_choice(CONTEXTS, context=context)
    return CONTEXTS[context](dim)


def check_without_class_token(context: str, model: str) -> None:
    """Raise an error if a context module reads the class token, which this kind of model doesn't have."""
    if context in OF_THE_CLASS_TOKEN:
        raise ValueError(f"context={context!r} needs a class token, and a {model} has none; it may be one of "
                         f"{', '.join(name for name in CONTEXTS if name not in OF_THE_CLASS_TOKEN)}")
