"""A transformer block: mix the tokens, then the channels, each as a correction to the input.

Axes: B batch, N tokens, C channels, H heads.
"""

import torch
from torch import Tensor, nn

from minivit import draws
from minivit.layers.context import CONTEXT_POSITIONS, create_context
from minivit.mixers.mlp import Mlp
from minivit.mixers.scores import LazyMap
from minivit.options import check_at_least, check_choice, check_rate, scaled_size


class DropPath(nn.Module):
    """Stochastic depth: drop a whole branch for some images of the batch (Huang et al., 2016).

    In training, each image keeps the branch with probability ``1 - rate``. What is kept is divided by that probability,
    so that the mean is unchanged. In evaluation nothing is dropped.

    Parameters
    ----------
    rate
        Probability, in [0, 1), that an image loses the branch.
    """

    def __init__(self, rate: float = 0.0):
        super().__init__()
        check_rate(rate=rate)
        self.rate, self.drops = rate, rate > 0
        # As a tensor, the rate is not a constant in compiled code: blocks with different rates share one compilation.
        self.register_buffer("keep", torch.tensor(1.0 - rate), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map a branch (B, ...) to one of the same shape."""
        if not (self.training and self.drops):
            return x
        kept = draws.rand(len(x), *[1] * (x.ndim - 1), device=x.device) < self.keep
        return x * kept / self.keep

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3g}"


def drop_path_rate(rate: float, layer: int, depth: int) -> float:
    """Return a layer's rate of stochastic depth, growing linearly from 0 to ``rate`` through the model."""
    return rate * layer / max(depth - 1, 1)


class Block(nn.Module):
    r"""Attention, then an MLP, each applied to normalised tokens (pre-norm) and added to its input.

    .. math:: x \leftarrow x + \operatorname{MSA}(\operatorname{LN}(x)), \qquad
              x \leftarrow x + \operatorname{MLP}(\operatorname{LN}(x))

    Parameters
    ----------
    dim
        Channels C.
    mixer
        The token mixer, such as ``Attention(dim, num_heads)``: see :mod:`minivit.mixers`.
    mlp_ratio
        Hidden channels of the MLP, as a multiple of ``dim``; rounded to a whole number, at least 1.
    dropout, drop_path
        Rates in [0, 1) of dropout and of stochastic depth.
    context
        ``none``, ``cb``, ``cb_s``, ``cb_gate``, ``cb_hybrid`` or ``se``: see :mod:`minivit.layers.context`.
    context_position
        ``mlp_end`` (the paper's choice), ``mlp_mid``, ``mlp_front``, ``msa_end``, or ``both`` (MSA end and MLP end).

    Raises
    ------
    ValueError
        If ``context`` or ``context_position`` is unknown, or a number is out of range.
    """

    def __init__(self, dim: int, mixer: nn.Module, *, mlp_ratio: float = 4.0, dropout: float = 0.0,
                 drop_path: float = 0.0, context: str = "none", context_position: str = "mlp_end"):
        super().__init__()
        check_choice(CONTEXT_POSITIONS, context_position=context_position)

        def context_at(position: str, size: int) -> nn.Module:
            places = ("msa_end", "mlp_end") if context_position == "both" else (context_position,)
            return create_context(context if position in places else "none", size)

        check_at_least(1, dim=dim)
        check_rate(dropout=dropout, drop_path=drop_path)
        hidden_dim = scaled_size(dim, "mlp_ratio", mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = mixer  # timm's name
        self.context = context_at("msa_end", dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, hidden_dim, dropout=dropout, front=context_at("mlp_front", dim),
                       mid=context_at("mlp_mid", hidden_dim), end=context_at("mlp_end", dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, scores: Tensor | LazyMap | None = None, **asks: bool
                ) -> Tensor | tuple[Tensor | LazyMap, ...]:
        """Map tokens (B, N, C) to tokens (B, N, C).

        Parameters
        ----------
        x
            (B, N, C).
        scores
            Scores of the block below, for a mixer that takes them.
        **asks
            ``return_attention``, ``return_scores``: what a mixer with a map should return along with its tokens. See
            :meth:`minivit.mixers.MapMixer.forward`. The block passes it on after its own tokens.
        """
        mixed = self.attn(self.norm1(x), *([] if scores is None else [scores]), **asks)
        mixed, *asked_for = mixed if isinstance(mixed, tuple) else (mixed,)
        x = x + self.drop_path(self.context(mixed)).to(x.dtype)
        x = x + self.drop_path(self.mlp(self.norm2(x))).to(x.dtype)
        return (x, *asked_for) if asked_for else x
