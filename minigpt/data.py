"""From text to batches: sources of documents, token streams, random windows.

A source is named by one word and always becomes the same thing, a dictionary of lists of documents (plain strings):

    "world"                     stories of the embedded world, generated on the spot
    "shakespeare.txt"           a text file; documents are separated by <|endoftext|> if the file has that mark
    "my-texts"                  a folder of text files, one document each
    "roneneldan/TinyStories"    a data set of the hub, or of the mirror folder MINIGPT_DATA, read by `datasets`;
                                "Salesforce/wikitext/wikitext-2-raw-v1" names a configuration of one
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from minigpt import hub, world
from minigpt.bpe_core import GPT2_WORDS, split_gpt2

END_OF_TEXT = "<|endoftext|>"
SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
READERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".txt": "text"}
TEXT_FILES = (".txt", ".md", ".text")


def read(source, n_bytes=4_000_000, seed=0):
    """The documents of a source: dict(train=list[str], validation=list[str]).

    n_bytes: about how much of the endless world to generate for training (validation gets a twentieth of it); seed:
    its seed. Other sources are read whole. Where a source has no validation part of its own, its last tenth, by
    characters, is held out. Raises FileNotFoundError, ValueError or hub.HubError, in one line.
    """
    if not str(source).strip():
        raise ValueError("the source has no name; give 'world', a file, a folder or a hub id")
    if str(source) == "world":
        return {"train": world_documents("train", n_bytes, seed),
                "validation": world_documents("validation", max(1, n_bytes // 20), seed)}
    file = Path(source).expanduser()
    if file.is_file():
        if file.suffix in (".parquet", ".jsonl", ".json"):
            return split(_documents(_load([file])))
        return split(_text_documents(_read_text(file)))
    if file.is_dir():
        names = sorted(name for name in file.rglob("*") if name.suffix.lower() in TEXT_FILES and name.is_file())
        if not names:
            raise FileNotFoundError(f"{file} holds no text files ({', '.join(TEXT_FILES)})")
        return split([document for name in names for document in _text_documents(_read_text(name))])
    if not _looks_like_hub_id(str(source)):
        raise FileNotFoundError(f"{source} is neither 'world', nor a file or folder here, nor a hub id "
                                "(organisation/name)")
    return _read_hub(str(source))


def world_documents(part, n_bytes, seed=0):
    """Stories of one split of the world ("train", "validation" or "test") until they fill `n_bytes` bytes."""
    if n_bytes < 1:
        raise ValueError(f"n_bytes must be at least 1, not {n_bytes}")
    documents, size, index = [], 0, 0
    while size < n_bytes:
        documents.append(world.story(index, split=part, seed=seed))
        size += len(documents[-1].encode("utf-8"))
        index += 1
    return documents


def split(documents):
    """Hold out the last tenth of the characters, cutting the document that straddles the border in two."""
    total = sum(map(len, documents))
    border = total - total // 10
    train, validation, seen = [], [], 0
    for document in documents:
        head = document[: max(0, border - seen)]
        tail = document[len(head):]
        seen += len(document)
        if head:
            train.append(head)
        if tail:
            validation.append(tail)
    if not train or not validation:
        raise ValueError(f"the text is too short to hold out a tenth of it: {total} characters")
    return {"train": train, "validation": validation}


def records(source, part, column=None):
    """One split of a hub data set, as a datasets.Dataset (or one of its columns as a list).

    source: "organisation/name" or "organisation/name/configuration"; part: "train", "validation" or "test". The files
    come from the mirror folder MINIGPT_DATA or the hub (`hub.path`), and are read by `datasets`, running no code of
    theirs. Raises hub.HubError or ValueError in one line.
    """
    if part not in SPLITS:
        raise ValueError(f"unknown split {part!r}: one of {', '.join(SPLITS)}")
    repo_id, names = _hub_files(source)
    chosen = [name for name in names if _part_of(name) == part]
    if not chosen:
        held = sorted({_part_of(name) for name in names if _part_of(name)})
        raise ValueError(f"{source} has no {part} split here; it has: {', '.join(held) or 'no data files'}")
    loaded = _load([hub.path(repo_id, name, repo_type="dataset") for name in chosen])
    if column is None:
        return loaded
    if column not in loaded.column_names:
        raise ValueError(f"{source} has no column {column!r}; it has: {', '.join(loaded.column_names)}")
    return list(loaded[column])


def encode(bpe, documents):
    """Documents as one stream of ids, int32 (n_tokens,), with <|endoftext|> after each document.

    Byte-level vocabularies are encoded by tiktoken, which is compiled; the ids are those of `bpe.encode`. A vocabulary
    without <|endoftext|> (GPT-1's) leaves no mark. Raises ValueError if there is nothing to encode.
    """
    if isinstance(documents, str):
        raise ValueError("documents must be a list of strings, not one string")
    fast = _tiktoken(bpe)
    parts = []
    for document in documents:
        ids = fast.encode_ordinary(document) if fast else bpe.encode(document)
        if bpe.eos_id is not None:
            ids.append(bpe.eos_id)
        parts.append(np.array(ids, dtype=np.int32))
    if not any(len(part) for part in parts):
        raise ValueError("there are no documents to encode")
    return np.concatenate(parts)


def batch(tokens, batch_size, n_positions, seed, step):
    """Random windows of the stream for one update: (x, y), int64 (batch_size, n_positions), y one token later than x.

    A pure function of its arguments: a run that resumes at `step` sees what it would have seen (GPT-1 section 4.1:
    randomly sampled, contiguous sequences). Raises ValueError if the text is shorter than one window.
    """
    if batch_size < 1 or n_positions < 1:
        raise ValueError(f"batch_size and n_positions must be at least 1, not {batch_size} and {n_positions}")
    if len(tokens) < n_positions + 1:
        raise ValueError(f"the text is too short: {len(tokens)} tokens, and one window takes {n_positions + 1}")
    starts = np.random.default_rng((seed, step)).integers(0, len(tokens) - n_positions, batch_size)
    windows = torch.from_numpy(np.asarray(tokens)[starts[:, None] + np.arange(n_positions + 1)].astype(np.int64))
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def _read_text(file):
    try:
        raw = file.read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text (byte {error.start} is not); save it as UTF-8") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    if "\0" in text:
        raise ValueError(f"{file} is a binary file, not text: it holds zero bytes")
    if not text.strip():
        raise ValueError(f"{file} is empty")
    return text


def _text_documents(text):
    """A text cut at its <|endoftext|> marks, if any; otherwise left as it is."""
    if END_OF_TEXT not in text:
        return [text]
    return [document.strip("\n") for document in text.split(END_OF_TEXT) if document.strip()]


def _looks_like_hub_id(source):
    """Whether a name that is no local path can be "organisation/name" or "organisation/name/configuration"."""
    if Path(source).suffix.lower() in TEXT_FILES or source.startswith((".", "/", "~")):
        return False
    try:
        hub.check_id("/".join(source.split("/")[:2]))
    except hub.HubError:
        return False
    return source.count("/") <= 2


def _hub_files(source):
    """(hub id, its data files below the configuration, if one is named)."""
    repo_id, configuration = "/".join(source.split("/")[:2]), "/".join(source.split("/")[2:])
    names = [name for name in hub.files(repo_id) if Path(name).suffix in READERS]
    if configuration:
        names = [name for name in names if configuration in name.split("/")[:-1]]
    folders = sorted({name.rsplit("/", 1)[0] for name in names if "/" in name})
    if not names:
        raise ValueError(f"{source} has no data files of a kind that is read here ({', '.join(READERS)})")
    if len(folders) > 1 and not configuration:
        raise ValueError(f"{repo_id} has several configurations; name one, as {repo_id}/{folders[0]} "
                         f"(of {', '.join(folders)})")
    return repo_id, names


def _part_of(name):
    """The split a file belongs to, by its name: "data/train-00000-of-00002.parquet" -> "train"; None if unclear."""
    words = Path(name).stem.lower().replace("_", "-").replace(".", "-").split("-")
    return next((part for part, spellings in SPLITS.items() if any(word in spellings for word in words)), None)


def _load(paths):
    import datasets

    datasets.disable_progress_bars()
    kind = READERS[paths[0].suffix]
    try:
        return datasets.load_dataset(kind, data_files=[str(path) for path in paths], split="train")
    except Exception as error:  # the library has many; the reader gets one line
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise ValueError(f"{paths[0]} cannot be read as {kind}: {reason}") from None


def _documents(loaded):
    """The texts of a loaded data set: its column "text", else its first column of strings."""
    kinds = {name: getattr(feature, "dtype", "") for name, feature in loaded.features.items()}
    strings = [name for name, kind in kinds.items() if kind in ("string", "large_string")]
    name = "text" if "text" in strings else next(iter(strings), None)
    if name is None:
        raise ValueError(f"the data set has no column of text; it has: {', '.join(loaded.column_names)}")
    rows = list(loaded[name])
    if all(not row or row.endswith("\n") for row in rows):  # WikiText's rows are the lines of one text
        rows = ["".join(rows)]
    documents = [row for row in rows if row and row.strip()]
    if not documents:
        raise ValueError("the data set holds no text")
    return documents


def _read_hub(source):
    repo_id, names = _hub_files(source)
    parts = {_part_of(name) for name in names}
    if "train" not in parts and None not in parts:
        raise ValueError(f"{source} has no train split here; it has: {', '.join(sorted(parts))}")
    if "train" not in parts:  # one nameless file: all of it
        return split(_documents(_load([hub.path(repo_id, name, repo_type="dataset") for name in names])))
    train = _documents(records(source, "train"))
    if "validation" not in parts:
        return split(train)
    return {"train": train, "validation": _documents(records(source, "validation"))}


@lru_cache(maxsize=4)
def _tiktoken(bpe):
    """A tiktoken encoding with the ids of `bpe`, or None where tiktoken cannot express it.

    tiktoken uses one number as a token's id and as its place among the merges, so it serves byte-level vocabularies
    whose merged tokens are numbered in the order they were learned: GPT-2's and those of `BPE.train`.
    """
    merged = [bpe.vocab[left + right] for left, right in bpe.merges]
    if bpe.pre_tokenize is not split_gpt2 or merged != sorted(set(merged)):
        return None
    import tiktoken

    ranks = {bpe.decode_bytes([i]): i for token, i in bpe.vocab.items() if token not in bpe.specials}
    if len(ranks) != 256 + len(merged):
        return None
    return tiktoken.Encoding("minigpt", pat_str=GPT2_WORDS.pattern, mergeable_ranks=ranks,
                             special_tokens=dict(bpe.specials))
