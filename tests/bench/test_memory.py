import pytest
import torch
from torch import nn

from minivit.bench.memory import TensorBytes, peak_bytes

CPU = torch.device("cpu")


def test_the_peak_counts_tensors_from_birth_to_death():
    x = torch.zeros(7)  # was there before

    def step():
        y = x + 1       # 28 bytes
        z = y * 2       # 56
        del y           # 28
        z.add_(1).view(7, 1)
        return x.double() + z  # 28 + 56 + 56

    assert peak_bytes(step, CPU) == 140


def test_nothing_is_left_after_the_block():
    with TensorBytes() as tensors:
        torch.ones(3, 5).sum()
    assert (tensors.now, tensors.peak) == (0, 64)


@pytest.mark.parametrize("depth", [1, 4])
def test_training_keeps_activations_until_the_backward_pass(depth):
    model = nn.Sequential(*[nn.Sigmoid() for _ in range(depth)])  # each keeps what it returns: 11 x 4 bytes
    x = torch.zeros(11, requires_grad=True)
    with torch.no_grad():
        assert peak_bytes(lambda: model(x), CPU) == 44 * min(depth, 2)
    assert peak_bytes(lambda: model(x), CPU) == 44 * depth
