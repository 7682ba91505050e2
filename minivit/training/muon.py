"""Muon (Jordan et al., 2024): gradient descent with momentum matrices that are orthogonalised before the step.

Axes: K matrices of one shape, M rows, N columns.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

from minivit.training import parallel

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: they lift small singular values fast, but only to near 1
STEPS = 5


class Muon(torch.optim.Optimizer):
    r"""Update every matrix by steps of nearly the same size in all of its directions.

    With gradient :math:`G`, momentum :math:`P \leftarrow \mu P + (1 - \mu) G` and the lookahead
    :math:`\mu P + (1 - \mu) G = U \Sigma V^\top`, the step is approximately :math:`U V^\top`, times
    :math:`0.2 \sqrt{\max(M, N)}`, so that its entries are as large as AdamW's (Liu et al., 2025) and both can use the
    same learning rate.

    The rule is that of ``torch.optim.Muon`` with ``adjust_lr_fn="match_rms_adamw"``, which processes the matrices one
    by one and in bfloat16. Here matrices of the same shape form one batch: a Vision Transformer has four shapes. On a
    CPU the computation is in float32, because without hardware support bfloat16 would take longer than the model's own
    step.

    Parameters
    ----------
    params
        The matrices to update.
    lr
        Learning rate, a number or a tensor of one.
    momentum
        :math:`\mu` in [0, 1).
    weight_decay
        Each step reduces every weight by the fraction ``lr * weight_decay``.

    Raises
    ------
    ValueError
        If a parameter is not a matrix.
    """

    def __init__(self, params: Iterable[Tensor], lr: float | Tensor = 1e-3, *, momentum: float = 0.95,
                 weight_decay: float = 0.1):
        by_shape = defaultdict(list)
        for p in params:
            if p.ndim != 2:
                raise ValueError(f"params holds a tensor of shape {tuple(p.shape)}; Muon updates only matrices")
            by_shape[p.shape].append(p)
        super().__init__([{"params": matrices} for matrices in by_shape.values()],
                         {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """Update every matrix once; all must have gradients."""
        for group in self.param_groups:
            matrices, lr, mu = group["params"], group["lr"], group["momentum"]
            grads = torch.stack([p.grad for p in matrices])                          # (K, M, N)
            state = self.state[matrices[0]]                                          # one state for the batch
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(grads)
            momentum = state["momentum"].lerp_(grads, 1 - mu)
            steps = orthogonalize_together(grads.lerp(momentum, mu)) * (lr * 0.2 * max(grads.shape[1:]) ** 0.5)
            torch._foreach_mul_(matrices, 1 - lr * group["weight_decay"])
            torch._foreach_sub_(matrices, steps.unbind())


def orthogonalize_together(matrices: Tensor) -> Tensor:
    """Orthogonalise matrices (K, M, N), with each process doing its share: see :func:`orthogonalize`."""
    if parallel.world_size() == 1:
        return orthogonalize(matrices)
    mine = parallel.share(matrices)
    return parallel.gather_parts(orthogonalize(mine) if len(mine) else mine, matrices)


def orthogonalize(matrices: Tensor) -> Tensor:
    r"""Bring all singular values close to 1 by a Newton-Schulz iteration.

    An odd polynomial of a matrix, :math:`aX + b XX^\top X + c (XX^\top)^2 X`, acts on each of its singular values and
    leaves the singular vectors unchanged. Applied five times, this one maps values in (0.005, 1] to about (0.7, 1.2).

    Parameters
    ----------
    matrices
        (K, M, N), each of any size but 0.

    Returns
    -------
    Tensor
        (K, M, N), of the same dtype.
    """
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x                                      # the smaller Gram matrix
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)     # now no singular value exceeds 1
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
