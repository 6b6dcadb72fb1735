"""Winograd schemas by a language model (GPT-2, section 3.4, Figure 3): which of two nouns does the pronoun stand for?

Each candidate takes the pronoun's place, and the likelier sentence wins (Trinh & Le 2018): the whole of it ("full" scoring), or
only what follows the candidate ("partial"). Every choice in this is a switch of `TASK`; LM_EVAL holds those of
lm-evaluation-harness.
"""

import math
import xml.etree.ElementTree as ET
from pathlib import Path

from minigpt import protocol, world, zeroshot
from minigpt.protocol import Task

LM_EVAL = {"scoring": "partial", "normalise": "none", "options": "lm-eval", "start": "nothing"}  # its task wsc273
POSSESSIVE = ("my", "his", "her", "our", "their")
ADDRESS = "https://cs.nyu.edu/faculty/davise/papers/WinogradSchemas/WSCollection.xml"


def data_file(source, name: str, address: str) -> Path:
    """The file itself, or the one of that name in a folder. Raises FileNotFoundError that says where to get it."""
    path = Path(source).expanduser() / name if source is not None and Path(source).is_dir() else Path(source or name).expanduser()
    if source is None or not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; get it at {address} and name it with --data")
    return path


def read(source, limit=None) -> list[dict]:
    """WSCollection.xml, or a .jsonl in partial-scoring form (context_options, continuation, gold), or "world" for the world's."""
    if str(source) == "world":
        rows = world.task("pronoun", "test", n=limit or 273)
        made = [(zeroshot.schema(row["text"], row["answers"]), row["label"]) for row in rows]
        return [{"before": before, "pronoun": "it", "after": after, "options": options, "gold": gold}
                for (before, options, after), gold in made]
    path = data_file(source, "WSCollection.xml", ADDRESS)
    if path.suffix == ".jsonl":
        def parse(row):
            item = {"contexts": list(map(str, row["context_options"])), "after": row["continuation"].strip(), "gold": row["gold"]}
            return _two(item, item["contexts"])

        return protocol.json_lines(path, parse, limit)
    try:
        schemas = ET.fromstring(path.read_bytes())
    except ET.ParseError as error:
        raise ValueError(f"{path} is not XML ({error})") from None
    return protocol.keep(path, [(i, lambda s=s: _schema(s)) for i, s in enumerate(schemas, 1)], limit, "schema")


def _schema(element) -> dict:
    before, pronoun, after = (" ".join(element.findtext(f"text/{tag}", "").split()) for tag in ("txt1", "pron", "txt2"))
    item = {"before": before, "pronoun": pronoun, "after": after,
            "options": [" ".join((one.text or "").split()) for one in element.iterfind("answers/answer")],
            "gold": "AB".find((element.findtext("correctAnswer", "").split() or ["?"])[0][0])}
    if not pronoun:
        raise ValueError("it has no pronoun")
    return _two(item, item["options"])


def _two(item: dict, options: list) -> dict:
    if len(options) != 2 or not all(options) or item["gold"] not in (0, 1) or not item["after"].strip():
        raise ValueError("it needs two options, an answer that is one of them, and a text after the pronoun")
    return item


def forms(item: dict, options: str = "adapted") -> tuple[list[str], str]:
    """(the text up to the end of each candidate, the text after it, with the space between them).

    options: "adapted" puts a candidate as the pronoun stood, article lower-cased within a sentence and 's for his, her, their;
    "raw" as the file spells it; "lm-eval" by the rules of lm-evaluation-harness' wsc273, two spaces after the candidate included.
    """
    after = item["after"]
    rest = after if after[0] in ".,;:!?'’)" else f" {after}"
    if "contexts" in item:
        if options != "adapted":
            raise ValueError(f"options={options} needs WSCollection.xml: in a .jsonl the candidates are adapted already")
        return item["contexts"], rest
    before, pronoun, found = item["before"], item["pronoun"], list(item["options"])
    lead = f"{before} " if before else ""
    if options == "lm-eval":
        text, place = f"{before} {pronoun} {after}".strip(), len(lead)
        for i, option in enumerate(found):
            option += "'s" if pronoun.lower() in POSSESSIVE else ""
            first = option.split()[0]
            inside = text[place - 2] != "." and first in ("A", "An", "The", "She", "He", "It", "They", "My", "His", "Her", "Their")
            found[i] = option.replace(first, first.lower()) if inside else option
        return [text[:place] + option for option in found], " " + text[place + len(pronoun):]
    if options == "adapted":
        for i, option in enumerate(found):
            first, *others = option.split(" ")
            if first.lower() in ("a", "an", "the", *POSSESSIVE):
                first = first.capitalize() if pronoun[0].isupper() else first.lower()
            found[i] = " ".join([first, *others]) + ("'s" if pronoun.lower() in POSSESSIVE else "")
    return [lead + option for option in found], rest


def measure(model, bpe, items, switches) -> list[dict]:
    """For each candidate the summed log-probabilities (nats) and token counts: of the text after it, and of the whole sentence."""
    head = zeroshot.start(bpe) if switches["start"] == "<|endoftext|>" else []
    window, sequences, rows = getattr(getattr(model, "config", None), "n_positions", None), [], []
    for item in items:
        contexts, rest = forms(item, switches["options"])
        after = list(bpe.encode(rest))
        both = [[*head, *bpe.encode(context), *after] for context in contexts]
        if max(map(len, both)) > (window or math.inf):
            rows.append({"left_out": f"{max(map(len, both))} tokens do not fit the model's {window} positions"})
            continue
        rows.append({"gold": item["gold"], "tokens": [len(after)] * 2})
        sequences += both
    scores = iter(zeroshot.token_log_probs(model, sequences))
    for row in (row for row in rows if "gold" in row):
        both = [next(scores).astype(float) for _ in row["tokens"]]
        row |= {"partial": [float(one[-n:].sum()) for one, n in zip(both, row["tokens"], strict=True)],
                "full": [float(one.sum()) for one in both], "full tokens": [len(one) for one in both]}
    return rows


def score(rows, switches) -> dict:
    """Accuracy in per cent: the candidate with the higher sum (Trinh & Le), or mean per token, is the answer."""
    sizes = "tokens" if switches["scoring"] == "partial" else "full tokens"
    right = 0
    for row in rows:
        a, b = row[switches["scoring"]] if switches["normalise"] == "none" else (
            total / n for total, n in zip(row[switches["scoring"]], row[sizes], strict=True))
        right += int(b > a) == row["gold"]
    return {"accuracy": 100 * right / len(rows)} if rows else {}


def plan(model, bpe, items, switches) -> list[dict]:
    """The schemas that are asked: the paper's 273 are the first of the collection, which has grown since."""
    return items[:273] if switches["schemas"] == 273 else items


TASK = Task(
    "winograd", "Winograd schemas: which noun does the pronoun stand for? (accuracy, %)", ("accuracy",),
    f"WSCollection.xml ({ADDRESS}), a .jsonl in partial-scoring form, or 'world'",
    {"scoring": ("partial", "full"), "normalise": ("none", "mean"), "options": ("adapted", "raw", "lm-eval"),
     "start": ("<|endoftext|>", "nothing"), "schemas": (273, "all")},
    read, measure, score, {"accuracy": ("gpt2-fig3", "1542M")}, plan, ("scoring", "normalise"))
