import pytest
import torch
from torch import nn

from minivit.lessons import accuracy, train


def test_a_model_learns_what_can_be_learnt_and_says_its_losses():
    torch.manual_seed(0)
    images = torch.randn(101, 7)
    labels = (images[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(7, 13), nn.ReLU(), nn.Dropout(0.1), nn.Linear(13, 2))
    losses = train(model, images, labels, rate=3e-2, epochs=7, batch_size=11)
    assert len(losses) == 7 * 10 and not model.training
    assert losses[-1] < losses[0] / 2 and accuracy(model, images, labels) > 90


def test_groups_decay_as_they_say():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    train(model, torch.zeros(5, 3), torch.zeros(5, dtype=torch.int64), rate=0.1, epochs=1,
          parameters=[{"params": [model.weight], "weight_decay": 0.5}, {"params": [model.bias]}])
    assert (model.weight.abs() < before.abs()).all()


def test_accuracy_is_in_per_cent():
    labels = torch.tensor([0, 1, 1, 1])
    assert accuracy(nn.Identity(), torch.eye(2)[[0, 1, 1, 0]], labels) == pytest.approx(75)
