"""How often must a passage be read before a model recites it, and how much of what a model writes has it read? Two studies:

recite      passages planted 0, 1, 2, 4, ..., 256 times among stories of the embedded world; the models get their first sentence
samples     Figure 5's shape: 8-gram overlap of continuations with the training text, beside the true continuations

    python book/studies/recitation.py recite
    python book/studies/recitation.py samples      # after sizes.py, since it also asks a model that sizes.py keeps
"""

import argparse
import hashlib
import random
from pathlib import Path

import numpy as np
import torch
from sizes import CODE, SMALL_TEXT, network, settings
from sizes import texts as streams

from minigpt import BPE, GPT, data, generate, overlap, results, world
from minigpt.__main__ import WORLD_BYTES
from minigpt.cells import Cells
from minigpt.train import evaluate, train
from minigpt.world_things import CATEGORIES

ADJECTIVES = """red old new small large broken heavy empty warm cold wet striped soft quiet loud bright dark clean dirty sweet sour
rusty shiny tiny huge long short plain fresh round flat thick thin hollow smooth famous""".split()
VERBS = """painted bought sold followed watched liked found held moved hid wanted knew saw took gave asked heard kept dropped opened
closed washed pushed lifted brought showed loved hated counted remembered""".split()
USED = [*CODE, "minigpt.generate"]
COUNTS = [0, *(2**i for i in range(9))]
EACH, SEEDS, STORIES, SENTENCES, DRAWS = 3, (0, 1, 2), 512_000, 5, 10
CONTEXT, WRITTEN, TEXTS = 48, 80, 400  # tokens of a test story given, tokens written, how many stories


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


def recite_one(bpe: BPE, width: int, seed: int) -> dict:
    """Train one model on one corpus for one pass; tokens recited of each passage, greedily and by sampling."""
    tokens, true = corpus(bpe, seed)
    model = network(bpe, width)
    train(model, tokens, None, settings(width, len(tokens)))
    given = len(bpe.encode(bpe.decode(true[0].tolist()).split(".")[0] + "."))
    ids, rest = torch.from_numpy(true[:, :given]).long(), true[:, given:]
    greedy = recited(generate(model, ids, rest.shape[1], temperature=0)[:, given:].numpy(), rest)
    drawn = [recited(generate(model, ids, rest.shape[1], top_k=40, seed=i)[:, given:].numpy(), rest) for i in range(DRAWS)]
    return {"tokens": len(tokens), "given": given, "of": rest.shape[1], "parameters": model.n_params(), "greedy": greedy.tolist(),
            "k = 40": np.array(drawn).T.tolist(), "planted tokens": int(sum(COUNTS) * EACH * (true.shape[1] + 1)),
            "held-out loss": evaluate(model, data.encode(bpe, world.stories(300, "test")), 32_768)}


def recite(options, bpe: BPE) -> None:
    """All widths and seeds, and for each count how much is recited."""
    digest = hashlib.sha256("".join(map(results.source_digest, USED)).encode()).hexdigest()[:16]
    cells, values = Cells(options.out, digest), {"counts": COUNTS, "passages of each": EACH * len(SEEDS), "models": {}}
    for width in options.width:
        for seed in SEEDS if options.only is None else [options.only]:
            job = {"recite": width, "seed": seed, "stories": STORIES, "counts": COUNTS, "each": EACH}
            if job not in cells:
                cells.add(job, recite_one(bpe, width, seed))
            print(job, cells[job], flush=True)
        if options.only is not None:
            continue
        runs = [cells[{"recite": width, "seed": seed, "stories": STORIES, "counts": COUNTS, "each": EACH}] for seed in SEEDS]
        of, kept = runs[0]["of"], {"parameters": runs[0]["parameters"], "held-out loss": [run["held-out loss"] for run in runs]}
        for how in ("greedy", "k = 40"):
            by_count = [np.concatenate([np.ravel(run[how][i * EACH:(i + 1) * EACH]) for run in runs]) for i in range(len(COUNTS))]
            kept[how] = {"whole": [round(float((found == of).mean()), 4) for found in by_count],
                         "tokens": [round(float(found.mean()), 3) for found in by_count],
                         "still right": [[round(float((found >= t).mean()), 4) for t in range(of + 1)] for found in by_count]}
        values["models"][str(width)] = kept
    if options.only is not None:
        return
    values |= {key: runs[0][key] for key in ("tokens", "given", "of", "planted tokens")} | {"example": passages(bpe, 0, 1)[0]}
    first = next((n for n, share in zip(COUNTS, kept["greedy"]["whole"], strict=True) if share >= 0.5), None)
    results.save("14-recitation", values, "python book/studies/recitation.py recite", list(SEEDS),
                 f"{EACH} passages for each count and seed, of {SENTENCES} sentences of random words, planted among "
                 f"{STORIES:,} tokens of stories; one pass; the first sentence given; whole: share of the passages recited to the "
                 f"end; tokens: right before the first error; {DRAWS} draws at k = 40", depends=USED,
                 summary=f"half of the passages read {first} times are recited whole, greedily")


def measured(texts: list[str], bloom: overlap.BloomFilter) -> dict:
    """The distribution of the texts' overlaps in per cent."""
    found = np.sort(overlap.per_document(texts, bloom))
    return {"mean": round(float(found.mean()), 3), "median": round(float(np.median(found)), 3), "none": float((found == 0).mean()),
            "quantiles": np.quantile(found, np.linspace(0, 1, 41)).round(3).tolist()}


def continuations(model: GPT, bpe: BPE, given: torch.Tensor, **how) -> list[str]:
    written = torch.cat([generate(model, part, WRITTEN, seed=i, **how)[:, CONTEXT:] for i, part in enumerate(given.split(100))])
    return [bpe.decode(row).split("<|endoftext|>")[0] for row in written.tolist()]


def samples(options, bpe: BPE) -> None:
    """Overlap with the training text of what the shipped model writes, and the one that has read a small text 30 times."""
    stories = [ids for ids in map(bpe.encode, world.stories(3 * TEXTS, "test")) if len(ids) >= CONTEXT + WRITTEN][:TEXTS]
    true = torch.tensor([ids[:CONTEXT + WRITTEN] for ids in stories])
    given, real = true[:, :CONTEXT], [bpe.decode(ids) for ids in true[:, CONTEXT:].tolist()]
    values = {"texts": len(stories), "context": CONTEXT, "written": WRITTEN}
    small = bpe.decode(streams(bpe)["train"][:SMALL_TEXT].tolist()).split("<|endoftext|>")
    for name, folder, documents, expected in (("all stories", "world", data.world_documents("train", WORLD_BYTES), 5_000_000),
                                              ("small text", Path(options.out) / "small", small, 50_000)):
        model, bloom = GPT.from_pretrained(folder), overlap.BloomFilter(expected)
        values[name] = of = {"8-grams": bloom.add_documents(documents), "different": round(bloom.distinct), "rate": bloom.rate}
        of["test text"] = measured(real, bloom)
        for label, how in (("k = 40", {"top_k": 40}), ("all tokens", {}), ("greedy", {"temperature": 0})):
            of[label] = measured(continuations(model, bpe, given, **how), bloom)
            print(name, label, of[label], flush=True)
    ours, real = (values["all stories"][label]["median"] for label in ("k = 40", "test text"))
    results.save("14-samples", values, "python book/studies/recitation.py samples", [0],
                 f"per cent of the 8-grams of {WRITTEN} tokens that stand in the training text, after {CONTEXT} tokens of a test "
                 "story; all stories: the shipped model and the text it was trained on; small text: the model of sizes.py that has "
                 f"read {SMALL_TEXT:,} tokens 30 times", depends=["minigpt.overlap", *USED],
                 summary=f"median {ours:.1f} % for samples (k = 40), {real:.1f} % for test text")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["recite", "samples"])
    parser.add_argument("--out", default="runs/sizes", help="the run folder, shared with sizes.py")
    parser.add_argument("--width", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--only", type=int, help="one seed and no record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    {"recite": recite, "samples": samples}[options.study](options, BPE.load("world"))


if __name__ == "__main__":
    main()
