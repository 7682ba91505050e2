"""Find what students handed in, and make of each notebook one that nbgrader can grade.

A folder of submissions has a folder for each student, named after the id, or flat files, ``ID_anything.ipynb``.
Whatever a student's program made of the assignment's own cells is undone here: order and tests come from the
assignment, the answers and any further cells from the student. What was out of the ordinary becomes a remark.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.utils import is_grade, is_locked, is_solution, parse_utc

from minivit.coursework import PLACEHOLDER
from tools.assignments import names, released

ID = re.compile(r"^(STUDENT[ \t]*=[ \t]*)(.*)$", re.MULTILINE)
DEFINED = re.compile(r"^[ \t]*(?:(?:def|class)[ \t]+(\w+)|(\w+)[ \t]*=(?!=))", re.MULTILINE)
MOODLE = "_assignsubmission_"  # Moodle's folders are called "Name_number_assignsubmission_file"
TIMESTAMP = "timestamp.txt"  # of nbgrader's own submissions
LARGEST = 50_000_000  # bytes of a notebook


class Unusable(ValueError):
    """A file that can't be graded, and why."""


@dataclass
class Submission:
    """What one student handed in.

    Attributes
    ----------
    student
        The id.
    path, time, clock
        The file that counts, when it was handed in, and what says so.
    notebook
        What is to be graded; None if nothing can be.
    remarks
        What student and lecturer should know.
    """

    student: str
    path: Path | None = None
    time: datetime | None = None
    clock: str = ""
    notebook: NotebookNode | None = None
    remarks: list[str] = field(default_factory=list)


def find(folder: Path, assignment: str, times: Mapping[str, datetime]) -> Iterator[Submission]:
    """Yield a submission for each student of whom there is anything in a folder.

    Parameters
    ----------
    folder
        With the submissions.
    assignment
        Its name.
    times
        When students handed in, by id in small letters, where that is known better than by their files.

    Raises
    ------
    ValueError
        If the folder isn't there, nothing is in it, or a file names no student.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder. Give the folder with the submissions; unpack a zip first.")
    files = defaultdict(list)
    for entry in sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__"))):
        if entry.is_dir():
            student = entry.name.partition("_")[0] if MOODLE in entry.name else entry.name
            files[student.strip()] += [path for path in sorted(entry.rglob("*")) if _is_work(path.relative_to(entry))
                                       and path.is_file()]
        elif entry.name.startswith(assignment):
            raise ValueError(f"{entry} doesn't say whose it is; call it ID_{entry.name}")
        else:
            files[entry.name.partition(".")[0].partition("_")[0].strip()].append(entry)
    if not any(files.values()):
        raise ValueError(f"there is no submission in {folder}. It needs a folder for each student, named after the id, "
                         "or files called ID_anything.ipynb.")
    same = defaultdict(list)
    for student, paths in files.items():
        same[student.casefold()] += [(student, path) for path in paths] or [(student, None)]
    for key, found in sorted(same.items()):
        yield _choose(found[0][0], [path for _, path in found if path], assignment, times.get(key))


def _is_work(path: Path) -> bool:
    return path.name != TIMESTAMP and not any(part.startswith((".", "__")) for part in path.parts)


def _choose(student: str, paths: list[Path], assignment: str, told: datetime | None) -> Submission:
    """Take the last of a student's notebooks that belongs to the assignment."""
    usable, unusable = [], []
    for path in paths:
        try:
            cells = read(path)
            _check_belongs(cells, assignment)
        except Unusable as error:
            unusable.append(f"{path.name} {error}")
        else:
            usable.append((*_time_of(path), path, cells))
    if not usable:
        why = "; ".join(unusable) or "the folder is empty"
        return Submission(student, remarks=[f"not graded: {why}"])
    usable.sort(key=lambda each: (each[0], each[2].name))
    time, clock, path, cells = usable[-1]
    notebook, remarks = mend(cells, assignment, student)
    if path.suffix != ".ipynb":
        remarks.insert(0, f"the file is called {path.name}, but it is a notebook")
    if len(usable) > 1:
        others = ", ".join(each[2].name for each in usable[:-1])
        remarks.insert(0, f"handed in {len(usable)} times; the last counts, {path.name}, not {others}")
    remarks += [f"not looked at: {each}" for each in unusable if ".ipynb" in each.split(" ")[0]]
    return Submission(student, path, told or time, "list" if told else clock, notebook, remarks)


def _time_of(path: Path) -> tuple[datetime, str]:
    """Return when a file was handed in, and what says so: a timestamp.txt beside it, or the file's own time."""
    stamp = path.with_name(TIMESTAMP)
    with suppress(OSError, ValueError, OverflowError):  # there's none, it's no text, or no time
        return parse_utc(stamp.read_text(encoding="utf-8").strip()).replace(tzinfo=UTC), TIMESTAMP
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC), "file"


def read(path: Path) -> list[NotebookNode]:
    """Return the cells of a notebook, with their text and metadata and nothing else.

    Raises
    ------
    Unusable
        Saying what the file is instead.
    """
    if path.stat().st_size > LARGEST:
        raise Unusable("is larger than 50 MB; ask for it without outputs")
    try:
        notebook = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise Unusable("is no notebook: it isn't JSON. Was it cut off, or saved by another program? Ask for the .ipynb"
                       ) from None
    try:
        if notebook.get("nbformat", 4) < 4:
            notebook = nbformat.convert(nbformat.from_dict(notebook), 4)
        return [_cell(cell) for cell in notebook["cells"]]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Unusable("is JSON, but no notebook") from None


def _cell(cell: dict) -> NotebookNode:
    """Return a cell as nbformat wants it, however a program may have written it."""
    source = cell.get("source", "")
    source = "".join(source) if isinstance(source, list) else str(source)
    new = new_code_cell if cell["cell_type"] == "code" else new_markdown_cell
    made = new(source)
    made.id = str(cell.get("id", ""))
    if isinstance(own := cell.get("metadata", {}).get("nbgrader"), dict):
        made.metadata.nbgrader = {"grade_id": own.get("grade_id")}
    return made


def _text(cell: NotebookNode) -> str:
    return "\n".join(line.rstrip() for line in cell.source.strip().splitlines())


def _grade_id(cell: NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def _check_belongs(cells: list[NotebookNode], assignment: str) -> None:
    def share(name: str) -> float:
        release = released(name).cells
        own = {i for i, cell in enumerate(release) if _grade_id(cell)}
        return len(own.intersection(places(cells, release))) / len(own)

    if share(assignment) >= 0.5:
        return
    shares = {name: share(name) for name in names()}
    best = max(shares, key=lambda name: (shares[name], name == assignment))
    if not shares[best]:
        raise Unusable(f"has no cell of the assignment {assignment}")
    if best != assignment:
        raise Unusable(f"belongs to another assignment, {best}")


def places(cells: list[NotebookNode], release: list[NotebookNode]) -> list[int | None]:
    """Return for each of a student's cells which cell of the assignment it is, or None if it's the student's own.

    nbgrader's metadata say it; where a program dropped them, the cell's id or text does. An answer is also known by
    what it defines, and a written one by its first line, or by standing where it should.
    """
    by_id = {cell.id: i for i, cell in enumerate(release)}
    by_grade_id = {_grade_id(cell): i for i, cell in enumerate(release) if _grade_id(cell)}
    by_text = {_text(cell): i for i, cell in enumerate(release)}
    found = [by_grade_id.get(_grade_id(cell), by_id.get(cell.id, by_text.get(_text(cell)))) for cell in cells]
    for is_meant in (_is_answer, _is_there):
        missing = [i for i, cell in enumerate(release) if i not in found and (is_solution(cell) or _is_id(cell))]
        before = -1
        for index, cell in enumerate(cells):
            if found[index] is None:
                found[index] = next((i for i in missing if cell.cell_type == release[i].cell_type
                                     and is_meant(cell, release[i], before == i - 1)), None)
            before = before if found[index] is None else found[index]
    return found


def _is_id(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and not _grade_id(cell) and bool(ID.search(cell.source))


def _is_answer(cell: NotebookNode, place: NotebookNode, follows: bool) -> bool:
    """Say whether a cell defines what an answer should, or begins as it should."""
    if cell.cell_type == "markdown":
        return _text(cell).startswith(_text(place).partition("\n")[0])
    return bool(_defined(cell) & _defined(place))


def _defined(cell: NotebookNode) -> set[str]:
    return {name for pair in DEFINED.findall(cell.source) for name in pair if name}


def _is_there(cell: NotebookNode, place: NotebookNode, follows: bool) -> bool:
    return follows


def mend(cells: list[NotebookNode], assignment: str, student: str) -> tuple[NotebookNode, list[str]]:
    """Return the assignment's notebook with a student's answers in it, and what was out of the ordinary."""
    release = released(assignment)
    groups, own, last = defaultdict(list), defaultdict(list), -1
    for cell, place in zip(cells, places(cells, release.cells), strict=True):
        if place is None:
            own[last].append(cell)
        else:
            groups[place].append(cell)
            last = place
    mended, remarks = own[-1], []
    for place, cell in enumerate(release.cells):
        theirs = groups[place]
        if is_locked(cell):
            _say_if_touched(cell, theirs, remarks)
        elif is_solution(cell):
            answers = [each for each in theirs if _text(each) != _text(cell)]
            if not theirs:
                remarks.append(f"the answer cell {_grade_id(cell)} is missing; an empty one stands in its place")
            if len(answers) > 1:
                remarks.append(f"the answer cell {_grade_id(cell)} is there {len(answers)} times; the last counts")
            mended += answers[:-1]
            cell.source = answers[-1].source if answers else cell.source
        elif _is_id(cell):
            cell.source = next((each.source for each in theirs if ID.search(each.source)), cell.source)
            _write_id(cell, student, remarks)
        elif theirs:
            cell.source = theirs[-1].source
        mended.append(cell)
        mended += own[place]
    known = {cell.id for cell in release.cells}
    for number, cell in enumerate(cell for cell in mended if cell.id not in known or not cell.id):
        cell.id, cell.metadata = f"own-{number}", NotebookNode()
    return new_notebook(cells=mended, metadata=release.metadata), remarks


def _say_if_touched(cell: NotebookNode, theirs: list[NotebookNode], remarks: list[str]) -> None:
    kind = f"the {'test' if is_grade(cell) else 'given'} cell {_grade_id(cell)}"
    if not theirs:
        remarks.append(f"{kind} was deleted; it was put back")
    elif any(_text(each) != _text(cell) for each in theirs):
        remarks.append(f"{kind} was changed; the original ran")
    elif len(theirs) > 1:
        remarks.append(f"{kind} was there {len(theirs)} times; it ran once")


def _write_id(cell: NotebookNode, student: str, remarks: list[str]) -> None:
    """Put the submission's id into the cell that asks for it, and say if another one is there."""
    claimed = ID.search(cell.source)[2].partition("#")[0].strip(" \t\"'")
    if claimed.casefold() in ("", PLACEHOLDER):
        remarks.append(f"no id was written into the notebook; it ran with the numbers of {student}")
    elif claimed.casefold() != student.casefold():
        remarks.append(f"the notebook says that it's of {claimed!r}; it ran with the numbers of {student}")
    cell.source = with_id(cell.source, student)


def with_id(source: str, student: str) -> str:
    """Return the code that assigns a student's id, with this id."""
    return ID.sub(lambda line: f"{line[1]}{student!r}", source)
