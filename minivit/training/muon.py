"""Muon (Jordan et al., 2024): momentum whose matrices are made orthogonal before the step.

Axes: K matrices of one shape, M rows, N columns.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

from minivit.training import parallel

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: they lift small singular values fast, and end near 1, not at it
STEPS = 5


class Muon(torch.optim.Optimizer):
    r"""Step every matrix by as much in each of its directions.

    With gradient :math:`G`, momentum :math:`P \leftarrow \mu P + (1 - \mu) G` and the look ahead
    :math:`\mu P + (1 - \mu) G = U \Sigma V^\top`, the step is about :math:`U V^\top`, times
    :math:`0.2 \sqrt{\max(M, N)}`, so that its entries are as large as AdamW's (Liu et al., 2025) and both have one
    learning rate.

    It is the rule of ``torch.optim.Muon`` with ``adjust_lr_fn="match_rms_adamw"``, which goes through the matrices one
    by one and in bfloat16. Here those of one shape are one batch: a Vision Transformer has four shapes. And a CPU
    calculates in float32, for without bfloat16 in hardware the other takes it longer than the model's own step.

    Parameters
    ----------
    params
        Matrices.
    lr
        Learning rate, a number or a tensor of one.
    momentum
        :math:`\mu` in [0, 1).
    weight_decay
        Each step takes ``lr * weight_decay`` of every weight away.

    Raises
    ------
    ValueError
        If a parameter is no matrix.
    """

    def __init__(self, params: Iterable[Tensor], lr: float | Tensor = 1e-3, *, momentum: float = 0.95,
                 weight_decay: float = 0.1):
        by_shape = defaultdict(list)
        for p in params:
            if p.ndim != 2:
                raise ValueError(f"params holds a tensor of shape {tuple(p.shape)}; Muon steps matrices alone")
            by_shape[p.shape].append(p)
        super().__init__([{"params": matrices} for matrices in by_shape.values()],
                         {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """Step every matrix once; all have gradients."""
        for group in self.param_groups:
            matrices, lr, mu = group["params"], group["lr"], group["momentum"]
            grads = torch.stack([p.grad for p in matrices])                          # (K, M, N)
            state = self.state[matrices[0]]                                          # one for the batch
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(grads)
            momentum = state["momentum"].lerp_(grads, 1 - mu)
            steps = share_out(grads.lerp(momentum, mu)) * (lr * 0.2 * max(grads.shape[1:]) ** 0.5)
            torch._foreach_mul_(matrices, 1 - lr * group["weight_decay"])
            torch._foreach_sub_(matrices, steps.unbind())


def share_out(matrices: Tensor) -> Tensor:
    """Do what :func:`orthogonalize` does, (K, M, N), each of the processes with its share of the matrices."""
    if parallel.world_size() == 1:
        return orthogonalize(matrices)
    mine = parallel.share(matrices)
    return parallel.gather_parts(orthogonalize(mine) if len(mine) else mine, matrices)


def orthogonalize(matrices: Tensor) -> Tensor:
    r"""Bring all singular values near 1, by the iteration of Newton and Schulz.

    An odd polynomial of a matrix, :math:`aX + b XX^\top X + c (XX^\top)^2 X`, acts on each of its singular values and
    leaves their directions as they are. Five times this one brings what lies in (0.005, 1] into about (0.7, 1.2).

    Parameters
    ----------
    matrices
        (K, M, N), each of any size but 0.

    Returns
    -------
    Tensor
        (K, M, N), of the same type.
    """
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x                                      # the smaller Gram matrix
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)     # no singular value is above 1
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
