"""What a prompt is worth to SmolLM2-135M-Instruct: the records of chapter 13.

    python book/studies/prompts.py winograd --data winograd        (the folder with WSCollection.xml)
    python book/studies/prompts.py questions --data NQ-open.dev.jsonl
    python book/studies/prompts.py summaries --data train_sample_100.zip
    python book/studies/prompts.py translation --data wmt14_fr_en
    python book/studies/prompts.py hints

Finished chunks are kept in --out: a run that was stopped goes on there. One thread, fp32; a record says how many minutes it took.
"""

import argparse
import random
import time
from dataclasses import replace
from pathlib import Path

import torch

from minigpt import BPE, GPT, evaluate, modern, prompting, protocol, results, text_scores, viz_prompt, winograd

TASKS = prompting.TASKS
NAME = "SmolLM2-135M-Instruct"
CODE = [f"minigpt.{name}" for name in ("protocol", "text_scores", "zeroshot", "modern")]
STEPS = {"questions": 15, "translation": 60}  # every fifteenth question, every sixtieth sentence: spread over the whole set


class Study:
    """A model, and where finished rows are kept."""

    def __init__(self, options):
        self.options = options
        self.model, self.bpe = modern.load(modern.NAME)
        self.began = time.process_time()

    def rows(self, task, limit=None, step=1, model=None, data=None, **switches) -> list[dict]:
        """Measured rows of a task in the items' order."""
        thinned = replace(task, read=lambda source, _: task.read(source, None)[::step][:limit])
        model, bpe = model or (self.model, self.bpe)
        found = evaluate.run(model, bpe, thinned, switches, data or self.options.data, out=self.options.out,
                             progress=not self.options.quiet)
        print(task.name, switches, {name: round(value, 2) for name, value in found["values"].items()}, flush=True)
        return found["rows"]

    def save(self, part: str, values: dict, protocol_: str, summary: str, modules=()) -> None:
        """The record 13-<part>."""
        data = f" --data {Path(self.options.data).name}" if self.options.data else ""
        values["minutes of one thread"] = round((time.process_time() - self.began) / 60, 1)
        print(results.save(f"13-{part}", values, f"python book/studies/prompts.py {part}{data}", [1], protocol_,
                           "95 %: Wilson for shares, percentile bootstrap over items for the rest",
                           [*CODE, *(f"minigpt.{name}" for name in modules)], summary))


def share(right: list) -> dict:
    """A share in per cent, its interval, and the single items as a string of 0 and 1."""
    return {"value": 100 * sum(right) / len(right), "interval": text_scores.wilson(sum(right), len(right)), "n": len(right),
            "right": "".join(str(int(one)) for one in right)}


# -- Winograd ---------------------------------------------------------------------------------------------------------------------


def decided(rows, **switches) -> list[int]:
    """Whether each schema was resolved."""
    return [int(winograd.score([row], switches)["accuracy"]) // 100 for row in rows]


def winograd_part(study: Study) -> None:
    """All 273, scored in every way; lm-evaluation-harness' form; the world's own schemas by the world's model."""
    task, values = TASKS["winograd"], {}
    plain = study.rows(task)
    for scoring in ("partial", "full"):
        for normalise in ("none", "mean"):
            right = decided(plain, scoring=scoring, normalise=normalise)
            values[f"{scoring}, {'sum' if normalise == 'none' else 'mean'}"] = share(right)
    raw = study.rows(task, options="raw")
    values["partial, sum, candidates as spelt in the file"] = share(decided(raw, scoring="partial", normalise="none"))
    bare = study.rows(task, **winograd.LM_EVAL)
    values["as lm-evaluation-harness' wsc273"] = share(decided(bare, scoring="partial", normalise="none"))
    harness = lm_eval_scores(study, bare)
    if harness:
        values["lm-evaluation-harness itself"] = harness
    items = task.read(study.options.data)[:273]
    stops = [i for i, item in enumerate(items) if item["after"] == "."]
    values["schemas with nothing but a full stop after the pronoun"] = {
        "n": len(stops), "right, partial": sum(values["partial, sum"]["right"][i] == "1" for i in stops),
        "right, full": sum(values["full, sum"]["right"][i] == "1" for i in stops)}
    own = study.rows(task, model=(GPT.from_pretrained("world").eval(), BPE.load("world")), data="world")
    values["the world's model on the world's own, partial, sum"] = share(decided(own, scoring="partial", normalise="none"))
    values["the world's model on the world's own, full, sum"] = share(decided(own, scoring="full", normalise="none"))
    best = values["partial, sum"]
    study.save("winograd", values, "WSC273 from WSCollection.xml; each text after <|endoftext|> unless said; fp32",
               f"{NAME}: {best['value']:.1f} % of {best['n']}, partial scoring", ["winograd"])


def lm_eval_scores(study: Study, rows: list[dict]) -> dict | None:
    """wsc273 by lm-evaluation-harness: its prompts, its cutting, its accuracy; logits from the same weights. None without it."""
    try:
        import lm_eval.tasks
        from datasets import Dataset, DatasetDict
        from lm_eval.api.model import TemplateLM
        from lm_eval.api.task import ConfigurableTask
        from lm_eval.tasks._yaml_loader import load_yaml
    except ImportError:
        return None

    class Harness(TemplateLM):
        eot_token_id = study.bpe.eos_id

        def tok_encode(self, string, add_special_tokens=None, **_):
            return list(study.bpe.encode(string))

        def _loglikelihood_tokens(self, requests, **_):
            out = []
            for _, context, rest in requests:
                with torch.inference_mode():
                    logs = study.model(torch.tensor([context + rest]))[0, len(context) - 1:-1].log_softmax(-1)
                out.append((float(logs.gather(1, torch.tensor([rest]).T).sum()), False))
            return out

        def loglikelihood_rolling(self, requests, disable_tqdm=False):
            raise NotImplementedError

        generate_until = loglikelihood_rolling

    items = TASKS["winograd"].read(study.options.data)[:273]
    documents = [{"text": f"{item['before']} {item['pronoun']} {item['after']}".strip(), "pronoun": item["pronoun"],
                  "pronoun_loc": len(item["before"]) + bool(item["before"]), "options": item["options"], "label": item["gold"]}
                 for item in items]
    config = load_yaml(Path(lm_eval.tasks.__path__[0]) / "wsc273" / "default.yaml")
    config |= {"custom_dataset": lambda **_: DatasetDict(test=Dataset.from_list(documents)), "dataset_path": None}
    task = ConfigurableTask(config=config)
    task.build_all_requests(rank=0, world_size=1)
    totals = [total for total, _ in Harness().loglikelihood(task.instances, disable_tqdm=True)]
    right = [int(totals[2 * i + 1] > totals[2 * i]) == document["label"] for i, document in enumerate(documents)]
    ours = [total for row in rows for total in row["partial"]]
    return {"value": 100 * sum(right) / len(right), "largest difference of a log-probability, nats": round(
        max(abs(a - b) for a, b in zip(ours, totals, strict=True)), 5)}


# -- questions --------------------------------------------------------------------------------------------------------------------


def questions_part(study: Study) -> None:
    """Every fifteenth question: exact match, how sure, how calibrated; the 30 most confident answers."""
    task = TASKS["questions"]
    rows = study.rows(task, study.options.limit, STEPS["questions"])
    right, examples = [row["right"] for row in rows], dict(prompting.QUESTIONS[:5]).values()
    values = {"exact match": share(right), "all scores": task.score(rows, protocol.choose(task)),
              "in an example's answer": 100 * sum(row["answer"] in examples for row in rows) / len(rows)}
    for of in ("answer", "answer and line end"):
        sure = [prompting.confidence(row, of) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: -sure[i])
        values[of] = {"calibration": text_scores.calibration(sure, right), "mean confidence": 100 * sum(sure) / len(sure),
                      "calibration error": 100 * text_scores.calibration_error(sure, right),
                      "confidence": [round(one, 4) for one in sure],
                      "most confident": {f"{per} %": share([right[i] for i in order[:max(1, round(len(rows) * per / 100))]])
                                         for per in (1, 10, 30)}}
    top = prompting.most_confident(rows)
    # What the model said and how surely; the questions are other people's text.
    values["the 30 most confident"] = [[round(row["probability"], 4), int(row["right"]), row["answer"]] for row in top]
    study.save("questions", values, "Natural Questions (open), development set, every fifteenth question; five example pairs of "
               "our own; greedy, first line; exact match by SQuAD's rule",
               f"{NAME}: {values['exact match']['value']:.1f} % of {len(rows)} questions", ["prompting", "generate"])


# -- summaries --------------------------------------------------------------------------------------------------------------------


def summaries_part(study: Study) -> None:
    """With and without the hint, beside the first three sentences and three at random."""
    task, values, each = TASKS["summaries"], {}, {}
    limit = study.options.limit or 32
    for name, hint in ((f"{NAME}, TL;DR:", "TL;DR:"), (f"{NAME}, no hint", "none")):
        rows = study.rows(task, limit, hint=hint)
        each[name] = [row["summary"] for row in rows]
        values.setdefault("shortened, %", 100 * sum(row["shortened"] for row in rows) / len(rows))
    each |= {"Lede-3": [row["lede"] for row in rows], "Random-3": [row["random"] for row in rows]}
    references, kept = [row["reference"] for row in rows], {}
    for name, texts in each.items():
        found = text_scores.rouge(["\n".join(text) for text in texts], references)
        kept[name] = [round(one["R-AVG"], 2) for one in found]
        values[name] = {metric: sum(one[metric] for one in found) / len(found) for metric in ("R-1", "R-2", "R-L", "R-AVG")}
        values[name]["interval of R-AVG"] = text_scores.bootstrap(len(found), lambda drawn, of=kept[name]: mean(of, drawn))
        values[name]["words"] = sum(len(" ".join(text).split()) for text in texts) / len(texts)
    a, b = (kept[f"{NAME}, {hint}"] for hint in ("TL;DR:", "no hint"))
    gain = [x - y for x, y in zip(a, b, strict=True)]
    values |= {"n": len(rows), "R-AVG of each article": kept, "the hint, R-AVG gained": sum(gain) / len(gain),
               "interval of the gain": text_scores.bootstrap(len(gain), lambda drawn: mean(gain, drawn))}
    study.save("summaries", values, "CNN/Daily Mail, a public sample of its training part; top-k 2, 100 tokens, first three "
               "sentences; ROUGE by rouge-score, stemmed, R-L by sentences; sentences by text_scores.sentences",
               f"{NAME}: R-AVG {sum(a) / len(a):.1f} with TL;DR:, {sum(b) / len(b):.1f} without ({len(rows)} articles)",
               ["prompting", "generate"])


def mean(values: list[float], chosen: list[int]) -> float:
    return sum(values[i] for i in chosen) / len(chosen)


# -- translation ------------------------------------------------------------------------------------------------------------------


OURS = (("The train to the coast leaves at seven.", "Le train pour la côte part à sept heures."),
        ("My sister has bought a red bicycle.", "Ma sœur a acheté un vélo rouge."),
        ("There has always been a bakery in this street.", "Il y a toujours eu une boulangerie dans cette rue."))


def shown(study: Study, task, source: str) -> list[list[str]]:
    """Sentences of our own beside what is made of them after five examples: the test set's are other people's text."""
    items = [dict(zip(("en", "fr"), pair, strict=True)) for pair in OURS]
    rows = task.measure(study.model, study.bpe, items, protocol.choose(task, {"examples": 5}))
    return [[item[source], " ".join(text_scores.sentences(row["line"])[:1])] for item, row in zip(items, rows, strict=True)]


def translation_part(study: Study) -> None:
    """Both directions, with no, one and five example pairs, on every sixtieth sentence of newstest2014."""
    values: dict = {}
    for source, target in (("en", "fr"), ("fr", "en")):
        task = TASKS[f"translation-{source}-{target}"]
        own = {pair[target == "fr"] for pair in prompting.SENTENCES}
        for examples in (0, 1, 5):
            rows = study.rows(task, study.options.limit, STEPS["translation"], examples=examples)
            found = {cut: task.score(rows, protocol.choose(task, {"cut": cut})) for cut in ("sentence", "line")}
            said = [" ".join(text_scores.sentences(row["line"])[:1]) for row in rows]
            right = [row["reference"] for row in rows]
            values[f"{source}-{target}, {examples} examples"] = found["sentence"] | {
                "interval": text_scores.bootstrap(len(rows), lambda drawn, said=said, right=right: text_scores.bleu(
                    [said[i] for i in drawn], [right[i] for i in drawn]), 300),
                "BLEU of the whole line": found["line"]["BLEU"], "n": len(rows), "empty": 100 * said.count("") / len(rows),
                "an example's sentence again": 100 * sum(one in own for one in said) / len(rows)}
        values[f"{source}-{target}, 5 examples"]["shown"] = shown(study, task, source)
    best = {way: values[f"{way}, 5 examples"]["BLEU"] for way in ("en-fr", "fr-en")}
    study.save("translation", values, "newstest2014, every sixtieth sentence; example pairs of our own, `one = other` a line; "
               "greedy, first sentence of the line; BLEU by sacrebleu, 13a",
               f"{NAME}, 5 examples: {best['en-fr']:.1f} BLEU into French, "
               f"{best['fr-en']:.1f} into English", ["prompting", "generate"])


# -- hints ------------------------------------------------------------------------------------------------------------------------

STORY = ("The old lighthouse on the northern cape has been dark for thirty years. Last week the village council voted to repair it "
         "and to light its lamp again. The work will take until autumn and cost about as much as a small house.")
HINTS = {  # group: {name: prompt}
    "a summary": {"no hint": STORY, "TL;DR:": f"{STORY}\nTL;DR:", "Summary:": f"{STORY}\nSummary:", "Title:": f"{STORY}\nTitle:",
                  "Q: ... A:": f"{STORY}\n\nQ: How long has the lighthouse been dark?\nA:", "In French:": f"{STORY}\nIn French:"},
    "a translation": {f"{n} pairs": prompting.translation_prompt("The children were tired.", n) for n in (0, 1, 2, 5)},
    "an answer": {f"{n} pairs": prompting.question_prompt("who wrote the origin of species", n) for n in (0, 1, 2, 5)},
    "a pronoun": {noun: f"The suitcase did not hold the trophy because the {noun} was too" for noun in ("suitcase", "trophy")}}


def hints_part(study: Study) -> None:
    """The next token's distribution under several endings of the same prompt, and what is written greedily after each."""
    values = {group: viz_prompt.look(study.model, study.bpe, variants) for group, variants in HINTS.items()}
    study.save("hints", values, "the next token's eight likeliest values; 16 tokens, greedy", f"{NAME}: prompts and what follows",
               ["prompting", "generate", "viz_prompt"])


def main() -> None:
    parts = {"winograd": winograd_part, "questions": questions_part, "summaries": summaries_part, "translation": translation_part,
             "hints": hints_part}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--data", help="the task's file or folder")
    parser.add_argument("--limit", type=int, help="at most so many items")
    parser.add_argument("--out", default="runs/prompts", help="where finished rows are kept (default runs/prompts)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(1)
    parts[options.part](Study(options))


if __name__ == "__main__":
    main()
