"""Zero-shot scoring: log-probabilities against slow plain sums, and GPT-1's heuristics on models whose answers are known."""

import math

import numpy as np
import pytest
import torch

from minigpt import BPE, GPT, GPTConfig, world, zeroshot
from minigpt.zeroshot import (
    acceptability_scores,
    auc,
    choose,
    continuation,
    pronoun_full,
    pronoun_partial,
    relative,
    schema,
    sentiment_by_very,
    threshold,
    token_log_probs,
)


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    made = GPT(GPTConfig(vocab_size=300, n_positions=48, n_layer=2, n_head=2, n_embd=16, dropout=0.5))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # far from uniform, so that mistakes show
    return made.eval()


@pytest.fixture(scope="module")
def bpe(stories) -> BPE:
    return BPE.train(stories[:50], 300)


def plain(model, ids) -> list[float]:
    """One token at a time, each from a pass of its own over the tokens before it."""
    out = []
    with torch.no_grad():
        for i in range(1, len(ids)):
            logits = model(torch.tensor([ids[:i]]))[0, -1].double()
            out.append(math.log(float(torch.softmax(logits, -1)[ids[i]])))
    return out


class Bigrams:
    """A model that knows `follows[word][next]` only; words it has no row for are followed by anything alike."""

    eos_id = 0

    def __init__(self, follows: dict, words: str):
        self.ids = {word: i for i, word in enumerate(["<end>", *words.split()])}
        self.table = torch.full((len(self.ids), len(self.ids)), 1 / len(self.ids))
        for word, row in follows.items():
            self.table[self.ids[word]] = (1 - sum(row.values())) / (len(self.ids) - len(row))
            for after, p in row.items():
                self.table[self.ids[word], self.ids[after]] = p

    def __call__(self, ids):
        return self.table.log()[ids] + 3.0  # logits need not be normalised

    def encode(self, text):
        return [self.ids[word] for word in text.replace(".", " .").split()]


def test_padded_batches_equal_one_by_one(model):
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 300, n).tolist() for n in (7, 24, 1, 2, 24, 13, 3, 3, 19)]
    together = token_log_probs(model, sequences, batch_size=4)
    for ids, row in zip(sequences, together, strict=True):
        assert row.shape == (len(ids) - 1,)
        np.testing.assert_allclose(row, token_log_probs(model, [ids])[0], atol=1e-5)
        np.testing.assert_allclose(row, plain(model, ids), atol=1e-5)


def test_batches_are_bounded_in_sequences_and_tokens(model, monkeypatch):
    monkeypatch.setattr(zeroshot, "TOKENS_AT_ONCE", 39)
    shapes = []
    hook = model.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    token_log_probs(model, [[5] * n for n in (3, 3, 3, 20, 20, 20)], batch_size=2)
    hook.remove()
    assert shapes == [(2, 2), (1, 2), (1, 19), (1, 19), (1, 19)]


def test_scoring_switches_dropout_off_and_back_on(model):
    model.train()
    first, second = (token_log_probs(model, [[1, 2, 3, 4]])[0] for _ in range(2))
    assert model.training and np.array_equal(first, second)
    model.eval()


def test_continuation_scores_only_what_follows(model):
    context, rest = [4, 8, 15, 16], [23, 42, 7]
    (total, n), (without, m) = continuation(model, [(context, rest), ([], rest)])
    assert n == 3 and total == pytest.approx(sum(plain(model, context + rest)[3:]), abs=1e-5)
    assert m == 2 and without == pytest.approx(sum(plain(model, rest)), abs=1e-5)


def test_a_long_context_loses_its_beginning(model):
    context, rest = list(range(100, 160)), [1, 2]
    (total, n), = continuation(model, [(context, rest)])
    assert n == 2 and total == pytest.approx(sum(plain(model, (context + rest)[-48:])[-2:]), abs=1e-5)


def test_what_cannot_be_scored_is_said_in_one_line(model):
    for call in (lambda: token_log_probs(model, [[1], []]), lambda: token_log_probs(model, [[1] * 49]),
                 lambda: continuation(model, [([1], [])]), lambda: continuation(model, [([], [1])]),
                 lambda: continuation(model, [([1], [1] * 48)]), lambda: threshold([], []), lambda: threshold([1.0], [2]),
                 lambda: auc([1.0, 2.0], [1, 1]), lambda: relative(1, 0.5, 0.5), lambda: schema("He was red.", ["a", "b"])):
        with pytest.raises(ValueError) as error:
            call()
        assert "\n" not in str(error.value)


def test_acceptability_is_the_mean_over_tokens(model, bpe):
    texts = ["Our aunt has grown.", "My son grown two inches."]
    for text, score in zip(texts, acceptability_scores(model, bpe, texts), strict=True):
        row = plain(model, [bpe.eos_id, *bpe.encode(text)])
        assert score == pytest.approx(sum(row) / len(row), abs=1e-5)


def test_threshold_is_the_best_there_is():
    rng = np.random.default_rng(1)
    for _ in range(50):
        scores, labels = rng.integers(0, 6, 12) / 2, rng.integers(0, 2, 12)
        cut = threshold(scores, labels)
        best = max(((scores > c) == labels).mean() for c in np.linspace(-1, 4, 41) + 0.01)
        assert ((scores > cut) == labels).mean() == best and cut not in scores
    assert threshold([1, 2, 3, 4], [0, 0, 1, 1]) == 2.5


def test_auc_counts_pairs():
    rng = np.random.default_rng(2)
    scores, labels = rng.integers(0, 5, 30), np.arange(30) % 2
    pairs = [(a > b) + (a == b) / 2 for a in scores[labels == 1] for b in scores[labels == 0]]
    assert auc(scores, labels) == pytest.approx(np.mean(pairs)) and auc([0, 1], [0, 1]) == 1


def test_very_compares_two_words(model, bpe):
    texts, words = ["We saw an odd hat.", "The pear was fine."], ("negative", "positive")
    for text, margin in zip(texts, sentiment_by_very(model, bpe, texts), strict=True):
        before = [bpe.eos_id, *bpe.encode(text + " very")]
        low, high = (sum(plain(model, before + bpe.encode(" " + w))[len(before) - 1:]) for w in words)
        assert margin == pytest.approx(high - low, abs=1e-5)


def test_very_follows_known_probabilities():
    known = Bigrams({"very": {"positive": 0.6, "negative": 0.2}, "truly": {"positive": 0.1, "negative": 0.4}},
                    "it was fine . very truly positive negative")
    assert sentiment_by_very(known, known, ["it was fine."]) == pytest.approx([math.log(3)], abs=1e-5)
    assert sentiment_by_very(known, known, ["it was fine."], cue="truly") == pytest.approx([-math.log(4)], abs=1e-5)


def test_answers_are_compared_by_their_mean(model, bpe):
    context, answers = "Ben has a pear. Which fruit?", ("a pear", "a very big hat indeed")
    found, = choose(model, bpe, [context], [answers])
    before = [bpe.eos_id, *bpe.encode(context)]
    for answer, score in zip(answers, found, strict=True):
        row = plain(model, (before + bpe.encode(" " + answer)))[-len(bpe.encode(" " + answer)):]
        assert score == pytest.approx(sum(row) / len(row), abs=1e-5)


def test_a_long_answer_is_not_punished_for_its_length():
    known = Bigrams({"?": {"short": 0.3, "a": 0.4}, "a": {"long": 0.4}, "long": {"answer": 0.4}}, "what ? short a long answer")
    found, = choose(known, known, ["what ?"], [["short", "a long answer"]])
    assert found == pytest.approx([math.log(0.3), math.log(0.4)], abs=1e-5)  # the sums would rank them the other way round


def test_partial_scoring_reads_only_what_follows_the_pronoun(model, bpe):
    before, candidates, after = schema("A hat was by a pear and it was red.", ["hat", "pear"])
    assert (before, candidates, after) == ("A hat was by a pear and", ["the hat", "the pear"], "was red.")
    (partial,), (full,) = (f(model, bpe, [("A hat and", candidates, after)]) for f in (pronoun_partial, pronoun_full))
    for i, candidate in enumerate(candidates):
        head, tail = [bpe.eos_id, *bpe.encode(f"A hat and {candidate}")], bpe.encode(" was red.")
        row = plain(model, head + tail)
        assert partial[i] == pytest.approx(np.mean(row[-len(tail):]), abs=1e-5)
        assert full[i] == pytest.approx(np.mean(row), abs=1e-5)


def test_the_last_pronoun_is_the_one_in_question():
    assert schema("She said it aloud, and it was red.", ["hat", "pear"])[0] == "She said it aloud, and"


def test_partial_and_full_scoring_can_disagree():
    known = Bigrams({"the": {"cup": 0.6, "ship": 0.1}, "cup": {"sank": 0.2}, "ship": {"sank": 0.5}}, "and the cup ship sank it .")
    given = [("and", ["the cup", "the ship"], "sank.")]
    assert pronoun_partial(known, known, given)[0].argmax() == 1  # ships sink
    assert pronoun_full(known, known, given)[0].argmax() == 0  # but cups are mentioned far more often


def test_the_world_has_a_schema_in_each_pronoun_example():
    for example in world.task("pronoun", "test", 20):
        before, candidates, after = schema(example["text"], example["answers"])
        assert example["text"] == f"{before} it {after}" and candidates[1] == "the " + example["answers"][1]


def test_transformers_models_are_scored_alike(model):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=300, n_positions=24, n_layer=1, n_head=2, n_embd=16, bos_token_id=0, eos_token_id=0)).eval()
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    with torch.no_grad():
        loss = theirs(torch.tensor([ids]), labels=torch.tensor([ids])).loss.item()
    assert -token_log_probs(theirs, [ids, ids[:3]])[0].mean() == pytest.approx(loss, abs=1e-5)


def test_relative_is_zero_at_chance_and_one_at_the_best():
    assert relative(50, 50, 90) == 0 and relative(90, 50, 90) == 1 and relative(70, 50, 90) == 0.5 and relative(40, 50, 90) < 0
