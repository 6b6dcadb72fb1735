"""How written answers are judged, in chapter 13: exact match and F1, ROUGE and BLEU, confidence, and how sure a score can be.

The rules are the official ones: SQuAD's normalisation for exact match and F1, CoQA's leave-one-out over several people's answers,
ROUGE by rouge-score and BLEU by sacrebleu (both come with the extra `evaluate`). Where no paper says how a sentence ends, our rule
stands in `sentences`.
"""

import importlib
import random
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

ABBREVIATIONS = frozenset("mr mrs ms dr st prof gen lt sgt col capt rev hon gov sen rep jr sr vs no e.g i.e etc inc ltd co corp "
                          "jan feb mar apr jun jul aug sept sep oct nov dec m mme mlle".split())
TYPES = ("who", "what", "when", "where", "which", "how many", "how", "why")  # a question's type: the first of these in it
_END = re.compile(r"""[.!?]+(?:\s?»|["'”’)\]])*(?=\s+["'“‘«(\[]?[A-Z0-9À-Þ]|\s*$)|\n+""")


# -- answers: exact match and F1 --------------------------------------------------------------------------------------------------


def normalise_answer(text: str) -> str:
    """SQuAD's and CoQA's rule: lower case, no punctuation marks (ASCII), no articles, single spaces."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(answer: str, accepted: Sequence[str]) -> bool:
    """Whether the answer is one of those accepted, after normalisation. An item without accepted answers matches nothing."""
    return normalise_answer(answer) in {normalise_answer(one) for one in accepted}


def f1(answer: str, accepted: str) -> float:
    """Harmonic mean of precision and recall over the two answers' words, in 0..1; two empty answers agree."""
    said, right = normalise_answer(answer).split(), normalise_answer(accepted).split()
    if not said or not right:
        return float(said == right)
    common = sum((Counter(said) & Counter(right)).values())
    return 2 * common / (len(said) + len(right))


def coqa_f1(answer: str, accepted: Sequence[str], measure: Callable = f1) -> float:
    """CoQA's official score of one answer against several people's, in 0..1.

    One person is left out at a time, the best match among the others counts, and the mean over those left out is the score: so
    that people, who cannot be compared with themselves, are judged by the same rule. `measure` may also be an exact match.
    """
    if len(accepted) < 2:
        return max((float(measure(answer, one)) for one in accepted), default=0.0)
    scores = [float(measure(answer, one)) for one in accepted]
    return sum(max(scores[:i] + scores[i + 1:]) for i in range(len(scores))) / len(scores)


def question_type(question: str) -> str:
    """The question word that comes first, "other" without one: the types of the paper's baseline (section 3.8)."""
    words = f" {' '.join(re.findall(r'[a-z]+', question.lower()))} "
    found = [(words.index(f" {name} "), -len(name), name) for name in TYPES if f" {name} " in words]
    return min(found)[2] if found else "other"


def most_common_answers(questions: Sequence[str], accepted: Sequence[Sequence[str]]) -> list[str]:
    """For each question the answer that is most often accepted among the *other* questions of its type; "" if there is none."""
    counts: dict[str, Counter] = {}
    kinds, own = [question_type(q) for q in questions], [sorted({normalise_answer(a) for a in given}) for given in accepted]
    for kind, given in zip(kinds, own, strict=True):
        counts.setdefault(kind, Counter()).update(given)
    out = []
    for kind, given in zip(kinds, own, strict=True):
        others = counts[kind] - Counter(given)  # this question must not answer itself
        out.append(min(others, key=lambda answer: (-others[answer], answer)) if others else "")
    return out


# -- texts: sentences, ROUGE, BLEU ------------------------------------------------------------------------------------------------


def sentences(text: str) -> list[str]:
    """The sentences of a text, by a rule of our own (neither paper states one).

    A sentence ends at a line's end, or after . ! or ?, with quotes and brackets that close there, if a space and a capital letter
    or a digit follow. A full stop after a single letter or a title (Mr., Dr., Jan.) ends nothing. Marks alone are no sentence.
    """
    found, start = [], 0
    for end in _END.finditer(text):
        if end[0] == "." and end.end() < len(text):
            word = re.search(r"[^\s(\[\"'“‘«]*$", text[start:end.start()])[0].lower()
            if word in ABBREVIATIONS or re.fullmatch(r"(\w\.)*\w", word) and not word.isdigit() and word != "i":
                continue
        found.append(text[start:end.end()])
        start = end.end()
    found.append(text[start:])
    return [" ".join(one.split()) for one in found if any(map(str.isalnum, one))]


def lede(text: str, n: int = 3) -> list[str]:
    """The first n sentences: news articles put the important things first, and this is hard to beat."""
    return sentences(text)[:n]


def random_sentences(text: str, n: int = 3, seed: int = 0) -> list[str]:
    """n sentences drawn from the text without replacement, in their order."""
    found = sentences(text)
    return [found[i] for i in sorted(random.Random(seed).sample(range(len(found)), min(n, len(found))))]


def rouge(summaries: Sequence[str], references: Sequence[str], stemmer: bool = True, rouge_l: str = "summary") -> list[dict]:
    """ROUGE-1, -2 and -L of each summary, F-measures in per cent, and their mean "R-AVG", by rouge-score.

    rouge_l: "summary" compares sentence by sentence (one a line), as papers on CNN/Daily Mail do; "sentence" takes each
    text as one.
    """
    if rouge_l not in ("summary", "sentence"):
        raise ValueError(f"rouge_l is 'summary' or 'sentence', not {rouge_l!r}")
    scorer = _library("rouge_score.rouge_scorer", "rouge-score")
    last = "rougeLsum" if rouge_l == "summary" else "rougeL"
    scorer = scorer.RougeScorer(["rouge1", "rouge2", last], use_stemmer=stemmer)
    out = []
    for summary, reference in zip(summaries, references, strict=True):
        found = scorer.score(reference, summary)
        row = {name: 100 * found[kind].fmeasure for name, kind in (("R-1", "rouge1"), ("R-2", "rouge2"), ("R-L", last))}
        out.append(row | {"R-AVG": sum(row.values()) / 3})
    return out


def bleu(hypotheses: Sequence[str], references: Sequence[str], tokenize: str = "13a") -> float:
    """BLEU of a corpus with one reference each, in per cent, by sacrebleu. Raises ValueError for no sentences at all."""
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(f"BLEU needs as many translations as references, and at least one; got {len(hypotheses)} and "
                         f"{len(references)}")
    return _library("sacrebleu", "sacrebleu").corpus_bleu(list(hypotheses), [list(references)], tokenize=tokenize).score


# -- how sure ---------------------------------------------------------------------------------------------------------------------


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval (Wilson) of a share of `right` of n, in per cent: also sound near 0 and 100, where ± is not."""
    if not 0 <= right <= n or not n:
        raise ValueError(f"need 0 <= right <= n and n > 0, got {right} of {n}")
    p, w = right / n, z * z / n
    middle, half = (p + w / 2) / (1 + w), z * ((p * (1 - p) + w / 4) / n) ** 0.5 / (1 + w)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def bootstrap(n: int, statistic: Callable[[list[int]], float], draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of n items; it gets n item numbers, drawn with replacement."""
    if n < 1:
        raise ValueError("a bootstrap needs at least one item")
    source = random.Random(seed)
    values = sorted(statistic(source.choices(range(n), k=n)) for _ in range(draws))
    return values[int(0.025 * draws)], values[int(0.975 * draws)]


def calibration(confidence: Sequence[float], right: Sequence[bool], bins: int = 5) -> list[dict]:
    """Items sorted by confidence and cut into bins of equal size: for each its mean confidence, the share that is right, and n.

    A model is calibrated where the two agree: of the answers that it gives with 30 % probability, 30 % are right.
    """
    if len(confidence) != len(right) or not len(confidence):
        raise ValueError(f"need as many confidences as answers, and at least one; got {len(confidence)} and {len(right)}")
    order = sorted(range(len(confidence)), key=lambda i: confidence[i])
    edges = [round(len(order) * k / bins) for k in range(bins + 1)]
    return [{"confidence": sum(confidence[i] for i in part) / len(part), "right": sum(bool(right[i]) for i in part) / len(part),
             "n": len(part)} for part in (order[a:b] for a, b in zip(edges, edges[1:], strict=False)) if part]


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = 5) -> float:
    """The mean distance between confidence and share of right answers over `calibration`'s bins, weighted by size; in 0..1."""
    found = calibration(confidence, right, bins)
    return sum(one["n"] * abs(one["confidence"] - one["right"]) for one in found) / len(confidence)


def _library(module: str, package: str):
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(f"this score needs {package}: pip install {package} (it is in the extra 'evaluate')") from None
