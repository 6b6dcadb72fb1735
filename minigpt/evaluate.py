"""Any zero-shot task on any model, with every choice of the protocol told, and a run that survives being killed.

Rows, one per item, are appended to a JSONL file whose name carries a digest of all that they depend on: the weights, the
vocabulary, the task, the switches, the data, the code. A run that was stopped goes on where it was; what belongs to another model,
another switch or other data is never mixed in. Switches that only change how rows are counted (LAMBADA's filter, a perplexity's
unit) need no second run.
"""

import argparse
import hashlib
import json
import os
import sys
import warnings
from pathlib import Path

import torch
from tqdm import tqdm

from minigpt import language_modelling, modern, prompting, protocol, results
from minigpt.protocol import LeftOut, Task

TASKS: dict[str, Task] = language_modelling.TASKS | prompting.TASKS
CHUNK = 64  # items measured between two writes
MEASURING = ("minigpt.zeroshot", "minigpt.scoring", "minigpt.detokenise", "minigpt.generate")  # what the tasks measure with
SAMPLE = 4096  # numbers of each tensor that the digest of a model looks at


def run(model, bpe, task: str | Task, switches: dict | None = None, data=None, limit: int | None = None, out=None,
        progress: bool = True, name: str = "") -> dict:
    """Measure a task and return {"values", "switches", "items", "left_out", "rows", "paths", ...}.

    switches: those to be set otherwise than by default; data: a file or folder (None: the mirror or the hub); limit: at most so
    many items; out: the folder for the rows and the record (None: nothing is written); name: what to call the model there.
    Progress and everything that was left out go to stderr. Raises ValueError or OSError in one line.
    """
    task = find(task)
    switches = protocol.choose(task, switches)
    items, told = _read(task, data, limit)
    n_read = len(items)
    items = task.plan(model, bpe, items, switches) if task.plan else items
    dumped = [json.dumps(item, sort_keys=True) for item in items]
    key = digest(model, bpe, task, switches, dumped)
    folder = Path(out) if out is not None else None
    path = folder / f"{task.name}-{key}.jsonl" if folder else None
    done = _resume(path, len(items)) if path else {}
    if done:
        print(f"{task.name}: {len(done)} of {len(items)} were measured before", file=sys.stderr)
    bar = tqdm(total=len(items), initial=len(done), desc=task.name, unit="item", disable=not progress, file=sys.stderr)
    with bar:
        for chosen in _chunks(dumped, done):
            rows = task.measure(model, bpe, [items[i] for i in chosen], switches)
            new = dict(zip(chosen, rows, strict=True))
            if path:
                _append(path, new)
            done |= new
            bar.n = len(done)
            bar.refresh()
    rows = [done[i] for i in range(len(items))]
    good = [row for row in rows if "left_out" not in row]
    for i in (i for i, row in enumerate(rows) if "left_out" in row):
        told.append(f"item {i + 1}: {rows[i]['left_out']}; left out")
        print(f"warning: {told[-1]}", file=sys.stderr)
    if not good:
        raise ValueError(f"{task.name}: no item could be measured ({told[-1] if told else 'there are none'})")
    found = {"task": task.name, "model": name, "values": task.score(good, switches), "switches": switches, "items": n_read,
             "left_out": told, "data": str(data) if data is not None else task.source, "limit": limit, "digest": key,
             "rows": rows, "paths": {}}
    if folder:
        found["paths"] = {"rows": str(path), "record": str(_record(folder, task, found))}
    return found


def _chunks(dumped: list[str], done: dict):
    """The items that are left, a chunk at a time, the longest first; a chunk that is not done to the end is begun anew.

    Items of about equal length make up a chunk, so that a batch holds little padding, and the chunks are those of a run that
    never stopped, so that the rows are too.
    """
    order = sorted(range(len(dumped)), key=lambda i: (-len(dumped[i]), i))
    for begin in range(0, len(order), CHUNK):
        chunk = order[begin:begin + CHUNK]
        if not all(i in done for i in chunk):
            yield chunk


def find(task: str | Task) -> Task:
    """The task of that name. Raises ValueError, in one line, for a name that is none."""
    if isinstance(task, Task):
        return task
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; there are: {', '.join(TASKS)}")
    return TASKS[task]


def digest(model, bpe, task: Task, switches: dict, dumped: list[str]) -> str:
    """What the rows depend on, in 16 letters: weights (a sample of each tensor), vocabulary, switches, items, code."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        flat = tensor.detach().flatten()
        sample = flat[::max(1, len(flat) // SAMPLE)].float().cpu().numpy().tobytes()
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode() + sample)
    text = " ".join(dumped[:20])[:20_000]
    matter = {name: value for name, value in switches.items() if name not in task.scored}
    measured_by = getattr(task.measure, "func", task.measure).__module__
    code = [results.source_digest(module) for module in (measured_by, *MEASURING)]
    vocabulary = [bpe.vocab_size, bpe.encode(text)]
    window = getattr(getattr(model, "config", None), "n_positions", None)
    found.update(json.dumps([task.name, matter, code, vocabulary, window], sort_keys=True).encode())
    for item in dumped:
        found.update(hashlib.sha256(item.encode()).digest())
    return found.hexdigest()[:16]


def _read(task: Task, data, limit) -> tuple[list[dict], list[str]]:
    """The items, and what was told about malformed ones (also printed to stderr)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        items = task.read(data, limit)
    told = [str(warning.message) for warning in caught if issubclass(warning.category, LeftOut)]
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    return items, told


def _resume(path: Path, n: int) -> dict[int, dict]:
    """The rows that a run before wrote; a last line that was cut short is taken off the file."""
    if not path.is_file():
        return {}
    found, good = {}, 0
    raw = path.read_bytes()
    for line in raw.splitlines(keepends=True):
        try:
            row = json.loads(line)
            i = row.pop("item")
            if not line.endswith(b"\n") or not 0 <= i < n:
                break
        except (ValueError, KeyError, AttributeError, TypeError):
            break
        found[i] = row
        good += len(line)
    if good < len(raw):
        with open(path, "r+b") as file:
            file.truncate(good)
    return found


def _append(path: Path, rows: dict[int, dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write("".join(json.dumps({"item": i} | row) + "\n" for i, row in rows.items()))
        file.flush()
        os.fsync(file.fileno())


def _record(folder: Path, task: Task, found: dict) -> Path:
    record = {name: value for name, value in found.items() if name not in ("rows", "paths")}
    record |= {"rows": f"{task.name}-{found['digest']}.jsonl", "cells": {name: list(cell) for name, cell in task.cells.items()},
               "device": results.device(), "versions": results.versions()}
    scored = "".join(f"-{found['switches'][name]}" for name in task.scored).replace(" ", "_")
    path = folder / f"{task.name}-{found['digest']}{scored}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    os.replace(unfinished, path)
    return path


# -- the command line -----------------------------------------------------------------------------------------------------------


def add_arguments(p: argparse.ArgumentParser) -> None:
    """The options of `python -m minigpt evaluate`."""
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = "tasks, and their switches with the default first:\n\n" + protocol.table(TASKS)
    p.add_argument("--model", default="world", help="a model folder, a hub id, a shipped model, smollm2-135m-instruct, or a .gguf "
                                                    "file (default: world)")
    p.add_argument("--task", required=True, metavar="NAME", help="one of those below")
    p.add_argument("--set", action="append", default=[], metavar="SWITCH=VALUE", help="choose a value of a switch; may be repeated")
    p.add_argument("--data", metavar="PATH", help="the task's file or folder, in place of the mirror or the hub")
    p.add_argument("--limit", type=int, metavar="N", help="at most N items")
    p.add_argument("--out", metavar="DIR", help="rows and record; a run that was stopped goes on there (default: runs/evaluate)")
    p.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32", help="of the weights (float32)")
    p.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    p.add_argument("--quiet", action="store_true", help="no progress bar")


def command(options) -> None:
    """Evaluate as the command line asks; print the protocol, then the scores."""
    task = find(options.task)
    switches = protocol.choose(task, _switches(options.set))
    model, bpe = modern.load(options.model, dtype=getattr(torch, options.dtype))
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    out = options.out or "runs/evaluate"
    print(f"{task.name}: {task.about}\nmodel: {options.model}, {options.dtype}, {device}")
    for name, value in switches.items():
        print(f"  {name} = {value}" + (" (default)" if value == task.switches[name][0] else ""))
    found = run(model.to(device), bpe, task, switches, options.data, options.limit, out, not options.quiet, options.model)
    for name, value in found["values"].items():
        print(f"{name}: {results.show(value)}")
    if found["left_out"]:
        print(f"left out: {len(found['left_out'])} (told above)")
    print(f"record: {found['paths']['record']}")


def _switches(given: list[str]) -> dict[str, str]:
    wrong = next((text for text in given if "=" not in text), None)
    if wrong is not None:
        raise ValueError(f"--set takes SWITCH=VALUE, not {wrong!r}")
    return dict(text.split("=", 1) for text in given)
