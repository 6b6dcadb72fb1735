"""Table 6's shape, 8-gram overlaps between real sets and of the world with itself: python book/studies/overlap.py --data FOLDER

FOLDER holds what stands in SETS, in the layouts of the data sets' publishers; a set that is not there is left out of the table.
LAMBADA comes from the mirror folder MINIGPT_DATA or the hub. Every set gives a training part (a row) and a test part (a column)
that share no document. Also: how the overlap with its own training text grows with that text, and what the filter costs.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from minigpt import data, hub, overlap, results, world
from minigpt.__main__ import WORLD_BYTES

WORLD = ["minigpt.world", "minigpt.world_grammar", "minigpt.world_village", "minigpt.world_sentences", "minigpt.world_own",
         "minigpt.world_things", "minigpt.world_words"]
# name: (file or folder of the training part, file of the test part, or None: the last tenth of the documents)
SETS = {"WikiText-2": ("wikitext-2/wiki.valid.tokens", "wikitext-2/wiki.test.tokens"),
        "TinyStories": ("tinystories/tinystories_sample_4MB.txt", None),
        "books": ("books", None),
        "OpenWebText excerpts": ("samples/openwebtext/owt_5_originals.jsonl", None),
        "Wikipedia excerpts": ("samples/openwebtext/wikipedia_5_originals.jsonl", None)}
TEST_ONLY = {"newstest2014": "wmt14_fr_en/newstest2014.en", "Winograd": "winograd/winograd_wsc_llmfoundry.jsonl"}
HELD_OUT_BOOKS = ("austen-persuasion", "carroll-alice", "chesterton-brown", "shakespeare-macbeth")  # authors of others, but for one
STEPS = (0.01, 0.03, 0.1, 0.3, 1)  # shares of the training text
TEST_STORIES = 600
EXAMPLES = 6


def documents(path: Path) -> list[str]:
    """The documents of a folder of .txt files, a JSON-lines file, or a text file cut at its <|endoftext|> marks."""
    if path.is_dir():
        return [text for name in sorted(path.glob("*.txt")) for text in documents(name)]
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [row["text"] if "text" in row else f"{row['context_options'][row['gold']]} {row['continuation']}" for row in rows]
    return [part for part in text.split(data.END_OF_TEXT) if part.strip()]


def parts(folder: Path) -> tuple[dict, dict]:
    """{set: training documents}, {set: test documents} of all sets that are there, the world included."""
    train, test = {}, {}
    for name, (one, other) in SETS.items():
        if not (folder / one).exists():
            continue
        if name == "books":
            books = {path.stem: documents(path)[0] for path in sorted((folder / one).glob("*.txt"))}
            train[name] = [text for title, text in books.items() if title not in HELD_OUT_BOOKS]
            test[name] = [text for title, text in books.items() if title in HELD_OUT_BOOKS]
        elif other:
            train[name], test[name] = documents(folder / one), documents(folder / other)
        else:
            found = documents(folder / one)
            train[name], test[name] = found[:len(found) * 9 // 10], found[len(found) * 9 // 10:]
    test |= {name: documents(folder / file) for name, file in TEST_ONLY.items() if (folder / file).exists()}
    test["LAMBADA"] = documents(hub.path("EleutherAI/lambada_openai", "data/lambada_test.jsonl", repo_type="dataset"))
    train["embedded world"] = data.world_documents("train", WORLD_BYTES)
    test["embedded world"] = world.stories(TEST_STORIES, "test")
    return train, test


def n_grams(texts: list[str]) -> int:
    return int(sum(sizes.sum() for sizes, _ in overlap.stream(texts)))


def growth(train: list[str], test: list[str]) -> list:
    """[8-grams of training text, per cent of the test part's found in them] for growing shares of the training text."""
    bloom, rows, at, total = overlap.BloomFilter(n_grams(train)), [], 0, sum(map(len, train))
    read, added = 0, 0
    for share in STEPS:
        piece = []
        while at < len(train) and (read < share * total or share == 1):
            piece.append(train[at])
            read += len(train[at])
            at += 1
        added += bloom.add_documents(piece)
        rows.append([added, round(overlap.overlap(test, bloom), 4)])
    return rows


def shared(test: list[str], bloom: overlap.BloomFilter) -> list:
    """The most frequent 8-grams that both parts hold, each [8-gram, times in the test part], without overlapping ones."""
    found, examples = Counter(), []
    for text in test:
        words = overlap.normalise(text)
        grams = overlap.eight_grams(words)
        found.update(gram for gram, yes in zip(grams, bloom.contains(overlap.digests(words)), strict=True) if yes)
    for gram, times in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        if not any(" ".join(gram.split()[:4]) in other or " ".join(gram.split()[4:]) in other for other, _ in examples):
            examples.append([gram, times])
        if len(examples) == EXAMPLES:
            break
    return examples


def cost(texts: list[str]) -> dict:
    """8-grams per second of processor time: hashed from text, added, looked up; and bytes an item at the paper's rate."""
    count = n_grams(texts)
    bloom, found = overlap.BloomFilter(count), list(overlap.stream(texts))

    def rate(work):
        started = time.process_time()
        for item in work():
            item()
        return round(count / (time.process_time() - started))
    read = rate(lambda: [lambda: list(overlap.stream(texts))])
    add = rate(lambda: [lambda piece=piece: bloom.add(piece) for _, piece in found])
    again = rate(lambda: [lambda piece=piece: bloom.contains(piece) for _, piece in found])
    strangers = rate(lambda: [lambda piece=piece: bloom.contains(overlap.mix(piece)) for _, piece in found])
    return {"8-grams": count, "hashed per second": read, "added per second": add, "members looked up per second": again,
            "strangers looked up per second": strangers, "bytes per item": bloom.bits / 8 / count, "megabytes": bloom.bits / 8e6,
            "hashes": bloom.hashes, "fill": bloom.fill, "rate": bloom.rate, "different": round(bloom.distinct)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data", help="the folder of the sets")
    options = parser.parse_args()
    train, test = parts(Path(options.data))
    values = {"test 8-grams": {name: n_grams(texts) for name, texts in test.items()}, "rows": {}, "train 8-grams": {}, "shared": {}}
    for name, texts in train.items():
        bloom = overlap.BloomFilter(n_grams(texts))
        values["train 8-grams"][name] = bloom.add_documents(texts)
        values["rows"][name] = {other: round(overlap.overlap(of, bloom), 4) for other, of in test.items()}
        if name in test:
            values["shared"][name] = shared(test[name], bloom)
        print(name, values["rows"][name], values["shared"].get(name), flush=True)
    growing = [name for name in ("embedded world", "TinyStories", "books") if name in train]
    values["growth"] = {name: growth(train[name], test[name]) for name in growing}
    values["cost"] = cost(train["embedded world"])
    print(values["growth"], values["cost"])
    own = values["rows"]
    results.save("14-overlap", values, "python book/studies/overlap.py --data data", [0],
                 "per cent of the test part's 8-grams, repeats counted, that stand in the training part; filter sized for a false "
                 "positive rate of 1e-8; WikiText-2's training split is not among the sets: its validation split stands in; held "
                 f"out: books: {', '.join(HELD_OUT_BOOKS)}; others: the last tenth of the documents; world: {WORLD_BYTES:,} bytes "
                 f"of training stories, {TEST_STORIES} test stories", depends=["minigpt.overlap", *WORLD],
                 summary="own training part: " + ", ".join(f"{name} {own[name][name]:.2f} %" for name in own if name in own[name]))


if __name__ == "__main__":
    main()
