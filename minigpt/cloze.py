"""Zero-shot cloze tests: LAMBADA's last word (GPT-2 section 3.3) and the Children's Book Test (section 3.2).

Both ask a language model for a missing word, and in both the protocol moves the score by more than a model twice as large does.
LAMBADA: what is the target, which predictions are allowed at all, and what does the passage look like. CBT: is the word alone
scored, or also what follows it. One pass through the model measures all that can be asked of one text.
"""

import math
import re
from functools import lru_cache
from os.path import commonprefix

import numpy as np
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from minigpt import data, hub
from minigpt.detokenise import MARK, detokenise
from minigpt.protocol import Task, json_lines, keep, lines
from minigpt.scoring import cropped, tails
from minigpt.zeroshot import start

PLAIN = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'"})
LAMBADA_SOURCE = ("EleutherAI/lambada_openai", "data/lambada_test.jsonl")
BEFORE = ("end of text", "nothing")  # what stands before a passage: <|endoftext|>, as in pre-training, or nothing

# -- LAMBADA --------------------------------------------------------------------------------------------------------------------


def lambada_text(text: str, version: str) -> str:
    """One of the versions of a passage that are in use: see `LAMBADA.switches["text"]`."""
    if version == "as it is":
        return text
    text = text.translate(PLAIN).replace("``", '"').replace("''", '"')
    if version == "line end first":
        return "\n" + text
    if version == "one line":
        return " ".join(text.split())
    if version == "lower case, cut":  # close to how the first release of the data set looks
        return " ".join(re.findall(r"n't|'\w+|\w+(?=n't)|\w+|[^\w\s]", text.lower()))
    return text


def last_word(text: str, cut: str = "white space") -> tuple[str, str]:
    """A passage as (context, target). The target takes the space before it along, as GPT-2's tokens do.

    cut: the last word is what follows the last "white space", or, as in lm-evaluation-harness, the last "space": seven targets
    of the 5,153 then hold a line end. Raises ValueError if there is no word, or nothing before it.
    """
    text = text.rstrip()
    places = [i for i, c in enumerate(text) if (c == " " if cut == "space" else c.isspace())]
    if not places or not text[:places[-1]].strip():
        raise ValueError("it has no last word with a context before it")
    at = places[-1] if text[places[-1]] == " " else places[-1] + 1  # a line end stays in the context
    return text[:at], text[at:]


def read_lambada(path=None, limit=None) -> list[dict]:
    """Passages as {"text": ...} from OpenAI's file, or another of its form: a JSON object with "text" a line."""
    def parse(row):
        if not isinstance(row["text"], str):
            raise ValueError("its text is not a string")
        last_word(row["text"])
        return {"text": row["text"]}

    return json_lines(path or hub.path(*LAMBADA_SOURCE, repo_type="dataset"), parse, limit)


@lru_cache(maxsize=4)
def _banned(bpe, vocab_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(vocab_size,) booleans: the tokens that are stop words, with a space before; and those too that begin no word at all."""
    stop = torch.zeros(vocab_size, dtype=torch.bool)
    for word in ENGLISH_STOP_WORDS:
        ids = bpe.encode(" " + word)
        if len(ids) == 1:
            stop[ids[0]] = True
    begins = torch.zeros(vocab_size, dtype=torch.bool)
    for i in range(min(vocab_size, bpe.vocab_size)):
        text = bpe.decode([i])
        begins[i] = len(text) > 1 and text[0] == " " and text[1].isalpha()
    return stop, stop | ~begins


def measure_lambada(model, bpe, items, switches) -> list[dict]:
    """One row per passage: for each token of the last word its log-probability and whether it would have been predicted, with no
    filter, with stop words ruled out, and with all but beginnings of other words ruled out at the word's first token."""
    before = start(bpe) if switches["before"] == "end of text" else []
    rows, sequences, sizes, kept = [{} for _ in items], [], [], []
    for number, item in enumerate(items):
        try:
            context, target = last_word(lambada_text(item["text"], switches["text"]), switches["cut"])
            target = bpe.encode(target)
            sequences.append(cropped(model, before + bpe.encode(context), target))
            sizes.append(len(target))
            kept.append(number)
        except ValueError as error:
            rows[number] = {"left_out": str(error)}

    def judge(logits, targets):
        stop, other = (mask.to(logits.device) for mask in _banned(bpe, logits.shape[1]))
        log_p = logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(1)
        free, no_stop = logits.argmax(1), logits.masked_fill(stop, -math.inf).argmax(1)
        words = logits.masked_fill(other, -math.inf).argmax(1)
        return torch.stack([log_p, free == targets, no_stop == targets, words == targets, stop[targets]], 1)

    for number, values in zip(kept, tails(model, sequences, sizes, judge=judge), strict=True):
        log_p, free, no_stop, words, stop = values.T
        rows[number] = {"log_p": [round(float(v), 5) for v in log_p], "none": _bits(free), "stop words": _bits(no_stop),
                        # Later tokens of a word begin no word: there only stop words are ruled out.
                        "words only": _bits([words[0], *no_stop[1:]]), "target_is_stop_word": bool(len(stop) == 1 and stop[0])}
    return rows


def score_lambada(rows, switches) -> dict[str, float]:
    """Accuracy in %, perplexity over the target (the paper's column), and the number of passages."""
    last = switches["target"] == "last token"
    right = [row[switches["filter"]][-1] if last else all(row[switches["filter"]]) for row in rows]
    log_p = [row["log_p"][-1] if last else math.fsum(row["log_p"]) for row in rows]
    return {"accuracy": 100 * float(np.mean(right)), "perplexity": math.exp(-math.fsum(log_p) / len(log_p)), "passages": len(rows)}


def _bits(values) -> list[int]:
    return [int(value) for value in values]


LAMBADA = Task(
    "lambada", "the last word of a passage that needs its whole context (Table 3)", ("accuracy", "perplexity"),
    f"{'/'.join(LAMBADA_SOURCE)} of the hub or mirror, or a file with {{\"text\": passage}} a line",
    {"target": ("last word", "last token"), "filter": ("stop words", "none", "words only"),
     "text": ("as it is", "plain quotes", "line end first", "one line", "lower case, cut"),
     "cut": ("white space", "space"), "before": BEFORE},
    read_lambada, measure_lambada, score_lambada,
    {"accuracy": ("gpt2-table3", "LAMBADA (acc)"), "perplexity": ("gpt2-table3", "LAMBADA (ppl)")}, scored=("target", "filter"))

# -- the Children's Book Test ---------------------------------------------------------------------------------------------------

BLANK = "XXXXX"
CBT_SOURCE = "cam-cst/cbt"


def read_cbt(kind: str):
    """A reader of one kind of question ("CN" or "NE"): {"sentences", "question", "answer", "options"} an item."""
    def check(row) -> dict:
        item = {name: row[name] for name in ("sentences", "question", "answer", "options")}
        if BLANK not in item["question"].split():
            raise ValueError(f"its question has no {BLANK}")
        if item["answer"] not in item["options"]:
            raise ValueError(f"its answer {item['answer']!r} is not among its options")
        return item

    def read(path=None, limit=None) -> list[dict]:
        if path is None:
            found = enumerate(data.records(f"{CBT_SOURCE}/{kind}", "validation"), 1)
            return keep(f"{CBT_SOURCE}/{kind}", ((n, lambda row=row: check(row)) for n, row in found), limit, "question")
        if str(path).endswith(".jsonl"):
            return json_lines(path, check, limit)
        return keep(path, ((n, lambda block=block: check(_block(block))) for n, block in _blocks(path)), limit, "question at line")

    return read


def _blocks(path):
    """The questions of the released files, (line number, lines) each: 21 numbered lines, a blank line between."""
    block, first = [], 1
    for number, line in [*lines(path), (0, "")]:
        if line.strip():
            first = first if block else number
            block.append(line)
        elif block:
            yield first, block
            block = []


def _block(block: list[str]) -> dict:
    *sentences, last = [re.sub(r"^\d+ ", "", line) for line in block]
    fields = [field for field in last.split("\t") if field]
    if len(fields) != 3:
        raise ValueError("its last line is not: question, answer, options, with tabs between")
    question, answer, options = fields
    return {"sentences": sentences, "question": question, "answer": answer, "options": options.strip().split("|")}


def cbt_texts(item: dict, detokeniser: str) -> tuple[str, list[tuple[str, str]]]:
    """A question as (context, [(option, rest of the sentence) for each option]), as text that the model reads."""
    def written(words):
        text = " ".join([*item["sentences"], *words])
        return detokenise(text, "cbt") if detokeniser == "invertible" else text

    words = item["question"].split()
    at = words.index(BLANK)
    whole = [written([*words[:at], option, *words[at + 1:]]) for option in item["options"]]
    context = commonprefix([*whole, written(words[:at])]).rstrip()
    rests = [text[len(context):] for text in whole]
    # The option may stand behind a space, an invisible mark of the de-tokeniser, or both.
    found = [re.match(rf"[\s{MARK}]*{re.escape(option)}", rest) for option, rest in zip(item["options"], rests, strict=True)]
    ends = [match.end() if match else len(commonprefix([rest, written([*words[:at], option])[len(context):]]))
            for match, rest, option in zip(found, rests, item["options"], strict=True)]
    return context, [(rest[:end], rest[end:]) for rest, end in zip(rests, ends, strict=True)]


def measure_cbt(model, bpe, items, switches) -> list[dict]:
    """One row per question: for each option log P(option) and log P(rest of the sentence | option), in nats, and the answer."""
    before = start(bpe) if switches["before"] == "end of text" else []
    rows, sequences, sizes, kept = [{} for _ in items], [], [], []
    for number, item in enumerate(items):
        context, ends = cbt_texts(item, switches["detokeniser"])
        context = before + bpe.encode(context)
        encoded = [(bpe.encode(option), bpe.encode(option + rest)) for option, rest in ends]
        try:
            # All options see the same context: the one that is left beside the longest of them.
            longest = max((whole for _, whole in encoded), key=len)
            room = len(cropped(model, context, longest)) - len(longest)
            sequences += [[*context[-room:], *whole] for _, whole in encoded]
        except ValueError as error:
            rows[number] = {"left_out": str(error)}
            continue
        sizes += [len(whole) for _, whole in encoded]
        kept.append((number, encoded))
    values = iter(tails(model, sequences, sizes))
    for number, encoded in kept:
        found = [(next(values)[:, 0].astype(float), len(option)) for option, _ in encoded]
        rows[number] = {"choice": [round(float(v[:n].sum()), 5) for v, n in found],
                        "rest": [round(float(v[n:].sum()), 5) for v, n in found],
                        "answer": items[number]["options"].index(items[number]["answer"])}
    return rows


def score_cbt(rows, switches) -> dict[str, float]:
    """Accuracy in %: how often the answer has the highest score."""
    right = []
    for row in rows:
        scores = np.array(row["choice"]) + (np.array(row["rest"]) if switches["score"] == "choice and rest" else 0)
        right.append(int(scores.argmax()) == row["answer"])
    return {"accuracy": 100 * float(np.mean(right)), "questions": len(right)}


def _cbt(kind: str, what: str) -> Task:
    return Task(f"cbt-{kind.lower()}", f"Children's Book Test, {what}: which of ten words was left out (Table 3, Figure 2)",
                ("accuracy",), f"{CBT_SOURCE}, {kind}, validation split, or the released file cbtest_{kind}_valid_2000ex.txt",
                {"score": ("choice and rest", "choice only"), "detokeniser": ("invertible", "none"), "before": BEFORE},
                read_cbt(kind), measure_cbt, score_cbt, {"accuracy": ("gpt2-table3", f"CBT-{kind} (acc)")}, scored=("score",))


TASKS = {task.name: task for task in (LAMBADA, _cbt("CN", "common nouns"), _cbt("NE", "named entities"))}
