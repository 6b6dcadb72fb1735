"""Tasks and their switches: what is chosen, what is refused, and what becomes of malformed data."""

import json
from dataclasses import replace

import pytest

from minigpt import evaluate, paper, protocol
from minigpt.protocol import LeftOut, Task

TASK = Task("toy", "a toy", ("accuracy",), "nowhere", {"filter": ("stop words", "none"), "context": ("window", int)},
            None, None, None, {"accuracy": ("gpt2-table3", "LAMBADA (acc)")})


def test_choose_fills_in_the_defaults():
    assert protocol.choose(TASK) == {"filter": "stop words", "context": "window"}
    assert protocol.choose(TASK, {"context": "512", "filter": "none"}) == {"filter": "none", "context": 512}
    assert protocol.choose(TASK, {"context": 3})["context"] == 3
    assert TASK.cell == ("gpt2-table3", "LAMBADA (acc)")
    numbers = replace(TASK, metrics=("accuracy", "perplexity"), switches={"schemas": (273, "all")},
                      cells={"accuracy": ("a", "first"), "perplexity": ("a", "second")})
    chosen = protocol.choose(numbers, {"schemas": "273"})["schemas"]
    assert chosen == 273 and isinstance(chosen, int)  # the value as the task knows it, not as it was typed
    assert numbers.cell == ("a", "first") and replace(numbers, metrics=("nats",)).cell is None


@pytest.mark.parametrize("given, says", [
    ({"colour": "red"}, "toy has no switch 'colour'; it has: filter, context"),
    ({"filter": "nonne"}, "filter cannot be 'nonne'; it can be stop words | none"),
    ({"filter": "512"}, "filter cannot be '512'"), ({"context": "0"}, "window | a whole number"),
    ({"context": "-3"}, "cannot be '-3'"),
    ({"context": True}, "cannot be True"), ({"context": "²"}, "cannot be '²'"), ({"context": "1.5"}, "cannot be"),
    ({"context": str(int)}, "cannot be \"<class 'int'>\""),
])
def test_unknown_switches_and_values_are_one_line(given, says):
    with pytest.raises(ValueError) as error:
        protocol.choose(TASK, given)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_every_task_of_the_book_is_whole():
    for name, task in evaluate.TASKS.items():
        assert task.name == name and task.metrics and task.about and task.source and "\n" not in task.about
        assert all(isinstance(values, tuple) and values and values[0] is not int for values in task.switches.values()), name
        assert set(task.scored) <= set(task.switches) and set(task.cells) <= set(task.metrics)
        for entry, place in task.cells.values():
            assert place in (*paper.get(entry).columns, *paper.get(entry).rows)
    assert {column for task in evaluate.TASKS.values() for entry, column in task.cells.values() if entry == "gpt2-table3"} == set(
        paper.get("gpt2-table3").columns)


def test_the_table_names_every_switch_and_value():
    text = protocol.table({"toy": TASK})
    for part in ("toy: a toy", "data: nowhere", "filter = stop words | none", "context = window | a whole number"):
        assert part in text


def test_json_lines_are_numbered_and_counted(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(['{"n": 1}', "", "{"] + ["[]"] * 30 + ['{"n": 2}', '{"m": 3}']), encoding="utf-8")
    with pytest.warns(LeftOut) as told:
        assert protocol.json_lines(path, lambda row: {"n": row["n"]}) == [{"n": 1}, {"n": 2}]
    messages = [str(warning.message) for warning in told]
    assert messages[0].startswith("items.jsonl, line 3: it is not valid JSON") and messages[0].endswith("left out")
    assert len(messages) == protocol.REPORTED + 1 and messages[-1] == "items.jsonl: 12 more lines were left out"
    assert protocol.json_lines(path, lambda row: {"n": row["n"]}, limit=1) == [{"n": 1}]
    with pytest.warns(LeftOut):  # what is left out does not count
        assert protocol.json_lines(path, lambda row: {"n": row["n"]}, limit=2) == [{"n": 1}, {"n": 2}]
    path.write_text('{"m": 1}\n{"n": null}\n{"n": 3}\n', encoding="utf-8")
    with pytest.warns(LeftOut) as told:
        assert protocol.json_lines(path, lambda row: {"n": row["n"] + 1}) == [{"n": 4}]
    assert [str(warning.message).split(": ", 1)[1][:13] for warning in told] == ["it has no 'n'", "unsupported o"]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        protocol.json_lines(tmp_path / "absent", dict)
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="not UTF-8 text .byte 3"):
        protocol.lines(tmp_path / "latin")
    (tmp_path / "empty").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="holds nothing that can be used: it is empty"):
        protocol.json_lines(tmp_path / "empty", dict)
    (tmp_path / "bad").write_text("\n[]\n{\n", encoding="utf-8")
    with pytest.warns(LeftOut), pytest.raises(ValueError, match=r"can be used \(line 2: it holds a list, not a JSON object\)$"):
        protocol.json_lines(tmp_path / "bad", dict)
    with pytest.raises(ValueError, match="limit must be at least 1"):
        protocol.keep("x", [], 0)


def test_only_line_ends_end_a_line(tmp_path):
    (tmp_path / "text").write_bytes("\ufeffone\u2028still one\r\ntwo\x85\n".encode())
    assert protocol.lines(tmp_path / "text") == [(1, "one\u2028still one"), (2, "two\x85")]
    (tmp_path / "json").write_text(json.dumps({"t": "a\u2028b"}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert protocol.json_lines(tmp_path / "json", lambda row: row) == [{"t": "a\u2028b"}]
