"""Zero-shot language modelling: perplexity per canonical unit of a data set (GPT-2 section 3.1, Table 3).

    perplexity = exp(-log p(text the model read) / number of units of the ORIGINAL text)

The model reads tokens of its own, the data sets count words, bytes or characters; dividing by *their* units before the exponential
makes models with different vocabularies comparable. What remains open, and is a switch here: which units, how the text is undone
from its word-by-word form, how far the model looks back, whether the documents stand alone. The paper states none of these in full.
"""

import math
import re
from pathlib import Path

from minigpt import cloze, data
from minigpt.detokenise import detokenise, public_wikitext
from minigpt.protocol import Task, keep, lines, text_of
from minigpt.scoring import fitting, rolling, tails, windows
from minigpt.zeroshot import start

__all__ = ["TASKS", "counts", "perplexity", "rolling", "undone"]

UNITS = {
    "word": lambda text: len(text.split()),
    "word or line end": lambda text: len(text.split()) + text.count("\n"),  # word models predict <eos> at each line end
    "word as lm-eval": lambda text: len(re.split(r"\s+", text)),  # also counts the empty strings at both ends of a document
    "byte": lambda text: len(text.encode("utf-8", "surrogatepass")),
    "character": len,
}
TEST_BYTES = 5_000_000  # enwik8 and text8: of 100 million, the last 5 million are the test part
HUNDRED_MILLION = 100_000_000


def counts(text: str) -> dict[str, int]:
    """The units of a text, of each kind."""
    return {name: count(text) for name, count in UNITS.items()}


def perplexity(nats: float, units: int) -> float:
    """exp(-nats / units): nats is the log-probability of the whole text, scaled to the unit before it is exponentiated."""
    if units < 1:
        raise ValueError("the text has no such unit")
    return math.exp(min(-nats / units, 700.0))


def undone(text: str, detokeniser: str, style: str) -> str:
    """The text that the model reads: "none" leaves it cut into words."""
    if detokeniser == "invertible":
        return detokenise(text, style)
    return public_wikitext(text) if detokeniser == "public" else text


# -- data -----------------------------------------------------------------------------------------------------------------------


def articles(text: str) -> list[str]:
    """WikiText cut before each article's title: " = Title = ", a line with a blank one before and after it."""
    titles = [match.start() + 3 for match in re.finditer(r"(?=\n \n = [^=\n][^\n]* = \n \n)", "\n" + text)]
    borders = [0, *(at - 1 for at in titles if at > 3), len(text)]
    return [text[a:b] for a, b in zip(borders, borders[1:], strict=False) if text[a:b].strip()]


def read_wikitext(name: str):
    """A reader of the test part of WikiText: one article an item; a file may be wiki.test.raw, .tokens or the hub's parquet."""
    def read(path=None, limit=None) -> list[dict]:
        if path is None:
            rows = data.records(f"Salesforce/wikitext/{name}", "test", "text")
        elif str(path).endswith(".parquet"):
            rows = data._load([Path(path)])["text"]
        else:
            rows = [text_of(path)]
        whole = "".join(row or " \n" for row in rows)  # the hub's rows lost the space of blank lines
        return _texts(path or name, articles(whole), limit, "article")

    return read


def read_lines(path=None, limit=None) -> list[dict]:
    """One sentence a line (the Penn Treebank's ptb.test.txt, the Billion Word benchmark's news.en.heldout-...)."""
    if path is None:
        raise FileNotFoundError("this data set is not on the hub in a form that can be read; give its file with --data")
    path = Path(path).expanduser()
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    texts = [line + "\n" for file in files for _, line in lines(file) if line.strip()]
    return _texts(path, texts, limit, "line")


def read_last_bytes(path=None, limit=None) -> list[dict]:
    """The last 5 million bytes of a file of 100 million (enwik8, text8), or all of a smaller one; characters cut in two are
    dropped. limit: so many pieces of 10,000 characters."""
    if path is None:
        raise FileNotFoundError("this data set is not on the hub in a form that can be read; give its file with --data")
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    raw = path.read_bytes()
    text = (raw[-TEST_BYTES:] if len(raw) == HUNDRED_MILLION else raw).decode("utf-8", errors="ignore")
    return _texts(path, [text[i:i + 10_000] for i in range(0, len(text), 10_000)], limit, "piece")


def _texts(path, texts: list[str], limit, what: str) -> list[dict]:
    def item(text):
        if not text.strip():
            raise ValueError("it is empty")
        return {"text": text}

    return keep(path, ((n, lambda text=text: item(text)) for n, text in enumerate(texts, 1)), limit, what)


# -- measuring ------------------------------------------------------------------------------------------------------------------


def plan(style: str):
    """The windows of the documents of a data set, for `measure`; the first of each document carries its counts."""
    def cut(model, bpe, items, switches) -> list[dict]:
        texts = [item["text"] for item in items]
        texts = texts if switches["documents"] == "each alone" else ["".join(texts)]
        context = fitting(model, None if switches["context"] == "window" else switches["context"])
        stride = None if switches["stride"] == "context" else switches["stride"]
        pieces = []
        for text in texts:
            ids = start(bpe) + encode(bpe, undone(text, switches["detokeniser"], style) if style else text)
            sums = counts(text) | {"token": len(ids) - len(start(bpe))}
            cuts = windows(len(ids), context, stride)
            if not cuts:
                pieces.append({"ids": ids, "size": 0} | sums)
            for begin, end, size in cuts:
                pieces.append({"ids": ids[begin:end], "size": size} | sums)
                sums = {}
        return pieces

    return cut


def encode(bpe, text: str) -> list[int]:
    """The ids of a long text: by tiktoken where it can, as `data.encode`."""
    fast = data._tiktoken(bpe)
    return fast.encode_ordinary(text) if fast else bpe.encode(text)


def measure(model, bpe, items, switches) -> list[dict]:
    """One row per window: the nats of its new tokens, and the counts of the document that it begins."""
    scored = [item for item in items if item["size"]]
    values = iter(tails(model, [item["ids"] for item in scored], [item["size"] for item in scored]))
    return [{"nats": float(next(values).sum(dtype=float)) if item["size"] else 0.0}
            | {name: value for name, value in item.items() if name not in ("ids", "size")} for item in items]


def score(rows, switches) -> dict[str, float]:
    """Perplexity and bits per unit of the original text, bits per byte of it, and how many units there were."""
    nats = math.fsum(row["nats"] for row in rows)
    unit = switches["unit"]
    units, size = (sum(row.get(name, 0) for row in rows) for name in (unit, "byte"))
    return {"perplexity": perplexity(nats, units), "bits": -nats / units / math.log(2), "bits_per_byte": -nats / size / math.log(2),
            "units": units, "nats": nats}


def _task(name, about, metrics, source, reader, style, column, units, detokenisers=("invertible", "none"),
          documents=("one stream", "each alone")) -> Task:
    units = (*units, *(unit for unit in ("token", *UNITS) if unit not in units))
    switches = {"unit": units, "detokeniser": detokenisers, "documents": documents, "context": ("window", int),
                "stride": ("context", int)}
    return Task(name, about, metrics, source, switches, reader, measure, score, {metrics[0]: ("gpt2-table3", column)}, plan(style),
                scored=("unit",))


WORDS, BITS = ("perplexity", "bits", "bits_per_byte"), ("bits", "bits_per_byte", "perplexity")
WIKITEXT = ("invertible", "none", "public")
TASKS = cloze.TASKS | {task.name: task for task in (
    _task("wikitext2", "Wikipedia articles, perplexity per word (Table 3)", WORDS, "Salesforce/wikitext, wikitext-2-raw-v1, test",
          read_wikitext("wikitext-2-raw-v1"), "wikitext", "WikiText2 (ppl)", ("word",), WIKITEXT),
    _task("wikitext103", "the same test articles, under WikiText-103's name (Table 3)", WORDS,
          "Salesforce/wikitext, wikitext-103-raw-v1, test", read_wikitext("wikitext-103-raw-v1"), "wikitext", "WikiText103 (ppl)",
          ("word",), WIKITEXT),
    _task("ptb", "Penn Treebank, perplexity per word (Table 3)", WORDS, "ptb.test.txt: a sentence a line, as Mikolov cut it",
          read_lines, "ptb", "PTB (ppl)", ("word",)),
    _task("1bw", "Billion Word benchmark, perplexity per word (Table 3)", WORDS,
          "news.en.heldout-00000-of-00050 (or a folder of them): a sentence a line, in no order", read_lines, "1bw", "1BW (ppl)",
          ("word",), documents=("each alone", "one stream")),
    _task("enwik8", "Wikipedia with its markup, bits per byte (Table 3)", BITS, "the file enwik8; its last 5 million bytes",
          read_last_bytes, "", "enwik8 (bpb)", ("byte",), ("none",)),
    _task("text8", "Wikipedia in lower case without punctuation, bits per character (Table 3)", BITS,
          "the file text8; its last 5 million characters", read_last_bytes, "", "text8 (bpc)", ("character",), ("none",)),
)}
