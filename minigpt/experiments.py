"""The experiments behind GPT-1's tables and figures: what one is made of, and how each of its cells is measured.

`Plan` says what the laptop scale measures and how often. `Run` pre-trains a Transformer and an LSTM on the embedded world from
several seeds, with snapshots on the way, and measures cells: fine-tuning runs, zero-shot scores. Each cell is a function of a
dictionary of plain values (`cells.run`), so a killed run goes on where it was, and one table finds what another has measured.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from minigpt import cells as measured
from minigpt import data, finetune, model, results, tasks, train, world, zeroshot
from minigpt.bpe import BPE

# The paper's cue with its own two words, which the world's stories never use; with two of theirs; and a cue from the stories.
CUES = {"very: negative/positive": ("very", zeroshot.WORDS), "very: sad/happy": ("very", ("sad", "happy")),
        "Everyone: hated/loved": ("Everyone", ("hated", "loved"))}
# What a cell depends on beside its settings.
CODE = ("zeroshot", "tasks", "tasks_table", "finetune", "objective", "train", "model", "data", "bpe", "bpe_core", "world",
        "world_tasks", "world_grammar", "world_words", "world_things", "world_own", "world_sentences", "world_village")


@dataclass(frozen=True)
class RowSettings:
    """How a row of Table 5 is fine-tuned."""

    learning_rate: float
    epochs: int = 5
    batch_size: int = 16
    lm_coefficient: float = 0.5
    warmup: float = 0.05
    precision: str = "bf16"


@dataclass(frozen=True)
class Pretraining:
    """How both language models are pre-trained: as many updates, of as many tokens, on the same stories."""

    steps: int = 4000
    batch_size: int = 16
    micro_batch: int = 8  # the same update in two parts: the logits of one part stay in the processor's cache
    precision: str = "bf16"
    learning_rate: float = 3e-3
    lstm_learning_rate: float = 2e-2  # the best of 1e-3 to 2e-2 after 250 updates; the Transformer's 3e-3 leaves it far behind
    warmup: int = 100
    n_bytes: int = 24_000_000
    tokenizer: str = "world"
    eval_every: int = 125
    snapshots: tuple[int, ...] = (0, 125, 250, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000)  # updates; 0 has read nothing

    @property
    def kept(self) -> list[int]:
        """The updates after which the model is kept: the snapshots, and the end of the run."""
        return [*(step for step in self.snapshots if step < self.steps), self.steps]


# Tasks about a word's mood need few labels; those that compare two words need many. (The paper's have 2,490 to 550,000.)
LABELS = {"sentiment": 200, "cloze": 200, "acceptability": 500, "pronoun": 500, "qa": 500, "entailment": 1000, "paraphrase": 1000}


@dataclass(frozen=True)
class Plan:
    """What a run of the laptop scale measures, and how often."""

    rows: dict[str, RowSettings]
    pretraining: Pretraining = Pretraining()
    seeds: tuple[int, ...] = (101, 102, 103)  # of pre-training: weights, batches
    fine_seeds: tuple[int, ...] = (201, 202, 203)  # of fine-tuning: labels, order, dropout, new weights, dev and test set
    names: tuple[str, ...] = world.TASKS
    labels: int | dict[str, int] = field(default_factory=lambda: dict(LABELS))
    dev: int = 200
    test: int = 500
    layer_tasks: tuple[str, ...] = ("sentiment", "acceptability")  # where the full row is far from chance
    zero_shot: int = 250  # test examples of each heuristic
    auxiliary_tasks: tuple[str, ...] = ("acceptability", "entailment")  # where scores have room to move
    auxiliary_labels: tuple[int, ...] = (50, 500, 2000)

    def n_labels(self, task: str) -> int:
        """How many labelled examples a task is fine-tuned on."""
        return self.labels if isinstance(self.labels, int) else self.labels[task]


# -- cells: each a function of a dictionary of plain values; `root` is the folder that relative names of models start from ---------


def pretrain(root: Path, job: dict) -> dict:
    """Pre-train one model ("kind": "gpt" or "lstm", from "seed") into job["folder"]/step-N for each snapshot; resumes by itself."""
    settings, folder = Pretraining(**job["settings"]), root / job["folder"]
    bpe = BPE.load(settings.tokenizer)
    documents = data.read("world", settings.n_bytes)
    tokens, held_out = (data.encode(bpe, documents[part]) for part in ("train", "validation"))
    made = new_model(job["kind"], job["seed"], bpe)
    config = train.TrainConfig(
        steps=settings.steps, batch_size=settings.batch_size, micro_batch=settings.micro_batch, precision=settings.precision,
        learning_rate=settings.learning_rate if job["kind"] == "gpt" else settings.lstm_learning_rate, warmup=settings.warmup,
        seed=job["seed"], eval_every=settings.eval_every, checkpoint_every=4 * settings.eval_every)
    log = train.train(made, tokens, held_out, config, folder, resume=True, progress=False,
                      at_eval=lambda trainer: keep(made, bpe, folder, trainer.step) if trainer.step in settings.kept else None)
    shutil.rmtree(folder / "checkpoints")  # the run is over: its snapshots are all that is needed
    return {"val_loss": train.evaluate(made, held_out), "train_loss": float(np.mean([row["loss"] for row in log[-20:]]))}


def new_model(kind: str, seed: int, bpe: BPE) -> model.GPT | model.LSTM:
    """The laptop's Transformer ("gpt") or LSTM ("lstm") as `seed` draws it, before it has read anything."""
    shape = replace(model.config_of("world" if kind == "gpt" else "world-lstm"), vocab_size=bpe.vocab_size)
    torch.manual_seed(seed)
    return (model.GPT if kind == "gpt" else model.LSTM)(shape)


def keep(made: model.GPT | model.LSTM, bpe: BPE, folder: Path, step: int) -> None:
    """A snapshot, step-N in the run's folder, whole or not at all."""
    unfinished, final = folder / f"step-{step}.partial", folder / f"step-{step}"
    shutil.rmtree(unfinished, ignore_errors=True)
    made.save_pretrained(unfinished)
    bpe.save(unfinished)
    shutil.rmtree(final, ignore_errors=True)
    unfinished.rename(final)


def fine_tune(root: Path, job: dict) -> dict:
    """Fine-tune job["model"] on one task and score it: {"train", "dev", "test": metrics in points, "best_epoch"}."""
    task, name = tasks.get(job["task"]), locate(root, job["model"])
    bpe, lm = BPE.load(name), model.load(name).to(job.get("device", "cpu"))
    learn, dev, test = (tasks.read(task, split, n, job["data_seed"]) for split, n in job["splits"])
    config = finetune.FinetuneConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in job["config"].items()})
    found = finetune.finetune(lm, bpe, task, learn, dev, config, progress=job.get("progress", False))
    scored = {"train": learn[:len(dev)], "dev": dev, "test": test}
    value = {part: finetune.evaluate(found.classifier, bpe, task, given) for part, given in scored.items()}
    return value | {"best_epoch": found.best_epoch}


def bag_of_words(root: Path, job: dict) -> dict:
    """Counts of words and a logistic regression, on the same labels: a stand-in for the paper's baselines. {"test": metrics}."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    task = tasks.get(job["task"])
    given, asked = (tasks.read(task, split, n, job["data_seed"]) for split, n in job["splits"])

    def documents(examples):  # the place of a text marks its words; of a choice each answer makes a document
        for example in examples:
            for texts in [[*example.segments, answer] for answer in example.answers] or [example.segments]:
                yield " ".join(f"{i}_{word}" for i, text in enumerate(texts) for word in text.lower().replace(".", " ").split())

    count = CountVectorizer(token_pattern=r"\S+")
    labels = [int(i == e.label) for e in given for i in range(len(e.answers))] if task.answers else [e.label for e in given]
    fitted = LogisticRegression(max_iter=2000).fit(count.fit_transform(documents(given)), labels)
    found = fitted.predict_proba(count.transform(documents(asked)))
    if task.answers:
        found = np.stack(np.split(found[:, 1], len(asked)))  # the world's choices all have equally many answers
    return {"test": tasks.scores(task.metrics, found.argmax(1), [e.label for e in asked])}


def zero_shot(root: Path, job: dict) -> dict:
    """Accuracy in points of every heuristic on the world's test sets, nothing trained: {heuristic: points}."""
    name, n, seed = locate(root, job["model"]), job["n"], job["data_seed"]
    lm, bpe = model.load(name), BPE.load(name)
    rows = {task: world.task(task, "test", n, seed) for task in ("acceptability", "sentiment", "cloze", "qa", "pronoun")}
    labels = {task: np.array([row["label"] for row in given]) for task, given in rows.items()}
    apart = world.task("acceptability", "train", n, seed)  # the threshold is chosen on other verbs than those of the test
    scores, known = (zeroshot.acceptability_scores(lm, bpe, [row["text"] for row in given])
                     for given in (rows["acceptability"], apart))
    cut = zeroshot.threshold(known, [row["label"] for row in apart])
    schemas = [zeroshot.schema(row["text"], row["answers"]) for row in rows["pronoun"]]
    contexts = {"cloze": [row["context"] for row in rows["cloze"]], "qa": [f"{r['context']} {r['question']}" for r in rows["qa"]]}
    chosen = {task: zeroshot.choose(lm, bpe, texts, [row["answers"] for row in rows[task]]) for task, texts in contexts.items()}
    chosen["pronoun, partial"] = zeroshot.pronoun_partial(lm, bpe, schemas)
    chosen["pronoun, full"] = zeroshot.pronoun_full(lm, bpe, schemas)
    right, areas = {"acceptability": (scores > cut) == labels["acceptability"]}, {"acceptability": scores}
    for cue, (text, words) in CUES.items():
        areas[cue] = zeroshot.sentiment_by_very(lm, bpe, [row["text"] for row in rows["sentiment"]], words, text)
        right[cue] = (areas[cue] > 0) == labels["sentiment"]
    for heuristic, found in chosen.items():
        right[heuristic] = np.array([row.argmax() for row in found]) == labels[heuristic.split(",")[0]]
    return {heuristic: 100 * float(found.mean()) for heuristic, found in right.items()} | {
        f"{name}, AUC": 100 * zeroshot.auc(found, labels["sentiment" if name in CUES else name]) for name, found in areas.items()}


def locate(root: Path, name: str) -> str:
    """A model folder below `root`, or else the name as it is (a hub id, a shipped model)."""
    return str(root / name) if (root / name).is_dir() else name


# -- one run ----------------------------------------------------------------------------------------------------------------------


class Run:
    """A folder of cells and of pre-trained models, and how many processes work on it.

    Cells measured by other code are measured again; `older` takes them as they are.
    """

    def __init__(self, plan: Plan | None, out: str | Path, processes: int = 1, progress: bool = True, older: bool = False):
        self.plan, self.out, self.processes, self.progress = plan, Path(out), processes, progress
        code = hashlib.sha256("".join(results.source_digest(f"minigpt.{name}") for name in CODE).encode()).hexdigest()[:16]
        self.cells = measured.Cells(out, code, older)
        if self.cells.passed_over:
            print(f"{self.cells.passed_over} cells of {self.cells.path} were measured by other code; what is needed of them is "
                  "measured again (--older-code takes them as they are)", file=sys.stderr)

    def name(self, kind: str, seed: int, step: int | None = None) -> str:
        """A pre-trained model's folder below `out`, its last snapshot by default."""
        return f"pretrain/{kind}-{seed}/step-{self.plan.pretraining.steps if step is None else step}"

    def pretrain(self, kinds: Sequence[str]) -> None:
        """Pre-train what is missing. Raises ValueError if a folder holds a run with other settings."""
        jobs, settings = [], plain(self.plan.pretraining)
        for kind, seed in ((kind, seed) for kind in kinds for seed in self.plan.seeds):
            job = {"kind": kind, "seed": seed, "settings": settings, "folder": f"pretrain/{kind}-{seed}"}
            folder = self.out / job["folder"]
            note = folder / "settings.json"
            if note.is_file() and json.loads(note.read_text(encoding="utf-8")) != settings:
                raise ValueError(f"{folder} was pre-trained with other settings; delete it, or choose another --out")
            folder.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps(settings) + "\n", encoding="utf-8")
            if not (folder / "step-0").is_dir():
                bpe = BPE.load(settings["tokenizer"])
                keep(new_model(kind, seed, bpe), bpe, folder, 0)
            if not all((folder / f"step-{step}").is_dir() for step in self.plan.pretraining.kept):
                jobs.append(job)
        done = {job["folder"]: 0 for job in jobs}

        def tick():
            now = {name: (train.read_log(self.out / name) or [{"step": 0}])[-1]["step"] for name in done}
            bar.update(sum(now.values()) - sum(done.values()))
            done.update(now)

        with tqdm(total=len(jobs) * self.plan.pretraining.steps, desc="pre-training", unit="update", dynamic_ncols=True,
                  disable=not (self.progress and jobs), file=sys.stderr) as bar:
            for job, value in measured.parallel(partial(pretrain, self.out), jobs, self.processes, tick):
                (self.out / job["folder"] / "final.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
                tick()

    def job(self, row: str, task: str, seed: int, fine_seed: int, labels: int | None = None, layers: int | None = None,
            **changes) -> dict:
        """The key of one fine-tuning run; `row` names its settings, `changes` replaces some. layers: None is all, -1 none."""
        plan = self.plan
        settings = replace(plan.rows[row], **changes)
        name = self.name("lstm" if row.startswith("LSTM") else "gpt", seed)
        if layers is None and row.endswith("w/o pre-training"):
            layers = -1
        elif layers is None and not row.startswith("LSTM"):
            layers = json.loads((self.out / name / "config.json").read_text(encoding="utf-8"))["n_layer"]
        config = replace(finetune.LAPTOP, **asdict(settings), seed=1000 * seed + fine_seed, layers=layers)
        return {"what": "fine-tuning", "model": name, "weights": digest(self.out / name), "task": task, "config": plain(config),
                "splits": [["train", labels or plan.n_labels(task)], ["validation", plan.dev], ["test", plan.test]],
                "data_seed": fine_seed}

    def fine_tune(self, jobs: dict, label: str) -> dict:
        """{anything: job} -> the same keys with the cells' values."""
        found = measured.run(partial(fine_tune, self.out), list(jobs.values()), self.cells, self.processes, self.progress, label)
        return dict(zip(jobs, found, strict=True))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Every pre-training seed with every fine-tuning seed."""
        return [(seed, fine) for seed in self.plan.seeds for fine in self.plan.fine_seeds]

    @property
    def few(self) -> list[tuple[int, int]]:
        """Every pre-training seed with one fine-tuning seed: for curves of many points."""
        return [(seed, self.plan.fine_seeds[0]) for seed in self.plan.seeds]


@cache
def digest(folder: Path) -> str:
    """A fingerprint of a model folder: its weights, its shape, its vocabulary."""
    found = hashlib.sha256()
    for name in ("model.safetensors", "config.json", "vocab.json"):
        found.update((folder / name).read_bytes())
    return found.hexdigest()[:16]


def plain(config) -> dict:
    """A dataclass as JSON gives it back."""
    return json.loads(json.dumps(asdict(config)))


def first(task: str) -> str:
    """The metric that the paper prints for a task."""
    return tasks.get(task).metrics[0]


def by_seed(values: dict[tuple[int, int], float]) -> list[float]:
    """{(pre-training seed, fine-tuning seed): score} -> one mean for each pre-training seed."""
    return [float(np.mean([v for (s, _), v in values.items() if s == seed])) for seed in dict.fromkeys(s for s, _ in values)]


def spread(values: Sequence[float]) -> list:
    """[mean, half width of its 95 % interval], a half width of None where there is only one value."""
    return [None if part is None else round(part, 3) for part in results.interval(values)]
