"""The published records: none is stale, each says how it was made, and a cheap one is made again."""

import pytest

from minigpt import BPE, data, results, world
from minigpt.ngram import NGram


@pytest.mark.parametrize("name", results.names())
def test_no_record_is_older_than_the_code_it_depends_on(name):
    record = results.load(name)
    assert not record.stale, f"{', '.join(record.changed)} changed since: run `{record.command}`"
    assert record.command.startswith("python ") and record.protocol and record.device and record.versions


def test_a_cheap_record_comes_out_the_same_again():
    """The n-gram of chapter 05 on its smallest text, from the stories up: generator, vocabulary, counts, bits per byte."""
    row = results.load("05-ngrams").values["rows"][0]
    bpe = BPE.load("world")
    tokens = data.encode(bpe, data.world_documents("train", 200_000))[:row["tokens"]]
    assert len(tokens) == row["tokens"]
    stories = world.stories(600, split="test")
    held_out = data.encode(bpe, stories)
    model = NGram(row["order"], bpe.vocab_size).fit(tokens)
    bits = -model.log_prob(held_out).sum() / 0.6931471805599453 / sum(len(s.encode()) for s in stories)
    assert bits == pytest.approx(row["test"], abs=1e-4)
