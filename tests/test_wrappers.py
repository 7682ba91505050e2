import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from minivit.wrappers import as_input, first_weights, unwrap


def test_wrappers_are_taken_off_however_many():
    model = nn.Sequential(nn.Linear(3, 5))
    assert unwrap(model) is model
    compiled = torch.compile(model, backend="eager")
    assert unwrap(compiled) is unwrap(nn.DataParallel(compiled)) is model
    averaged = AveragedModel(model)
    assert unwrap(torch.compile(averaged, backend="eager")) is averaged.module


def test_a_model_with_a_part_of_that_name_is_no_wrapper():
    model = nn.Module()
    model.module, model.head = nn.Linear(3, 5), nn.Linear(5, 2)
    assert unwrap(model) is model


def test_images_come_in_the_precision_of_the_weights():
    images = torch.zeros(2, 3)
    assert as_input(images, nn.Linear(3, 5)) is images
    assert as_input(images, nn.Linear(3, 5).bfloat16()).dtype == torch.bfloat16
    assert as_input(images, nn.Linear(3, 5, device="meta")).is_meta
    assert as_input(images, nn.ReLU()) is images and first_weights(nn.ReLU()) is None
    assert first_weights(nn.Embedding(2, 3).double()).dtype == torch.float64
