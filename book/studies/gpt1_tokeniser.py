"""GPT-1's tokeniser here and in transformers, against OpenAI's own encoder: python book/studies/gpt1_tokeniser.py

Needs ftfy, spaCy and transformers; MINIGPT_DATA names the folder with the vocabulary, MINIGPT_CHECKS the one with
gpt1-bpe/recorded.jsonl: 408 texts and the ids that OpenAI's encoder gave them, with spaCy 3.8.18 and ftfy 6.3.1.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path

from transformers import OpenAIGPTTokenizer

from minigpt import BPE, hub, results

TEXTS = ("The violin was behind the ring.", "well-known", "I can't wait.", "Mr. Smith's dog", "U.S.A.", "It cost $3.50.",
         "I cannot go", "“Yes”, he said…", "a naïve café", "two\n\nlines")


def shown(tokens):
    """The pieces of a text with a bar between words."""
    return " | ".join("".join(tokens).replace("\n", "⏎").replace("<unk>", "<unk></w>").split("</w>")[:-1])


def main():
    """Count the agreements and save the record."""
    path = Path(os.environ["MINIGPT_CHECKS"]) / "gpt1-bpe" / "recorded.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    bpe = BPE.gpt1()
    plain = BPE(bpe.vocab, bpe.merges, "gpt1")
    theirs = OpenAIGPTTokenizer.from_pretrained(hub.mirror_folder("openai-community/openai-gpt"))
    encoders = {"this book": bpe.encode, "transformers": theirs.encode, "the plain splitter": plain.encode}
    equal = {name: sum(encode(row["text"]) == row["ids"] for row in rows) for name, encode in encoders.items()}
    examples = {text.replace("\n", "⏎"): [shown(bpe.tokens(bpe.encode(text))),
                                          shown(theirs.convert_ids_to_tokens(theirs.encode(text)))] for text in TEXTS}
    used = {name: version(name) for name in ("ftfy", "spacy", "transformers")}
    results.save("gpt1-tokeniser", {"texts": len(rows), "equal": equal, "packages": used, "examples": examples},
                 "python book/studies/gpt1_tokeniser.py",
                 protocol="texts of books, SST-2, RTE and hostile strings; equal: every id as OpenAI's encoder gave it; the "
                          "examples are split into words by a bar, as this book and as transformers see them",
                 depends=["minigpt.bpe", "minigpt.bpe_core", "minigpt.bpe_gpt1"],
                 summary=f"of {len(rows)} texts: " + ", ".join(f"{name} {count}" for name, count in equal.items()))


if __name__ == "__main__":
    main()
