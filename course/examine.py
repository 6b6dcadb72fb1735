"""One submission: calls into the student's process, deadlines, marks. What is judged here has left her process as plain values."""

import ast
import copy
import json
import os
import select
import time
from dataclasses import dataclass, field
from pathlib import Path

from course import wire
from course.keeper import Keeper
from course.master import ANSWER, LEFT_OUT, Master, Problem

MAX_LENT = 1 << 15  # characters of the arguments with which a lent function may be called
MAX_ASKS = 20_000
MAX_SAID = 600
PATIENCE = 5
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Limits:
    """Limits of a student's process. A call and a cell have so many seconds of processor time, so that a busy machine costs nobody
    a point, and PATIENCE times as long by the clock; a submission has so many by the clock. Memory, one file, all files in MB."""

    call: float = 10
    cell: float = 30
    total: float = 180
    memory: int = 2048
    file: int = 10
    files: int = 50


class Gone(Exception):
    """The student's process did not answer; the message says why, in words for her."""


@dataclass
class Key:
    """What the grader knows: the problems, the calls of each part with what they should give, the functions it lends."""

    master: Master
    parts: dict[str, list[tuple[str, int, list[tuple]]]] = field(default_factory=dict)
    reference: dict = field(default_factory=dict)

    @classmethod
    def make(cls, master: Master, seed: str) -> "Key":
        """Draw the tests from the secret seed and let the reference solve them."""
        reference, parts = master.reference(), {}
        for number, drawn in master.parts(seed).items():
            parts[number] = [(title, points, [(name, wire.pack(list(arguments)), outcome(reference[name], arguments))
                                              for name, *arguments in calls]) for title, points, calls in drawn]
        return cls(master, parts, reference)


def outcome(function, arguments) -> dict:
    """{"value": what the call gives} or {"error": the name of what it raises}."""
    try:
        return {"value": function(*copy.deepcopy(arguments))}
    except Exception as error:
        return {"error": type(error).__name__}


class Student:
    """A running student's process, seen from the grader."""

    def __init__(self, keeper: Keeper, limits: Limits, closed: list[str], end: float):
        self.keeper, self.limits, self.last = keeper, limits, end
        self.number, self.sock, self.folder = keeper.start(
            memory=limits.memory << 20, file_size=limits.file << 20, seconds=int(limits.total) + 5, closed=closed,
            nobody=keeper.nobody)
        self._buffer = b""
        first = self.receive(60)
        if "held" not in first:
            raise Gone(f"a student's process could not be locked up: {first.get('failed')}")
        self.held = first["held"]

    def send(self, **message) -> None:
        """Send a message; a process that no longer reads is Gone."""
        self.sock.settimeout(self.limits.call)
        try:
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise Gone("the process ended") from None

    def receive(self, seconds: float) -> dict:
        """The process's next message, an empty one if it makes no sense. Gone if there is none in time."""
        start, worked = time.monotonic(), self.worked()
        while b"\n" not in self._buffer:
            now = time.monotonic()
            if now > self.last:
                raise Gone(f"the submission used up its {self.limits.total:g} seconds")
            late = now - start
            if late > PATIENCE * seconds or (late > seconds and self.worked() - worked >= 0.9 * seconds):
                raise Gone(f"no result within {seconds:g} seconds")
            if used(self.folder) > self.limits.files << 20:
                raise Gone(f"wrote more than {self.limits.files} MB of files")
            if select.select([self.sock], [], [], 0.25)[0]:
                try:
                    piece = self.sock.recv(1 << 16)
                except OSError:
                    piece = b""
                if not piece:
                    raise Gone("the process ended in the middle of the work")
                self._buffer += piece
                if len(self._buffer) > 64 << 20:
                    raise Gone("sent more than the grader accepts")
        text, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        return message if isinstance(message, dict) else {}

    def worked(self) -> float:
        """Processor seconds so far; endless where the system does not tell, and then the clock alone decides."""
        try:
            inner = Path(f"/proc/{self.number}/task/{self.number}/children").read_text().split()[0]
            times = Path(f"/proc/{inner}/stat").read_text().rpartition(")")[2].split()[11:13]
            return sum(map(int, times)) / TICKS
        except (OSError, IndexError):
            return float("inf")

    def end(self) -> None:
        """Kill it and all that it started."""
        self.keeper.end(self.number, self.sock, self.folder)


def used(folder: Path, most: int = 2000) -> int:
    """Bytes below a folder; a folder with more than `most` entries counts as endless."""
    total, entries, left = 0, 0, [folder]
    while left:
        try:
            for entry in os.scandir(left.pop()):
                entries += 1
                total += entry.stat(follow_symlinks=False).st_size
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                if entries > most:
                    return 1 << 60
        except OSError:
            continue
    return total


class Examination:
    """Marks one submission. `run` gives problems, points, what was said, and what went wrong."""

    def __init__(self, keeper: Keeper, key: Key, limits: Limits):
        self.keeper, self.key, self.limits = keeper, key, limits
        self.closed = key.master.closed
        self.student, self.skip, self.trouble = None, [], []

    def run(self, cells: list[str]) -> dict:
        """Code cells of the notebook -> {"problems": {number: result}, "trouble": [lines]}."""
        self.cells, self.end = cells, time.monotonic() + self.limits.total
        try:
            return {"problems": {p.id: self.problem(p) for p in self.key.master.coded}, "trouble": self.trouble}
        finally:
            self.drop()

    def drop(self) -> None:
        if self.student:
            self.student.end()
            self.student = None

    def ready(self) -> Student:
        """A process that has run the cells; a cell that ended or stopped it is left out the next time."""
        while self.student is None:
            if time.monotonic() > self.end:
                raise Gone(f"the submission used up its {self.limits.total:g} seconds")
            self.student, cell = Student(self.keeper, self.limits, self.closed, self.end), None
            try:
                self.student.send(cells=self.cells, skip=self.skip)
                while not (message := self.student.receive(self.limits.cell)).get("ready"):
                    number = message.get("cell")
                    if type(number) is not int or not 1 <= number <= len(self.cells) or number in self.skip or number == cell:
                        raise Gone("its messages to the grader made no sense")
                    cell = number
            except Gone as gone:
                self.drop()
                if cell is None:
                    raise
                self.skip.append(cell)
                self.trouble.append(f"code cell {cell}: {gone}; the rest was marked without this cell")
            else:
                trouble = message.get("trouble")
                lines = [str(line)[:500] for line in trouble[:20]] if isinstance(trouble, list) else []
                self.trouble += [line for line in lines if line not in self.trouble]
        return self.student

    def ask(self, problem: Problem, **request) -> dict:
        """Send a request, answer what is asked back, return the reply."""
        student = self.ready()
        try:
            student.send(uses=problem.uses, **request)
            for _ in range(MAX_ASKS):
                if "ask" not in (reply := student.receive(self.limits.call)):
                    return reply
                student.send(**self.lend(problem, reply))
            raise Gone(f"one call used the earlier functions more than {MAX_ASKS} times")
        except Gone:
            self.drop()
            raise

    def lend(self, problem: Problem, message: dict) -> dict:
        """Answer for an earlier problem's function, on arguments of a modest size."""
        name = message.get("ask")
        if name not in problem.uses or len(json.dumps(message)) > MAX_LENT:
            return {"error": f"{str(name)[:50]} cannot be called like this while grading"}
        try:
            arguments, named = wire.unpack(message.get("value"))
            return {"value": wire.pack(self.key.reference[name](*arguments, **named))}
        except Exception as error:
            return {"error": f"{name} raised {type(error).__name__}: {error}"}

    def problem(self, problem: Problem) -> dict:
        """Marks of one problem, part by part; a part counts if all its calls are right."""
        parts, gone = [], None
        for title, points, calls in self.key.parts[problem.id]:
            why = gone
            for name, arguments, expected in calls:
                if why is None:
                    try:
                        why = judge(self.ask(problem, call=name, arguments=arguments), expected)
                    except Gone as reason:
                        why = gone = str(reason)
            parts.append({"title": title, "points": 0 if why else points, "out_of": points, "why": why})
        got, said = sum(part["points"] for part in parts), "correct"
        if got < problem.points:
            said = gone or self.diagnosis(problem)
        return {"title": problem.title, "points": got, "out_of": problem.points, "said": said, "parts": parts}

    def diagnosis(self, problem: Problem) -> str:
        """What the check says to her functions, in the grader's own copy."""
        try:
            reply = self.ask(problem, check=problem.check)
        except Gone as reason:
            return str(reason)
        said = str(reply.get("said") or reply.get("error") or "the check said nothing")
        said = said.strip().removeprefix(f"Problem {problem.id}: ")[:MAX_SAID]
        return "the public check finds nothing wrong, but a hidden test does" if said == "correct" else said


def judge(reply: dict, expected: dict) -> str | None:
    """None if a reply is what was expected, otherwise what is wrong, without giving the hidden case away."""
    if "error" in reply:
        kinds = reply.get("kinds")
        if "error" in expected and isinstance(kinds, list) and expected["error"] in kinds:
            return None
        return f"raised {str(reply['error'])[:300]}"
    try:
        got = wire.unpack(reply["value"])
    except (ValueError, KeyError):
        return "returned something that is not a result"
    if "error" in expected:
        return f"should raise {expected['error']}"
    try:
        right = wire.same(expected["value"], got)
    except Exception:
        right = False
    return None if right else "nothing was returned" if got is None else "wrong result"


def read(path: Path, most: int = 20 << 20) -> tuple[list[str], dict[str, str], str]:
    """A submitted file's code cells, its written answers, and its assignment's name. ValueError says why it is no notebook."""
    if path.stat().st_size > most:
        raise ValueError(f"the file is larger than {most >> 20} MB: clear the outputs and hand it in again")
    text = path.read_bytes()
    if not text.strip():
        raise ValueError("the file is empty")
    try:
        book = json.loads(text.decode("utf-8-sig"))
        cells = [(str(cell["cell_type"]), "".join(cell["source"])) for cell in book["cells"]]
        name = str(book["metadata"].get("assignment", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("the file is not a Jupyter notebook") from None
    start, close = ANSWER.split("{id}")
    answers = {}
    for kind, source in cells:
        if kind == "markdown" and source.lstrip().startswith(start):
            number, _, answer = source.lstrip().removeprefix(start).partition(close)
            answers[number.strip()[:20]] = answer.strip()[:20_000]
    code = [source for kind, source in cells if kind == "code" and not source.lstrip().startswith(LEFT_OUT)]
    return [source for source in code if source.strip()], answers, name


def imports(cells: list[str], closed: list[str]) -> list[str]:
    """The closed modules that a notebook names in an import, for the instructor's eye."""
    found = set()
    for source in cells:
        try:
            nodes = list(ast.walk(ast.parse("\n".join(line for line in source.splitlines() if line.strip()[:1] not in ("%", "!")))))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in nodes:
            names = [a.name for a in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{name}" for name in names] + [str(node.module)]
            found |= {module for module in closed for name in names if name == module or name.startswith(module + ".")}
    return sorted(found)
