"""How much of a text stands in another: 8-grams of words kept in a Bloom filter (GPT-2 section 4, Table 6, Figure 5).

The paper asks, for a test set, how many of its 8-grams occur in the training text. It keeps the training text's 8-grams in a Bloom
filter whose false positive rate is bounded by 1 in 10^8, "normalised to contain only lower-cased alphanumeric words with a single
space as a delimiter".

    filter = BloomFilter.of(training_documents, expected=2_000_000)
    overlap(test_documents, filter)                # per cent of the test set's 8-grams that stand in the training text

Memory is 1.44 log2(1/p) / 8 bytes per item, 4.8 at the paper's rate, however long the items are: 36 GB for the seven and a half
billion words of WebText. Nothing else grows with the text: documents are read one at a time from any iterable.

**The hash.** A word has a digest of 128 bits, two numbers of 64 (blake2b). The two numbers of an 8-gram are sums of those of
its words, each times an odd constant of its position, modulo 2^64: NumPy does that for a whole text at a time. If blake2b
behaves like a random function, two different 8-grams agree in both with a probability of at most 2^(-2 (64 - z)), where z is the
largest number of zero bits at the end of any sum or difference of the constants (13 here: 2^-102; the tests try all of them).
"""

import hashlib
import math
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import regex

from minigpt import paper

N = 8  # words to an n-gram
RATE = paper.fact("gpt2-bloom")
BATCH = 1 << 17  # words worked on at a time
VOCABULARY = 1 << 20  # different words whose digests are remembered, at most
WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")
ASCII_WORD = re.compile("[a-z0-9]+")
ODD = np.array([int.from_bytes(hashlib.blake2b(f"position {i}".encode(), digest_size=8).digest(), "little") | 1 for i in range(N)],
               dtype=np.uint64)
FORMAT = "minigpt Bloom filter 1"


def normalise(text: str) -> list[str]:
    """The words of a text as the paper compares them: lower-cased runs of letters and digits, everything else a gap.

    The paper says no more than "lower-cased alphanumeric words". Our reading for Unicode: letters and digits are those of any
    script, with the marks that follow them; the same letter in two spellings (é as one sign or as two) is one, by NFC; the
    apostrophe is a gap, so "don't" is two words; a text without spaces, as in Chinese, is one word up to the next punctuation.
    """
    if text.isascii():
        return ASCII_WORD.findall(text.lower())
    return WORD.findall(unicodedata.normalize("NFC", text.lower()))


def eight_grams(words: list[str]) -> list[str]:
    """All runs of 8 words with a single space between, repeats included; none if there are fewer than 8 words."""
    return [" ".join(words[i:i + N]) for i in range(len(words) - N + 1)]


def mix(x: np.ndarray) -> np.ndarray:
    """Stir uint64 numbers so that every bit depends on every bit: the finaliser of splitmix64, a bijection."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class _Digests(dict):
    """The place of a word's digest in `table`, which grows when a new word is looked up."""

    def __init__(self):
        super().__init__()
        self.table = bytearray()

    def __missing__(self, word: str) -> int:
        self.table += hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self[word] = len(self)
        return self[word]

    def combine(self, words: list[str]) -> np.ndarray:
        """The digests of all 8-grams of a list of words, uint64 (len(words) - 7, 2)."""
        if len(words) < N:
            return np.empty((0, 2), dtype=np.uint64)
        if len(self) > VOCABULARY:
            self.clear()
            self.table = bytearray()
        at = np.array([self[word] for word in words])
        found = np.frombuffer(bytes(self.table), dtype="<u8").reshape(-1, 2)[at].T.astype(np.uint64)
        count = len(words) - N + 1
        sums = np.zeros((2, count), dtype=np.uint64)
        for i in range(N):
            sums += found[:, i:i + count] * ODD[i]
        return sums.T


def digests(words: list[str]) -> np.ndarray:
    """The 128-bit digest of every 8-gram of a list of words, in order: uint64 (len(words) - 7, 2), or (0, 2)."""
    return _Digests().combine(list(words))


def stream(documents: Iterable[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The 8-grams of documents, piece by piece: (counts, digests), int64 (documents,) and uint64 (sum of counts, 2).

    Takes one document at a time and holds a batch; no 8-gram reaches from one document into the next.
    """
    if isinstance(documents, str):
        raise ValueError("documents must be a list or an iterator of strings, not one string")
    memory, words, lengths = _Digests(), [], []
    for document in documents:
        if not isinstance(document, str):
            raise ValueError(f"a document must be a string, not {type(document).__name__}")
        found = normalise(document)
        words += found
        lengths.append(len(found))
        if len(words) >= BATCH:
            yield _split(memory.combine(words), lengths)
            words, lengths = [], []
    if lengths:
        yield _split(memory.combine(words), lengths)


def _split(found: np.ndarray, lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Drop the 8-grams that reach over the end of a document; count those that each document keeps."""
    counts = np.maximum(np.array(lengths, dtype=np.int64) - N + 1, 0)
    room = np.repeat(np.cumsum(lengths), lengths)[:len(found)] - np.arange(len(found))  # words left in the document from here on
    return counts, found[room >= N]


class BloomFilter:
    """A set that answers "have I seen this?" in a fixed number of bits: never no for what was added, rarely yes for what was not.

    expected: how many different items it is made for; false_positive_rate: how often it may then say yes wrongly. Items are
    128-bit digests, as `digests` gives them. Each sets `hashes` of the `bits`, drawn by double hashing: from the digest's
    halves a and b, the i-th position is mix(a + i b) mod bits. (The usual a + i b mod bits is not enough at the paper's rate: two
    items share all positions as soon as a and b agree mod bits, one pair in bits^2; chapter 14 measures it.)
    Raises ValueError for a size or rate that makes no sense; warns once it holds more than it was made for.
    """

    def __init__(self, expected: int, false_positive_rate: float = RATE):
        if not isinstance(expected, int | np.integer) or isinstance(expected, bool) or expected < 1:
            raise ValueError(f"expected is the number of different items, a whole number from 1 on, not {expected!r}")
        if not 0 < false_positive_rate < 1:
            raise ValueError(f"the false positive rate must lie between 0 and 1, it is {false_positive_rate}")
        self.expected, self.false_positive_rate = int(expected), float(false_positive_rate)
        self.hashes = max(1, math.ceil(-math.log2(false_positive_rate)))
        self.bits = math.ceil(-self.hashes * self.expected / math.log1p(-false_positive_rate ** (1 / self.hashes)))
        try:
            self.array = np.zeros(self.bits // 8 + 1, dtype=np.uint8)
        except (MemoryError, ValueError):
            raise ValueError(f"a filter for {expected:,} items at {false_positive_rate:g} takes {self.bits / 8e9:,.1f} GB, more "
                             "than there is; allow a higher rate or fewer items") from None
        self.added, self._look_at, self._warned = 0, self.expected, False

    @classmethod
    def of(cls, documents: Iterable[str], expected: int, false_positive_rate: float = RATE) -> "BloomFilter":
        """A filter that holds the 8-grams of the documents."""
        made = cls(expected, false_positive_rate)
        made.add_documents(documents)
        return made

    @property
    def fill(self) -> float:
        """The share of its bits that are set; one half when it holds what it was made for."""
        return sum(int(_ONES[part].sum()) for part in np.array_split(self.array, 1 + len(self.array) // 2**24)) / self.bits

    @property
    def distinct(self) -> float:
        """About how many different items it holds, from the share of set bits."""
        fill = self.fill
        return math.inf if fill == 1 else -self.bits / self.hashes * math.log1p(-fill)

    @property
    def rate(self) -> float:
        """The false positive rate that it has now: a stranger needs all of its positions set, fill ** hashes."""
        return self.fill ** self.hashes

    def theoretical_rate(self, items: int | None = None) -> float:
        """The false positive rate to expect with so many different items, (1 - e^(-k n / m))^k; by default with `expected`."""
        return (-math.expm1(-self.hashes * (self.expected if items is None else items) / self.bits)) ** self.hashes

    def _positions(self, found: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Where the i-th hash of each item points: the byte's index and the bit in it."""
        at = mix(found[:, 0] + np.uint64(i) * found[:, 1]) % np.uint64(self.bits)
        return (at >> np.uint64(3)).astype(np.int64), np.left_shift(np.uint8(1), (at & np.uint64(7)).astype(np.uint8))

    def add(self, found: np.ndarray) -> None:
        """Add items, uint64 (n, 2)."""
        found = _checked(found)
        for part in np.array_split(found, 1 + len(found) // BATCH):
            for i in range(self.hashes):
                at, bit = self._positions(part, i)
                while len(at):  # of two writes to one byte the last one wins, so look again until every bit stands
                    missing = (self.array[at] & bit) == 0
                    at, bit = at[missing], bit[missing]
                    self.array[at] |= bit
        self.added += len(found)
        if self.added >= self._look_at and not self._warned:
            self._look()

    def _look(self) -> None:
        """Warn if there is more in it than it was made for; otherwise see when that can be at the earliest."""
        held = self.distinct
        if held > 1.02 * self.expected + 10:
            warnings.warn(f"the Bloom filter was made for {self.expected:,} items and holds about {held:,.0f}: its false positive "
                          f"rate is now {self.rate:.2g}, not {self.false_positive_rate:.2g}; make a larger one", stacklevel=3)
            self._warned = True
        self._look_at = self.added + max(self.expected - held, self.expected / 50)

    def contains(self, found: np.ndarray) -> np.ndarray:
        """For each item, uint64 (n, 2), whether it may have been added: bool (n,). False is certain."""
        found = _checked(found)
        left = np.arange(len(found))
        for i in range(self.hashes):  # half of the strangers are out after each look
            at, bit = self._positions(found[left], i)
            left = left[(self.array[at] & bit) != 0]
        yes = np.zeros(len(found), dtype=bool)
        yes[left] = True
        return yes

    def add_documents(self, documents: Iterable[str]) -> int:
        """Add the 8-grams of documents, one document at a time; returns how many there were, repeats included."""
        before = self.added
        for _, found in stream(documents):
            self.add(found)
        return self.added - before

    def merge(self, other: "BloomFilter") -> "BloomFilter":
        """Take in what another filter of the same size holds: several machines can each read a part of a corpus."""
        if (self.bits, self.hashes) != (other.bits, other.hashes):
            raise ValueError(f"only filters of one size merge: this has {self.bits:,} bits and {self.hashes} hashes, "
                             f"the other {other.bits:,} and {other.hashes}")
        self.array |= other.array
        self.added += other.added
        if self.added >= self._look_at and not self._warned:
            self._look()
        return self

    def save(self, path: str | Path) -> None:
        """Write it as one .npz file, and nothing less: a killed write leaves what was there before."""
        path = Path(path)
        partial = path.with_name(path.name + ".partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            np.savez(file, format=FORMAT, expected=self.expected, rate=self.false_positive_rate, added=self.added, array=self.array)
        partial.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> "BloomFilter":
        """Read what `save` wrote. FileNotFoundError without the file, ValueError if it is something else or damaged."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no Bloom filter {path}")
        try:
            with np.load(path, allow_pickle=False) as kept:
                if str(kept["format"]) != FORMAT:
                    raise ValueError
                made = cls(int(kept["expected"]), float(kept["rate"]))
                array, made.added = kept["array"], int(kept["added"])
            if array.shape != made.array.shape or array.dtype != np.uint8:
                raise ValueError
        except Exception:  # zipfile, zlib and numpy each have their own
            raise ValueError(f"{path} is not a Bloom filter of this book, or is damaged; make it again") from None
        made.array = array
        return made


_ONES = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)


def _checked(found: np.ndarray) -> np.ndarray:
    if not (isinstance(found, np.ndarray) and found.ndim == 2 and found.shape[1] == 2 and found.dtype == np.uint64):
        raise ValueError("items are digests, uint64 (n, 2), as `digests` and `stream` give them")
    return found


def counts(documents: Iterable[str], filter: BloomFilter) -> tuple[np.ndarray, np.ndarray]:
    """For each document how many of its 8-grams the filter holds, and how many it has: two int64 (documents,).

    Every occurrence counts: an 8-gram that stands three times in a document is counted three times.
    """
    hits, totals = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for sizes, found in stream(documents):
        seen = np.concatenate([[0], np.cumsum(filter.contains(found))])
        ends = np.cumsum(sizes)
        hits.append(seen[ends] - seen[ends - sizes])
        totals.append(sizes)
    return np.concatenate(hits), np.concatenate(totals)


def overlap(documents: Iterable[str], filter: BloomFilter) -> float:
    """Per cent of the documents' 8-grams that the filter holds (Table 6). ValueError if no document has 8 words."""
    hits, totals = counts(documents, filter)
    if not totals.sum():
        raise ValueError("no document has as many as 8 words, so there is nothing to compare")
    return 100 * float(hits.sum() / totals.sum())


def per_document(documents: Iterable[str], filter: BloomFilter) -> np.ndarray:
    """Per cent of each document's 8-grams that the filter holds (Figure 5): float (n,), documents below 8 words left out."""
    hits, totals = counts(documents, filter)
    return 100 * hits[totals > 0] / totals[totals > 0]
