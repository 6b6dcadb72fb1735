"""Fill in the table of book/which-protocol.md: python book/studies/which_protocol.py

The papers' and other people's numbers stand in it as roles that look into minigpt/paper.py when the book is built; ours are written
out from the record 12-protocols.
"""

from pathlib import Path

from protocols import WIKITEXT

from minigpt import paper, results

PAGE = Path(__file__).resolve().parent.parent / "which-protocol.md"
BEGIN, END = "<!-- table: python book/studies/which_protocol.py -->\n", "<!-- end of table -->\n"
COLUMNS = ("Task", "Model", "Number", "What it is", "How to ask for it", "Who says so")
MODEL = "SmolLM2-135M-Instruct"
NEAREST = "nearest: the defaults"  # for numbers whose protocol is not known in full


def fact(name):
    """A number of another source as a role; a pair as two of them."""
    value = paper.fact(name)
    parts = [f"{name}:{i}" for i in range(len(value))] if isinstance(value, tuple) else [name]
    return [f"{{paper}}`{part}`" for part in parts], paper.FACTS[name].where


def switch(**values):
    return " ".join(f"`--set {name}={value!r}`" for name, value in values.items()) or "the defaults"


def pair(*, of_both, second):
    """How to ask for two numbers that differ in one switch."""
    return f"{switch(**of_both)}; the second number: also {switch(**second)}"


def named(size):
    """A model by its name in the paper, and by that of the released file."""
    return next(f"GPT-2 {size} ({paper.RELEASED_NAMES[key]})" for key, printed in paper.PAPER_NAMES.items() if printed == size)


def table3(size, column):
    return f"{{paper}}`gpt2-table3 | {size} | {column}`"


def from_paper():
    for size in paper.PAPER_NAMES.values():
        yield ("LAMBADA", named(size), f"{table3(size, 'LAMBADA (acc)')} %, perplexity {table3(size, 'LAMBADA (ppl)')}",
               "last word, stop words filtered (said of the largest; the list and the text before are not stated)",
               NEAREST, "GPT-2, Table 3")
    yield ("LAMBADA", named("1542M"), "{paper}`gpt2-lambada-unfiltered` %", "last word, no filter", switch(filter="none"),
           "GPT-2 §3.3")
    for column, name in (("WikiText2 (ppl)", "WikiText-2"), ("WikiText103 (ppl)", "WikiText-103")):
        for size in paper.PAPER_NAMES.values():
            yield (name, named(size), f"perplexity {table3(size, column)}",
                   "per word, de-tokenised (context, stride and what a word is are not stated)", NEAREST, "GPT-2, Table 3")


def from_others():
    (acc, ppl), where = fact("replicated-lambada-harness")
    harness = "last word after a space, no filter, nothing before the passage", switch(filter="none", cut="space", before="nothing")
    yield "LAMBADA", "GPT-2 124M", f"{acc} %, perplexity {ppl}", *harness, where
    (acc, ppl), where = fact("replicated-lambada-harness-xl")
    yield "LAMBADA", "GPT-2 1558M", f"{acc} %, perplexity {ppl}", *harness, where
    (acc,), where = fact("replicated-lambada-last-token")
    yield "LAMBADA", "GPT-2 124M", f"{acc} %", "last BPE token, no filter", switch(target="last token", filter="none"), where
    (acc,), where = fact("replicated-lambada-filter")
    yield "LAMBADA", "GPT-2 124M", f"{acc} %", "last word, filtered by another list", f"{NEAREST}, with our list", where
    (free, kept), where = fact("replicated-lambada-cut")
    yield ("LAMBADA", "GPT-2 124M", f"{free} %, filtered {kept} %", "the tokenised first release of the data",
           "`--data` with that release", where)
    (one, half), where = fact("replicated-wikitext2-large")
    yield ("WikiText-2", "GPT-2 774M", f"perplexity {one} and {half}", "per *token*, raw text, stride 1,024 and 512",
           pair(of_both=dict(unit="token", detokeniser="none"), second=dict(stride=512)), where)
    (one,), where = fact("replicated-wikitext2-small")
    yield ("WikiText-2", "GPT-2 124M", f"perplexity {one}", "per *token*, raw text, windows side by side",
           switch(unit="token", detokeniser="none"), where)
    (one, quarter), where = fact("replicated-wikitext-context")
    yield ("WikiText-2", "GPT-2 124M", f"perplexity {one} and {quarter}", "per *token*, context 1,024 and 256, another posting",
           pair(of_both=dict(unit="token", detokeniser="none"), second=dict(context=256)), where)
    (one,), where = fact("replicated-wikitext-harness")
    yield ("WikiText-2", "GPT-2 124M", f"perplexity {one}", "per word, public de-tokeniser, each article alone",
           switch(unit="word as lm-eval", detokeniser="public", documents="each alone"), where)
    (raw, undone), where = fact("replicated-wikitext103-detokenised")
    yield ("WikiText-103", "GPT-2 124M", f"perplexity {raw} and {undone}", "per *token*, validation part: raw, de-tokenised",
           f"`--data` with that part, {switch(unit='token', detokeniser='none')}; the second number: without the latter", where)


def ours():
    record = results.load("12-protocols")
    n = record.values["LAMBADA, counts"]
    who = f"record 12-protocols, {n['passages']:,} of {n['of']:,} passages"
    for label, of in record.values["LAMBADA"].items():
        target, name = label.split(", filter: ")
        yield ("LAMBADA", MODEL, f"{of['accuracy']:.1f} %, perplexity {of['perplexity']:.1f}", f"{target}, filter: {name}",
               switch(target=target, filter=name), who)
    who = f"record 12-protocols, {record.values['LAMBADA, text, passages']} passages"
    for label, of in record.values["LAMBADA, text"].items():
        other = dict(before="nothing") if label == "nothing before" else dict(text=label)
        yield ("LAMBADA", MODEL, f"{of['none']['accuracy']:.1f} %, perplexity {of['none']['perplexity']:.1f}",
               f"last word, filter: none; {label}", switch(filter="none", **other), who)
    n = record.values["WikiText-2, articles"]
    for label, of in record.values["WikiText-2"].items():
        about = label if label.startswith("context") else f"{label}, context 1,024"
        for unit in ("word", "token"):
            how = f"{switch(unit=unit, **{'context': 1024} | WIKITEXT[label])} `--limit {n}`"
            yield ("WikiText-2", MODEL, f"perplexity {of[unit]:.1f}", f"per {unit}, {about}", how,
                   f"record 12-protocols, {n} articles")


def table():
    rows = [row for row in (*from_paper(), *from_others(), *ours())]
    rows.sort(key=lambda row: row[0] != "LAMBADA")
    lines = ["```{list-table}", ":header-rows: 1", ":widths: 11 13 13 27 20 20",
             ":class: protocols stack", ""]
    for row in (COLUMNS, *rows):
        lines += [f"{'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    return "\n".join([*lines, "```", ""])


def page(text):
    """The page with its table made anew."""
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
