"""The chapter for instructors: its tables are those of today's masters and checks, its syllabi leave nothing out."""

import re

import pytest

import dev
from course import guide
from course.master import masters

PAGE = guide.PAGE.read_text(encoding="utf-8")
MASTERS = masters()


def test_the_tables_are_those_of_the_masters():
    assert guide.written(PAGE) == PAGE, "python -m course make"
    for master in MASTERS:
        for problem in master.problems:
            assert f"| {problem.id} {guide.cell(problem.title)} | {problem.points} | " in PAGE


@pytest.mark.parametrize("master", MASTERS, ids=lambda m: m.name)
def test_each_problem_shows_what_its_check_says(master):
    space = master.reference()
    for problem in master.coded:
        text = guide.message(master, problem.id, space)
        assert 20 < len(text) <= guide.SHORT and text not in ("correct", "not attempted yet"), problem.id
        assert guide.said(master, problem.id, problem.solution, space) == "correct"


def test_a_changed_master_changes_the_page(monkeypatch):
    first = MASTERS[0].problem("1.1")
    monkeypatch.setattr(guide, "masters", lambda: MASTERS)
    monkeypatch.setattr(first, "points", first.points + 1)
    assert guide.written(PAGE) != PAGE
    monkeypatch.setattr(guide, "masters", lambda: MASTERS[1:])
    with pytest.raises(ValueError, match="has places for 01-bpe"):
        guide.written(PAGE)


@pytest.mark.parametrize("heading, weeks", [("### Seven weeks", 7), ("### Fourteen weeks", 14)])
def test_a_syllabus_has_every_chapter_and_every_assignment_once(heading, weeks):
    rows = re.findall(r"^\| (\d+) \|(.*?)\|(.*?)\|(.*?)\|$", PAGE.split(heading)[1].split("\n#")[0], re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(range(1, weeks + 1))
    assert re.findall(r"notebooks/([\w-]+)\.ipynb", "".join(row[1] for row in rows)) == [path.stem for path in dev.NOTEBOOKS]
    out, due = ([re.findall(r"assignment (\d)", row[column]) for row in rows] for column in (2, 3))
    for number in map(str, range(1, len(MASTERS) + 1)):
        given, back = ([week for week, found in enumerate(column) if number in found] for column in (out, due))
        assert len(given) == len(back) == 1 and given[0] <= back[0], f"assignment {number}"


def test_text_from_a_check_is_text_in_a_table():
    assert guide.cell("a|b *c* `d` $e$ <f>\n {g}") == r"a\|b \*c\* \`d\` \$e\$ \<f\> \{g\}"
