"""The command line: python -m minigpt pretrain | finetune | generate | evaluate | reproduce | webtext."""

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from minigpt import BPE, GPT, data, evaluate, hub, modern, reproduce, reproduce_gpt2, results, tasks, viz, webtext, weights
from minigpt import finetune as finetuning
from minigpt import model as models
from minigpt import train as training
from minigpt.generate import generate_texts, stream_text
from minigpt.objective import decide, submission

WORLD_BYTES = 24_000_000  # of generated stories: more than the laptop model reads in ten minutes of training
OFFICIAL = {"gpt1": BPE.gpt1, "gpt1-lstm": BPE.gpt1,
            "gpt2": BPE.gpt2, "gpt2-medium": BPE.gpt2, "gpt2-large": BPE.gpt2, "gpt2-xl": BPE.gpt2}


def pretrain(options) -> None:
    main = int(os.environ.get("RANK", 0)) == 0
    device = _device(options.device)
    out = Path(options.out or f"runs/{options.preset}-{Path(options.data).stem}")
    if options.resume and not out.is_dir():
        raise FileNotFoundError(f"there is no run folder {out} to resume; leave out --resume to start one")
    if main and not options.resume and (out / "checkpoints").is_dir():
        raise ValueError(f"{out} already holds a run; add --resume to continue it, or choose another --out")
    say = print if main else lambda *_: None
    say(f"reading {options.data}", flush=True)
    documents = data.read(options.data, **({"n_bytes": WORLD_BYTES} if options.data == "world" else {}))
    bpe = _tokeniser(options, out, documents["train"])
    if main:
        out.mkdir(parents=True, exist_ok=True)
        bpe.save(out)
    tokens, held_out = data.encode(bpe, documents["train"]), data.encode(bpe, documents["validation"])
    bytes_per_token = sum(len(d.encode()) for d in documents["validation"]) / len(held_out)
    torch.manual_seed(options.seed)
    shape = replace(models.config_of(options.preset), vocab_size=bpe.vocab_size, **_given(options, "dropout"))
    model = (models.LSTM if options.preset in models.BASELINES else GPT)(shape).to(device)
    config = training.TrainConfig(**_given(
        options, "steps", "seed", "batch_size", "micro_batch", "learning_rate", "warmup", "precision", "compile"))
    say(f"{model.n_params():,} parameters on {device}; {len(tokens):,} training tokens, {len(held_out):,} held out, "
        f"{bytes_per_token:.2f} bytes per token; writing to {out}", flush=True)
    started = time.perf_counter()
    log = training.train(model, tokens, held_out, config, out, options.resume, bytes_per_token=bytes_per_token,
                         progress=not options.quiet)
    if main:
        model.save_pretrained(out, dtype=torch.float16 if options.half else None)
        report = {"command": shlex.join(["python", "-m", "minigpt", *sys.argv[1:]]), "model": asdict(model.config),
                  "training": asdict(config), "data": options.data, "training_tokens": len(tokens),
                  "seconds": round(time.perf_counter() - started, 1), "final": log[-1], "device": results.device()}
        (out / "run.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8", newline="\n")
        _draw(log, out / "curves.png")
        say(f"held out: {log[-1]['val_loss']:.3f} nats per token, {log[-1]['val_bits_per_byte']:.3f} bits per byte")
        say(f"the model is in {out}; try: python -m minigpt {'generate' if isinstance(model, GPT) else 'finetune'} --model {out}")


def finetune(options) -> None:
    task, out = tasks.get(options.task), Path(options.out or f"runs/{options.task}")
    if options.resume and not out.is_dir():
        raise FileNotFoundError(f"there is no run folder {out} to resume; leave out --resume to start one")
    if not options.resume and (out / "checkpoints").is_dir():
        raise ValueError(f"{out} already holds a run; add --resume to continue it, or choose another --out")
    model, bpe = models.load(options.model).to(_device(options.device)), BPE.load(options.model)
    examples = {}
    for split in task.splits:
        try:
            examples[split] = tasks.read(task, split, options.limit)
        except (hub.HubError, ValueError) as error:  # a mirror may well carry no test split: its labels are secret anyway
            if split in ("train", "validation"):
                raise
            print(f"without the {split} split: {error}", flush=True)
    # The paper's settings are for the paper's model; the world's tasks are for the laptop's.
    config = replace(finetuning.LAPTOP if task.source == "world" else finetuning.FinetuneConfig(), **_given(
        options, "learning_rate", "batch_size", "epochs", "seed", "layers", "lm_coefficient", "dropout", "quirks", "precision"))
    if options.from_scratch:
        config = replace(config, layers=-1)
    print(f"{task.name}: {', '.join(f'{len(rows):,} {split}' for split, rows in examples.items())} examples; "
          f"{model.n_params():,} parameters; writing to {out}\n{config}", flush=True)
    started = time.perf_counter()
    result = finetuning.finetune(model, bpe, task, examples["train"], examples["validation"], config, out, options.resume,
                                 progress=not options.quiet)
    for row in result.log:
        best = ", the best" * (row["epoch"] == result.best_epoch)
        print(f"epoch {row['epoch']}: task loss {row['task_loss']:.3f}, LM loss {row['lm_loss']:.3f}; "
              f"train {_points(row['train'])}; dev {_points(row['dev'])}{best}")
    finetuning.save_classifier(result.classifier, bpe, task, out)
    measured = {}
    for split in [split for split in examples if split != "train"]:
        found = decide(task, finetuning.predict(result.classifier, bpe, task, examples[split]))
        name, text = submission(task, split, found)
        (out / split).mkdir(exist_ok=True)
        (out / split / name).write_text(text, encoding="utf-8", newline="\n")
        labels = [example.label for example in examples[split]]
        measured[split] = {} if None in labels else tasks.scores(task.metrics, found, labels)
    report = {"task": task.name, "model": options.model, "command": shlex.join(["python", "-m", "minigpt", *sys.argv[1:]]),
              "settings": asdict(config), "examples": {split: len(rows) for split, rows in examples.items()},
              "best_epoch": result.best_epoch, "scores": measured, "paper": task.printed, "epochs": result.log,
              "seconds": round(time.perf_counter() - started, 1), "device": results.device(), "versions": results.versions()}
    (out / "result.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8", newline="\n")
    for split, found in measured.items():
        print(f"{split}: {_points(found) if found else 'labels are secret; the predictions can be submitted'}")
    if task.printed is not None:
        print(f"the paper: {task.metrics[0]} {task.printed:.1f} (GPT-1, on the test set)")
    print(f"model, predictions and result.json are in {out}")


def _points(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in found.items())


def generate(options) -> None:
    prompts = _prompts(options.prompt_file) if options.prompt_file else [options.prompt]
    model, bpe = modern.load(options.model)
    model = model.to(_device(options.device))
    settings = dict(max_new_tokens=options.max_new_tokens, temperature=options.temperature, top_k=options.top_k,
                    top_p=options.top_p, stop=tuple(options.stop), seed=options.seed, allowed_special=set(bpe.specials))
    if options.prompt_file:
        for prompt, completion in zip(prompts, generate_texts(model, bpe, prompts, progress=True, **settings), strict=True):
            print(json.dumps({"prompt": prompt, "completion": completion}, ensure_ascii=False))
        return
    pieces = stream_text(model, bpe, options.prompt, **settings)
    first = next(pieces)  # whatever is wrong with the request shows here, before anything is printed
    print(options.prompt + first, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


def _prompts(name: str) -> list[str]:
    """The lines of a file, or of standard input ('-'), that are not empty."""
    raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        prompts = [line for line in raw.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if not prompts:
        raise ValueError(f"{name}: no prompts in it; write one on each line")
    return prompts


def _device(name: str | None) -> torch.device:
    """The device asked for, else the best there is. Under torchrun, this process's own, joined to the others."""
    if "WORLD_SIZE" in os.environ:
        cuda = torch.cuda.is_available()
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(device)
        return device
    if name:
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _tokeniser(options, out: Path, texts: list[str]) -> BPE:
    """The run's own on resuming, one that was asked for, the paper's, or one trained on the training part alone."""
    if options.resume and (out / "vocab.json").is_file():
        return BPE.load(out)
    if options.tokenizer:
        return BPE.load(options.tokenizer)
    if options.preset in OFFICIAL and not options.vocab_size:
        return OFFICIAL[options.preset]()
    size = options.vocab_size or models.config_of(options.preset).vocab_size
    print(f"training a vocabulary of {size:,} on the training part", flush=True)
    return BPE.train(texts, size)


def _given(options, *names: str) -> dict:
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _draw(log: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    viz.style()
    figure, axis = plt.subplots(figsize=(7, 4))
    axis.plot([r["step"] for r in log], [r["loss"] for r in log], alpha=0.5, label="training batch")
    held_out = [r for r in log if "val_loss" in r]
    axis.plot([r["step"] for r in held_out], [r["val_loss"] for r in held_out], "o-", label="held out")
    axis.set(xlabel="updates", ylabel="nats per token", title="Loss")
    axis.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _finetune_arguments(commands) -> None:
    laptop = finetuning.LAPTOP
    p = commands.add_parser("finetune", help="train a model on a labelled task",
                            description="Train a model on a labelled task with GPT-1's objective, and predict its other splits.")
    p.add_argument("--model", default="world", help="a run or model folder, a hub id, or a shipped model (default: world)")
    p.add_argument("--task", required=True, metavar="NAME", help=f"one of {', '.join(tasks.TASKS)}")
    p.add_argument("--out", help="run folder: model, predictions, result.json, checkpoints (default runs/TASK)")
    p.add_argument("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    p.add_argument("--limit", type=int, metavar="N", help="at most N examples of each split")
    p.add_argument("--seed", type=int, help="of new weights, batches and dropout (default 0)")
    p.add_argument("--epochs", type=int, help="passes over the training set; the best on the development set is kept (default: 3, "
                                              f"on the world's tasks {laptop.epochs})")
    p.add_argument("--batch-size", type=int, help=f"examples per update (default: 32; {laptop.batch_size})")
    p.add_argument("--learning-rate", type=float, help=f"at its highest (default: 6.25e-5; {laptop.learning_rate:g})")
    p.add_argument("--lm-coefficient", type=float, metavar="LAMBDA", help="weight of the language-model loss (default: 0.5; "
                                                                          f"{laptop.lm_coefficient:g})")
    p.add_argument("--dropout", type=float, help=f"inside the model (default: 0.1; {laptop.dropout:g})")
    start = p.add_mutually_exclusive_group()
    start.add_argument("--layers", type=int, metavar="K", help="start from the embeddings and the first K blocks only")
    start.add_argument("--from-scratch", action="store_true", help="start from random weights: no pre-training")
    p.add_argument("--quirks", choices=["openai"], help="follow OpenAI's released code where it is not as the paper says")
    p.add_argument("--precision", choices=["fp32", "bf16"], help="of the matrix products (default fp32)")
    p.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    p.set_defaults(call=finetune)


def parser() -> argparse.ArgumentParser:
    shipped = ", ".join(sorted(p.name for p in weights.CHECKPOINTS.glob("*/")))
    top = argparse.ArgumentParser(prog="python -m minigpt", description="Train, and use, the models of the GPT papers.")
    commands = top.add_subparsers(dest="command", required=True)
    p = commands.add_parser("pretrain", help="train a model on text",
                            description="Train a model on text. Under torchrun the batch is shared among the processes.")
    p.add_argument("--data", default="world", help="'world' (the default), a text file, a folder of text files, or a hub data set")
    p.add_argument("--preset", default="world", choices=["world", "world-lstm", *OFFICIAL],
                   help="the shape of the model; -lstm: GPT-1's baseline (default: world)")
    p.add_argument("--steps", type=int, help="updates (default 1000)")
    p.add_argument("--out", help="run folder: model, tokeniser, log.jsonl, curves.png, checkpoints (default runs/PRESET-DATA)")
    p.add_argument("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    p.add_argument("--seed", type=int, default=0, help="of weights, batches and dropout (default 0)")
    p.add_argument("--batch-size", type=int, help="sequences per update (default 32)")
    p.add_argument("--micro-batch", type=int, help="sequences at a time, to save memory; the update stays the same")
    p.add_argument("--learning-rate", type=float, help="the highest of the schedule (default 3e-3; large models want less)")
    p.add_argument("--warmup", type=int, help="updates of linear warm-up (default 100)")
    p.add_argument("--dropout", type=float, help="in place of the preset's")
    p.add_argument("--tokenizer", help="a folder or shipped name, in place of one trained on the training part")
    p.add_argument("--vocab-size", type=int, help="entries of the vocabulary to train (default: the preset's)")
    p.add_argument("--precision", choices=["auto", *training.PRECISIONS], default="auto",
                   help="of the matrix products; the default, auto, lets a short probe choose")
    p.add_argument("--compile", action="store_true", help="torch.compile: worth its half minute on long runs")
    p.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    p.add_argument("--half", action="store_true", help="store the final weights in fp16")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    p.set_defaults(call=pretrain)
    _finetune_arguments(commands)
    p = commands.add_parser("generate", help="continue a text")
    p.add_argument("--model", default="world",
                   help=f"a run or model folder, a hub id, {modern.NAME}, a *.gguf file, or a shipped model ({shipped}); "
                        "default: world")
    text = p.add_mutually_exclusive_group()
    text.add_argument("--prompt", default="", help="the text to continue; nothing starts a new document")
    text.add_argument("--prompt-file", metavar="FILE",
                      help="a text file with one prompt a line ('-': standard input); prints a JSON line for each")
    p.add_argument("--max-new-tokens", type=int, default=200, help="default 200")
    p.add_argument("--temperature", type=float, default=1.0, help="0 is greedy; default 1")
    p.add_argument("--top-k", type=int, help="sample among the k likeliest tokens (the paper's samples: 40)")
    p.add_argument("--top-p", type=float, help="sample among the fewest tokens whose probability reaches p")
    p.add_argument("--stop", action="append", default=[], metavar="TEXT", help="end before this text; may be given more than once")
    p.add_argument("--seed", type=int, help="the same seed, the same text")
    p.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    p.set_defaults(call=generate)
    p = commands.add_parser("reproduce", help="measure a table or figure of the papers again",
                            description="Measure a table or figure of the papers again, beside the paper's. Stopped runs go on.")
    reproduce.add_arguments(p, reproduce_gpt2.TARGETS)
    reproduce_gpt2.add_arguments(p)
    p.set_defaults(call=lambda o: (reproduce_gpt2 if o.target in reproduce_gpt2.TARGETS else reproduce).command(o))
    p = commands.add_parser("evaluate", help="measure a zero-shot task",
                            description="Measure a zero-shot task, every choice of its protocol a switch. Stopped runs go on.")
    evaluate.add_arguments(p)
    p.set_defaults(call=evaluate.command)
    p = commands.add_parser("webtext", help="make a corpus as WebText was made",
                            description="Make a corpus as WebText was made: filters, extraction, de-duplication, shards of tokens.")
    webtext.add_arguments(p)
    p.set_defaults(call=webtext.command)
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    os.environ.setdefault("DATASETS_VERBOSITY", "critical")  # a broken file is told in one line, by us
    try:
        options.call(options)
    except (ValueError, OSError, FloatingPointError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; a pretrain or finetune run continues from its last checkpoint with --resume", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
