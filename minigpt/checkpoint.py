"""Training checkpoints that survive a kill at any moment: written whole or not at all, verified before use.

A checkpoint is checkpoint-00000500.pt and beside it its SHA-256; the newest two are kept, so that a damaged one leaves another.
"""

import hashlib
import os
import warnings
from pathlib import Path

import torch


def save(folder: str | Path, step: int, state: dict, keep: int = 2) -> Path:
    """Write `state` (tensors, numbers, text, lists, dicts) atomically; OSError, with nothing half-written left, if it cannot be."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path, partial = folder / f"checkpoint-{step:08d}.pt", folder / "checkpoint.partial"
    try:
        with open(partial, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        digest = _digest(partial)
        os.replace(partial, path)
        note = folder / "digest.partial"
        note.write_text(digest, encoding="ascii")
        os.replace(note, _note(path))
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        partial.unlink(missing_ok=True)
        raise OSError(f"could not write {path.name} in {folder} ({error})") from None
    for old in sorted(folder.glob("checkpoint-*.pt"))[:-keep]:
        _note(old).unlink(missing_ok=True)
        old.unlink()
    return path


def newest(folder: str | Path) -> dict | None:
    """The newest whole checkpoint, or None without any. A damaged one is named in a warning and the one before it is used.

    Raises ValueError when there are checkpoints but not one of them is whole.
    """
    found = sorted(Path(folder).glob("checkpoint-*.pt"), reverse=True)
    for path in found:
        if _note(path).is_file() and _note(path).read_text(encoding="ascii") == _digest(path):
            return torch.load(path, map_location="cpu", weights_only=True)
        warnings.warn(f"{path} is truncated or damaged and is not used", stacklevel=2)
    if found:
        raise ValueError(f"no checkpoint in {folder} is whole; start again without --resume")
    return None


def _note(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
