"""Two studies of chapter 08, each written to book/results: python book/studies/auxiliary.py why|lstm

why    Why does the auxiliary loss hurt? Half of the hypotheses in a labelled set of entailment are false, and the auxiliary loss
       learns to predict their words all the same. So it is given to part of the examples only: to those whose hypothesis follows,
       or to the others.
lstm   Is it the LSTM that beats the Transformer, or the auxiliary loss that hurts only one of them? Both, with and without it.
       Shares its runs with `python -m minigpt reproduce`, in --out.
"""

import argparse
from dataclasses import asdict, replace

import numpy as np
import torch

from minigpt import BPE, experiments, finetune, model, objective, reproduce, results, tasks, train

TASKS = ("entailment", "paraphrase", "qa")  # of lstm: those that compare two words
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


def why(options) -> None:
    """Every variant at two rates; its better one by the development score counts."""
    torch.set_num_threads(1)
    lm, bpe, task = model.load(options.model), BPE.load(options.model), tasks.get(TASK)
    found = {}
    for variant in VARIANTS:
        for rate in RATES:
            runs = []
            for seed in SEEDS:
                learn, dev, test = (tasks.read(task, split, n, seed) for split, n in SPLITS.items())
                weight = 0.0 if variant == "none" else 0.5
                settings = replace(reproduce.ROWS[reproduce.FULL], learning_rate=rate, lm_coefficient=weight)
                config = replace(finetune.LAPTOP, **asdict(settings), seed=seed)
                finetune.losses = partly(variant)
                run = finetune.finetune(lm, bpe, task, learn, dev, config, progress=False)
                runs.append((run.dev["accuracy"], finetune.evaluate(run.classifier, bpe, task, test)["accuracy"]))
                print(variant, rate, seed, runs[-1], flush=True)
            found[variant, rate] = np.array(runs)
    values = {}
    for variant in VARIANTS:
        rate = max(RATES, key=lambda r: found[variant, r][:, 0].mean())
        on_dev, on_test = found[variant, rate].T.tolist()
        values[variant] = {"learning rate": rate, "test": on_test, "dev": on_dev}
    results.save("08-why", values, "python book/studies/auxiliary.py why", list(SEEDS),
                 f"{TASK}, {LABELS} labels, the shipped model, λ = 0.5 on the examples named; accuracy on {SPLITS['test']} test "
                 f"examples for each fine-tuning seed, at the better of the rates {RATES} by the development score",
                 depends=["minigpt.finetune", "minigpt.objective", "minigpt.tasks", "minigpt.model", "minigpt.world_tasks"],
                 summary="; ".join(f"{variant}: {np.mean(of['test']):.0f}" for variant, of in values.items()))


def lstm(options) -> None:
    """Both kinds of model with the auxiliary loss and without, each at the rate of its row in Table 5, first fine-tuning seed."""
    run = experiments.Run(reproduce.LAPTOP, options.out, options.processes, older=options.older_code)
    kinds = {"Transformer, λ = 0.5": (reproduce.FULL, {}), "Transformer, λ = 0": (reproduce.NO_AUX, {}),
             "LSTM, λ = 0.5": (reproduce.LSTM, {}), "LSTM, λ = 0": (reproduce.LSTM, {"lm_coefficient": 0.0})}
    jobs = {(kind, name, *pair): run.job(row, name, *pair, **changes) for kind, (row, changes) in kinds.items() for name in TASKS
            for pair in run.few}
    found = run.fine_tune(jobs, "LSTM")
    values = {kind: {name: experiments.by_seed({pair: found[kind, name, *pair]["test"]["accuracy"] for pair in run.few})
                     for name in TASKS} for kind in kinds}
    logs = {kind: [train.read_log(run.out / "pretrain" / f"{kind}-{seed}")[-1]["val_loss"] for seed in run.plan.seeds]
            for kind in ("gpt", "lstm")}
    values = {"held-out loss": {"Transformer": logs["gpt"], "LSTM": logs["lstm"]}, "test": values}
    results.save("08-lstm", values, "python book/studies/auxiliary.py lstm", list(run.plan.seeds),
                 "accuracy on 500 test examples, one value for each pre-training seed, first fine-tuning seed; Table 5's settings; "
                 "held-out loss: nats per token at the end of pre-training",
                 depends=[f"minigpt.{name}" for name in (*experiments.CODE, "experiments")],
                 summary="; ".join(f"{kind}: {np.mean(list(of.values())):.0f}" for kind, of in values["test"].items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["why", "lstm"])
    parser.add_argument("--model", default="world", help="of why: a model folder or a shipped model")
    parser.add_argument("--out", default="runs/reproduce", help="of lstm: the folder of `reproduce`")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--older-code", action="store_true")
    options = parser.parse_args()
    {"why": why, "lstm": lstm}[options.study](options)


if __name__ == "__main__":
    main()
