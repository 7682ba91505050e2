import numpy as np
import torch

from minivit.analysis import scale_statistics


def test_mean_and_ratio_by_hand():
    # |scale| is 0, 1, ..., 10: its quantiles of 10 % and 90 % are 1 and 9.
    mean, ratio = scale_statistics(torch.tensor([0.0, -1, 2, -3, 4, -5, 6, -7, 8, -9, 10]))
    torch.testing.assert_close(mean, torch.tensor(5 / 11))
    torch.testing.assert_close(ratio, torch.tensor(1 / 9))


def test_quantiles_are_numpys():
    scale = torch.randn(37, dtype=torch.float64)
    low, high = np.quantile(scale.abs().numpy(), [0.1, 0.9])
    assert np.isclose(scale_statistics(scale)[1], low / high)


def test_scales_of_one_strength_have_the_ratio_one_whatever_their_signs():
    mean, ratio = scale_statistics(torch.tensor([0.3, -0.3, 0.3]))
    torch.testing.assert_close((mean, ratio), (torch.tensor(0.1), torch.tensor(1.0)))


def test_an_untrained_scale_has_no_ratio():
    mean, ratio = scale_statistics(torch.zeros(7))
    assert mean == 0 and ratio.isnan()
