"""Tasks: what a batch is, how it is augmented, which loss is minimised, and what is measured."""

from minivit.options import check_choice
from minivit.tasks.classification import Classification
from minivit.tasks.segmentation import Segmentation
from minivit.tasks.task import Task

TASKS: dict[str, Task] = {
    "classification": Classification(),
    "segmentation": Segmentation(),
}

__all__ = ["TASKS", "Task", "find_task"]


def find_task(name: str) -> Task:
    """Return a task by name.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    check_choice(TASKS, task=name)
    return TASKS[name]
