"""How fast byte-pair encoding is, as ratios to its peers in one run: python -m tests.benchmarks.bench_bpe [FILE]

Training: 1 MB of text to a vocabulary of 2,000, against minbpe (from $MINIGPT_PEERS/minbpe, on a 20 kB slice, since its
time grows with text times merges) and tokenizers. Encoding: GPT-2's vocabulary against tiktoken. One thread each,
the best of several runs. FILE is a text of a megabyte or more; without it the embedded world writes one.
"""

import os
import sys
import time
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from minigpt import hub, world
from minigpt.bpe import BPE

MEGABYTE, SLICE, VOCAB_SIZE = 1_000_000, 20_000, 2_000


def seconds(call, repeats):
    """The shortest of several timings, and the last result."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return best, result


def corpus():
    if len(sys.argv) > 1:
        text = Path(sys.argv[1]).read_text(encoding="utf-8")
        return text[:MEGABYTE], sys.argv[1]
    return "\n\n".join(world.stories(2_000))[:MEGABYTE], "the embedded world"


def train_tokenizers(text):
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE - 1, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return theirs


def train_minbpe():
    """A function text -> trained minbpe tokeniser with GPT-2's word pattern, or None where the peer is absent."""
    folder = Path(os.environ.get("MINIGPT_PEERS", "")) / "minbpe"
    if not (folder / "minbpe").is_dir():
        return None
    sys.path.insert(0, str(folder))
    from minbpe import RegexTokenizer

    def train(text):
        theirs = RegexTokenizer(pattern=r50k_pat_str)
        theirs.train(text, VOCAB_SIZE - 1)
        return theirs

    return train


def main():
    text, name = corpus()
    print(f"{name}: {len(text.encode()):,} bytes; one thread; best of several runs\n")
    print(f"{'what':<46}{'ours':>10}{'peer':>10}   ratio")

    def row(what, ours, theirs, note=""):
        print(f"{what:<46}{ours:>9.3f}s{theirs:>9.3f}s   {theirs / ours:.2f}x {note}", flush=True)

    ours, trained = seconds(lambda: BPE.train([text], VOCAB_SIZE), 3)
    theirs, peer = seconds(lambda: train_tokenizers(text), 3)
    row("train to 2,000, against tokenizers", ours, theirs, "(goal: at least 0.1x)")
    lengths = len(trained.encode(text)), len(peer.encode(text).ids)
    print(f"  tokens of the text: {lengths[0]:,} against {lengths[1]:,}")

    minbpe = train_minbpe()
    if minbpe:
        small = text[:SLICE]
        ours, _ = seconds(lambda: BPE.train([small], VOCAB_SIZE), 3)
        theirs, _ = seconds(lambda: minbpe(small), 1)
        row(f"train to 2,000 on {SLICE // 1000} kB, against minbpe", ours, theirs, "(goal at 1 MB: at least 100x)")
    else:
        print("train, against minbpe: not measured (set MINIGPT_PEERS to a folder that holds its clone)")

    repo = "openai-community/gpt2"
    ranks = data_gym_to_mergeable_bpe_ranks(str(hub.path(repo, "merges.txt")), str(hub.path(repo, "vocab.json")))
    reference = tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    official = BPE.gpt2()
    theirs, expected = seconds(lambda: reference.encode_ordinary(text), 5)
    cold, ids = seconds(lambda: official.encode(text), 1)
    assert ids == expected
    row("encode, GPT-2's vocabulary, empty word cache", cold, theirs)
    warm, _ = seconds(lambda: official.encode(text), 5)
    row("encode, GPT-2's vocabulary, against tiktoken", warm, theirs, "(goal: at least 0.3x)")


if __name__ == "__main__":
    main()
