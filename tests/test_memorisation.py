"""The measurements of chapter 14, at a size that takes seconds."""

import math

import numpy as np
import pytest
import torch

from minigpt import GPT, GPTConfig, data, world
from minigpt import memorisation as m
from minigpt import overlap as o


@pytest.fixture
def tiny(monkeypatch):
    """Everything a hundred times smaller."""
    for name, value in {"TEXT": 12_000, "PASSES": 1, "SMALL_TEXT": 4_096, "SMALL_PASSES": 4, "SCORED": 4_000,
                        "SHAPES": {32: 1, 64: 1, 128: 1}, "STORIES": 4_000, "COUNTS": (0, 2),
                        "EACH": 1, "SEEDS": (0,), "DRAWS": 2, "WORLD_BYTES": 40_000, "TEXTS": 6, "WRITTEN": 40}.items():
        monkeypatch.setattr(m, name, value)


def test_the_floor_is_the_entropy_of_these_stories(tiny, bpe):
    found = m.texts(bpe)
    stories = [world.story(i, "test") for i in range(40)]
    ids = [data.encode(bpe, [story]) for story in stories]
    n = int((np.cumsum([len(of) for of in ids]) <= m.SCORED).sum())
    bits = sum(world.story_bits(i, "test") for i in range(n))
    assert found["test floor"] == pytest.approx(bits * math.log(2) / sum(len(of) for of in ids[:n]))
    assert len(found["train"]) == m.TEXT and len(found["test"]) == m.SCORED + 1
    assert np.array_equal(found["test"][:300], data.encode(bpe, stories)[:300])


def test_passages_cannot_be_guessed_and_have_one_length(bpe):
    ours = m.passages(bpe, 0, 12)
    assert ours == m.passages(bpe, 0, 12) and ours != m.passages(bpe, 1, 12) and len(set(ours)) == 12
    assert {len(bpe.encode(text)) for text in ours} == {8 * m.SENTENCES}
    assert len({text.split(".")[0] for text in ours}) == 12


def test_every_passage_is_planted_as_often_as_it_should_be(bpe, monkeypatch):
    monkeypatch.setattr(m, "STORIES", 8_000)
    tokens, true = m.corpus(bpe, 0)
    text = bpe.decode(tokens.tolist())
    for i, row in enumerate(true):
        assert text.count(bpe.decode(row.tolist())) == m.COUNTS[i // m.EACH]


def test_recited_counts_up_to_the_first_error():
    true = np.array([[1, 2, 3, 4]] * 4)
    written = np.array([[1, 2, 3, 4], [1, 2, 9, 4], [9, 2, 3, 4], [1, 9, 9, 9]])
    assert m.recited(written, true).tolist() == [4, 2, 0, 1]


def test_a_model_that_knows_a_passage_recites_it_and_another_does_not(bpe):
    """A model whose next token depends on the last alone: it is told the passage's pairs."""
    true = np.array([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
    model = GPT(GPTConfig(vocab_size=40, n_positions=8, n_layer=1, n_head=1, n_embd=40, dropout=0.0, tie_word_embeddings=False))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.ln_f.weight.fill_(1)
        model.wte.weight.copy_(torch.eye(40))
        for a, b in zip(true[0], true[0][1:], strict=False):
            model.lm_head.weight[b, a] = 0.65  # likelier than any other token, and yet not certain
    greedy, drawn = m.recite(model, true, 2, draws=20)
    assert greedy.tolist() == [4, 0] and drawn.shape == (2, 20) and 0 < drawn[0].mean() < 4


def test_figure_4_measures_all_sizes_and_resumes(tiny, tmp_path, monkeypatch):
    values, protocol, summary = m.figure4(tmp_path, progress=False)
    assert list(values["rows"]) == ["train", "test", "entropy of the test text"] and "perplexity" in protocol + summary
    assert len(values["rows"]["train"]) == len(m.SHAPES) == len(values["runs"])
    assert all(values["rows"]["entropy of the test text"][name] < value for name, value in values["rows"]["test"].items())
    assert all(1 < run["test"] / run["train"] < 1.2 for run in values["runs"])  # hardly trained: both are near ln 4,096
    assert [row["passes"] for row in values["too often"]["rows"]] == [2, 4]
    monkeypatch.setattr(m, "train", None)  # a second call may not train anything
    assert m.figure4(tmp_path, progress=False)[0] == values


def test_recitation_and_figure_5_have_the_form_of_a_record(tiny, tmp_path):
    values, protocol, summary = m.recitation(tmp_path, progress=False)
    assert values["greedy"]["whole"] == [0, 0] and "more than 2" in summary and "first sentence is given" in protocol
    assert all(share[0] == 1 for share in values["k = 40"]["still right"])
    values, protocol, summary = m.figure5(tmp_path, progress=False)
    for name in ("all stories", "small text"):
        assert set(values[name]) >= {"test text", "k = 40", "all tokens", "greedy"} and values[name]["rate"] < 1e-8
        assert len(values[name]["k = 40"]["quantiles"]) == 41
    assert values["rows"]["k = 40, all stories"]["median, %"] == values["all stories"]["k = 40"]["median"]


def test_spread_is_that_of_the_overlaps():
    bloom = o.BloomFilter.of(["a b c d e f g h i"], expected=20)
    found = m.spread(["a b c d e f g h", "z " * 9, "a b c d e f g h z", "short"], bloom)
    assert (found["mean"], found["median"], found["none"]) == (50, 50, round(1 / 3, 4))
    assert found["quantiles"][0] == 0 and found["quantiles"][-1] == 100
