"""Records survive a round trip, know when they are stale, and tables show exactly what was measured."""

import json
import os
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from minigpt import paper, results


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module whose source the test may change."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "measured_code.py"
    file.write_text("# a comment\nX = 1\n", encoding="utf-8")
    yield file
    sys.modules.pop("measured_code", None)


def test_round_trip(folder):
    values = {"loss": np.float32(1.5), "curve": np.arange(3), "name": "é", "by task": {"a": 1, "b": [0.5, 0.1]}}
    saved = results.save("gpt1-table5", values, command="python -m minigpt", seeds=range(3), protocol="per word",
                         interval=results.interval([1, 2, 3]), depends=["minigpt.paper", results])
    loaded = results.load("gpt1-table5")
    assert loaded == saved and not loaded.stale
    assert loaded.values == {"loss": 1.5, "curve": [0, 1, 2], "name": "é", "by task": {"a": 1, "b": [0.5, 0.1]}}
    assert loaded.seeds == [0, 1, 2] and set(loaded.depends) == {"minigpt.paper", "minigpt.results"}
    assert loaded.device["cpu"] and loaded.versions["numpy"] == np.__version__ and len(loaded.date) == 10
    assert results.names() == ["gpt1-table5"] and [file.name for file in folder.iterdir()] == ["gpt1-table5.json"]
    assert "loss: 1.5" in str(loaded) and "STALE" not in str(loaded) and "seeds: [0, 1, 2]" in str(loaded)
    assert loaded.device["system"] and loaded.device["cores"] >= 1 and loaded.device["threads"] == torch.get_num_threads()
    assert os.name != "posix" or (folder / "gpt1-table5.json").stat().st_mode & 0o777 == 0o644  # others may read it too
    bare = str(results.save("bare", {"x": 1}))
    assert not any(f"{name}:" in bare for name in ("command", "seeds", "protocol", "interval")) and "device: " in bare


def test_stale_when_the_code_changed_but_not_when_a_comment_did(module):
    record = results.save("r", {"x": 1}, depends=["measured_code"])
    module.write_text("# another comment\n\nX = 1  \r\n", encoding="utf-8", newline="")
    assert not record.stale
    module.write_text("# a comment\nX = 2\n", encoding="utf-8")
    assert record.stale and results.load("r").changed == ["measured_code"]
    assert "STALE: measured_code changed" in str(record)
    assert "stale: measured_code" in results.beside({"x": 2}, record).note
    module.unlink()
    assert record.stale
    module.write_text("if X:\n    Y = 1\nZ = 2\n", encoding="utf-8")
    before = results.source_digest("measured_code")
    module.write_text("if X:\n    Y = 1\n    Z = 2\n", encoding="utf-8")
    assert results.source_digest("measured_code") != before  # indentation is code


def test_the_scoreboard_says_which_record_is_stale_and_what_it_ran_on(module, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "an accelerator")
    results.save("gpt2-table6-laptop", {"a": 1, "b": 2, "c": 3, "d": 4}, depends=["measured_code"])
    results.save("gpt2-table60-laptop", {"other": 1})  # its name only begins alike

    def row(title):
        table = results.scoreboard()
        return dict(zip(table.columns, next(row for row in table.rows if row[0].startswith(title)), strict=True))

    assert row("GPT-2, Table 6:")["laptop scale"] == "a 1, b 2, c 3" and row("GPT-2, Table 6:")["device"] == "an accelerator"
    assert row("GPT-2, Table 6:")["others"] == "–" and row("GPT-2, Table 1:")["the paper"] == "no numbers"
    module.write_text("X = 3\n", encoding="utf-8")
    assert row("GPT-2, Table 6:")["laptop scale"] == "a 1, b 2, c 3 (stale: measured_code changed since)"


def test_records_that_came_with_the_package_stand_behind_ones_own(monkeypatch, folder, tmp_path):
    monkeypatch.setattr(results, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("MINIGPT_RESULTS", str(tmp_path / "shipped"))
    results.save("r", {"x": "shipped"})
    monkeypatch.setenv("MINIGPT_RESULTS", str(folder))
    assert results.load("r").values == {"x": "shipped"} and results.names() == []
    results.save("r", {"x": "mine"})
    assert results.load("r").values == {"x": "mine"} and results.names() == ["r"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".hidden", "x.json", None, "a\n"])
def test_bad_names(name):
    with pytest.raises(ValueError, match="record's name"):
        results.save(name, {"x": 1})
    with pytest.raises(ValueError, match="record's name"):
        results.load(name)


@pytest.mark.parametrize("values, says", [
    ({"x": float("nan")}, "finite"), ({"x": [1.0, float("inf")]}, "finite"), ({"x": np.array([np.nan])}, "finite"),
    ({"x": object()}, "object"), ({}, "needs values"), ([1, 2], "needs values"),
])
def test_bad_values_leave_the_old_record_alone(folder, values, says):
    results.save("r", {"x": 1})
    before = (folder / "r.json").read_bytes()
    with pytest.raises(ValueError, match=says):
        results.save("r", values)
    assert (folder / "r.json").read_bytes() == before and len(list(folder.iterdir())) == 1


def test_unknown_modules_and_records(folder):
    with pytest.raises(ValueError, match="no_such_module"):
        results.save("r", {"x": 1}, depends=["no_such_module"])
    with pytest.raises(FileNotFoundError, match="not yet measured"):
        results.load("absent")
    folder.mkdir()
    for content in ("", "[]", '{"name": "r"}', "{", "null"):
        (folder / "r.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match="not a result record"):
            results.load("r")


def test_a_failed_write_keeps_the_old_record(folder, monkeypatch):
    results.save("r", {"x": 1})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        results.save("r", {"x": 2})
    monkeypatch.undo()
    assert json.loads((folder / "r.json").read_text(encoding="utf-8"))["values"] == {"x": 1}
    assert len(list(folder.iterdir())) == 1


def test_where_records_live(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("MINIGPT_RESULTS", " ~/mine ")
    assert results.folder() == tmp_path / "mine"
    monkeypatch.setenv("MINIGPT_RESULTS", "  ")
    assert results.folder().parts[-2:] == ("book", "results")
    monkeypatch.delenv("MINIGPT_RESULTS")
    assert results.folder().parts[-2:] == ("book", "results")
    installed = tmp_path / "site-packages" / "minigpt" / "results.py"
    installed.parent.mkdir(parents=True)
    monkeypatch.setattr(results, "__file__", str(installed))
    monkeypatch.chdir(tmp_path)
    assert results.folder() == tmp_path / "results"


def test_interval_against_textbook_values():
    assert results.interval([5]) == (5.0, None)
    mean, half = results.interval([1, 2, 3, 4])  # s = 1.29099, t(3) = 3.18245
    assert mean == 2.5 and abs(half - 2.05426) < 1e-4
    mean, half = results.interval([0, 1] * 20)  # s = 0.506370, t(39) = 2.022691
    assert abs(half - 0.161945) < 1e-5
    for bad in ([], [float("nan")], [1, float("inf")]):
        with pytest.raises(ValueError, match="finite"):
            results.interval(bad)


def test_interval_covers_the_mean_95_times_in_100():
    draws = np.random.default_rng(0).normal(7, 2, (4000, 4))
    covered = [abs(mean - 7) <= half for mean, half in map(results.interval, draws)]
    assert abs(np.mean(covered) - 0.95) < 0.012


def test_show():
    assert [results.show(value) for value in (None, 3, 12345, 0.1 + 0.2, "x", True, (1.23456, 0.0345678), [1.5, None])] == [
        "not yet measured", "3", "12,345", "0.3", "x", "True", "1.235 ± 0.035", "1.5"]


class Cells(HTMLParser):
    """Text by tag; fails on a tag that a table of ours never writes."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.found = [], {}
        self.feed(text)
        assert not self.stack, self.stack

    def handle_starttag(self, tag, attrs):
        assert tag in {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}, tag
        assert tag != "th" or dict(attrs)["scope"] in ("row", "col")
        self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, text):
        self.found.setdefault(self.stack[-1], []).append(text)


def test_table_html_is_escaped_and_accessible():
    nasty = "<script>alert('&')</script>"
    table = results.Table(["", nasty], [[nasty, nasty]], caption=nasty, note=nasty)
    cells = Cells(table._repr_html_()).found
    assert cells["caption"] == cells["td"] == cells["p"] == [nasty] and nasty in cells["th"]
    with pytest.raises(ValueError, match="2 cells"):
        results.Table(["one"], [[1, 2]])


def test_beside_with_one_number_a_row():
    table = results.beside({"a": 1, "b": 2.5}, {"b": (2.4, 0.1), "c": 3})
    assert table.columns == ["", "paper", "ours"]
    assert table.rows == [["a", "1", "not yet measured"], ["b", "2.5", "2.4 ± 0.1"], ["c", "–", "3"]]
    assert repr(table).splitlines()[2].split() == ["a", "1", "not", "yet", "measured"]


def test_beside_a_table_of_the_paper():
    table = results.beside(paper.get("gpt2-table4"), {"GPT-2 TL;DR:": {"R-1": 20.0}})
    assert "Table 4" in table.caption and table.columns[2:] == ["R-1", "R-2", "R-L", "R-AVG"]
    rows = {tuple(row[:2]): row[2:] for row in table.rows}
    assert rows["GPT-2 TL;DR:", "paper"] == ["29.34", "8.27", "26.58", "21.4"]
    assert rows["GPT-2 TL;DR:", "ours"] == ["20", *["not yet measured"] * 3]
    assert ("Lede-3", "ours") not in rows and rows["Lede-3", "paper"][0] == "40.38"
    assert "figure reading" in results.beside(paper.get("gpt1-fig2-right")).note
    given = results.beside(paper.get("gpt1-fig2-right"), caption="mine", note="my own")
    assert given.caption == "mine" and given.note == "my own"


def test_scoreboard_has_every_table_and_figure_once():
    assert set(results.SCOREBOARD) == set(paper.ENTRIES)
    for name, (_, cells) in results.SCOREBOARD.items():
        rows = paper.get(name).as_dicts().values()
        printed = [value for row in rows for value in (row.values() if isinstance(row, dict) else [row])]
        assert bool(cells) == any(isinstance(value, int | float) for value in printed), name
    table = results.scoreboard()
    assert len(table.rows) == len(paper.ENTRIES) and len(table.columns) == 11
    assert {tuple(row[3:]) for row in table.rows} == {("not yet measured", "not yet measured", *["–"] * 6)}
    results.save("gpt2-table6-laptop", {"PTB": 1.25}, command="python -m minigpt reproduce gpt2-table6", protocol="8-grams")
    results.save("gpt1-table5", {"Avg": 70, "x": 1}, summary="70 on average", interval="95 %")
    results.save("gpt2-table3-my-gpu", {"LAMBADA": 46.0}, command="mine")
    results.save("gpt2-table3-paper", {"LAMBADA": 45.0}, command="theirs")
    rows = {row[0].split(":")[0]: row[1:] for row in results.scoreboard().rows}
    today = results.load("gpt1-table5").date
    assert rows["GPT-2, Table 6"][2:5] == ["PTB 1.25", "not yet measured", "–"]
    assert rows["GPT-2, Table 6"][5:7] == ["python -m minigpt reproduce gpt2-table6", "8-grams"]
    assert [rows["GPT-1, Table 5"][column] for column in (2, 7, 9)] == ["70 on average", "95 %", today]
    assert "74.7" in rows["GPT-1, Table 5"][1] and rows["GPT-1, Figure 2 left"][2] == "not yet measured"
    assert rows["GPT-2, Table 3"][2:6] == ["not yet measured", "LAMBADA 45", "my-gpu: LAMBADA 46", "mine; theirs"]
