"""GPT-1's tables and figures measured again, beside the paper's: python -m minigpt reproduce gpt1-table5 --scale laptop

Laptop scale: `experiments.Run` on the embedded world; paper scale: `paper_scale`, on OpenAI's weights. What is chosen by hand
stands in the tables right below; the settings of Table 5's rows come from the target gpt1-tuning, which runs GRID on seeds of its
own and looks at development sets only.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from minigpt import cells as measured
from minigpt import model, paper, paper_scale, results, tasks, zeroshot
from minigpt.experiments import (
    CODE,
    CUES,
    Plan,
    Pretraining,
    RowSettings,
    Run,
    bag_of_words,
    by_seed,
    digest,
    first,
    plain,
    spread,
    zero_shot,
)

FULL, SCRATCH, NO_AUX, LSTM = paper.get("gpt1-table5").rows
BAG = "Bag of words + logistic regression (ours)"
OURS = results.OURS_IN_GPT1

ROWS = {FULL: RowSettings(2e-3), SCRATCH: RowSettings(5e-4), NO_AUX: RowSettings(5e-4, lm_coefficient=0.0), LSTM: RowSettings(2e-3)}
GRID = [dict(learning_rate=rate) for rate in (2e-4, 5e-4, 1e-3, 2e-3, 4e-3)]  # each run's development set chooses its epoch
LAPTOP = Plan(ROWS)
QUICK = Plan(ROWS, Pretraining(steps=2500), (1,), (2,), dev=100, test=200,
             layer_tasks=("acceptability",), zero_shot=100, auxiliary_tasks=("acceptability",), auxiliary_labels=(50, 400))
TUNING = dict(seeds=(101,), fine_seeds=(200,), names=("sentiment", "acceptability", "entailment", "pronoun"))
# The paper's tables 2 to 4 as far as the world has tasks of their kinds.
TABLES = {"gpt1-table2": ("entailment",), "gpt1-table3": ("cloze", "qa", "pronoun"),
          "gpt1-table4": ("acceptability", "sentiment", "paraphrase")}
# Figure 2 right: the heuristic that is drawn, and the task whose fine-tuned score counts as 1. Sentiment is drawn with the paper's
# "very" and two words of the stories; its own two words, which the stories never use, are measured too.
DRAWN = {"sentiment analysis": ("very: sad/happy", "sentiment"), "Winograd schemas": ("pronoun, partial", "pronoun"),
         "linguistic acceptability": ("acceptability", "acceptability"), "question answering": ("cloze", "cloze")}
CHANCE = 50.0  # every task of the world has two answers, equally often right
DEPENDS = [f"minigpt.{name}" for name in (*CODE, "experiments", "reproduce")]


# -- laptop scale: each target returns (values, protocol, summary) --------------------------------------------------------------


def table(run: Run, rows, names, label: str) -> dict:
    """Fine-tune every row on every task from every pair of seeds: {row: {task: {(seed, fine seed): value of the cell}}}."""
    jobs = {(row, name, *pair): run.job(row, name, *pair) for row in rows for name in names for pair in run.pairs}
    found = run.fine_tune(jobs, label)
    return {row: {name: {pair: found[row, name, *pair] for pair in run.pairs} for name in names} for row in rows}


def test_points(cells: dict, metric: str) -> dict:
    """{pair of seeds: value of a cell} -> {pair: its test score}."""
    return {pair: value["test"][metric] for pair, value in cells.items()}


def table5(run: Run):
    """Four rows, seven tasks, every pair of seeds; differences are taken between runs of the same pre-training seed."""
    run.pretrain(("gpt", "lstm"))
    found = table(run, run.plan.rows, run.plan.names, "Table 5")
    means = {row: {name: by_seed(test_points(cells, first(name))) for name, cells in of.items()} for row, of in found.items()}
    for of in means.values():
        of["Avg"] = np.mean([of[name] for name in run.plan.names], axis=0).tolist()
    order = ("Avg", *run.plan.names)
    effects = {"full minus w/o pre-training": SCRATCH, "full minus w/o aux LM": NO_AUX, "full minus LSTM": LSTM}
    values = {
        "rows": {row: {name: spread(of[name]) for name in order} for row, of in means.items()},
        "effects": {label: {name: spread(np.subtract(means[FULL][name], means[other][name])) for name in order}
                    for label, other in effects.items()},
        "by seed": {row: of["Avg"] for row, of in means.items()},
        "dev": {row: {name: spread(by_seed({pair: value["dev"][first(name)] for pair, value in cells.items()}))
                      for name, cells in of.items()} for row, of in found.items()},
        "settings": {row: plain(settings) for row, settings in run.plan.rows.items()},
        "seconds of fine-tuning": round(sum(value["seconds"] for of in found.values() for cells in of.values()
                                            for value in cells.values()))}
    gain = values["effects"]["full minus w/o pre-training"]["Avg"]
    full, scratch = (_one(values["rows"][row]["Avg"]) for row in (FULL, SCRATCH))
    return values, _protocol(run), f"Avg {full}, without pre-training {scratch}; gain {_one(gain)}"


def table_2_to_4(run: Run, target: str):
    """Table 5's full row on the target's tasks, every metric, and the bag of words on the same labels."""
    run.pretrain(("gpt",))
    names = TABLES[target]
    found = table(run, (FULL,), names, target)[FULL]
    jobs = {(name, fine): {"what": "bag of words", "task": name, "data_seed": fine,
                           "splits": [["train", run.plan.n_labels(name)], ["test", run.plan.test]]}
            for name in names for fine in run.plan.fine_seeds}
    bags = dict(zip(jobs, measured.run(partial(bag_of_words, run.out), list(jobs.values()), run.cells, 1, False), strict=True))
    rows = {BAG: {}, OURS: {}}
    for name in names:
        metrics = tasks.get(name).metrics
        for metric in metrics:
            column = name if len(metrics) == 1 else f"{name} ({metric})"
            rows[BAG][column] = spread([bags[name, fine]["test"][metric] for fine in run.plan.fine_seeds])
            rows[OURS][column] = spread(by_seed(test_points(found[name], metric)))
    summary = "; ".join(f"{column} {_one(value)} (bag of words {_one(rows[BAG][column])})" for column, value in rows[OURS].items())
    return {"rows": rows}, _protocol(run), summary


def fig2_left(run: Run):
    """Score against the layers transferred: -1 is nothing at all, 0 the embeddings alone."""
    run.pretrain(("gpt",))
    layers = list(range(-1, model.load(run.out / run.name("gpt", run.plan.seeds[0])).config.n_layer + 1))
    jobs = {(name, k, *pair): run.job(FULL, name, *pair, layers=k)
            for name in run.plan.layer_tasks for k in layers for pair in run.few}
    found = run.fine_tune(jobs, "Figure 2 left")

    def scores(name, k, part):
        return {pair: found[name, k, *pair][part][first(name)] for pair in run.few}

    values = {name: {"layers": layers,
                     **{part: [spread(by_seed(scores(name, k, part))) for k in layers] for part in ("dev", "train", "test")},
                     "by seed": [by_seed(scores(name, k, "test")) for k in layers]} for name in run.plan.layer_tasks}
    summary = "; ".join(f"{name}, test: {_one(v['test'][1])} with 0 layers, {_one(v['test'][-1])} with {layers[-1]}"
                        for name, v in values.items())
    return values, _protocol(run), summary


def fig2_right(run: Run):
    """Zero-shot scores of every snapshot of both models, and relative to chance (0) and to the fine-tuned score (1)."""
    run.pretrain(("gpt", "lstm"))
    steps = run.plan.pretraining.kept
    full = table(run, (FULL,), [task for _, task in DRAWN.values()], "fine-tuned, for the scale")[FULL]
    best = {task: float(np.mean(by_seed(test_points(cells, "accuracy")))) for task, cells in full.items()}
    jobs = {}
    for kind, seed, step in ((kind, seed, step) for kind in ("gpt", "lstm") for seed in run.plan.seeds for step in steps):
        name = run.name(kind, seed, step)
        jobs[kind, seed, step] = {"what": "zero-shot", "model": name, "weights": digest(run.out / name), "n": run.plan.zero_shot,
                                  "data_seed": run.plan.fine_seeds[0]}
    found = dict(zip(jobs, measured.run(partial(zero_shot, run.out), list(jobs.values()), run.cells, run.processes, run.progress,
                                        "Figure 2 right"), strict=True))
    names = [name for name in next(iter(found.values())) if name != "seconds"]
    raw = {kind: {name: [[found[kind, seed, step][name] for seed in run.plan.seeds] for step in steps] for name in names}
           for kind in ("gpt", "lstm")}
    scaled = {label: pair for label, pair in DRAWN.items() if best[pair[1]] >= CHANCE + 1}  # else there is no scale to draw on
    relative = {kind: {label: [[round(zeroshot.relative(score, CHANCE, best[task]), 4) for score in of_seeds]
                               for of_seeds in raw[kind][heuristic]]
                       for label, (heuristic, task) in scaled.items()} for kind in raw}
    end = {kind: {label: spread(curve[-1]) for label, curve in relative[kind].items()} for kind in raw}
    summary = "at the end: " + "; ".join(f"{label} {_one(value, 2)}" for label, value in end["gpt"].items())
    return {"updates": steps, "points": raw, "relative": relative, "at the end": end, "fine-tuned": best, "chance": CHANCE,
            "heuristics": {label: heuristic for label, (heuristic, _) in DRAWN.items()},
            "cues": {cue: [text, *words] for cue, (text, words) in CUES.items()}}, _protocol(run), summary


def by_labels(run: Run) -> tuple[dict, dict[int, int]]:
    """Three rows of Table 5 on ever more labels: ({row: {task: [a score for each pre-training seed, for each size]}}, epochs).

    The number of updates is kept about equal, within bounds.
    """
    run.pretrain(("gpt",))
    plan = run.plan
    most = plan.rows[FULL].epochs
    epochs = {n: max(3, min(3 * most, round(most * 500 / n))) for n in plan.auxiliary_labels}
    jobs = {(row, name, n, *pair): run.job(row, name, *pair, labels=n, epochs=epochs[n]) for row in (FULL, NO_AUX, SCRATCH)
            for name in plan.auxiliary_tasks for n in plan.auxiliary_labels for pair in run.few}
    found = run.fine_tune(jobs, "labels")
    return {row: {name: [by_seed(test_points({pair: found[row, name, n, *pair] for pair in run.few}, first(name)))
                         for n in epochs] for name in plan.auxiliary_tasks} for row in (FULL, NO_AUX, SCRATCH)}, epochs


def auxiliary(run: Run):
    """What the auxiliary loss adds on ever more labels; with and without it at the rates that were tuned for each."""
    seeds, epochs = by_labels(run)
    parts = {"with": FULL, "without": NO_AUX, "from scratch": SCRATCH}
    effect = {name: np.subtract(seeds[FULL][name], seeds[NO_AUX][name]) for name in seeds[FULL]}
    mean = np.mean(list(effect.values()), axis=0)
    values = {"labels": list(epochs), "lambda": run.plan.rows[FULL].lm_coefficient, "epochs": list(epochs.values()),
              **{part: {name: [spread(row) for row in of] for name, of in seeds[row].items()} for part, row in parts.items()},
              "effect": {name: [spread(row) for row in rows] for name, rows in effect.items()},
              "mean effect": [spread(row) for row in mean]}
    summary = "; ".join(f"{n} labels: {_one(value)}" for n, value in zip(epochs, values["mean effect"], strict=True))
    return values, f"{_protocol(run)}; here the labels differ, and the epochs: {list(epochs.values())}", summary


def tuning(run: Run):
    """Every row of Table 5 over GRID: the mean development score over the tasks decides, at a tie the lower rate."""
    run.pretrain(("gpt", "lstm"))
    jobs = {(row, i, name, *pair): run.job(row, name, *pair, **changes) for row in run.plan.rows for i, changes in enumerate(GRID)
            for name in run.plan.names for pair in run.pairs}
    found = run.fine_tune(jobs, "tuning")
    score = {row: [round(float(np.mean([found[row, i, name, *pair]["dev"][first(name)] for name in run.plan.names
                                        for pair in run.pairs])), 3) for i in range(len(GRID))] for row in run.plan.rows}
    best = {row: GRID[max(range(len(GRID)), key=lambda i: (scores[i], -i))] for row, scores in score.items()}
    values = {"grid": GRID, "development score": score, "best": best,
              "in use": {row: plain(settings) for row, settings in run.plan.rows.items()}}
    return values, _protocol(run), "; ".join(f"{row}: {settings}" for row, settings in best.items())


TARGETS = {"gpt1-table2": partial(table_2_to_4, target="gpt1-table2"), "gpt1-table3": partial(table_2_to_4, target="gpt1-table3"),
           "gpt1-table4": partial(table_2_to_4, target="gpt1-table4"), "gpt1-table5": table5, "gpt1-fig2-left": fig2_left,
           "gpt1-fig2-right": fig2_right, "gpt1-auxiliary": auxiliary, "gpt1-tuning": tuning}
RECORDS = {"gpt1-auxiliary": "08-auxiliary"}  # the others are called after their target and scale


def laptop(target: str, run: Run, command: str = "", record: str | None = None) -> dict:
    """Measure a target on the embedded world and keep it as a record, if given a name for one. Returns the record's values."""
    values, protocol, summary = TARGETS[target](run)
    if record:
        results.save(record, values, command, [*run.plan.seeds], protocol,
                     "95 %, Student's t over the means of the pre-training seeds", DEPENDS, summary)
    print(summary)
    return values


def _one(value, digits: int = 1) -> str:
    mean, half = value
    return f"{mean:.{digits}f}" if half is None else f"{mean:.{digits}f} ± {half:.{digits}f}"


def _labels(plan: Plan) -> str:
    return ", ".join(f"{name} {plan.n_labels(name)}" for name in plan.names)


def _protocol(run: Run) -> str:
    plan, pre = run.plan, run.plan.pretraining
    return (f"embedded world; both models pre-trained for {pre.steps} updates of {pre.batch_size} windows, seeds {plan.seeds}; "
            f"labels: {_labels(plan)}; {plan.dev} for development (best epoch), {plan.test} test examples with other words; "
            f"fine-tuning seeds {plan.fine_seeds}, each with labels of its own; interval: 95 %, over the means of the "
            f"pre-training seeds")


# -- the command ------------------------------------------------------------------------------------------------------------------


def add_arguments(p, more=()) -> None:
    """The options of `python -m minigpt reproduce`, added to an argparse parser; `more`: targets that others measure."""
    p.add_argument("target", choices=[*TARGETS, *more], metavar="TARGET", help=", ".join([*TARGETS, *more]))
    p.add_argument("--scale", choices=["laptop", "paper"], default="laptop",
                   help="laptop (default): the embedded world and small models; paper: official weights and the papers' data sets")
    p.add_argument("--quick", action="store_true", help="one seed, few labels, in minutes; prints, keeps no record")
    p.add_argument("--out", help="folder of the measurements; a run that was stopped goes on there (default runs/reproduce)")
    p.add_argument("--processes", type=int, default=1, help="cells measured at a time, one thread each (default 1)")
    p.add_argument("--seeds", type=int, nargs="+", help="of pre-training (laptop: 101 102 103) or, at paper scale, of fine-tuning")
    p.add_argument("--fine-seeds", type=int, nargs="+", help="laptop: of fine-tuning (201 202 203)")
    p.add_argument("--older-code", action="store_true", help="use cells in --out that were measured by other code")
    p.add_argument("--model", nargs="+", help=f"folders or hub ids; for GPT-1's paper scale one (default {paper_scale.WEIGHTS})")
    p.add_argument("--label", help="of the record, book/results/TARGET-LABEL.json (default: the scale)")
    p.add_argument("--lstm", help="paper scale: a folder with a pre-trained LSTM, for Table 5's last row")
    p.add_argument("--limit", type=int, help="paper scale: training examples at most")
    p.add_argument("--quiet", action="store_true", help="no progress bar")


def command(options) -> None:
    """Measure a target as the command line asks, print it beside the paper, and keep the record of a full laptop run."""
    target, shown = options.target, f"python -m minigpt reproduce {options.target} --scale {options.scale}"
    print(beside_paper(target), end="\n\n")
    if options.scale == "paper":
        rows = paper_scale.measure(target, options)
        results.save(f"{target}-{options.label or 'paper'}", {"rows": rows}, shown, options.seeds or [0],
                     "development sets, the paper's settings", "95 %, Student's t over fine-tuning seeds",
                     [*DEPENDS, "minigpt.paper_scale"],
                     "; ".join(f"{name}: " + ", ".join(f"{column} {_one(value)}" for column, value in of.items())
                               for name, of in rows.items()))
        print(rows_table(rows, f"{target}, ours, on development sets"))
        return
    plan = QUICK if options.quick else LAPTOP
    if target == "gpt1-tuning":
        plan = replace(plan, **TUNING)
    changes = {"seeds": options.seeds, "fine_seeds": options.fine_seeds}
    plan = replace(plan, **{name: tuple(value) for name, value in changes.items() if value})
    out = options.out or ("runs/reproduce-quick" if options.quick else "runs/reproduce")
    run = Run(plan, out, options.processes, not options.quiet, options.older_code)
    record = f"{target}-{options.label}" if options.label else RECORDS.get(target, f"{target}-laptop")
    values = laptop(target, run, shown, None if options.quick else record)
    if "rows" in values:
        print(rows_table(values["rows"], f"{target}, ours, in points"))


def beside_paper(target: str) -> results.Table | str:
    """What the paper prints, to stand above what is measured."""
    if target not in paper.ENTRIES:
        return f"{target}: the paper has no table of it"
    entry = paper.get(target)
    note = "" if entry.mark == "read" else f"The paper's numbers: {entry.mark}."
    return results.Table(["", *entry.columns], [[label, *("–" if value is None else value for value in values)]
                                                for label, values in entry.rows.items()], f"{entry.where}: {entry.caption}", note)


def rows_table(rows: dict, caption: str) -> results.Table:
    """{row: {column: [mean, half width]}} as a table."""
    columns = list(dict.fromkeys(column for of in rows.values() for column in of))
    return results.Table(["", *columns], [[row, *(_one(of[c]) if c in of else "–" for c in columns)] for row, of in rows.items()],
                         caption)
