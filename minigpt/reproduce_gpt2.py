"""GPT-2's tables and figures measured again, beside the paper's: python -m minigpt reproduce gpt2-table3 --model NAME ...

What a target asks of which task stands in CELLS; `evaluate` measures, keeps each answered item in --out, and goes on there after
a stop. Laptop scale: SmolLM2-135M-Instruct, or the models named, on the data at hand; paper scale: the four released sizes. Data
that cannot be found leaves its cell "not yet measured", and the reason is told.
"""

import random
import re
import shlex
import sys
from functools import partial

import torch

from minigpt import (
    data,
    evaluate,
    memorisation,
    model,
    modern,
    overlap,
    paper,
    prompting,
    protocol,
    results,
    webtext,
    world,
)
from minigpt import webtext_stages as stages

SIZES = tuple(f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"))
DRAWS, FEW = 100, 20  # of the bootstrap over items; with fewer items than that it says nothing
# target: {cell: (task, switches, score)}. A table's cell is one of its columns, a figure's one of its curves.
CELLS = {
    "gpt2-table3": {column: (task.name, {}, score) for column in paper.get("gpt2-table3").columns
                    for task in evaluate.TASKS.values() for score, cell in task.cells.items() if cell == ("gpt2-table3", column)},
    "gpt2-fig1": {
        "CoQA, F1": ("coqa", {}, "F1"), "WMT-14 Fr-En, BLEU": ("translation-fr-en", {}, "BLEU"),
        "CNN/DM, mean ROUGE": ("summaries", {}, "R-AVG"), "Natural Questions, acc": ("questions", {}, "exact match")},
    "gpt2-fig2": {"common nouns, acc": ("cbt-cn", {}, "accuracy"), "named entities, acc": ("cbt-ne", {}, "accuracy")},
    "gpt2-fig3": {"partial scoring, acc": ("winograd", {"scoring": "partial"}, "accuracy"),
                  "full scoring, acc": ("winograd", {"scoring": "full"}, "accuracy")},
    "gpt2-table4": {f"{row}, {score}": ("summaries", {"hint": hint}, f"{prefix}{score}")
                    for row, hint, prefix in (("GPT-2 TL;DR:", "TL;DR:", ""), ("GPT-2 no hint", "none", ""),
                                              ("Lede-3", "TL;DR:", "lede-3 "), ("Random-3", "TL;DR:", "random-3 "))
                    for score in ("R-1", "R-2", "R-L", "R-AVG")},
}


class Measuring:
    """The evaluations that a target asks for: each task with each switch once, on one model after the other."""

    def __init__(self, models, sources: dict, limit: int | None = None, items: dict | None = None, out=None, progress: bool = True):
        self.models, self.sources, self.limit, self.out, self.progress = models, sources, limit, out, progress
        self.items = items or {}
        self.missing: dict[str, str] = {}
        self._name, self._model, self._bpe = None, None, None

    def __call__(self, name: str, task: str, switches: dict) -> dict | None:
        """What evaluate.run finds for a model, or None if the task's data, or a library of its score, is not here."""
        if task in self.missing:
            return None
        try:
            evaluate.find(task).read(self.sources.get(task), 1)
        except (OSError, ImportError, ValueError) as error:  # out of reach, no library to read it, not in the mirror
            return self._lacking(task, error)
        if name != self._name:
            self._model = None  # make room before the next one is read
            self._model, self._bpe = modern.load(name)
            self._name = name
            self._model.to("cuda" if torch.cuda.is_available() else "cpu")
        try:
            return evaluate.run(self._model, self._bpe, task, switches, self.sources.get(task), self.items.get(task, self.limit),
                                self.out, self.progress, name)
        except ImportError as error:  # the score's library; the rows are kept
            return self._lacking(task, error)

    def _lacking(self, task: str, error: Exception) -> None:
        self.missing[task] = str(error)
        print(f"{task}: {results.NOT_YET} ({error})", file=sys.stderr)


def cells(target: str, measure: Measuring):
    """Every cell of CELLS for every model: (values, protocol, summary)."""
    rows, spread, counts, told, known = {}, {}, {}, {}, {}
    for name in measure.models:
        rows[name], spread[name], counts[name] = {}, {}, {}
        for cell, (task, given, score) in CELLS[target].items():
            if (found := measure(name, task, given)) is None:
                continue
            rows[name][cell] = round(found["values"][score], 4)
            key = name, found["digest"], str(found["switches"])
            if key not in known:
                known[key] = intervals(task, found)
            if score in known[key]:
                spread[name][cell] = known[key][score]
            # Of a perplexity these are the words (or bytes, ...) of the text.
            counts[name][cell] = found["values"].get("units", len(answered(found)))
            limit = measure.items.get(task, measure.limit)
            part = f" (from the first {limit:,} of the data)" if limit else ""
            what = "units" if "units" in found["values"] else "items"
            told.setdefault(task, f"{counts[name][cell]:,} {what}{part} of {described(task, found['switches'], given)}")
    if not told:
        raise ValueError(f"{target}: no data for any of its cells; " + "; ".join(measure.missing.values()))
    values = {"rows": rows, "interval": spread, "items": counts} | ({"missing": measure.missing} if measure.missing else {})
    # A score without its number of items would pass for one of the whole set.
    short = {name: {f"{cell} (n = {counts[name][cell]:,})": value for cell, value in row.items()
                    if ", R-" not in cell or cell.endswith("R-AVG")} for name, row in rows.items()}
    return values, "; ".join(told.values()), summary(short)


def answered(found: dict) -> list[dict]:
    """The rows of an evaluation, without the items that had to be left out."""
    return [row for row in found["rows"] if "left_out" not in row]


def intervals(task: str, found: dict) -> dict[str, list[float]]:
    """The 95 % percentile interval of each score, by drawing the items again with replacement.

    None for few items, and none for the windows of a text: only the first carries its counts, so none can be drawn alone.
    """
    task, good = evaluate.find(task), answered(found)
    if len(good) < FEW or len(set(map(frozenset, good))) > 1:
        return {}
    chance = random.Random(0)
    drawn = [task.score(chance.choices(good, k=len(good)), found["switches"]) for _ in range(DRAWS)]
    found = {name: sorted(scores[name] for scores in drawn) for name in found["values"]}
    return {name: [round(values[int(0.025 * DRAWS)], 4), round(values[int(0.975 * DRAWS)], 4)] for name, values in found.items()}


def table1(measure: Measuring):
    """Translations that stand in running text: in the pages or texts of --data pages=PATH, or in those that the book makes."""
    source = measure.sources.get("pages", "world")
    read = list(stages.text(webtext.documents(source, measure.limit or 2000)))
    found = list(webtext.translations(read))
    values = {"documents": len(read), "translations": len(found), "first": [[one["phrase"], one["gloss"]] for one in found[:10]]}
    told = f"{len(found)} translations in {len(read):,} documents"
    where = "the web pages that the book makes" if source == "world" else _tail(source)
    return values, f"French phrases (py3langid) with an English gloss beside them, in {where}", told


def table2(measure: Measuring):
    """The sizes as they really are: counted, not printed."""
    rows = {}
    for size, name in paper.PAPER_NAMES.items():
        config = model.GPTConfig.preset(size)
        with torch.device("meta"):  # shapes without memory
            rows[name] = {"parameters": model.GPT(config).n_params(), "layers": config.n_layer, "d_model": config.n_embd}
    return rows, "parameters of the released configurations, a tied head counted once", ", ".join(
        f"{name}: {row['parameters']:,}" for name, row in rows.items())


def table5(measure: Measuring):
    """The most confident answers to Natural Questions, and how many of them are right."""
    values = {}
    for name in measure.models:
        found = measure(name, "questions", {})
        if found is None:
            raise ValueError("; ".join(measure.missing.values()))
        of = found["switches"]["confidence"]
        top = prompting.most_confident(answered(found), 30, of)
        values[name] = {"most confident, %": round(100 * top[0]["probability"], 1),
                        f"{len(top)}th, %": round(100 * top[-1]["probability"], 1),
                        f"correct, of {len(top)}": sum(row["right"] for row in top), "questions": found["items"],
                        "answers": [[round(row["probability"], 3), int(row["right"])] for row in top]}
        for row in top:  # told, not kept: the questions are other people's text
            print(f"{'right' if row['right'] else 'wrong'}  {row['probability']:6.1%}  {row['question']}?  {row['answer']}")
    short = {name: {key: value for key, value in row.items() if key != "answers"} for name, row in values.items()}
    return values, described("questions", protocol.choose(evaluate.find("questions"))), summary(short)


def table6(measure: Measuring):
    """8-grams of test sets that stand in training sets: the world's own, and those of --data NAME=SOURCE, each in each."""
    sets = {"the world": {"train": world.stories(measure.limit or 20_000), "validation": world.stories(2_000, split="test")}}
    sets |= {name: data.read(source) for name, source in measure.sources.items()}
    rows = {}
    for name, parts in sets.items():
        count = sum(len(overlap.normalise(text)) for text in parts["train"])
        seen = overlap.BloomFilter.of(parts["train"], max(count, 1))
        rows[f"{name}, train"] = {other: round(overlap.overlap(of.get("test") or of["validation"], seen), 3)
                                  for other, of in sets.items()}
    read = ", ".join(f"{len(parts['train']):,} training documents of {name}" for name, parts in sets.items())
    return {"rows": rows}, f"per cent of a test part's 8-grams of lower-cased words that a training part has; {read}", summary(rows)


def figure4(measure: Measuring):
    """Perplexity on the training and the test text against model size: small models of the world, trained here."""
    return memorisation.figure4(measure.out, progress=measure.progress)


def figure5(measure: Measuring):
    """How much of its samples, and of real test text, a model has read in training."""
    return memorisation.figure5(measure.out, progress=measure.progress)


TARGETS = {name: partial(cells, name) for name in CELLS} | {
    "gpt2-table1": table1, "gpt2-table2": table2, "gpt2-table5": table5, "gpt2-table6": table6, "gpt2-fig4": figure4,
    "gpt2-fig5": figure5}
MODELLESS = ("gpt2-table1", "gpt2-table2", "gpt2-table6", "gpt2-fig4", "gpt2-fig5")


def summary(rows: dict) -> str:
    """{row: {column: value}} in a line."""
    told = {name: ", ".join(f"{column} {value:,.2f}" if isinstance(value, float) else f"{column} {results.show(value)}"
                            for column, value in row.items()) for name, row in rows.items()}
    return "; ".join(f"{name}: {line}" for name, line in told.items())


def described(task: str, switches: dict, apart=()) -> str:
    """A task with its switches in words, without those that are told apart."""
    return f"{task}: " + ", ".join(f"{name} = {value}" for name, value in switches.items() if name not in apart)


# -- the command ------------------------------------------------------------------------------------------------------------------


def add_arguments(p) -> None:
    """The options that GPT-2's targets add to those of `reproduce.add_arguments`."""
    group = p.add_argument_group("GPT-2's targets", f"--model takes several (laptop: {modern.NAME}; paper scale: the four released "
                                 "sizes); --limit is of items, --out (default runs/evaluate) keeps what was measured")
    group.add_argument("--data", action="append", default=[], metavar="TASK=PATH", help="a task's file or folder (repeatable)")
    group.add_argument("--items", action="append", default=[], metavar="TASK=N", help="at most N items of one task (repeatable)")


def command(options) -> None:
    """Measure one of TARGETS as the command line asks, print it beside the paper, and keep its record."""
    target = options.target
    models = () if target in MODELLESS else tuple(options.model or (SIZES if options.scale == "paper" else (modern.NAME,)))
    for text in options.data:
        if "=" not in text:
            known = ", ".join(tasks(target)) or "any name"
            raise ValueError(f"--data takes TASK=PATH, not {text!r}; the tasks of {target}: {known}")
    for text in options.items:
        if not re.fullmatch(r".+=[1-9][0-9]*", text):
            raise ValueError(f"--items takes TASK=N, not {text!r}")
    sources = dict(text.split("=", 1) for text in options.data)
    items = {task: int(n) for task, n in (text.rsplit("=", 1) for text in options.items)}
    limit = options.limit or (20 if options.quick else None)
    measure = Measuring(models, sources, limit, items, options.out or "runs/evaluate", not options.quiet)
    values, chosen, told = TARGETS[target](measure)
    print(beside(target, values.get("rows", values)), end="\n\n")
    print(f"ours: {told}\nprotocol: {chosen}")
    if not options.quick:
        label = options.label or ("paper" if target == "gpt2-table2" else options.scale)
        depends = sorted(f"minigpt.{name}" for name in modules(target))
        kept = results.save(f"{target}-{label}", values, shown(options, models, sources), protocol=chosen, depends=depends,
                            summary=told, interval="95 %, bootstrap over items" if target in CELLS else None)
        print(f"record: {kept.name}")


def shown(options, models, sources) -> str:
    """The command that measures this again; of a path its last two parts: what the data is, not where it lay."""
    words = ["python", "-m", "minigpt", "reproduce", options.target, "--scale", options.scale]
    words += ["--model", *models] if options.model else []
    words += [word for task, path in sources.items() for word in ("--data", f"{task}={_tail(path)}")]
    words += ["--limit", str(options.limit)] if options.limit else []
    return shlex.join(words + [word for text in options.items for word in ("--items", text)])


def beside(target: str, rows: dict) -> results.Table:
    """The paper's table and ours: a model is a row of ours in the tables, a column in the figures."""
    entry = paper.get(target)
    if target in CELLS and target != "gpt2-table3":
        by_cell = {cell: {name: of[cell] for name, of in rows.items() if cell in of} for cell in CELLS[target]}
        rows = {cell: of for cell, of in by_cell.items() if of}
    if target == "gpt2-table4":  # its cells are "row, column"
        rows = {f"{cell.rsplit(', ', 1)[0]} ({name})": {part.rsplit(", ", 1)[1]: of[name] for part, of in rows.items()
                                                        if name in of and part.startswith(cell.rsplit(", ", 1)[0])}
                for cell, of in rows.items() for name in of}
    return results.beside(entry, {row: {name: value for name, value in of.items() if not isinstance(value, list)}
                                  for row, of in rows.items() if isinstance(of, dict)})


def tasks(target: str) -> list[str]:
    """The tasks of which a target needs the data."""
    return list(dict.fromkeys(task for task, _, _ in CELLS.get(target, {}).values())) or ["questions"] * (target == "gpt2-table5")


def modules(target: str) -> set[str]:
    """Our modules that a target's numbers come from."""
    if named := tasks(target):
        measured = {function.__module__.removeprefix("minigpt.") for task in map(evaluate.find, named)
                    for function in (getattr(task.measure, "func", task.measure), getattr(task.score, "func", task.score))}
        return measured | {name.removeprefix("minigpt.") for name in evaluate.MEASURING} | {"modern"}
    trained = {name.removeprefix("minigpt.") for name in memorisation.TRAINING} | {"memorisation"}
    worlds = {name for name in trained if name.startswith("world")}
    return {"gpt2-table1": worlds | {"webtext", "webtext_stages", "webtext_pages"}, "gpt2-table2": {"model"},
            "gpt2-table6": worlds | {"overlap"}, "gpt2-fig4": trained}.get(target, trained | {"overlap", "generate"})


def _tail(path: str) -> str:
    return "/".join(path.replace("\\", "/").rstrip("/").split("/")[-2:])
