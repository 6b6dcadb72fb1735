"""The fast n-gram model against the definition, written out with dictionaries, and against hand-counted text."""

import time
from collections import Counter

import numpy as np
import pytest

from minigpt import ngram
from minigpt.ngram import NGram, best_order


def text(n, vocab_size, seed=0):
    """Ids with structure: a random walk that often repeats what it did after the same token."""
    rng = np.random.default_rng(seed)
    favourite = rng.integers(0, vocab_size, vocab_size)
    ids = [0]
    for u, other in zip(rng.random(n - 1), rng.zipf(1.5, n - 1), strict=True):
        ids.append(int(favourite[ids[-1]] if u < 0.5 else other % vocab_size))
    return ids


class Definition:
    """Interpolated Kneser-Ney as the formula says it, one probability at a time."""

    def __init__(self, order, vocab_size, tokens, modified=False):
        self.vocab_size, self.counts, self.discounts = vocab_size, {}, {}
        for n in range(1, order + 1):
            self.counts[n] = Counter(tuple(tokens[i:i + n]) for i in range(len(tokens) - n + 1))
        for n in range(1, order):
            self.counts[n] = Counter(gram[1:] for gram in self.counts[n + 1])
        for n, counts in self.counts.items():
            n1, n2, n3, n4 = (sum(1 for c in counts.values() if c == k) for k in (1, 2, 3, 4))
            y = n1 / (n1 + 2 * n2)
            three = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
            possible = all(0 < discount <= k for k, discount in enumerate(three, start=1))
            self.discounts[n] = [0.0, *three] if modified and possible else [0.0, y, y, y]

    def p(self, word, context):
        n = len(context) + 1
        followers = {gram[-1]: c for gram, c in self.counts[n].items() if gram[:-1] == tuple(context)}
        lower = self.p(word, context[1:]) if context else 1 / self.vocab_size
        total = sum(followers.values())
        if not total:
            return lower
        taken = {w: self.discounts[n][min(c, 3)] for w, c in followers.items()}
        own = followers.get(word, 0) - taken.get(word, 0)
        return own / total + sum(taken.values()) / total * lower


@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equals_the_definition(order, modified):
    tokens, held_out = text(900, 200), text(80, 205, seed=1)  # some ids are never seen in training
    model = NGram(order, 205, modified).fit(tokens)
    slow = Definition(order, 205, tokens, modified)
    assert [list(discounts) for discounts in model.discounts] == list(slow.discounts.values())
    assert not modified or len({*model.discounts[0]}) == 4
    expected = [slow.p(token, held_out[max(0, i - order + 1):i]) for i, token in enumerate(held_out)]
    np.testing.assert_allclose(np.exp(model.log_prob(held_out)), expected, rtol=1e-10)
    for i in (0, 1, 5, 33):
        context = held_out[max(0, i - order + 1):i]
        expected = [slow.p(word, context) for word in range(205)]
        np.testing.assert_allclose(model.probs(context), expected, rtol=1e-10)


def test_counted_by_hand():
    # a b a b a c a d, as ids: bigrams ab 2, ba 2, ac 1, ca 1, ad 1; so n1 = 3, n2 = 2, D = 3 / 7.
    # Different tokens before a: 2 (b, c), b: 1, c: 1, d: 1; so n1 = 3, n2 = 1, D = 3 / 5, and p(b) by continuation is
    # (1 - 3/5) / 5 + (4 * 3/5 / 5) / 4 = 0.08 + 0.12 = 0.2.
    model = NGram(2, 4).fit([0, 1, 0, 1, 0, 2, 0, 3])
    assert np.allclose([model.discounts[0][1], model.discounts[1][1]], [3 / 5, 3 / 7])
    assert np.isclose(model.probs([0])[1], (2 - 3 / 7) / 4 + 3 * (3 / 7) / 4 * 0.2)
    assert np.isclose(model.probs([3])[1], 0.2)  # nothing ever followed d


@pytest.mark.parametrize("modified", [False, True])
def test_every_distribution_sums_to_one(modified):
    tokens = text(3000, 40)
    model = NGram(4, 50, modified).fit(tokens)
    rng = np.random.default_rng(0)
    contexts = [tokens[i:i + n] for i in range(0, 2990, 97) for n in range(5)] + rng.integers(0, 50, (60, 3)).tolist()
    for context in contexts:
        p = model.probs(context)
        assert p.shape == (50,) and abs(p.sum() - 1) < 1e-12 and p.min() > 0


def test_log_prob_is_the_log_of_probs():
    tokens = text(2000, 30)
    model = NGram(3, 30).fit(tokens)
    held_out = text(50, 30, seed=3)
    expected = [np.log(model.probs(held_out[:i])[token]) for i, token in enumerate(held_out)]  # long contexts are cut
    np.testing.assert_allclose(model.log_prob(held_out), expected, rtol=1e-10)


@pytest.mark.parametrize("tokens", [[0], [1, 1], [2, 0, 1], [3] * 50, [0, 1] * 30, list(range(8))])
@pytest.mark.parametrize("modified", [False, True])
def test_tiny_and_regular_texts(tokens, modified):
    model = NGram(5, 8, modified).fit(tokens)
    for context in ([], tokens[:1], tokens[:4], tokens[-4:], [7, 7, 7]):
        p = model.probs(context)
        assert abs(p.sum() - 1) < 1e-12 and p.min() > 0
    assert np.isfinite(model.log_prob([7, 6, 5, *tokens])).all()


def test_learns_and_prefers_the_right_order():
    train, validation = text(20_000, 30), text(20_000, 30, seed=0)[10_000:]
    fresh = np.array(train)[::-1]  # the walk in reverse: longer contexts help less
    model, losses = best_order(train, validation, 30, orders=(1, 2))
    assert model.order == 2 and losses[2] < losses[1] < np.log(30) and set(losses) == {1, 2}
    again, found = best_order(train, fresh, 30, orders=(3, 1))
    assert again.order == min(found, key=found.get)
    with pytest.raises(ValueError, match="no orders"):
        best_order(train, validation, 30, orders=())


def test_samples():
    model = NGram(2, 30).fit(text(5000, 30))
    drawn = model.sample(4000, seed=1)
    assert drawn == model.sample(4000, seed=1) != model.sample(4000, seed=2)
    assert model.sample(0) == [] and len(model.sample(3, context=[1, 2])) == 3
    after = Counter(b for a, b in zip(drawn, drawn[1:], strict=False) if a == 0)
    total = sum(after.values())
    p = model.probs([0])
    assert abs(after[int(p.argmax())] / total - p.max()) < 4 * np.sqrt(p.max() / total)


@pytest.mark.parametrize("tokens, says", [
    ([], "no tokens"), ([0, 10], "from 0 to 10"), ([-1, 2], "from -1 to 2"), ([0.5], "whole numbers"),
    ([[1, 2]], "whole numbers"), (["a"], "whole numbers"), ([True], "whole numbers"),
])
def test_bad_tokens(tokens, says):
    with pytest.raises(ValueError, match=says) as error:
        NGram(2, 10).fit(tokens)
    assert "\n" not in str(error.value)


def test_bad_settings():
    for order, vocab_size in ((0, 5), (2, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            NGram(order, vocab_size)
    with pytest.raises(ValueError, match="fit"):
        NGram(2, 5).log_prob([1])
    with pytest.raises(ValueError, match="fit"):
        NGram(2, 5).probs()
    model = NGram(2, 5).fit([1, 2, 3])
    assert model.log_prob([]).shape == (0,)
    with pytest.raises(ValueError, match="from 5 to 5"):
        model.probs([5])


def test_fast_enough():
    tokens = np.random.default_rng(0).zipf(1.2, 200_000) % 1024
    start = time.process_time()
    model = NGram(5, 1024).fit(tokens)
    model.log_prob(tokens[:50_000])
    assert time.process_time() - start < 5
    assert all(keys.dtype == np.int64 for keys in model.keys)


def test_no_overflow_with_a_large_vocabulary():
    tokens = np.array([50_256, 0, 50_255, 50_256, 0, 1], dtype=np.uint16)
    model = NGram(3, 50_257).fit(tokens)
    assert model.probs([50_256]).argmax() == 0 and ngram.NGram is NGram
