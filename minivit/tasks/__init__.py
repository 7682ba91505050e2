"""What a model is to learn: what a batch is, how it is augmented, what is minimised and what is measured."""

from minivit.options import did_you_mean
from minivit.tasks.classification import Classification
from minivit.tasks.segmentation import Segmentation
from minivit.tasks.task import Task

TASKS: dict[str, Task] = {
    "classification": Classification(),
    "segmentation": Segmentation(),
}

__all__ = ["TASKS", "Task", "find_task"]


def find_task(name: str) -> Task:
    """Return a task by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in TASKS:
        raise ValueError(f"task={name!r} is no task{did_you_mean(name, TASKS)}; known: {', '.join(TASKS)}")
    return TASKS[name]
