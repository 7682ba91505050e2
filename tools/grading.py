"""Grade what students handed in: collect, check, run the tests, give feedback and write the marks.

    python -m tools.grading ASSIGNMENT SUBMISSIONS [--due 2027-02-01T18:00] [--late 10%/day]

SUBMISSIONS is a folder with a folder for each student, or with files called ID_anything.ipynb. Everything is written to
a folder of nbgrader's, ``grading``; run it again for more submissions, for corrections, or after marking by hand: what
hasn't changed isn't run again, and no mark is lost. course/grading.md tells the whole story.
"""

import argparse
import hashlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from sqlalchemy.exc import SAWarning

from tools.assignments import LOG, by_hand, settings, source_of, tool
from tools.execute import cost_of_children
from tools.feedback import improve
from tools.marks import (
    LateRule,
    Marks,
    read_by_hand,
    read_marks,
    read_table,
    reopen_none,
    start_gradebook,
    table,
    write_by_hand,
)
from tools.notebooks import replace
from tools.paths import ROOT
from tools.run_submission import ENDED, STOPPED, STUCK
from tools.submissions import TIMESTAMP, Submission, find, with_id

TO = ROOT / "grading"
CONFIG = '''\
"""For nbgrader's formgrader and commands in this folder; written by tools.grading."""

import sys
from pathlib import Path

sys.path.append({root!r})
from tools.assignments import settings

c.merge(settings(Path(__file__).resolve().parent))
'''


class Grading:
    """One assignment in one of nbgrader's course folders, and what is known of earlier runs."""

    def __init__(self, assignment: str, root: Path, limit_s: int = 60) -> None:
        self.assignment, self.root = assignment, root.resolve()
        self.config = settings(self.root, limit_s)
        self.parts_by_hand = by_hand(assignment)
        self.source = _digest(source_of(assignment).read_text(encoding="utf-8"))
        self.log_file = self.root / "log.txt"
        self.state_file = self.root / "state" / f"{assignment}.json"
        known = json.loads(self.state_file.read_text(encoding="utf-8")) if self.state_file.exists() else {}
        self.state = {"due": None, "late": "none", "source": None, "students": {}, "by_hand": {}} | known

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Write down what nbgrader says meanwhile."""
        self.root.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(self.log_file, mode="w", encoding="utf-8")
        LOG.addHandler(handler)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)  # of nbgrader's own way to add a submission
                yield
        finally:
            LOG.removeHandler(handler)
            handler.close()

    def save(self) -> None:
        replace(self.state_file, json.dumps(self.state, indent=1, sort_keys=True) + "\n")

    def book(self) -> Gradebook:
        return Gradebook(f"sqlite:///{self.root / 'gradebook.db'}")

    def prepare(self, due: str | None, late: str | None) -> None:
        """Make the folder, put the assignment into its gradebook, and take over the deadline and the late rule."""
        start_gradebook(self.root / "gradebook.db")
        replace(self.root / "nbgrader_config.py", CONFIG.format(root=str(ROOT)))
        if late is not None:
            LateRule.parse(late)
            self.state["late"] = late
        if due is not None:
            self.state["due"] = _time(due, "--due").isoformat()
        if self.state["source"] != self.source:
            try:
                tool(GenerateAssignment, self.config, self.assignment, force=True).start()
            except NbGraderException:
                if "Cannot add or remove cells" not in self.log_file.read_text(encoding="utf-8"):
                    raise ValueError(f"nbgrader can't read the assignment; see {self.log_file}") from None
                raise ValueError(f"{self.assignment} has other cells now than those that were graded in {self.root}. "
                                 "Grade into another folder, --to FOLDER.") from None
            self.state["source"] = self.source
        with self.book() as book:
            due = _naive(datetime.fromisoformat(self.state["due"])) if self.state["due"] else None
            book.update_or_create_assignment(self.assignment, duedate=due)
        self.save()

    def take(self, submission: Submission) -> dict[str, Any]:
        """Grade a submission, if it's new; return what is known of the student."""
        known = {student.casefold(): student for student in self.state["students"]}
        student = submission.student = known.get(submission.student.casefold(), submission.student)
        record = self.state["students"].setdefault(student, {"graded": None, "answers": {}})
        if submission.notebook is None:
            record["remarks" if not record["graded"] else "later"] = submission.remarks
            return record
        for cell in submission.notebook.cells:
            if cell.cell_type == "code":
                cell.source = with_id(cell.source, student)
        if submission.remarks:  # the student reads them in the feedback
            told = "\n".join(["**Remarks**", "", *(f"- {remark}" for remark in submission.remarks)])
            submission.notebook.cells.insert(0, nbformat.v4.new_markdown_cell(told, id="remarks"))
        text = nbformat.writes(submission.notebook) + "\n"
        is_same = record.get("text") == _digest(text)
        if record["graded"] and not is_same and datetime.fromisoformat(record["time"]) > submission.time:
            record["later"] = [f"{submission.path.name} is older than what was graded, {record['file']}"]
            return record
        record.update(text=_digest(text), file=submission.path.name, clock=submission.clock,
                      time=submission.time.isoformat(), later=[])
        self._stamp(student, submission.time, text)
        self._grade(student, record, submission.remarks)
        return record

    def refresh(self) -> None:
        """Grade those again who aren't among the submissions now, if the assignment has changed since."""
        for student, record in self.state["students"].items():
            if record["graded"]:
                self._grade(student, record, record["told"])

    def _grade(self, student: str, record: dict[str, Any], remarks: list[str]) -> None:
        """Run a notebook that lies there, unless just this one has been run with just these tests."""
        now = record["text"] + self.source
        if record["graded"] != now or not self._graded(student).exists():
            record.update(graded=None, told=remarks, remarks=remarks)
            if self._run(student, record):
                record["graded"] = now
        self.save()

    def _graded(self, student: str) -> Path:
        return self.root / "autograded" / student / self.assignment / f"{self.assignment}.ipynb"

    def _stamp(self, student: str, time: datetime, text: str) -> None:
        """Write the notebook, and the time as nbgrader wants it, into the gradebook too if the submission is there."""
        folder = self.root / "submitted" / student / self.assignment
        replace(folder / f"{self.assignment}.ipynb", text)
        replace(folder / TIMESTAMP, f"{_naive(time):%Y-%m-%d %H:%M:%S} UTC\n")
        with self.book() as book:
            book.update_or_create_student(student)
            book.update_or_create_submission(self.assignment, student, timestamp=_naive(time))

    def _run(self, student: str, record: dict[str, Any]) -> bool:
        """Run a notebook with its tests; say in the remarks what stopped it."""
        before = cost_of_children().cpu_s
        try:
            tool(Autograde, self.config, self.assignment, student, force=True).start()
        except NbGraderException as error:
            record["remarks"] = [*record["remarks"], f"not graded: nbgrader stopped ({error}); see {self.log_file}"]
            return False
        answers = {}
        for cell in nbformat.read(self._graded(student), as_version=4).cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            if grade_id in self.parts_by_hand:
                answers[grade_id] = _digest(cell.source)
            for output in cell.get("outputs", []):
                if output.get("ename") in (STOPPED, ENDED, STUCK):
                    where = grade_id or f"of the student's own that begins {cell.source[:30]!r}"
                    record["remarks"] = [*record["remarks"], f"the cell {where}: {output.evalue}"]
        same = [part for part in answers if record["answers"].get(part) == answers[part]]
        with self.book() as book:
            reopen_none(book, self.assignment, student, same)
        record.update(answers=answers, cpu_s=round(cost_of_children().cpu_s - before, 1))
        return True

    def marks(self) -> dict[str, Marks]:
        """Return the marks of everybody who has been graded, with the penalties of the late rule."""
        rule = LateRule.parse(self.state["late"])
        with self.book() as book:
            found = {student: read_marks(book, self.assignment, student, self.parts_by_hand, rule)
                     for student, record in sorted(self.state["students"].items()) if record["graded"]}
        return {student: marks for student, marks in found.items() if marks}

    def give_feedback(self, marks: dict[str, Marks], early: bool = False) -> int:
        """Write a page for everybody whose parts all have marks, or for all, if it would change; count those there are.
        """
        finished = {student: each for student, each in marks.items() if early or not each.open}
        for student, each in finished.items():
            record = self.state["students"][student]
            path = self.root / "feedback" / student / self.assignment / f"{self.assignment}.html"
            now = _digest(repr((record["graded"], each)))
            if record.get("feedback") != now or not path.exists():
                tool(GenerateFeedback, self.config, self.assignment, student, force=True).start()
                improve(path, self._graded(student))
                record["feedback"] = now
        self.save()
        return len(finished)

    def write_marks(self, marks: dict[str, Marks]) -> Path:
        """Write the table of all marks."""
        parts = list(next(iter(marks.values())).parts) if marks else []
        rows = [["student", "total", "of", "open", "automatic", "by hand", "penalty", "handed in", "late by", *parts,
                 "remarks", "file", "cpu s"]]
        for student, record in sorted(self.state["students"].items()):
            remarks = "; ".join(record.get("remarks", []) + record.get("later", []))
            if student not in marks:
                rows.append([student] + [""] * (8 + len(parts)) + [remarks, record.get("file", ""), ""])
                continue
            each = marks[student]
            tests, hand = ([mark for mark in each.parts.values() if mark.by_hand == kind] for kind in (False, True))
            late = str(timedelta(seconds=round(each.seconds_late))) if each.seconds_late else ""
            if late and record["clock"] == "file":
                remarks = "; ".join(filter(None, [remarks, "late by the file's own time, which copying may change"]))
            rows.append([
                student, _or_empty(each.total), sum(mark.of for mark in each.parts.values()), " ".join(each.open),
                sum(mark.value or 0 for mark in tests), sum(mark.value or 0 for mark in hand), each.penalty,
                f"{datetime.fromisoformat(record['time']).astimezone():%Y-%m-%d %H:%M:%S}", late,
                *(_or_empty(mark.value) for mark in each.parts.values()), remarks, record["file"],
                record["cpu_s"]])
        path = self.root / "marks" / f"{self.assignment}.csv"
        replace(path, table(rows))
        return path


def _naive(time: datetime) -> datetime:
    """Return a time as nbgrader's gradebook has it, in UTC without saying so."""
    return time.astimezone(UTC).replace(tzinfo=None)


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _time(text: str, where: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError:
        raise ValueError(f"{where}: {text!r} is no time; write it as 2027-02-01T18:00") from None


def read_times(path: Path | None) -> dict[str, datetime]:
    """Read when students handed in, from a CSV with the columns ``student`` and ``time``."""
    rows = read_table(path, ["student", "time"]) if path else []
    return {row["student"].strip().casefold(): _time(row["time"], f"{path}, line {line}")
            for line, row in enumerate(rows, start=2)}


def grade(options: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises
    ------
    ValueError
        Saying what's wrong with an option or a file of the lecturer's; nothing has been changed then.
    """
    source_of(options.assignment)
    submissions = list(find(options.submissions, options.assignment, read_times(options.times)))
    grading = Grading(options.assignment, options.to, options.limit)
    with grading.logged():
        grading.prepare(options.due, options.late)
        state, csv_by_hand = grading.state, grading.root / "marks" / f"{options.assignment}_by_hand.csv"
        with grading.book() as book:
            typed = read_by_hand(csv_by_hand, state["by_hand"], book, options.assignment)
        due = f"{datetime.fromisoformat(state['due']):%Y-%m-%d %H:%M}" if state["due"] else "not set"
        print(f"{options.assignment}: {len(submissions)} submissions; due {due}; late: {state['late']}"
              + (f"; {typed} marks by hand read" if typed else ""))
        for submission in submissions:
            record = grading.take(submission)
            print(f"  {submission.student:<20} {record.get('file', '')}", flush=True)
            for remark in record.get("remarks", []) + record.get("later", []):
                print(f"      {remark}")
        grading.refresh()
        marks = grading.marks()
        pages = grading.give_feedback(marks, options.early)
        path = grading.write_marks(marks)
        state["by_hand"] = write_by_hand(csv_by_hand, marks)
        grading.save()
    still = sum(len(each.open) for each in marks.values())
    print(f"Marks: {path}\nFeedback: {pages} pages in {grading.root / 'feedback'}")
    if still:
        print(f"By hand: {still} {'answer is' if still == 1 else 'answers are'} without a mark. Give marks in "
              f"{csv_by_hand} and run this again, or in the formgrader; course/grading.md says how.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.grading", description=__doc__.partition("\n")[0])
    parser.add_argument("assignment", help="name of an assignment, such as softmax_jacobian")
    parser.add_argument("submissions", type=Path, help="folder with a folder for each student, or ID_anything.ipynb")
    parser.add_argument("--due", metavar="TIME", help="deadline, 2027-02-01T18:00 in this machine's time zone or with "
                        "an offset; it's kept for the next run")
    parser.add_argument("--late", metavar="RULE", help="what each hour, day or week begun costs: 10%%/day (of all "
                        "marks), 2/day (marks) or none; it's kept for the next run")
    parser.add_argument("--times", type=Path, metavar="CSV", help="columns student and time: when they handed in")
    parser.add_argument("--limit", type=int, default=60, metavar="S", help="seconds for each cell (default 60)")
    parser.add_argument("--early", action="store_true", help="give feedback before all parts are marked")
    parser.add_argument("--to", type=Path, default=TO, metavar="FOLDER", help="where to grade (default: grading)")
    try:
        grade(parser.parse_args())
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
