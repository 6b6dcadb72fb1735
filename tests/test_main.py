"""The command line, as a reader types it: in its own process, in an empty folder."""

import json
import os
import subprocess
import sys

import pytest
import torch
import transformers

from minigpt import BPE, GPT, __main__

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


def test_an_interrupt_and_a_mistake_have_their_exit_codes(monkeypatch, capsys):
    for error, code, says in ((KeyboardInterrupt(), 130, "stopped; "), (ValueError("wrong"), 2, "error: wrong\n"),
                              (ImportError("no library"), 2, "error: no library\n"), (None, 0, "")):
        def asked(options, error=error):
            if error:
                raise error

        monkeypatch.setattr(__main__.evaluate, "command", asked)
        assert __main__.main(["evaluate", "--task", "lambada"]) == code
        assert capsys.readouterr().err.strip("\n").startswith(says.strip("\n"))


def test_help_helps(tmp_path):
    for command in ("pretrain", "finetune", "generate"):
        text = minigpt(tmp_path, command, "--help").stdout
        assert "--seed" in text and ("--model" in text or "--data" in text)


# -- finetune -------------------------------------------------------------------------------------------------------------------


def finetune(folder, task, out, *more, **environment):
    return minigpt(folder, "finetune", "--model", "run", "--task", task, "--out", out, "--limit", 12, "--epochs", 2, "--quiet",
                   *more, **environment)


@pytest.mark.parametrize(("task", "column"), [("rte", "RTE.tsv"), ("cola", "CoLA.tsv"), ("sst2", "SST-2.tsv"), ("mrpc", "MRPC.tsv"),
                                              ("stsb", "STS-B.tsv")])
def test_finetune_on_real_glue_data(run, mirror, task, column):
    """A small network that knows nothing, a dozen real examples: every step of the way, not a score."""
    done = finetune(run, task, f"real-{task}", MINIGPT_DATA=str(mirror))
    assert done.returncode == 0, done.stderr
    report = json.loads((run / f"real-{task}" / "result.json").read_text(encoding="utf-8"))
    assert report["task"] == task and len(report["epochs"]) == 2 and report["best_epoch"] in (1, 2)
    assert report["settings"]["lm_coefficient"] == 0.5 and report["settings"]["learning_rate"] == 6.25e-5
    rows = [line.split("\t") for line in (run / f"real-{task}" / "validation" / column).read_text().splitlines()]
    assert rows[0] == ["index", "prediction"] and [row[0] for row in rows[1:]] == [str(i) for i in range(12)]
    for _, value in rows[1:]:
        assert value in ("entailment", "not_entailment") if task == "rte" else 0 <= float(value) <= (5 if task == "stsb" else 1)
    best = report["epochs"][report["best_epoch"] - 1]["dev"]
    assert report["scores"] == {"validation": best} and f"the paper: {list(best)[0]} {report['paper']:.1f}" in done.stdout
    assert "without the test split" in done.stdout


def test_finetune_on_the_world_and_resume(run):
    done = finetune(run, "cloze", "cloze", "--seed", 3)
    assert done.returncode == 0, done.stderr
    before = (run / "cloze" / "head.safetensors").read_bytes()
    report = json.loads((run / "cloze" / "result.json").read_text(encoding="utf-8"))
    assert set(report["scores"]) == {"validation", "test"} and report["examples"] == {"train": 12, "validation": 12, "test": 12}
    again = finetune(run, "cloze", "cloze", "--seed", 3)
    assert again.returncode == 2 and "already holds a run; add --resume" in again.stderr
    (run / "cloze" / "head.safetensors").unlink()
    resumed = finetune(run, "cloze", "cloze", "--seed", 3, "--resume")
    assert resumed.returncode == 0 and (run / "cloze" / "head.safetensors").read_bytes() == before
    other = finetune(run, "cloze", "cloze", "--seed", 4, "--resume")
    assert other.returncode == 2 and "started with seed 3, not 4" in other.stderr


def broken_mirror(folder, split="train", **columns):
    """RTE as the hub lays it out; `columns` replace those of one split, None takes one away."""
    import datasets

    place = folder / "nyu-mll" / "glue" / "rte"
    place.mkdir(parents=True)
    for name in ("train", "validation"):
        rows = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [0, 1]} | (columns if name == split else {})
        rows = {key: values for key, values in rows.items() if values is not None}
        datasets.Dataset.from_dict(rows).to_parquet(place / f"{name}-00000-of-00001.parquet")
    return place


@pytest.mark.parametrize(("change", "says"), [
    (dict(sentence1=None, premise=["a", "b"]), "the train split has no column 'sentence1'; it has: sentence2, label, premise"),
    (dict(label=[0, 7]), "rte, train, example 2: the label 7 is not one of: 0 entailment, 1 not_entailment"),
    (dict(label=[-1, 0]), "rte, train, example 1: the label -1 is not one of"),
    (dict(split="validation", sentence1=[], sentence2=[], label=[]), "validation-00000-of-00001.parquet")])
def test_finetune_refuses_broken_data_in_one_line(run, tmp_path, change, says):
    broken_mirror(tmp_path, **change)
    done = finetune(run, "rte", "broken", MINIGPT_DATA=str(tmp_path))
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1 and says in done.stderr, done.stderr


def test_finetune_refuses_half_a_file_and_wrong_requests_in_one_line(run, tmp_path):
    place = broken_mirror(tmp_path)
    whole = place / "train-00000-of-00001.parquet"
    whole.write_bytes(whole.read_bytes()[:200])
    for done, says in [
            (finetune(run, "rte", "broken", MINIGPT_DATA=str(tmp_path)), "train-00000-of-00001.parquet"),
            (finetune(run, "rte", "broken", MINIGPT_DATA=str(tmp_path / "nothing")), "nyu-mll/glue"),
            (finetune(run, "sentimental", "broken"), "unknown task 'sentimental'"),
            (finetune(run, "cloze", "broken", "--layers", 9), "layers must be from -1 (from scratch) to 4"),
            (finetune(run, "cloze", "nowhere", "--resume"), "there is no run folder nowhere")]:
        assert done.returncode == 2 and says in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (run / "broken").exists(), "a request that cannot be met leaves nothing behind"
