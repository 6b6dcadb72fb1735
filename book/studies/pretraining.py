"""The studies of chapter 05, each written to book/results: python book/studies/pretraining.py curve|ngram|words|lr|batch

curve RUN   what the run folder of the shipped model says of its own training
ngram       n-grams fitted on ever more of the same text, their order tuned on held-out stories
words       where a GPT and the best n-gram lose: names, nouns, the rest
lr, batch   small models at many learning rates, and batch sizes at an equal number of tokens
"""

import argparse
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from minigpt import BPE, GPT, GPTConfig, data, results, world
from minigpt.__main__ import WORLD_BYTES
from minigpt.ngram import NGram
from minigpt.train import TrainConfig, read_log, train
from minigpt.world_things import CATEGORIES
from minigpt.world_words import PEOPLE

WORLD = ["minigpt.world", "minigpt.world_grammar", "minigpt.world_village", "minigpt.world_sentences", "minigpt.world_own",
         "minigpt.world_things", "minigpt.world_words"]
TRAINING = ["minigpt.train", "minigpt.model", "minigpt.data", *WORLD]
TEST_STORIES = 600
# The live model of the chapter: two layers and a small vocabulary of its own, so that a run takes a quarter of a minute.
SMALL = GPTConfig(vocab_size=1024, n_positions=64, n_layer=2, n_head=4, n_embd=64, dropout=0.0)
SMALL_TOKENS = 307_200


def command(name: str) -> str:
    return f"python book/studies/pretraining.py {name}"


def held_out(bpe: BPE, part: str) -> tuple[np.ndarray, float]:
    """Stories of a split as one stream, and its bytes per token."""
    stories = world.stories(TEST_STORIES, split=part)
    tokens = data.encode(bpe, stories)
    return tokens, sum(len(s.encode()) for s in stories) / len(tokens)


def curve(options) -> None:
    """The log of the shipped model's run, thinned: updates, tokens read, losses, seconds."""
    run = json.loads((Path(options.run) / "run.json").read_text(encoding="utf-8"))
    log = read_log(options.run)
    per_update = run["training"]["batch_size"] * run["model"]["n_positions"]
    kept = [row for row in log if row["step"] <= 100 or row["step"] % 50 == 0]
    held = [row for row in log if "val_loss" in row]
    values = {"tokens per update": per_update, "updates": run["training"]["steps"], "training tokens": run["training_tokens"],
              "seconds": run["seconds"], "learning rate": run["training"]["learning_rate"], "warmup": run["training"]["warmup"],
              "train": [[row["step"], round(row["loss"], 4)] for row in kept],
              "validation": [[row["step"], round(row["val_bits_per_byte"], 4)] for row in held]}
    results.save("05-pretraining", values, re.sub(r"--out \S+.*", "--out runs/world", run["command"]), [run["training"]["seed"]],
                 "train: nats per token of the batch; validation: bits per byte of the first 65,536 tokens of held-out stories",
                 depends=TRAINING, summary=f"{held[-1]['val_bits_per_byte']:.3f} bits per byte")


def ngram(options) -> None:
    """Bits per byte on test stories against the text counted, the order chosen on validation stories at each size."""
    bpe = BPE.load(options.model)
    tokens = data.encode(bpe, data.world_documents("train", WORLD_BYTES))
    (validation, v_size), (test, t_size) = held_out(bpe, "validation"), held_out(bpe, "test")
    rows = []
    for n in [30_000, 100_000, 409_600, 1_000_000, 3_000_000, len(tokens)]:
        losses, on_test = {}, {}
        for order in range(1, 21):
            model = NGram(order, bpe.vocab_size).fit(tokens[:n])
            losses[order] = bits(model.log_prob(validation), v_size)
            on_test[order] = bits(model.log_prob(test), t_size)
            print(n, order, round(losses[order], 4), flush=True)
            if order > 1 and losses[order] > losses[order - 1] - 0.0005:
                break  # longer contexts have stopped helping
        best = min(losses, key=losses.get)
        rows.append({"tokens": n, "order": best, "validation": losses[best], "test": on_test[best],
                     "by order": [on_test[order] for order in on_test]})
    results.save("05-ngrams", {"rows": rows}, command("ngram"), [0],
                 f"interpolated Kneser-Ney on the first tokens of the training stories; bits per byte of {TEST_STORIES} test "
                 "stories, the order tuned on as many validation stories", depends=["minigpt.ngram", "minigpt.data", *WORLD],
                 summary=f"order {rows[-1]['order']}: {rows[-1]['test']:.3f} bits per byte")


def bits(log_probs: np.ndarray, bytes_per_token: float) -> float:
    return round(float(-log_probs.mean() / math.log(2) / bytes_per_token), 5)


def words_of(bpe: BPE, stories: list[str]) -> tuple[list[int], list[str]]:
    """For each token of the stream the number of the word that it belongs to, and what kind of word each is.

    A word is a run of letters, or one token of anything else. Kinds: a person's name or a thing, new in its story or not; other.
    """
    names = {person.text.lower() for person in PEOPLE}
    things = {form for category in CATEGORIES for noun in category.nouns for form in noun.clues}
    numbers, kinds = [], []
    for story in stories:
        seen, start = set(), 0
        for i in bpe.encode(story):
            piece = bpe.decode([i])
            if not (start and piece[0].isalpha() and story[start - 1].isalpha()):  # a new word begins with this token
                word = re.match(r" ?([A-Za-z]*)", story[start:]).group(1).lower()
                group = "name" if word in names else "thing" if word in things else None
                kinds.append(f"{group}, {'seen before' if word in seen else 'new'}" if group else "other")
                seen.add(word)
            numbers.append(len(kinds) - 1)
            start += len(piece)
        kinds.append("other")  # <|endoftext|>
        numbers.append(len(kinds) - 1)
    return numbers, kinds


def token_losses(model: GPT, tokens: np.ndarray, scored: int) -> np.ndarray:
    """Nats of tokens[window - scored + 1:], each window scoring its last `scored` places; the full window scores every token."""
    window = model.config.n_positions
    starts = range(0, len(tokens) - window, scored)
    x, y = (torch.from_numpy(np.stack([tokens[s + shift:s + shift + window] for s in starts]).astype(np.int64)) for shift in (0, 1))
    with torch.inference_mode():
        rows = [torch.nn.functional.cross_entropy(model(a).transpose(1, 2), b, reduction="none")[:, -scored:]
                for a, b in zip(x.split(32), y.split(32), strict=True)]
    return torch.cat(rows).reshape(-1).double().numpy()


def words(options) -> None:
    """Test loss of the shipped model and of the best n-gram: the whole, and split by the kind of word."""
    bpe, model = BPE.load(options.model), GPT.from_pretrained(options.model)
    stories = world.stories(TEST_STORIES, split="test")
    tokens, (numbers, kinds) = data.encode(bpe, stories), words_of(bpe, stories)
    size = sum(len(s.encode()) for s in stories) / len(tokens)
    gpt = token_losses(model, tokens, model.config.n_positions)
    sliding = token_losses(model, tokens, model.config.n_positions // 4)
    order = results.load("05-ngrams").values["rows"][-1]["order"]
    counted = data.encode(bpe, data.world_documents("train", WORLD_BYTES))
    best = -NGram(order, bpe.vocab_size).fit(counted).log_prob(tokens)[1:len(gpt) + 1]
    numbers, kinds = np.array(numbers[1:len(gpt) + 1]), np.array(kinds)
    per_word = {who: np.bincount(numbers, losses, len(kinds)) for who, losses in (("n-gram", best), ("GPT", gpt))}
    used = np.bincount(numbers, minlength=len(kinds)) > 0
    values = {"test": {"n-gram": bits(-best, size), "GPT": bits(-gpt, size), "GPT, sliding": bits(-sliding, size)}}
    for kind in ("name, new", "name, seen before", "thing, new", "thing, seen before", "other"):
        chosen = (kinds == kind) & used
        values[kind] = {"share": round(float(chosen.sum() / used.sum()), 4),
                        **{who: round(float(losses[chosen].mean()), 4) for who, losses in per_word.items()}}
    values["people"] = len(PEOPLE)
    results.save("05-words", values, command("words"), [0],
                 f"nats per word (or sign) of {TEST_STORIES} test stories, by the kind of word ('test': bits per byte of "
                 f"all of it); the n-gram has order {order} and has counted the whole training text; GPT: windows of 128 one after "
                 "the other; sliding: windows that move by 32 and score their last 32", depends=["minigpt.ngram", *TRAINING])
    perplexity = round(float(np.exp(gpt.mean())), 3)
    results.save("gpt1-perplexity-laptop", {"Transformer LM": {"perplexity": perplexity}}, command("words"), [0],
                 f"perplexity per token of the laptop model ({bpe.vocab_size:,} entries) on {TEST_STORIES} held-out stories of the "
                 "world: another text and another vocabulary than the paper's, not comparable", depends=TRAINING,
                 summary=f"{perplexity:.2f} per token on held-out stories of the world ({values['test']['GPT']:.3f} bits per byte)")


def small_run(texts: tuple, config: TrainConfig, seed: int) -> float | None:
    """Final held-out bits per byte of one small run; None if it diverged."""
    tokens, validation, size = texts
    torch.manual_seed(seed)
    model = GPT(SMALL)
    try:
        log = train(model, tokens, validation, replace(config, seed=seed), progress=False, bytes_per_token=size)
        value = round(log[-1]["val_bits_per_byte"], 4)
    except FloatingPointError:
        value = None
    print(config.batch_size, config.learning_rate, seed, value, flush=True)
    return value


def small_texts() -> tuple:
    """The stream that the small runs read, the held-out one, and its bytes per token, in the chapter's small vocabulary."""
    documents = data.world_documents("train", 2_400_000)
    bpe = BPE.train(documents, SMALL.vocab_size)
    return data.encode(bpe, documents), *held_out(bpe, "validation")


def small(batch_size: int, rate: float) -> TrainConfig:
    steps = SMALL_TOKENS // (batch_size * SMALL.n_positions)
    return TrainConfig(steps=steps, batch_size=batch_size, learning_rate=rate, warmup=max(5, steps // 10), precision="fp32",
                       eval_every=steps, eval_tokens=32768)


def lr(options) -> None:
    """Five learning rates at batch 16, two seeds each."""
    texts = small_texts()
    rows = [{"rate": rate, "bits per byte": [small_run(texts, small(16, rate), seed) for seed in (0, 1)]}
            for rate in (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)]
    results.save("05-learning-rates", {"rows": rows}, command("lr"), [0, 1],
                 f"two layers, 64 wide, window 64, {SMALL.vocab_size:,} entries; {SMALL_TOKENS:,} tokens in 300 updates of "
                 "16 windows; held-out bits per byte",
                 depends=TRAINING)


def batch(options) -> None:
    """Four batch sizes at equal tokens, four learning rates each."""
    texts = small_texts()
    rows = []
    for size in (4, 16, 64, 256):
        runs = {rate: small_run(texts, small(size, rate), 0) for rate in (1.5e-3, 3e-3, 6e-3, 1.2e-2)}
        best = min(runs, key=lambda rate: math.inf if runs[rate] is None else runs[rate])
        rows.append({"batch": size, "updates": small(size, 1).steps, "best rate": best, "bits per byte": runs[best],
                     "by rate": [[rate, value] for rate, value in runs.items()]})
    results.save("05-batch-sizes", {"rows": rows}, command("batch"), [0],
                 f"two layers, 64 wide, window 64, {SMALL.vocab_size:,} entries; {SMALL_TOKENS:,} tokens whatever the batch; "
                 "held-out bits per byte at the best of four rates", depends=TRAINING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["curve", "ngram", "words", "lr", "batch"])
    parser.add_argument("run", nargs="?", default="runs/world", help="for curve: the run folder")
    parser.add_argument("--model", default="world", help="for ngram and words: a shipped model or a run folder")
    options = parser.parse_args()
    torch.set_num_threads(1)  # so small a model gains little from a second one
    {"curve": curve, "ngram": ngram, "words": words, "lr": lr, "batch": batch}[options.study](options)


if __name__ == "__main__":
    main()
