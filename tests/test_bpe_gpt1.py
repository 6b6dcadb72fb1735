"""GPT-1's own tokeniser against what OpenAI's encoder gave, and what happens without the packages it needs."""

import json
import sys

import pytest

from minigpt import BPE, bpe_gpt1, world
from minigpt.bpe_core import split_gpt1
from minigpt.bpe_gpt1 import split_openai, standardise


@pytest.fixture
def bare(monkeypatch):
    """As if ftfy and spaCy were not installed."""
    monkeypatch.setitem(sys.modules, "ftfy", None)
    monkeypatch.setitem(sys.modules, "spacy", None)
    bpe_gpt1._tools.cache_clear()
    yield
    bpe_gpt1._tools.cache_clear()


@pytest.fixture
def installed():
    pytest.importorskip("ftfy", reason="pip install ftfy spacy")
    pytest.importorskip("spacy", reason="pip install ftfy spacy")


def test_every_recorded_encoding(mirror, checks, monkeypatch, installed):
    monkeypatch.setenv("MINIGPT_DATA", str(mirror))
    rows = [json.loads(line) for line in (checks / "gpt1-bpe" / "recorded.jsonl").read_text(encoding="utf-8").splitlines()]
    bpe = BPE.gpt1()
    assert len(rows) == 408
    assert not [row["text"] for row in rows if bpe.encode(row["text"]) != row["ids"]]
    # The plain splitter is close, which is why it must never stand in without a word: some texts come out otherwise.
    plain = BPE(bpe.vocab, bpe.merges, "gpt1")
    assert [row["text"] for row in rows if plain.encode(row["text"]) != row["ids"]]


@pytest.mark.parametrize("text, expected", [
    ("a—b–c―d", "a - b - c - d"),
    ("well…", "well..."),  # full stops are not set apart: spaCy decides
    ("it´s", "it's"),
    ("what?!?!  no!!", "what ? ! ? ! no !!"),
    ("x_y|z\\w~v", "x _ y | z \\ w ~ v"),
    ("f(a)[b]{c}", "f ( a ) [ b ] { c }"),
    ('"a";b,c+d*e/f', '" a " ; b , c + d * e / f'),
    ("one\r\n\n two\tthree\u00a0four", "one \n two three four"),
    ("  \n a \n  ", "a"),
    ("", ""),
])
def test_standardise(text, expected):
    assert standardise(text) == expected


def test_words(installed):
    assert split_openai("Don't go to the U.S.A.,\n\nMr. Smith&#39;s caf\u00c3\u00a9!") == [
        "Do", "n't", "go", "to", "the", "U.S.A.", ",", "\n ", "Mr.", "Smith", "'s", "café", "!"]


def test_without_the_packages_nothing_is_encoded_otherwise(mirror, monkeypatch, bare):
    monkeypatch.setenv("MINIGPT_DATA", str(mirror))
    bpe = BPE.gpt1()
    with pytest.raises(ImportError, match="pip install ftfy spacy") as caught:
        bpe.encode("Hello, world!")
    assert "\n" not in str(caught.value) and caught.value.__suppress_context__
    assert bpe.vocab_size == 40478 and bpe.decode([3570, 240, 1276, 267]) == "hello , world !"


def test_a_vocabulary_trained_here_needs_no_packages(tmp_path, bare):
    bpe = BPE.train(world.stories(50), 400, style="gpt1")
    assert bpe.pre_tokenize is split_gpt1
    bpe.save(tmp_path)
    again = BPE.load(tmp_path)
    assert again.pre_tokenize is split_gpt1 and again.encode("The dog ran.") == bpe.encode("The dog ran.")


def test_a_folder_says_how_its_words_are_split(tmp_path):
    """By name; without a name a vocabulary of GPT-1's size is GPT-1's, any other was made by `BPE.train`."""
    vocab = {token: i for i, token in enumerate(["<unk>", "a", "a</w>", "\n</w>"])}
    config = tmp_path / "tokenizer_config.json"
    for function, name in ((split_openai, "openai"), (split_gpt1, "plain")):
        BPE(vocab, [], "gpt1", function).save(tmp_path)
        assert json.loads(config.read_text(encoding="utf-8"))["splitter"] == name
        assert BPE.load(tmp_path).pre_tokenize is function
    for gone in (lambda: config.write_text('{"tokenizer_class": "OpenAIGPTTokenizer"}', encoding="utf-8"), config.unlink):
        gone()
        assert BPE.load(tmp_path).pre_tokenize is split_gpt1
    config.write_text('{"tokenizer_class": "OpenAIGPTTokenizer", "splitter": "nltk"}', encoding="utf-8")
    with pytest.raises(ValueError, match="unknown splitter 'nltk': one of openai, plain"):
        BPE.load(tmp_path)
    big = vocab | {f"{i:05}": i for i in range(len(vocab), 40478)}
    BPE(big, [], "gpt1").save(tmp_path)
    assert BPE.load(tmp_path).pre_tokenize is split_gpt1
    config.unlink()
    assert BPE.load(tmp_path).pre_tokenize is split_openai


def test_the_official_names_and_files_split_as_openai(mirror, monkeypatch):
    monkeypatch.setenv("MINIGPT_DATA", str(mirror))
    for name in ("openai-community/openai-gpt", mirror / "openai-community" / "openai-gpt"):
        assert BPE.load(name).pre_tokenize is split_openai
