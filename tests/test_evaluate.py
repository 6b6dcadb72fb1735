"""Evaluation runs: rows that are kept, a killed run that goes on, and the command line."""

import json
import warnings
from dataclasses import replace

import pytest
import torch

from minigpt import BPE, __main__, cloze, evaluate, modern, protocol, world


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
    swapped = [*many[:-2], many[-1], many[-2]]
    assert evaluate.digest(model, bpe, task, switches, many) != evaluate.digest(model, bpe, task, switches, swapped)


def test_rows_depend_on_all_weights_the_window_the_vocabulary_and_the_code(laptop, monkeypatch):
    model, bpe = laptop
    task, items = cloze.LAMBADA, ['{"text": "a b"}', '{"text": "the old dog"}']
    same = evaluate.digest(model, bpe, task, protocol.choose(task), items)

    def other(model=model, bpe=bpe):
        return evaluate.digest(model, bpe, task, protocol.choose(task), items)

    changed = modern.load("world")[0]
    with torch.no_grad():
        changed.wte.weight[600:700] *= 1.01  # a few rows, neither the first nor those in the middle
    found = [same, other(changed), other(bpe=BPE.train(world.stories(30), 400))]
    longer = modern.load("world")[0]
    longer.config = replace(longer.config, n_positions=64)
    found.append(other(longer))
    digest = evaluate.results.source_digest
    for module in ("minigpt.cloze", *evaluate.MEASURING):
        monkeypatch.setattr(evaluate.results, "source_digest", lambda name, module=module: digest(name) + "x" * (name == module))
        found.append(other())
    assert len(set(found)) == len(found)
    monkeypatch.undo()
    again = evaluate.digest(model, bpe, replace(task, name="another"), protocol.choose(task), items)
    assert other() == same != again


def test_a_damaged_row_and_all_after_it_are_measured_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    for bad in (b"{broken\n", b"[1]\n", b'{"item": 9}\n', b'{"item": -1}\n', b'{"no": 1}\n', b'{"item": 2', b'{"item": 2}'):
        path.write_bytes(b'{"item": 1, "a": 5}\n' + bad + b'{"item": 0}\n' * bad.endswith(b"\n"))
        assert evaluate._resume(path, 3) == {1: {"a": 5}} and path.read_bytes() == b'{"item": 1, "a": 5}\n', bad
    assert evaluate._resume(tmp_path / "absent", 3) == {}


def test_the_longest_items_come_first_and_rows_are_on_the_disk_before_the_next(laptop, passages, tmp_path, monkeypatch):
    asked, synced, measure = [], [], cloze.LAMBADA.measure

    def watched(model, bpe, items, switches):
        asked.append([len(json.dumps(item)) for item in items])
        written = [path.read_text(encoding="utf-8").count("\n") for path in (tmp_path / "out").glob("*.jsonl")]
        assert sum(written) == sum(map(len, asked[:-1])) and len(synced) == len(asked) - 1
        return measure(model, bpe, items, switches)

    fsync = evaluate.os.fsync
    monkeypatch.setattr(evaluate.os, "fsync", lambda number: synced.append(number) or fsync(number))
    evaluate.run(*laptop, replace(cloze.LAMBADA, measure=watched), {}, passages, out=tmp_path / "out", progress=False)
    sizes = [size for part in asked for size in part]
    assert list(map(len, asked)) == [5, 5, 5, 5, 4] and sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]


def test_a_chunk_that_was_not_done_to_the_end_is_begun_anew(laptop, passages, tmp_path):
    asked = []

    def watched(model, bpe, items, switches):
        asked.append(len(items))
        return cloze.LAMBADA.measure(model, bpe, items, switches)

    watched.__module__ = cloze.LAMBADA.measure.__module__
    path = tmp_path / evaluate.run(*laptop, "lambada", {}, passages, out=tmp_path, progress=False)["paths"]["rows"]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:8]))
    evaluate.run(*laptop, replace(cloze.LAMBADA, measure=watched), {}, passages, out=tmp_path, progress=False)
    assert asked == [5, 5, 5, 4]  # one chunk of five was done, of the second three


def test_a_record_is_whole_or_the_old_one(laptop, passages, tmp_path, monkeypatch):
    found = evaluate.run(*laptop, "lambada", {}, passages, 3, tmp_path, False, "first")
    path = tmp_path / f"lambada-{found['digest']}-last_word-stop_words.json"
    assert found["paths"]["record"] == str(path) and json.loads(path.read_text(encoding="utf-8"))["model"] == "first"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluate.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        evaluate.run(*laptop, "lambada", {}, passages, 3, tmp_path, False, "second")
    assert json.loads(path.read_text(encoding="utf-8"))["model"] == "first"


def test_what_was_read_with_another_warning_is_not_left_out(laptop, passages, capsys):
    def read(path, limit):
        warnings.warn("an old format", DeprecationWarning, stacklevel=2)
        return cloze.LAMBADA.read(path, limit)

    found = evaluate.run(*laptop, replace(cloze.LAMBADA, read=read), {}, passages, 2, progress=False)
    assert found["left_out"] == [] and "warning: an old format" in capsys.readouterr().err
    with pytest.raises(ValueError, match="lambada: no item could be measured .item 1: the continuation"):
        evaluate.run(*laptop, replace(cloze.LAMBADA, read=lambda *_: [{"text": "word " + "x" * 600}]), {}, progress=False)


def test_malformed_and_hostile_items_are_told_and_the_rest_measured(laptop, passages, tmp_path, capsys):
    text = passages.read_text(encoding="utf-8").splitlines()
    long = json.dumps({"text": "word " + "x" * 600})
    passages.write_text("\n".join([*text[:2], "{oops", long, '{"text": "alone"}', *text[2:4]]) + "\n", encoding="utf-8")
    found = run(laptop, passages, tmp_path)
    said = capsys.readouterr().err
    assert "passages.jsonl, line 3: it is not valid JSON" in said and "line 5: it has no last word" in said
    assert "item 3: the continuation has" in said and len(found["left_out"]) == 3 and found["values"]["passages"] == 4
    assert found["items"] == 5 and found["limit"] is None  # of the seven lines two could not be read, of the items one not measured
    one, other = ([{"text": "a b", "n": 1}, {"n": 1, "text": "a b"}][i:i + 1] for i in (0, 1))
    found_in = [evaluate.run(*laptop, replace(cloze.LAMBADA, read=lambda *_, rows=rows: rows), {}, progress=False)["digest"]
                for rows in (one, other)]
    assert found_in[0] == found_in[1]  # the same item, however its fields are ordered
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


def test_the_command_hands_on_what_it_was_given(monkeypatch, capsys):
    loaded, asked = [], []

    class Model:
        def to(self, device):
            return device

    def run(*given):
        asked.append(given)
        return {"values": {"accuracy": 12.5}, "left_out": ["one", "two"][2 * (given[5] is None):], "paths": {"record": "there"}}

    monkeypatch.setattr(evaluate.modern, "load", lambda name, dtype: loaded.append((name, dtype)) or (Model(), "vocabulary"))
    monkeypatch.setattr(evaluate, "run", run)
    command("--task", "cbt-cn", "--device", "cpu")
    assert "left out:" not in capsys.readouterr().out
    command("--task", "lambada", "--device", "cpu", "--model", "mine", "--dtype", "bfloat16", "--set", "text=one line",
            "--data", "d", "--limit", 3, "--out", "o", "--quiet")
    assert loaded == [("world", torch.float32), ("mine", torch.bfloat16)]
    lambada, cbt = cloze.LAMBADA, cloze.TASKS["cbt-cn"]
    assert asked == [("cpu", "vocabulary", cbt, protocol.choose(cbt), None, None, "runs/evaluate", True, "world"),
                     ("cpu", "vocabulary", lambada, protocol.choose(lambada, {"text": "one line"}), "d", 3, "o", False, "mine")]
    said = capsys.readouterr().out
    assert "text = one line\n" in said and "left out: 2" in said and "accuracy: 12.5\nleft" in said and "record: there" in said


@pytest.mark.parametrize("arguments, says", [
    (["--task", "lambada", "--set", "filter=a=b"], "filter cannot be 'a=b'"),
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
