"""A mirror for a class behind a firewall: data and weights in one folder, laid out as MINIGPT_DATA reads it, a digest of each file.

    python -m course mirror                                   what there is
    python -m course mirror FOLDER gpt2 lambada --dry-run     how large that is
    python -m course mirror FOLDER gpt2 lambada sst2          fetch; the same again goes on where a stopped one stood
    python -m course mirror FOLDER gpt2 --from OTHER          ... from another mirror, without a network
    python -m course mirror FOLDER --check                    read every file again and compare digests

Everything comes at the commit that the book was written against; where it names none, at the newest, which the manifest records.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from course.report import store
from minigpt import data, hub
from minigpt.tasks_table import HIDDEN, TABLE1

MANIFEST = "manifest.json"
WEIGHTS = {"gpt1": "openai-community/openai-gpt"} | {name: f"openai-community/{name}" for name in (
    "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")}
MODEL_FILES = ("config.json", "model.safetensors", "vocab.json", "merges.txt")
MEASURES = {  # what `python -m minigpt evaluate --task NAME` reads without --data: (source, split)
    "lambada": ("EleutherAI/lambada_openai/data", "test"),
    "cbt-cn": ("cam-cst/cbt/CN", "validation"), "cbt-ne": ("cam-cst/cbt/NE", "validation"),
    "wikitext2": ("Salesforce/wikitext/wikitext-2-raw-v1", "test"),
    "wikitext103": ("Salesforce/wikitext/wikitext-103-raw-v1", "test"),
    "summaries": ("abisee/cnn_dailymail/3.0.0", "test"),
    "translation-en-fr": ("wmt/wmt14/fr-en", "test"), "translation-fr-en": ("wmt/wmt14/fr-en", "test"),
    "questions": ("google-research-datasets/nq_open", "validation"),
}
EXACT = {"lambada": ("data/lambada_test.jsonl",)}  # the one file that is read, of several in that folder
BY_HAND = {"storycloze"}  # not on the hub


@dataclass(frozen=True)
class Part:
    """Files of one repository: those named, or the data files of one split below one configuration."""

    repo_id: str
    kind: str = "dataset"
    names: tuple[str, ...] = ()
    configuration: str = ""
    split: str = ""

    def chosen(self, held: list[str]) -> list[str]:
        """Which of a repository's files belong to this part. Raises HubError if it holds none, or not all that are named."""
        if self.names:
            found = [name for name in self.names if name in held]
        else:
            below = [name for name in held if PurePosixPath(name).suffix in data.READERS
                     and (not self.configuration or self.configuration in name.split("/")[:-1])]
            found = [name for name in below if data._part_of(name) == self.split]
        if not found or len(found) < len(self.names):
            lost = ", ".join(name for name in self.names if name not in found) or f"{self.configuration} {self.split}".strip()
            raise hub.HubError(f"{self.repo_id}: no {lost} there")
        return found


def sets() -> dict[str, list[Part]]:
    """What can be mirrored: weights, the tasks of `evaluate`, and those of `finetune`, each by the name that the command has."""
    found = {name: [Part(repo_id, "model", MODEL_FILES)] for name, repo_id in WEIGHTS.items()}
    places = {name: [place] for name, place in MEASURES.items()}
    for task in TABLE1.values():
        splits = [split for split in task.splits if not (HIDDEN in task.note and split.startswith("test"))]
        places[task.name] = sorted({task.where(split) for split in splits})
    for name in places.keys() - BY_HAND:
        ids = [("/".join(source.split("/")[:2]), "/".join(source.split("/")[2:]), split) for source, split in places[name]]
        found[name] = [Part(repo_id, "dataset", EXACT.get(name, ()), below, split) for repo_id, below, split in ids]
    return {name: found[name] for name in [*WEIGHTS, *places] if name in found}


@dataclass(frozen=True)
class Held:
    """A file that a source holds: bytes, digests where the source knows them, the commit it belongs to."""

    size: int
    sha256: str | None = None
    blob: str | None = None  # git's own digest, for files that are not kept as large ones
    revision: str | None = None


class Hub:
    """The hub, or what HF_ENDPOINT names. A file that its local cache holds is not fetched again."""

    def __init__(self):
        self.endpoint = os.environ.get("HF_ENDPOINT") or None

    def held(self, repo_id: str, kind: str) -> dict[str, Held]:
        """The files of a repository at its pinned commit, or at the newest where none is pinned. Raises HubError."""
        import huggingface_hub

        hub._require_hub(repo_id)
        try:
            api = huggingface_hub.HfApi(endpoint=self.endpoint)
            commit = hub.REVISIONS.get(repo_id) or api.repo_info(repo_id, repo_type=kind, timeout=10).sha
            tree = list(api.list_repo_tree(repo_id, recursive=True, revision=commit, repo_type=kind))
        except Exception as error:  # whatever it is, one line
            raise hub._one_line(error, repo_id) from None
        return {item.path: Held(item.size, item.lfs and item.lfs.sha256, item.blob_id, commit)
                for item in tree if hasattr(item, "size") and ".." not in item.path.split("/")}

    def fetch(self, part: Part, name: str, held: Held, target: Path) -> None:
        """Download a file to its place; a stopped download goes on where it stood."""
        import huggingface_hub

        root = target.parents[len(PurePosixPath(name).parts) - 1]
        try:
            huggingface_hub.hf_hub_download(part.repo_id, name, repo_type=part.kind, revision=held.revision, local_dir=root,
                                            endpoint=self.endpoint, etag_timeout=10)
        except Exception as error:
            raise hub._one_line(error, f"{part.repo_id}/{name}") from None


class Folder:
    """Another mirror, with a manifest or without."""

    def __init__(self, folder: Path):
        self.folder, self.known = folder, manifest(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder")

    def held(self, repo_id: str, kind: str) -> dict[str, Held]:
        """The files of a repository that lie there. Raises HubError if there are none."""
        root = self.folder / repo_id
        paths = [path for path in root.rglob("*") if path.is_file()]
        names = {path.relative_to(root).as_posix(): path for path in paths if not hidden(path.relative_to(root))}
        if not names:
            raise hub.HubError(f"{repo_id} is not in {self.folder}")
        entries = {name: self.known.get(f"{repo_id}/{name}", {}) for name in names}
        return {name: Held(path.stat().st_size, entries[name].get("sha256"), None, entries[name].get("revision"))
                for name, path in names.items()}

    def fetch(self, part: Part, name: str, held: Held, target: Path) -> None:
        """Copy a file, whole or not at all."""
        beside = target.with_name(target.name + ".part")
        shutil.copyfile(self.folder / part.repo_id / name, beside)
        os.replace(beside, target)


def hidden(path: Path) -> bool:
    """Whether a path belongs to a tool's own notes, as huggingface_hub's .cache does, or is half a copy."""
    return any(piece.startswith(".") for piece in path.parts) or path.suffix == ".part"


def manifest(folder: Path) -> dict[str, dict]:
    """<hub id>/<path> -> {"bytes", "sha256", "revision"}; {} where there is none. ValueError if it is damaged."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {name: {"bytes": int(entry["bytes"]), "sha256": str(entry["sha256"]), "revision": entry["revision"]}
                for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is damaged: delete it and run the command again, which reads all files anew") from None


def sha256(path: Path) -> str:
    """The digest of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wrong(path: Path, name: str, repo_id: str, held: Held) -> tuple[str, str]:
    """(the digest of a file, what is wrong with it in a few words or "")."""
    digest = sha256(path)
    known = hub.SHA256.get((repo_id, name)) or held.sha256
    if path.stat().st_size != held.size:
        return digest, f"{path.stat().st_size:,} bytes instead of {held.size:,}"
    if known and digest != known:
        return digest, f"SHA-256 {digest[:12]}… instead of {known[:12]}…"
    if held.blob and not known:
        content = path.read_bytes()
        if hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() != held.blob:
            return digest, "not the hub's digest"
    return digest, ""


def size(n: int) -> str:
    """Bytes as people read them."""
    unit, name = next((pair for pair in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if n >= pair[0]), (1, "bytes"))
    return f"{n / unit:.{int(unit > 1)}f} {name}"


def make(folder: Path, names: list[str], source: Hub | Folder, tell=print, dry: bool = False) -> list[str]:
    """Bring the sets named into `folder`; returns the files that were fetched. Raises ValueError or OSError in one line.

    A file that is there and right is left alone; each new one is compared with what the source and the book know of it before it
    enters the manifest.
    """
    known, everything = manifest(folder), sets()
    if unknown := [name for name in names if name not in everything]:
        raise ValueError(f"no set {unknown[0]!r}; there are {', '.join(everything)}")
    listed, wanted = {}, {}
    for name in names:
        of_set = {}
        for part in everything[name]:
            if part.repo_id not in listed:
                listed[part.repo_id] = source.held(part.repo_id, part.kind)
            held = listed[part.repo_id]
            of_set |= {f"{part.repo_id}/{file}": (part, file, held[file]) for file in part.chosen(list(held))}
        tell(f"{name}: {len(of_set)} files, {size(sum(held.size for _, _, held in of_set.values()))}")
        wanted |= of_set
    missing = {key: item for key, item in wanted.items() if not here(folder / key, known.get(key), item[2])}
    needed = sum(held.size for _, _, held in missing.values())
    tell(f"to fetch: {len(missing)} of {len(wanted)} files, {size(needed)}")
    if dry:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    if needed > shutil.disk_usage(folder).free:
        raise OSError(f"{folder}: {size(needed)} are needed, and {size(shutil.disk_usage(folder).free)} are free")
    fetched = []
    for key, (part, name, held) in missing.items():
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        adopted = target.is_file() and (held.sha256 or held.blob) and not wrong(target, name, part.repo_id, held)[1]
        if not adopted:  # it is not there, or nobody knows what it should be
            target.unlink(missing_ok=True)  # the hub's library takes what lies there for the right file
            source.fetch(part, name, held, target)
            fetched.append(key)
        digest, trouble = wrong(target, name, part.repo_id, held)
        if trouble:
            target.unlink()
            raise ValueError(f"{key} came damaged ({trouble}) and was removed; try again")
        known[key] = {"bytes": held.size, "sha256": digest, "revision": held.revision}
        write(folder, known)
        tell(f"  {key}  {size(held.size)}")
    return fetched


def here(path: Path, entry: dict | None, held: Held) -> bool:
    """Whether a file is there as the manifest has it, read to its last byte, and the manifest has it as the source does."""
    if not entry or not path.is_file() or entry["bytes"] != held.size or held.sha256 not in (None, entry["sha256"]):
        return False
    return path.stat().st_size == held.size and sha256(path) == entry["sha256"]


def write(folder: Path, files: dict[str, dict]) -> None:
    """The manifest, whole or not at all."""
    store(folder / MANIFEST, json.dumps({"files": dict(sorted(files.items()))}, indent=1) + "\n")


def check(folder: Path) -> tuple[int, list[str]]:
    """(files that are right, one line for each that is not): every file is read. ValueError if there is no manifest."""
    known, troubles = manifest(folder), []
    if not known:
        raise ValueError(f"{folder} has no {MANIFEST}: make the mirror first")
    for key, entry in known.items():
        path, repo_id = folder / key, "/".join(key.split("/")[:2])
        held = Held(entry["bytes"], entry["sha256"])
        trouble = wrong(path, key.removeprefix(f"{repo_id}/"), repo_id, held)[1] if path.is_file() else "missing"
        troubles += [f"{key}: {trouble}; run the command for its set again"] if trouble else []
    return len(known) - len(troubles), troubles
