"""What byte-pair encoding is made of: splitting a text into words, spelling bytes, and learning merges."""

import heapq
from collections import Counter
from collections.abc import Iterable
from itertools import count

import regex

# Letters, digits and the rest never share a word; a word may start with one space; the last of several spaces
# belongs to the next word. The contractions are lower-case only, as in the released code.
GPT2_WORDS = regex.compile(
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
# A plain stand-in for GPT-1's ftfy and spaCy: letter runs with the English clitics apart, titles with their dot,
# numbers, runs of dots, hyphens or quotes, any other mark alone; a line break is a word too.
GPT1_WORDS = regex.compile(
    r"\s*\n\s*|\b(?:mr|mrs|ms|dr|st)\.|\p{L}+(?=n't\b)|n't\b|'(?:s|d|m|ll|ve|re)\b|[\p{L}\p{M}]+"
    r"|\p{N}+(?:\.\p{N}+)*\p{L}*|\.\.+|--+|''|[^\s\p{L}\p{M}\p{N}]", regex.IGNORECASE
)
PLAIN_MARKS = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "—": "-"})


def byte_symbols() -> list[str]:
    """The visible character that stands for each byte 0..255 in vocab.json and merges.txt.

    Printable Latin-1 stands for itself; the other 68 bytes (controls, spaces) take the characters from 256 up.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = count(256)
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def split_gpt2(text: str) -> list[str]:
    """GPT-2's words: their concatenation is the text."""
    return GPT2_WORDS.findall(text)


def split_gpt1(text: str) -> list[str]:
    """Words without their spaces, line breaks as "\\n"; to split in another way set `bpe.pre_tokenize`."""
    words = GPT1_WORDS.findall(text.strip().translate(PLAIN_MARKS))
    return ["\n" if "\n" in word else word for word in words]


def token_bytes(vocab: dict[str, int], symbols: list[str], specials: dict[str, int]) -> list[bytes]:
    """The bytes of each token by id; specials are spelled as they are. Raises ValueError on any other spelling."""
    to_byte = {symbol: byte for byte, symbol in enumerate(symbols)}
    table = [b""] * len(vocab)
    for token, i in vocab.items():
        try:
            table[i] = token.encode() if token in specials else bytes(to_byte[c] for c in token)
        except KeyError:
            raise ValueError(f"token {token!r} (id {i}) is not spelled in GPT-2's characters for bytes") from None
    return table


def gpt1_words(words: Iterable[str]) -> list[str]:
    """Lower-cased words with no white space inside; a word of white space with a line break in it becomes "\n"."""
    found = []
    for word in words:
        found += word.lower().split() or (["\n"] if "\n" in word else [])
    return found


def valid_text(text: str) -> str:
    """Surrogate pairs joined, lone surrogates replaced by U+FFFD; other text as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def learn_merges(words: list[tuple[list[int], int]], n_merges: int, next_id: int) -> list[tuple[int, int]]:
    """The first `n_merges` pairs that byte-pair encoding merges; merge k makes the id next_id + k.

    words: (ids, how often the word occurs), each word once. All words lie in one chain of positions, with -1
    between them. Every pair keeps its count and the positions where it begins, so a merge looks at nothing but
    its own occurrences. The work in all is O(N log N) for N ids, however many merges. Fewer pairs come back if
    none is left.
    """
    symbols, weight = [-1], [0]
    for word, times in words:
        symbols += [*word, -1]
        weight += [times] * len(word) + [0]
    before, after = list(range(-1, len(symbols) - 1)), list(range(1, len(symbols) + 1))
    counts, where = Counter(), {}
    for i in range(len(symbols) - 1):
        if symbols[i] >= 0 and symbols[i + 1] >= 0:
            pair = symbols[i], symbols[i + 1]
            counts[pair] += weight[i]
            where.setdefault(pair, []).append(i)
    # A pair's occurrences all arise at once, when the newer of its symbols does; from then on its count can only
    # fall. So it enters the heap once, and an entry whose count has since fallen goes back in when it comes up.
    heap = [(-times, pair) for pair, times in counts.items()]
    heapq.heapify(heap)
    learned = []
    while heap and len(learned) < n_merges:
        times, pair = heapq.heappop(heap)
        if -times != counts[pair]:
            if counts[pair] > 0:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        new, born = next_id + len(learned), {}
        left, right = pair
        learned.append(pair)
        for i in where.pop(pair):
            j = after[i]
            if symbols[i] != left or symbols[j] != right:
                continue  # merged away since, or eaten by the occurrence just before, as in "aaa"
            h, k, times = before[i], after[j], weight[i]
            symbols[i], symbols[j] = new, -2
            after[i], before[k] = k, i
            if symbols[h] >= 0:
                counts[symbols[h], left] -= times
                counts[symbols[h], new] += times
                born.setdefault((symbols[h], new), []).append(h)
            if symbols[k] >= 0:
                counts[right, symbols[k]] -= times
                counts[new, symbols[k]] += times
                born.setdefault((new, symbols[k]), []).append(i)
        del counts[pair]
        for made, positions in born.items():
            if counts[made] > 0:  # not when a neighbouring merge used it up at once
                where[made] = positions
                heapq.heappush(heap, (-counts[made], made))
    return learned
