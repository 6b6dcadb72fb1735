"""`reproduce gpt2-*`: every table and figure is asked of the tasks that measure it, and what is missing is said, not made up."""

import json
import math
import sys
from argparse import ArgumentParser
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from minigpt import cloze, data, evaluate, modern, overlap, paper, protocol, reproduce, reproduce_gpt2, results, world
from minigpt.__main__ import main


@pytest.fixture(autouse=True)
def records(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_RESULTS", str(tmp_path / "records"))
    monkeypatch.delenv("MINIGPT_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "records"


@pytest.fixture
def lambada(tmp_path):
    path = tmp_path / "passages.jsonl"
    rows = ["Ada had a red cart. The cart was red", "Ben lost his hat. Then Ben found his hat", "It rained, and the road was wet"]
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8")
    return path


def options(*words):
    parser = ArgumentParser()
    reproduce.add_arguments(parser, reproduce_gpt2.TARGETS)
    reproduce_gpt2.add_arguments(parser)
    return parser.parse_args(list(words))


def test_every_table_and_figure_of_gpt2_has_a_target():
    wanted = {name for name in paper.ENTRIES if name.startswith("gpt2-") and name != "gpt2-samples"}
    assert set(reproduce_gpt2.TARGETS) == wanted
    assert not set(reproduce_gpt2.TARGETS) & set(reproduce.TARGETS)


@pytest.mark.parametrize("target", reproduce_gpt2.CELLS)
def test_each_cell_names_a_task_its_switches_and_a_score_that_exist(target):
    for task, switches, score in reproduce_gpt2.CELLS[target].values():
        found = evaluate.find(task)
        assert score in found.metrics
        protocol.choose(found, switches)


def test_the_cells_of_tables_are_the_papers():
    assert tuple(reproduce_gpt2.CELLS["gpt2-table3"]) == paper.get("gpt2-table3").columns
    assert set(reproduce_gpt2.CELLS["gpt2-fig1"]) == set(paper.get("gpt2-fig1").rows)
    assert set(reproduce_gpt2.CELLS["gpt2-fig2"]) == set(paper.get("gpt2-fig2").rows)
    assert set(reproduce_gpt2.CELLS["gpt2-fig3"]) == set(paper.get("gpt2-fig3").rows)
    table4 = paper.get("gpt2-table4")
    cells = {f"{row}, {column}" for row in ("GPT-2 TL;DR:", "GPT-2 no hint", "Lede-3", "Random-3") for column in table4.columns}
    assert set(reproduce_gpt2.CELLS["gpt2-table4"]) == cells and all(cell.rsplit(", ", 1)[0] in table4.rows for cell in cells)


def test_each_cell_of_figures_and_table_4_asks_for_what_its_name_says():
    cells = reproduce_gpt2.CELLS
    scores = {"F1": "F1", "BLEU": "BLEU", "mean ROUGE": "R-AVG", "acc": "exact match"}
    data_sets = {"CoQA": "coqa", "WMT-14 Fr-En": "translation-fr-en", "CNN/DM": "summaries", "Natural Questions": "questions"}
    for cell, asked in cells["gpt2-fig1"].items():
        name, score = cell.split(", ")
        assert asked == (data_sets[name], {}, scores[score])
    for cell, (task, _, _) in cells["gpt2-fig2"].items():
        assert cell.split(",")[0] in evaluate.find(task).about
    for cell, (_, switches, _) in cells["gpt2-fig3"].items():
        assert switches == {"scoring": cell.split()[0]}
    for cell, (_, switches, score) in cells["gpt2-table4"].items():
        row, column = cell.rsplit(", ", 1)
        *prefix, last = score.split(" ")
        assert last == column and prefix == ([] if row.startswith("GPT-2") else [row.lower()])
        assert switches == {"hint": "none" if "no hint" in row else "TL;DR:"}


def test_a_table_with_some_of_its_data(lambada, tmp_path, records, capsys):
    words = ["reproduce", "gpt2-table3", "--model", "world", "--data", f"lambada={lambada}", "--out", str(tmp_path / "runs")]
    words.append("--quiet")
    assert main([*words, "--label", "mine"]) == 0
    printed = capsys.readouterr()
    record = results.load("gpt2-table3-mine")
    row = record.values["rows"]["world"]
    assert set(row) == {"LAMBADA (ppl)", "LAMBADA (acc)"} and row["LAMBADA (ppl)"] > 1
    assert record.values["interval"] == {"world": {}}  # three items: nothing to say
    assert "cbt-cn: not yet measured" in printed.err and "cbt-cn" in record.values["missing"]
    assert "35.13" in printed.out and "3 items of lambada: target = last word, filter = stop words" in record.protocol
    assert "runs" not in record.command and str(tmp_path) not in json.dumps(record.__dict__)
    assert "minigpt.cloze" in record.depends and not record.stale
    assert record.values["items"] == {"world": {"LAMBADA (ppl)": 3, "LAMBADA (acc)": 3}}
    assert "mine: world: LAMBADA (ppl) (n = 3)" in str(results.scoreboard())
    # what was measured is found again: the same numbers, and no row more
    before = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*.jsonl")}
    assert before and main(words) == 0
    assert {path: path.read_bytes() for path in (tmp_path / "runs").glob("*.jsonl")} == before
    assert results.load("gpt2-table3-laptop").values["rows"] == record.values["rows"]


def test_every_model_is_asked_what_cannot_be_read_is_told_once_and_what_does_not_fit_is_not_counted(
        lambada, gpt, bpe, tmp_path, capsys, monkeypatch):
    with open(lambada, "a", encoding="utf-8") as file:
        file.write(json.dumps({"text": "one word " + "x" * 900}) + "\n")
    other = modern.load("world")[0]
    with torch.no_grad():
        other.h[0].mlp.c_fc.weight *= 0.5
    other.save_pretrained(tmp_path / "other")
    bpe.save(tmp_path / "other")

    def lacks_a_library(*_):
        raise ImportError("no reader of this file")

    lacks_a_library.__module__ = "minigpt.language_modelling"  # a record's digest is of modules of ours
    monkeypatch.setitem(evaluate.TASKS, "cbt-ne", replace(evaluate.TASKS["cbt-ne"], read=lacks_a_library))
    # One that is missed only when the rows are scored, after LAMBADA's have been measured.
    monkeypatch.setitem(evaluate.TASKS, "ptb", replace(evaluate.TASKS["ptb"], score=lacks_a_library))
    (tmp_path / "ptb.txt").write_text("a cat sat\n", encoding="utf-8")
    models = ["world", str(tmp_path / "other")]
    assert main(["reproduce", "gpt2-table3", "--model", *models, "--data", f"lambada={lambada}", "--data",
                 f"ptb={tmp_path / 'ptb.txt'}", "--out", str(tmp_path / "runs"), "--quiet"]) == 0
    told, record = capsys.readouterr(), results.load("gpt2-table3-laptop")
    assert told.err.count("ptb: not yet measured (no reader of this file)") == 1 and len(list(tmp_path.glob("runs/ptb-*"))) == 1
    assert told.err.count("cbt-cn: not yet measured") == told.err.count("cbt-ne: not yet measured (no reader of this file)") == 1
    assert record.values["items"] == {name: {"LAMBADA (ppl)": 3, "LAMBADA (acc)": 3} for name in models}
    assert "3 items of lambada" in record.protocol
    assert record.interval.startswith("95 %")
    for name, model in zip(models, (gpt, other), strict=True):
        values = evaluate.run(model, bpe, "lambada", {}, lambada, progress=False)["values"]
        assert record.values["rows"][name] == {f"LAMBADA ({short})": pytest.approx(values[long], abs=1e-4)
                                               for short, long in (("ppl", "perplexity"), ("acc", "accuracy"))}
    rows = [line.split() for line in told.out.splitlines() if line.split()[:1] == ["world"] or line.startswith(models[1])]
    assert len(rows) == 2 and rows[0] != rows[1]


def test_the_interval_is_the_bootstraps_of_the_items_that_were_answered():
    rows = [{"choice": [0, -1], "rest": [0, 0], "answer": i % 2} for i in range(400)]
    switches = protocol.choose(cloze.TASKS["cbt-cn"])
    found = {"rows": [*rows, {"left_out": "too long"}], "switches": switches, "values": {"accuracy": 50}}
    low, high = reproduce_gpt2.intervals("cbt-cn", found)["accuracy"]
    assert low == pytest.approx(50 - 1.96 * 2.5, abs=2) and high == pytest.approx(50 + 1.96 * 2.5, abs=2)
    assert reproduce_gpt2.intervals("cbt-cn", found)["accuracy"] == [low, high]
    few = reproduce_gpt2.FEW
    assert reproduce_gpt2.intervals("cbt-cn", found | {"rows": rows[:few]}) and not reproduce_gpt2.intervals(
        "cbt-cn", found | {"rows": rows[:few - 1] + found["rows"][-1:]})
    windows = [{"nats": -5.0, "word": 100, "byte": 400}] + [{"nats": -5.0}] * 40
    given = {"rows": windows, "switches": protocol.choose(evaluate.find("wikitext2")), "values": {"perplexity": 2.0}}
    assert reproduce_gpt2.intervals("wikitext2", given) == {}


class Told:
    """In place of Measuring: what was found is told."""

    models, items, limit, missing, sources = ("one", "two"), {}, None, {}, {}

    def __init__(self, values, rows=3):
        self.values, self.rows, self.asked = values, rows, []

    def __call__(self, name, task, switches):
        self.asked.append((name, task, switches))
        values = self.values(name, switches)
        return {"values": values, "switches": protocol.choose(evaluate.find(task), switches), "digest": f"{name}{switches}",
                "rows": [{}] * (self.rows - (name == "two")) + [{"left_out": "too long"}] * (name == "two")}


def test_a_figure_has_a_column_for_each_model():
    measure = Told(lambda name, switches: {"accuracy": {"one": 51.5, "two": 62.25}[name] + 10 * (switches["scoring"] == "full")})
    values, chosen, told = reproduce_gpt2.cells("gpt2-fig3", measure)
    assert values["rows"]["two"] == {"partial scoring, acc": 62.25, "full scoring, acc": 72.25}
    assert told.startswith("one: partial scoring, acc (n = 3) 51.50, full scoring, acc (n = 3) 61.50; two: ")
    assert "two: partial scoring, acc (n = 2) 62.25" in told
    assert chosen.startswith("3 items of winograd: normalise = none") and "scoring" not in chosen
    table = reproduce_gpt2.beside("gpt2-fig3", values["rows"])
    ours = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows if row[1] == "ours"}
    assert {(ours[row]["one"], ours[row]["two"]) for row in ours} == {("51.5", "62.25"), ("61.5", "72.25")}
    assert list(ours) == list(reproduce_gpt2.CELLS["gpt2-fig3"])


def test_table_4_has_a_row_for_each_model_and_baseline():
    scores = {f"{prefix}{score}": 10 * i + j for i, prefix in enumerate(("", "lede-3 ", "random-3 "))
              for j, score in enumerate(("R-1", "R-2", "R-L", "R-AVG"))}
    measure = Told(lambda name, switches: {key: value + 100 * (name == "two") + 0.5 * (switches["hint"] == "none")
                                           for key, value in scores.items()})
    values, _, told = reproduce_gpt2.cells("gpt2-table4", measure)
    assert told.split("; ")[0] == ("one: GPT-2 TL;DR:, R-AVG (n = 3) 3.00, GPT-2 no hint, R-AVG (n = 3) 3.50, "
                                   "Lede-3, R-AVG (n = 3) 13.00, Random-3, R-AVG (n = 3) 23.00").split("; ")[0]
    assert "R-1 (" not in told and "R-2 (" not in told
    table = reproduce_gpt2.beside("gpt2-table4", values["rows"])
    ours = {row[0]: row[2:] for row in table.rows if row[1] == "ours"}
    assert table.columns[2:] == ["R-1", "R-2", "R-L", "R-AVG"] and len(ours) == 8
    assert ours["GPT-2 TL;DR: (one)"] == ["0", "1", "2", "3"] and ours["GPT-2 no hint (one)"] == ["0.5", "1.5", "2.5", "3.5"]
    assert ours["Lede-3 (two)"] == ["110", "111", "112", "113"] and ours["Random-3 (one)"] == ["20", "21", "22", "23"]


def test_the_thirty_most_confident_of_many_questions(capsys):
    rows = [{"question": f"q{i}", "answer": "a", "right": i % 3 == 0, "log_prob": math.log((i + 1) / 100), "log_prob_line": -i}
            for i in range(40)]

    class Asked(Told):
        models = ("one",)

        def __call__(self, *asked):
            return {"switches": {"confidence": "answer"}, "rows": [{"left_out": "no answer"}, *rows], "items": 41}

    values, _, told = reproduce_gpt2.table5(Asked(None))
    found = values["one"]
    assert found["most confident, %"] == 40 and found["30th, %"] == 11 and found["questions"] == 41
    assert found["correct, of 30"] == sum(i % 3 == 0 for i in range(10, 40)) and len(found["answers"]) == 30
    columns = reproduce_gpt2.beside("gpt2-table5", values).columns
    assert "correct, of 30" in columns and "answers" not in columns  # a list is for the record, not for the table
    assert "answers" not in told and capsys.readouterr().out.count("wrong") == 20


def test_overlaps_of_the_books_own_world_and_of_a_file(tmp_path):
    lines = [" ".join(f"{'abcdefghij'[i % 10]}{i * k % 97}" for i in range(60)) for k in range(1, 30)]
    lines += [" ".join(lines[k].split()[:30]) + f" and {world.story(k, split='test')}" for k in range(6)]
    path = tmp_path / "mine.txt"
    path.write_text("\n\n".join(lines), encoding="utf-8")
    measure = SimpleNamespace(sources={"mine": str(path)}, limit=60)
    values, chosen, told = reproduce_gpt2.table6(measure)
    mine = data.read(path)
    sets = {"the world": (world.stories(60), world.stories(2_000, split="test")), "mine": (mine["train"], mine["validation"])}
    for name, (train, _) in sets.items():
        seen = {gram for text in train for gram in overlap.eight_grams(overlap.normalise(text))}
        for other, (_, test) in sets.items():
            grams = [gram in seen for text in test for gram in overlap.eight_grams(overlap.normalise(text))]
            assert values["rows"][f"{name}, train"][other] == pytest.approx(100 * sum(grams) / len(grams), abs=0.1), (name, other)
    assert 0 < values["rows"]["mine, train"]["mine"] < 100 and "60 training documents of the world" in chosen
    table = reproduce_gpt2.beside("gpt2-table6", values["rows"])
    assert [row[0] for row in table.rows if row[1] == "ours"] == ["the world, train", "mine, train"]


def test_the_command_line_says_what_is_measured_on_which_model(monkeypatch, records, capsys):
    asked = []

    def noted(measure):
        asked.append(measure)
        return {"rows": {"one": {}}}, "chosen", "told"

    for target in ("gpt2-fig2", "gpt2-table1", "gpt2-table2"):
        monkeypatch.setitem(reproduce_gpt2.TARGETS, target, noted)
        reproduce_gpt2.command(options(target))
        reproduce_gpt2.command(options(target, "--scale", "paper", "--model", "mine", "--quick"))
    assert [measure.models for measure in asked] == [(modern.NAME,), ("mine",), (), (), (), ()]
    assert results.names() == ["gpt2-fig2-laptop", "gpt2-table1-laptop", "gpt2-table2-paper"]
    assert results.load("gpt2-fig2-laptop").interval and results.load("gpt2-table1-laptop").interval is None
    assert [measure.limit for measure in asked] == [None, 20] * 3 and asked[0].out == "runs/evaluate" and asked[0].progress
    reproduce_gpt2.command(options("gpt2-fig2", "--scale", "paper", "--limit", "7", "--quick", "--out", "there", "--quiet",
                                   "--data", "cbt-ne=a=b", "--items", "x=y=3", "--label", "unused"))
    last = asked[-1]
    assert last.models == reproduce_gpt2.SIZES and last.limit == 7 and last.out == "there" and not last.progress
    assert last.sources == {"cbt-ne": "a=b"} and last.items == {"x=y": 3}
    for wrong in ("x=0", "x=", "=3", "x=-1"):
        with pytest.raises(ValueError, match="--items takes TASK=N"):
            reproduce_gpt2.command(options("gpt2-fig2", "--items", wrong))
    with pytest.raises(ValueError, match="the tasks of gpt2-table5: questions$"):
        reproduce_gpt2.command(options("gpt2-table5", "--data", "questions"))


def test_a_record_depends_on_the_code_that_measured_it():
    wanted = {"gpt2-fig2": {"cloze", "scoring", "modern"}, "gpt2-fig3": {"winograd"}, "gpt2-table2": {"model"},
              "gpt2-table3": {"cloze", "language_modelling"}, "gpt2-table5": {"prompting", "generate"}, "gpt2-table1": {"webtext"},
              "gpt2-table6": {"overlap"}, "gpt2-fig4": {"memorisation", "train"},
              "gpt2-fig5": {"memorisation", "overlap", "generate"}}
    for target, names in wanted.items():
        assert names <= reproduce_gpt2.modules(target), target
    for target in reproduce_gpt2.TARGETS:
        assert all(results.source_digest(f"minigpt.{name}") for name in reproduce_gpt2.modules(target)), target


def test_without_any_data_it_ends_in_one_line(tmp_path, capsys):
    assert main(["reproduce", "gpt2-fig2", "--model", "world", "--out", str(tmp_path), "--quiet"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: gpt2-fig2: no data for any of its cells") and not results.names()
    assert main(["reproduce", "gpt2-table3", "--data", "lambada", "--model", "world"]) == 2
    assert "--data takes TASK=PATH, not 'lambada'; the tasks of gpt2-table3: lambada" in capsys.readouterr().err


def test_quick_takes_few_items_and_keeps_no_record(lambada, tmp_path, capsys):
    lines = lambada.read_text(encoding="utf-8") * 10
    lambada.write_text(lines, encoding="utf-8")
    assert main(["reproduce", "gpt2-table3", "--quick", "--model", "world", "--data", f"lambada={lambada}", "--out",
                 str(tmp_path / "runs"), "--quiet"]) == 0
    assert "20 items (from the first 20 of the data) of lambada" in capsys.readouterr().out and not results.names()


def test_the_interval_comes_from_the_items(lambada, tmp_path):
    lambada.write_text(lambada.read_text(encoding="utf-8") * 8, encoding="utf-8")
    words = ["reproduce", "gpt2-table3", "--model", "world", "--data", f"lambada={lambada}", "--out", str(tmp_path), "--quiet"]
    assert main(words) == 0
    values = results.load("gpt2-table3-laptop").values
    for cell, value in values["rows"]["world"].items():
        low, high = values["interval"]["world"][cell]
        assert low <= value <= high and (low < high or cell == "LAMBADA (acc)")


def test_one_task_can_have_fewer_items_than_the_others(lambada, tmp_path, capsys):
    words = ["reproduce", "gpt2-table3", "--model", "world", "--data", f"lambada={lambada}", "--out", str(tmp_path), "--quiet"]
    assert main([*words, "--items", "lambada=2"]) == 0
    record = results.load("gpt2-table3-laptop")
    assert "2 items (from the first 2 of the data) of lambada" in record.protocol and record.command.endswith("--items lambada=2")
    assert main([*words, "--items", "lambada=two"]) == 2
    assert capsys.readouterr().err.endswith("error: --items takes TASK=N, not 'lambada=two'\n")


def test_the_sizes_are_counted(capsys):
    assert main(["reproduce", "gpt2-table2"]) == 0
    found = results.load("gpt2-table2-paper").values
    assert [row["parameters"] for row in found.values()] == [paper.PARAMETERS[size] for size in paper.PAPER_NAMES]
    assert "124,439,808" in capsys.readouterr().out


def test_the_record_names_no_folder_of_mine():
    given = options("gpt2-fig3", "--model", "a/b", "--data", "winograd=/home/me/sets/winograd/WSCollection.xml", "--limit", "5")
    command = reproduce_gpt2.shown(given, given.model, {"winograd": "/home/me/sets/winograd/WSCollection.xml"})
    assert command == ("python -m minigpt reproduce gpt2-fig3 --scale laptop --model a/b --data "
                       "winograd=winograd/WSCollection.xml --limit 5")
    given = options("gpt2-fig3", "--items", "winograd=9")
    for path in ("C:\\Users\\me\\winograd\\W.xml", "/home/me/winograd/W.xml/"):
        assert reproduce_gpt2.shown(given, (modern.NAME,), {"winograd": path}) == (
            "python -m minigpt reproduce gpt2-fig3 --scale laptop --data winograd=winograd/W.xml --items winograd=9")


def test_a_library_that_is_missing_is_told_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    assert main(["reproduce", "gpt2-table1", "--limit", "3"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and error[0].startswith("error: trafilatura cannot be imported") and "pip install" in error[0]


def test_translations_are_counted_in_the_books_own_pages(capsys):
    pytest.importorskip("trafilatura")
    pytest.importorskip("py3langid")
    assert main(["reproduce", "gpt2-table1", "--limit", "60", "--label", "mine"]) == 0
    found = results.load("gpt2-table1-mine").values
    assert found["documents"] > 40 and found["translations"] == len(found["first"]) > 0
    assert f"{found['translations']} translations in {found['documents']}" in capsys.readouterr().out


def test_the_most_confident_answers_stand_with_their_questions(tmp_path, capsys):
    path = tmp_path / "questions.jsonl"
    rows = [{"question": f"who found the {thing}", "answer": ["Ada", "Ben"]} for thing in ("cart", "hat", "boat")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = ["reproduce", "gpt2-table5", "--model", "world", "--data", f"questions={path}", "--out", str(tmp_path), "--quiet"]
    assert main(words) == 0
    found = results.load("gpt2-table5-laptop").values["world"]
    probabilities = [p for p, _ in found["answers"]]
    assert found["questions"] == 3 and probabilities == sorted(probabilities, reverse=True) and 0 <= probabilities[-1] <= 1
    assert found["correct, of 3"] == sum(right for _, right in found["answers"])
    printed = capsys.readouterr().out
    assert "83.4" in printed and "who found the cart?" in printed and "cart" not in json.dumps(found)
