"""How well a run is learning: the loss and the accuracy of the current epoch so far."""

import torch
from torch import Tensor

from minivit.training import parallel


class TrainingError(Exception):
    """A run that cannot go on; the message names the step and the way out."""


class Progress:
    """Reads what the steps of an epoch have counted, with and without waiting for the device.

    Parameters
    ----------
    totals
        Totals of the current epoch, on the device: see :class:`minivit.training.step.Step`.
    steps_per_epoch
        Number of steps in an epoch, to name that of a step that failed.
    """

    def __init__(self, totals: Tensor, steps_per_epoch: int):
        self.totals, self.steps_per_epoch = totals, steps_per_epoch
        self.glanced = totals.cpu()

    def read(self) -> tuple[float, float]:
        """Return this epoch's mean training loss and its accuracy in per cent, after waiting for the device.

        Every process must call this.

        Raises
        ------
        TrainingError
            If the loss or its gradient was not finite at some step.
        """
        return self.means(self.of_all())

    def of_all(self) -> Tensor:
        """Return the totals over all processes; every process must call this."""
        totals = self.totals.clone()
        if parallel.world_size() > 1:
            parallel.add_up(totals[:3])
            totals[3], = parallel.largest(int(totals[3]))
        return totals

    def glance(self) -> tuple[float, float]:
        """Return what :meth:`read` would have returned at the previous call, without waiting for the device."""
        arrived = self.glanced
        # The device copies into pinned memory in the background. If it isn't done by the next call, what it finds is
        # what was there before.
        self.glanced = torch.empty_like(arrived, pin_memory=self.totals.is_cuda).copy_(arrived)
        self.glanced.copy_(self.totals, non_blocking=True)
        return self.means(arrived)

    def means(self, totals: Tensor) -> tuple[float, float]:
        """Return mean loss and accuracy of some totals; raise the error of :meth:`read` if a step failed."""
        loss, right, n, failed = totals.tolist()
        if failed >= 0:
            raise TrainingError(f"step {failed:.0f} (epoch {failed // self.steps_per_epoch + 1:.0f}): the loss or its "
                                "gradient is not a finite number; try a lower learning_rate, more warmup_epochs or "
                                "precision=float32")
        return (loss / n, 100 * right / n) if n else (float("nan"), float("nan"))
