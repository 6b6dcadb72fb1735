"""The stages that make a corpus of web pages (GPT-2 section 2.1), each a small generator that passes on what it keeps.

    karma -> wikipedia -> text -> clean -> language -> exact -> near

A stage reads documents from any iterable, one at a time, and yields those that stay. What does not stay goes to
`drop(document, stage, reason)`. So stages can be put together in any order, and a chain of them never holds more than one
document; the last two keep a digest or a signature of each document they let through, of fixed size however long the text is.

**What the paper says, and what we chose.** Links from Reddit with at least 3 karma; text by Dragnet and Newspaper (here it
is trafilatura); "de-duplication and some heuristic based cleaning"; all Wikipedia pages removed; pages in other languages
removed on purpose. It says neither how it found duplicates and other languages, nor what the cleaning was, nor the order of the
stages. Those are ours: exact hashes and MinHash, py3langid, at least `min_words` words in sentences.

trafilatura, datasketch and py3langid (the extra `web`) are imported only where they are used.
"""

import hashlib
import html
import importlib
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import regex

from minigpt.overlap import normalise

STAGES = ("links", "karma", "wikipedia", "text", "clean", "language", "exact", "near")
ENDS = (".", "!", "?", "…", ":", ";")
CONTROL = regex.compile(r"[[\p{Cc}\p{Cf}\p{Cs}]--[\s]]", regex.V1)
MAX_BYTES, MAX_TAGS = 10_000_000, 50_000  # a larger page is no article, and could take minutes to parse
Drop = Callable[["Document", str, str], None]


@dataclass
class Document:
    """A page on its way through the stages: `page` is what was fetched (bytes of HTML), `text` what was made of it."""

    id: str
    url: str = ""
    karma: int | None = None
    page: bytes = b""
    text: str = ""
    problem: str = ""  # why it could not be read at all
    truth: dict | None = None  # of pages that the project makes: what they are

    @property
    def size(self) -> int:
        """Bytes of the page, or of its text once there is one."""
        return len(self.page) or len(self.text.encode("utf-8", "surrogatepass"))


def need(package: str):
    """An optional package, imported; ModuleNotFoundError in one line that says how to get it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        wanted = "pip install trafilatura lxml_html_clean datasketch py3langid"
        raise ModuleNotFoundError(f"{package} cannot be imported ({error}); try: {wanted}") from None


def silent(document: Document, stage: str, reason: str) -> None:
    """The `drop` that remembers nothing."""


# -- by the link --------------------------------------------------------------------------------------------------------


def karma(documents: Iterable[Document], drop: Drop = silent, least: int = 3) -> Iterator[Document]:
    """Documents whose link has at least `least` karma, or none that is known (a folder of texts has no votes)."""
    for document in documents:
        if document.karma is None or document.karma >= least:
            yield document
        else:
            drop(document, "karma", f"{document.karma} karma")


def wikipedia(documents: Iterable[Document], drop: Drop = silent,
              domains: Iterable[str] = ("wikipedia.org",)) -> Iterator[Document]:
    """Documents that do not come from one of `domains` or a host below it (en.m.wikipedia.org).

    It sees addresses, not texts: mirrors of Wikipedia under another name, and quotations of it, pass.
    """
    domains = tuple(domains)
    for document in documents:
        host = hostname(document.url)
        if any(host == domain or host.endswith("." + domain) for domain in domains):
            drop(document, "wikipedia", host)
        else:
            yield document


def hostname(url: str) -> str:
    """The host of an address in lower case; "" for what is no address."""
    try:
        return (urlsplit(url.strip()).hostname or "").rstrip(".")
    except ValueError:
        return ""


# -- from a page to a text ------------------------------------------------------------------------------------------------


def text(documents: Iterable[Document], drop: Drop = silent, extractor: str = "trafilatura") -> Iterator[Document]:
    """Documents with the main text of their page; those that have a text already pass as they are.

    extractor: "trafilatura", or "plain" (all text outside of tags: menus and adverts stay in). Pages without main text, of more
    than MAX_BYTES or MAX_TAGS, or that cannot be parsed are dropped; no page stops the stream.
    """
    if extractor not in EXTRACTORS:
        raise ValueError(f"unknown extractor {extractor!r}: choose one of {', '.join(EXTRACTORS)}")
    extract = EXTRACTORS[extractor]
    if extractor == "trafilatura":
        need(extractor)
        logging.getLogger(extractor).setLevel(logging.CRITICAL)  # it logs each page that it cannot read; `drop` hears of them
    for document in documents:
        problem = document.problem or (f"larger than {MAX_BYTES:,} bytes" if document.size > MAX_BYTES else "")
        if not problem and document.page.count(b"<") > MAX_TAGS:
            problem = f"more than {MAX_TAGS:,} tags"
        if not problem and document.page:
            try:
                document.text, document.page = extract(document.page), b""
            except (ValueError, LookupError, RecursionError, AttributeError, TypeError) as error:  # what odd pages raise in lxml
                problem = f"cannot be parsed ({type(error).__name__})"
        if problem or not document.text.strip():
            drop(document, "text", problem or "no main text")
        else:
            yield document


def decode(page: bytes) -> str:
    """A page as characters: UTF-8 if that is what it is, else as it declares itself, else Windows-1252. Never fails.

    (trafilatura would guess from the letters' frequencies, and takes a short French page for Lithuanian.)
    """
    if page.startswith((b"\xff\xfe", b"\xfe\xff")):
        return page.decode("utf-16", "replace").replace("\0", "")
    try:
        return page.decode("utf-8-sig").replace("\0", "")
    except UnicodeDecodeError:
        told = re.search(rb"""(?i)charset\s*=\s*["']?([\w.:-]+)""", page[:4096])
    try:
        return page.decode(told.group(1).decode("ascii") if told else "cp1252", "replace").replace("\0", "")
    except (LookupError, UnicodeError):
        return page.decode("cp1252", "replace").replace("\0", "")


def _by_trafilatura(page: bytes) -> str:
    # fast: its own rules alone, without the second opinions of jusText and readability
    return need("trafilatura").extract(decode(page), fast=True, include_comments=False, include_tables=False) or ""


def plain_text(page: bytes) -> str:
    """What stands outside of tags, by three regular expressions: what one writes before one has seen real pages."""
    source = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", " ", decode(page))
    source = re.sub(r"(?i)<(p|div|li|h\d|br|td|tr|article|section|nav|footer|header|aside|blockquote)\b[^>]*>", "\n", source)
    return html.unescape(re.sub(r"<[^>]*>", "", source)).strip()


EXTRACTORS = {"trafilatura": _by_trafilatura, "plain": plain_text}


def clean(documents: Iterable[Document], drop: Drop = silent, min_words: int = 50) -> Iterator[Document]:
    """Documents with their text tidied (see `tidy`), if they hold at least `min_words` words in lines that end as sentences do.

    What is left of a page without an article is mostly menu items and headlines: short lines with no full stop.
    """
    for document in documents:
        document.text = tidy(document.text)
        words = sum(len(line.split()) for line in document.text.split("\n") if line.rstrip("\"'”’»)]").endswith(ENDS))
        if words < min_words:
            drop(document, "clean", f"{words} words in sentences")
        else:
            yield document


def tidy(text: str) -> str:
    """One way to write the same text: NFC, plain newlines and spaces, no control characters, at most one empty line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", CONTROL.sub("", text))
    text = re.sub(r" ?\n ?", "\n", re.sub(r"[^\S\n]+", " ", text))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def language(documents: Iterable[Document], drop: Drop = silent, keep: str = "en") -> Iterator[Document]:
    """Documents in the language `keep` (two letters), as py3langid judges their whole text."""
    classify = need("py3langid").classify
    for document in documents:
        found, _ = classify(document.text)
        if found == keep:
            yield document
        else:
            drop(document, "language", found)


# -- duplicates -----------------------------------------------------------------------------------------------------------


def digest(text: str) -> bytes:
    """16 bytes that are equal for texts of the same words, whatever their case, punctuation and spacing."""
    return hashlib.blake2b(" ".join(normalise(text)).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def exact(documents: Iterable[Document], drop: Drop = silent, seen: set[bytes] | None = None,
          note: Callable[[bytes], object] = bytes) -> Iterator[Document]:
    """The first document of each digest. `seen` holds those of earlier documents; each new one goes to `note` too."""
    seen = set() if seen is None else seen
    for document in documents:
        found = digest(document.text)
        if found in seen:
            drop(document, "exact", "the same words as an earlier document")
        else:
            seen.add(found)
            note(found)
            yield document


def shingles(text: str, size: int = 5) -> set[str]:
    """The set of runs of `size` words of a text (normalised); of a shorter text, all its words as one."""
    words = normalise(text)
    return {" ".join(words[i:i + size]) for i in range(max(1, len(words) - size + 1))}


def jaccard(a: set, b: set) -> float:
    """The share of two sets' elements that both have; two empty sets are equal, 1."""
    return len(a & b) / len(a | b) if a or b else 1.0


class NearIndex:
    """MinHash signatures of documents, and a locality-sensitive index that finds similar ones without comparing all pairs.

    threshold: the Jaccard similarity of two sets of shingles from which they count as near-duplicates, in (0, 1];
    shingle: words to a shingle; permutations: numbers to a signature: an estimate of a similarity s has a
    standard error of sqrt(s (1 - s) / permutations). The index proposes candidates and misses few (its bands are chosen to weigh
    a miss nine times a false alarm); a candidate counts when the two signatures agree in at least `threshold` of their numbers.
    """

    def __init__(self, threshold: float = 0.8, shingle: int = 5, permutations: int = 128):
        if not 0 < threshold <= 1 or shingle < 1 or permutations < 2:
            raise ValueError("near-duplicates need 0 < threshold <= 1, shingles of 1 word at least and 2 permutations at least, "
                             f"not {threshold}, {shingle} and {permutations}")
        self.threshold, self.shingle, self.permutations = threshold, shingle, permutations
        datasketch = need("datasketch")
        self._blank, self._lean = datasketch.MinHash(num_perm=permutations, seed=1, scheme="affine32"), datasketch.LeanMinHash
        short = lambda band: hashlib.blake2b(band, digest_size=8).digest()  # noqa: E731 - keeps the index's keys small
        self._lsh = datasketch.MinHashLSH(threshold=threshold, num_perm=permutations, weights=(0.1, 0.9), hashfunc=short)
        self.bands, self.rows = self._lsh.b, self._lsh.r
        self.signatures: list[np.ndarray] = []

    def signature(self, text: str) -> np.ndarray:
        """uint32 (permutations,): for each of that many hash functions, its least value over the text's shingles."""
        minhash = self._blank.copy()
        minhash.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in shingles(text, self.shingle)])
        return minhash.hashvalues.astype(np.uint32)

    def find(self, signature: np.ndarray) -> tuple[int, float] | None:
        """(number, estimated similarity) of the most similar document so far, if it reaches the threshold."""
        found = [(float((self.signatures[key] == signature).mean()), -key) for key in self._lsh.query(self._minhash(signature))]
        similarity, key = max(found, default=(0.0, 0))
        return (-key, similarity) if found and similarity >= self.threshold else None

    def add(self, signature: np.ndarray) -> None:
        """Remember a document; they are numbered from 0."""
        self._lsh.insert(len(self.signatures), self._minhash(signature))
        self.signatures.append(signature)

    def _minhash(self, signature: np.ndarray):
        return self._lean(seed=1, hashvalues=signature, scheme="affine32")


def near(documents: Iterable[Document], drop: Drop = silent, index: NearIndex | None = None,
         note: Callable[[bytes], object] = bytes) -> Iterator[Document]:
    """Documents that are no near-duplicates of one before them. `index` knows earlier ones; new signatures go to `note` too."""
    index = index or NearIndex()
    for document in documents:
        signature = index.signature(document.text)
        twin = index.find(signature)
        if twin:
            drop(document, "near", f"{twin[1]:.2f} like document {twin[0]} of those kept")
        else:
            index.add(signature)
            note(signature.tobytes())
            yield document
