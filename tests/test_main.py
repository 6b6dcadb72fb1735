"""The command line, as a reader types it: in its own process, in an empty folder."""

import json
import os
import subprocess
import sys

import pytest
import torch
import transformers

from minigpt import BPE, GPT

TEXT = "".join(f"The {a} {b} sat on the {c}. "
               for a in ("old", "red", "shy") for b in ("cat", "fox", "hen") for c in ("mat", "wall")) * 30


def minigpt(folder, *arguments, **environment):
    settings = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | environment
    return subprocess.run([sys.executable, "-m", "minigpt", *map(str, arguments)], cwd=folder, capture_output=True, text=True,
                          env=settings, timeout=120, encoding="utf-8")


def pretrain(folder, *more):
    return minigpt(folder, "pretrain", "--data", "book.txt", "--steps", 12, "--batch-size", 4, "--vocab-size", 280, "--out", "run",
                   "--precision", "fp32", *more)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "book.txt").write_text(TEXT, encoding="utf-8")
    done = pretrain(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_folder_holds_the_model_its_tokeniser_and_a_readable_account(run):
    out = run / "run"
    assert {"config.json", "model.safetensors", "vocab.json", "merges.txt", "run.json", "log.jsonl", "curves.png"} <= {
        p.name for p in out.iterdir()}
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 12 and log[-1]["val_bits_per_byte"] > 0
    assert json.loads((out / "run.json").read_text())["training"]["steps"] == 12
    bpe = BPE.load(out)
    reference = transformers.AutoModelForCausalLM.from_pretrained(out).eval()
    ids = torch.tensor([bpe.encode("The old cat sat")])
    with torch.no_grad():
        torch.testing.assert_close(GPT.from_pretrained(out)(ids), reference(ids).logits, atol=1e-5, rtol=1e-5)


def test_the_vocabulary_has_seen_the_training_part_only(tmp_path):
    hidden = "zyxzyxzyx" * 40
    (tmp_path / "book.txt").write_text(TEXT + hidden, encoding="utf-8")
    assert pretrain(tmp_path).returncode == 0
    assert "zyx" not in BPE.load(tmp_path / "run").vocab


def test_generate_from_a_run_is_repeatable(run):
    one, two, other = (minigpt(run, "generate", "--model", "run", "--prompt", "The old", "--max-new-tokens", 20, "--seed", seed)
                       for seed in (1, 1, 2))
    assert one.returncode == 0, one.stderr
    assert one.stdout.startswith("The old") and one.stdout == two.stdout != other.stdout


def test_resume_continues_and_a_second_start_is_refused(run):
    again = pretrain(run)
    assert again.returncode == 2 and "already holds a run" in again.stderr
    more = pretrain(run, "--resume")
    assert more.returncode == 0, more.stderr


@pytest.mark.parametrize(("arguments", "says"), [
    (["pretrain", "--data", "missing.txt"], "missing.txt"),
    (["pretrain", "--data", "empty.txt"], "is empty"),
    (["pretrain", "--data", "binary.bin"], "binary.bin"),
    (["pretrain", "--data", "short.txt"], "too short"),
    (["pretrain", "--data", "nobody/nothing-here"], "nobody/nothing-here"),
    (["pretrain", "--resume", "--out", "nowhere"], "no run folder nowhere"),
    (["generate", "--model", "nowhere"], "no model folder 'nowhere'"),
    (["generate", "--model", "run", "--top-k", "0"], "top_k must be at least 1"),
    (["generate", "--model", "nobody/nothing-here"], "nobody/nothing-here")])
def test_mistakes_end_in_one_line(run, arguments, says):
    (run / "empty.txt").write_text("")
    (run / "short.txt").write_text("Too short by far.")
    (run / "binary.bin").write_bytes(bytes(range(256)) * 50)
    done = minigpt(run, *arguments, *(["--steps", "2"] if arguments[0] == "pretrain" else []))
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()
    assert len(last) == 1 and last[0].startswith("error: ") and says in last[0], done.stderr


def test_a_long_prompt_and_an_empty_one(run):
    long = minigpt(run, "generate", "--model", "run", "--prompt", TEXT[:3000], "--max-new-tokens", 5, "--seed", 0)
    assert long.returncode == 0 and long.stdout.startswith(TEXT[:3000])
    assert minigpt(run, "generate", "--model", "run", "--max-new-tokens", 5).returncode == 0


def test_help_helps(tmp_path):
    for command in ("pretrain", "generate"):
        text = minigpt(tmp_path, command, "--help").stdout
        assert "--seed" in text and ("--model" in text or "--data" in text)
