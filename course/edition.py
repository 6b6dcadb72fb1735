"""The students' edition of the site: chapters without the exercises' solutions, the assignments' hand-outs as pages, no way round.

It is made from filtered copies: what Sphinx never sees cannot end in a page, a search index or a download. The built site is
searched all the same, every file of it, for every line of every solution.
"""

import base64
import html
import json
import re
import shutil
import zlib
from functools import lru_cache
from pathlib import Path

import dev
from course.master import as_text, handouts, masters

FOLDED = re.compile(r'<details class="solution">.*?</details>\n*', re.DOTALL)
BADGE = re.compile(r".*<!-- colab -->.*\n*")
PACKED = """\
# The check of this exercise, packed so that reading on gives nothing away. Run it as it is.
import base64, zlib

exec(zlib.decompress(base64.b85decode("{code}")).decode())"""
UNPACK = re.compile(r'b85decode\("([^"]+)"\)')
GET = "{{download}}`Download this notebook <{path}>`, for Jupyter or VS Code, or for *File › Upload notebook* on Colab.\n\n"
PICTURE = re.compile(r"[A-Za-z0-9+/]{400,}={0,2}")  # base64
TELLING = 18  # shorter lines, such as `return bits`, stand in many places and say nothing alone
# The pages speak of solutions and of Colab's launch button, which this edition does not have.
EDITED = {
    "book/how-to-read.md": [
        ("open it in Colab by the rocket at the top.", "open it in Colab: each page begins with a link to its notebook."),
        ("there is a folded hint, and below it a folded solution. Nobody counts how often you open them.",
         "there is a folded hint. The solutions are not in this edition; ask your teacher."),
    ],
    "book/welcome.md": [
        (" Each chapter also opens in Colab by the rocket at the top of\nits page.",
         " Each page begins with a link to its notebook."),
    ],
    "_config.yml": [
        ("launch_buttons:\n  colab_url: https://colab.research.google.com\n", ""),
        ("use_repository_button: true", "use_repository_button: false"),
        ("use_issues_button: true", "use_issues_button: false"),
    ],
    "_toc.yml": [("      - file: book/instructors\n", "")],
}
PAGE = """\
# The assignments

{many} assignments accompany the book. Each page is the notebook that you hand in; download it, work on it, and let its checks
tell you what is wrong and why. Beside each lie the rules for an AI assistant: give them to yours before you start.

| | assignment | points | hours | to download |
|---|---|---|---|---|
{rows}
"""


def source(cell: dict) -> str:
    return "".join(cell["source"])


# -- what may not get out ---------------------------------------------------------------------------------------------


def squeezed(text: str) -> str:
    """Letters and digits alone: no line break, no indentation, no markup and no curly quote hides a match."""
    return re.sub(r"[\W_]+", "", text.lower())


def lines(text: str, known: str) -> frozenset[str]:
    """The telling lines of a solution, squeezed, in pieces where a formula or a reference will look different on a page.

    Signatures stand in the stub, loop heads and imports say little, and what `known` holds is shown to students anyway.
    """
    said = ("def ", "for ", "from ", "<details", "</details", "```")
    kept = [line for line in text.splitlines() if not line.lstrip().startswith(said)]
    pieces = {squeezed(piece) for line in kept for piece in re.split(r"\$[^$]*\$|\{\w+\}`[^`]*`", line)}
    return frozenset(piece for piece in pieces if len(piece) >= TELLING and piece not in known)


@lru_cache
def folded() -> dict[str, str]:
    """The solutions of the chapters' exercises, as they stand in the notebooks."""
    books = {path.stem: json.loads(path.read_text(encoding="utf-8"))["cells"] for path in dev.NOTEBOOKS}
    return {f"{name}, solution {n}": match[0] for name, cells in books.items() for n, match in enumerate(
        (match for cell in cells if cell["cell_type"] == "markdown" for match in FOLDED.finditer(source(cell))), 1)}


@lru_cache
def secrets() -> dict[str, frozenset[str]]:
    """Where a solution stands -> its telling lines. What the chapters' own cells teach is no secret."""
    taught = ""
    for path in dev.NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code" and "exercise-check" not in cell["metadata"].get("tags", []):
                taught += squeezed(source(cell)) + "\n"
    found = {where: lines(text, taught) for where, text in folded().items()}
    for master in masters():
        shown = taught + squeezed("".join(map(source, master.student()["cells"])))
        found |= {f"{master.name}, secret {n}": lines(text, shown) for n, text in enumerate(master.secrets(), 1)}
    return found


def strings(value) -> list[str]:
    """Every string of a JSON value; the lines of one source or output are one string."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings(item)]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ["".join(value)]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


def readable(path: Path) -> list[str]:
    """All that a file says: as it stands, without its tags, with its packed checks unpacked, a notebook cell by cell."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        content = path.read_bytes()
        if path.suffix == ".inv":  # Sphinx's list of names: four lines, then compressed
            content = zlib.decompress(content.split(b"\n", 4)[4])
        return [content.decode("latin-1")]
    text = PICTURE.sub("", text)
    versions = [text, html.unescape(text), html.unescape(re.sub(r"<[^>]*>", "", text))]
    versions += ["\n".join(strings(json.loads(text)))] if path.suffix == ".ipynb" else []
    packed = {code for version in versions for code in UNPACK.findall(version)}
    return versions + [zlib.decompress(base64.b85decode(code)).decode() for code in packed]


def leaks(folder: Path) -> list[str]:
    """Each line of a solution that stands in a file below `folder`, with the file; the list should be empty."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name, versions = path.relative_to(folder).as_posix(), readable(path)
        found += [f"{name}: {mark}" for mark in ('class="solution"', "BEGIN SOLUTION") if mark in "\n".join(versions)]
        whole = "\n".join(map(squeezed, versions))
        found += [f"{name}: {where}: {line[:80]}" for where, secret in secrets().items() for line in secret if line in whole]
    return found


def index_leaks(index: Path, shown: str) -> list[str]:
    """Words that only the solutions of the chapters have, found in a built search index, which holds stems and no lines."""
    from sphinx.search.en import SearchEnglish

    stem = SearchEnglish({}).stem

    def stems(text: str) -> set[str]:
        return {stem(word.lower()) for word in re.findall(r"\w+", text) if len(word) > 4}

    text = index.read_text(encoding="utf-8")
    known = json.loads(text[text.index("(") + 1:text.rindex(")")])
    return sorted((stems("\n".join(folded().values())) - stems(shown)) & (known["terms"].keys() | known["titleterms"].keys()))


# -- filtered copies --------------------------------------------------------------------------------------------------


def chapter(notebook: dict) -> dict:
    """A chapter as students get it: no folded solutions, checks packed, no button to the edition that has both."""
    cells = []
    for cell in notebook["cells"]:
        text, tags = source(cell), cell["metadata"].get("tags", [])
        if cell["cell_type"] == "markdown":
            text = FOLDED.sub("", BADGE.sub("", text)).strip("\n")
        elif "exercise-check" in tags:
            text = PACKED.format(code=base64.b85encode(zlib.compress(text.encode(), 9)).decode())
        if text:
            meta = {key: cell["metadata"][key] for key in ("tags", "mystnb") if key in cell["metadata"]}
            cells.append(cell | {"source": text.splitlines(True), "metadata": meta})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return notebook | {"cells": cells, "metadata": {"kernelspec": kernel}}


def page(notebook: dict, link: str) -> dict:
    """A notebook as a page: below its title a link to the file itself."""
    first, second, *rest = notebook["cells"]
    title, _, text = source(first).partition("\n")
    below = GET.format(path=link) + text.lstrip("\n")
    tags = sorted({*second["metadata"].get("tags", []), "hide-cell"})
    return notebook | {"cells": [first | {"source": f"{title}\n\n{below}".splitlines(True)},
                                 second | {"metadata": second["metadata"] | {"tags": tags}}, *rest]}


def overview() -> tuple[str, str]:
    """The page of the assignments, and their part of the table of contents."""
    rows, entries = [], []
    for master in masters():
        title = next(line for line in master.cells[0].source.splitlines() if line.startswith("# ")).removeprefix("# ")
        number, _, name = title.partition(" · ")
        points, hours = sum(p.points for p in master.problems), round(sum(p.minutes for p in master.problems) / 30) / 2
        rows.append(f"| {number.split()[-1]} | [{name}]({master.name}.ipynb) | {points} | {hours:g} | "
                    f"{{download}}`the notebook <../../files/{master.name}.ipynb>`, "
                    f"{{download}}`the rules for assistants <../../files/{master.name}.tutor.md>` |")
        entries.append(f"      - file: notebooks/assignments/{master.name}\n")
        entries.append(f"        sections:\n          - file: notebooks/assignments/{master.name}-rules\n")
    many = ("No", "One", "Two", "Three", "Four", "Five", "Six")[len(rows)]
    contents = "  - caption: Assignments\n    chapters:\n      - file: notebooks/assignments/overview\n" + "".join(entries)
    return PAGE.format(many=many, rows="\n".join(rows)), contents


def edited(name: str) -> str:
    """A page or setting of the public site with this edition's words. ValueError if what should be replaced is not there."""
    text = (dev.ROOT / name).read_text(encoding="utf-8")
    for old, new in EDITED.get(name, []):
        if old not in text:
            raise ValueError(f"{name} no longer says {old!r}: change course/edition.py with it")
        text = text.replace(old, new)
    return text


def prepare(out: Path) -> Path:
    """Write the files from which the students' site is built below `out`, afresh; returns that folder."""
    shutil.rmtree(out, ignore_errors=True)
    skip = shutil.ignore_patterns("__pycache__", "instructors.md", "studies")
    shutil.copytree(dev.ROOT / "book", out / "book", ignore=skip)
    shutil.copytree(dev.ROOT / "minigpt", out / "minigpt", ignore=skip)
    text, contents = overview()
    files = {name: edited(name) for name in EDITED}
    files["_toc.yml"] = files["_toc.yml"].replace("  - caption: Back matter\n", contents + "  - caption: Back matter\n")
    files["notebooks/assignments/overview.md"] = text
    for path in dev.NOTEBOOKS:
        notebook = chapter(json.loads(path.read_text(encoding="utf-8")))
        files[f"files/{path.name}"] = as_text(notebook)
        files[f"notebooks/{path.name}"] = as_text(page(notebook, f"../files/{path.name}"))
    for master in masters():
        files |= {f"files/{name}": text for name, text in handouts(master).items()}
        files[f"notebooks/assignments/{master.name}.ipynb"] = as_text(page(master.student(), f"../../files/{master.name}.ipynb"))
        files[f"notebooks/assignments/{master.name}-rules.md"] = master.tutor()
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(content, encoding="utf-8", newline="\n")
    return out


def build(out: Path) -> Path:
    """Build the students' site at `out`/site; ends with a message if a solution stands anywhere in it."""
    work = prepare(out / "source")
    dev.jupyter_book(work, "--path-output", out / "build")
    built = out / "build" / "_build" / "html"
    shown = "\n".join(text for path in work.rglob("*.*") if path.is_file() for text in readable(path))
    if found := leaks(built) + index_leaks(built / "searchindex.js", shown):
        raise ValueError(f"solutions in the students' site, {len(found)} lines, the first of them: " + "; ".join(found[:5]))
    shutil.rmtree(out / "site", ignore_errors=True)
    shutil.move(built, out / "site")
    return out / "site"
