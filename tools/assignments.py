"""Write the students' version of every assignment, and say how nbgrader works here.

    python -m tools.assignments        all of course/assignments, to _build/teach/assignments

An assignment is a notebook of nbgrader's, course/assignments/NAME/NAME.ipynb, with solutions and hidden tests. The
students' version has neither; a zip beside it is for a learning platform. What stands in place of a solution is what
:mod:`tools.stubs` makes of it, as in the learner's edition of a chapter.
"""

import glob
import logging
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties, ClearSolutions, Execute
from nbgrader.utils import is_grade, is_solution
from traitlets.config import Config

from minivit.options import did_you_mean
from tools.archives import write_zip
from tools.editions import install_cells
from tools.notebooks import replace
from tools.paths import ROOT, TEACH
from tools.run_submission import RunSubmission
from tools.stubs import wanted_before, without_solutions

SOURCES = ROOT / "course" / "assignments"
TO = TEACH / "assignments"

LOG = logging.getLogger("nbgrader of the house")  # what nbgrader says is kept for when something fails
LOG.propagate = False


class ClearAnswers(ClearSolutions):
    """Leave in place of each solution what the code below it needs, to be filled in."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        wanted = set()
        for cell in reversed(nb.cells):
            if cell.cell_type == "code":
                if is_solution(cell):
                    cell.source = without_solutions(cell.source, wanted)
                wanted = wanted_before(cell.source, wanted)
            elif is_solution(cell):
                self._replace_solution_region(cell, "python")
        return nb, resources


def names() -> list[str]:
    """Return the names of all assignments."""
    return sorted(path.stem for path in SOURCES.glob("*/*.ipynb") if path.parent.name == path.stem)


def source_of(name: str) -> Path:
    """Return the path of an assignment's source.

    Raises
    ------
    ValueError
        If there's no such assignment.
    """
    if name not in names():
        known = ", ".join(names())
        raise ValueError(f"there is no assignment {name!r}{did_you_mean(name, names())}; there are {known}")
    return SOURCES / name / f"{name}.ipynb"


def settings(root: Path, limit_s: int = 60) -> Config:
    """Return nbgrader's configuration for a folder in which submissions are graded."""
    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.source_directory = str(SOURCES)
    config.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__", "*.pyc", "feedback", "rubric.md"]
    config.GenerateAssignment.preprocessors = [
        ClearAnswers if step is ClearSolutions else step for step in GenerateAssignment.preprocessors.default_args[0]]
    # Penalties are set when the marks by hand are known, by tools.marks.
    config.Autograde.autograde_preprocessors = [
        RunSubmission if step is Execute else step for step in Autograde.autograde_preprocessors.default_args[0]
        if step is not AssignLatePenalties]
    config.RunSubmission.timeout = config.RunSubmission.iopub_timeout = limit_s
    # A kernel that is asked to end may, on a busy machine, fail while it does.
    config.RunSubmission.shutdown_kernel = "immediate"
    config.RunSubmission.startup_timeout = 10 * limit_s
    config.RunSubmission.extra_arguments = ["--log-level=CRITICAL"]
    # nbgrader gives 0 to a test that writes to stderr, but a warning isn't an error.
    config.IgnorePattern.enabled, config.IgnorePattern.pattern = True, "."
    # What a cell prints line by line stays together.
    config.GenerateFeedback.preprocessors = [
        *GenerateFeedback.preprocessors.default_args[0], CoalesceStreamsPreprocessor]
    config.CoalesceStreamsPreprocessor.enabled = True
    config.GenerateFeedback.permissions = config.Autograde.permissions = 644
    return config


def tool(converter: type, config: Config, name: str, student: str | None = None, **traits: Any) -> Any:
    """Return one of nbgrader's converters, ready for an assignment and for one student or all."""
    chosen = "*" if student is None else glob.escape(student)
    folder = CourseDirectory(config=config, log=LOG, assignment_id=name, student_id=chosen)
    return converter(coursedir=folder, config=config, log=LOG, **traits)


@cache
def _released(name: str) -> str:
    with TemporaryDirectory() as folder:
        config = settings(Path(folder).resolve())
        config.SaveCells.enabled = False
        config.CourseDirectory.source_directory = str(source_of(name).parents[1])
        tool(GenerateAssignment, config, name, no_database=True).start()
        return Path(folder, "release", name, f"{name}.ipynb").read_text(encoding="utf-8")


def released(name: str) -> NotebookNode:
    """Return the students' version of an assignment."""
    return nbformat.reads(_released(name), as_version=4)


def by_hand(name: str) -> list[str]:
    """Return the grade_ids of the cells that a person marks."""
    return [cell.metadata.nbgrader.grade_id for cell in released(name).cells if is_grade(cell) and is_solution(cell)]


def write(name: str, folder: Path, repository_url: str = "") -> Path:
    """Write the students' version of an assignment, and its zip, to a folder; return the notebook's path."""
    notebook = released(name)
    notebook.cells[:0] = install_cells(repository_url)
    path = folder / name / f"{name}.ipynb"
    text = nbformat.writes(notebook) + "\n"
    replace(path, text)
    write_zip(folder / f"{name}.zip", [(f"{name}/{name}.ipynb", text.encode())])
    return path


def main() -> None:
    for name in names():
        write(name, TO, os.environ.get("REPOSITORY_URL", ""))
    print(f"{len(names())} assignments, as notebooks and zips, in {TO}")


if __name__ == "__main__":
    main()
