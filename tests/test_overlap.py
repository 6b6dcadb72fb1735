"""Words, 8-grams, the Bloom filter against an exact set, and overlaps."""

import hashlib
import itertools
import math
import tracemalloc
import warnings

import numpy as np
import pytest

from minigpt import overlap as o
from minigpt import paper, world

HOSTILE = ["\0 \0\0 nul", "👩‍👩‍👧 🎉 emoji", "é e\u0301 é", "\ud800 alone", "İstanbul ıI ß ﬁ", "x" * 100_000, "a a a a a a a a a",
           "一二三。四五六", "नमस्ते दुनिया", "٠١٢ ½ ²", "_ __ ___", "don't DON’T", "\u202e\ufeff", " "]


def random_digests(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (n, 2), dtype=np.uint64)


def sentences(n: int, seed: int) -> list[str]:
    """n texts of eight numbered words: real strings, all through the package's own hash."""
    return [" ".join(f"w{i}" for i in row) for row in np.random.default_rng(seed).integers(0, 20, (n, 8))]


# -- words and 8-grams ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "words"), [
    ("The DOG's tail,  was\n\nlong_and-grey!", ["the", "dog", "s", "tail", "was", "long", "and", "grey"]),
    ("", []), ("... --- !", []), ("in 2019, 1.5 billion", ["in", "2019", "1", "5", "billion"]),
    ("É E\u0301", ["é", "é"]), ("ÜBER Straße", ["über", "straße"]), ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]), ("一二。三", ["一二", "三"]),
    ("a\0b", ["a", "b"]), ("so 👩‍👧 good", ["so", "good"]), ("\ud800x", ["x"]), ("ONE\u00a0TWO\u2003x", ["one", "two", "x"])])
def test_normalised_words(text, words):
    assert o.normalise(text) == words
    assert o.normalise(" ".join(words)) == words  # normalised text stays as it is


def test_ascii_and_unicode_paths_agree():
    text = "".join(map(chr, range(128))) * 3
    assert o.normalise(text) == o.normalise(text + " …")


def test_eight_grams_by_hand():
    assert o.eight_grams(list("abcdefg")) == [] == o.eight_grams([])
    assert o.eight_grams(list("abcdefghi")) == ["a b c d e f g h", "b c d e f g h i"]
    assert o.digests(list("abcdefg")).shape == (0, 2) and o.digests(list("abcdefghi")).shape == (2, 2)


def test_digests_are_equal_exactly_where_the_8_grams_are():
    """On a text full of repeats and of 8-grams that are permutations of one another."""
    words = [str(i) for i in np.random.default_rng(0).integers(0, 3, 20_000)] + "a b a b a b a b a b b a".split()
    grams, found = o.eight_grams(words), o.digests(words)
    rows = list(map(tuple, found.tolist()))
    assert len(set(grams)) == len(set(rows)) == len(set(zip(grams, rows, strict=True))) > 6_000


def test_digest_of_an_8_gram_is_the_sum_in_the_docstring():
    """Written out with Python's whole numbers; a filter saved by one version must be read by the next."""
    words = "it was the best of times ıt wäs".split()
    for half in (0, 1):
        parts = [int.from_bytes(hashlib.blake2b(word.encode(), digest_size=16).digest()[8 * half:8 * half + 8], "little")
                 * (int.from_bytes(hashlib.blake2b(b"position %d" % i, digest_size=8).digest(), "little") | 1)
                 for i, word in enumerate(words)]
        assert int(o.digests(words)[0, half]) == sum(parts) % 2**64


def test_constants_never_cancel():
    """What the bound in the docstring rests on: every sum and difference of them ends in at most 13 zero bits."""
    signs = np.array([s for s in itertools.product((-1, 0, 1), repeat=o.N) if any(s)]).astype(np.int64)
    sums = (signs.astype(np.uint64) * o.ODD).sum(1, dtype=np.uint64)
    assert sums.all()
    assert max(math.log2(int(s) & -int(s)) for s in sums) == 13


def test_stream_keeps_documents_apart_and_forgets_nothing(monkeypatch):
    texts = ["", "one two", *world.stories(30), "a b c d e f g h", "x y z"]
    for batch, vocabulary in ((1, 5), (1000, 1 << 20), (1 << 17, 1 << 20)):
        monkeypatch.setattr(o, "BATCH", batch)
        monkeypatch.setattr(o, "VOCABULARY", vocabulary)  # a memory of digests that is emptied again and again
        pieces = list(o.stream(iter(texts)))
        one_by_one = [o.digests(o.normalise(text)) for text in texts]
        assert np.array_equal(np.concatenate([c for c, _ in pieces]), [len(found) for found in one_by_one])
        assert np.array_equal(np.concatenate([found for _, found in pieces]), np.concatenate(one_by_one))


@pytest.mark.parametrize(("documents", "says"), [("one string", "not one string"), ([b"bytes"], "not bytes"), ([None], "NoneType")])
def test_documents_must_be_strings(documents, says):
    with pytest.raises(ValueError, match=says):
        list(o.stream(documents))


def test_streaming_holds_a_batch_and_not_the_corpus(monkeypatch):
    """Eight times the text, the same peak."""
    monkeypatch.setattr(o, "BATCH", 2_000)

    def peak(n):
        filter = o.BloomFilter(500_000, 0.01)
        tracemalloc.start()
        filter.add_documents(" ".join(f"{i % 50} {j}" for j in range(50)) for i in range(n))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found
    assert peak(800) < 1.2 * peak(100)


# -- the filter -----------------------------------------------------------------------------------------------------


def test_sizes():
    filter = o.BloomFilter(10**6)
    assert filter.false_positive_rate == paper.fact("gpt2-bloom") == 1e-8 and filter.hashes == 27
    assert filter.bits / 8 / 10**6 == pytest.approx(1.44 * math.log2(1e8) / 8, rel=2e-3)  # 4.8 bytes an item
    assert filter.theoretical_rate() <= 1e-8 and filter.theoretical_rate() == pytest.approx(1e-8, rel=1e-3)
    assert filter.fill == 0 == filter.rate == filter.distinct


@pytest.mark.parametrize(("arguments", "says"), [
    ((0,), "whole number from 1 on"), ((-5,), "whole number"), ((1.5,), "whole number"), ((True,), "whole number"),
    (("9",), "whole"), ((10, 0), "between 0 and 1"), ((10, 1), "between 0 and 1"), ((10, -0.1), "between"),
    ((10, float("nan")), "between"),
    ((10**18,), "GB, more than there is")])
def test_impossible_sizes_are_refused_in_one_line(arguments, says):
    with pytest.raises(ValueError, match=says) as error:
        o.BloomFilter(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rate", [0.5, 1e-2, 1e-8])
def test_no_false_negatives_ever(rate):
    filter, digests = o.BloomFilter(40_000, rate), random_digests(30_000, 1)
    for part in np.array_split(digests, 7):
        filter.add(part)
        assert filter.contains(part).all()
    assert filter.contains(digests).all()
    texts = sentences(5_000, 2) + [f"{text} {'b c d e f g h i'}" for text in HOSTILE] + world.stories(20)
    filter.add_documents(texts)
    hits, totals = o.counts(texts, filter)
    assert np.array_equal(hits, totals) and o.overlap(texts, filter) == 100


def test_no_false_negatives_when_many_items_meet_in_one_byte():
    """Writes of one batch that fall into the same byte must all arrive: here 500 items share 30 bytes."""
    filter, digests = o.BloomFilter(30, 0.3), random_digests(500, 3)
    with pytest.warns(UserWarning, match="made for 30 items"):
        filter.add(digests)
    assert filter.contains(digests).all()


def within(found: int, expected: float) -> bool:
    """Whether a count lies within 4 standard deviations of its (binomial) expectation."""
    return abs(found - expected) < 4 * math.sqrt(expected)


@pytest.mark.parametrize(("rate", "items", "strangers"), [
    (1e-3, 50_000, 400_000), (1e-4, 20_000, 1_000_000), (1e-5, 1_000, 3_000_000), (1e-5, 50_000, 3_000_000)])
def test_false_positive_rates_are_those_of_theory(rate, items, strangers):
    """Small filters too, where positions that are not independent show first."""
    filter, digests = o.BloomFilter(items, rate), random_digests(strangers, 4)
    filter.add(random_digests(items, 3))
    found, expected = int(filter.contains(digests).sum()), filter.theoretical_rate() * strangers
    assert filter.theoretical_rate() == pytest.approx(rate, rel=1e-3) and within(found, expected), (found, expected)
    assert filter.rate == pytest.approx(rate, rel=0.1) and filter.distinct == pytest.approx(items, rel=0.02)


@pytest.mark.parametrize(("rate", "grams"), [(1e-3, 300_000), (1e-2, 20_000)])
def test_false_positives_of_real_8_grams_against_an_exact_set(rate, grams):
    """All the way from words, through the package's own hash; few different words, so that 8-grams differ by little."""
    words = [str(i) for i in np.random.default_rng(5).integers(0, 40, grams + 20_000)]
    inside, outside = o.eight_grams(words[:20_000]), o.eight_grams(words[20_000:])
    filter, exact = o.BloomFilter(len(set(inside)), rate), set(inside)
    filter.add(o.digests(words[:20_000]))
    said, true = filter.contains(o.digests(words[20_000:])), np.array([gram in exact for gram in outside])
    assert said[true].all() and within(int(said.sum() - true.sum()), rate * (~true).sum())


def test_the_papers_rate_by_fill_and_hash_count():
    """1 in 10^8 cannot be waited for. It follows from a fill of one half and 27 independent looks, and both can be seen."""
    filter, digests = o.BloomFilter(40_000), random_digests(40_000, 5)
    filter.add(digests)
    assert filter.hashes == 27 and filter.fill == pytest.approx(1 - math.exp(-27 * 40_000 / filter.bits), abs=2e-3)
    assert filter.rate < 1.1e-8
    strangers, left = random_digests(400_000, 6), []
    for looks in range(1, 8):  # the share of strangers that survives so many looks falls by the fill each time
        alive = np.ones(len(strangers), bool)
        for i in range(looks):
            at, bit = filter._positions(strangers, i)
            alive &= (filter.array[at] & bit) != 0
        left.append(alive.mean())
    assert left == pytest.approx([filter.fill**looks for looks in range(1, 8)], rel=0.03)
    one = o.BloomFilter(40_000)
    one.add(digests[:1])
    assert one.fill * one.bits == pytest.approx(27, abs=1)  # a single item sets 27 bits
    assert not filter.contains(strangers).any()


def test_fewer_hashes_or_another_modulus_would_show():
    """The last test can fail: a hash left out, positions drawn from half of the bits, or the usual a + i b."""
    class Broken(o.BloomFilter):
        def _positions(self, found, i):
            at = (found[:, 0] + np.uint64(i) * found[:, 1]) % np.uint64(self.bits)  # two items agree mod bits too often
            return (at >> np.uint64(3)).astype(np.int64), np.left_shift(np.uint8(1), (at & np.uint64(7)).astype(np.uint8))
    strangers, found = random_digests(2_000_000, 8), {}
    for kind in (Broken, o.BloomFilter):
        filter = kind(300, 1e-5)
        filter.add(random_digests(300, 7))
        found[kind] = int(filter.contains(strangers).sum())
    assert found[Broken] > 60 and found[o.BloomFilter] < 40  # expected: 20


def test_merge_is_union():
    a, b, both = o.BloomFilter(2000, 1e-3), o.BloomFilter(2000, 1e-3), o.BloomFilter(2000, 1e-3)
    one, two = random_digests(900, 9), random_digests(900, 10)
    a.add(one)
    b.add(two)
    both.add(np.concatenate([one, two]))
    assert np.array_equal(a.merge(b).array, both.array) and a.added == both.added == 1800
    assert a.contains(two).all() and not np.array_equal(b.array, both.array)
    with pytest.raises(ValueError, match="of one size"):
        a.merge(o.BloomFilter(2000, 1e-4))


def test_overfull_filters_warn_once_and_full_ones_do_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filter = o.BloomFilter(5000, 1e-3)
        for part in np.array_split(random_digests(5000, 11), 10):
            filter.add(part)
            filter.add(part)  # repeats do not fill it
    with pytest.warns(UserWarning, match="made for 5,000 items and holds about 1[0-9],"):
        filter.add(random_digests(6000, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filter.add(random_digests(100, 13))
    assert filter.rate > 10 * 1e-3


def test_digests_of_another_shape_are_refused():
    filter = o.BloomFilter(10)
    for wrong in (["a b c d e f g h"], np.zeros((3, 2)), np.zeros(4, np.uint64)):
        with pytest.raises(ValueError, match="uint64"):
            filter.add(wrong)
        with pytest.raises(ValueError, match="uint64"):
            filter.contains(wrong)
    assert filter.contains(np.empty((0, 2), np.uint64)).shape == (0,)


def test_save_and_load(tmp_path):
    filter = o.BloomFilter(3000, 1e-4)
    filter.add(random_digests(2000, 14))
    filter.save(tmp_path / "deep" / "world.bloom")
    again = o.BloomFilter.load(tmp_path / "deep" / "world.bloom")
    assert np.array_equal(again.array, filter.array) and vars(again).keys() == vars(filter).keys()
    assert (again.expected, again.false_positive_rate, again.hashes, again.bits) == (3000, 1e-4, filter.hashes, filter.bits)
    assert again.added == 2000
    again.add(random_digests(500, 15))
    assert again.contains(random_digests(2000, 14)).all()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["world.bloom"]


def test_loading_something_else_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Bloom filter"):
        o.BloomFilter.load(tmp_path / "nothing")
    filter = o.BloomFilter(3000, 1e-4)
    filter.save(tmp_path / "good")
    whole = (tmp_path / "good").read_bytes()
    np.savez(tmp_path / "other.npz", array=np.zeros(3))
    np.savez(tmp_path / "short.npz", format=o.FORMAT, expected=3000, rate=1e-4, added=0, array=filter.array[:-1])
    for name, content in (("text", b"hello"), ("cut", whole[:len(whole) // 2]), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
    for name in ("text", "cut", "empty", "other.npz", "short.npz"):
        with pytest.raises(ValueError, match=f"{name} is not a Bloom filter"):
            o.BloomFilter.load(tmp_path / name)


# -- overlaps -------------------------------------------------------------------------------------------------------


def exact(test: list[str], train: list[str]) -> list[tuple[int, int]]:
    kept = {gram for text in train for gram in o.eight_grams(o.normalise(text))}
    grams = [o.eight_grams(o.normalise(text)) for text in test]
    return [(sum(gram in kept for gram in of), len(of)) for of in grams]


def test_overlap_is_the_exact_sets():
    train, test = world.stories(400), [*world.stories(60, split="test"), "", "too short"]
    filter = o.BloomFilter.of(iter(train), expected=70_000)
    hits, totals = o.counts(iter(test), filter)
    assert list(zip(hits.tolist(), totals.tolist(), strict=True)) == exact(test, train)
    assert o.overlap(test, filter) == pytest.approx(100 * hits.sum() / totals.sum()) and 0 < o.overlap(test, filter) < 100
    assert np.allclose(o.per_document(test, filter), 100 * hits[:60] / totals[:60])


def test_overlap_on_real_text_is_the_exact_sets(mirror):
    """WikiText-2's test text (raw, a part of it) against its own first half and against stories."""
    from minigpt import data

    text = "".join(data.records("Salesforce/wikitext/wikitext-2-raw-v1", "test", "text"))
    half = len(text) // 2
    for train in ([text[:half]], world.stories(200)):
        filter = o.BloomFilter.of(train, expected=150_000)
        hits, totals = o.counts([text[half:]], filter)
        assert [(int(hits[0]), int(totals[0]))] == exact([text[half:]], train)


def test_case_and_punctuation_do_not_hide_a_copy():
    filter = o.BloomFilter.of(["The quick brown fox jumps over the lazy dog."], expected=100)
    assert o.overlap(["THE QUICK -- brown fox; jumps\nover the (lazy) dog!"], filter) == 100
    assert o.overlap(["the quick brown fox jumps over the lazy cat"], filter) == 50


def test_nothing_to_compare_is_said():
    filter = o.BloomFilter.of(["one two three four five six seven eight"], expected=10)
    for documents in ([], [""], ["seven words are not enough to compare"], [HOSTILE[0]]):
        with pytest.raises(ValueError, match="as many as 8 words"):
            o.overlap(documents, filter)
        assert len(o.per_document(documents, filter)) == 0
