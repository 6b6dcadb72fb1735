"""Byte-pair encoding against tiktoken and transformers: encoding, decoding, files."""

import copy
import json
import pickle
import random

import numpy as np
import pytest

from minigpt import bpe as bpe_module
from minigpt import hub, world
from minigpt.bpe import BPE
from minigpt.bpe_core import byte_symbols

PIECES = [
    " ", "  ", "    ", "\n", "\n\n", "\t", "\r\n", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2003",
    "\u2028", "\u3000", "\u200b", "\ufeff", "\x00", "\x7f", "'s", "'S", "'t", "'T", "'ll", "'LL", "'re", "'ve", "'VE",
    "'m", "'d", "''", "’s", "'", '"', "a", "Z", "é", "e\u0301", "ß", "İ", "ǅ", "ʰ", "ª", "\u0301", "\u20dd", "1", "42",
    "٣", "½", "²", "Ⅷ", "中", "あ", "한", "ﷺ", "नमस्ते", "ไทย", "😀", "👨‍👩‍👧", "🏽", "🇩🇪", "\ud83d", "\ude00", "_",
    "-", "...", "—", "$", "+", "\u0378", "\U000e0001", "\U0010ffff", "<|endoftext|>", "<|", "the", " the", "ing",
    "Hello", " world", "http://", "1234567", "aaaaaaaa", "--------", "\\n", "x=1;", "{}", "def f(", "don't", "I'LL",
]


@pytest.fixture(scope="module")
def official():
    return BPE.gpt2()


@pytest.fixture(scope="module")
def reference():
    """GPT-2's tokeniser as tiktoken runs it, built without the network."""
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str

    repo = "openai-community/gpt2"
    ranks = data_gym_to_mergeable_bpe_ranks(str(hub.path(repo, "merges.txt")), str(hub.path(repo, "vocab.json")))
    return tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks,
                             special_tokens={"<|endoftext|>": 50256})


def same(official, reference, text):
    ours, theirs = official.encode(text), reference.encode_ordinary(text)
    assert ours == theirs, f"{text!r}: {ours} against tiktoken's {theirs}"
    return ours


# -- GPT-2's vocabulary, against tiktoken ------------------------------------------------------------------------------


def test_every_kind_of_code_point(official, reference):
    # All of the four planes that hold characters; of the empty and private ones every 97th and the ends.
    points = [*range(0x32400), *range(0xE0000, 0xE0200), *range(0x32400, 0x110000, 97)]
    points += [plane + end for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF)]
    for start in range(0, len(points), 64):
        characters = [chr(point) for point in points[start:start + 64]]
        same(official, reference, "".join(f"a{c} {c}" for c in characters))


@pytest.mark.parametrize("seed", range(4))
def test_hostile_strings(official, reference, seed):
    rng = random.Random(seed)
    for _ in range(10_000):
        same(official, reference, "".join(rng.choices(PIECES, k=rng.randrange(12))))


def test_tokens_glued_together(official, reference):
    # Dense in merges that compete: tokens side by side without the spaces that used to part them.
    rng = random.Random(0)
    tokens = [official.decode_bytes([i]).decode("utf-8", "replace").strip() for i in range(50256)]
    for _ in range(10_000):
        same(official, reference, "".join(rng.choices(tokens, k=rng.randrange(2, 6))))


@pytest.mark.parametrize("piece", ["a", "ab", " ", "\n", "'", "0", "é", "-=", "the", "\u0301", "中"])
def test_long_runs(official, reference, piece):
    # Quadratic merging would take minutes here.
    text = piece * (60_000 // len(piece))
    assert official.decode(same(official, reference, text)) == text


def test_merging_gives_every_token_itself(official):
    # Encoding takes a word that is a token as it stands; this is why it may.
    for i in range(50256):
        raw = official.decode_bytes([i])
        assert official._merge([official._byte_id[byte] for byte in raw]) == [i]


def test_decoding_equals_tiktoken(official, reference):
    rng = random.Random(0)
    for _ in range(5_000):
        ids = [rng.randrange(50257) for _ in range(rng.randrange(8))]
        assert official.decode(ids) == reference.decode(ids)
        assert official.decode_bytes(ids) == reference.decode_bytes(ids)


def test_random_bytes_survive(official, trained):
    rng = random.Random(0)
    for _ in range(5_000):
        data = rng.randbytes(rng.randrange(40))
        for bpe in (official, trained):
            assert bpe.decode_bytes(bpe.encode_bytes(data)) == data
            assert bpe.decode(bpe.encode(data.decode("latin-1"))) == data.decode("latin-1")
    text = "naïve 中文 text, as ever"
    assert official.encode_bytes(text.encode()) == official.encode(text)


def test_surrogates_as_in_tiktoken(official):
    assert official.decode(official.encode("a\ud83d\ude00b")) == "a😀b"
    assert official.decode(official.encode("a\ud83db")) == "a\ufffdb"


def test_special_tokens(official, reference):
    text = "one<|endoftext|>two <|endoftext|>"
    assert 50256 not in official.encode(text)
    assert official.decode(official.encode(text)) == text
    for allowed in ("all", {"<|endoftext|>"}, ["<|endoftext|>"], "<|endoftext|>"):
        ids = official.encode(text, allowed_special=allowed)
        assert ids == reference.encode(text, allowed_special="all") and ids.count(50256) == 2
        assert official.decode(ids) == text
    assert official.eos_id == 50256 == official.specials["<|endoftext|>"]


def test_spelled_out_special_token_is_text_under_any_splitter(official):
    whole = BPE(official.vocab, official.merges, pre_tokenize=lambda text: [text])
    assert len(whole.encode("<|endoftext|>")) > 1


def test_cache_stays_bounded(official, monkeypatch):
    monkeypatch.setattr(bpe_module, "CACHED_WORDS", 50)
    words = _official_copy(official)
    for i in range(300):
        words.encode(f" w{i} {'x' * 300}{i}")
        assert len(words._words) <= 50 and max(map(len, words._words)) <= bpe_module.CACHED_LENGTH


def _official_copy(official):
    return BPE(official.vocab, official.merges)


# -- where the sizes come from -----------------------------------------------------------------------------------------


def test_gpt2_size(official):
    assert official.vocab_size == 50257 == 256 + 50_000 + 1
    assert len(official.merges) == 50_000 and official.tokens([50256]) == ["<|endoftext|>"]
    assert [official.vocab[symbol] for symbol in sorted(byte_symbols())] == list(range(256))
    assert len(set(byte_symbols())) == 256


def test_gpt1_size(mirror):
    bpe = BPE.gpt1()
    assert bpe.vocab_size == 40478 and len(bpe.merges) == 40_000
    made = {left + right for left, right in bpe.merges}
    others = [token for token in bpe.vocab if token not in made]
    single = {token for token in others if len(token) == 1}
    assert len(others) == 478 and len(single) == 238
    assert set(others) == single | {token + "</w>" for token in single} | {"<unk>", "\n</w>"}


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["gpt2", "gpt1"])
def test_save_and_load(stories, tmp_path, style):
    bpe = BPE.train([*stories, "naïve \x85 \u2028 \x1c marks"], 700, style=style)
    bpe.save(tmp_path / "new" / "folder")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert b"\r" not in (tmp_path / "new" / "folder" / name).read_bytes()
    again = BPE.load(tmp_path / "new" / "folder")
    assert (again.vocab, again.merges, again.style) == (bpe.vocab, bpe.merges, bpe.style)
    assert again.encode(stories[0]) == bpe.encode(stories[0])


def test_transformers_reads_it(trained, tmp_path):
    from transformers import AutoTokenizer

    trained.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == 600 and theirs.eos_token_id == trained.eos_id
    rng = random.Random(0)
    for text in [*world.stories(50, split="test"), *("".join(rng.choices(PIECES, k=6)) for _ in range(2_000))]:
        text = text.encode("utf-8", "replace").decode()
        ids = theirs.encode(text)
        assert trained.encode(text, allowed_special="all") == ids
        assert trained.decode(ids) == theirs.decode(ids, clean_up_tokenization_spaces=False) == text


def test_transformers_reads_gpt1_style(stories, tmp_path):
    from transformers import AutoTokenizer

    bpe = BPE.train(stories, 700, style="gpt1")
    bpe.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert type(theirs).__name__ == "OpenAIGPTTokenizer" and len(theirs) == 700
    assert theirs.encode("the little girl ran home .") == bpe.encode("The little girl ran home.")


@pytest.mark.parametrize("name", ["openai-community/gpt2", "openai-community/gpt2-xl"])
def test_official_names(official, name):
    assert BPE.load(name).vocab == official.vocab


def test_tokens_may_hold_line_separators(tmp_path):
    odd = BPE({"<unk>": 0, "a": 1, "\x85": 2, "\u2028": 3, "a\x85": 4, "a\u2028": 5},
              [("a", "\x85"), ("a", "\u2028")], "gpt1")
    odd.save(tmp_path)
    assert BPE.load(tmp_path).merges == odd.merges


def test_style_without_a_config(stories, tmp_path):
    BPE.train(stories, 700, style="gpt1").save(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    assert BPE.load(tmp_path).style == "gpt1"


def test_copies_and_pickles(official):
    ids = official.encode("a copy")
    assert copy.deepcopy(official).encode("a copy") == pickle.loads(pickle.dumps(official)).encode("a copy") == ids


def test_decode_takes_arrays(official):
    torch = pytest.importorskip("torch")
    ids = official.encode("arrays too")
    assert official.decode(np.array(ids)) == official.decode(torch.tensor(ids)) == "arrays too"
    assert official.decode(iter(ids)) == "arrays too"


# -- one clear line each -----------------------------------------------------------------------------------------------


def says(kind, fragment, call):
    with pytest.raises(kind) as caught:
        call()
    assert fragment in str(caught.value) and "\n" not in str(caught.value)


def test_bad_text_and_ids(official):
    says(TypeError, "not bytes", lambda: official.encode(b"abc"))
    says(ValueError, "unknown special token '<pad>'", lambda: official.encode("abc", allowed_special={"<pad>"}))
    says(ValueError, "id 50257 is outside", lambda: official.decode([1, 50257]))
    says(ValueError, "id -1 is outside", lambda: official.decode([-1]))
    says(TypeError, "whole numbers", lambda: official.decode([1.5]))
    says(TypeError, "whole numbers", lambda: official.decode(np.zeros((2, 3))))


def test_bad_files(trained, tmp_path):
    says(FileNotFoundError, "no vocabulary 'nowhere'", lambda: BPE.load("nowhere"))
    says(FileNotFoundError, "vocab.json", lambda: BPE.load(tmp_path))

    def broken(name, content):
        trained.save(tmp_path)
        (tmp_path / name).write_bytes(content)
        return lambda: BPE.load(tmp_path)

    whole = json.dumps(trained.vocab).encode()
    says(ValueError, "cut short", broken("vocab.json", whole[:500]))
    says(ValueError, "not UTF-8", broken("vocab.json", b"\xff\xfe"))
    says(ValueError, "not a JSON object", broken("vocab.json", b"[1]"))
    says(ValueError, "whole number", broken("vocab.json", b'{"a": "b"}'))
    says(ValueError, "once", broken("vocab.json", whole.replace(b'": 300,', b'": 301,')))
    says(ValueError, "merge 2 is not two tokens", broken("merges.txt", b"#version: 0.2\na b\nabc\n"))
    says(ValueError, "merge 1 ('a' + 'zzz') does not fit", broken("merges.txt", b"#version: 0.2\na zzz\n"))
    says(ValueError, "lacks 'A'", broken("vocab.json", whole.replace(b'"A"', b'"AAAA"')))
    trained.save(tmp_path)
    (tmp_path / "merges.txt").unlink()
    says(FileNotFoundError, "merges.txt", lambda: BPE.load(tmp_path))
