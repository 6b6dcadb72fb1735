"""The studies of chapter 07, each written to book/results: python book/studies/finetuning.py labels|mistakes

labels     test accuracy against the number of labels, 50 to 2,000, with and without pre-training; three seeds
mistakes   what a fine-tuned model still gets wrong on one task, and how it reads its surest mistake

Finished runs are kept in --out, so that a killed study goes on where it was. `--estimate` only says how long it would take.
"""

import argparse
import hashlib
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from minigpt import BPE, cells, finetune, model, results, tasks, weights, world
from minigpt.world_things import CATEGORIES

DEPENDS = ["minigpt.finetune", "minigpt.objective", "minigpt.tasks", "minigpt.tasks_table", "minigpt.train", "minigpt.model",
           "minigpt.world", "minigpt.world_tasks", "minigpt.world_things", "minigpt.world_words"]
TASKS, SEEDS, TEST = ("sentiment", "entailment"), (0, 1, 2), 500
# Fewer labels, more passes: between 64 and 252 updates of 16 examples.
EPOCHS = {50: 16, 100: 16, 200: 12, 500: 6, 1000: 4, 2000: 2}
STARTS = {"pre-trained": None, "from scratch": -1}
UPDATE, EXAMPLE = 0.04, 0.001  # seconds of one busy core for an update of 16, and for scoring one example


def config(labels: int, start: str, seed: int) -> finetune.FinetuneConfig:
    return replace(finetune.LAPTOP, batch_size=16, precision="bf16", epochs=EPOCHS[labels], layers=STARTS[start], seed=seed)


def dev_size(labels: int) -> int:
    """A development set no larger than the training set: who has fifty labels has no four hundred to choose an epoch with."""
    return min(labels, 200)


def run(job: dict) -> dict:
    """One cell: fine-tune, and score the best epoch on the test words."""
    lm, bpe = model.load(job["model"]), BPE.load(job["model"])
    train, dev = (tasks.read(job["task"], split, n, job["seed"]) for split, n in (("train", job["labels"]),
                                                                                   ("validation", dev_size(job["labels"]))))
    found = finetune.finetune(lm, bpe, job["task"], train, dev, config(job["labels"], job["start"], job["seed"]), progress=False)
    score = finetune.evaluate(found.classifier, bpe, job["task"], tasks.read(job["task"], "test", TEST))
    return {"test": score["accuracy"], "best epoch": found.best_epoch, "train": found.log[-1]["train"]["accuracy"]}


def jobs(name: str) -> list[dict]:
    digest = hashlib.sha256((weights.locate(name) / "model.safetensors").read_bytes()).hexdigest()[:16]
    return [{"task": task, "labels": labels, "start": start, "seed": seed, "model": name, "weights": digest,
             "settings": asdict(config(labels, start, seed))}
            for seed in SEEDS for task in TASKS for labels in EPOCHS for start in STARTS]


def seconds(wanted: list[dict]) -> float:
    total = 0.0
    for job in wanted:
        n, epochs = job["labels"], EPOCHS[job["labels"]]
        total += UPDATE * epochs * -(-n // 16) + EXAMPLE * (TEST + epochs * dev_size(n))
    return total


def labels(options, kept: cells.Cells) -> None:
    wanted = jobs(options.model)
    missing = [job for job in wanted if job not in kept]
    print(f"{len(missing)} of {len(wanted)} runs to do, about {seconds(missing) / 60:.0f} minutes of one core", flush=True)
    if options.estimate:
        return
    found = cells.run(run, wanted, kept, label="runs")
    values = {task: {start: {str(n): [value["test"] for job, value in zip(wanted, found, strict=True)
                                      if (job["task"], job["start"], job["labels"]) == (task, start, n)] for n in EPOCHS}
                     for start in STARTS} for task in TASKS}
    gap = {task: np.mean(values[task]["pre-trained"]["2000"]) - np.mean(values[task]["from scratch"]["2000"]) for task in TASKS}
    results.save("07-labels", values, "python book/studies/finetuning.py labels", list(SEEDS),
                 f"accuracy on {TEST} test examples, whose words no label shows; the seed draws labels, batches and new weights; "
                 "the epoch is chosen on a development set of at most 200 examples; the same settings for both starts: bf16, "
                 f"learning rate {finetune.LAPTOP.learning_rate:g}, batch 16, lambda {finetune.LAPTOP.lm_coefficient:g}, epochs "
                 f"{', '.join(map(str, EPOCHS.values()))}", depends=DEPENDS,
                 summary="; ".join(f"{task}, 2,000 labels: {value:+.1f} points by pre-training" for task, value in gap.items()))


def mistakes(options, kept: cells.Cells) -> None:
    """Entailment with 1,000 labels: every wrong answer, the categories that are mixed up, and the surest mistake taken apart."""
    bpe, task = BPE.load(options.model), tasks.get("entailment")
    if options.estimate:
        print("one run, half a minute")
        return
    train, dev = tasks.read(task, "train", 1000), tasks.read(task, "validation", 200)
    found = finetune.finetune(model.load(options.model), bpe, task, train, dev, config(1000, "pre-trained", 0), progress=False)
    test = tasks.read(task, "test", TEST)

    def sure(examples):  # probability that the hypothesis follows
        logits = torch.from_numpy(finetune.predict(found.classifier, bpe, task, examples))
        return logits.softmax(-1)[:, 1].tolist()

    nouns = {noun.text: category.name for category in CATEGORIES for noun in category.nouns}
    rows, confused = [], {}
    for example, p in zip(test, sure(test), strict=True):
        noun = next(n for n in sorted(nouns, key=len, reverse=True) if f" {n} " in example.segments[0])
        asked = next(c.name for c in CATEGORIES if example.segments[1].endswith(f" {c.name}."))
        cell = confused.setdefault(nouns[noun], {}).setdefault(asked, [0, 0])
        cell[0] += 1
        cell[1] += (p > 0.5) != bool(example.label)
        rows.append({"premise": example.segments[0], "hypothesis": example.segments[1], "noun": noun, "category": nouns[noun],
                     "asked": asked, "label": example.label, "p": round(p, 4)})
    wrong = [row for row in rows if (row["p"] > 0.5) != bool(row["label"])]
    wrong.sort(key=lambda row: -abs(row["p"] - 0.5))
    values = {"test": len(rows), "accuracy": 100 * (1 - len(wrong) / len(rows)), "wrong": wrong, "confused": confused}
    if wrong:
        values["closest"] = closer(wrong[0], nouns, sure, options)
    results.save("07-mistakes", values, "python book/studies/finetuning.py mistakes", [0],
                 f"entailment, 1,000 labels, {TEST} test examples; p: the model's probability that the hypothesis follows",
                 depends=DEPENDS, summary=f"{len(wrong)} of {len(rows)} test examples wrong")


def closer(row: dict, nouns: dict, sure, options) -> dict:
    """The same question with the noun's siblings in its place, and the same noun with every category; how often stories name it."""
    def ask(noun, asked):
        article = {True: "an", False: "a"}
        premise = row["premise"].replace(row["noun"], noun)
        premise = premise.replace(" an ", " a ").replace(" a ", f" {article[noun[0] in 'aeiou']} ")
        hypothesis = row["hypothesis"].replace(f" {row['asked']}.", f" {asked}.")
        hypothesis = hypothesis.replace(" an ", " a ").replace(" a ", f" {article[asked[0] in 'aeiou']} ")
        return tasks.Example((premise, hypothesis))

    stories = world.stories(5000)
    siblings = [noun for noun, category in nouns.items() if category == row["category"]]
    return {"siblings": list(zip(siblings, [round(p, 4) for p in sure([ask(noun, row["asked"]) for noun in siblings])],
                                 [sum(text.count(f" {noun}") for text in stories) for noun in siblings], strict=True)),
            "categories": list(zip([c.name for c in CATEGORIES],
                                   [round(p, 4) for p in sure([ask(row["noun"], c.name) for c in CATEGORIES])], strict=True))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["labels", "mistakes"])
    parser.add_argument("--model", default="world", help="a shipped model or a run folder")
    parser.add_argument("--out", default="runs/finetuning", help="where finished runs are kept")
    parser.add_argument("--estimate", action="store_true", help="say how long it would take, and stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    code = hashlib.sha256("".join(results.source_digest(name) for name in DEPENDS).encode()).hexdigest()[:16]
    started = time.perf_counter()
    {"labels": labels, "mistakes": mistakes}[options.study](options, cells.Cells(Path(options.out), code))
    print(f"{time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
