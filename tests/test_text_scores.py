"""How answers are judged: official rules written again here, scores by hand, and what is told when there is nothing to judge."""

import collections
import math
import random
import re
import string
import sys

import pytest

from minigpt import text_scores
from minigpt.text_scores import (
    bleu,
    bootstrap,
    calibration,
    calibration_error,
    coqa_f1,
    exact_match,
    f1,
    lede,
    most_common_answers,
    normalise_answer,
    question_type,
    random_sentences,
    rouge,
    sentences,
    wilson,
)

# -- SQuAD's and CoQA's rules, from their description --------------------------------------------------------------------------


def official_normalise(text):
    text = "".join(" " if c == "\n" else c for c in text.lower())
    text = text.translate(str.maketrans("", "", string.punctuation))
    return " ".join(word for word in text.split() if word not in ("a", "an", "the"))


def official_f1(said, right):
    said, right = official_normalise(said).split(), official_normalise(right).split()
    if not said or not right:
        return int(said == right)
    same = sum(min(said.count(word), right.count(word)) for word in set(said))
    if not same:
        return 0.0
    precision, recall = same / len(said), same / len(right)
    return 2 * precision * recall / (precision + recall)


def official_coqa(said, accepted):
    if len(accepted) == 1:
        return official_f1(said, accepted[0])
    total = 0.0
    for left_out in range(len(accepted)):
        total += max(official_f1(said, one) for i, one in enumerate(accepted) if i != left_out)
    return total / len(accepted)


ANSWERS = ["The cat sat.", "a  cat", "cat!", "", "the", "An apple a day", "apple-day", "THE Theatre", "one, two; two", "two", "é À",
           "😀", "U.S.", "anthem", "white as snow"]


def test_the_official_rules():
    for said in ANSWERS:
        assert normalise_answer(said) == official_normalise(said)
        for right in ANSWERS:
            assert f1(said, right) == pytest.approx(official_f1(said, right))
            assert exact_match(said, [right]) == (official_normalise(said) == official_normalise(right))
    chance = random.Random(0)
    for _ in range(200):
        said, accepted = chance.choice(ANSWERS), chance.choices(ANSWERS, k=chance.randint(1, 4))
        assert coqa_f1(said, accepted) == pytest.approx(official_coqa(said, accepted))


def test_scores_by_hand():
    assert normalise_answer("The Theatre, a  story's end") == "theatre storys end"
    assert normalise_answer("cat—the—dog") == "cat— —dog"  # what is no ASCII punctuation stays, and an article leaves a space
    assert f1("the red ball", "a red and blue ball") == pytest.approx(2 * 2 / (2 + 4))
    assert f1("two two", "two") == pytest.approx(2 / 3)
    assert exact_match("Darwin.", ["Charles Darwin", "darwin"]) and not exact_match("Darwin", []) and not exact_match("", ["x"])
    # left out in turn: white (rest best: 0.5 with "white snow"), "white snow" (1 with "white"), black (1)
    assert coqa_f1("white", ["white", "white snow", "black"]) == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert coqa_f1("x", []) == 0
    same = lambda said, right: float(exact_match(said, [right]))  # noqa: E731
    assert coqa_f1("white", ["white", "white snow", "black"], same) == pytest.approx(2 / 3) and coqa_f1("a b", ["b c"], same) == 0


def test_question_types_and_the_commonest_answer_of_the_others():
    assert [question_type(q) for q in ("How many seasons are there", "how old is he", "the man who sold what", "Who's there?", "😀",
                                       "name the capital", "in which year did who win")] == [
        "how many", "how", "who", "who", "other", "other", "which"]
    assert question_type("did the show say when and how") == "when"  # the "how" in "show" is no question word
    spelled = [["Bob", "bob", "the Bob"], ["Ann"], ["Ann"], ["x"]]  # three spellings are one vote
    assert most_common_answers(["who a", "who b", "who c", "who d"], spelled)[3] == "ann"
    questions = ["who a", "who b", "who c", "when d", "when e", "name f"]
    accepted = [["Bob"], ["the Bob", "Ann"], ["Ann"], ["1901"], ["1902"], ["x"]]
    # each without its own answers: Bob 1, Ann 2 | Bob 1, Ann 1 (alphabetical) | Bob 2 ...
    assert most_common_answers(questions, accepted) == ["ann", "ann", "bob", "1902", "1901", ""]


# -- sentences -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, expected", [
    ('Mr. Smith saw Dr. Who. "Really?" she said. Yes!', ["Mr. Smith saw Dr. Who.", '"Really?" she said.', "Yes!"]),
    ("It cost $3.5. The U.S. Army came at 5 p.m. on Monday.", ["It cost $3.5.", "The U.S. Army came at 5 p.m. on Monday."]),
    ("J. R. Tolkien wrote. So did I. And you?", ["J. R. Tolkien wrote.", "So did I.", "And you?"]),
    ("One\nTwo\n\nThree", ["One", "Two", "Three"]),
    ("« Oui. » Il part. Élan. 7 days.", ["« Oui. »", "Il part.", "Élan.", "7 days."]),
    ("Rule 7. It ends. Plan B! It works. See No. 5? Yes.", ["Rule 7.", "It ends.", "Plan B!", "It works.", "See No. 5?", "Yes."]),
    ("no end", ["no end"]), ("End 😀. Next one.", ["End 😀.", "Next one."]),
    ("", []), ("... . !", []), ("wait... what", ["wait... what"]),
])
def test_where_sentences_end(text, expected):
    assert sentences(text) == expected


def test_lede_and_random_sentences():
    text = "One is here. Two is here. Three is here. Four is here. Five is here."
    assert lede(text) == sentences(text)[:3] and lede("Alone.") == ["Alone."]
    drawn = [random_sentences(text, seed=seed) for seed in range(40)]
    assert all(len(set(one)) == 3 and sorted(one, key=text.index) == one for one in drawn)
    assert {sentence for one in drawn for sentence in one} == set(sentences(text)) and drawn[0] == random_sentences(text, seed=0)
    assert random_sentences("Alone.") == ["Alone."] and random_sentences("") == []


# -- ROUGE and BLEU, written again ---------------------------------------------------------------------------------------------


def plain_words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge_n(summary, reference, n):
    count = [collections.Counter(zip(*(words[i:] for i in range(n)), strict=False))
             for words in map(plain_words, (summary, reference))]
    same = sum((count[0] & count[1]).values())
    return 200 * same / (sum(count[0].values()) + sum(count[1].values())) if same else 0.0


def common_subsequence(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def test_rouge_by_hand():
    pytest.importorskip("rouge_score")
    summary, reference = "the cat sat on the mat\nit slept", "a cat slept on the mat\nit was the day"
    row, = rouge([summary], [reference], stemmer=False, rouge_l="sentence")
    a, b = plain_words(summary), plain_words(reference)
    assert row["R-1"] == pytest.approx(rouge_n(summary, reference, 1))
    assert row["R-2"] == pytest.approx(rouge_n(summary, reference, 2))
    assert row["R-L"] == pytest.approx(200 * common_subsequence(a, b) / (len(a) + len(b)))
    assert row["R-AVG"] == pytest.approx((row["R-1"] + row["R-2"] + row["R-L"]) / 3)
    swapped, = rouge(["b one\na two"], ["a two\nb one"])
    assert swapped["R-L"] == pytest.approx(100)  # sentence by sentence the order does not count
    assert rouge(["b one\na two"], ["a two\nb one"], rouge_l="sentence")[0]["R-L"] == pytest.approx(50)
    assert rouge(["ads"], ["ad"])[0]["R-1"] == 0 and rouge(["running"], ["runs"])[0]["R-1"] == 100  # no stem below four letters
    assert rouge(["running"], ["runs"], stemmer=False)[0]["R-1"] == 0
    assert rouge(["", "😀"], ["a cat", "a cat"])[0]["R-AVG"] == 0
    # each sentence of the reference finds two of its words in the summary's order: 4 of 4 words said, 4 of 6 wanted
    assert rouge(["three one two four"], ["one two three\nthree four one"])[0]["R-L"] == pytest.approx(80)
    with pytest.raises(ValueError, match="'summary' or 'sentence'"):
        rouge([], [], rouge_l="lines")


def plain_bleu(hypotheses, references):
    """Papineni et al. on words between spaces: the brevity penalty and the geometric mean of four precisions."""
    same, made, lengths = [0] * 4, [0] * 4, [0, 0]
    for said, right in zip(hypotheses, references, strict=True):
        said, right = said.split(), right.split()
        lengths = [lengths[0] + len(said), lengths[1] + len(right)]
        for n in range(1, 5):
            count = [collections.Counter(tuple(words[i:i + n]) for i in range(len(words) - n + 1)) for words in (said, right)]
            same[n - 1] += sum((count[0] & count[1]).values())
            made[n - 1] += sum(count[0].values())
    mean = math.exp(sum(math.log(a / b) for a, b in zip(same, made, strict=True)) / 4)
    return 100 * mean * min(1.0, math.exp(1 - lengths[1] / lengths[0]))


def test_bleu_by_hand():
    pytest.importorskip("sacrebleu")
    said = ["le chat dort sur le grand lit", "il pleut sur la petite ville"]
    right = ["le chat dort sur le lit", "il pleut sur la petite ville ce soir encore et encore"]
    assert bleu(said, right) == pytest.approx(plain_bleu(said, right)) and bleu(right, right) == pytest.approx(100)
    assert bleu(["", ""], right) == 0
    glued, apart = ["Bonjour, mon ami."], ["Bonjour , mon ami ."]
    assert bleu(glued, apart) == pytest.approx(100) and bleu(glued, apart, tokenize="none") < 50
    glued, apart = ["«Le chat dort sur le lit»"], ["« Le chat dort sur le lit »"]  # 13a knows no French quotation marks
    assert bleu(glued, apart) < 90 and bleu(glued, apart, tokenize="intl") == pytest.approx(100)
    for said, references in (([], []), (["a"], ["a", "b"]), (["a"], [])):
        with pytest.raises(ValueError, match="as many translations as references, and at least one"):
            bleu(said, references)


def test_a_missing_library_is_named(monkeypatch):
    for module in ("rouge_score.rouge_scorer", "sacrebleu"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match="pip install rouge-score"):
        rouge(["a"], ["a"])
    with pytest.raises(ImportError, match="pip install sacrebleu"):
        bleu(["a"], ["a"])


# -- how sure ------------------------------------------------------------------------------------------------------------------


def test_wilsons_interval():
    low, high = wilson(193, 273)
    for p in (low / 100, high / 100):  # its ends are where the observed share lies 1.96 standard errors away
        assert abs(193 / 273 - p) == pytest.approx(1.96 * math.sqrt(p * (1 - p) / 273))
    assert wilson(0, 10)[0] == 0 and wilson(10, 10)[1] == pytest.approx(100) and wilson(0, 10)[1] > 20
    for right, n in ((0, 0), (1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="need 0 <= right <= n"):
            wilson(right, n)


def test_the_bootstrap_covers_what_it_should():
    values = [float(i % 2) for i in range(400)]
    low, high = bootstrap(400, lambda drawn: sum(values[i] for i in drawn) / len(drawn), draws=4000)
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.003) and high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.003)
    assert bootstrap(1, lambda drawn: len(drawn)) == (1, 1)
    with pytest.raises(ValueError, match="at least one item"):
        bootstrap(0, len)


def test_calibration():
    sure, right = [0.9, 0.1, 0.2, 0.8], [True, False, True, True]
    low, high = calibration(sure, right, bins=2)
    assert low == {"confidence": pytest.approx(0.15), "right": 0.5, "n": 2}
    assert high == {"confidence": pytest.approx(0.85), "right": 1.0, "n": 2}
    assert calibration_error(sure, right, bins=2) == pytest.approx((0.35 + 0.15) / 2)
    assert [one["n"] for one in calibration([0.5] * 7, [True] * 7, bins=3)] == [2, 3, 2] and len(calibration([0.5], [True])) == 1
    perfect = [0.25] * 4 + [1.0] * 4
    assert calibration_error(perfect, [True, False, False, False] + [True] * 4, bins=2) == 0
    for confidence, answers in (([], []), ([0.5], [True, False]), ([0.5, 0.5], [True])):
        with pytest.raises(ValueError, match="as many confidences as answers, and at least one"):
            calibration(confidence, answers)


def test_nothing_here_needs_torch():
    assert "torch" not in {name for name in vars(text_scores)}
