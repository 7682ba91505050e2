"""Keep the diagonal of a map: the loss of less attention (Zhang et al., 2024), in two forms.

Axes: any number of axes, then N queries, N keys.
"""

from torch import Tensor

from minivit.analysis.maps import as_maps
from minivit.options import check_choice

DIAGONALITY_FORMS = ("bounded", "printed")


def diagonality_loss(attn: Tensor, form: str = "bounded") -> Tensor:
    r"""Punish maps that are not symmetric, and judge their diagonal.

    .. math:: L_{\text{sym}} = \sum_{ij} |a_{ij} - a_{ji}|, \qquad
              D = \sum_i \Big((N - 1)\, a_{ii} - \sum_{j \neq i} a_{ij}\Big)

    - ``printed`` is what is printed, :math:`L_{\text{sym}} + D`. Minimised, it shrinks the diagonal that it is to
      preserve; of scores before softmax, which have no bounds, it has no minimum.
    - ``bounded`` is :math:`(L_{\text{sym}} - D) / N^2`: the sign rewards the diagonal, and a weight means the same for
      any N. Of maps it is in [-(1 - 1/N), 3/N], and smallest for the identity map alone.

    Parameters
    ----------
    attn
        Maps, (..., N, N), rows of sum 1; or, to see what ``printed`` does to them, scores.
    form
        ``bounded`` or ``printed``.

    Returns
    -------
    Tensor
        The mean over all axes but the last two, a number.

    Raises
    ------
    ValueError
        If a map is not square or not floating, or the form is not known.
    """
    check_choice(DIAGONALITY_FORMS, form=form)
    n = attn.shape[-1]
    if attn.ndim < 2 or attn.shape[-2] != n:
        raise ValueError(f"attn of shape {tuple(attn.shape)} has no diagonal; its last two axes must be equal")
    attn = as_maps(attn, ("N", "N"))
    asymmetry = (attn - attn.mT).abs().sum(dim=(-2, -1))
    dominance = n * attn.diagonal(dim1=-2, dim2=-1).sum(dim=-1) - attn.sum(dim=(-2, -1))
    loss = asymmetry + dominance if form == "printed" else (asymmetry - dominance) / n**2
    return loss.mean()
