"""Preserve the diagonal of a map: the loss of less attention (Zhang et al., 2024), in three forms.

Axes: any number of axes, then N queries, N keys.
"""

from torch import Tensor

from minivit.analysis.maps import as_maps
from minivit.options import check_choice

DIAGONALITY_FORMS = ("bounded", "printed", "reversed")


def diagonality_loss(attn: Tensor, form: str = "bounded") -> Tensor:
    r"""Penalise asymmetric maps, and reward or penalise their diagonal.

    .. math:: L_{\text{sym}} = \sum_{ij} |a_{ij} - a_{ji}|, \qquad
              D = \sum_i \Big((N - 1)\, a_{ii} - \sum_{j \neq i} a_{ij}\Big)

    - ``printed`` is the formula as printed, :math:`L_{\text{sym}} + D`. Minimising it shrinks the diagonal that it is
      meant to preserve; for scores before softmax, which are unbounded, it has no minimum.
    - ``bounded`` is :math:`(L_{\text{sym}} - D) / N^2`: the sign rewards the diagonal, and the weight of the loss means
      the same for any N. For maps it is in [-(1 - 1/N), 3/N], and smallest for the identity map alone.
    - ``reversed`` is :math:`(L_{\text{sym}} + D) / N^2`: the sign of ``printed`` and the scale of ``bounded``. It
      differs from the latter in the sign of D alone.

    Parameters
    ----------
    attn
        Maps, (..., N, N), whose rows sum to 1; or scores, to see what ``printed`` does to them.
    form
        ``bounded``, ``printed`` or ``reversed``.

    Returns
    -------
    Tensor
        Scalar: the mean over all axes but the last two.

    Raises
    ------
    ValueError
        If a map is not square or not floating point, or the form is unknown.
    """
    check_choice(DIAGONALITY_FORMS, form=form)
    attn = as_maps(attn, ("N", "M"))
    n = attn.shape[-1]
    if attn.shape[-2] != n:
        raise ValueError(f"attn of shape {tuple(attn.shape)} has no diagonal; its last two axes must be equal")
    asymmetry = (attn - attn.mT).abs().sum(dim=(-2, -1))
    dominance = n * attn.diagonal(dim1=-2, dim2=-1).sum(dim=-1) - attn.sum(dim=(-2, -1))
    loss = asymmetry - dominance if form == "bounded" else asymmetry + dominance
    return (loss if form == "printed" else loss / n**2).mean()
