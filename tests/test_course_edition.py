"""The students' edition: no line of any solution in any file, and a search that finds one where it is planted."""

import base64
import contextlib
import html
import io
import json
import shutil
import zlib

import pytest

import dev
from course import edition
from course.master import handouts, masters

BY_NAME = pytest.mark.parametrize("path", dev.NOTEBOOKS, ids=lambda p: p.stem)
SITE = dev.ROOT / "_build" / "course" / "site"


def checks(notebook) -> list[str]:
    return [edition.source(c) for c in notebook["cells"] if "exercise-check" in c["metadata"].get("tags", [])]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the site is built from, without the package, whose pages show signatures alone."""
    out = edition.prepare(tmp_path_factory.mktemp("edition") / "source")
    shutil.rmtree(out / "minigpt")
    return out


@pytest.fixture
def solution(made):
    """A solution's text, and where it stands."""
    where = "05-pre-training, solution 2"
    return edition.folded()[where], where


def test_every_solution_has_lines_to_search_for():
    bare = [where for where, lines in edition.secrets().items() if not lines and where in edition.folded()]
    assert bare == [] and len(edition.folded()) >= 60


def test_nothing_is_given_away(made):
    assert edition.leaks(made) == []


@BY_NAME
def test_a_chapter_loses_its_solutions_and_nothing_else(path, made):
    before = json.loads(path.read_text(encoding="utf-8"))
    after = json.loads((made / "files" / path.name).read_text(encoding="utf-8"))
    assert len(dev.code_cells(path)) == len(dev.code_cells(made / "files" / path.name))
    codes = [edition.UNPACK.search(text)[1] for text in checks(after)]
    assert [zlib.decompress(base64.b85decode(code)).decode() for code in codes] == checks(before)
    kept, left = ("\n".join(edition.source(c) for c in book["cells"] if c["cell_type"] == "markdown") for book in (before, after))
    while (start := kept.find('<details class="solution">')) >= 0:
        kept = kept[:start] + kept[kept.index("</details>", start) + len("</details>"):]
    assert left.split() == [word for line in kept.splitlines() if "<!-- colab -->" not in line for word in line.split()]
    assert left.count('<details class="hint">') == left.count("</details>") >= 4
    assert "colab.research" not in json.dumps(after)
    assert {key for c in after["cells"] for key in c["metadata"]} <= {"tags", "mystnb"}


def test_a_packed_check_does_its_work(made):
    cell = checks(json.loads((made / "files" / "02-byte-pair-encoding.ipynb").read_text(encoding="utf-8")))[3]
    answer = edition.folded()["02-byte-pair-encoding, solution 4"].split("```python\n")[1].split("```")[0]
    said = []
    for code in ("def sizes_of(n_merges, n_characters):\n    ...", answer):
        out, space = io.StringIO(), {}
        exec(code, space)
        with contextlib.redirect_stdout(out):
            exec(cell, space)
        said.append(out.getvalue())
    assert said == ["Exercise 2.4: not attempted yet\n", "Exercise 2.4: correct\n"]


def test_the_assignments_are_pages_with_files_to_download(made):
    contents = (made / "_toc.yml").read_text(encoding="utf-8")
    overview = (made / "notebooks" / "assignments" / "overview.md").read_text(encoding="utf-8")
    assert "book/instructors" not in contents and not (made / "book" / "instructors.md").exists()
    for master in masters():
        assert f"file: notebooks/assignments/{master.name}\n" in contents and f"assignments/{master.name}-rules\n" in contents
        for name, text in handouts(master).items():
            assert (made / "files" / name).read_text(encoding="utf-8") == text
            assert f"<../../files/{name}>" in overview


def spelled(text: str) -> dict[str, str]:
    """A solution in every disguise in which a build could leave it: file name -> content."""
    marked = "".join(f"<span class=n>{html.escape(word)}</span> " for word in text.split())
    cell = {"cell_type": "code", "metadata": {}, "source": ["1"], "outputs": [], "execution_count": 1}
    in_output = cell | {"outputs": [{"output_type": "stream", "name": "stdout", "text": text.splitlines(True)}]}
    in_meta = cell | {"metadata": {"mystnb": {"note": text}}}
    packed = edition.PACKED.format(code=base64.b85encode(zlib.compress(text.encode())).decode())
    return {"a.md": text, "a.html": f"<pre>{marked}</pre>", "b.html": f"<p title='{html.escape(text)}'>",
            "a.js": json.dumps(text.split("\n"), indent=1),
            "output.ipynb": json.dumps({"cells": [in_output]}), "meta.ipynb": json.dumps({"cells": [in_meta]}),
            "check.ipynb": json.dumps({"cells": [cell | {"source": packed}]}), "a.csv": text.replace("\n", "\r\n\t")}


def test_a_planted_solution_is_found_in_every_format(solution, tmp_path):
    text, where = solution
    for name, content in spelled(text).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "objects.inv").write_bytes(b"1\n2\n3\n4\n" + zlib.compress(text.encode()))
    (tmp_path / "latin.txt").write_bytes(b"\xff" + text.encode())
    found = edition.leaks(tmp_path)
    for path in tmp_path.iterdir():
        assert [line for line in found if line.startswith(f"{path.name}: {where}: ")], path.name


def test_a_secret_of_an_assignment_is_found_too(tmp_path):
    for master in masters():
        (tmp_path / f"{master.name}.ipynb").write_text(json.dumps(master.solved()), encoding="utf-8")
    found = edition.leaks(tmp_path)
    assert all([line for line in found if line.startswith(f"{m.name}.ipynb: {m.name}, secret")] for m in masters())


def test_a_search_index_with_a_word_of_a_solution_is_found(tmp_path):
    index = tmp_path / "searchindex.js"
    index.write_text('Search.setIndex({"terms": {"thermostat": 1, "attent": 2}, "titleterms": {}})', encoding="utf-8")
    assert edition.index_leaks(index, "a page on attention") == ["thermostat"]
    assert edition.index_leaks(index, "a page on attention and thermostats") == []


def test_a_page_whose_words_have_changed_stops_the_build(monkeypatch):
    monkeypatch.setitem(edition.EDITED, "book/how-to-read.md", [("words that nobody wrote", "")])
    with pytest.raises(ValueError, match="no longer says"):
        edition.edited("book/how-to-read.md")


def test_the_search_finds_every_solution_on_the_public_site():
    """The search itself, tried where solutions are."""
    pages = {path.stem: path for path in (dev.SITE / "notebooks").glob("*.html")}
    if not pages:
        pytest.skip("the site is not built: python dev.py book")
    texts = {stem: "\n".join(map(edition.squeezed, edition.readable(path))) for stem, path in pages.items()}
    assert [line for where, lines in edition.secrets().items() if where in edition.folded()
            for line in lines if line not in texts[where.split(",")[0]]] == []


def test_the_built_site_gives_nothing_away():
    if not SITE.is_dir():
        pytest.skip("the students' site is not built: python dev.py course")
    assert edition.leaks(SITE) == []
    assert not list(SITE.rglob("_sources")) and (SITE / "notebooks" / "assignments" / "overview.html").is_file()
