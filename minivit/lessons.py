"""Train small models within seconds and measure their accuracy, as several chapters do."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def train(model: nn.Module, images: Tensor, labels: Tensor, *, rate: float, epochs: int, batch_size: int = 32,
          parameters: list[dict] | None = None) -> list[float]:
    """Train a classifier with AdamW and one cycle of the learning rate; return the loss of each step.

    Chapters that need more, such as augmentation, records or checkpoints, use :mod:`minivit.training`.

    Parameters
    ----------
    model
        Maps images to logits (B, K). Trained in training mode, and left in evaluation mode.
    images, labels
        (n, ...) and (n,), all in memory. Their order is drawn from PyTorch's generator: seed it first.
    rate
        Peak learning rate, which the cycle reaches after a tenth of the steps.
    epochs, batch_size
        Passes over the images; images per step.
    parameters
        Parameter groups for AdamW, if not all weights should decay alike; all of the model's parameters if None.
    """
    model.train()
    optimizer = torch.optim.AdamW(parameters or model.parameters(), lr=rate, weight_decay=0.05, fused=True)
    steps = epochs * -(-len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    losses = []
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(batch_size):
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    model.eval()
    return losses


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the percentage of images (n, ...) whose predicted class is their label (n,)."""
    return 100 * (model(images).argmax(dim=1) == labels).float().mean().item()
