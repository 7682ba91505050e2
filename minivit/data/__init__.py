"""Data sets: uint8 images with their labels, read once and safely.

    >>> from minivit.data import load
    >>> digits = load("digits")
    >>> digits.train.images.shape, digits.num_classes
    (torch.Size([1437, 1, 8, 8]), 10)
"""

from minivit.data.batches import batches
from minivit.data.dataset import DataError, DataInfo, Dataset, Split
from minivit.data.download import download
from minivit.data.registry import data_root, fetch, list_datasets, load

__all__ = [
    "DataError",
    "DataInfo",
    "Dataset",
    "Split",
    "batches",
    "data_root",
    "download",
    "fetch",
    "list_datasets",
    "load",
]
