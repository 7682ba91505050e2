"""Write the tables of a syllabus: its timetable, its sessions, the work it takes, and its map of objectives.

A syllabus is two files in ``course/``. ``NAME.toml`` says what each session does, and ``NAME.md`` explains it, with
marks where the tables go. Everything that a chapter says itself is read there: titles, sections, exercises and their
minutes, and what running it takes. So whoever adapts a syllabus changes the one file and runs ``make syllabi``.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.notebooks import replace
from tools.outline import Chapter, Exercise, Row, numbered, plans
from tools.paths import ROOT
from tools.tables import fill

COMMAND = "make syllabi"
NAMES = ("six_weeks", "two_days")
SLIDES = "_build/teach/slides/{}.html"

# What a session may say. With a chapter it follows that lesson's plan, otherwise its title says what happens.
FIELDS = {
    "chapter", "title", "week", "day", "start", "minutes",
    "quiz",                           # {chapter = [quick questions]}
    "before", "after",                # {chapter = [sections]}, what to read
    "in_class", "at_home",            # numbers of exercises of the chapter
    "hand_out", "due",                # assignments
    "without",                        # sections whose rows of the plan this syllabus does without
    "short",                          # sections and exercises to leave out when time is short, in this order
    "bridge",                         # {chapter that isn't taught = what to say in its place}
    "note",
}


class Course(NamedTuple):
    """What a syllabus is made from."""

    sessions: list[dict]
    chapters: dict[str, Chapter]
    plans: dict[str, list[Row]]
    objectives: dict[str, dict]

    def taught(self) -> list[Chapter]:
        return [self.chapters[it["chapter"]] for it in self.sessions if "chapter" in it]


def read(name: str, root: Path = ROOT) -> Course:
    """Return the course that a syllabus describes."""
    def toml(file: str) -> dict:
        return tomllib.loads((root / "course" / file).read_text(encoding="utf-8"))

    outlines = numbered(root)
    return Course(toml(f"{name}.toml")["sessions"], outlines, plans(outlines, root), toml("objectives.toml"))


def core(session: dict, course: Course) -> list[Row]:
    """Return the rows of the lesson's plan that run a section and that the syllabus keeps."""
    without = {course.chapters[session["chapter"]].section(it) for it in session.get("without", [])}
    return [row for row in course.plans[session["chapter"]] if row.sections and not without & set(row.sections)]


def listed(items: list[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def numbers_listed(numbers: list[int]) -> str:
    """Return "1 to 4" for numbers that follow each other, otherwise "1, 3 and 4"."""
    first, last = numbers[0], numbers[-1]
    runs = len(numbers) > 2 and numbers == list(range(first, last + 1))
    return f"{first} to {last}" if runs else listed([str(it) for it in numbers])


def link(chapter: Chapter) -> str:
    title = chapter.title.partition("? ")[0] + "?" if "? " in chapter.title else chapter.title
    return f"[{title}](../book/{chapter.path.parent.name}/{chapter.path.name})"


def plan_link(chapter: Chapter) -> str:
    return f"[Lesson {chapter.lesson}](lessons.md#lesson-{chapter.lesson}-{anchor(chapter)})"


def anchor(chapter: Chapter) -> str:
    """Return what GitHub makes of the lesson's title."""
    title = link(chapter)[1:].partition("]")[0]
    return "".join(it for it in title.lower().replace(" ", "-") if it.isalnum() or it == "-")


def assignment_link(name: str) -> str:
    return f"[{name}](assignments/{name}/{name}.ipynb)"


def reading(sections: dict[str, list[str]], course: Course) -> str:
    return "; ".join(f"{listed([f'*{chapter.section(start)}*' for start in starts])} in {link(chapter)}"
                     for name, starts in sections.items() for chapter in [course.chapters[name]])


def questions(quiz: dict[str, list[int]], course: Course) -> str:
    return "; ".join(f"quick questions {numbers_listed(numbers)} of {link(course.chapters[name])}"
                     for name, numbers in quiz.items())


def exercises(numbers: list[int], chapter: Chapter) -> str:
    def one(number: int, it: Exercise) -> str:
        return f"{number}, *{it.title}* {it.stars} ({it.time})"

    return "; ".join(one(number, chapter.exercises[number]) for number in numbers)


def to_leave_out(starts: list[str], session: dict, course: Course) -> str:
    """Say what to leave out, and how many minutes each gives back."""
    chapter, parts = course.chapters[session["chapter"]], []
    for start in starts:
        if start.startswith("exercise "):
            parts.append(f"{start} ({chapter.exercises[int(start.removeprefix('exercise '))].time})")
            continue
        section = chapter.section(start)
        row = next((row for row in course.plans[chapter.name] if section in row.sections), None)
        if row is None:
            raise ValueError(f"{chapter.name}: the plan doesn't run {section!r}")
        parts.append(f"{listed([f'*{it}*' for it in row.sections])} ({row.minutes} minutes)")
    return "first " + ", then ".join(parts) if len(parts) > 1 else "".join(parts)


def when(session: dict) -> str:
    return f"Day {session['day']}, {session['start']}" if "start" in session else f"Week {session['week']}"


def rows(session: dict, course: Course) -> Iterator[tuple[str, str]]:
    """Return what a session's table says, line by line."""
    chapter = course.chapters[session["chapter"]] if "chapter" in session else None
    minutes = f"{session['minutes']} minutes planned"
    if chapter:
        budget = chapter.budget
        yield "Lesson", f"{plan_link(chapter)}, {minutes}"
        yield "Chapter", f"{link(chapter)}; running it takes {budget.cpu_s:g} CPU seconds and {budget.memory_gb:g} GB"
        yield "Core", ", ".join(f"*{it}*" for row in core(session, course) for it in row.sections)
    else:
        yield "Time", minutes
    for name, what in session.get("bridge", {}).items():
        yield "Bridge", f"In place of {link(course.chapters[name])}: {what}"
    for label, key in (("Read before", "before"), ("Read after", "after")):
        if key in session:
            yield label, reading(session[key], course)
    if "quiz" in session:
        yield "Opening quiz", questions(session["quiz"], course)
    for label, key in (("Exercises in class", "in_class"), ("Exercises at home", "at_home")):
        if key in session:
            yield label, exercises(session[key], chapter)
    for label, key in (("Hand out", "hand_out"), ("Due before it begins", "due")):
        if key in session:
            yield label, ", ".join(map(assignment_link, session[key]))
    if chapter:
        yield "Slides", f"`{SLIDES.format(chapter.name)}`"
    if "without" in session:
        yield "Left out", listed([f"*{chapter.section(it)}*" for it in session["without"]])
    if "short" in session:
        yield "When time is short, leave out", to_leave_out(session["short"], session, course)
    if "note" in session:
        yield "Note", " ".join(session["note"].split())


def title_of(session: dict, course: Course) -> str:
    return link(course.chapters[session["chapter"]])[1:].partition("]")[0] if "chapter" in session else session["title"]


def is_break(session: dict) -> bool:
    return session.keys() <= {"title", "day", "start", "minutes"}


def taught_sessions(course: Course) -> list[tuple[int, dict]]:
    """Return the sessions with their numbers; breaks have none."""
    return list(enumerate((it for it in course.sessions if not is_break(it)), 1))


def session_tables(course: Course) -> list[str]:
    lines = []
    for number, session in taught_sessions(course):
        lines += [f"### Session {number}. {title_of(session, course)}", "", "| | |", "|---|---|"]
        lines += [f"| {label} | {text} |" for label, text in rows(session, course)] + [""]
    return lines[:-1]


def table(columns: dict[str, list[str]]) -> list[str]:
    """Return a Markdown table of the columns that say anything."""
    columns = {head: cells for head, cells in columns.items() if any(cells)}
    lines = [list(columns), ["---"] * len(columns), *zip(*columns.values(), strict=True)]
    return [f"| {' | '.join(line)} |".replace("  ", " ") for line in lines]


def timetable(course: Course) -> list[str]:
    numbers = {id(session): f"{number}. " for number, session in taught_sessions(course)}
    chapters = [course.chapters.get(it.get("chapter")) for it in course.sessions]
    return table({
        "When": [when(it) for it in course.sessions],
        "Session": [numbers.get(id(it), "") + title_of(it, course) for it in course.sessions],
        "Lesson": [plan_link(it).replace("Lesson ", "", 1) if it else "" for it in chapters],
        "Minutes, planned": [str(it["minutes"]) for it in course.sessions],
        "CPU seconds": [f"{it.budget.cpu_s:g}" if it else "" for it in chapters],
        "Memory, GB": [f"{it.budget.memory_gb:g}" if it else "" for it in chapters],
        **{head: [", ".join(map(assignment_link, it.get(key, []))) for it in course.sessions]
           for head, key in (("Hand out", "hand_out"), ("Due before it begins", "due"))},
    })


def workload(course: Course) -> list[str]:
    """Return a table of the hours that a student spends, as far as they follow from the chapters and the sessions."""
    home = sum(course.chapters[it["chapter"]].exercises[number].minutes
               for it in course.sessions for number in it.get("at_home", []))
    chapters, handed_out = course.taught(), sum(len(it.get("hand_out", [])) for it in course.sessions)
    parts = [
        (f"{len(taught_sessions(course))} sessions", sum(it["minutes"] for _, it in taught_sessions(course)) / 60),
        (f"reading {len(chapters)} chapters, as they estimate it themselves",
         sum(it.reading_minutes for it in chapters) / 60),
        ("exercises at home", home / 60),
    ]
    lines = ["| What | Hours, planned |", "|---|---|", *(f"| {what} | {hours:.1f} |" for what, hours in parts if hours)]
    if handed_out:
        lines.append(f"| {handed_out} assignment{'s' if handed_out > 1 else ''} of two to three hours | "
                     f"{2 * handed_out} to {3 * handed_out} |")
    return lines


def objectives_table(course: Course) -> list[str]:
    """Return what students can do after each lesson, with what assesses it."""
    rows = [(chapter, objective) for chapter in course.taught()
            for objective in course.objectives[chapter.name]["objectives"]]
    kinds = {"Exercises": "exercises", "Quick questions": "questions", "*Check yourself*": "check_yourself"}
    return table({
        "Lesson": [str(chapter.lesson) for chapter, _ in rows],
        "Afterwards, students can": [objective["can"] for _, objective in rows],
        **{head: [", ".join(map(str, objective.get(key, []))) for _, objective in rows] for head, key in kinds.items()},
        "Assignments": [", ".join(map(assignment_link, objective.get("assignments", []))) for _, objective in rows],
    })


def page(name: str, root: Path = ROOT) -> str:
    """Return the text that a syllabus should have.

    Raises
    ------
    ValueError
        If it has no place for a table, or a session names a section that its chapter doesn't have.
    """
    course, file = read(name, root), f"course/{name}.md"
    tables = {"timetable": timetable, "sessions": session_tables, "workload": workload, "objectives": objectives_table}
    return fill((root / file).read_text(encoding="utf-8"), {key: write(course) for key, write in tables.items()},
                file, COMMAND)


def main() -> None:
    for name in NAMES:
        file = ROOT / f"course/{name}.md"
        print(f"course/{name}.md is {'new' if replace(file, page(name)) else 'as it was'}")


if __name__ == "__main__":
    main()
