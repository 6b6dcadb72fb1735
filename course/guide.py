"""The tables of book/instructors.md, made from the masters and from the mistakes of the tests, so that they cannot drift."""

import contextlib
import io
import json
import re
from pathlib import Path

import dev
from course.master import Master, masters
from minigpt import results

PAGE = dev.ROOT / "book" / "instructors.md"
MISTAKES = dev.ROOT / "tests" / "mistakes"
PLACE = re.compile(r"(<!-- assignment (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHORT = 140  # characters of a message that a table has room for
HEAD = "| problem | points | | minutes | {hardware}one mistake, and what the check says to it |\n|---|---|---|---|{rule}---|\n"


def said(master: Master, number: str, code: str, space: dict) -> str:
    """What the check of a problem says to a wrong solution whose other functions are right."""
    own, out = dict(space), io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "<mistake>", "exec"), own)
        exec(compile(master.problem(number).check, "<check>", "exec"), own)
    return out.getvalue().strip().removeprefix(f"Problem {number}: ")


def message(master: Master, number: str, space: dict) -> str:
    """The first of the problem's likely mistakes whose message is short and holds no measured fraction."""
    mistakes = json.loads((MISTAKES / f"course-{master.name[:2]}.json").read_text(encoding="utf-8"))[number]
    found = (said(master, number, mistake["code"], space) for mistake in mistakes)
    return next((text for text in found if len(text) <= SHORT and not re.search(r"\d\.\d{2}|e-\d", text)), "")


def cell(text: str) -> str:
    """Text as it stands, in a table of Markdown."""
    return re.sub(r"([\\|*_`$<>{}\[\]])", r"\\\1", " ".join(text.split()))


def table(master: Master) -> str:
    """The problems of an assignment: points, difficulty, minutes, hardware if it is not a CPU, a message."""
    space, rows = master.reference(), []
    wide = any(p.hardware != "a CPU is enough" for p in master.coded)
    for p in master.problems:
        facts = [f"{p.id} {cell(p.title)}", str(p.points), "●" * p.difficulty + "○" * (3 - p.difficulty), str(p.minutes)]
        facts += [p.hardware] if wide else []
        facts.append("*in words, read by a person*" if p.written else cell(message(master, p.id, space)))
        rows.append(f"| {' | '.join(facts)} |\n")
    points, minutes = sum(p.points for p in master.problems), sum(p.minutes for p in master.problems)
    total = f"| **together** | **{points}** | | **{minutes}** |{' |' * wide} |\n"
    head = HEAD.format(hardware="hardware | " if wide else "", rule="---|" if wide else "")
    return f"{head}{''.join(rows)}{total}\n{time(master)}\n"


def time(master: Master) -> str:
    """How long marking takes, as it was measured."""
    try:
        seconds = results.load("course-grading").values["seconds"][master.name]
    except (FileNotFoundError, KeyError):
        return f"The grader's time for one submission: {results.NOT_YET}."
    return f"The grader takes {seconds:.1f} seconds of processor time for a complete submission."


def written(text: str) -> str:
    """The page with the tables of today. ValueError if it has no place for an assignment, or one too many."""
    known = {master.name: master for master in masters()}
    places = [match[2] for match in PLACE.finditer(text)]
    if places != list(known):
        raise ValueError(f"{PAGE.name} has places for {', '.join(places)}, and there are {', '.join(known)}")
    return PLACE.sub(lambda match: match[1] + table(known[match[2]]) + match[3], text)


def write(path: Path = PAGE) -> list[Path]:
    """Bring the page's tables up to date; returns it if it changed."""
    old = path.read_text(encoding="utf-8")
    new = written(old)
    if new != old:
        path.write_text(new, encoding="utf-8", newline="\n")
    return [path] if new != old else []
