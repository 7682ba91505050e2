"""Handwritten digits of 8 x 8 pixels that come with scikit-learn: about the smallest real images there are.

Reference: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
"""

from pathlib import Path

import numpy as np
import torch

from minivit.data.dataset import DataError, Dataset, Split

# Of the training images in the split below.
MEAN, STD = (0.3054,), (0.3760,)


def load_digits(root: Path | None = None) -> Dataset:
    """Load the 1797 digits; four fifths of each class, always the same ones, are for training.

    Parameters
    ----------
    root
        Ignored: the images are part of scikit-learn.

    Returns
    -------
    Dataset
        1437 training and 360 test images, uint8 (n, 1, 8, 8).

    Raises
    ------
    DataError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as sklearn_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise DataError("digits come with scikit-learn, which is not installed: pip install scikit-learn") from None
    digits = sklearn_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    rows = train_test_split(np.arange(len(pixels)), test_size=0.2, random_state=0, stratify=digits.target)
    train, test = (Split(torch.from_numpy(pixels[part]), torch.from_numpy(digits.target[part]).long())
                   for part in map(np.sort, rows))
    return Dataset("digits", train, test, tuple(map(str, range(10))), MEAN, STD)
