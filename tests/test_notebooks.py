"""The chapters as files: run in order, stamped, with alt text, and with few cells whose output is not compared."""

import json
import re
import subprocess
import sys

import pytest

import dev

CELLS = {path: json.loads(path.read_text(encoding="utf-8"))["cells"] for path in dev.NOTEBOOKS}
BY_NAME = pytest.mark.parametrize("path", dev.NOTEBOOKS, ids=lambda p: p.stem)


def source(cell) -> str:
    return "".join(cell["source"])


def tags(cell) -> list[str]:
    return cell["metadata"].get("tags", [])


def test_every_chapter_of_the_table_of_contents_is_there():
    listed = re.findall(r"notebooks/(\d\d-[\w-]+)", (dev.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert listed == [path.stem for path in dev.NOTEBOOKS] and len(listed) >= 5


def test_pytest_collects_every_cell():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", "-o", "addopts=--nbval", "notebooks"]
    run = subprocess.run(command, cwd=dev.ROOT, capture_output=True, text=True)
    for path in dev.NOTEBOOKS:
        assert run.stdout.count(f"{path.name}::") == len(dev.code_cells(path)), run.stdout[-2000:]


def test_badges_and_first_cells_carry_the_address():
    assert dev.stamp(check=True) == [], "run `python dev.py stamp`"


@BY_NAME
def test_committed_as_executed_from_top_to_bottom(path):
    counts = [c["execution_count"] for c in dev.code_cells(path) if dev.NOT_RUN not in tags(c)]
    assert counts == sorted(counts) and None not in counts, "run `python dev.py execute`"
    assert not [o for c in dev.code_cells(path) for o in c["outputs"] if o["output_type"] == "error"]
    assert "widgets" not in json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert path.stat().st_size < 1_500_000


@BY_NAME
def test_few_outputs_are_left_uncompared_and_an_assertion_follows_each(path):
    cells = [c for c in CELLS[path] if c["cell_type"] == "code"]
    with_output = [c for c in cells if c["outputs"]]
    ignored = [i for i, c in enumerate(cells) if "nbval-ignore-output" in tags(c)]
    assert len([i for i in ignored if cells[i]["outputs"]]) <= len(with_output) / 5
    for i in ignored:
        near = "".join(source(c) for c in cells[i:i + 3])
        assert re.search(r"\bassert\b|assert_close", near), f"nothing is asserted after: {source(cells[i])[:200]}"


@BY_NAME
def test_every_figure_says_in_words_what_it_shows(path):
    for cell in CELLS[path]:
        if cell["cell_type"] == "code" and any("image/png" in o.get("data", {}) for o in cell["outputs"]):
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 20, f"no alt text: {source(cell)[:200]}"
        for image in re.findall(r"!\[(.*?)\]\(", source(cell)) if cell["cell_type"] == "markdown" else []:
            assert len(image) > 8


@BY_NAME
def test_house_style(path):
    """Short cells, connected prose, at least four exercises with hint and solution, and the paper beside ours at the end."""
    text = "\n".join(source(c) for c in CELLS[path] if c["cell_type"] == "markdown")
    assert 1500 < len(text.split()) < 6000
    exercises = re.findall(r"^### Exercise (\d+)\.(\d+) · ", text, re.MULTILINE)
    assert len(exercises) >= 4
    assert text.count('<details class="hint">') == text.count('<details class="solution">') == len(exercises)
    assert len(re.findall(r"Difficulty [●○]{3} · \d+ minutes", text)) == len(exercises)
    for heading in ("## The paper beside ours", "## What we left out", "## What to read next"):
        assert heading in text
    for cell in dev.code_cells(path):
        if not {"exercise-check", "colab", dev.NOT_RUN} & set(tags(cell)):
            assert len(source(cell).splitlines()) <= 20, f"a long cell: {source(cell)[:200]}"
