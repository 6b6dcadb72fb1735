"""The transformations against sequences written by hand, the head against a re-computation, scores against their definitions."""

import numpy as np
import pytest
import torch
from torch import nn

from minigpt import BPE, GPT, GPTConfig, model, tasks
from minigpt.tasks import Classifier, Example, add_specials, collate, scores, transform

S, D, E = 900, 901, 902  # start, delimiter, extract


def letters(text: str) -> list[int]:
    """An encoder to check by eye: a=1, b=2, …; everything else is 0; spaces are left out, as GPT-1's tokeniser does."""
    return [ord(c) - 96 if c.isascii() and c.islower() else 0 for c in text if c != " "]


def sequences(example, fmt, max_length=100):
    return transform(example, fmt, letters, S, D, E, max_length)


# -- Figure 1 right, token for token --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example, fmt, expected", [
    (Example(("abc",)), "classification", [[S, 1, 2, 3, E]]),
    (Example(("",)), "classification", [[S, E]]),
    (Example(("ab", "c")), "entailment", [[S, 1, 2, D, 3, E]]),
    (Example(("", "c")), "entailment", [[S, D, 3, E]]),
    (Example(("", "")), "entailment", [[S, D, E]]),
    (Example(("ab", "c")), "similarity", [[S, 1, 2, D, 3, E], [S, 3, D, 1, 2, E]]),
    (Example(("ab",), ("c", "d")), "choice", [[S, 1, 2, D, 3, E], [S, 1, 2, D, 4, E]]),
    (Example(("ab", "z"), ("c", "", "de")), "choice", [[S, 1, 2, 26, D, 3, E], [S, 1, 2, 26, D, E], [S, 1, 2, 26, D, 4, 5, E]]),
    (Example(("ab",), ("c",)), "choice", [[S, 1, 2, D, 3, E]]),
    (Example(("", ""), ("",)), "choice", [[S, D, E]]),
    (Example(("a\nb",)), "classification", [[S, 1, 0, 2, E]]),
])
def test_sequences_written_by_hand(example, fmt, expected):
    assert sequences(example, fmt) == expected


@pytest.mark.parametrize("example, fmt, max_length, expected", [
    (Example(("abcdefgh",)), "classification", 5, [[S, 1, 2, 3, E]]),
    (Example(("abcdefgh",)), "classification", 3, [[S, 1, E]]),
    (Example(("abcdefgh", "z")), "entailment", 7, [[S, 1, 2, 3, D, 26, E]]),  # the short one stays whole
    (Example(("z", "abcdefgh")), "entailment", 7, [[S, 26, D, 1, 2, 3, E]]),
    (Example(("abcd", "vwxyz")), "entailment", 8, [[S, 1, 2, D, 22, 23, 24, E]]),  # of two equally long the first loses first
    (Example(("abcd", "wxyz")), "similarity", 7, [[S, 1, 2, D, 23, 24, E], [S, 23, 24, D, 1, 2, E]]),
    # The document is cut, the question and the answers are whole, and every answer is read after the same context.
    (Example(("abcdefgh", "yz"), ("d", "de")), "choice", 10, [[S, 1, 2, 3, 25, 26, D, 4, E], [S, 1, 2, 3, 25, 26, D, 4, 5, E]]),
    (Example(("ab",), ("c", "defghijk")), "choice", 7, [[S, 1, 2, D, 3, E], [S, 1, 2, D, 4, 5, E]]),
    (Example(("abc",), ("def",)), "choice", 9, [[S, 1, 2, 3, D, 4, 5, 6, E]]),  # fits exactly: nothing is cut
])
def test_too_long_texts_lose_their_ends_and_the_specials_stay(example, fmt, max_length, expected):
    assert sequences(example, fmt, max_length) == expected
    assert all(len(ids) <= max_length for ids in expected)


def test_shares():
    assert tasks.shares([5, 1, 9], 100) == [5, 1, 9]
    assert tasks.shares([5, 1, 9], 9) == [4, 1, 4]
    assert tasks.shares([3, 3], 5) == [2, 3]
    assert tasks.shares([3, 3], 0) == [0, 0]


@pytest.mark.parametrize("text", ["_start_ _delimiter_ _classify_", "<|endoftext|>", "a\n\nb\n", "👩‍🚀 😀", "\u0000\ufeff", "   ",
                                  "naïve"])
def test_any_text_is_ordinary_text_to_the_transformation(text):
    bpe = BPE.load("world")
    ids = transform(Example((text, "b")), "entailment", bpe.encode, *tasks.special_ids(bpe.vocab_size), 128)[0]
    n = bpe.vocab_size
    assert ids[0] == n and ids[-1] == n + 2 and ids.count(n + 1) == 1 and bpe.eos_id not in ids
    inside = ids[1:ids.index(n + 1)]
    assert max(inside) < n and bpe.decode(inside) == (text if text[0].isspace() else " " + text)


def test_segments_are_encoded_as_in_running_text():
    seen = []
    transform(Example(("one", " two"), ("three", "")), "choice", lambda text: seen.append(text) or [1], S, D, E, 50)
    assert seen == [" one", " two", " three", ""]


@pytest.mark.parametrize("example, fmt, max_length, message", [
    (Example(("a",)), "regression", 9, "unknown format 'regression': choose one of classification"),
    (Example(("a",)), "entailment", 9, "entailment takes 2 texts and no answers, not 1 and 0"),
    (Example(("a", "b")), "classification", 9, "classification takes 1 text and no answers, not 2 and 0"),
    (Example(("a",)), "choice", 9, "choice takes 1 text and answers, not 1 and 0"),
    (Example((), ("a",)), "choice", 9, "choice takes 1 text and answers, not 0 and 1"),
    (Example(("a", "b"), ("c",)), "similarity", 9, "similarity takes 2 texts and no answers, not 2 and 1"),
    (Example(("a",)), "classification", 2, "max_length 2 leaves no room"),
    (Example(("a", "b")), "entailment", 3, "max_length 3 leaves no room"),
])
def test_bad_examples_are_refused_in_one_line(example, fmt, max_length, message):
    with pytest.raises(ValueError, match=message) as caught:
        sequences(example, fmt, max_length)
    assert "\n" not in str(caught.value)


def test_collate_pads_on_the_right_and_points_at_extract():
    ids, last = collate([[[S, 1, E], [S, 1, 2, E]], [[S, E], [S, 3, E]]], pad=7)
    assert ids.dtype == last.dtype == torch.int64
    assert ids.tolist() == [[[S, 1, E, 7], [S, 1, 2, E]], [[S, E, 7, 7], [S, 3, E, 7]]]
    assert last.tolist() == [[2, 3], [1, 2]]
    for bad in ([], [[[S, E]], [[S, E], [S, E]]], [[]]):
        with pytest.raises(ValueError, match="equally many sequences"):
            collate(bad)


def test_the_view_shows_the_sequences_that_the_model_reads():
    bpe = BPE.load("world")
    cases = [("similarity", Example(("one _start_", "two"))), ("qa", Example(("a cat", "which?"), ("b", "c"))),
             ("sentiment", Example(("x" * 99,)))]
    shown = tasks.view(cases, bpe, 40).data["cases"]
    for (name, example), one in zip(cases, shown, strict=True):
        fmt = name if name in tasks.FORMATS else tasks.get(name).format
        expected = transform(example, fmt, bpe.encode, *tasks.special_ids(bpe.vocab_size), 40)
        assert [len(ids) for ids in expected] == [len(tokens) for tokens in one["sequences"]]
        for ids, tokens in zip(expected, one["sequences"], strict=True):
            assert [kind == "special" for _, kind in tokens] == [token >= bpe.vocab_size for token in ids]
            plain = [token for token in ids if token < bpe.vocab_size]
            assert "".join(token for token, kind in tokens if kind != "special") == bpe.decode(plain)
    one, other = shown[0]["sequences"]
    assert [t for t, kind in one if kind == "first"] == [t for t, kind in other if kind == "first"]  # the colour goes with the text
    assert "".join(t for t, kind in other if kind == "second") == " two" and other[1][1] == "second"
    assert shown[1]["parts"] == ["context", "answer"] and "were cut" not in shown[1]["note"]
    whole = transform(cases[2][1], "classification", bpe.encode, 0, 0, 0, 1000)[0]
    assert f"To fit 40 tokens, {len(whole) - 40} were cut" in shown[2]["note"]


# -- the model with three more tokens, and the head -----------------------------------------------------------------------------

SMALL = dict(vocab_size=60, n_positions=24, n_layer=2, n_head=2, n_embd=16, dropout=0.0)
MODELS = {
    "gpt2": lambda: GPT(GPTConfig(**SMALL)),
    "gpt1": lambda: GPT(GPTConfig(**SMALL, pre_norm=False)),
    "untied": lambda: GPT(GPTConfig(**SMALL, tie_word_embeddings=False)),
    "lstm": lambda: model.LSTM(model.LSTMConfig(vocab_size=60, n_positions=24, n_embd=16, n_units=12, dropout=0.0)),
}
EACH_MODEL = pytest.mark.parametrize("kind", list(MODELS))


def small(kind="gpt2", seed=3):
    torch.manual_seed(seed)
    lm = MODELS[kind]().eval()
    with torch.no_grad():
        for p in lm.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return lm


@EACH_MODEL
def test_three_more_tokens_change_nothing_else(kind):
    old = small(kind)
    new = add_specials(old)
    assert type(new) is type(old) and new is not old and new.config.vocab_size == 63 and not new.training
    ids = torch.randint(0, 60, (2, 9))
    assert torch.equal(new(ids)[..., :60], old(ids))
    assert (new.lm_head.weight is new.wte.weight) == (kind != "untied")
    assert new.n_params() == old.n_params() + 3 * 16 * (2 if kind == "untied" else 1)
    before = old.wte.weight.clone()
    with torch.no_grad():
        new.wte.weight.zero_()
    assert torch.equal(old.wte.weight, before)


def test_the_new_rows_are_drawn_as_in_the_paper():
    torch.manual_seed(0)
    wide = GPT(GPTConfig(vocab_size=9, n_positions=4, n_layer=1, n_head=1, n_embd=600)).train().double()
    new = add_specials(wide)
    rows = new.wte.weight[9:]
    assert rows.shape == (3, 600) and abs(rows.std().item() - 0.02) < 0.002 and abs(rows.mean().item()) < 0.002
    assert new.training and rows.dtype == torch.float64 and not torch.equal(rows[0], rows[1])


def by_hand(classifier, batch):
    """The logits, sequence by sequence, without padding and without the classifier's own forward."""
    weight, bias = classifier.head.weight, classifier.head.bias
    out = []
    for group in batch:
        read = [classifier.model.hidden(torch.tensor([ids]))[0, -1] for ids in group]
        if classifier.fmt == "choice":
            out.append(torch.cat([weight @ h + bias for h in read]))
        else:
            out.append(weight @ sum(read) + bias)
    return torch.stack(out)


BATCHES = {
    "classification": [[[60, 5, 6, 7, 62]], [[60, 8, 62]], [[60, 62]]],
    "entailment": [[[60, 5, 61, 9, 62]], [[60, 8, 3, 61, 4, 4, 62]]],
    "similarity": [[[60, 5, 6, 61, 9, 62], [60, 9, 61, 5, 6, 62]], [[60, 8, 61, 7, 62], [60, 7, 61, 8, 62]]],
    "choice": [[[60, 5, 61, 9, 62], [60, 5, 61, 9, 8, 7, 62], [60, 5, 61, 62]], [[60, 1, 61, 2, 62]] * 3],
}


@EACH_MODEL
@pytest.mark.parametrize("fmt", tasks.FORMATS)
def test_the_head_reads_extract(kind, fmt):
    torch.manual_seed(5)
    classifier = Classifier(add_specials(small(kind)), 1 if fmt == "choice" else 3, fmt).eval()
    nn.init.normal_(classifier.head.weight)
    nn.init.normal_(classifier.head.bias)
    batch = BATCHES[fmt]
    ids, last = collate(batch)
    logits, hidden = classifier(ids, last)
    assert logits.shape == (len(batch), 3) and hidden.shape == (*ids.shape, 16)
    torch.testing.assert_close(logits, by_hand(classifier, batch))
    for pad in (1, 62):  # what the padding is filled with makes no difference
        torch.testing.assert_close(classifier(*collate(batch, pad))[0], logits)
    logits.sum().backward()
    assert classifier.model.wte.weight.grad[62].abs().sum() > 0


def test_both_orders_count_equally():
    """Swapping the two texts changes nothing, and each order alone gives something else."""
    torch.manual_seed(5)
    classifier = Classifier(add_specials(small()), 2, "similarity").eval()
    nn.init.normal_(classifier.head.weight)
    one, two = BATCHES["similarity"][0]
    both, swapped, first, second = (classifier(*collate([pair]))[0] for pair in ([one, two], [two, one], [one, one], [two, two]))
    torch.testing.assert_close(both, swapped)
    torch.testing.assert_close(both, (first + second) / 2)
    assert (both - first).abs().max() > 0.05


def test_the_head_is_small_and_initialised_as_in_the_paper():
    torch.manual_seed(0)
    lm = add_specials(GPT(GPTConfig(vocab_size=9, n_positions=4, n_layer=1, n_head=1, n_embd=300)))
    classifier = Classifier(lm, 5, "classification")
    assert abs(classifier.head.weight.std().item() - 0.02) < 0.002 and not classifier.head.bias.any()
    assert classifier.drop.p == 0.1
    assert sum(p.numel() for p in classifier.parameters()) == lm.n_params() + 5 * 300 + 5
    two = torch.zeros(1, 2, 3, dtype=int)
    for request, message in [(lambda: Classifier(lm, 2, "choice"), "n_outputs must be 1, not 2"),
                             (lambda: Classifier(lm, 2, "tagging"), "unknown format 'tagging'"),
                             (lambda: classifier(two, two[..., 0]), "takes 1 sequence")]:
        with pytest.raises(ValueError, match=message):
            request()


# -- scores ---------------------------------------------------------------------------------------------------------------------


def test_scores_against_their_definitions():
    predictions, labels = np.array([1, 1, 0, 1, 0, 0, 1]), np.array([1, 0, 0, 1, 1, 0, 1])
    hits, misses, alarms, quiet = 3, 1, 1, 2
    found = scores(("f1", "accuracy", "matthews"), predictions, labels)
    assert list(found) == ["f1", "accuracy", "matthews"]
    assert found["accuracy"] == pytest.approx(100 * 5 / 7)
    assert found["f1"] == pytest.approx(100 * 2 * hits / (2 * hits + misses + alarms))
    product = (hits + alarms) * (hits + misses) * (quiet + alarms) * (quiet + misses)
    assert found["matthews"] == pytest.approx(100 * (hits * quiet - misses * alarms) / product ** 0.5)
    x, y = np.array([1.0, 2.5, 0.3, 4.0]), np.array([0.5, 3.0, 1.0, 5.0])
    assert scores(("pearson",), x, y)["pearson"] == pytest.approx(100 * np.corrcoef(x, y)[0, 1])


def test_scores_of_constant_predictions_are_zero_not_nan():
    assert scores(("matthews", "f1"), [0, 0, 0], [1, 0, 1]) == {"matthews": 0, "f1": 0}
    assert scores(("pearson",), [2.0, 2.0], [1.0, 3.0]) == {"pearson": 0}


@pytest.mark.parametrize("metrics, predictions, labels, message", [
    (("bleu",), [1], [1], "unknown metric 'bleu': choose among accuracy"),
    (("accuracy",), [1, 0], [1], "must be equally long lists"),
    (("accuracy",), [], [], "not empty"),
    (("accuracy",), [[0.1, 0.9]], [1], "must be equally long lists"),
    (("accuracy",), [1, 0], [1, None], "secret"),
    (("pearson",), [1.0, float("nan")], [1.0, 2.0], "finite"),
])
def test_bad_scores_are_refused(metrics, predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        scores(metrics, predictions, labels)
