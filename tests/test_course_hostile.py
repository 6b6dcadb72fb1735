"""A batch with hostile submissions: each costs its author points and nobody else anything; stopped and resumed, the same table."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dev

if not sys.platform.startswith("linux"):
    pytest.skip("the grader's limits rest on Linux", allow_module_level=True)

from course import batch
from course.master import FOLDER, LEFT_OUT, Master

MASTER = Master(FOLDER / "01-bpe.py")
MISTAKES = json.loads((dev.ROOT / "tests" / "mistakes" / "course-01.json").read_text(encoding="utf-8"))
LIMITS = batch.Limits(call=2, cell=2, total=120, memory=1500, files=40)
SEED = "the secret of this test"

# (The 2 points of "edits" are earned: her function does raise the error that one part asks for.)
# A cell put in front of a complete solution; the score that is left; what the author is told.
CELLS = {
    "loops": ("while True: pass", 90, "no result within 2 seconds"),
    "memory": ("x = []\nwhile True: x.append(bytearray(10 ** 8))", 90, "MemoryError"),
    "prints": ("while True: print('x' * 10 ** 6)", 90, "File too large"),
    "floods": ("n = 0\nwhile True:\n    n += 1\n    open(f'f{n % 20}', 'wb').write(bytes(9 * 10 ** 6))", 90, "more than 40 MB"),
    "exits": ("import sys\nsys.exit()", 90, "SystemExit"),
    "exits-hard": ("import os\nos._exit(0)", 90, "the process ended"),
    "exit-word": ("exit()", 90, "SystemExit"),
    "kills": ("import os\nos.kill(os.getppid(), 9)\nos.kill(0, 9)", 90, "not permitted"),
    "forks": ("import ctypes\nr = {ctypes.CDLL(None).fork() for _ in range(3)}\nassert r != {-1}, 'no fork'", 90, "no fork"),
    "runs": ("import subprocess\nsubprocess.run(['touch', 'x'])", 90, "no other processes"),
    "syntax": ("def f(:", 90, "SyntaxError"),
    "deletes": ("""
import os, shutil
shutil.rmtree(VICTIM, ignore_errors=True)
os.makedirs(VICTIM, exist_ok=True)
open(VICTIM + '/canary', 'w').write('gone')""", 90, "PermissionError"),
    "reads": ("""
import os, glob
got = []
for name in [VICTIM + '/canary', MASTERFILE, OUTFOLDER + '/scores.csv', '/proc/self/environ', '/proc/1/cmdline', '/etc/passwd',
             '/proc/%d/cmdline' % os.getppid(), '..']:
    try:
        got.append(name + (open(name).read() if name != '..' else str(os.listdir('..'))))
    except OSError:
        pass
assert got, 'nothing read'""", 90, "nothing read"),
    "network": ("import socket\nsocket.create_connection(('127.0.0.1', PORT), timeout=2)", 90, "code cell 1: "),
    "edits": ("""
import builtins, json, sys
import course.wire, course.worker
course.wire.same = lambda *_: True
course.wire.pack = lambda value, depth=0: None
course.worker.say = lambda error: 'correct'
def diagnose_1_1(answer): return 'correct'""", 2, ""),
    "forges": ("""
import os
for descriptor in range(3, 128):
    for line in (b'{"ready": true, "trouble": []}', b'{"value": 1}', b'garbage', b'[1]', b'{"cell": 99}', b'{"ask": "x"}'):
        try:
            os.write(descriptor, line + b'\\n')
        except OSError:
            pass""", None, ""),
    "closed": ("from minigpt import BPE\nfrom minigpt.bpe import split_gpt2", 90, "closed"),
}
# Another function for a problem; the score that is left.
FUNCTIONS = {
    "loops-in-one": (
        "1.2", "def best_pair(pairs):\n  while True:\n    try:\n      while True: pass\n    except BaseException: pass", 80),
    "evil-result": ("1.1", "class D(dict):\n    def __eq__(self, other): return True\ndef count_pairs(words): return D()", 80),
    "deep": ("1.3", "def merge(word, pair, new):\n    x = []\n    for _ in range(10 ** 5): x = [x]\n    return x", 75),
    "huge-result": ("1.6", "def decode(ids, merges): return 'x' * 10 ** 8", 80),
    "a-function": ("1.4", "def train(counts, n_merges): return train", 65),
}


def notebook(cells: list[str]) -> str:
    cells = [{"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None} for source in cells]
    return json.dumps({"cells": cells, "metadata": {"assignment": "01-bpe"}, "nbformat": 4, "nbformat_minor": 5})


def solution(changes: dict[str, str] | None = None) -> list[str]:
    return [(changes or {}).get(p.id, p.solution) for p in MASTER.coded]


def filled(text: str, facts: dict[str, str]) -> str:
    for word, fact in facts.items():
        text = text.replace(word, fact)
    return text


def honest() -> dict[str, tuple[str, int]]:
    """Students with the mistakes that people make: name -> notebook, score."""
    found = {"full": (notebook(solution()), 90), "untouched": (json.dumps(MASTER.student()), 0)}
    for number, mistakes in MISTAKES.items():
        code, loses = mistakes[0]["code"], mistakes[0]["loses"]
        found[f"mistake-{number}"] = (notebook(solution({number: code})), 90 - loses)
    return found


def grade(folder: Path, out: Path, jobs: int = 2) -> dict[str, dict]:
    lines = []
    results = batch.grade(folder, out, SEED, jobs, None, LIMITS, tell=lines.append)
    return {result["student"]: result for result in results} | {"": {"said": lines}}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The batch: eight honest students and 28 who are not."""
    import socket

    base = tmp_path_factory.mktemp("batch")
    folder, victim, out = base / "in", base / "victim", base / "out"
    folder.mkdir()
    victim.mkdir()
    (victim / "canary").write_text("alive")
    listening = socket.create_server(("127.0.0.1", 0))
    facts = {"VICTIM": repr(str(victim)), "MASTERFILE": repr(str(MASTER.path)), "OUTFOLDER": repr(str(out)),
             "PORT": str(listening.getsockname()[1])}
    for name, (text, _) in honest().items():
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
    for name, (cell, _, _) in CELLS.items():
        (folder / f"{name}.ipynb").write_text(notebook([filled(cell, facts), *solution()]), encoding="utf-8")
    for name, (number, code, _) in FUNCTIONS.items():
        (folder / f"{name}.ipynb").write_text(notebook(solution({number: code})), encoding="utf-8")
    (folder / "empty.ipynb").write_text("")
    (folder / "a-picture.ipynb").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "nested.ipynb").write_text("[" * 10 ** 5)
    (folder / "lacks.ipynb").write_text(notebook(solution()[:2] + solution()[3:]), encoding="utf-8")
    (folder / "linked.ipynb").symlink_to(folder / "full.ipynb")
    (folder / "folder").mkdir()
    yield grade(folder, out), folder, out, victim
    listening.close()


def test_all_limits_hold_here_but_for_the_user_of_a_root_grader(graded):
    said = "\n".join(graded[0][""]["said"])
    assert "all limits are enforced" in said or (os.geteuid() == 0 and said.count("not enforced") == 1 and ";" not in said), said


@pytest.mark.parametrize("name", honest())
def test_the_honest_get_what_they_deserve(name, graded):
    result = graded[0][name]
    assert result["score"] == honest()[name][1] and result["trouble"] == [] and result["out_of"] == 90


@pytest.mark.parametrize("name", CELLS)
def test_a_hostile_cell_costs_what_it_defines(name, graded):
    result, (_, score, says) = graded[0][name], CELLS[name]
    assert not result.get("failed"), result["trouble"]
    assert score is None or result["score"] == score, (result["score"], result["trouble"])
    assert says in "\n".join(result["trouble"]), result["trouble"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_hostile_function_costs_its_problem(name, graded):
    assert graded[0][name]["score"] == FUNCTIONS[name][2] and not graded[0][name].get("failed")


def test_the_grader_runs_neither_the_checks_nor_what_is_only_to_look_at(tmp_path):
    shown = [f"{line} and more\n1 / 0" for line in LEFT_OUT]
    (tmp_path / "a.ipynb").write_text(notebook(["x = 1", *shown]), encoding="utf-8")
    assert batch.examine.read(tmp_path / "a.ipynb")[0] == ["x = 1"]


def test_what_is_no_notebook_gets_nothing_and_a_reason(graded):
    reasons = {"empty": "empty", "a-picture": "not a Jupyter notebook", "nested": "not a Jupyter notebook", "linked": "no notebook",
               "folder": "no notebook"}
    for name, reason in reasons.items():
        assert graded[0][name]["score"] == 0 and reason in graded[0][name]["trouble"][0], graded[0][name]["trouble"]
    lacks = graded[0]["lacks"]
    assert lacks["score"] == 75 and lacks["problems"]["1.3"]["parts"][0]["why"] == "raised merge is not defined"


def test_nothing_outside_was_touched_and_nothing_is_left(graded):
    _, folder, out, victim = graded
    assert (victim / "canary").read_text() == "alive"
    assert not list(out.rglob("*.part")) and not list(folder.glob("f[0-9]*"))


def test_reports_are_complete_and_harmless(graded):
    results, folder, out, _ = graded
    with open(out / "scores.csv", encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    lost = MISTAKES["1.1"][0]["loses"]
    assert rows.keys() == results.keys() - {""}
    assert int(rows["full"]["score"]) == 90 and int(rows["mistake-1.1"]["1.1"]) == 10 - lost
    assert "imports minigpt.bpe" in rows["closed"]["notes"]
    page = (out / "feedback" / "mistake-1.2.html").read_text(encoding="utf-8")
    assert "the one that was met first" in page and "<script" not in page and SEED not in page
    scope = json.loads((out / "gradescope" / "mistake-1.1" / "results.json").read_text(encoding="utf-8"))
    assert scope["score"] == sum(test["score"] for test in scope["tests"]) == 90 - lost and len(scope["tests"]) == 6
    everything = "\n".join(path.read_text(encoding="utf-8") for path in (out / "feedback").glob("*.html"))
    assert not [secret for secret in MASTER.secrets() for line in secret.splitlines()
                if len(line) > 30 and line.strip() in everything]


def test_the_same_again_costs_nothing_and_says_the_same(graded):
    _, folder, out, _ = graded
    before = (out / "scores.csv").read_bytes()
    again = grade(folder, out)
    assert f"{len(again) - 1} of them marked before" in again[""]["said"][0] and len(again[""]["said"]) == 1
    assert (out / "scores.csv").read_bytes() == before


def test_a_batch_that_is_killed_goes_on_and_ends_with_the_same_table(graded, tmp_path):
    whole, folder, out, _ = graded
    few = tmp_path / "in"
    few.mkdir()
    for name in ("full", "loops-in-one", "exits", "mistake-1.1", "mistake-1.5", "memory"):
        (few / f"{name}.ipynb").write_bytes((folder / f"{name}.ipynb").read_bytes())
    command = [sys.executable, "-m", "course", "grade", str(few), "--out", str(tmp_path / "out"), "--seed", SEED,
               "--jobs", "1", "--call-seconds", "2", "--memory-mb", "1500"]
    grader = subprocess.Popen(command, cwd=dev.ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    lines = [grader.stdout.readline() for _ in range(4)]
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(grader.pid)], capture_output=True, text=True).stdout.split()
    grader.send_signal(signal.SIGKILL)
    grader.wait()
    results = sorted((tmp_path / "out" / "results").glob("*.json"))
    assert "0 of them marked before" in lines[0] and 1 <= len(results) < 6, lines
    results[0].write_text(results[0].read_text(encoding="utf-8")[:100], encoding="utf-8")  # as a full disk leaves it
    for _ in range(100):
        if not [child for child in children if Path(f"/proc/{child}").exists()]:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the killed grader left processes behind")
    done = subprocess.run(command, cwd=dev.ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(results) - 1} of them marked before" in done.stdout, done.stderr
    with open(tmp_path / "out" / "scores.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert int(row["score"]) == whole[row["student"]]["score"], row


@pytest.mark.parametrize("arguments, says", [
    (["nowhere", "--seed", SEED], "no such folder of submissions"),
    ([".", "--seed", "short"], "at least 8 characters"),
    ([str(dev.ROOT / "book" / "_static"), "--seed", SEED], "name it with --assignment (01-bpe"),
    ([str(dev.ROOT / "book" / "_static"), "--seed", SEED, "--assignment", "77"], "no assignment '77'"),
])
def test_bad_commands_end_in_one_line(arguments, says, tmp_path):
    done = subprocess.run([sys.executable, "-m", "course", "grade", *arguments, "--out", str(tmp_path / "out")], cwd=dev.ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 1 and says in done.stderr and len(done.stderr.splitlines()) == 1
