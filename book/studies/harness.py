"""Ours beside lm-evaluation-harness on SmolLM2-135M-Instruct: LAMBADA and WikiText-2 by the harness's rules (chapter 12).

    python book/studies/harness.py --out FOLDER [--passages 300] [--articles 2]

Both read the same GGUF file: ours with minigpt.modern, the harness with transformers. Its prompts, its cutting and its metrics make
its numbers, our switches ours. Needs requirements-test.txt. The Winograd schemas are compared in the record 13-winograd.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for the tests' wrapper of the harness

from minigpt import cloze, detokenise, evaluate, language_modelling, modern, results, scoring
from tests.harness import requests, smollm2_harness

CONTEXT = 1024
LAMBADA = {"filter": "none", "cut": "space", "before": "nothing"}
WIKITEXT = {"detokeniser": "public", "documents": "each alone", "unit": "word as lm-eval", "context": CONTEXT}


def lambada(ours, theirs, items):
    """The task lambada_openai."""
    from lm_eval.api import metrics

    pairs = [(" ".join(item["text"].split(" ")[:-1]), " " + item["text"].split(" ")[-1]) for item in items]
    found = theirs.loglikelihood(requests("loglikelihood", pairs))
    rows = ours["rows"]
    return {"passages": len(items), "ours": ours["values"],
            "harness": {"accuracy": 100 * metrics.mean([greedy for _, greedy in found]),
                        "perplexity": metrics.perplexity([nats for nats, _ in found])},
            "answers that differ": sum(all(row["none"]) != greedy for row, (_, greedy) in zip(rows, found, strict=True)),
            "largest difference, nats": max(abs(sum(row["log_p"]) - nats) for row, (nats, _) in zip(rows, found, strict=True))}


def wikitext(ours, theirs, items):
    """The task wikitext, its documents one after the other."""
    from lm_eval.api import metrics
    from lm_eval.tasks.wikitext import preprocess_wikitext as rules

    pages = [item["text"] for item in items]
    totals = theirs.loglikelihood_rolling(requests("loglikelihood_rolling", [(rules.wikitext_detokenizer({"page": page}),)
                                                                             for page in pages]))
    found = [rules.process_results({"page": page}, (total,)) for page, total in zip(pages, totals, strict=True)]
    return {"articles": len(items), "ours": {name: ours["values"][name] for name in ("perplexity", "bits_per_byte")},
            "harness": {"perplexity": metrics.weighted_perplexity([row["word_perplexity"] for row in found]),
                        "bits_per_byte": metrics.bits_per_byte([row["bits_per_byte"] for row in found])}}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", default="runs/harness", type=Path, help="rows of our measurements (default %(default)s)")
    p.add_argument("--passages", default=300, type=int, help="of LAMBADA, the first (default %(default)s)")
    p.add_argument("--articles", default=2, type=int, help="of WikiText-2's test part, the first (default %(default)s)")
    options = p.parse_args()
    model, bpe = modern.load(modern.NAME)
    measured = {task: evaluate.run(model, bpe, task, switches, None, limit, options.out)
                for task, switches, limit in (("lambada", LAMBADA, options.passages), ("wikitext2", WIKITEXT, options.articles))}
    theirs, articles = smollm2_harness(16, max_length=CONTEXT), language_modelling.TASKS["wikitext2"].read(None, options.articles)
    values = {"LAMBADA": lambada(measured["lambada"], theirs, cloze.LAMBADA.read(None, options.passages)),
              "WikiText-2": wikitext(measured["wikitext2"], theirs, articles)}
    print(json.dumps(values, indent=1))
    command = f"python book/studies/harness.py --passages {options.passages} --articles {options.articles}"
    results.save("12-harness", values, command, [],
                 f"lm_eval's lambada_openai and wikitext (context {CONTEXT:,}); fp32, batches of 16; both from the same GGUF file",
                 depends=[scoring, cloze, detokenise, language_modelling, modern],
                 summary="SmolLM2-135M-Instruct: ours beside lm-evaluation-harness")


if __name__ == "__main__":
    main()
