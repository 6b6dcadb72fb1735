"""Generalisation or memorisation, measured on the embedded world (GPT-2 section 4, Figures 4 and 5).

    figure4      training and test perplexity against model size, with the text's entropy as the floor; and a text read too often
    figure5      8-gram overlap of samples, and of real test text, with the training text
    recitation   how often a passage must be read before a model recites it

Each takes minutes of training and returns (values, protocol, summary) as a record keeps them. Finished runs are kept in the folder
`out`, so that a killed measurement goes on with the next run.
"""

import hashlib
import math
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from minigpt import data, overlap, results, world
from minigpt.bpe import BPE
from minigpt.cells import Cells
from minigpt.generate import generate
from minigpt.model import GPT, GPTConfig
from minigpt.train import TrainConfig, evaluate, train
from minigpt.world_things import CATEGORIES

# The modules that the numbers depend on, this one and overlap apart.
TRAINING = ["minigpt.train", "minigpt.model", "minigpt.data", "minigpt.bpe", "minigpt.world", "minigpt.world_grammar",
            "minigpt.world_village", "minigpt.world_sentences", "minigpt.world_own", "minigpt.world_things", "minigpt.world_words"]
WRITING = [*TRAINING, "minigpt.generate"]
SHAPES = {32: 2, 64: 3, 96: 3, 128: 4}  # width: layers; heads of 32, as GPT-2's are of 64 at every size
TEXT, PASSES = 1_024_000, 2  # tokens of training text, how often they are read
SMALL_TEXT, SMALL_PASSES = 40_960, 20
SCORED = 131_072  # tokens, of the training and of the test text each
WORLD_BYTES = 24_000_000  # of stories: what the shipped model was trained on (`pretrain --data world`)
CONTEXT, WRITTEN, TEXTS = 48, 80, 400  # tokens of a test story given, tokens written, how many stories

ADJECTIVES = """red old new small large broken heavy empty warm cold wet striped soft quiet loud bright dark clean dirty sweet sour
rusty shiny tiny huge long short plain fresh round flat thick thin hollow smooth famous""".split()
VERBS = """painted bought sold followed watched liked found held moved hid wanted knew saw took gave asked heard kept dropped opened
closed washed pushed lifted brought showed loved hated counted remembered""".split()
COUNTS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
EACH, SEEDS, STORIES, SENTENCES, DRAWS = 3, (0, 1, 2), 250_000, 5, 10  # STORIES: tokens, about


def cells(out, modules) -> Cells:
    """The finished runs in the folder `out` that were made with these modules as they are."""
    return Cells(out, hashlib.sha256("".join(map(results.source_digest, modules)).encode()).hexdigest()[:16])


# -- Figure 4 -------------------------------------------------------------------------------------------------------


def texts(bpe: BPE) -> dict:
    """Training and test stream of stories, and their floors: the exact information of the stories, nats per token."""
    found = {}
    for part, wanted in (("train", TEXT), ("test", SCORED + 1)):
        ids, nats, size = [], [], 0
        while size < wanted:
            nats.append(world.story_bits(len(ids), part) * math.log(2))
            ids.append(data.encode(bpe, [world.story(len(ids), part)]))
            size += len(ids[-1])
        ends = np.cumsum([len(of) for of in ids])
        for name, tokens in ((part, SCORED), (f"{part}, small", SMALL_TEXT)):
            inside = ends <= tokens
            found[f"{name} floor"] = float(np.sum(np.array(nats)[inside]) / ends[inside][-1])
        found[part] = np.concatenate(ids)[:wanted]
    return found


def network(bpe: BPE, width: int) -> GPT:
    """A fresh model of GPT-2's shape, SHAPES[width] layers."""
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=bpe.vocab_size, n_positions=128, n_layer=SHAPES[width], n_head=width // 32, n_embd=width,
                         dropout=0.0))


def settings(width: int, tokens: int) -> TrainConfig:
    """Reading so many tokens. Wider models want smaller steps; 3e-3 is the laptop model's."""
    steps = tokens // (16 * 128)
    return TrainConfig(steps=steps, batch_size=16, micro_batch=8, learning_rate=3e-3 * math.sqrt(128 / width), warmup=100,
                       precision="bf16", eval_every=steps, log_every=50)


def size(bpe: BPE, found: dict, width: int, progress: bool = True) -> dict:
    """One size on the large text: nats per token on the text that it has read and on test stories."""
    model, started = network(bpe, width), time.process_time()
    log = train(model, found["train"], None, settings(width, TEXT * PASSES), progress=progress)
    return {"width": width, "layers": SHAPES[width], "parameters": model.n_params(), "last batch": log[-1]["loss"],
            "train": evaluate(model, found["train"], SCORED), "test": evaluate(model, found["test"], SCORED),
            "cpu seconds": round(time.process_time() - started)}


def too_often(bpe: BPE, found: dict, folder: Path, progress: bool = True, width: int = 128) -> dict:
    """The laptop model's shape on a small text: nats per token on that text and on test stories after every second pass."""
    small, rows = found["train"][:SMALL_TEXT], []
    per_pass = SMALL_TEXT // (16 * 128)
    config = replace(settings(width, SMALL_TEXT * SMALL_PASSES), eval_every=2 * per_pass, warmup=50, learning_rate=2e-3)

    def look(trainer):
        rows.append({"passes": trainer.step / per_pass, "train": evaluate(trainer.model, small, SMALL_TEXT - 1),
                     "test": evaluate(trainer.model, found["test"], SMALL_TEXT)})
    model = network(bpe, width)
    train(model, small, found["test"][:2_000], config, at_eval=look, progress=progress)
    model.save_pretrained(folder)  # figure5 asks what it writes
    return {"width": width, "parameters": model.n_params(), "tokens": SMALL_TEXT, "rows": rows}


def sizes(out, widths=None, progress: bool = True) -> dict:
    """{width: what `size` or, for 0, `too_often` measures}, and under "floors" the floors; found again in `out` if finished."""
    bpe, kept = BPE.load("world"), cells(out, TRAINING)
    found, values = texts(bpe), {}
    for width in (*SHAPES, 0) if widths is None else widths:
        job = {"width": width, "text": TEXT if width else SMALL_TEXT, "passes": PASSES if width else SMALL_PASSES}
        if job not in kept:
            kept.add(job, size(bpe, found, width, progress) if width else too_often(bpe, found, Path(out) / "small", progress))
        values[width] = kept[job]
    return values | {"floors": {name[:-6]: math.exp(value) for name, value in found.items() if name.endswith(" floor")}}


def figure4(out="runs/memorisation", progress: bool = True) -> tuple[dict, str, str]:
    """Perplexity on the text read and on unread stories against model size, as a record keeps it: (values, protocol, summary)."""
    measured = sizes(out, progress=progress)
    runs = [dict(measured[width]) for width in SHAPES]
    names = [f"{run['parameters'] / 1e6:.2f}M" for run in runs]
    rows = {part: {name: round(math.exp(run[part]), 4) for name, run in zip(names, runs, strict=True)}
            for part in ("train", "test")}
    rows["entropy of the test text"] = {name: round(measured["floors"]["test"], 4) for name in names}
    values = {"rows": rows, "runs": runs, "floors": measured["floors"], "too often": measured[0], "text": TEXT, "passes": PASSES,
              "scored": SCORED}
    protocol = (f"embedded world, window 128, {TEXT:,} training tokens read {PASSES} times, bf16, one seed, no dropout; perplexity "
                f"per token of the first {SCORED:,} tokens of the training text and of test stories, windows of 128 one after the "
                "other; entropy: the same unit, from the exact information of these stories; too often: "
                f"{SMALL_TEXT:,} tokens, {SMALL_PASSES} times, nats per token")
    told = ", ".join(f"{rows['train'][name]:.2f} and {rows['test'][name]:.2f} at {name}" for name in (names[0], names[-1]))
    return values, protocol, f"train and test perplexity {told}"


# -- recitation -----------------------------------------------------------------------------------------------------


def passages(bpe: BPE, seed: int, n: int) -> list[str]:
    """n passages of five sentences that nobody could guess: every adjective, noun and verb drawn anew, each a single token."""
    nouns = [noun.text for category in CATEGORIES for noun in category.nouns if len(bpe.encode(f" {noun.text}")) == 1]
    draw = random.Random(f"passages/{seed}").choice
    return [" ".join(f"The {draw(ADJECTIVES)} {draw(nouns)} {draw(VERBS)} the {draw(ADJECTIVES)} {draw(nouns)}."
                     for _ in range(SENTENCES)) for _ in range(n)]


def corpus(bpe: BPE, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Stories with the passages strewn in as documents of their own; and the passages' ids, (counts * EACH, tokens)."""
    planted = passages(bpe, seed, len(COUNTS) * EACH)
    documents = data.world_documents("train", STORIES * 9 // 2, seed)
    documents += [text for i, text in enumerate(planted) for _ in range(COUNTS[i // EACH])]
    random.Random(f"order/{seed}").shuffle(documents)
    return data.encode(bpe, documents), np.array([bpe.encode(text) for text in planted])


def recited(written: np.ndarray, true: np.ndarray) -> np.ndarray:
    """How many tokens are right before the first wrong one, for each row."""
    return np.cumprod(written == true, axis=1).sum(axis=1)


def recite(model: GPT, true: np.ndarray, given: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """How many tokens of the passages true (n, tokens) the model recites after the first `given`.

    Returns those before the first error, greedily (n,) and at k = 40 (n, draws).
    """
    ids, rest = torch.from_numpy(true[:, :given]).long(), true[:, given:]
    greedy = recited(generate(model, ids, rest.shape[1], temperature=0)[:, given:].numpy(), rest)
    drawn = [recited(generate(model, ids, rest.shape[1], top_k=40, seed=i)[:, given:].numpy(), rest) for i in range(draws)]
    return greedy, np.array(drawn).T


def recite_one(bpe: BPE, seed: int, progress: bool = True) -> dict:
    """The shipped model goes on with one corpus for one pass; tokens recited of each passage, greedily and by sampling."""
    tokens, true = corpus(bpe, seed)
    model, steps = GPT.from_pretrained("world"), len(tokens) // (4 * 128)
    train(model, tokens, None, TrainConfig(steps=steps, batch_size=4, learning_rate=3e-3, warmup=20, precision="bf16", seed=seed),
          progress=progress)
    given = true.shape[1] // SENTENCES
    greedy, drawn = recite(model, true, given, DRAWS)
    return {"tokens": len(tokens), "given": given, "of": true.shape[1] - given, "parameters": model.n_params(),
            "greedy": greedy.tolist(), "k = 40": drawn.tolist(), "planted tokens": int(sum(COUNTS) * EACH * (true.shape[1] + 1)),
            "held-out loss": evaluate(model, data.encode(bpe, world.stories(300, "test")), 32_768)}


def recitations(out, seeds=None, progress: bool = True) -> list[dict]:
    """What `recite_one` measures for each seed; found again in `out` if finished."""
    kept, runs = cells(out, WRITING), []
    for seed in SEEDS if seeds is None else seeds:
        job = {"recite": "world", "seed": seed, "stories": STORIES, "counts": list(COUNTS), "each": EACH}
        if job not in kept:
            kept.add(job, recite_one(BPE.load("world"), seed, progress))
        runs.append(kept[job])
    return runs


def recitation(out="runs/memorisation", progress: bool = True) -> tuple[dict, str, str]:
    """How much is recited of passages read 0 to 256 times: (values, protocol, summary)."""
    runs, bpe = recitations(out, progress=progress), BPE.load("world")
    of = runs[0]["of"]
    values = {"counts": list(COUNTS), "passages of each": EACH * len(SEEDS),
              "held-out loss": [run["held-out loss"] for run in runs],
              "held-out loss before": evaluate(GPT.from_pretrained("world"), data.encode(bpe, world.stories(300, "test")), 32_768)}
    for how in ("greedy", "k = 40"):
        by_count = [np.concatenate([np.ravel(run[how][i * EACH:(i + 1) * EACH]) for run in runs]) for i in range(len(COUNTS))]
        values[how] = {"whole": [round(float((found == of).mean()), 4) for found in by_count],
                       "tokens": [round(float(found.mean()), 3) for found in by_count],
                       "still right": [[round(float((found >= t).mean()), 4) for t in range(of + 1)] for found in by_count]}
    values |= {key: runs[0][key] for key in ("tokens", "given", "of", "planted tokens", "parameters")}
    values["example"] = passages(bpe, 0, 1)[0]
    shares = zip(COUNTS, values["greedy"]["whole"], strict=True)
    first = next((str(n) for n, share in shares if share >= 0.5), f"more than {COUNTS[-1]}")
    protocol = (f"{EACH} passages for each count and each of {len(SEEDS)} seeds, {SENTENCES} sentences of random words, strewn "
                f"among about {STORIES:,} tokens of stories; the shipped model reads them once, peak learning rate 3e-3; then the "
                "first sentence is given; whole: share of the passages recited to the end; tokens: right before the first error; "
                f"k = 40: {DRAWS} draws of each")
    return values, protocol, f"greedily, half of the passages are recited whole after {first} readings"


# -- Figure 5 -------------------------------------------------------------------------------------------------------


def spread(documents: list[str], bloom: overlap.BloomFilter) -> dict:
    """The distribution of the documents' overlaps in per cent: mean, median, share without any, and 41 quantiles."""
    found = overlap.per_document(documents, bloom)
    return {"mean": round(float(found.mean()), 3), "median": round(float(np.median(found)), 3),
            "none": round(float((found == 0).mean()), 4), "quantiles": np.quantile(found, np.linspace(0, 1, 41)).round(3).tolist()}


def continuations(model: GPT, bpe: BPE, given: torch.Tensor, **how) -> list[str]:
    """WRITTEN tokens after each row of ids (texts, CONTEXT), cut where the model ends its text."""
    written = [generate(model, part, WRITTEN, seed=i, **how)[:, CONTEXT:] for i, part in enumerate(given.split(100))]
    return [bpe.decode(row).split(data.END_OF_TEXT)[0] for row in torch.cat(written).tolist()]


def figure5(out="runs/memorisation", progress: bool = True) -> tuple[dict, str, str]:
    """Overlap with its training text of what a model writes, the shipped one and one that has read a small text again and again."""
    bpe, values = BPE.load("world"), {}
    sizes(out, [0], progress)
    stories = [ids for ids in map(bpe.encode, world.stories(3 * TEXTS, "test")) if len(ids) >= CONTEXT + WRITTEN][:TEXTS]
    true = torch.tensor([ids[:CONTEXT + WRITTEN] for ids in stories])
    given, real = true[:, :CONTEXT], [bpe.decode(ids) for ids in true[:, CONTEXT:].tolist()]
    small = bpe.decode(texts(bpe)["train"][:SMALL_TEXT].tolist()).split(data.END_OF_TEXT)
    for name, folder, documents, expected in (("all stories", "world", data.world_documents("train", WORLD_BYTES), 5_000_000),
                                              ("small text", Path(out) / "small", small, 50_000)):
        model, bloom = GPT.from_pretrained(folder), overlap.BloomFilter(expected)
        values[name] = of = {"8-grams": bloom.add_documents(documents), "different": round(bloom.distinct), "rate": bloom.rate}
        of["test text"] = spread(real, bloom)
        for label, how in (("k = 40", {"top_k": 40}), ("all tokens", {}), ("greedy", {"temperature": 0})):
            of[label] = spread(continuations(model, bpe, given, **how), bloom)
    rows = {f"{label}, {name}": {"median, %": of[label]["median"]} for name, of in values.items()
            for label in ("test text", "k = 40", "all tokens", "greedy")}
    values |= {"rows": rows, "texts": len(stories), "context": CONTEXT, "written": WRITTEN}
    protocol = (f"per cent of the 8-grams of {WRITTEN} tokens that stand in the training text, after {CONTEXT} tokens of a test "
                f"story, {len(stories)} stories; all stories: the shipped model and the text it was trained on; small text: a "
                f"model that has read {SMALL_TEXT:,} tokens {SMALL_PASSES} times")
    ours, theirs = (values["all stories"][label]["median"] for label in ("k = 40", "test text"))
    return values, protocol, f"median {ours:.1f} % for samples (k = 40), {theirs:.1f} % for test text"
