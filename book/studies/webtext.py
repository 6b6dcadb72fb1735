"""What each stage of the WebText pipeline gets right: python book/studies/webtext.py [--data FOLDER]

On pages that the project makes, whose contents are known: precision and recall of every stage, of the extracted words, of
near-duplicates against the threshold, of planted translations; documents per second and memory per document. With --data also on
real excerpts (samples/openwebtext/*.jsonl, which the package `evals` carries) and on OpenAI's list of WebText's domains
(webtext_domains/domains.txt, from its GPT-2 repository).
"""

import argparse
import json
import random
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np

from minigpt import BPE, overlap, results, webtext, webtext_pages
from minigpt import webtext_stages as stages
from minigpt.webtext_stages import Document, NearIndex

WORLD = ["minigpt.world", "minigpt.world_grammar", "minigpt.world_village", "minigpt.world_voyage", "minigpt.world_sentences",
         "minigpt.world_own", "minigpt.world_things", "minigpt.world_words"]
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LENGTHS = (1, 2, 3, 5, 10, 20, 50)


def quality(n: int, seed: int) -> dict:
    """Stage counts of one seed, precision and recall of its stages, pages per CPU second from end to end."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()  # of this process: a busy machine does not count
        index = webtext.build(webtext.pages(n, seed), folder, BPE.load("world"))
        seconds = time.process_time() - started
        return {"counts": index["stages"], "by stage": webtext.judge(webtext.fates(folder), webtext.pages(n, seed)),
                "pages per CPU second": n / seconds}


def over_seeds(rows: list[dict]) -> dict:
    """The counts of the first seed; the means of all with the half widths of their intervals (None where nothing was due)."""
    def interval(stage, key):
        values = [row["by stage"][stage][key] for row in rows if row["by stage"][stage][key] is not None]
        return results.interval(values) if values else None

    keys, speed = ("entered", "removed", "precision", "recall"), [row["pages per CPU second"] for row in rows]
    table = {stage: {key: interval(stage, key) for key in keys} for stage in rows[0]["by stage"]}
    return {"counts": rows[0]["counts"], "by stage": table, "pages per CPU second": results.interval(speed)}


def extraction(n: int) -> dict:
    """Share of the extracted words that are the article's, share of the article's words that were extracted: means over pages."""
    made, found = [page for page in webtext.pages(n, 50) if page.truth["kind"] != "empty"], {}
    for extractor in stages.EXTRACTORS:
        pairs = []
        for page in made:
            text = stages.EXTRACTORS[extractor](page.page)
            ours, true = Counter(overlap.normalise(text)), Counter(overlap.normalise(page.truth["text"]))
            both = (ours & true).total()
            pairs.append((both / max(1, ours.total()), both / true.total()))
        found[extractor] = dict(zip(("precision", "recall"), np.mean(pairs, axis=0).tolist(), strict=True))
    return found


def thresholds(n: int, seed: int) -> list:
    """For each threshold: precision and recall of near-duplicates after the exact ones are gone, and good documents lost, %."""
    chain = stages.karma(webtext.pages(n, seed))
    for stage in (stages.wikipedia, stages.text, stages.clean, stages.language, stages.exact):
        chain = stage(chain)
    documents, rows = list(chain), []
    for threshold in THRESHOLDS:
        left, seen, gone, due, both = {d.id for d in stages.near(documents, index=NearIndex(threshold))}, set(), 0, 0, 0
        for document in documents:
            bad = document.truth["story"] in seen
            seen.add(document.truth["story"])
            gone, due, both = gone + (document.id not in left), due + bad, both + (bad and document.id not in left)
        rows.append([both / gone, both / due, 100 * (gone - both) / (len(documents) - due)])
    return rows


def speeds(n: int) -> dict:
    """Documents per CPU second of each stage alone, on those that reach it."""
    documents, found = list(webtext.pages(n, 60)), {}
    for name in stages.STAGES[1:]:
        started, count = time.process_time(), len(documents)
        documents = list(getattr(stages, name)(documents))
        found[name] = round(count / (time.process_time() - started))
    return found


def memory(n: int) -> float:
    """KB that the index of near-duplicates and the digests take for each document."""
    index, seen, chance = NearIndex(), set(), np.random.default_rng(0)
    tracemalloc.start()
    for i in range(n):
        index.add(chance.integers(0, 2**32, index.permutations, dtype=np.uint32))
        seen.add(stages.digest(str(i)))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / n / 1000


def planted(n: int) -> dict:
    """Translations found among those planted, and among all quotations of the other pages."""
    documents = list(stages.clean(stages.text(webtext.pages(n, 70))))
    documents = [d for d in documents if d.truth["kind"] != "french"]
    found = {(row["id"], row["phrase"].replace("’", "'"), row["gloss"]) for row in webtext.translations(documents)}
    true = {(d.id, *pair) for d in documents for pair in d.truth["glosses"]}
    return {"documents": len(documents), "planted": len(true), "found": len(found), "right": len(found & true)}


def short_texts(english: list[str]) -> dict:
    """Per cent of English and of French texts of so many words that py3langid takes for another language."""
    classify, chance, found = stages.need("py3langid").classify, random.Random(0), {"words": list(LENGTHS)}
    french = [" ".join(webtext_pages.french(chance)[0] for _ in range(12)) for _ in range(len(english))]
    for name, code, texts in (("English", "en", english), ("French", "fr", french)):
        found[name] = []
        for length in LENGTHS:
            words = [text.split() for text in texts if len(text.split()) >= length + 1]
            cuts = [(w, chance.randrange(len(w) - length)) for w in words]
            wrong = [classify(" ".join(w[i:i + length]))[0] != code for w, i in cuts]
            found[name].append([100 * float(np.mean(wrong)), 196 * float(np.std(wrong) / np.sqrt(len(wrong)))])
    return found


def excerpts(folder: Path) -> dict:
    """What the stages make of real excerpts of OpenWebText and of Wikipedia, whose addresses are not known."""
    names = {"OpenWebText": "owt_5_originals.jsonl", "Wikipedia": "wikipedia_5_originals.jsonl"}
    texts = {name: [json.loads(line)["text"] for line in (folder / file).read_text(encoding="utf-8").splitlines() if line.strip()]
             for name, file in names.items()}
    found, grams = {}, {}
    for name, rows in texts.items():
        documents = [Document(f"{name} {i}", text=text) for i, text in enumerate(rows)]
        gone, languages = Counter(), Counter()
        def drop(document, stage, reason, gone=gone, languages=languages):
            gone[stage] += 1
            if stage == "language":
                languages[reason] += 1
                print(f"{document.id} {reason}: {document.text[:150]!r}", flush=True)
            elif stage in ("exact", "near"):
                print(f"{document.id} {stage} {reason}: {document.text[:150]!r}", flush=True)
        chain = stages.language(stages.wikipedia(documents, drop), drop)
        left = list(stages.near(stages.exact(chain, drop), drop))
        grams[name] = [set(overlap.eight_grams(overlap.normalise(text))) for text in rows]
        sentences = sum(not list(stages.clean([Document("", text=text)], min_words=20)) for text in rows)
        found[name] = {"excerpts": len(rows), "median words": float(np.median([len(text.split()) for text in rows])),
                       "removed by address": gone["wikipedia"], "not English": gone["language"], "their languages": dict(languages),
                       "exact duplicates": gone["exact"], "near-duplicates": gone["near"], "left": len(left),
                       "fewer than 20 words in sentences": sentences, "name Wikipedia": sum("wikipedia" in t.lower() for t in rows)}
    of_wikipedia = set().union(*grams["Wikipedia"])
    found["OpenWebText excerpts that share 8 words in a row with a Wikipedia excerpt"] = sum(
        bool(of & of_wikipedia) for of in grams["OpenWebText"])
    found["pairs across the two above 0.5"] = _pairs_across(texts)
    found["short texts taken for another language, %"] = short_texts(texts["OpenWebText"])
    return found


def _pairs_across(texts: dict) -> int:
    index = NearIndex(0.5)
    for text in texts["Wikipedia"]:
        index.add(index.signature(text))
    return sum(index.find(index.signature(text)) is not None for text in texts["OpenWebText"])


def domains(path: Path) -> dict:
    """How concentrated the 1,000 most frequent domains of WebText are."""
    rows = [line.strip().partition(" ") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    counts = {name: int(count) for count, _, name in rows}  # one has no name
    total, sizes = sum(counts.values()), list(counts.values())
    shares = {f"top {k}": sum(sizes[:k]) / total for k in (1, 10, 100)}
    return {"domains": len(counts), "links": total, "counts": sizes, "first ten": dict(list(counts.items())[:10]), "share": shares,
            "wikipedia": counts.get("wikipedia", 0), "with wiki in the name": {k: v for k, v in counts.items() if "wiki" in k}}


def main() -> None:
    """Measure part by part, each kept in --out; then put all together into book/results/09-webtext.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with samples/openwebtext and webtext_domains")
    parser.add_argument("--out", type=Path, default=Path("runs/webtext-study"), help="what is measured already")
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--only", help="measure this part and stop")
    options = parser.parse_args()
    n, folder = options.pages, options.data
    parts = {f"quality-{seed}": (lambda seed=seed: quality(n, seed)) for seed in options.seeds}
    parts |= {f"thresholds-{seed}": (lambda seed=seed: thresholds(n, seed)) for seed in options.seeds}
    parts |= {"extraction": lambda: extraction(300), "documents per CPU second": lambda: speeds(300),
              "KB per kept document": lambda: memory(2000), "translations": lambda: planted(500)}
    if folder:
        parts |= {"excerpts": lambda: excerpts(folder / "samples" / "openwebtext"),
                  "domains": lambda: domains(folder / "webtext_domains" / "domains.txt")}
    options.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, measure in parts.items():
        kept = options.out / f"{name}-{n}.json"
        if not kept.is_file() and options.only in (None, name):
            kept.write_text(json.dumps(measure()), encoding="utf-8")
            print(f"{name} measured", flush=True)
        if kept.is_file():
            found[name] = json.loads(kept.read_text(encoding="utf-8"))
    if options.only:
        return
    sweep = {"threshold": list(THRESHOLDS)}
    by_seed = [found[f"thresholds-{seed}"] for seed in options.seeds]
    for k, key in enumerate(("precision", "recall", "good lost, %")):
        sweep[key] = [results.interval([rows[i][k] for rows in by_seed]) for i in range(len(THRESHOLDS))]
    values = {"pages": n, "seeds": options.seeds, "shares of kinds, %": webtext_pages.SHARES,
              "quality": over_seeds([found[f"quality-{seed}"] for seed in options.seeds]), "thresholds": sweep,
              **{name: value for name, value in found.items() if not name.startswith(("quality", "thresholds"))}}
    results.save("09-webtext", values, command="python book/studies/webtext.py --data FOLDER", seeds=options.seeds,
                 protocol=f"{n} synthetic pages a seed; near-duplicates at 0.8, shingles of 5 words, 128 permutations; "
                          "trafilatura fast", interval="95 % by Student's t over seeds; short texts: 1.96 standard errors",
                 depends=["minigpt.webtext", "minigpt.webtext_pages", "minigpt.webtext_stages", "minigpt.overlap", *WORLD],
                 summary=f"{values['quality']['counts']['near']['documents']:,} of {n:,} synthetic pages kept")


if __name__ == "__main__":
    main()
