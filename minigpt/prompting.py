"""Tasks put as a prompt (GPT-2, sections 3.5 to 3.8): CoQA, summaries, translation, questions, with every choice a switch.

The model writes on from the prompt, and what it writes is judged by `text_scores`. No code for these measurements was ever
released, and the paper prints neither its whole prompts nor how many examples they held: the first value of a switch is the paper's
where it is known, and ours where it is not. The example pairs below are our own, so no test item ever stands in a prompt.
TASKS has `winograd` as well.
"""

import csv
import io
import json
import math
import zipfile
from functools import partial
from pathlib import Path

from minigpt import data, protocol, text_scores, winograd, zeroshot
from minigpt.generate import generate_texts
from minigpt.protocol import Task
from minigpt.winograd import data_file

QUESTIONS = (  # (question as Natural Questions spells them, answer)
    ("what is the capital of norway", "Oslo"), ("who painted the mona lisa", "Leonardo da Vinci"),
    ("when did the first world war begin", "1914"), ("where is the eiffel tower located", "Paris"),
    ("how many legs does a spider have", "eight"), ("which planet is closest to the sun", "Mercury"),
    ("who wrote romeo and juliet", "William Shakespeare"), ("what is the chemical symbol for gold", "Au"),
    ("when was the berlin wall built", "1961"), ("what language is spoken in brazil", "Portuguese"))
SENTENCES = (  # (English, French)
    ("The minister did not answer the question.", "Le ministre n'a pas répondu à la question."),
    ("Unemployment fell again in the second quarter.", "Le chômage a encore baissé au deuxième trimestre."),
    ("The train to Paris leaves at nine o'clock.", "Le train pour Paris part à neuf heures."),
    ("Many people still live without electricity.", "Beaucoup de gens vivent encore sans électricité."),
    ("The two countries signed the agreement on Monday.", "Les deux pays ont signé l'accord lundi."),
    ("She has worked for the company for ten years.", "Elle travaille pour l'entreprise depuis dix ans."),
    ("We do not know yet how much it will cost.", "Nous ne savons pas encore combien cela coûtera."),
    ("The children were playing in the garden.", "Les enfants jouaient dans le jardin."),
    ("Prices have risen by three percent this year.", "Les prix ont augmenté de trois pour cent cette année."),
    ("The museum is closed on Tuesdays.", "Le musée est fermé le mardi."))
ANSWER_TOKENS, SUMMARY_TOKENS, TRANSLATION_TOKENS = 24, 100, 160  # what may be written; 100 is the paper's, the others are ours


# -- CoQA (section 3.5) -----------------------------------------------------------------------------------------------------------


def read_coqa(source, limit=None) -> list[dict]:
    """coqa-dev-v1.0.json, official form: one item for each turn of each story, with everybody's answers."""
    path = data_file(source, "coqa-dev-v1.0.json", "https://nlp.stanford.edu/data/coqa/coqa-dev-v1.0.json")
    try:
        stories = json.loads(protocol.text_of(path))
        stories = stories["data"] if isinstance(stories, dict) else stories
        assert isinstance(stories, list)
    except (json.JSONDecodeError, KeyError, AssertionError) as error:
        raise ValueError(f"{path} is not in CoQA's form, a JSON object with a list called 'data' ({error!r})") from None
    found = protocol.keep(path, [(i, lambda s=s: _turns(s)) for i, s in enumerate(stories, 1)], what="story")
    items = [item for story in found for item in story]
    return items[:limit] if limit else items


def _turns(story: dict) -> list[dict]:
    questions, answers = ([one["input_text"] for one in story[name]] for name in ("questions", "answers"))
    others = [[one["input_text"] for one in given] for given in story.get("additional_answers", {}).values()]
    if not questions or {len(questions)} != {len(given) for given in (answers, *others)}:
        raise ValueError(f"it has {len(questions)} questions and {[len(given) for given in (answers, *others)]} answers")
    turns = [list(pair) for pair in zip(questions, answers, strict=True)]
    return [{"document": story["story"], "source": story.get("source", ""), "history": turns[:i], "question": question,
             "accepted": [answers[i], *(given[i] for given in others)], "last": i == len(questions) - 1}
            for i, question in enumerate(questions)]


def coqa_prompt(item: dict, history: str = "given") -> str:
    """The document, the conversation so far with its true answers, the question, and `A:` (the paper names these parts only)."""
    turns = [f"Q: {q}\nA: {a}\n" for q, a in item["history"]] if history == "given" else []
    return f"{item['document'].strip()}\n\n{''.join(turns)}Q: {item['question']}\nA:"


def measure_coqa(model, bpe, items, switches) -> list[dict]:
    """What is written greedily after `A:`, cut by the switch `cut`."""
    stop = {"line": ("\n",), "next question": ("\nQ:",), "nothing": ()}[switches["cut"]]
    rows: list[dict] = [{} if not item["document"].strip() else {"accepted": [one for one in item["accepted"] if one.strip()]}
                        for item in items]
    asked = [(item, row) for item, row in zip(items, rows, strict=True) if row.get("accepted")]
    prompts = [coqa_prompt(item, switches["history"]) for item, _ in asked]
    written = generate_texts(model, bpe, prompts, ANSWER_TOKENS, temperature=0, stop=stop) if asked else []
    for (item, row), text in zip(asked, written, strict=True):
        row |= {"answer": text.strip(), "source": item["source"]}
    return [row if "answer" in row else {"left_out": "no answer is known" if row else "no document"} for row in rows]


def score_coqa(rows, switches) -> dict:
    """F1 and exact match, mean over turns, in per cent, by CoQA's rule (people="leave one out") or the best match of all."""
    def one(row, measure):
        if switches["people"] == "leave one out":
            return text_scores.coqa_f1(row["answer"], row["accepted"], measure)
        return max(measure(row["answer"], accepted) for accepted in row["accepted"])

    if not rows:
        return {}
    measures = {"F1": text_scores.f1, "exact match": lambda said, right: float(text_scores.exact_match(said, [right]))}
    return {name: 100 * sum(one(row, measure) for row in rows) / len(rows) for name, measure in measures.items()}


def plan_coqa(model, bpe, items, switches) -> list[dict]:
    """All turns, or the last of each conversation only, as lm-evaluation-harness asks."""
    return [item for item in items if item["last"]] if switches["turns"] == "last" else items


# -- summaries (section 3.6, Table 4) ---------------------------------------------------------------------------------------------


def read_summaries(source, limit=None) -> list[dict]:
    """CNN/Daily Mail: the hub's test part, or a .jsonl, .csv or .zip of a .csv with the columns article and highlights."""
    if source is None:
        rows, path = data.records("abisee/cnn_dailymail/3.0.0", "test"), "cnn_dailymail"
    else:
        path = Path(source).expanduser()
        if path.suffix == ".jsonl":
            return protocol.json_lines(path, _article, limit)
        rows = csv.DictReader(io.StringIO(_unzipped(path)))
    return protocol.keep(path, [(i, lambda row=row: _article(row)) for i, row in enumerate(rows, 1)], limit, "row")


def _unzipped(path: Path) -> str:
    if path.suffix != ".zip":
        return protocol.text_of(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.namelist()[0]).decode("utf-8-sig")
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a .zip of a .csv file ({error})") from None


def _article(row: dict) -> dict:
    if not row["article"].strip() or not row["highlights"].strip():
        raise ValueError("the article or its highlights are empty")
    return {"article": row["article"].strip(), "reference": row["highlights"].strip()}


def summary_prompt(bpe, article: str, hint: str = "TL;DR:", keep: str = "beginning", room: int | None = None) -> tuple[str, bool]:
    """(the article, the hint on a line of its own; whether the article was too long). room: tokens for article and hint."""
    ending = "" if hint == "none" else f"\n{hint}"
    ids = bpe.encode(article)
    space = len(ids) if room is None else room - len(bpe.encode(ending))
    if space < 1:
        raise ValueError(f"the model's window leaves no room for an article beside {SUMMARY_TOKENS} tokens of summary")
    if len(ids) > space:
        article = bpe.decode(ids[:space] if keep == "beginning" else ids[-space:])
    return article + ending, len(ids) > space


def measure_summaries(model, bpe, items, switches) -> list[dict]:
    """The first three sentences of what is written after the article (100 tokens, k = 2), beside lede-3 and three at random."""
    window = zeroshot._window(model)
    room = window and window - SUMMARY_TOKENS - 1
    prompts = [summary_prompt(bpe, item["article"], switches["hint"], switches["keep"], room) for item in items]
    how = {"temperature": 0} if switches["decoding"] == "greedy" else {"top_k": 2, "seed": switches["seed"]}
    written = generate_texts(model, bpe, [prompt for prompt, _ in prompts], SUMMARY_TOKENS, **how, batch_size=8)
    return [{"summary": text_scores.sentences(text)[:3], "lede": text_scores.lede(item["article"]),
             "random": text_scores.random_sentences(item["article"], seed=switches["seed"] + len(item["article"])),
             "reference": item["reference"], "shortened": shortened}
            for item, text, (_, shortened) in zip(items, written, prompts, strict=True)]


def score_summaries(rows, switches) -> dict:
    """Means of ROUGE F in per cent, for the model and the two baselines; and how many articles were shortened, in per cent."""
    if not rows:
        return {}
    references, out = [row["reference"] for row in rows], {}
    for name, kind in (("", "summary"), ("lede-3 ", "lede"), ("random-3 ", "random")):
        texts = ["\n".join(row[kind]) for row in rows]
        found = text_scores.rouge(texts, references, switches["stemmer"] == "yes", switches["rouge-l"])
        out |= {name + metric: sum(one[metric] for one in found) / len(found) for metric in ("R-AVG", "R-1", "R-2", "R-L")}
    return out | {"shortened": 100 * sum(row["shortened"] for row in rows) / len(rows)}


# -- translation (section 3.7) ----------------------------------------------------------------------------------------------------


def read_translation(source, limit=None) -> list[dict]:
    """newstest2014: the hub's test part, or a folder with one file *.en and one *.fr, a sentence a line."""
    if source is None:
        rows = [(row["translation"]["en"], row["translation"]["fr"]) for row in data.records("wmt/wmt14/fr-en", "test")]
        folder = Path("wmt14")
    else:
        folder = Path(source).expanduser()
        names = [sorted(folder.glob(f"*.{language}")) if folder.is_dir() else [] for language in ("en", "fr")]
        if list(map(len, names)) != [1, 1]:
            raise FileNotFoundError(f"{folder} is no folder with one file *.en and one *.fr (newstest2014: "
                                    "sacrebleu -t wmt14/full -l en-fr --echo src ref)")
        sides = [[line for _, line in protocol.lines(name)] for (name,) in names]
        if len(sides[0]) != len(sides[1]):
            raise ValueError(f"{folder}: {len(sides[0])} English lines and {len(sides[1])} French ones")
        rows = list(zip(*sides, strict=True))
    return protocol.keep(folder, [(i, lambda row=row: _pair(*row)) for i, row in enumerate(rows, 1)], limit)


def _pair(english: str, french: str) -> dict:
    if not english.strip() or not french.strip():
        raise ValueError("one side is empty")
    return {"en": " ".join(english.split()), "fr": " ".join(french.split())}


def translation_prompt(text: str, examples: int = 5, source: str = "en") -> str:
    """`one sentence = its translation` a line, for as many of SENTENCES as wanted, then the sentence and `=`."""
    pairs = [pair if source == "en" else pair[::-1] for pair in _some(SENTENCES, examples)]
    return "".join(f"{left} = {right}\n" for left, right in pairs) + f"{text} ="


def measure_translation(model, bpe, items, switches, source: str = "en") -> list[dict]:
    """What is written greedily up to the end of the line; at most 16 tokens more than twice the source's, and never over 160."""
    sizes = [len(bpe.encode(item[source])) for item in items]
    order, lines = sorted(range(len(items)), key=sizes.__getitem__), {}
    for part in (order[begin:begin + 16] for begin in range(0, len(order), 16)):  # of about one length, so that all end together
        prompts = [translation_prompt(items[i][source], switches["examples"], source) for i in part]
        most = min(TRANSLATION_TOKENS, 2 * sizes[part[-1]] + 16)
        lines |= zip(part, generate_texts(model, bpe, prompts, most, temperature=0, stop=("\n",)), strict=True)
    target = "fr" if source == "en" else "en"
    return [{"source": item[source], "reference": item[target], "line": lines[i].strip()} for i, item in enumerate(items)]


def score_translation(rows, switches) -> dict:
    """BLEU of the first sentence that was written (or of the line), and of leaving the source as it is, in per cent."""
    if not rows:
        return {}
    cut = (lambda line: line) if switches["cut"] == "line" else lambda line: " ".join(text_scores.sentences(line)[:1])
    translations, sources, references = [cut(row["line"]) for row in rows], *(
        [row[name] for row in rows] for name in ("source", "reference"))
    same = sum(said == source for said, source in zip(translations, sources, strict=True))
    return {"BLEU": text_scores.bleu(translations, references, switches["tokenise"]),
            "source untranslated": text_scores.bleu(sources, references, switches["tokenise"]),
            "copies of the source": 100 * same / len(rows)}


# -- questions (section 3.8, Table 5) ---------------------------------------------------------------------------------------------


def read_questions(source, limit=None) -> list[dict]:
    """Natural Questions, open: the hub's validation part, or a .jsonl with question and answer (a list) a line."""
    if source is not None:
        return protocol.json_lines(source, _question, limit)
    rows = data.records("google-research-datasets/nq_open", "validation")
    return protocol.keep("nq_open", [(i, lambda row=row: _question(row)) for i, row in enumerate(rows, 1)], limit, "row")


def _question(row: dict) -> dict:
    if not isinstance(row["question"], str) or not row["question"].strip():
        raise ValueError("the question is empty")
    if not isinstance(row["answer"], list) or not all(isinstance(one, str) for one in row["answer"]):
        raise ValueError("the answers are not a list of texts")
    return {"question": " ".join(row["question"].split()), "accepted": row["answer"]}


def question_prompt(question: str, examples: int = 5, mark: str = "added") -> str:
    """`Q: question?` and `A: answer` a line each, for as many of QUESTIONS as wanted, then the question and `A:`."""
    end = lambda text: text if mark == "as given" or text.endswith("?") else f"{text}?"  # noqa: E731
    return "".join(f"Q: {end(q)}\nA: {a}\n" for q, a in _some(QUESTIONS, examples)) + f"Q: {end(question)}\nA:"


def measure_questions(model, bpe, items, switches) -> list[dict]:
    """What is written greedily up to the end of the line, and its log-probability (nats) without and with that end."""
    asked = [item for item in items if item["accepted"]]
    prompts = [question_prompt(item["question"], switches["examples"], switches["question-mark"]) for item in asked]
    written = generate_texts(model, bpe, prompts, ANSWER_TOKENS, temperature=0, stop=("\n",)) if asked else []
    answers = [text.strip() for text in written]
    ends = [list(bpe.encode(f" {answer}" if answer else "")) for answer in answers]
    line, window = list(bpe.encode("\n")), zeroshot._window(model)
    contexts = [list(bpe.encode(prompt)) for prompt in prompts]
    whole = [[*context, *end, *line][-window if window else 0:] for context, end in zip(contexts, ends, strict=True)]
    rows = iter([{"question": item["question"], "accepted": item["accepted"], "answer": answer,
                  "right": text_scores.exact_match(answer, item["accepted"]),
                  "log_prob": float(row[-len(end) - len(line):-len(line)].sum(dtype=float)) if end else None,
                  "log_prob_line": float(row[-len(end) - len(line):].sum(dtype=float)) if end else None}
                 for item, answer, end, row in zip(asked, answers, ends, zeroshot.token_log_probs(model, whole, 16), strict=True)])
    return [next(rows) if item["accepted"] else {"left_out": "no answer is known"} for item in items]


def confidence(row: dict, of: str = "answer") -> float:
    """The probability that the model gave its answer, 0 for an empty one. of: "answer", or "answer and line end"."""
    total = row["log_prob" if of == "answer" else "log_prob_line"]
    return 0.0 if total is None else math.exp(total)


def most_confident(rows, n: int = 30, of: str = "answer") -> list[dict]:
    """The n answers given with the highest probability, as in Table 5: question, answer, right, and that probability."""
    chosen = sorted(rows, key=lambda row: -confidence(row, of))[:n]
    return [{**{name: row[name] for name in ("question", "answer", "right")}, "probability": confidence(row, of)} for row in chosen]


def score_questions(rows, switches) -> dict:
    """In per cent: exact match, that of the most confident 1 %, of the baseline of most common answers, and the calibration error.

    The baseline answers each question with the commonest accepted answer of the other questions of its type.
    """
    if not rows:
        return {}
    right, sure = [row["right"] for row in rows], [confidence(row, switches["confidence"]) for row in rows]
    top = most_confident(rows, max(1, round(len(rows) / 100)), switches["confidence"])
    accepted = [row["accepted"] for row in rows]
    guesses = text_scores.most_common_answers([row["question"] for row in rows], accepted)
    return {"exact match": 100 * sum(right) / len(rows), "most confident 1 %": 100 * sum(row["right"] for row in top) / len(top),
            "calibration error": 100 * text_scores.calibration_error(sure, right),
            "baseline": 100 * sum(map(text_scores.exact_match, guesses, accepted)) / len(rows)}


# -- the tasks by name ------------------------------------------------------------------------------------------------------------


def _some(pairs: tuple, n: int) -> tuple:
    if n > len(pairs):
        raise ValueError(f"there are {len(pairs)} example pairs, {n} were asked for")
    return pairs[:n]


def _translation(source: str, target: str, names: str, **cells) -> Task:
    return Task(f"translation-{source}-{target}", f"translation after example pairs, {names} (BLEU)",
                ("BLEU", "source untranslated", "copies of the source"),
                "hub data set wmt/wmt14/fr-en (test), or a folder with newstest2014.en and newstest2014.fr",
                {"examples": (5, 0, int), "cut": ("sentence", "line"), "tokenise": ("13a", "intl")}, read_translation,
                partial(measure_translation, source=source), score_translation, cells, None, ("cut", "tokenise"))


TASKS = {task.name: task for task in (
    winograd.TASK,
    Task("coqa", "questions in a conversation about a document (F1, %)", ("F1", "exact match"), "coqa-dev-v1.0.json, official form",
         {"history": ("given", "none"), "turns": ("all", "last"), "cut": ("line", "next question", "nothing"),
          "people": ("leave one out", "best of all")},
         read_coqa, measure_coqa, score_coqa, {"F1": ("gpt2-fig1", "CoQA, F1")}, plan_coqa, ("people",)),
    Task("summaries", "summaries of news articles (ROUGE F, %)",
         ("R-AVG", "R-1", "R-2", "R-L", *(f"{name} {metric}" for name in ("lede-3", "random-3") for metric in
                                          ("R-AVG", "R-1", "R-2", "R-L")), "shortened"),
         "hub data set abisee/cnn_dailymail (3.0.0, test), or a .jsonl, .csv or .zip with article and highlights",
         {"hint": ("TL;DR:", "none"), "keep": ("beginning", "end"), "decoding": ("top-k 2", "greedy"), "seed": (1, int),
          "stemmer": ("yes", "no"), "rouge-l": ("summary", "sentence")},
         read_summaries, measure_summaries, score_summaries, {"R-AVG": ("gpt2-table4", "GPT-2 TL;DR:")}, None,
         ("stemmer", "rouge-l")),
    _translation("en", "fr", "English to French"),
    _translation("fr", "en", "French to English", BLEU=("gpt2-fig1", "WMT-14 Fr-En, BLEU")),
    Task("questions", "questions of facts, without a document (exact match, %)",
         ("exact match", "most confident 1 %", "calibration error", "baseline"),
         "hub data set google-research-datasets/nq_open (validation), or a .jsonl with question and answer a line",
         {"examples": (5, 0, int), "question-mark": ("added", "as given"), "confidence": ("answer", "answer and line end")},
         read_questions, measure_questions, score_questions, {"exact match": ("gpt2-fig1", "Natural Questions, acc")}, None,
         ("confidence",)),
)}
