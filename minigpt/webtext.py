"""A small WebText (GPT-2 section 2.1): pages in, shards of token ids out, through the stages of `webtext_stages`.

    build(documents("world", 400), "runs/webtext", BPE.load("world"))       # or: python -m minigpt.webtext --out runs/webtext
    load_shards("runs/webtext")                                             # arrays of ids, left on disk

The folder then holds shard-00000.npy and so on (ids of whole documents, each ended by <|endoftext|>; uint16 where the vocabulary
allows it), fates.jsonl (what became of each page, and why), the digests and signatures that find duplicates, and index.json.

**Kill it at any moment.** index.json is written anew, atomically, after each shard. It says how many pages were read by then, the
count of every stage, and how long each of the other files was. A run that finds it cuts the files back to those lengths, skips
those pages, and ends with the same bytes as one that was never stopped.

**Memory** is that of one page, one shard, and for each kept document a digest and a signature with its places in the index:
5 KB, whatever its length. A million documents take 5 GB; a corpus like WebText wants its index on disk, or on several machines.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from minigpt import data
from minigpt import webtext_stages as stages
from minigpt.bpe import BPE
from minigpt.webtext_pages import documents, judge, pages, top_domains
from minigpt.webtext_stages import STAGES, Document, NearIndex

__all__ = ["Settings", "build", "load_shards", "fates", "funnel", "translations", "documents", "judge", "pages", "top_domains"]
FORMAT = "minigpt webtext 1"
NOTES = ("fates.jsonl", "digests.bin", "signatures.bin")


@dataclass(frozen=True)
class Settings:
    """What the stages are told; the paper's where it says something, else ours (see `webtext_stages`)."""

    least_karma: int = 3
    domains: tuple[str, ...] = ("wikipedia.org",)
    extractor: str = "trafilatura"
    min_words: int = 50
    language: str = "en"
    threshold: float = 0.8
    shingle: int = 5
    permutations: int = 128
    shard_tokens: int = 10_000_000


def build(found: Iterable[Document], out: str | Path, bpe: BPE, settings: Settings | None = None, source: str = "",
          stop_after: int | None = None) -> dict:
    """Take documents through all stages into shards in the folder `out`, and return its index.

    found: all documents of the source, from the first (those read before a kill are skipped); source: its name, which must be
    the same when a stopped run is taken up; stop_after: stop, as if killed, after so many new shards. Raises ValueError for a
    folder made with other settings, a damaged one, or a source without documents; OSError if it cannot be written.
    """
    settings, out = settings or Settings(), Path(out)
    near = NearIndex(settings.threshold, settings.shingle, settings.permutations)  # first: it may find that a package is missing
    index = _begin(out, settings, bpe, source)
    if index["complete"]:
        return index
    counts, notes = index["stages"], {name: open(out / name, "ab") for name in NOTES}
    saved = np.fromfile(out / "signatures.bin", np.uint32).reshape(-1, settings.permutations)
    for signature in saved:
        near.add(signature)
    digests = (out / "digests.bin").read_bytes()
    seen = {digests[i:i + 16] for i in range(0, len(digests), 16)}

    def drop(document: Document, stage: str, reason: str) -> None:
        _note(notes["fates.jsonl"], id=document.id, stage=stage, reason=reason)

    def tally(name: str, stream: Iterable[Document]) -> Iterator[Document]:
        for document in stream:
            counts[name]["documents"] += 1
            counts[name]["bytes"] += document.size
            yield document

    chain = tally("links", islice(found, counts["links"]["documents"], None))
    for name, stage in (
            ("karma", lambda d: stages.karma(d, drop, settings.least_karma)),
            ("wikipedia", lambda d: stages.wikipedia(d, drop, settings.domains)),
            ("text", lambda d: stages.text(d, drop, settings.extractor)),
            ("clean", lambda d: stages.clean(d, drop, settings.min_words)),
            ("language", lambda d: stages.language(d, drop, settings.language)),
            ("exact", lambda d: stages.exact(d, drop, seen, notes["digests.bin"].write)),
            ("near", lambda d: stages.near(d, drop, near, notes["signatures.bin"].write))):
        chain = tally(name, stage(chain))
    try:
        return _write_shards(chain, out, bpe, settings, index, notes, stop_after)
    finally:
        for file in notes.values():
            file.close()


def _write_shards(chain, out: Path, bpe: BPE, settings: Settings, index: dict, notes: dict, stop_after: int | None) -> dict:
    """The last stage: ids into shards, each followed by a commit of everything."""
    held, size, new = [], 0, 0
    for document in chain:
        held.append(data.encode(bpe, [document.text]).astype(index["dtype"]))
        size += len(held[-1])
        _note(notes["fates.jsonl"], id=document.id, stage="kept", shard=len(index["shards"]))
        if size >= settings.shard_tokens:
            _commit(out, index, notes, held)
            held, size, new = [], 0, new + 1
            if new == stop_after:
                return index
    if not index["stages"]["links"]["documents"]:
        raise ValueError("the source holds no documents")
    index["complete"] = True
    _commit(out, index, notes, held)
    return index


def _note(file, **row) -> None:
    file.write((json.dumps(row, ensure_ascii=True) + "\n").encode("ascii"))


def _commit(out: Path, index: dict, notes: dict, held: list[np.ndarray]) -> None:
    """Make what was done so far final: the shard, the notes, and last the index that vouches for them."""
    if held:
        name, ids = f"shard-{len(index['shards']):05d}.npy", np.concatenate(held)
        with open(out / (name + ".part"), "wb") as file:
            np.save(file, ids)
            _sync(file)
        os.replace(out / (name + ".part"), out / name)
        index["shards"].append({"file": name, "tokens": len(ids), "documents": len(held),
                                "sha256": hashlib.sha256((out / name).read_bytes()).hexdigest()})
    for name, file in notes.items():
        _sync(file)
        index["files"][name] = file.tell()
    _save_index(out, index)


def _sync(file) -> None:
    file.flush()
    os.fsync(file.fileno())


def _save_index(out: Path, index: dict) -> None:
    with open(out / "index.json.part", "w", encoding="utf-8", newline="\n") as file:
        json.dump(index, file, indent=1)
        file.write("\n")
        _sync(file)
    os.replace(out / "index.json.part", out / "index.json")


def _begin(out: Path, settings: Settings, bpe: BPE, source: str) -> dict:
    """The index of a folder, new or taken up, with its files cut back to what the index vouches for."""
    fresh = {"format": FORMAT, "settings": json.loads(json.dumps(asdict(settings))), "source": source,
             "vocabulary": _vocabulary(bpe), "dtype": "uint16" if bpe.vocab_size <= 1 << 16 else "uint32",
             "stages": {name: {"documents": 0, "bytes": 0} for name in STAGES}, "shards": [], "files": dict.fromkeys(NOTES, 0),
             "complete": False}
    if (out / "index.json").is_file():
        index = read_index(out)
        for key in ("settings", "source", "vocabulary"):
            if index[key] != fresh[key]:
                raise ValueError(f"{out} was made with other {key} ({_difference(index[key], fresh[key])}); give another folder")
    elif out.is_dir() and any(not path.name.startswith("index.json") for path in out.iterdir()):
        raise ValueError(f"{out} holds other files; give a new folder")
    else:
        index = fresh
        out.mkdir(parents=True, exist_ok=True)
        _save_index(out, index)
    for name, size in index["files"].items():
        with open(out / name, "ab") as file:
            if file.tell() < size:
                raise ValueError(f"{out / name} is shorter than index.json says; delete the folder and build it again")
            file.truncate(size)
    for name in out.glob("shard-*"):
        if name.name not in {shard["file"] for shard in index["shards"]}:
            name.unlink()
    return index


def _vocabulary(bpe: BPE) -> str:
    """A digest of a vocabulary: another one would give other ids."""
    listed = json.dumps([sorted(bpe.vocab.items()), [list(pair) for pair in bpe.merges]])
    return hashlib.sha256(listed.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _difference(old, new) -> str:
    if isinstance(old, dict):
        return ", ".join(f"{key}: {old.get(key)}, not {new[key]}" for key in new if old.get(key) != new[key])
    return f"{old}, not {new}"


def read_index(out: str | Path) -> dict:
    """index.json of a folder. FileNotFoundError without one, ValueError if it is none of ours."""
    path = Path(out) / "index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{out} holds no index.json; build it with: python -m minigpt.webtext --out {out}") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise ValueError(f"{path} is not an index of shards")
    return index


def load_shards(out: str | Path, verify: bool = False) -> list[np.ndarray]:
    """The shards of a folder, (tokens,) each, mapped from disk and not read. verify: compare their SHA-256 (reads all of them).

    Raises FileNotFoundError or ValueError, naming the file, for a shard that is missing, cut short or changed.
    """
    found = []
    for shard in read_index(out)["shards"]:
        path = Path(out) / shard["file"]
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; delete the folder and build it again")
        try:
            ids = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError):
            ids = np.zeros(0)
        if ids.shape != (shard["tokens"],) or verify and hashlib.sha256(path.read_bytes()).hexdigest() != shard["sha256"]:
            raise ValueError(f"{path} is cut short or damaged; delete the folder and build it again")
        found.append(ids)
    if not found:
        raise ValueError(f"{out} holds no shards: no document was kept, or the run was stopped before the first")
    return found


def fates(out: str | Path) -> Iterator[dict]:
    """What became of each page, in order: {"id", "stage", "reason"} if it was dropped, else {"id", "stage": "kept", "shard"}."""
    with open(Path(out) / "fates.jsonl", encoding="ascii") as file:
        yield from map(json.loads, file)


def funnel(counts: dict[str, dict[str, int]], ax=None):
    """Draw how many documents are left after each stage, as bars with numbers. counts: an index's "stages". Returns the axes."""
    import matplotlib.pyplot as plt

    from minigpt import viz

    ax = ax or plt.subplots(figsize=(6.8, 3.4))[1]
    for i, (name, row) in enumerate(counts.items()):
        ax.barh(i, row["documents"], color=viz.COLORS["blue" if name not in ("text", "clean") else "sky"], height=0.7)
        ax.text(row["documents"], i, f" {row['documents']:,} documents, {row['bytes'] / 1e3:,.0f} kB", va="center", fontsize=10)
    ax.set_yticks(range(len(counts)), [f"after {name}" if name != "links" else "links" for name in counts])
    ax.set(xlabel="documents", xlim=(0, 1.45 * max(1, *(row["documents"] for row in counts.values()))))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    return ax


# -- naturally occurring translations (Table 1) -----------------------------------------------------------------------------

QUOTED = re.compile(r"""[«“"]\s*([^«»“”"\n]{3,300}?)\s*[»”"] | \[([^\]\n]{3,300})\]
                        | (?<!\w)['‘]((?:[^'’\n]|(?<=\w)['’](?=\w)){3,300})['’](?!\w)""", re.VERBOSE)
SAID = re.compile(r':\s+([^«»“”"\[\]:\n]{3,200}?)\s*(?=\[)')
CUE = re.compile(r"\b(translat\w*|mean(s|ing|t)?|English|literally|or|i\.e\.|that is)\b", re.IGNORECASE)
REACH = 90  # characters between a phrase and its gloss, at most


def translations(found: Iterable[Document], foreign: str = "fr", least_words: int = 3) -> Iterator[dict]:
    """Phrases of another language that an English text quotes and explains, as in Table 1: {"id", "phrase", "gloss"}.

    A phrase is what stands in quotation marks (or between a colon and a bracket), has `least_words` words at least, and is more
    probably `foreign` than English by py3langid. Its gloss is the English quotation or bracket after it, if no more than 90
    characters lie between, with a word such as "means" or "translates" among them, or nothing but punctuation.
    """
    rank = stages.need("py3langid").rank

    def is_foreign(phrase: str) -> bool:
        scores = dict(rank(phrase))
        if foreign not in scores:
            raise ValueError(f"py3langid does not know the language {foreign!r}; it knows: {', '.join(sorted(scores))}")
        return scores[foreign] > scores["en"]

    for document in found:
        for line in document.text.split("\n"):
            spans = [(m.start(), m.end(), next(filter(None, m.groups()))) for m in (*QUOTED.finditer(line), *SAID.finditer(line))]
            spans.sort()
            for (_, end, phrase), (start, _, gloss) in zip(spans, spans[1:], strict=False):
                between = line[end:start]
                near = 0 <= len(between) <= REACH and (CUE.search(between) or not re.search(r"\w", between))
                if near and len(phrase.split()) >= least_words and is_foreign(phrase) and not is_foreign(gloss):
                    yield {"id": document.id, "phrase": phrase, "gloss": gloss}


# -- the command ------------------------------------------------------------------------------------------------------------


def add_arguments(p: argparse.ArgumentParser) -> None:
    """The arguments of `python -m minigpt.webtext`."""
    default = Settings()
    p.add_argument("--source", default="world",
                   help="world, a folder of .html and .txt files, a .jsonl file of links, or a hub id (default: world)")
    p.add_argument("--out", required=True, help="folder for the shards; a stopped run in it is taken up")
    p.add_argument("--pages", type=int, default=400, help="how many pages of the world to make (default: 400)")
    p.add_argument("--seed", type=int, default=0, help="of the world's pages (default: 0)")
    p.add_argument("--tokenizer", default="world", help="gpt2, a shipped model, or a folder with a vocabulary (default: world)")
    p.add_argument("--domains", nargs="*", default=list(default.domains), help="whose pages are removed (default: wikipedia.org)")
    p.add_argument("--extractor", choices=list(stages.EXTRACTORS), default=default.extractor, help="(default: trafilatura)")
    for name, about in (("least_karma", "of a link"), ("min_words", "of a document"), ("language", "that is kept"),
                        ("threshold", "Jaccard similarity of near-duplicates"), ("shingle", "words to a shingle"),
                        ("permutations", "numbers to a signature"), ("shard_tokens", "tokens to a shard, about")):
        value = getattr(default, name)
        p.add_argument("--" + name.replace("_", "-"), type=type(value), default=value, help=f"{about} (default: {value})")


def command(options) -> None:
    """Build, and print what every stage left; ValueError, OSError or ModuleNotFoundError in one line."""
    bpe = BPE.gpt2() if options.tokenizer == "gpt2" else BPE.load(options.tokenizer)
    given = {name: getattr(options, name) for name in Settings.__dataclass_fields__}
    settings = Settings(**given | {"domains": tuple(options.domains)})
    source = f"world, {options.pages} pages, seed {options.seed}" if options.source == "world" else options.source
    index = build(documents(options.source, options.pages, options.seed), options.out, bpe, settings, source)
    for name, row in index["stages"].items():
        print(f"{'after ' * (name != 'links') + name:16}{row['documents']:>10,} documents{row['bytes']:>15,} bytes")
    tokens = sum(shard["tokens"] for shard in index["shards"])
    print(f"{tokens:,} tokens in {len(index['shards'])} shards in {options.out}; why each page went: {options.out}/fates.jsonl")


def main(arguments: list[str] | None = None) -> int:
    """python -m minigpt.webtext"""
    parser = argparse.ArgumentParser("python -m minigpt.webtext", description="A small WebText: pages in, shards of tokens out.")
    add_arguments(parser)
    try:
        command(parser.parse_args(arguments))
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
