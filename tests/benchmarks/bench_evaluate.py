"""How fast zero-shot evaluation is, as ratios to lm-evaluation-harness: python -m tests.benchmarks.bench_evaluate [smollm2] [FILE]

The same weights, batch size and dtype on one thread; the best of several runs, theirs and ours in turn. Three workloads: the last
word of many passages (LAMBADA), many documents of unequal length (WikiText, each alone), and ten choices in one long context (CBT).
Weights: the shipped model, a random one of GPT-2's smallest shape, and, with "smollm2", SmolLM2-135M-Instruct.
FILE: a text to cut them from; without it the embedded world writes one.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch

from minigpt import BPE, GPT, GPTConfig, modern, world
from minigpt.scoring import rolling, tails
from minigpt.weights import CHECKPOINTS
from tests.harness import harness, requests, smollm2_harness

BATCH_SIZE, GOAL = 16, 2.0


def seconds(calls, repeats):
    """The shortest of several timings of each call, taken in turn, and the last results."""
    best, results = [float("inf")] * len(calls), [None] * len(calls)
    for _ in range(repeats):
        for i, call in enumerate(calls):
            start = time.process_time()
            results[i] = call()
            best[i] = min(best[i], time.process_time() - start)
    return best, results


def texts():
    names = [name for name in sys.argv[1:] if name != "smollm2"]
    text = Path(names[0]).read_text(encoding="utf-8") if names else "\n".join(world.stories(400, split="test"))
    return text.split()


def compare(name, model, bpe, theirs, words, n, repeats):
    """One model on the three workloads, n passages each; what is timed includes encoding the text, on both sides."""
    def ask(pairs):
        encoded = [(bpe.encode(context), bpe.encode(end)) for context, end in pairs]
        return [float(row.sum()) for row in tails(model, [c + e for c, e in encoded], [len(e) for _, e in encoded], BATCH_SIZE)]

    def asked(pairs):
        return [nats for nats, _ in theirs.loglikelihood(requests("loglikelihood", pairs), disable_tqdm=True)]

    def read(documents):
        ids = [[bpe.eos_id, *bpe.encode(text)] for text in documents]
        return [float(row.sum()) for row in rolling(model, ids, batch_size=BATCH_SIZE)]

    def theirs_read(documents):
        return theirs.loglikelihood_rolling(requests("loglikelihood_rolling", [(text,) for text in documents]), disable_tqdm=True)

    longest = 60 if model.config.n_positions < 256 else 110
    cut = [words[i * 70:i * 70 + 20 + (i * 37) % (longest - 20)] for i in range(n)]
    passages = [(" ".join(part[:-1]), " " + part[-1]) for part in cut]
    documents = [" ".join(words[i * 90:i * 90 + 5 + (i * i * 29) % (longest - 5)]) for i in range(n)]
    choices = [(" ".join(words[i * 80:i * 80 + longest]), f" {choice} and that was all") for i in range(max(1, n // 10))
               for choice in "dog cat house tree man river door garden boat book".split()]
    for what, ours, peer, given in (("last words", ask, asked, passages), ("documents alone", read, theirs_read, documents),
                                    ("ten choices", ask, asked, choices)):
        (mine, other), (found, expected) = seconds([lambda f=ours, g=given: f(g), lambda f=peer, g=given: f(g)], repeats)
        assert all(abs(a - b) < 1e-2 + 1e-3 * abs(b) for a, b in zip(found, expected, strict=True)), "the numbers differ"
        print(f"{name + ', ' + what:<52}{mine:>9.2f}s{other:>9.2f}s   {other / mine:.2f}x (goal: at least {GOAL:.0f}x)", flush=True)


def main():
    torch.set_num_threads(1)
    words = texts()
    print(f"one thread, fp32, batches of {BATCH_SIZE}; processor seconds, best of several runs\n")
    print(f"{'what':<52}{'ours':>10}{'harness':>10}   ratio")
    folder = CHECKPOINTS / "world"
    compare("the shipped model, 1.3M", *modern.load("world"), harness(folder, BATCH_SIZE), words, 160, 3)
    with tempfile.TemporaryDirectory() as kept:
        torch.manual_seed(0)
        GPT(GPTConfig.preset("gpt2")).save_pretrained(kept)
        BPE.gpt2().save(kept)
        compare("GPT-2's smallest shape, 124M", *modern.load(kept), harness(kept, BATCH_SIZE), words, 32, 2)
    if "smollm2" in sys.argv:
        model, bpe = modern.load(modern.NAME)
        compare("SmolLM2-135M-Instruct", model, bpe, smollm2_harness(BATCH_SIZE), words, 32, 2)


if __name__ == "__main__":
    main()
