"""The data of a run: loaded once for all runs that share them, a class for each logit, and what is held out."""

from pathlib import Path

from minivit.data import Dataset, Split, load
from minivit.tasks import find_task
from minivit.training.config import Config
from minivit.training.seeding import SUBSET, permutation


class SharedData:
    """Loads data for several configurations; those with the same data set share one copy in memory.

    Parameters
    ----------
    root
        Where the data sets are; None for the environment's ``MINIVIT_DATA``.
    """

    def __init__(self, root: str | Path | None):
        self.root = root
        self.loaded: dict[str, Dataset] = {}

    def load(self, config: Config) -> Dataset:
        """Return what :func:`minivit.data.load` returns for a configuration."""
        key = repr((config.dataset, config.dataset_options))
        if key not in self.loaded:
            self.loaded[key] = load(config.dataset, self.root, **config.dataset_options)
        return self.loaded[key]


def fit_classes(config: Config, dataset: Dataset) -> Config:
    """Return ``config`` with the data set's number of classes, which must be at least two."""
    dataset = find_task(config.task).fit(dataset)
    if dataset.num_classes < 2:
        raise ValueError(f"{dataset.name} has one class, {dataset.classes[0]!r}: nothing can be learnt from it, as "
                         "every answer would be right; add images of another class")
    num_classes = config.model_options.get("num_classes", dataset.num_classes)
    if num_classes != dataset.num_classes:
        raise ValueError(f"num_classes={num_classes} in model_options does not fit the {dataset.num_classes} classes "
                         f"of {dataset.name}; leave it out")
    return config.override(model_options={"num_classes": num_classes})


def choose_images(config: Config, dataset: Dataset) -> tuple[Split, Split | None]:
    """Return the images to train on, and the held-out images to evaluate on instead of the test set, or None.

    The choice is the same for every seed, so that seeds differ only in training. Held-out images come last.
    """
    held_out, train_images = config.held_out_images, config.train_images
    if not held_out and not len(dataset.test):
        raise ValueError(f"{dataset.name} has no test images; hold out some training images, with held_out_images")
    left = len(dataset.train) - held_out
    if left < (train_images or 1):
        raise ValueError(f"train_images={train_images} and held_out_images={held_out} do not fit into the "
                         f"{len(dataset.train)} training images of {dataset.name}")
    if not held_out and train_images is None:
        return dataset.train, None
    order = permutation(len(dataset.train), SUBSET)
    chosen = dataset.train.subset(order[:left if train_images is None else train_images])
    return chosen, dataset.train.subset(order[left:]) if held_out else None
