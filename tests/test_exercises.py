"""Every exercise: untouched it says so, its solution is accepted, and each likely mistake gets the diagnosis meant for it."""

import contextlib
import io
import json
import os
import re

import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager

import dev


@pytest.fixture(autouse=True)
def gradients():
    """Chapter 11 switches gradients off for its whole kernel; here the kernel is everybody's."""
    yield
    torch.set_grad_enabled(True)


def output_of(code: str, space: dict) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "<cell>", "exec"), space)
    return out.getvalue().strip()


def solutions(cells) -> list[str]:
    """The Python block of each folded solution, in order."""
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.findall(r'<details class="solution">.*?```python\n(.*?)```', text, re.DOTALL)


@pytest.mark.parametrize("path", dev.NOTEBOOKS, ids=lambda p: p.stem)
def test_exercises(path, monkeypatch):
    monkeypatch.chdir(dev.ROOT / "notebooks")
    import matplotlib

    matplotlib.use("Agg")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    mistakes = json.loads((dev.ROOT / "tests" / "mistakes" / f"{path.stem[:2]}.json").read_text(encoding="utf-8"))
    answers, space = solutions(cells), {"__name__": "__main__", "display": lambda *_: None}
    transform = TransformerManager().transform_cell
    number = 0
    for cell in cells:
        tags = cell["metadata"].get("tags", [])
        if cell["cell_type"] != "code" or {"colab", dev.NOT_RUN} & set(tags):
            continue
        code = transform("".join(cell["source"]))
        said = output_of(code, space)
        if "exercise-check" not in tags:
            continue
        name = f"{int(path.stem[:2])}.{number + 1}"
        assert said == f"Exercise {name}: not attempted yet"
        for mistake in mistakes[name]:
            attempt = dict(space)
            output_of(mistake["code"], attempt)
            assert mistake["says"] in output_of(code, attempt), f"{name}: {mistake['code']}"
        assert len(mistakes[name]) >= 2
        attempt = dict(space)
        output_of(answers[number], attempt)
        assert output_of(code, attempt) == f"Exercise {name}: correct"
        number += 1
    assert number == len(answers) == len(mistakes) >= 4
    assert os.getcwd().endswith("notebooks")
