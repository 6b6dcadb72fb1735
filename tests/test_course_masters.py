"""The assignments: hand-out, solution and tests come from one master and do not drift; no solution reaches a student."""

import contextlib
import io
import json
import re
import textwrap

import pytest

import dev
from course import colab
from course import master as course_master
from course.master import FOLDER, LEFT_OUT, Master, as_text, handouts, masters

MASTERS = masters()
EACH = pytest.mark.parametrize("master", MASTERS, ids=lambda m: m.name)
SIMPLE = '''# %% [markdown] closed=[]
# # Assignment 9 · Nothing
# %% [markdown] problem="9.1" title="One" points=4
# Write `one`.
# %% tags=["solution"]
def one(x: int) -> int:
    """x -> 1."""
    ### BEGIN SOLUTION
    secret_line = x - x + 1
    return secret_line
    ### END SOLUTION
# %% tags=["check"]
print("Problem 9.1:", "correct" if one(5) == 1 else "not attempted yet")
# %% tags=["hidden"]
def cases_9_1(rng):
    return [("all", 4, [("one", rng.randrange(99)) for _ in range(3)])]
# %% tags=["finale"]
print("one", one(2))
# %% [markdown] question="9.2" title="Why" points=1
# Why one?
# %% [markdown] tags=["rubric"]
# Because the sun is alone.
'''


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def found_in(secret: str, text: str) -> list[str]:
    """Lines of a secret that stand in a student's file, whatever the indentation; lines that say nothing alone do not count."""
    lines = [line for line in map(squeezed, textwrap.dedent(secret).splitlines()) if len(line.strip()) >= 18]
    return [line.strip() for line in lines if line.strip() in squeezed(text)]


def strings(value) -> list[str]:
    """Every string in a notebook: sources, metadata, ids, keys."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings(item)]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


@EACH
def test_committed_hand_outs_are_what_the_master_makes(master):
    for name, text in handouts(master).items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name} has drifted: python -m course make"


@EACH
def test_no_solution_reaches_a_student(master):
    for name, text in handouts(master).items():
        whole = "\n".join("".join(part) for part in ([strings(json.loads(text))] if name.endswith(".ipynb") else [[text]]))
        for secret in master.secrets():
            assert not found_in(secret, whole), f"{name} gives away {found_in(secret, whole)}"
    solved = "\n".join(strings(master.solved()))
    for problem in master.coded:
        assert found_in(problem.solution, solved), "the search finds nothing where the solution is"


@EACH
def test_every_problem_says_what_a_student_needs(master):
    text = (FOLDER / f"{master.name}.ipynb").read_text(encoding="utf-8")
    assert sum(p.points for p in master.problems) == 100 and 4 <= len(master.coded) <= 6
    assert 120 <= sum(p.minutes for p in master.problems) <= 240, "an assignment takes two to four hours"
    for problem in master.problems:
        assert f"{problem.id} · {problem.title}" in text and f"{problem.minutes} minutes" in text
        assert f"*{problem.points} points · " in text
        assert f"{problem.id} {problem.title}" in master.tutor()
    for problem in master.coded:
        stub = master.stub(problem.id)
        assert re.search(r"def \w+\(.*: .*\) -> .*:\n\s+\"\"\"", stub) and "..." in stub and "SOLUTION" not in stub
        assert problem.minutes and problem.hardware == "a CPU is enough" and 1 <= problem.difficulty <= 3
    assert [p for p in master.problems if p.written], "a written question or two"


@EACH
def test_an_untouched_hand_out_runs_and_says_not_attempted(master, monkeypatch):
    """As Colab runs it: nothing but the package."""
    monkeypatch.chdir(FOLDER)
    said, space = [], {"__name__": "__main__"}
    for cell in json.loads((FOLDER / f"{master.name}.ipynb").read_text(encoding="utf-8"))["cells"]:
        tags = cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code" and "colab" not in tags:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile("".join(cell["source"]), "<cell>", "exec"), space)
            if "check" in tags:
                said.append(out.getvalue().strip())
    assert said == [f"Problem {p.id}: not attempted yet" for p in master.coded]


def test_a_run_on_colab_that_went_wrong_is_told():
    """`python -m course colab` judges an executed hand-out by this."""
    master = MASTERS[0]
    book, left = master.student(), iter(master.coded)
    for cell in book["cells"]:
        if "check" in cell["metadata"].get("tags", []):
            words = [f"Problem {next(left).id}:", " not attempted yet\n"]  # a kernel may send a line in pieces
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [word]} for word in words]
    assert colab.wrong(book, master) == []
    book["cells"][1]["outputs"] = [{"output_type": "error", "ename": "ImportError", "evalue": "no minigpt", "traceback": []}]
    spoken = next(cell for cell in book["cells"] if "check" in cell["metadata"].get("tags", []))
    spoken["outputs"][1]["text"] = [" correct\n"]
    assert colab.wrong(book, master) == [
        "ImportError: no minigpt", "a check said 'Problem 1.1: correct', not 'Problem 1.1: not attempted yet'"]
    spoken["outputs"] = []
    assert colab.wrong(book, master)[1] == f"{len(master.coded) - 1} checks spoke, and there are {len(master.coded)}"


@EACH
def test_the_secret_seed_decides_the_hidden_tests(master):
    one, again, other = (repr(master.parts(seed)) for seed in ("seed number one", "seed number one", "seed number two"))
    assert one == again and one != other
    assert "seed number one" not in one


def test_the_generator_on_a_master_of_one_problem(tmp_path):
    (tmp_path / "09-nothing.py").write_text(SIMPLE, encoding="utf-8")
    master = Master(tmp_path / "09-nothing.py")
    assert [p.points for p in master.problems] == [4, 1]
    assert master.stub("9.1") == 'def one(x: int) -> int:\n    """x -> 1."""\n    ...\n'
    student, solved = as_text(master.student()), as_text(master.solved())
    assert "secret_line" not in student and "sun" not in student and "cases_9_1" not in student and "**Answer 9.2:**" in student
    assert "secret_line" in solved and "sun" in solved and "cases_9_1" not in solved and "SOLUTION" not in solved
    assert master.reference()["one"](7) == 1
    for book in (master.student(), master.solved()):
        code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
        assert 'print("one", one(2))' in code[-1]
        assert [text.startswith(LEFT_OUT) for text in code] == [False, False, True, True], "the grader runs no check and no finale"
    assert dev.FIRST_CELL.format(address=dev.address()).splitlines()[-1] in student.replace('\\"', '"')


def test_make_writes_once_and_then_changes_nothing(tmp_path):
    (tmp_path / "09-nothing.py").write_text(SIMPLE, encoding="utf-8")
    changed = course_master.write(tmp_path / "out", tmp_path)
    assert sorted(path.name for path in changed) == ["09-nothing.ipynb", "09-nothing.solution.ipynb", "09-nothing.tutor.md"]
    assert course_master.write(tmp_path / "out", tmp_path) == []


@pytest.mark.parametrize("old, new, says", [
    ("    ### BEGIN SOLUTION\n", "", "would give it away"),
    ('("all", 4,', '("all", 3,', "do not add up"),
    ("# %% tags=[\"check\"]\n", "# %% tags=[\"plain\"]\n", "lacks its solution, its check or its hidden tests"),
])
def test_a_master_whose_parts_do_not_fit_is_refused(tmp_path, old, new, says):
    path = tmp_path / "09-nothing.py"
    path.write_text(SIMPLE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        Master(path).parts("some seed")
