"""A folder of submissions: in parallel, each marked once; a batch that was stopped goes on where it stood."""

import hashlib
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from course import examine, report
from course.examine import Examination, Key, Limits
from course.keeper import Keeper
from course.master import Master, masters
from course.report import store

NAMES = {"files": "no reading and writing outside the own folder", "network": "no network", "user": "an ordinary user, not root",
         "processes": "no other processes", "signals": "no signals to other processes"}


def submissions(folder: Path) -> dict[str, Path | None]:
    """Student -> file. A file is a submission; a folder is one too, with its only notebook (None if it has none or several)."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of submissions")
    found, entries = {}, sorted(p for p in Path(folder).iterdir() if not p.name.startswith("."))
    stems = [p.stem if p.is_file() else p.name for p in entries]
    for path, stem in zip(entries, stems, strict=True):
        name = stem if stems.count(stem) == 1 else path.name
        if path.is_dir() and not path.is_symlink():
            books = sorted(p for p in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
            path = books[0] if len(books) == 1 else None
        found[name] = path if path and path.is_file() and not path.is_symlink() else None
    if not found:
        raise FileNotFoundError(f"{folder}: no submissions in it")
    return found


def choose(found: dict[str, Path | None], wanted: str | None) -> Master:
    """The assignment: the one named, or the one that most submissions say they are. ValueError if neither tells."""
    known = {master.name: master for master in masters()}
    if wanted:
        matching = [name for name in known if name == wanted or name.split("-")[0].lstrip("0") == wanted.lstrip("0")]
        if not matching:
            raise ValueError(f"no assignment {wanted!r}; there are {', '.join(known)}")
        return known[matching[0]]
    votes = []
    for path in filter(None, found.values()):
        try:
            votes.append(examine.read(path)[2])
        except (ValueError, OSError):
            continue
    votes = [vote for vote in votes if vote in known]
    if not votes:
        raise ValueError(f"no submission says which assignment it is: name it with --assignment ({', '.join(known)})")
    return known[max(sorted(set(votes)), key=votes.count)]


def mark(student: str, path: Path | None, keeper: Keeper, key: Key, limits: Limits) -> dict:
    """One submission's result. A file that cannot be marked is a result too."""
    master = key.master
    result = {"student": student, "file": path.name if path else "", "assignment": master.name, "notes": [], "answers": {}}
    try:
        if path is None:
            raise ValueError("no notebook, or more than one")
        cells, result["answers"], named = examine.read(path)
        if named and named != master.name:
            result["notes"].append(f"the file says that it is assignment {named[:40]}")
        result["notes"] += [f"imports {name}, which the assignment closes" for name in examine.imports(cells, master.closed)]
        result |= Examination(keeper, key, limits).run(cells)
    except ValueError as error:
        result["trouble"] = [str(error)]
    except Exception as error:  # whatever a submission does, the batch goes on; the instructor sees that this one needs a look
        result["trouble"] = [f"the grader itself failed: {type(error).__name__}: {error}"]
        result["failed"] = True
    zero = {p.id: {"title": p.title, "points": 0, "out_of": p.points, "said": "nothing to mark", "parts": []} for p in master.coded}
    result["problems"] = zero | result.get("problems", {})
    result["written"] = {p.id: {"title": p.title, "out_of": p.points, "answer": result["answers"].get(p.id, "")}
                         for p in master.problems if p.written}
    del result["answers"]
    result["score"] = sum(p["points"] for p in result["problems"].values())
    result["out_of"] = sum(p.points for p in master.coded)
    return result


def fingerprint(path: Path | None, master: Master, seed: str, limits: Limits) -> str:
    """What a result depends on: a result with the same fingerprint need not be made again."""
    content = path.read_bytes() if path else b""
    secret = hashlib.scrypt(seed.encode(), salt=master.name.encode(), n=1 << 10, r=8, p=1).hex()
    return hashlib.sha256(b"|".join([content, master.digest.encode(), secret.encode(), repr(limits).encode(), b"1"])).hexdigest()


def finished(path: Path, print_of: str) -> dict | None:
    """An earlier result, if it is whole, belongs to the same file, tests and limits, and the grader did not fail."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if result.get("fingerprint") == print_of and not result.get("failed") else None


def probe(keeper: Keeper, limits: Limits) -> dict:
    """Which limits hold here: asked of a process started as the students' are. Falls back to the grader's own user."""
    keeper.nobody = True
    for keeper.nobody in (True, False):
        try:
            student = examine.Student(keeper, limits, [], float("inf"))
        except examine.Gone:
            continue
        held = student.held
        student.end()
        return held
    raise RuntimeError("no student's process can be started here; the reason stands above")


def grade(folder: Path, out: Path, seed: str, jobs: int = 2, assignment: str | None = None, limits: Limits = Limits(),  # noqa: B008
          tell=print) -> list[dict]:
    """Mark every submission in `folder` and write results, table, feedback and Gradescope's files below `out`."""
    if len(seed) < 8:
        raise ValueError("the secret seed should have at least 8 characters: whoever guesses it knows the hidden tests")
    found = submissions(folder)
    master = choose(found, assignment)
    key, out = Key.make(master, seed), Path(out)
    prints = {name: fingerprint(path, master, seed, limits) for name, path in found.items()}
    results = {name: finished(out / "results" / f"{name}.json", prints[name]) for name in found}
    todo = [name for name, result in results.items() if result is None]
    tell(f"{master.name}: {len(found)} submissions, {len(found) - len(todo)} of them marked before")

    if todo:
        with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as work:
            os.chmod(work, 0o711)  # the students' processes may pass through it, to their own folders
            with Keeper(Path(work)) as keeper:
                held = probe(keeper, limits)
                missing = [text for name, text in NAMES.items() if not held.get(name)]
                tell("not enforced on this system: " + "; ".join(missing) if missing else "all limits are enforced")

                def one(name: str) -> None:
                    result = mark(name, found[name], keeper, key, limits) | {"fingerprint": prints[name]}
                    store(out / "results" / f"{name}.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
                    results[name] = result
                    tell(f"{name}: {result['score']} of {result['out_of']}")

                with ThreadPoolExecutor(max(1, jobs)) as pool:
                    list(pool.map(one, todo))
    ordered = [results[name] for name in found]
    report.write(out, ordered, master)
    return ordered
