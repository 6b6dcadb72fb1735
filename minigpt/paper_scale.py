"""GPT-1's tables and figures at the paper's scale: OpenAI's weights, the data sets of Table 1, and the paper's settings.

The laptop's functions do the work (`experiments.fine_tune`, `zeroshot`); here stands what there is to measure and what it costs.
None of it has been run by the authors of this book: the weights and most data sets live on the hub, and a GPU is needed.
"""

from dataclasses import replace
from pathlib import Path

import torch

from minigpt import finetune, hub, model, paper, tasks, zeroshot
from minigpt.bpe import BPE
from minigpt.experiments import Run, digest, first, plain, spread
from minigpt.results import OURS_IN_GPT1 as OURS

WEIGHTS = "openai-community/openai-gpt"
FULL, SCRATCH, NO_AUX, LSTM = paper.get("gpt1-table5").rows
TASKS = {"gpt1-table2": ("mnli", "snli", "scitail", "qnli", "rte"), "gpt1-table3": ("storycloze", "race"),
         "gpt1-table4": ("cola", "sst2", "mrpc", "stsb", "qqp"),
         "gpt1-table5": ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"),
         "gpt1-fig2-left": ("race", "mnli"), "gpt1-fig2-right": ("sst2", "cola", "race")}
# Roughly what the data sets hold: training examples, sequences of each, tokens of each sequence.
SIZES = {"snli": (550_000, 1, 30), "mnli": (393_000, 1, 45), "qnli": (105_000, 1, 55), "rte": (2_500, 1, 75),
         "scitail": (23_600, 1, 40), "race": (88_000, 4, 400), "storycloze": (1_500, 2, 60), "mrpc": (3_700, 2, 60),
         "qqp": (364_000, 2, 35), "stsb": (5_700, 2, 35), "sst2": (67_000, 1, 15), "cola": (8_600, 1, 15)}
# Figure 2 right: chance, and the best number of the time, by task.
SCALE = {"sst2": (50.0, ("gpt1-table4", "Sparse byte mLSTM", "SST2 (acc)")),
         "cola": (0.0, ("gpt1-table4", "Single-task BiLSTM + ELMo + Attn", "CoLA (mc)")),
         "race": (25.0, ("gpt1-table3", "BiAttention MRU (9x)", "RACE"))}


def estimate(target: str, rows: int = 1, rate: float = 30e12) -> str:
    """What a target asks of a GPU that sustains `rate` operations a second: arithmetic on SIZES, in words."""
    parameters, shape = paper.PARAMETERS["gpt1"], paper.PRESETS["gpt1"]
    examples = {name: SIZES[name] for name in TASKS[target]}
    epochs, batch = paper.fact("gpt1-finetune-epochs"), paper.fact("gpt1-finetune-batch")
    tokens = rows * epochs * sum(n * sequences * length for n, sequences, length in examples.values())
    longest = batch * max(sequences * length for _, sequences, length in examples.values())  # tokens of a batch
    # Weights, gradients and Adam's averages; logits with their gradient and softmax; about 34 values of each width in each block.
    memory = 16 * parameters + 4 * longest * (3 * shape["vocab_size"] + 34 * shape["n_layer"] * shape["n_embd"])
    return (f"{target} at paper scale: {', '.join(examples)}. About {tokens / 1e6:,.0f} million tokens of training: "
            f"{6 * parameters * tokens / rate / 3600:.1f} hours on a GPU that sustains {rate / 1e12:.0f} TFLOP/s, and "
            f"{memory / 2**30:.0f} GB of its memory. Estimated from sizes, not measured.")


def measure(target: str, options) -> dict:
    """The target's rows {row: {task: [mean, half width]}}, in points; scores are of the development sets.

    (The paper's are of test sets, most of which only GLUE's server can score.) options: model, lstm, out, seeds, limit, quiet,
    older_code, as the command line gives them. Raises hub.HubError or ValueError, in one line, where something is out of reach.
    """
    if target not in TASKS:
        raise ValueError(f"{target} has no paper scale; choose one of {', '.join(TASKS)}")
    rows, weights = {OURS: {}}, (options.model or [WEIGHTS])[0]
    if target == "gpt1-table5":
        rows = {FULL: {}, SCRATCH: dict(layers=-1), NO_AUX: dict(lm_coefficient=0.0), LSTM: {}}
    if target == "gpt1-fig2-left":
        rows = {f"{k} layers": dict(layers=k) for k in range(paper.PRESETS["gpt1"]["n_layer"] + 1)}
    if target == "gpt1-fig2-right":
        print("Zero-shot scores of the final weights on development sets, in minutes. OpenAI released no earlier snapshots, and "
              "the Winograd schemas are not among Table 1's data sets.", flush=True)
        return zero_shot(model.load(weights), BPE.load(weights), options.limit)
    print(estimate(target, len(rows)), flush=True)
    model.load(weights), BPE.load(weights)  # are they there?
    if LSTM in rows and not options.lstm:
        print("No pre-trained LSTM of the paper's shape is published: its row is left out (--lstm names a folder of yours).")
        del rows[LSTM]
    run = Run(None, options.out or "runs/reproduce-paper", 1, not options.quiet, options.older_code)
    device, seeds = "cuda" if torch.cuda.is_available() else "cpu", options.seeds or [0]
    jobs = {}
    for row, changes in rows.items():
        name = options.lstm if row == LSTM else weights
        revision = digest(Path(name)) if Path(name).is_dir() else hub.REVISIONS.get(name)
        for task, seed in ((task, seed) for task in TASKS[target] for seed in seeds):
            jobs[row, task, seed] = {
                "what": "fine-tuning", "model": name, "weights": revision, "task": task, "data_seed": seed, "device": device,
                "config": plain(replace(finetune.FinetuneConfig(), seed=seed, **changes)),
                "splits": [["train", options.limit], ["validation", None], ["validation", None]], "progress": not options.quiet}
    found = run.fine_tune(jobs, target)
    return {row: {task: spread([found[row, task, seed]["dev"][first(task)] for seed in seeds]) for task in TASKS[target]}
            for row in rows}


def zero_shot(lm, bpe, limit: int | None = None) -> dict:
    """Three of Figure 2's heuristics on official weights: {"points": {task: score}, "relative": {task: score}}."""
    lm = lm.to("cuda" if torch.cuda.is_available() else "cpu")
    read = {name: tasks.read(name, "validation", limit) for name in SCALE}
    texts = {name: [example.segments[0] for example in read[name]] for name in ("sst2", "cola")}
    apart = tasks.read("cola", "train", limit)
    cut = zeroshot.threshold(zeroshot.acceptability_scores(lm, bpe, [example.segments[0] for example in apart]),
                             [example.label for example in apart])
    race = zeroshot.choose(lm, bpe, [" ".join(example.segments) for example in read["race"]],
                           [example.answers for example in read["race"]])
    predicted = {"sst2": zeroshot.sentiment_by_very(lm, bpe, texts["sst2"]) > 0,
                 "cola": zeroshot.acceptability_scores(lm, bpe, texts["cola"]) > cut, "race": [row.argmax() for row in race]}
    points = {name: tasks.scores([first(name)], [int(p) for p in found], [example.label for example in read[name]])[first(name)]
              for name, found in predicted.items()}
    relative = {name: zeroshot.relative(points[name], chance, paper.get(cell[0]).value(*cell[1:]))
                for name, (chance, cell) in SCALE.items()}
    return {"points": {name: [value, None] for name, value in points.items()},
            "relative": {name: [value, None] for name, value in relative.items()}}
