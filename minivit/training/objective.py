"""What a run minimises, as a function of a batch.

Axes: B batch, C channels, H and W height and width in pixels, K classes.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from minivit.tasks import find_task
from minivit.training.config import Config
from minivit.training.device import autocast
from minivit.wrappers import as_input, at_least_float32

Loss = Callable[[Tensor, Tensor], Tensor]  # maps logits and targets to a number


class Objective(nn.Module):
    """The function to minimise: maps images and targets to the loss and the logits.

    Parameters
    ----------
    model
        Maps images (B, C, H, W) to logits (B, K, ...).
    loss
        Compares logits with targets.
    precision, device
        Precision and device that the model runs in and on.
    """

    def __init__(self, model: nn.Module, loss: Loss, precision: str, device: torch.device):
        super().__init__()
        self.model, self.loss, self.precision, self.device = model, loss, precision, device

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, a number, and the logits, in float32."""
        with autocast(self.precision, self.device):
            logits = self.model(as_input(images, self.model))
        logits = at_least_float32(logits)
        return self.loss(logits, targets), logits


class ObjectiveOnMaps(Objective):
    """An objective that adds the weighted mean of the losses that the model's mixers define on their maps.

    Parameters
    ----------
    weight
        Weight of the mean.
    losses
        The losses by the index of the map: see :attr:`minivit.mixers.TokenMixer.map_loss`.
    form
        Form of the losses.
    """

    def __init__(self, *args: object, weight: float, losses: Mapping[int, Callable[[Tensor, str], Tensor]], form: str):
        super().__init__(*args)
        self.weight, self.losses, self.form = weight, losses, form

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, a number, and the logits, in float32."""
        with autocast(self.precision, self.device):
            logits, maps = self.model(as_input(images, self.model), return_attention=True)
        logits = at_least_float32(logits)
        on_maps = torch.stack([loss(at_least_float32(maps[i]), self.form) for i, loss in self.losses.items()]).mean()
        return self.loss(logits, targets) + self.weight * on_maps, logits


def create_objective(model: nn.Module, config: Config, precision: str, device: torch.device) -> Objective:
    """Create the function that the configuration minimises."""
    loss = partial(find_task(config.task).loss, label_smoothing=config.label_smoothing)
    if not config.diagonality:
        return Objective(model, loss, precision, device)
    losses = getattr(model, "map_losses", {})
    if not losses:
        raise ValueError(f"diagonality={config.diagonality} must be 0: none of the model's mixers defines a loss on "
                         "its map, as a less-attention layer with as many keys as queries does")
    return ObjectiveOnMaps(model, loss, precision, device, weight=config.diagonality, losses=losses,
                           form=config.diagonality_form)
