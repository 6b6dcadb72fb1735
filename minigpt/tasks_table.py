"""Table 1 of GPT-1's paper as data: its twelve tasks, the embedded world's seven beside them, and where their examples come from.

`read` gets the examples of a task from the hub, from the mirror folder MINIGPT_DATA, or from the world, always in the same form.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minigpt import data, hub, paper, results, world

FORMATS = ("classification", "entailment", "similarity", "choice")
OURS = "Finetuned Transformer LM"  # the row of the paper's tables that a task's number stands in
WORLD = "world"
# The state of each data set that this book was written against.
REVISIONS = {
    "nyu-mll/glue": "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    "stanfordnlp/snli": "cdb5c3d5eed6ead6e5a341c8e56e669bb666725b",
    "allenai/scitail": "0cc4353235b289165dfde1c7c5d1be983f99ce44",
    "ehovy/race": "2fec9fd81f1dc971569a9b729c43f2f0e6436637",
}
hub.REVISIONS.update(REVISIONS)  # `hub.path` downloads these commits


@dataclass(frozen=True)
class Task:
    """One row of Table 1: where its examples come from, what they look like, and how they are scored.

    source: a hub id with its configuration, or "world". columns: the texts in the order of the transformation (for a choice: the
    context). answers: the column that lists the answers, or one column for each. labels: the classes' names, by number; () where
    the label is a number within `limits`. metrics: the first is the paper's. cell: (entry, row, column) of `minigpt.paper`.
    moved: (split, source, part) where a split lies elsewhere. held_out: (size, seed) of a development set cut from training.
    unlabelled: training rows with the label -1 exist and are skipped. pronoun: the word that each answer is put in place of.
    """

    name: str
    format: str
    source: str
    columns: tuple[str, ...]
    labels: tuple = ()
    label: str = "label"
    answers: str | tuple[str, ...] | None = None
    metrics: tuple[str, ...] = ("accuracy",)
    splits: tuple[str, ...] = ("train", "validation", "test")
    cell: tuple[str, str, str] | None = None
    note: str = ""
    limits: tuple[float, float] | None = None
    moved: tuple[tuple[str, str, str], ...] = ()
    held_out: tuple[int, int] | None = None
    unlabelled: bool = False
    pronoun: str = ""

    @property
    def n_outputs(self) -> int:
        """Outputs of the head: one for each class; one for each answer's sequence; one for each whole number within the limits."""
        if self.limits:
            return round(self.limits[1] - self.limits[0]) + 1
        return 1 if self.format == "choice" else len(self.labels)

    @property
    def revision(self) -> str | None:
        """The commit of the hub's data set that this book was written against; None: taken as it is."""
        return REVISIONS.get("/".join(self.source.split("/")[:2]))

    @property
    def printed(self) -> float | None:
        """The paper's score in points; None for a task of the world."""
        return paper.get(self.cell[0]).value(*self.cell[1:]) if self.cell else None

    def where(self, split: str) -> tuple[str, str]:
        """(source, part) of a split; ValueError in one line if the task has no such split."""
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}: choose one of {', '.join(self.splits)}")
        return next((tuple(place) for name, *place in self.moved if name == split), (self.source, split))


def _table(*tasks: Task) -> dict[str, Task]:
    return {task.name: task for task in tasks}


GLUE, TWO, NLI = "nyu-mll/glue", ("sentence1", "sentence2"), ("entailment", "neutral", "contradiction")
YES_NO, SAME = ("entailment", "not_entailment"), ("different", "equivalent")
HIDDEN = "test labels are kept by GLUE's server"

# fmt: off
TABLE1 = _table(
    Task("snli", "entailment", "stanfordnlp/snli/plain_text", ("premise", "hypothesis"), NLI, unlabelled=True,
         cell=("gpt1-table2", OURS, "SNLI"), note="CC BY-SA 4.0; pairs on which the annotators did not agree (-1) are left out"),
    Task("mnli", "entailment", f"{GLUE}/mnli", ("premise", "hypothesis"), NLI, cell=("gpt1-table2", OURS, "MNLI-m"),
         splits=("train", "validation", "mismatched", "test", "test_mismatched"),
         moved=(("validation", f"{GLUE}/mnli_matched", "validation"), ("mismatched", f"{GLUE}/mnli_mismatched", "validation"),
                ("test", f"{GLUE}/mnli_matched", "test"), ("test_mismatched", f"{GLUE}/mnli_mismatched", "test")), note=HIDDEN),
    Task("qnli", "entailment", f"{GLUE}/qnli", ("question", "sentence"), YES_NO, cell=("gpt1-table2", OURS, "QNLI"),
         note=f"{HIDDEN}; the data set was replaced after the paper, so its number is not comparable"),
    Task("rte", "entailment", f"{GLUE}/rte", TWO, YES_NO, cell=("gpt1-table2", OURS, "RTE"), note=HIDDEN),
    Task("scitail", "entailment", "allenai/scitail/tsv_format", ("premise", "hypothesis"), ("entails", "neutral"),
         cell=("gpt1-table2", OURS, "SciTail"), note="labels are words; the test labels are public"),
    Task("race", "choice", "ehovy/race/all", ("article", "question"), ("A", "B", "C", "D"), "answer", "options",
         cell=("gpt1-table3", OURS, "RACE"), note="for research that is not commercial; also race/middle and race/high"),
    Task("storycloze", "choice", "LSDSem/story_cloze/2016", tuple(f"input_sentence_{i}" for i in "1234"), (1, 2),
         "answer_right_ending", ("sentence_quiz1", "sentence_quiz2"), cell=("gpt1-table3", OURS, "Story Cloze"),
         held_out=(374, 3535999445),
         moved=(("train", "LSDSem/story_cloze/2016", "validation"), ("validation", "LSDSem/story_cloze/2016", "validation")),
         note="not on the hub: ask its authors by their form, then put the 2016 files into the mirror folder; trained, as by "
              "OpenAI's code, on its validation file less 374; the world's cloze stands in"),
    Task("mrpc", "similarity", f"{GLUE}/mrpc", TWO, SAME, metrics=("f1", "accuracy"), cell=("gpt1-table4", OURS, "MRPC (F1)"),
         note="the test labels are public"),
    Task("qqp", "similarity", f"{GLUE}/qqp", ("question1", "question2"), SAME, metrics=("f1", "accuracy"),
         cell=("gpt1-table4", OURS, "QQP (F1)"), note=HIDDEN),
    Task("stsb", "similarity", f"{GLUE}/stsb", TWO, metrics=("pearson",), limits=(0, 5), cell=("gpt1-table4", OURS, "STSB (pc)"),
         note=f"a number from 0 to 5; {HIDDEN}"),
    Task("sst2", "classification", f"{GLUE}/sst2", ("sentence",), ("negative", "positive"),
         cell=("gpt1-table4", OURS, "SST2 (acc)"), note=HIDDEN),
    Task("cola", "classification", f"{GLUE}/cola", ("sentence",), ("unacceptable", "acceptable"),
         metrics=("matthews", "accuracy"), cell=("gpt1-table4", OURS, "CoLA (mc)"), note=HIDDEN),
)
EITHER = ("first", "second")
THE_WORLDS = _table(
    Task("sentiment", "classification", WORLD, ("text",), ("negative", "positive")),
    Task("acceptability", "classification", WORLD, ("text",), ("unacceptable", "acceptable"), metrics=("accuracy", "matthews")),
    Task("entailment", "entailment", WORLD, ("premise", "hypothesis"), ("not_entailment", "entailment")),
    Task("paraphrase", "similarity", WORLD, ("text1", "text2"), SAME, metrics=("accuracy", "f1")),
    Task("cloze", "choice", WORLD, ("context",), EITHER, answers="answers"),
    Task("pronoun", "choice", WORLD, ("text",), EITHER, answers="answers", pronoun="it"),
    Task("qa", "choice", WORLD, ("context", "question"), EITHER, answers="answers"),
)
# fmt: on
TASKS = TABLE1 | THE_WORLDS


def get(name: str) -> Task:
    """A task by its name; ValueError in one line that lists the names when there is none."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: choose one of {', '.join(TASKS)}")
    return TASKS[name]


def table(tasks: dict[str, Task] = TASKS) -> results.Table:
    """The tasks as a table to look at; behind the source, the first letters of the pinned commit."""
    rows = []
    for task in tasks.values():
        source = task.source + (f" @ {task.revision[:7]}" if task.revision else "")
        labels = ", ".join(map(str, task.labels)) or f"{task.limits[0]} to {task.limits[1]}"
        rows.append([task.name, task.format, source, " + ".join(task.columns), labels, ", ".join(task.metrics),
                     "–" if task.printed is None else f"{task.printed:.1f}", task.note])
    return results.Table(["task", "format", "source", "columns", "labels", "metrics", "the paper", "note"], rows)


# -- examples -----------------------------------------------------------------------------------------------------------------


class Example(NamedTuple):
    """segments: the texts (for a choice: context, question …); answers: of a choice; label: class, number, or None if secret."""

    segments: tuple[str, ...]
    answers: tuple[str, ...] = ()
    label: int | float | None = None


def read(task: Task | str, split: str, n: int | None = None, seed: int = 0) -> list[Example]:
    """The examples of a split, at most `n` of them.

    Of the world, `seed` makes the examples; of a data set it draws which n, and a larger n keeps those of a smaller one. Labels of
    a test split that its authors keep secret are None.
    Raises hub.HubError or ValueError, in one line, for missing files, columns or labels, and for a split without examples.
    """
    task = get(task) if isinstance(task, str) else task
    source, part = task.where(split)
    if n is not None and (not isinstance(n, int) or n < 1):
        raise ValueError(f"{task.name}: the number of examples is a whole number from 1 on, not {n!r}")
    rows = world.task(task.name, split, n, seed) if source == WORLD else _hub_rows(task, split, source, part, n, seed)
    examples = [_example(task, row, f"{task.name}, {split}, example {i}", split) for i, row in enumerate(rows, 1)]
    if not examples:
        raise ValueError(f"{task.name}: the {split} split holds no examples")
    return examples


def _hub_rows(task: Task, split: str, source: str, part: str, n: int | None, seed: int):
    rows = data.records(source, part)
    answers = (task.answers,) if isinstance(task.answers, str) else task.answers or ()
    missing = [name for name in (*task.columns, *answers, task.label) if name not in rows.column_names]
    if missing:
        raise ValueError(f"{task.name}: the {split} split has no column {missing[0]!r}; it has: {', '.join(rows.column_names)}")
    order = np.arange(len(rows))
    if task.held_out and split != "test":
        from sklearn.model_selection import train_test_split

        size, state = task.held_out  # OpenAI's code draws the same rows with the same function and seed
        if len(rows) <= size:
            raise ValueError(f"{task.name}: {size} examples are to be held out, but {source} has only {len(rows)}")
        order = train_test_split(order, test_size=size, random_state=state)[split == "validation"]
    if task.unlabelled:
        order = order[np.array(list(rows[task.label]))[order] != -1]
    if n is not None:
        order = np.random.default_rng(seed).permutation(order)[:n]
    return rows.select(order)


def _example(task: Task, row: dict, where: str, split: str) -> Example:
    segments = tuple(_text(row[name], f"{where}: {name}") for name in task.columns)
    answers = ()
    if task.answers:
        found = row[task.answers] if isinstance(task.answers, str) else [row[name] for name in task.answers]
        if not isinstance(found, list | tuple) or not len(found):
            raise ValueError(f"{where}: answers must be a list of texts, not {found!r}")
        answers = tuple(_text(answer, f"{where}: answer {i}") for i, answer in enumerate(found, 1))
    label = _label(task, row[task.label], where, secret=split.startswith("test"))
    if answers and label is not None and label >= len(answers):
        raise ValueError(f"{where}: the label is {row[task.label]!r}, but there are only {len(answers)} answers")
    if task.pronoun:
        before, after = substitution(segments[0], task.pronoun)
        segments, answers = (before,), tuple(f"the {noun}{after}" for noun in answers)
    return Example(segments, answers, label)


def _text(value, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a text, not {value!r}; is the file whole?")
    return value


def _label(task: Task, value, where: str, secret: bool) -> int | float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if secret and number and value == -1:
        return None
    if not task.labels:
        low, high = task.limits
        if not number or not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"{where}: the label must be a number from {low} to {high}, not {value!r}")
        return float(value)
    if value in task.labels:
        return task.labels.index(value)
    if number and isinstance(task.labels[0], str) and value in range(len(task.labels)):
        return int(value)
    known = ", ".join(name if isinstance(name, int) else f"{i} {name}" for i, name in enumerate(task.labels))
    raise ValueError(f"{where}: the label {value!r} is not one of: {known}")


def substitution(text: str, pronoun: str = "it") -> tuple[str, str]:
    """The text before a pronoun (its last mention) and the text after it: "A, and it was B." -> ("A, and", " was B.").

    A noun put between the two, "the violin", gives one reading of the sentence. Raises ValueError if the pronoun does not occur.
    """
    before, found, after = text.rpartition(f" {pronoun} ")
    if not found:
        raise ValueError(f"there is no pronoun {pronoun!r} in {text!r}")
    return before, f" {after}"
