"""Why does the auxiliary loss hurt here? A study of chapter 08, written to book/results: python book/studies/auxiliary.py

Half of the hypotheses in a labelled set of entailment are false, and the auxiliary loss learns to predict their words all the same.
So it is given to part of the examples only: to those whose hypothesis follows, or to the others.
"""

import argparse
from dataclasses import asdict, replace

import numpy as np
import torch

from minigpt import BPE, finetune, model, objective, reproduce, results, tasks

TASK, LABELS, SEEDS, RATES = "entailment", 1000, (1, 2, 3), (5e-4, 2e-3)
SPLITS = {"train": LABELS, "validation": 200, "test": 500}
VARIANTS = ("none", "all texts", "true hypotheses only", "false hypotheses only")


def partly(variant: str):
    """`objective.losses`, with the auxiliary loss of the chosen examples alone (their share of the batch scales it)."""
    def losses(classifier, ids, last, target, auxiliary=True):
        if variant in ("none", "all texts") or not auxiliary:
            return objective.losses(classifier, ids, last, target, auxiliary)
        supervised, unused, logits = objective.losses(classifier, ids, last, target, auxiliary=False)
        chosen = target == (1 if variant == "true hypotheses only" else 0)
        if not chosen.any():
            return supervised, unused, logits
        texts = objective.losses(classifier, ids[chosen], last[chosen], target[chosen])[1]
        return supervised, texts * 2 * chosen.float().mean(), logits  # twice: half the examples carry the weight of all
    return losses


def main() -> None:
    """Every variant at two rates; its better one by the development score counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="world")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lm, bpe, task = model.load(options.model), BPE.load(options.model), tasks.get(TASK)
    found = {}
    for variant in VARIANTS:
        for rate in RATES:
            runs = []
            for seed in SEEDS:
                train, dev, test = (tasks.read(task, split, n, seed) for split, n in SPLITS.items())
                weight = 0.0 if variant == "none" else 0.5
                settings = replace(reproduce.ROWS[reproduce.FULL], learning_rate=rate, lm_coefficient=weight)
                config = replace(finetune.LAPTOP, **asdict(settings), seed=seed)
                finetune.losses = partly(variant)
                run = finetune.finetune(lm, bpe, task, train, dev, config, progress=False)
                runs.append((run.dev["accuracy"], finetune.evaluate(run.classifier, bpe, task, test)["accuracy"]))
                print(variant, rate, seed, runs[-1], flush=True)
            found[variant, rate] = np.array(runs)
    values = {}
    for variant in VARIANTS:
        rate = max(RATES, key=lambda r: found[variant, r][:, 0].mean())
        on_dev, on_test = found[variant, rate].T.tolist()
        values[variant] = {"learning rate": rate, "test": on_test, "dev": on_dev}
    results.save("08-why", values, "python book/studies/auxiliary.py", list(SEEDS),
                 f"{TASK}, {LABELS} labels, the shipped model, λ = 0.5 on the examples named; accuracy on {SPLITS['test']} test "
                 f"examples for each fine-tuning seed, at the better of the rates {RATES} by the development score",
                 depends=["minigpt.finetune", "minigpt.objective", "minigpt.tasks", "minigpt.model", "minigpt.world_tasks"],
                 summary="; ".join(f"{variant}: {np.mean(of['test']):.0f}" for variant, of in values.items()))


if __name__ == "__main__":
    main()
