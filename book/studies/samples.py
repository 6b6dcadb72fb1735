"""What SmolLM2-135M-Instruct writes, and how it degenerates. A study of chapter 11: python book/studies/samples.py

1. Its continuations of one prompt with the settings of GPT-2's appendix, none picked, and its greedy one.
2. Sentences read over and over: how surprised it is each time.
3. WikiText-2 test paragraphs, their first 32 tokens continued with several settings: how much repeats, and how likely the model
   finds what was written, beside the paragraph's own continuation.
"""

import argparse
import re
from functools import lru_cache

import numpy as np
import torch

from minigpt import cells, data, modern, results, world
from minigpt.generate import generate_texts, stream
from minigpt.zeroshot import token_log_probs

PROMPT = ("Divers have found a library on the floor of a mountain lake. The books are dry, and the newest of them, said the "
          "archaeologist who leads the team, will be printed next year.")
SAMPLES, LENGTH = 3, 120
SENTENCES, COPIES = 32, 6
GIVEN, NEW, TEXTS = 32, 128, 32
SETTINGS = {"greedy": dict(temperature=0), "temperature 0.5": dict(temperature=0.5), "temperature 0.7": dict(temperature=0.7),
            "temperature 0.85": dict(temperature=0.85), "temperature 1": dict(), "temperature 1.3": dict(temperature=1.3),
            "top-k 40": dict(top_k=40), "top-p 0.9": dict(top_p=0.9)}
CODE = ["minigpt.generate", "minigpt.model", "minigpt.modern", "minigpt.zeroshot"]


@lru_cache(maxsize=1)
def model():
    return modern.load(modern.NAME)


def plain(text: str) -> str:
    """WikiText's spaced marks as people write them."""
    text = re.sub(r" @(.)@ ", r"\1", text.strip())
    return re.sub(r"\( ", "(", re.sub(r" ([.,;:!?)%]|'\w)", r"\1", text))


@lru_cache(maxsize=1)
def paragraphs() -> list[list[int]]:
    """The first GIVEN + NEW tokens of paragraphs that are long enough, spread evenly over the test set."""
    bpe = model()[1]
    lines = data.records("Salesforce/wikitext/wikitext-2-raw-v1", "test", "text")
    texts = [plain(line) for line in lines if len(line) > 800 and '"' not in line and "=" not in line and "<" not in line]
    ids = [bpe.encode(text)[:GIVEN + NEW] for text in texts]
    ids = [one for one in ids if len(one) == GIVEN + NEW]
    return [ids[i * len(ids) // TEXTS] for i in range(TEXTS)]


def repeated(ids: list[int], n: int = 4) -> float:
    """The share of n-grams, of those in `ids`, that have occurred before in them."""
    grams = [tuple(ids[i:i + n]) for i in range(len(ids) - n + 1)]
    return 1 - len(set(grams)) / len(grams)


def copies(net, bpe) -> list[list[float]]:
    """Nats per token of each copy of a sentence, for one sentence of each of several stories."""
    rows, lengths = [], []
    for story in world.stories(SENTENCES, split="test"):
        sentence = bpe.encode(" " + re.split(r"(?<=[.?!])\s", story)[0])
        rows.append([bpe.eos_id] + sentence * COPIES)
        lengths.append(len(sentence))
    found = token_log_probs(net, rows, batch_size=8)
    return [[float(-row[i * n:(i + 1) * n].mean()) for i in range(COPIES)] for row, n in zip(found, lengths, strict=True)]


def measure(job: dict) -> dict:
    """One cell: a text continued, or read as it stands."""
    net, bpe = model()
    if job["part"] == "prompt":
        return {"texts": generate_texts(net, bpe, [PROMPT] * job["count"], LENGTH, **job["settings"], seed=0)}
    if job["part"] == "copies":
        return {"nats": copies(net, bpe)}
    texts = torch.tensor(paragraphs())
    if job["settings"] is not None:
        new = stream(net, texts[:, :GIVEN], NEW, **job["settings"], seed=0)
        texts = torch.cat([texts[:, :GIVEN], *(one.unsqueeze(1) for one in new)], dim=1)
    surprise = [-np.mean(row[-NEW:]) for row in token_log_probs(net, texts.tolist(), batch_size=8)]
    return {"repeated": [repeated(row) for row in texts[:, GIVEN:].tolist()], "surprise": [float(x) for x in surprise]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/samples", help="where finished measurements are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    jobs = {"greedy": {"part": "prompt", "settings": dict(temperature=0), "count": 1},
            "samples": {"part": "prompt", "settings": dict(top_k=40), "count": SAMPLES}}
    jobs["copies"] = {"part": "copies"}
    jobs |= {f"text: {name}": {"part": "text", "settings": settings} for name, settings in SETTINGS.items()}
    jobs["text: the text itself"] = {"part": "text", "settings": None}
    code = "".join(map(results.source_digest, CODE))
    found = dict(zip(jobs, cells.run(measure, list(jobs.values()), cells.Cells(options.out, code), label="samples"), strict=True))
    rows = {name.removeprefix("text: "): {key: list(results.interval([100 * x if key == "repeated" else x for x in row[key]]))
                                          for key in ("repeated", "surprise")}
            for name, row in found.items() if name.startswith("text: ")}
    values = {"prompt": PROMPT, "prompt tokens": len(model()[1].encode(PROMPT)), "tokens": LENGTH,
              "greedy": found["greedy"]["texts"][0], "samples": found["samples"]["texts"],
              "copies": [list(results.interval(column)) for column in zip(*found["copies"]["nats"], strict=True)], "rows": rows}
    results.save("11-samples", values, "python book/studies/samples.py", [0],
                 f"SmolLM2-135M-Instruct, fp32. Samples: temperature 1, top-k 40, {LENGTH} tokens, in the order drawn. Copies: the "
                 f"first sentence of {SENTENCES} stories of the world, nats per token each time it is read in a row. Rows: "
                 f"{TEXTS} WikiText-2 test paragraphs, {GIVEN} tokens given, {NEW} written; per cent of 4-grams that occurred "
                 "before in the same continuation; nats per token under the model itself", "95 %, over the paragraphs", CODE,
                 f"greedy repeats {rows['greedy']['repeated'][0]:.0f} % of its 4-grams, the text itself "
                 f"{rows['the text itself']['repeated'][0]:.0f} %")
    print(results.load("11-samples"))


if __name__ == "__main__":
    main()
