"""Evaluation runs: rows that are kept, a killed run that goes on, and the command line."""

import json

import pytest
import torch

from minigpt import __main__, cloze, evaluate, modern, protocol, world


@pytest.fixture(scope="module")
def laptop():
    return modern.load("world")


@pytest.fixture
def passages(tmp_path):
    path = tmp_path / "passages.jsonl"
    texts = [" ".join(world.story(i, split="test").split()[:8 + i % 20]).rstrip(".,!?\"") for i in range(24)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(evaluate, "CHUNK", 5)


def run(laptop, data, out=None, **given):
    return evaluate.run(*laptop, "lambada", given, data, out=out, progress=False)


class Killed(Exception):
    pass


def test_a_killed_run_resumes_to_identical_rows(laptop, passages, tmp_path, monkeypatch, capsys):
    whole = run(laptop, passages, tmp_path / "whole")
    asked, measure = [], cloze.LAMBADA.measure

    def dying(model, bpe, items, switches):
        asked.extend(items)
        if len(asked) > 10:
            raise Killed
        return measure(model, bpe, items, switches)

    task = cloze.LAMBADA.__class__(**{**cloze.LAMBADA.__dict__, "measure": dying})
    dying.__module__ = measure.__module__
    with pytest.raises(Killed):
        evaluate.run(*laptop, task, {}, passages, out=tmp_path / "killed", progress=False)
    (rows,) = (tmp_path / "killed").glob("*.jsonl")
    lines = rows.read_bytes().splitlines(keepends=True)
    assert len(lines) == 10
    rows.write_bytes(b"".join(lines[:8]) + lines[8][:9])  # as if it had died while writing
    resumed = run(laptop, passages, tmp_path / "killed")
    assert resumed["rows"] == whole["rows"] and resumed["values"] == whole["values"]
    assert "8 of 24 were measured before" in capsys.readouterr().err
    kept = {json.loads(line)["item"] for line in rows.read_text(encoding="utf-8").splitlines()}
    assert kept == set(range(24))


def test_what_is_done_is_not_measured_again(laptop, passages, tmp_path, monkeypatch):
    first = run(laptop, passages, tmp_path)
    monkeypatch.setattr("minigpt.cloze.tails", None)
    again = run(laptop, passages, tmp_path, filter="none", target="last token")  # only counted otherwise
    assert again["rows"] == first["rows"] and again["values"] != first["values"]
    assert len(list(tmp_path.glob("lambada-*.jsonl"))) == 1 and len(list(tmp_path.glob("lambada-*.json"))) == 2


def test_rows_belong_to_model_switches_and_data(laptop, passages, tmp_path):
    model, bpe = laptop
    task, items = cloze.LAMBADA, ['{"text": "a b"}', '{"text": "c d"}']
    switches = protocol.choose(task)
    same = evaluate.digest(model, bpe, task, switches, items)
    assert same == evaluate.digest(model, bpe, task, switches | {"filter": "none"}, items)
    other = modern.load("world")[0]
    assert same == evaluate.digest(other, bpe, task, switches, items)
    with torch.no_grad():
        other.h[0].mlp.c_fc.bias += 1e-3
    found = {same, evaluate.digest(other, bpe, task, switches, items),
             evaluate.digest(model, bpe, task, switches | {"text": "one line"}, items),
             evaluate.digest(model, bpe, task, switches, items[::-1]),
             evaluate.digest(model, bpe, evaluate.TASKS["cbt-cn"], switches, items)}
    assert len(found) == 5
    many = [f'{{"text": "word {i}"}}' for i in range(40)]
    assert evaluate.digest(model, bpe, task, switches, many) != evaluate.digest(model, bpe, task, switches, [*many[:-1], items[0]])


def test_malformed_and_hostile_items_are_told_and_the_rest_measured(laptop, passages, tmp_path, capsys):
    text = passages.read_text(encoding="utf-8").splitlines()
    long = json.dumps({"text": "word " + "x" * 600})
    passages.write_text("\n".join([*text[:2], "{oops", long, '{"text": "alone"}', *text[2:4]]) + "\n", encoding="utf-8")
    found = run(laptop, passages, tmp_path)
    said = capsys.readouterr().err
    assert "passages.jsonl, line 3: it is not valid JSON" in said and "line 5: it has no last word" in said
    assert "item 3: the continuation has" in said and len(found["left_out"]) == 3 and found["values"]["passages"] == 4
    alone = run(laptop, passages)
    assert alone["values"] == found["values"] and alone["paths"] == {}


def test_the_record_tells_the_protocol(laptop, passages, tmp_path):
    found = evaluate.run(*laptop, "lambada", {"filter": "none"}, passages, 6, tmp_path, False, "world")
    record = json.loads(open(found["paths"]["record"], encoding="utf-8").read())
    assert record["switches"] == protocol.choose(cloze.LAMBADA, {"filter": "none"}) and record["items"] == 6 == record["limit"]
    assert record["model"] == "world" and record["values"] == found["values"] and (tmp_path / record["rows"]).is_file()
    assert record["cells"]["accuracy"] == ["gpt2-table3", "LAMBADA (acc)"] and record["versions"]["torch"] and not list(
        tmp_path.glob("*.partial"))


def test_windows_of_one_stream_are_resumable_items(laptop, tmp_path):
    path = tmp_path / "wiki.test.raw"
    path.write_text("".join(f" = Story {i} = \n \n {world.story(i)} \n \n" for i in range(6)), encoding="utf-8")
    found = evaluate.run(*laptop, "wikitext2", {"context": 32}, path, None, tmp_path, False)
    again = evaluate.run(*laptop, "wikitext2", {"context": 32, "unit": "byte"}, path, None, tmp_path, False)
    assert again["rows"] == found["rows"] and len(found["rows"]) > 5 and again["values"]["nats"] == found["values"]["nats"]


# -- the command line -----------------------------------------------------------------------------------------------------------


def command(*arguments):
    import argparse

    p = argparse.ArgumentParser()
    evaluate.add_arguments(p)
    evaluate.command(p.parse_args(list(map(str, arguments))))


def test_the_command_prints_every_switch(passages, tmp_path, capsys):
    command("--task", "lambada", "--data", passages, "--set", "filter=none", "--out", tmp_path, "--quiet", "--device", "cpu")
    said = capsys.readouterr().out
    assert "filter = none\n" in said and "target = last word (default)" in said and "text = as it is (default)" in said
    assert "accuracy:" in said and "perplexity:" in said and "record:" in said


@pytest.mark.parametrize("arguments, says", [
    (["--task", "lambda"], "unknown task 'lambda'; there are: lambada, cbt-cn"),
    (["--task", "lambada", "--set", "filter"], "--set takes SWITCH=VALUE, not 'filter'"),
    (["--task", "lambada", "--set", "filtre=none"], "lambada has no switch 'filtre'; it has: target, filter"),
    (["--task", "lambada", "--set", "filter=all"], "filter cannot be 'all'; it can be stop words | none | words only"),
    (["--task", "ptb"], "give its file with --data"),
    (["--task", "lambada", "--data", "absent.jsonl"], "absent.jsonl: no such file"),
])
def test_mistakes_on_the_command_line_are_one_line(arguments, says):
    with pytest.raises((ValueError, OSError)) as error:
        command(*arguments, "--quiet", "--device", "cpu")
    assert says in str(error.value) and "\n" not in str(error.value)


def test_help_lists_tasks_and_switches(capsys):
    import argparse

    p = argparse.ArgumentParser(prog="evaluate")
    evaluate.add_arguments(p)
    text = p.format_help()
    for task in evaluate.TASKS.values():
        assert f"{task.name}: " in text and all(f"    {name} = " in text for name in task.switches)


def test_evaluate_is_a_command(capsys):
    if "evaluate" not in __main__.parser().format_help():
        pytest.skip("not wired up yet")
    assert __main__.main(["evaluate", "--task", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown task 'nothing'")
