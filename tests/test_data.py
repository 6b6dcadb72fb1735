"""Sources of text, token streams and batches, with friendly and hostile input."""

import json

import numpy as np
import pytest
import torch

from minigpt import data, hub, world
from minigpt.bpe import BPE

HOSTILE = ["Hello  world\n\n\tIt's 12,345 o'clock…", "", "\u00e9\u0301 日本語 🏳️‍🌈 \u200b", "<|endoftext|>", " " * 500,
           "\r\n\x00\x07", "a" * 5000, "'LL 's 'T", "\ud83d broken", "½ ² ١٢٣"]


@pytest.fixture(autouse=True)
def offline(monkeypatch, request, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "mirror" not in request.fixturenames:
        monkeypatch.setenv("MINIGPT_DATA", str(tmp_path / "mirror"))


@pytest.fixture(scope="module")
def bpe():
    return BPE.train(world.stories(100), 400)


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_world():
    documents = data.read("world", n_bytes=20_000, seed=5)
    size = sum(len(text.encode()) for text in documents["train"])
    assert 20_000 <= size < 25_000 and documents["train"][3] == world.story(3, seed=5)
    assert documents["validation"][0] == world.story(0, split="validation", seed=5)
    assert data.read("world", n_bytes=20_000, seed=5) == documents != data.read("world", n_bytes=20_000, seed=6)
    with pytest.raises(ValueError, match="n_bytes"):
        data.world_documents("train", 0)


@pytest.mark.parametrize("length", [10, 11, 99, 1000])
def test_a_text_file_gives_its_last_tenth(tmp_path, length):
    text = "".join(chr(97 + i % 26) for i in range(length - 1)) + "é"
    parts = data.read(write(tmp_path, "book.txt", text))
    assert parts["train"][0] + parts["validation"][0] == text
    assert len(parts["validation"][0]) == length // 10


def test_documents_in_a_file_and_in_a_folder(tmp_path):
    text = "one one one\n<|endoftext|>\ntwo two two<|endoftext|>three!<|endoftext|>"
    parts = data.read(write(tmp_path, "stories.txt", text))
    assert parts["train"][:2] == ["one one one", "two two two"]
    assert parts["train"][2] + parts["validation"][0] == "three!"
    for name, words in (("b/2.txt", "second " * 9), ("a.md", "first " * 9), ("z.bin", b"\xff\x00"),
                        ("c.TXT", "third " * 9)):
        write(tmp_path / "folder", name, words)
    parts = data.read(tmp_path / "folder")
    assert parts["train"][:2] == ["first " * 9, "second " * 9] and parts["validation"][0] in "third " * 9


def test_line_ends_and_byte_order_mark_do_not_matter(tmp_path):
    plain = data.read(write(tmp_path, "unix.txt", "line one\nline two\n" * 20))
    assert data.read(write(tmp_path, "windows.txt", b"\xef\xbb\xbf" + b"line one\r\nline two\r\n" * 20)) == plain


@pytest.mark.parametrize("content, says", [
    ("", "is empty"), (" \n\t ", "is empty"), (b"\xff\xfe\x00binary", "not UTF-8"),
    (b"\x89PNG\r\n\x1a\n" * 9, "not UTF-8"), (b"text\x00text" * 9, "binary"),
    ("caf\xe9 ".encode("latin-1") * 9, "not UTF-8"), ("short", "too short"),
])
def test_bad_files_are_refused_in_one_line(tmp_path, content, says):
    with pytest.raises(ValueError, match=says) as error:
        data.read(write(tmp_path, "bad.txt", content))
    assert "\n" not in str(error.value)


def test_bad_sources(tmp_path):
    (tmp_path / "empty").mkdir()
    for source, kind in ((tmp_path / "absent.txt", FileNotFoundError), ("absent.txt", FileNotFoundError),
                         ("no-such-name", FileNotFoundError), ("./a/b", FileNotFoundError), ("", ValueError),
                         (tmp_path / "empty", FileNotFoundError), ("a/b/c/d", FileNotFoundError),
                         ("nobody/nothing", hub.HubError)):
        with pytest.raises(kind) as error:
            data.read(source)
        assert "\n" not in str(error.value) and len(str(error.value)) > 10


def jsonl(texts):
    return "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))


def test_data_sets_of_the_hub_through_the_mirror(tmp_path):
    root = tmp_path / "mirror" / "some" / "set"
    write(root, "README.md", "# a card\n")
    write(root, "data/train-00000-of-00002.jsonl", jsonl(["one", "two"]))
    write(root, "data/train-00001-of-00002.jsonl", jsonl(["three"]))
    write(root, "data/valid.jsonl", jsonl(["four"]))
    assert data.read("some/set") == {"train": ["one", "two", "three"], "validation": ["four"]}
    assert data.records("some/set", "validation", "id") == [0]
    with pytest.raises(ValueError, match="no test split"):
        data.records("some/set", "test")
    with pytest.raises(ValueError, match="id, text"):
        data.records("some/set", "train", "label")
    with pytest.raises(ValueError, match="unknown split"):
        data.records("some/set", "trian")
    write(root, "other/train.jsonl", jsonl(["five"]))
    with pytest.raises(ValueError, match="some/set/data"):
        data.read("some/set")
    assert data.read("some/set/data")["validation"] == ["four"]
    with pytest.raises(ValueError, match="no data files"):
        data.read("some/set/absent")


def test_only_a_test_split_is_never_trained_on(tmp_path):
    write(tmp_path / "mirror" / "some" / "set", "test.jsonl", jsonl(["one"]))
    with pytest.raises(ValueError, match="no train split"):
        data.read("some/set")


def test_malformed_records_are_refused_in_one_line(tmp_path):
    for content, says in (('{"text": "a"}\n{"text": \n', "cannot be read"), ('{"n": 1}\n', "no column of text")):
        with pytest.raises(ValueError, match=says) as error:
            data.read(write(tmp_path, f"{len(content)}.jsonl", content))
        assert "\n" not in str(error.value)


def test_wikitext_and_lambada_from_a_mirror(mirror):
    lines = data.records("Salesforce/wikitext/wikitext-2-raw-v1", "test", "text")
    assert len(lines) == 4358 and lines[1] == " = Robert Boulter = \n"
    passages = data.records("EleutherAI/lambada_openai", "test", "text")
    assert len(passages) == 5153 and passages[0].endswith("about signs")
    (text,) = data._documents(data.records("Salesforce/wikitext", "test"))
    assert text == "".join(lines)


def test_encode_is_the_vocabularys_own(bpe):
    ids = data.encode(bpe, HOSTILE)
    assert ids.dtype == np.int32
    assert ids.tolist() == [i for text in HOSTILE for i in [*bpe.encode(text), bpe.eos_id]]
    assert (ids == bpe.eos_id).sum() == len(HOSTILE)  # a mark spelled out in a text is plain text
    official = BPE.gpt2()
    assert data._tiktoken(official) is not None is not data._tiktoken(bpe)
    assert data.encode(official, HOSTILE).tolist() == [i for text in HOSTILE for i in [*official.encode(text), 50256]]


def test_vocabularies_that_tiktoken_cannot_express():
    shuffled = BPE.train(world.stories(20), 300)
    a, b = ("".join(pair) for pair in shuffled.merges[:2])
    vocab = shuffled.vocab | {a: shuffled.vocab[b], b: shuffled.vocab[a]}
    other = BPE(vocab, shuffled.merges)
    assert data._tiktoken(other) is None
    assert data.encode(other, ["the cat"]).tolist() == [*other.encode("the cat"), other.eos_id]
    words = BPE.train(world.stories(20), 200, style="gpt1")
    assert data.encode(words, ["the cat"]).tolist() == words.encode("the cat")


def test_encode_needs_documents(bpe):
    with pytest.raises(ValueError, match="no documents"):
        data.encode(bpe, [])
    with pytest.raises(ValueError, match="list of strings"):
        data.encode(bpe, "one string")


def test_batches():
    tokens = np.arange(1000, dtype=np.int32)
    x, y = data.batch(tokens, 16, 8, seed=3, step=7)
    assert x.dtype == y.dtype == torch.int64 and x.shape == y.shape == (16, 8)
    assert torch.equal(y, x + 1) and torch.equal(x[:, 1:], x[:, :-1] + 1)
    again, _ = data.batch(tokens, 16, 8, seed=3, step=7)
    assert torch.equal(x, again)
    assert not torch.equal(x, data.batch(tokens, 16, 8, seed=3, step=8)[0])
    assert not torch.equal(x, data.batch(tokens, 16, 8, seed=4, step=7)[0])
    assert not torch.equal(data.batch(tokens, 16, 8, seed=3, step=8)[0], data.batch(tokens, 16, 8, seed=8, step=3)[0])
    starts = torch.cat([data.batch(tokens[:20], 64, 8, seed=0, step=step)[0][:, 0] for step in range(20)])
    assert sorted(set(starts.tolist())) == list(range(12))  # every window, the first and the last included


def test_the_same_batches_everywhere():
    x, _ = data.batch(np.arange(10_000, dtype=np.int32), 4, 1, seed=1, step=2)
    assert x[:, 0].tolist() == [6431, 4483, 9383, 4308]  # what NumPy's PCG64 drew when this test was written


def test_batches_of_too_little_text():
    tokens = np.arange(9, dtype=np.int32)
    x, y = data.batch(tokens, 2, 8, seed=0, step=0)
    assert x.tolist() == [list(range(8))] * 2 and y[0, -1] == 8
    with pytest.raises(ValueError, match="9 tokens, and one window takes 10"):
        data.batch(tokens, 2, 9, seed=0, step=0)
    with pytest.raises(ValueError, match="at least 1"):
        data.batch(tokens, 0, 4, seed=0, step=0)
