"""How far each choice of a protocol moves a zero-shot number: LAMBADA and WikiText-2 on SmolLM2-135M-Instruct (chapter 12).

    python book/studies/protocols.py --out FOLDER [--passages 1000] [--versions 300] [--articles 4]

Writes the record 12-protocols after each part; a run that was stopped goes on in --out. LAMBADA's target and filter come from one
pass over the passages, drawn at random with seed 0 where they are not all; other versions of the text are measured on the first
--versions of these. WikiText-2: its first articles, the same for every setting.
"""

import argparse
import json
import random
from pathlib import Path

from minigpt import cloze, detokenise, evaluate, language_modelling, modern, results, scoring

TARGETS = [(target, name) for target in ("last word", "last token") for name in ("none", "stop words", "words only")]
WIKITEXT = {  # label: the switches that are not the default
    "context 1,024": {},
    "context 512": {"context": 512},
    "context 256": {"context": 256},
    "context 1,024, stride 512": {"stride": 512},
    "no de-tokeniser": {"detokeniser": "none"},
    "public de-tokeniser": {"detokeniser": "public"},
    "articles alone": {"documents": "each alone"},
}
PROTOCOL = ("SmolLM2-135M-Instruct (4-bit weights, computed in fp32); LAMBADA: OpenAI's file, accuracy in %, perplexity over the "
            "target; WikiText-2 raw, test: perplexity per unit of the original text; invertible de-tokeniser and one stream, "
            "unless said")
UNITS = ("word", "word or line end", "token", "byte", "character")


def subset(out, n, items):
    """A file with n of the passages, in their order; all of them if there are no more."""
    chosen = sorted(random.Random(0).sample(range(len(items)), min(n, len(items))))
    path = out / f"lambada-{len(chosen)}.jsonl"
    path.write_text("".join(json.dumps(items[i]) + "\n" for i in chosen), encoding="utf-8", newline="\n")
    return path


def short(values):
    return {name: round(values[name], 3) for name in ("accuracy", "perplexity") if name in values}


def lambada(measure, out, passages):
    items = cloze.LAMBADA.read()
    path = subset(out, passages, items)
    found = measure("lambada", {}, path)
    rows, table = found["rows"], {}
    for target, name in TARGETS:
        table[f"{target}, filter: {name}"] = short(cloze.LAMBADA.score(rows, found["switches"] | dict(target=target, filter=name)))
    counts = {"passages": len(rows), "of": len(items),
              "targets that are stop words": sum(row["target_is_stop_word"] for row in rows),
              "targets of several tokens": sum(len(row["log_p"]) > 1 for row in rows)}
    return {"LAMBADA": table, "LAMBADA, counts": counts}


def versions(measure, out, n):
    path = subset(out, n, cloze.LAMBADA.read())
    settings = [{"text": text} for text in cloze.LAMBADA.switches["text"]] + [{"before": "nothing"}]
    table = {}
    for setting in settings:
        label = setting.get("text", "nothing before")
        found = measure("lambada", setting, path)
        table[label] = {name: short(cloze.LAMBADA.score(found["rows"], found["switches"] | {"filter": name}))
                        for name in ("none", "stop words")}
    return {"LAMBADA, text": table, "LAMBADA, text, passages": n}


def wikitext(measure, articles):
    task, table, units = language_modelling.TASKS["wikitext2"], {}, {}
    for label, setting in WIKITEXT.items():
        setting = {"context": 1024} | setting
        found = measure("wikitext2", setting, None, articles)
        scores = {unit: task.score(found["rows"], found["switches"] | {"unit": unit}) for unit in UNITS}
        table[label] = {unit: round(score["perplexity"], 3) for unit, score in scores.items()}
        units[label] = {unit: score["units"] for unit, score in scores.items()}
    return {"WikiText-2": table, "WikiText-2, units": units, "WikiText-2, articles": articles}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", default="runs/protocols", type=Path, help="rows of the measurements (default %(default)s)")
    p.add_argument("--passages", default=1000, type=int, help="of LAMBADA, all 5,153 if more (default %(default)s)")
    p.add_argument("--versions", default=300, type=int, help="passages for the versions of the text (default %(default)s)")
    p.add_argument("--articles", default=4, type=int, help="of WikiText-2's test part (default %(default)s)")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    options = p.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, bpe = modern.load(modern.NAME)

    def measure(task, switches, data=None, limit=None):
        return evaluate.run(model, bpe, task, switches, data, limit, options.out, not options.quiet, modern.NAME)

    command = (f"python book/studies/protocols.py --passages {options.passages} --versions {options.versions} "
               f"--articles {options.articles}")
    values = {}
    for part in (lambda: lambada(measure, options.out, options.passages), lambda: wikitext(measure, options.articles),
                 lambda: versions(measure, options.out, options.versions)):
        values |= part()
        results.save("12-protocols", values, command, [0], PROTOCOL,
                     depends=[scoring, cloze, detokenise, language_modelling, modern],
                     summary="SmolLM2-135M-Instruct: how far each switch moves LAMBADA and WikiText-2")
    print(results.load("12-protocols"))


if __name__ == "__main__":
    main()
