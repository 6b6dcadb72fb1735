"""The studies of chapter 07, each written to book/results: python book/studies/finetuning.py labels|mistakes

labels     test scores against the number of labels, 50 to 2,000, with and without pre-training and auxiliary loss; three seeds
mistakes   what a fine-tuned model still gets wrong on one task, and how it reads its surest mistake

The first shares its runs, kept in --out, with `python -m minigpt reproduce`; a killed study goes on where it was.
"""

import argparse
import re
import time
from dataclasses import asdict, replace

import numpy as np
import torch

from minigpt import BPE, experiments, finetune, model, reproduce, results, tasks, world
from minigpt.world_things import CATEGORIES

DEPENDS = ["minigpt.finetune", "minigpt.objective", "minigpt.tasks", "minigpt.tasks_table", "minigpt.train", "minigpt.model",
           "minigpt.world", "minigpt.world_tasks", "minigpt.world_things", "minigpt.world_words"]
TEST = 500


def labels(options) -> None:
    """Three rows of Table 5 on 50 to 2,000 labels, out of the cells of `reproduce gpt1-auxiliary`."""
    run = experiments.Run(reproduce.LAPTOP, options.out, options.processes, older=options.older_code)
    seeds, epochs = reproduce.by_labels(run)
    starts = {"pre-trained": reproduce.FULL, "pre-trained, λ = 0": reproduce.NO_AUX, "from scratch": reproduce.SCRATCH}
    values = {task: {start: dict(zip(map(str, epochs), seeds[row][task], strict=True)) for start, row in starts.items()}
              for task in run.plan.auxiliary_tasks}
    gap = {task: np.mean(of["pre-trained"]["50"]) - np.mean(of["from scratch"]["2000"]) for task, of in values.items()}
    rates = ", ".join(f"{start} {run.plan.rows[row].learning_rate:g}" for start, row in starts.items())
    results.save("07-labels", values, "python book/studies/finetuning.py labels", list(run.plan.seeds),
                 f"first metric of each task on {run.plan.test} test examples, whose words no label shows; one value for each "
                 f"pre-training seed; learning rates as tuned: {rates}; epochs {', '.join(map(str, epochs.values()))}; the best "
                 "epoch on a development set of 200", depends=[f"minigpt.{name}" for name in (*experiments.CODE, "experiments")],
                 summary="; ".join(f"{task}: 50 labels with pre-training {value:+.1f} points over 2,000 without"
                                   for task, value in gap.items()))


def mistakes(options) -> None:
    """Entailment, 1,000 labels, no auxiliary loss: the wrong answers, the categories mixed up, the surest mistake taken apart."""
    bpe, task = BPE.load(options.model), tasks.get("entailment")
    config = replace(finetune.LAPTOP, **asdict(reproduce.ROWS[reproduce.NO_AUX]))
    train, dev = tasks.read(task, "train", 1000), tasks.read(task, "validation", 200)
    found = finetune.finetune(model.load(options.model), bpe, task, train, dev, config, progress=False)
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
                 f"entailment, 1,000 labels, no auxiliary loss, {TEST} test examples; p: the model's probability that the "
                 "hypothesis follows",
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

    stories = "\n".join(world.stories(5000))
    siblings = [noun for noun, category in nouns.items() if category == row["category"]]
    return {"siblings": list(zip(siblings, [round(p, 4) for p in sure([ask(noun, row["asked"]) for noun in siblings])],
                                 [len(re.findall(rf"\b{noun}s?\b", stories)) for noun in siblings], strict=True)),
            "categories": list(zip([c.name for c in CATEGORIES],
                                   [round(p, 4) for p in sure([ask(row["noun"], c.name) for c in CATEGORIES])], strict=True))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["labels", "mistakes"])
    parser.add_argument("--model", default="world", help="a shipped model or a run folder")
    parser.add_argument("--out", default="runs/reproduce", help="where finished runs are kept")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time, one thread each (default 1)")
    parser.add_argument("--older-code", action="store_true", help="use runs in --out that were made by other code")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    {"labels": labels, "mistakes": mistakes}[options.study](options)
    print(f"{time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
