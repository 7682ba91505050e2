"""Marks in nbgrader's gradebook: those given by hand, penalties, and the table of all.

Marks by hand are given in nbgrader's formgrader, or typed into a CSV that was written here. Read back, only what was
typed counts, so that it never undoes what was given in the formgrader meanwhile.
"""

import csv
import io
import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from math import ceil, isfinite
from pathlib import Path
from typing import Any, NamedTuple

import nbgrader
from alembic.script import ScriptDirectory
from nbgrader.api import Gradebook, MissingEntry

from minivit.files import write_whole
from tools.notebooks import replace

UNITS = {"hour": 3600, "day": 86400, "week": 604800}
COLUMNS = ["student", "part", "of", "mark", "comment"]
TYPED = ["student", "part", "mark", "comment"]


def start_gradebook(path: Path) -> None:
    """Make an empty gradebook, if there's none: to number its layout, nbgrader would need the program alembic."""
    if path.exists():
        return
    layout = ScriptDirectory(str(Path(nbgrader.__file__).parent / "alembic")).get_current_head()

    def write(part: Path) -> None:
        with closing(sqlite3.connect(part)) as book, book:
            book.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
            book.execute("INSERT INTO alembic_version VALUES (?)", (layout,))

    write_whole(path, write)


class LateRule(NamedTuple):
    """What each hour, day or week begun after the deadline costs: marks, or a part of all marks."""

    cost: float
    is_share: bool
    unit: str

    @classmethod
    def parse(cls, text: str) -> "LateRule":
        """Read ``10%/day``, ``0.5/hour`` or ``none``."""
        if text == "none":
            return cls(0.0, False, "day")
        if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)(%?)/(hour|day|week)", text)):
            raise ValueError(f"late={text!r} must be none, or marks or per cent per hour, day or week, such as 10%/day")
        return cls(float(found[1]) / (100 if found[2] else 1), bool(found[2]), found[3])

    def penalty(self, seconds_late: float, max_score: float) -> float:
        """Return the marks that are lost."""
        each = self.cost * max_score if self.is_share else self.cost
        return round(each * ceil(seconds_late / UNITS[self.unit]), 2)


class Mark(NamedTuple):
    """One part of one submission; ``value`` is None while a person has still to mark it."""

    value: float | None
    of: float
    comment: str | None
    by_hand: bool


class Marks(NamedTuple):
    """What one student has: each part by its grade_id, and what lateness takes off."""

    parts: dict[str, Mark]
    seconds_late: float
    penalty: float

    @property
    def open(self) -> list[str]:
        return [part for part, mark in self.parts.items() if mark.value is None]

    @property
    def total(self) -> float | None:
        """All marks less the penalty, or None while a part is open."""
        return None if self.open else round(sum(mark.value for mark in self.parts.values()) - self.penalty, 2)


def read_marks(book: Gradebook, assignment: str, student: str, by_hand: Iterable[str], rule: LateRule) -> Marks | None:
    """Return a student's marks, after setting the penalty; None if nothing of the student was graded."""
    try:
        submission = book.find_submission(assignment, student)
        notebook = book.find_submission_notebook(assignment, assignment, student)
    except MissingEntry:
        return None
    comments = {comment.name: comment.comment for comment in notebook.comments}
    parts = {grade.name: Mark(None if grade.needs_manual_grade else grade.score, grade.max_score,
                              comments.get(grade.name), grade.name in by_hand)
             for grade in notebook.grades}
    late = submission.total_seconds_late
    penalty = min(rule.penalty(late, notebook.max_score), notebook.score)
    notebook.late_submission_penalty = penalty or None
    book.db.commit()
    return Marks(parts, late, penalty)


def reopen_none(book: Gradebook, assignment: str, student: str, same: Iterable[str]) -> None:
    """Let marks by hand stand, after a new run, for answers that are the same as when they were marked.

    nbgrader keeps the marks, but asks for them to be looked at again, whatever has changed.
    """
    for part in same:
        grade = book.find_grade(part, assignment, assignment, student)
        grade.needs_manual_grade = grade.needs_manual_grade and grade.manual_score is None
    book.db.commit()


def write_by_hand(path: Path, marks: Mapping[str, Marks]) -> dict[str, list[str]]:
    """Write the CSV in which a person marks; return what stands in it, by student and part."""
    rows = [[student, part, _number(mark.of), _number(mark.value), mark.comment or ""]
            for student, each in marks.items() for part, mark in each.parts.items() if mark.by_hand]
    replace(path, table([COLUMNS, *rows]))
    return {f"{row[0]}/{row[1]}": row[3:] for row in rows}


def read_by_hand(path: Path, written: Mapping[str, list[str]], book: Gradebook, assignment: str) -> int:
    """Put into the gradebook what was typed into the CSV since it was written; return how many marks that were.

    Raises
    ------
    ValueError
        Naming the line, if there's a mistake in it; then nothing of the file counts.
    """
    if not path.exists():
        return 0
    typed = []
    for line, row in enumerate(read_table(path, TYPED), start=2):
        student, part, mark, comment = (row[name].strip() for name in TYPED)
        before = written.get(f"{student}/{part}", ["", ""])
        if [mark, comment] == before:
            continue
        try:
            grade = book.find_grade(part, assignment, assignment, student)
        except MissingEntry:
            raise ValueError(f"{path}, line {line}: {student!r} has no part {part!r}") from None
        value = None
        if mark != before[0] and mark:
            value = _value(mark, f"{path}, line {line}", grade.max_score)
        typed.append((grade, value, comment if comment != before[1] else None))
    for grade, value, comment in typed:
        if value is not None:
            grade.manual_score, grade.needs_manual_grade = value, False
        if comment is not None:
            book.find_comment(grade.name, assignment, assignment, grade.student.id).manual_comment = comment
    book.db.commit()
    return len(typed)


def _value(mark: str, where: str, most: float) -> float:
    try:
        value = float(mark.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and 0 <= value <= most):
        raise ValueError(f"{where}: the mark {mark!r} must be a number from 0 to {_number(most)}")
    return value


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def read_table(path: Path, columns: list[str]) -> list[dict[str, str]]:
    """Read a CSV, with commas or semicolons, that has at least these columns.

    Raises
    ------
    ValueError
        Naming the file, if it can't be read, or if a column is missing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} isn't in UTF-8: save it as \"CSV UTF-8\", as spreadsheets call it") from None
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter, restval="")
    if missing := [name for name in columns if name not in (rows.fieldnames or [])]:
        raise ValueError(f"{path} needs the columns {', '.join(columns)}; {', '.join(missing)} is missing")
    return list(rows)


def table(rows: Iterable[Iterable[Any]]) -> str:
    """Return a CSV."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
