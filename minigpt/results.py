"""Records of what was measured, the paper beside ours, and the scoreboard.

A record is a JSON file in book/results: the values with the command, seeds and protocol that made them, the device and
the versions, the date, and a digest of every module that the number depends on. When one of these modules changes, the
record is stale and is shown so. What was not measured is called "not yet measured", never filled in.
"""

import datetime
import hashlib
import html
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from minigpt import paper

NOT_YET = "not yet measured"
# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
T95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
       2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
       2.0452, 2.0423)


@dataclass
class Record:
    """One measurement: see `save` for the fields."""

    name: str
    values: dict
    command: str = ""
    seeds: list = field(default_factory=list)
    protocol: str = ""
    interval: object = None
    summary: str = ""
    device: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)
    date: str = ""
    depends: dict = field(default_factory=dict)

    @property
    def changed(self):
        """The modules whose code is no longer what it was when this was measured."""
        return [name for name, digest in self.depends.items() if source_digest(name) != digest]

    @property
    def stale(self):
        """Whether the code that the values depend on has changed since."""
        return bool(self.changed)

    def __str__(self):
        stale = f" - STALE: {', '.join(self.changed)} changed" if self.stale else ""
        lines = [f"{self.name} ({self.date}){stale}"]
        lines += [f"  {key}: {show(value)}" for key, value in self.values.items()]
        about = {"command": self.command, "seeds": self.seeds, "protocol": self.protocol, "interval": self.interval,
                 "device": ", ".join(f"{key} {value}" for key, value in self.device.items())}
        return "\n".join(lines + [f"  {key}: {value}" for key, value in about.items() if value not in ("", [], None)])


# Where an installed package carries the book's records, for chapters that run away from the repository (on Colab, say).
SHIPPED = Path(__file__).resolve().parent / "records"


def folder():
    """Where records are kept: $MINIGPT_RESULTS, the repository's book/results, or ./results outside a repository."""
    named = os.environ.get("MINIGPT_RESULTS", "").strip()
    if named:
        return Path(named).expanduser()
    book = Path(__file__).resolve().parent.parent / "book"
    return book / "results" if book.is_dir() else Path.cwd() / "results"


def save(name, values, command="", seeds=(), protocol="", interval=None, depends=(), summary=""):
    """Write a record, atomically, and return it.

    name: letters, digits, ".", "-", "_"; values: {label: number, string, list or dict of them}; interval: what is known
    of the spread, as `interval(...)` gives it or in words; depends: modules or their names ("minigpt.ngram"), whose
    code is fingerprinted; summary: the result in a few words, as the scoreboard prints it. Raises ValueError for a bad
    name or for values that are not numbers (NaN included): nothing is written then.
    """
    modules = [module if isinstance(module, str) else module.__name__ for module in depends]
    missing = [module for module in modules if source_digest(module) is None]
    if missing:
        raise ValueError(f"record {name!r} depends on modules that cannot be found: {', '.join(missing)}")
    if not isinstance(values, dict) or not values:
        raise ValueError(f"record {name!r} needs values: a dictionary of label: number")
    record = Record(name, values, command, list(seeds), protocol, interval, summary, device(), versions(),
                    datetime.date.today().isoformat(), {module: source_digest(module) for module in modules})
    path = _path(name)
    try:
        text = json.dumps(asdict(record), indent=1, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"
    except ValueError as error:
        raise ValueError(f"record {name!r} was not saved: a value is not a finite number ({error})") from None
    except TypeError as error:
        raise ValueError(f"record {name!r} was not saved: {error}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise
    return load(name)


def load(name):
    """The record called `name`. Raises FileNotFoundError if it was never measured, ValueError if it is damaged."""
    path = _path(name)
    if not path.is_file() and (SHIPPED / path.name).is_file():
        path = SHIPPED / path.name
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Record(**{key: found[key] for key in Record.__dataclass_fields__})
    except FileNotFoundError:
        raise FileNotFoundError(f"no record {name!r} in {path.parent}: {NOT_YET}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is not a result record; delete it and measure again") from None


def names():
    """The names of all records, sorted."""
    return sorted(path.stem for path in folder().glob("*.json"))


def interval(values):
    """(mean, half width of its 95 % confidence interval by Student's t) of repeated measurements.

    The half width of a single value is None: one measurement says nothing about the spread.
    """
    values = [float(value) for value in values]
    if not values or not all(map(math.isfinite, values)):
        raise ValueError("an interval needs at least one finite number")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    degrees = len(values) - 1
    z = 1.959964
    t = T95[degrees - 1] if degrees <= len(T95) else z + (z**3 + z) / (4 * degrees) + (
        5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    return mean, t * statistics.stdev(values) / math.sqrt(len(values))


def source_digest(module):
    """A digest of a module's source, comment lines and blank lines left out; None if there is no such module."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    lines = Path(spec.origin).read_text(encoding="utf-8").splitlines()
    code = [line.rstrip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(code).encode("utf-8")).hexdigest()[:16]


def device():
    """What the numbers were measured on, in words: processor, threads, and the GPU if PyTorch sees one."""
    found = {"system": platform.system(), "cpu": _cpu(), "cores": os.cpu_count()}
    torch = sys.modules.get("torch")
    if torch is not None:
        found["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
    return found


def versions():
    """Versions of Python and of the libraries that can move a number."""
    found = {"python": platform.python_version()}
    for package in ("torch", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def show(value):
    """One cell as text: numbers as they are, (mean, half width) with ±, nothing as "not yet measured"."""
    if value is None:
        return NOT_YET
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple):
        return str(value)
    if isinstance(value, list | tuple):
        if len(value) == 2 and all(isinstance(part, int | float) or part is None for part in value):
            mean, half = value
            return show(mean) if half is None else f"{mean:.4g} ± {half:.2g}"
        return ", ".join(map(show, value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


class Table:
    """A small table that prints as text and shows itself as HTML in a notebook."""

    def __init__(self, columns, rows, caption="", note=""):
        self.columns, self.caption, self.note = list(columns), caption, note
        self.rows = [[show(cell) for cell in row] for row in rows]
        wrong = next((row for row in self.rows if len(row) != len(self.columns)), None)
        if wrong is not None:
            raise ValueError(f"a row has {len(wrong)} cells, the table {len(self.columns)} columns: {wrong}")

    def __repr__(self):
        table = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.columns))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([text for text in (self.caption,) if text] + lines + [text for text in (self.note,) if text])

    def _repr_html_(self):
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.columns)
        body = "".join(
            f'<tr><th scope="row">{html.escape(row[0])}</th>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:]) + "</tr>" for row in self.rows)
        note = f'<p class="minigpt-note">{html.escape(self.note)}</p>' if self.note else ""
        table = f"{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        return f'<table class="minigpt-table">{table}</table>{note}'


def beside(paper_rows, our_rows=None, caption="", note=""):
    """The paper's numbers beside ours, as a Table.

    paper_rows: a paper.Entry, or {row: number} or {row: {column: number}}; our_rows: a Record or a dictionary of the
    same form, where a number may be (mean, half width). With one number a row the columns are "paper" and "ours";
    otherwise each row stands twice. What the paper has and we have not is "not yet measured".
    """
    if isinstance(paper_rows, paper.Entry):
        caption = caption or f"{paper_rows.paper}, {paper_rows.where}: {paper_rows.caption}"
        note = note or (f"The paper's numbers: {paper_rows.mark}." if paper_rows.mark != "read" else "")
        paper_rows = paper_rows.as_dicts()
    if isinstance(our_rows, Record):
        if our_rows.stale:
            note = f"{note} Our record is stale: {', '.join(our_rows.changed)} changed since {our_rows.date}.".strip()
        our_rows = our_rows.values
    our_rows = our_rows or {}
    rows = [*paper_rows, *(row for row in our_rows if row not in paper_rows)]
    if not any(isinstance(value, dict) for value in [*paper_rows.values(), *our_rows.values()]):
        cells = [[row, "–" if row not in paper_rows else paper_rows[row], our_rows.get(row)] for row in rows]
        return Table(["", "paper", "ours"], cells, caption, note)
    columns = list(dict.fromkeys(name for table in (paper_rows, our_rows) for row in table.values() for name in row))
    cells = []
    for row in rows:
        printed, measured = paper_rows.get(row), our_rows.get(row)
        if printed is not None:
            cells.append([row, "paper", *(printed.get(name, "–") for name in columns)])
        if measured is not None:
            cells.append([row, "ours", *(measured.get(name) for name in columns)])
    return Table(["", "", *columns], cells, caption, note)


# Every table and figure of the two papers: its chapter, and the cells that stand for it on the scoreboard.
OURS_IN_GPT1 = "Finetuned Transformer LM"
SCOREBOARD = {
    "gpt1-fig1-left": (4, ()),
    "gpt1-perplexity": (5, (("Transformer LM", "perplexity"),)),
    "gpt1-fig1-right": (6, ()),
    "gpt1-table1": (6, ()),
    "gpt1-table2": (7, ((OURS_IN_GPT1, "MNLI-m"), (OURS_IN_GPT1, "SNLI"), (OURS_IN_GPT1, "RTE"))),
    "gpt1-table3": (7, ((OURS_IN_GPT1, "Story Cloze"), (OURS_IN_GPT1, "RACE"))),
    "gpt1-table4": (7, ((OURS_IN_GPT1, "CoLA (mc)"), (OURS_IN_GPT1, "SST2 (acc)"), (OURS_IN_GPT1, "GLUE"))),
    "gpt1-table5": (8, (("Transformer w/ aux LM (full)", "Avg"), ("Transformer w/o pre-training", "Avg"))),
    "gpt1-fig2-left": (8, (("MultiNLI", "0 layers"), ("MultiNLI", "12 layers"))),
    "gpt1-fig2-right": (8, (("sentiment analysis", "at the end"), ("Winograd schemas", "at the end"))),
    "gpt2-table2": (4, tuple((name, "layers") for name in paper.PAPER_NAMES.values())),
    "gpt2-samples": (11, ()),
    "gpt2-table3": (12, (("1542M", "LAMBADA (acc)"), ("1542M", "WikiText2 (ppl)"), ("117M", "WikiText2 (ppl)"))),
    "gpt2-fig2": (12, (("common nouns, acc", "1542M"), ("named entities, acc", "1542M"))),
    "gpt2-fig1": (13, (("CoQA, F1", "largest"), ("Natural Questions, acc", "largest"))),
    "gpt2-fig3": (13, (("partial scoring, acc", "1542M"),)),
    "gpt2-table1": (13, ()),
    "gpt2-table4": (13, (("GPT-2 TL;DR:", "R-AVG"), ("GPT-2 no hint", "R-AVG"))),
    "gpt2-table5": (13, (("correct, of 30", "value"),)),
    "gpt2-table6": (14, (("WebText train", "PTB"), ("WebText train", "1BW"))),
    "gpt2-fig4": (14, (("WebText train and test", "117M"), ("WebText train and test", "1542M"))),
    "gpt2-fig5": (14, (("WebText test text", "median, %"),)),
}


def measured(name):
    """The records of one table or figure, by their label: {"laptop": Record, "paper": Record, "anything-else": Record}.

    A record belongs to the table whose name it begins with: "gpt2-table3-laptop", "gpt2-table3-paper", and, with a label of
    the reader's choice, "gpt2-table3-my-run". One without a label counts as the laptop's.
    """
    found = {}
    for kept in names():
        if kept == name or kept.startswith(f"{name}-"):
            found[kept[len(name) + 1:] or "laptop"] = load(kept)
    return found


def scoreboard():
    """Every table and figure of both papers, the paper's number, ours at both scales and readers' own, and how these were made."""
    rows = []
    for name, (chapter, cells) in SCOREBOARD.items():
        entry, found = paper.get(name), measured(name)
        printed = "; ".join(f"{row}, {column}: {show(entry.value(row, column))}" for row, column in cells)
        title = f"{entry.paper}, {entry.where}: {entry.caption}"
        ours = [_summary(found[label]) if label in found else NOT_YET for label in ("laptop", "paper")]
        others = "; ".join(f"{label}: {_summary(record)}" for label, record in found.items() if label not in ("laptop", "paper"))
        about = ["; ".join(filter(None, texts)) or "–" for texts in zip(*map(_about, found.values()), strict=True)] or ["–"] * 5
        rows.append([title, f"{chapter:02d}", printed or "no numbers", *ours, others or "–", *about])
    columns = "what, chapter, the paper, laptop scale, paper scale, others, command, protocol, interval, device, date"
    return Table(columns.split(", "), rows, "Every table and figure of both papers")


def _about(record):
    """How a record was made, in words: command, protocol, interval, device, date."""
    machine = record.device.get("gpu") or record.device.get("cpu", "")
    return record.command, record.protocol, "" if record.interval is None else str(record.interval), machine, record.date


def _summary(record):
    text = record.summary or ", ".join(f"{key} {show(value)}" for key, value in list(record.values.items())[:3])
    return f"{text} (stale: {', '.join(record.changed)} changed since)" if record.stale else text


def _path(name):
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name.endswith(".json"):
        raise ValueError(f"{name!r} is not a record's name: use letters, digits, '.', '-' and '_'")
    return folder() / f"{name}.json"


def _plain(value):
    """NumPy's and PyTorch's numbers and arrays as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as JSON")


def _cpu():
    """The processor's model name."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        return re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE).group(1)
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()
