"""What a zero-shot task is, with every choice that its protocol leaves open as a named switch.

A score belongs to a protocol: the data, what is asked of the model, what is counted. GPT-2's paper leaves much of it unsaid (which
is why its Table 3 is so hard to meet again), so here each open choice is a switch with the values that are known to be in use; the
first is the paper's where it is published, and this book's default where it is not. Chapters 12 and 13 hold the tasks themselves.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REPORTED = 20  # malformed lines told one by one; the rest are counted


class LeftOut(UserWarning):
    """A piece of the data that could not be used; what is good is evaluated all the same."""


@dataclass(frozen=True)
class Task:
    """A zero-shot task: how its data is read, what the model is asked, and how the answers are counted.

    name, about: what the command line calls it, and one line on it
    metrics: the names of its scores, the first the one that the paper prints
    source: where the data comes from: a hub id and file, or the format of a file that one must have
    switches: {name: allowed values, the default first}; `int` among the values allows any whole number from 1
    read: (file or folder or None for the mirror or hub, at most so many items or None) -> JSON-able items; what is malformed is
        told by a LeftOut warning with its line number, and the rest is kept
    measure: (model, bpe, items, switches) -> one JSON-able row per item, in order; an item that cannot be measured has the row
        {"left_out": why}. Called with a part of the items at a time.
    score: (rows, switches) -> {metric: number}; it never sees left out rows
    cells: {metric: (entry of paper.py, column or row)} that it stands beside
    plan: (model, bpe, items, switches) -> items, where the pieces to be measured are not the items that were read
        (the windows of one long text); None: the items as they are
    scored: the switches that only `score` looks at: another value needs no new measurement
    """

    name: str
    about: str
    metrics: tuple[str, ...]
    source: str
    switches: dict[str, tuple]
    read: Callable
    measure: Callable
    score: Callable
    cells: dict[str, tuple[str, str]] = field(default_factory=dict)
    plan: Callable | None = None
    scored: tuple[str, ...] = ()

    @property
    def cell(self) -> tuple[str, str] | None:
        """The cell of the paper that the first metric stands beside, or None."""
        return self.cells.get(self.metrics[0])


def choose(task: Task, given: dict | None = None) -> dict:
    """Every switch of a task with its value: those given (text from a command line will do), else the defaults.

    Raises ValueError, in one line, for a switch or a value that the task does not have.
    """
    chosen = {name: values[0] for name, values in task.switches.items()}
    for name, value in (given or {}).items():
        if name not in task.switches:
            known = ", ".join(task.switches) or "none"
            raise ValueError(f"{task.name} has no switch {name!r}; it has: {known}")
        chosen[name] = _value(task, name, value)
    return chosen


def _value(task: Task, name: str, value):
    allowed = task.switches[name]
    for known in allowed:
        if known is not int and str(value) == str(known):
            return known
    if int in allowed and not isinstance(value, bool) and str(value).isascii() and str(value).isdigit() and int(value) > 0:
        return int(value)
    raise ValueError(f"{task.name}: {name} cannot be {value!r}; it can be {describe(allowed)}")


def describe(allowed: tuple) -> str:
    """The values of a switch in words, the default first."""
    return " | ".join("a whole number" if value is int else str(value) for value in allowed)


def table(tasks: dict[str, Task]) -> str:
    """All tasks with their switches, as the command line's help prints them."""
    lines = []
    for task in tasks.values():
        lines += [f"{task.name}: {task.about}", f"    data: {task.source}"]
        lines += [f"    {name} = {describe(allowed)}" for name, allowed in task.switches.items()]
    return "\n".join(lines)


def json_lines(path, parse: Callable[[dict], dict], limit: int | None = None) -> list[dict]:
    """The items of a file with one JSON object a line; `parse` turns an object into an item, or raises KeyError or ValueError.

    Blank lines are skipped. A malformed line is told by a LeftOut warning with its number, and left out. Raises
    FileNotFoundError without the file, ValueError, in one line, if no line of it is good.
    """
    def items():
        for number, line in lines(path):
            if line.strip():
                yield number, lambda line=line: parse(_object(line))

    return keep(path, items(), limit)


def keep(path, numbered, limit: int | None = None, what: str = "line") -> list[dict]:
    """The items that could be made: `numbered` gives (number, a call that makes the item), at most `limit` good ones are taken.

    A call that raises ValueError, KeyError or TypeError is told by a LeftOut warning. Raises ValueError if nothing is left.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    good, bad, first = [], 0, ""
    for number, make in numbered:
        try:
            good.append(make())
        except (ValueError, KeyError, TypeError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            bad += 1
            first = first or f"{what} {number}: {reason}"
            if bad <= REPORTED:
                warnings.warn(f"{Path(path).name}, {what} {number}: {reason}; left out", LeftOut, stacklevel=3)
        if limit is not None and len(good) == limit:
            break
    if bad > REPORTED:
        warnings.warn(f"{Path(path).name}: {bad - REPORTED} more {what}s were left out", LeftOut, stacklevel=3)
    if not good:
        raise ValueError(f"{path} holds nothing that can be used" + (f" ({first})" if first else ": it is empty"))
    return good


def lines(path) -> list[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers from 1, without line ends (only \\n and \\r\\n end a line)."""
    return list(enumerate(text_of(path).removesuffix("\n").split("\n"), 1))


def text_of(path) -> str:
    """A UTF-8 file as it is, \\r\\n read as \\n. Raises FileNotFoundError or ValueError in one line."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start} is not); save it as UTF-8") from None


def _object(line: str) -> dict:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError(f"it is not valid JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not a JSON object")
    return found
