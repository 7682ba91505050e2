"""The channel half of a block: two linear layers around a GELU.

Axes: B batch, N tokens, C channels.
"""

from torch import Tensor, nn

from minivit.mixers.dropout import Dropout
from minivit.options import check_at_least, check_rate


class Mlp(nn.Module):
    """Widen each token, apply a nonlinearity, narrow it again; no token sees another.

    Parameters
    ----------
    dim, hidden_dim
        Channels outside and inside the MLP.
    dropout
        Rate in [0, 1) after each linear layer.
    front, mid, end
        Modules applied to the tokens before the first layer, before the second (after GELU and dropout), and after the
        second and its dropout: the three positions that the CB paper compares. None leaves the tokens unchanged.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    def __init__(self, dim: int, hidden_dim: int, *, dropout: float = 0.0, front: nn.Module | None = None,
                 mid: nn.Module | None = None, end: nn.Module | None = None):
        super().__init__()
        check_at_least(1, dim=dim, hidden_dim=hidden_dim)
        check_rate(dropout=dropout)
        self.front = front or nn.Identity()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.dropout = Dropout(dropout)
        self.mid = mid or nn.Identity()
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.end = end or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, C) to tokens (B, N, C)."""
        x = self.dropout(self.act(self.fc1(self.front(x))))  # (B, N, hidden_dim)
        return self.end(self.dropout(self.fc2(self.mid(x))))
