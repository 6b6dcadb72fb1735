"""`reproduce gpt2-*`: every table and figure is asked of the tasks that measure it, and what is missing is said, not made up."""

import json
import sys
from argparse import ArgumentParser

import pytest

from minigpt import evaluate, paper, protocol, reproduce, reproduce_gpt2, results
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
    assert "35.13" in printed.out and "3 items, of lambada: target = last word, filter = stop words" in record.protocol
    assert "runs" not in record.command and str(tmp_path) not in json.dumps(record.__dict__)
    assert "minigpt.cloze" in record.depends and not record.stale
    assert record.values["items"] == {"LAMBADA (ppl)": 3, "LAMBADA (acc)": 3}
    assert "mine: world: LAMBADA (ppl) (n = 3)" in str(results.scoreboard())
    # what was measured is found again: the same numbers, and no row more
    before = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*.jsonl")}
    assert before and main(words) == 0
    assert {path: path.read_bytes() for path in (tmp_path / "runs").glob("*.jsonl")} == before
    assert results.load("gpt2-table3-laptop").values["rows"] == record.values["rows"]


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
    assert "20 items, from the first 20 of the data, of lambada" in capsys.readouterr().out and not results.names()


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
    assert "2 items, from the first 2 of the data, of lambada" in record.protocol and record.command.endswith("--items lambada=2")
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
