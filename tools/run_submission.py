"""Run a student's notebook to its end, whatever is in it."""

from jupyter_client.manager import KernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_grade, is_locked

from minivit.coursework import GRADED
from tools.execute import environment

ENDED, STOPPED, STUCK = "KernelEnded", "TimeLimit", "CannotBeStopped"  # names of errors, as they stand in an output


class RunSubmission(Execute):
    """Run every cell, with the numbers of the student whose submission it is.

    A cell that takes too long is interrupted. One that can't be interrupted, or that ends its kernel, counts as an
    error; the others run again without it, in a new kernel, so that no other part loses marks.
    """

    def preprocess(
        self, nb: NotebookNode, resources: ResourcesDict, km: KernelManager | None = None
    ) -> tuple[NotebookNode, ResourcesDict]:
        self.error_on_timeout = {
            "ename": STOPPED, "evalue": f"stopped after {self.timeout} seconds", "traceback":
            [f"{STOPPED}: this cell was stopped after {self.timeout} seconds. Is there a loop that doesn't end?"]}
        # What the assignment gives, such as imports, is never at fault, however slow the machine is.
        self.timeout_func = lambda cell: self.timeout * (1 if is_grade(cell) or not is_locked(cell) else 10)
        self.deadly = {}
        with environment(**{GRADED: resources["nbgrader"]["student"]}):
            while True:
                try:
                    return super().preprocess(nb, resources, km)
                except DeadKernelError:
                    self.deadly[self.at] = f"{ENDED}: this cell ended the whole program. The others ran without it."
                except CellTimeoutError:
                    self.deadly[self.at] = (f"{STUCK}: this cell took more than {self.timeout} seconds and couldn't "
                                            "be stopped. The others ran without it.")

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        if index in self.deadly:
            name, _, text = self.deadly[index].partition(": ")
            cell.outputs = [new_output("error", ename=name, evalue=text, traceback=[self.deadly[index]])]
            return cell, resources
        self.at = index
        return super().preprocess_cell(cell, resources, index)
