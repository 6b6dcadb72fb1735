"""Is the Transformer behind the LSTM because it is given too few passes? A study of chapter 08: python book/studies/patience.py

Table 5's full row once more, with four times the epochs, on a task where it lies far behind the LSTM's row.
"""

import argparse

import numpy as np
import torch

from minigpt import experiments, reproduce, results
from minigpt.experiments import by_seed, first, spread

TASKS, TIMES = ("entailment",), 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/reproduce", help="where finished runs are kept, those of `reproduce` too")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time, one thread each (default 1)")
    parser.add_argument("--older-code", action="store_true", help="use runs in --out that were made by other code")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run = experiments.Run(reproduce.LAPTOP, options.out, options.processes, older=options.older_code)
    run.pretrain(("gpt", "lstm"))
    few = run.plan.rows[reproduce.FULL].epochs
    jobs = {(row, epochs, name, pair): run.job(row, name, *pair, epochs=epochs) for row, epochs in (
        (reproduce.FULL, few), (reproduce.FULL, TIMES * few), (reproduce.LSTM, few)) for name in TASKS for pair in run.few}
    found = run.fine_tune(jobs, "patience")
    values = {}
    for row, epochs in dict.fromkeys((row, epochs) for row, epochs, _, _ in jobs):
        values[f"{row}, {epochs} epochs"] = {name: spread(by_seed({
            pair: found[row, epochs, name, pair]["test"][first(name)] for pair in run.few})) for name in TASKS}
    gain = np.mean([values[f"{reproduce.FULL}, {TIMES * few} epochs"][name][0] - values[f"{reproduce.FULL}, {few} epochs"][name][0]
                    for name in TASKS])
    results.save("08-patience", values, "python book/studies/patience.py", list(run.plan.seeds),
                 f"Table 5's settings, with {few} and {TIMES * few} epochs; one fine-tuning seed for each pre-training seed; best "
                 "epoch on the development set; test accuracy in points", "95 %, over the pre-training seeds",
                 [f"minigpt.{name}" for name in (*experiments.CODE, "experiments", "reproduce")],
                 f"{TIMES} times the epochs: {gain:+.1f} points on average")
    print(results.load("08-patience"))


if __name__ == "__main__":
    main()
