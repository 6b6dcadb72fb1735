"""Reproducing GPT-1's tables: cells survive a kill and never mix, intervals are over the right means, every target runs."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from minigpt import BPE, GPT, GPTConfig, cells, experiments, finetune, paper_scale, reproduce, results, tasks, world
from minigpt.__main__ import main
from minigpt.cells import Cells
from minigpt.experiments import Plan, Pretraining, RowSettings, Run, by_seed, spread

ROWS = {name: RowSettings(1e-3, 1, lm_coefficient=row.lm_coefficient) for name, row in reproduce.ROWS.items()}
LSTM_SHAPE = experiments.model.LSTMConfig(vocab_size=400, n_positions=48, n_embd=8, n_units=8, dropout=0.0)
GPT_SHAPE = GPTConfig(vocab_size=400, n_positions=48, n_layer=2, n_head=2, n_embd=8, dropout=0.0)


# -- cells ------------------------------------------------------------------------------------------------------------------------


def double(job: dict) -> dict:
    return {"twice": 2 * job["n"]}


def fails_at_three(job: dict) -> dict:
    if job["n"] == 3:
        raise ValueError("three is too many")
    return double(job)


def test_finished_cells_are_not_measured_again(tmp_path):
    asked = []

    def function(job):
        asked.append(job["n"])
        return double(job)

    jobs = [{"n": n} for n in (1, 2, 1, 5)]
    first = cells.run(function, jobs, Cells(tmp_path), progress=False)
    assert [value["twice"] for value in first] == [2, 4, 2, 10] and asked == [1, 2, 5]
    again = cells.run(function, [*jobs, {"n": 7}], Cells(tmp_path), progress=False)
    assert again[:4] == first and asked == [1, 2, 5, 7]


def test_everything_in_a_job_is_its_key(tmp_path):
    kept = Cells(tmp_path, "code")
    job = {"task": "qa", "config": {"seed": 1, "learning_rate": 1e-3}, "splits": [["train", 5]]}
    kept.add(job, {"test": 1.0})
    assert {"splits": [["train", 5]], "config": {"learning_rate": 1e-3, "seed": 1}, "task": "qa"} in Cells(tmp_path, "code")
    for change in ({"task": "cloze"}, {"config": {"seed": 2, "learning_rate": 1e-3}}, {"splits": [["train", 6]]}, {"more": None}):
        assert job | change not in Cells(tmp_path, "code")


def test_cells_of_other_code_are_passed_over_unless_asked_for(tmp_path):
    Cells(tmp_path, "old").add({"n": 1}, {"twice": 3})
    new = Cells(tmp_path, "new")
    assert {"n": 1} not in new and new.passed_over == 1
    assert Cells(tmp_path, "new", older=True)[{"n": 1}] == {"twice": 3}
    new.add({"n": 1}, {"twice": 2})
    assert Cells(tmp_path, "new")[{"n": 1}] == {"twice": 2} and Cells(tmp_path, "old")[{"n": 1}] == {"twice": 3}


def test_a_line_cut_short_by_a_kill_costs_one_cell(tmp_path):
    kept = Cells(tmp_path)
    for n in (1, 2):
        kept.add({"n": n}, double({"n": n}))
    whole = kept.path.read_bytes()
    kept.path.write_bytes(whole[:-9])
    found = cells.run(double, [{"n": n} for n in (1, 2, 3)], Cells(tmp_path), progress=False)
    assert [value["twice"] for value in found] == [2, 4, 6]
    rows = kept.path.read_text(encoding="utf-8").splitlines()
    assert len(rows) == 4 and [json.loads(row)["job"]["n"] for i, row in enumerate(rows) if i != 1] == [1, 2, 3]
    assert len(Cells(tmp_path).values) == 3


def test_a_failing_job_keeps_what_was_finished_before_it(tmp_path):
    with pytest.raises(ValueError, match="three is too many"):
        cells.run(fails_at_three, [{"n": n} for n in (1, 2, 3, 4)], Cells(tmp_path), progress=False)
    assert {"n": 2} in Cells(tmp_path) and {"n": 4} not in Cells(tmp_path)


def test_two_processes_find_what_one_does(tmp_path):
    jobs = [{"n": n} for n in range(6)]
    one, two = (cells.run(double, jobs, Cells(tmp_path / str(n)), processes=n, progress=False) for n in (1, 2))
    assert [value["twice"] for value in one] == [value["twice"] for value in two] == [0, 2, 4, 6, 8, 10]
    with pytest.raises(ValueError, match="three is too many"):
        cells.run(fails_at_three, jobs, Cells(tmp_path / "failing"), processes=2, progress=False)
    with pytest.raises(ValueError, match="at least 1"):
        cells.run(double, [{"n": 99}], Cells(tmp_path), processes=0, progress=False)


KILLED = """
import sys, time
from pathlib import Path
from minigpt.cells import Cells, run
def slow(job):
    with open(sys.argv[1] + "/asked", "a") as file:
        file.write(f"{job['n']} ")
    time.sleep(float(sys.argv[2]))
    return {"twice": 2 * job["n"]}
run(slow, [{"n": n} for n in range(6)], Cells(sys.argv[1]), progress=False)
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    def start(seconds):
        return subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), seconds], cwd=Path(reproduce.__file__).parent.parent)

    first, file = start("0.3"), tmp_path / "cells.jsonl"
    for _ in range(600):
        if file.is_file() and file.read_text(encoding="utf-8").count("\n") >= 2:
            break
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = file.read_text(encoding="utf-8").count("\n")
    assert 2 <= before < 6
    assert start("0").wait() == 0
    asked = (tmp_path / "asked").read_text().split()
    assert sorted(set(asked)) == list("012345") and len(asked) <= 7  # the one that was cut off, twice at most
    assert file.read_text(encoding="utf-8").count("\n") == 6


# -- means and intervals ----------------------------------------------------------------------------------------------------------


def test_the_interval_is_over_the_means_of_the_pretraining_seeds():
    values = {(s, f): 10.0 * s + f for s in (1, 2, 3) for f in (0, 3)}
    assert by_seed(values) == [11.5, 21.5, 31.5]
    mean, half = spread(by_seed(values))
    assert mean == 21.5 and half == pytest.approx(4.3027 * 10 / np.sqrt(3), abs=1e-2)  # t for 2 degrees of freedom, s = 10
    assert spread([4.0]) == [4.0, None]


# -- the laptop scale, on a Transformer and an LSTM of a few thousand weights -----------------------------------------------------


@pytest.fixture(scope="module")
def out(tmp_path_factory, stories):
    """A folder in which both models have been pre-trained, for six updates, with two snapshots."""
    folder = tmp_path_factory.mktemp("out")
    BPE.train(stories[:100], 400).save(folder / "bpe")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments.model, "config_of", lambda name: LSTM_SHAPE if name == "world-lstm" else GPT_SHAPE)
        patch.setattr(cells, "parallel", lambda f, jobs, processes, tick: ((job, f(job)) for job in jobs))
        run = Run(plan(folder), folder, progress=False)
        run.pretrain(("gpt", "lstm"))
        stamp = (folder / "pretrain/gpt-1/step-6/model.safetensors").stat().st_mtime_ns
        run.pretrain(("gpt", "lstm"))  # nothing is missing
        assert stamp == (folder / "pretrain/gpt-1/step-6/model.safetensors").stat().st_mtime_ns
    return folder


def plan(folder, **changes) -> Plan:
    settings = Pretraining(steps=6, batch_size=4, micro_batch=4, precision="fp32", n_bytes=20_000, tokenizer=str(folder / "bpe"),
                           eval_every=3, snapshots=(0, 3, 4000), warmup=2)
    return replace(Plan(ROWS, settings, (1, 2), (5, 6), names=("sentiment", "qa"), labels=8, dev=6, test=10, zero_shot=10,
                        layer_tasks=("entailment",), auxiliary_tasks=("sentiment",), auxiliary_labels=(6, 12)), **changes)


@pytest.fixture
def run(out) -> Run:
    return Run(plan(out), out, progress=False)


def test_pretraining_keeps_snapshots_and_refuses_other_settings(out):
    weights = {step: torch.cat([p.flatten() for p in GPT.from_pretrained(out / f"pretrain/gpt-1/step-{step}").parameters()])
               for step in (0, 3, 6)}
    torch.manual_seed(1)
    torch.testing.assert_close(weights[0], torch.cat([p.flatten() for p in GPT(GPT_SHAPE).parameters()]))
    assert not torch.equal(weights[0], weights[3]) and not torch.equal(weights[3], weights[6])
    assert not (out / "pretrain/gpt-1/checkpoints").exists() and BPE.load(out / "pretrain/lstm-2/step-3").vocab_size == 400
    other = replace(plan(out), pretraining=replace(plan(out).pretraining, learning_rate=1e-3))
    with pytest.raises(ValueError, match="other settings"):
        Run(other, out, progress=False).pretrain(("gpt",))


def test_a_killed_pretraining_ends_in_the_same_weights(out, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments.model, "config_of", lambda name: GPT_SHAPE)
    settings = experiments.plain(replace(plan(out).pretraining, steps=15))
    job = {"kind": "gpt", "seed": 3, "settings": settings, "folder": "whole"}
    experiments.pretrain(tmp_path, job)

    def killed(made, bpe, folder, step):
        if step == 15:
            raise KeyboardInterrupt
        return keep(made, bpe, folder, step)

    keep = experiments.keep
    monkeypatch.setattr(experiments, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        experiments.pretrain(tmp_path, job | {"folder": "killed"})
    assert (tmp_path / "killed/checkpoints").is_dir() and not (tmp_path / "killed/step-15").exists()
    monkeypatch.setattr(experiments, "keep", keep)
    experiments.pretrain(tmp_path, job | {"folder": "killed"})
    a, b = ((tmp_path / name / "step-15/model.safetensors").read_bytes() for name in ("whole", "killed"))
    assert a == b


def test_table_5_has_four_rows_and_pairs_its_seeds(run):
    values = reproduce.laptop("gpt1-table5", run)
    assert list(values["rows"]) == list(reproduce.ROWS) and list(values["rows"][reproduce.FULL]) == ["Avg", "sentiment", "qa"]
    assert len(run.cells.values) == 4 * 2 * 2 * 2
    jobs = [json.loads(key) for key in run.cells.values]
    layers = {(job["config"]["layers"], job["model"].split("/")[1].split("-")[0], job["config"]["lm_coefficient"]) for job in jobs}
    assert layers == {(2, "gpt", 0.5), (-1, "gpt", 0.5), (2, "gpt", 0.0), (None, "lstm", 0.5)}
    assert {job["config"]["seed"] for job in jobs} == {1005, 1006, 2005, 2006}
    expected = [np.mean([run.cells[run.job(reproduce.FULL, name, seed, fine)]["test"]["accuracy"]
                         for name in ("sentiment", "qa") for fine in (5, 6)]) for seed in (1, 2)]
    assert values["rows"][reproduce.FULL]["Avg"] == pytest.approx(spread(expected))
    assert values["by seed"][reproduce.FULL] == pytest.approx(expected)
    scratch = values["by seed"][reproduce.SCRATCH]
    gain = values["effects"]["full minus w/o pre-training"]["Avg"]
    assert gain == pytest.approx(spread(np.subtract(expected, scratch)))
    before = len(run.cells.values)
    assert reproduce.laptop("gpt1-table5", Run(run.plan, run.out, progress=False)) == values and len(run.cells.values) == before


def test_a_cell_is_what_finetune_and_evaluate_say(run):
    job = run.job(reproduce.FULL, "qa", 1, 5)
    value = experiments.fine_tune(run.out, job)
    folder, task = run.out / "pretrain/gpt-1/step-6", tasks.get("qa")
    train, dev, test = (tasks.read(task, part, n, 5) for part, n in (("train", 8), ("validation", 6), ("test", 10)))
    config = replace(finetune.LAPTOP, learning_rate=1e-3, epochs=1, batch_size=16, lm_coefficient=0.5, seed=1005, layers=2)
    bpe = BPE.load(folder)
    found = finetune.finetune(GPT.from_pretrained(folder), bpe, task, train, dev, config, progress=False)
    assert value["test"] == finetune.evaluate(found.classifier, bpe, task, test)
    assert value["train"] == finetune.evaluate(found.classifier, bpe, task, train[:6]) and value["dev"] == found.dev


def test_each_task_has_its_own_number_of_labels(run):
    run.plan = replace(run.plan, labels={"sentiment": 8, "qa": 12})
    assert [run.job(reproduce.FULL, name, 1, 5)["splits"][0] for name in ("sentiment", "qa")] == [["train", 8], ["train", 12]]


def test_tables_2_to_4_share_table_5s_cells_and_show_a_baseline(run):
    reproduce.laptop("gpt1-table5", run)
    before = len([key for key in run.cells.values if "fine-tuning" in key])
    rows = reproduce.table_2_to_4(replace_names(run, ("qa",)), "gpt1-table3")[0]["rows"]
    assert list(rows) == [reproduce.BAG, reproduce.OURS] and "qa" in rows[reproduce.OURS]
    after = len([key for key in run.cells.values if "fine-tuning" in key])
    assert after - before <= 2 * 4  # cloze and pronoun are new, qa is not
    rows = reproduce.laptop("gpt1-table4", run)["rows"]
    assert {"acceptability (accuracy)", "acceptability (matthews)", "sentiment"} <= set(rows[reproduce.OURS])


def replace_names(run: Run, names) -> Run:
    run.plan = replace(run.plan, names=names)
    return run


def test_the_bag_of_words_learns_words_but_not_pairs():
    job = {"task": "sentiment", "data_seed": 0, "splits": [["train", 400], ["train", 400]]}
    assert experiments.bag_of_words(None, job)["test"]["accuracy"] > 95  # the words it was trained on
    unseen = experiments.bag_of_words(None, job | {"splits": [["train", 400], ["test", 200]]})["test"]["accuracy"]
    assert abs(unseen - 50) < 12  # other words: nothing to go by
    pairs = experiments.bag_of_words(None, {"task": "qa", "data_seed": 0, "splits": [["train", 100], ["test", 100]]})
    assert abs(pairs["test"]["accuracy"] - 50) < 20


def test_figure_2_left_goes_from_nothing_to_every_layer(run):
    values = reproduce.laptop("gpt1-fig2-left", run)["entailment"]
    assert values["layers"] == [-1, 0, 1, 2]
    assert all(len(values[part]) == 4 for part in ("dev", "train", "test"))
    jobs = [json.loads(key) for key in run.cells.values if '"entailment"' in key]
    assert {job["config"]["layers"] for job in jobs} == {-1, 0, 1, 2}


def test_figure_2_right_is_relative_to_chance_and_the_fine_tuned_score(run, monkeypatch):
    points = {"sentiment": 90.0, "pronoun": 75.0, "acceptability": 60.0, "cloze": 50.5}
    monkeypatch.setattr(reproduce, "table", lambda run, rows, names, label: {reproduce.FULL: {
        name: {pair: {"test": {"accuracy": points[name]}} for pair in run.pairs} for name in names}})
    values = reproduce.laptop("gpt1-fig2-right", run)
    assert values["updates"] == [0, 3, 6] and values["fine-tuned"] == points
    assert list(values["relative"]["lstm"]) == ["sentiment analysis", "Winograd schemas", "linguistic acceptability"]
    for label, curve in values["relative"]["lstm"].items():
        heuristic, task = reproduce.DRAWN[label]
        raw = np.array(values["points"]["lstm"][heuristic])
        assert raw.shape == (3, 2)  # snapshots, seeds
        np.testing.assert_allclose(curve, (raw - 50) / (points[task] - 50), atol=1e-4)
    assert {"very: negative/positive", "qa", "acceptability, AUC"} <= set(values["points"]["gpt"])


def test_zero_shot_accuracies_on_a_model_that_knows_the_answers(monkeypatch, tmp_path):
    """The right texts reach each heuristic, and its scores are compared with the right labels."""
    n = 30
    rows = {name: world.task(name, "test", n, 4) for name in ("acceptability", "sentiment", "cloze", "qa", "pronoun")}
    label = {row.get("text"): row["label"] for name in ("acceptability", "sentiment") for row in rows[name]}
    label |= {row["text"]: row["label"] for row in world.task("acceptability", "train", n, 4)}
    given = {row["context"]: row["label"] for row in rows["cloze"]}
    given |= {f"{row['context']} {row['question']}": 1 - row["label"] for row in rows["qa"]}  # wrong on purpose
    schemas = {row["text"].replace(" it ", " ? "): row["label"] for row in rows["pronoun"]}
    monkeypatch.setattr(experiments.model, "load", lambda name: None)
    monkeypatch.setattr(experiments.BPE, "load", lambda name: None)
    zero = experiments.zeroshot
    monkeypatch.setattr(zero, "acceptability_scores", lambda lm, bpe, texts: np.array([label[t] - 3.0 for t in texts]))
    monkeypatch.setattr(zero, "sentiment_by_very", lambda lm, bpe, texts, words, cue: np.array(
        [(label[t] - 0.5) * (1 if cue == "Everyone" and words == ("hated", "loved") else -1) for t in texts]))
    monkeypatch.setattr(zero, "choose", lambda lm, bpe, texts, answers: [np.eye(2)[given[t]] for t in texts])
    for name in ("pronoun_partial", "pronoun_full"):
        monkeypatch.setattr(zero, name, lambda lm, bpe, found: [np.eye(2)[schemas[f"{b} ? {a}"]] for b, _, a in found])
    found = experiments.zero_shot(tmp_path, {"model": "x", "n": n, "data_seed": 4})
    assert found == {"acceptability": 100, "very: negative/positive": 0, "very: sad/happy": 0, "Everyone: hated/loved": 100,
                     "cloze": 100, "qa": 0, "pronoun, partial": 100, "pronoun, full": 100, "acceptability, AUC": 100,
                     "very: negative/positive, AUC": 0, "very: sad/happy, AUC": 0, "Everyone: hated/loved, AUC": 100}


def test_the_study_of_labels_changes_labels_lambda_and_its_rate_alone(run):
    values = reproduce.laptop("gpt1-auxiliary", run)
    assert values["labels"] == [6, 12] and len(values["mean effect"]) == 2
    epochs = values["epochs"][0]
    jobs = [run.job(row, "sentiment", 1, 5, labels=6, epochs=epochs) for row in (reproduce.FULL, reproduce.NO_AUX)]
    with_, without = (run.cells[job]["test"]["accuracy"] for job in jobs)
    assert isinstance(with_ - without, float)
    a, b = (json.loads(json.dumps(job)) for job in jobs)
    assert a["config"].pop("lm_coefficient") == 0.5 and b["config"].pop("lm_coefficient") == 0.0
    assert {job["config"].pop("learning_rate") for job in (a, b)} and a == b
    means = [run.cells[run.job(reproduce.FULL, "sentiment", s, 5, labels=6, epochs=epochs)]["test"]["accuracy"] for s in (1, 2)]
    assert values["with"]["sentiment"][0] == pytest.approx(spread(means))


def test_tuning_looks_at_development_sets_only(run, monkeypatch):
    monkeypatch.setattr(reproduce, "GRID", [dict(learning_rate=1e-3, epochs=1), dict(learning_rate=1e-2, epochs=1)])
    run.plan = replace(run.plan, names=("sentiment",), seeds=(1,), fine_seeds=(5,))
    values = reproduce.laptop("gpt1-tuning", run)
    for i, changes in enumerate(reproduce.GRID):
        value = run.cells[run.job(reproduce.LSTM, "sentiment", 1, 5, **changes)]
        assert values["development score"][reproduce.LSTM][i] == pytest.approx(value["dev"]["accuracy"], abs=1e-3)
    for row, scores in values["development score"].items():
        assert values["best"][row] == reproduce.GRID[int(np.argmax(scores))]


def test_a_record_is_kept_under_the_name_that_the_scoreboard_reads(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_RESULTS", str(tmp_path))
    reproduce.laptop("gpt1-table5", run, "the command", "gpt1-table5-laptop")
    record = results.load("gpt1-table5-laptop")
    assert record.seeds == [1, 2] and not record.stale and "minigpt.finetune" in record.depends and "±" in record.summary
    assert "95 %" in record.interval and "the command" in str(results.scoreboard())


# -- the command ------------------------------------------------------------------------------------------------------------------


def options(*words):
    parser = ArgumentParser()
    reproduce.add_arguments(parser)
    return parser.parse_args(list(words))


def test_the_command_prints_the_paper_first_and_quick_keeps_no_record(out, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINIGPT_RESULTS", str(tmp_path))
    monkeypatch.setattr(reproduce, "QUICK", plan(out))
    reproduce.command(options("gpt1-table5", "--quick", "--out", str(out), "--quiet"))
    printed = capsys.readouterr().out
    assert printed.index("74.7") < printed.index("gpt1-table5, ours, in points") and not list(tmp_path.glob("*.json"))
    monkeypatch.setattr(reproduce, "LAPTOP", plan(out))
    reproduce.command(options("gpt1-table5", "--out", str(out), "--quiet", "--seeds", "1"))
    assert results.load("gpt1-table5-laptop").seeds == [1]


def test_the_command_line_knows_every_target():
    assert set(reproduce.TARGETS) >= {f"gpt1-table{n}" for n in (2, 3, 4, 5)} | {"gpt1-fig2-left", "gpt1-fig2-right"}
    for name in ("gpt1-table2", "gpt1-fig2-right"):
        assert options(name).target == name


@pytest.mark.parametrize("target", ["gpt1-table5", "gpt1-fig2-right"])
def test_the_paper_scale_ends_in_one_line_when_the_weights_are_out_of_reach(target, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MINIGPT_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    code = main(["reproduce", target, "--scale", "paper", "--out", str(tmp_path), "--model", "openai-community/not-here"])
    captured = capsys.readouterr()
    assert code == 2 and captured.err.count("\n") == 1 and "openai-community/not-here" in captured.err
    assert target == "gpt1-fig2-right" or "not measured" in captured.out


def test_the_paper_scale_runs_the_same_cells(out, tmp_path, monkeypatch, capsys):
    """Weights from a folder, a tiny task in place of the paper's."""
    monkeypatch.setattr(paper_scale, "TASKS", {"gpt1-table5": ("sentiment",)})
    monkeypatch.setattr(paper_scale, "SIZES", {"sentiment": (10, 1, 10)})
    monkeypatch.setattr(tasks, "read", partial(_at_most, tasks.read))
    given = options("gpt1-table5", "--scale", "paper", "--model", str(out / "pretrain/gpt-1/step-6"), "--limit", "8", "--out",
                    str(tmp_path), "--quiet")
    rows = paper_scale.measure("gpt1-table5", given)
    assert list(rows) == [paper_scale.FULL, paper_scale.SCRATCH, paper_scale.NO_AUX]
    assert "No pre-trained LSTM" in capsys.readouterr().out
    configs = [json.loads(key)["config"] for key in Cells(tmp_path, older=True).values]
    assert [(c["layers"], c["lm_coefficient"], c["learning_rate"]) for c in configs] == [
        (None, 0.5, 6.25e-5), (-1, 0.5, 6.25e-5), (None, 0.0, 6.25e-5)]


def _at_most(read, task, split, n=None, seed=0):
    return read(task, split, min(n or 10, 10), seed)


def test_the_estimate_is_arithmetic_on_sizes():
    small, large = paper_scale.estimate("gpt1-table3"), paper_scale.estimate("gpt1-table2")
    assert "not measured" in small and "storycloze, race" in small
    tokens = 3 * (88_000 * 4 * 400 + 1_500 * 2 * 60)
    assert f"{tokens / 1e6:,.0f} million tokens" in small and f"{6 * 116_534_784 * tokens / 30e12 / 3600:.1f} hours" in small
    assert large != small and os.linesep not in small
