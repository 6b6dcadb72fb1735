"""Each likely mistake loses exactly its points and gets the message that fits it, in the grader's own process."""

import copy
import dataclasses
import json
import os
import sys

import pytest

import dev
from course.master import masters

if not sys.platform.startswith("linux"):
    pytest.skip("the grader's limits rest on Linux", allow_module_level=True)

from course import batch, examine
from course.keeper import Keeper

MASTERS = {master.name: master for master in masters()}
MISTAKES = {name: json.loads((dev.ROOT / "tests" / "mistakes" / f"course-{name[:2]}.json").read_text(encoding="utf-8"))
            for name in MASTERS}
# One submission errs in every problem at once: each problem is marked as if the earlier ones were right, so no error hides another.
ROUNDS = [(name, n) for name, problems in MISTAKES.items() for n in range(max(map(len, problems.values())))]


@pytest.fixture(scope="module")
def keeper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grading")
    for place in (folder, *folder.parents[:2]):
        os.chmod(place, 0o711)
    with Keeper(folder) as keeper:
        batch.probe(keeper, examine.Limits())
        yield keeper


@pytest.fixture(scope="module")
def keys():
    return {name: examine.Key.make(master, "a secret of the tests") for name, master in MASTERS.items()}


def cells_with(master, changes: dict[str, str]) -> list[str]:
    """The solution's code cells, with other code for some problems."""
    wanted = {master.problem(number).solution: code for number, code in changes.items()}
    cells = [cell for cell in master.cells if cell.kind == "code" and cell.role in ("plain", "solution")]
    return [wanted.get(cell.source, cell.source) for cell in cells]


@pytest.mark.parametrize("name, n", ROUNDS)
def test_each_mistake_loses_its_points_and_is_named(name, n, keeper, keys):
    made = {number: mistakes[n] for number, mistakes in MISTAKES[name].items() if n < len(mistakes)}
    cells = cells_with(MASTERS[name], {number: mistake["code"] for number, mistake in made.items()})
    key = keys[name]
    if (name, n + 1) in ROUNDS:  # the last round marks everything: what is right beside an error keeps its points
        few = copy.copy(MASTERS[name])
        few.problems = [problem for problem in few.problems if problem.id in made]
        key = dataclasses.replace(key, master=few)
    result = examine.Examination(keeper, key, examine.Limits(call=30, cell=60)).run(cells)
    assert result["trouble"] == [] and result["problems"].keys() >= made.keys()
    for number, problem in result["problems"].items():
        mistake = made.get(number, {"loses": 0, "says": "correct"})
        assert problem["out_of"] - problem["points"] == mistake["loses"], (number, problem, mistake["says"])
        assert mistake["says"] in problem["said"], (number, problem["said"])


@pytest.mark.parametrize("name", MASTERS)
def test_the_reference_has_full_marks_and_an_untouched_hand_out_none(name, keeper, keys):
    master = MASTERS[name]
    full = examine.Examination(keeper, keys[name], examine.Limits(call=30, cell=60)).run(cells_with(master, {}))
    assert [(p["points"], p["said"]) for p in full["problems"].values()] == [(p.points, "correct") for p in master.coded]
    stubs = {p.id: master.stub(p.id) for p in master.coded}
    none = examine.Examination(keeper, keys[name], examine.Limits(call=30, cell=60)).run(cells_with(master, stubs))
    assert [(p["points"], p["said"]) for p in none["problems"].values()] == [(0, "not attempted yet")] * len(master.coded)


@pytest.mark.parametrize("name", MASTERS)
def test_every_problem_has_at_least_four_mistakes(name):
    assert list(MISTAKES[name]) == [problem.id for problem in MASTERS[name].coded]
    for number, mistakes in MISTAKES[name].items():
        assert len(mistakes) >= 4 and len({mistake["code"] for mistake in mistakes}) == len(mistakes), number
