"""One step of training, the same for every batch.

Whatever changes from step to step (random state, learning rate, number of patches, step number) is set beforehand. So a
step reads nothing back from the device, copies nothing to it, and launches the same kernels each time: it can be
captured as a graph.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from minivit.training.objective import Objective

Parts = Callable[..., Iterable[tuple[Tensor, Tensor]]]  # splits a batch
Augment = Callable[..., tuple[Tensor, Tensor]]  # turns a batch into images and targets


class MovingAverage:
    """An exponential moving average of a model's weights, kept in a second model.

    Parameters
    ----------
    average, model
        The model that holds the average, and the one it follows; both have the same architecture.
    decay
        Fraction in (0, 1) of its old value that the average keeps at each update.
    """

    def __init__(self, average: nn.Module, model: nn.Module, decay: float):
        self.share = 1 - decay
        self.averages, self.weights = list(average.parameters()), list(model.parameters())
        self.copies, self.buffers = list(average.buffers()), list(model.buffers())

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the weights; buffers are copied."""
        torch._foreach_lerp_(self.averages, self.weights, self.share)
        self.copy(self.copies, self.buffers)

    @torch.no_grad()
    def begin(self) -> None:
        """Copy the current weights: the average starts from those after the first step."""
        self.copy(self.averages, self.weights)

    @staticmethod
    def copy(targets: list[Tensor], sources: list[Tensor]) -> None:
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)


class Step:
    """Augment a batch, compute loss and gradients, and update the weights.

    Parameters
    ----------
    augment
        Turns a batch into images and targets.
    objective
        Computes loss and logits from them.
    model
        The model to train.
    optimizers
        Each updates its own parameters; their learning rates are set before the step.
    clip_norm
        Largest norm of the gradient; infinity for no limit.
    average
        Follows the model's weights; None for no average.
    device
        Where model and batches are.
    parts
        Splits a batch into parts that go through the model one after the other, each with its own random draws; by
        default the batch is a single part.
    num_parts
        Number of parts.

    Attributes
    ----------
    totals
        Totals of the current epoch: sum of losses, correctly classified images (or fractions of their pixels), and
        images; then the run's first step that failed, or -1. They stay on the device, in float32: an Apple GPU has no
        float64, and counts are exact below 2**24.
    number
        Number of the step, on the device; set before the step.
    """

    def __init__(self, augment: Augment, objective: Objective, model: nn.Module,
                 optimizers: Sequence[torch.optim.Optimizer], *, clip_norm: float, average: MovingAverage | None,
                 device: torch.device, parts: Parts | None = None, num_parts: int = 1):
        self.augment, self.objective, self.model, self.optimizers = augment, objective, model, optimizers
        self.parts = parts or whole
        self.share = torch.tensor(1 / num_parts, device=device)  # weight of a part's loss in the batch's
        self.clip_norm, self.average, self.parameters = clip_norm, average, list(model.parameters())
        self.totals = torch.tensor([0.0, 0.0, 0.0, -1.0], device=device)
        self.number = torch.zeros((), device=device)

    def __call__(self, *batch: Tensor) -> None:
        self.model.zero_grad()
        for part in self.parts(*batch):
            images, targets = self.augment(*part)
            loss, logits = self.objective(images, targets)
            loss.backward(self.share.to(loss))
            self.count(loss.detach(), logits.argmax(1) == targets.argmax(1))
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        if self.average:
            self.average.update()
        self.watch(norm)

    def tensors(self) -> Iterator[Tensor]:
        """Yield every tensor that a step changes and the next step reads."""
        yield from self.parameters
        yield from self.model.buffers()
        if self.average:
            yield from (*self.average.averages, *self.average.copies)
        for leaf in tree_leaves([dict(optimizer.state) for optimizer in self.optimizers]):
            if isinstance(leaf, Tensor):
                yield leaf
        yield self.totals

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Undo the steps taken inside the ``with`` block, which serve to compile and warm up.

        An optimiser's state starts at zero, so state that was created inside the block is set back to zero.
        """
        before = {id(tensor): (tensor, tensor.detach().clone()) for tensor in self.tensors()}
        yield
        with torch.no_grad():
            for tensor in self.tensors():
                tensor.copy_(before[id(tensor)][1]) if id(tensor) in before else tensor.zero_()
        self.model.zero_grad()

    def count(self, loss: Tensor, right: Tensor) -> None:
        """Add a part to the totals; ``right`` says which images (B,) or pixels (B, H, W) were classified correctly."""
        n = len(right)
        self.totals[:3] += torch.stack([loss.float() * n, right.sum() * (n / right.numel()),
                                        torch.full_like(self.number, n)])

    def watch(self, norm: Tensor) -> None:
        """Record the number of the step if it is the first that failed."""
        fails = ~(self.totals[0].isfinite() & norm.isfinite()) & (self.totals[3] < 0)
        self.totals[3] += torch.where(fails, self.number - self.totals[3], 0)


def whole(*batch: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the whole batch as a single part."""
    yield batch
