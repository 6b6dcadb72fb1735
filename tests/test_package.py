"""The package's shape: modules import downwards only, stay short, and say what they do; the wrong package is recognised."""

import ast
import os
import subprocess
import sys
import tomllib

import pytest

import dev
from minigpt import results

ORDER = ["paper", "results", "viz", "world_grammar", "world_words", "world_things", "world_own", "world_sentences", "world_village",
         "world_voyage", "world_tasks", "world", "hub", "bpe_core", "bpe_gpt1", "bpe", "data", "ngram", "weights", "model",
         "generate", "checkpoint", "train", "tasks_table", "tasks", "objective", "finetune", "zeroshot", "modern", "protocol",
         "scoring", "detokenise", "cloze", "language_modelling", "text_scores", "winograd", "prompting", "overlap",
         "webtext_stages", "webtext_pages", "webtext", "evaluate", "viz_prompt", "cells", "memorisation", "experiments",
         "paper_scale", "reproduce", "reproduce_gpt2", "__main__"]
NO_TORCH = {"paper", "results", "viz", "hub", "bpe_core", "bpe_gpt1", "bpe", "ngram", "tasks_table"} | {
    name for name in ORDER if name.startswith("world")}
MODULES = sorted((dev.ROOT / "minigpt").glob("*.py"))
BY_NAME = pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@BY_NAME
def test_modules_import_only_from_those_before_them(path):
    if path.stem == "__init__":
        return
    names = imported(ast.parse(path.read_text(encoding="utf-8")))
    allowed = set(ORDER[:ORDER.index(path.stem)])
    ours = {name.split(".")[1] for name in names if name.startswith("minigpt.")}
    if path.stem != "__main__":
        assert ours <= allowed, f"{path.stem} imports {ours - allowed}"
    if path.stem in NO_TORCH:
        assert not [name for name in names if name.split(".")[0] == "torch"]


@BY_NAME
def test_files_and_functions_stay_short_and_public_ones_are_explained(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 350 and ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is long"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and path.stem != "__main__":
            assert ast.get_docstring(node), f"{path.stem}.{node.name} has no docstring"


def test_a_chapter_recognises_the_strangers_package(tmp_path):
    (tmp_path / "minigpt.py").write_text("'''a chat client'''\n")
    cell = dev.FIRST_CELL.format(address="x").replace("%pip", "pass  #")
    run = subprocess.run([sys.executable, "-c", cell], cwd=tmp_path, capture_output=True, text=True,
                         env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert run.returncode and run.stderr.splitlines()[-1].startswith("ImportError: another project's minigpt is installed")
    right = subprocess.run([sys.executable, "-c", cell], cwd=dev.ROOT, capture_output=True, text=True)
    assert right.returncode == 0 and not right.stdout


def test_an_installed_package_carries_the_books_records(tmp_path, monkeypatch):
    """Away from the repository (on Colab) the chapters still find what was measured; a record of one's own goes first."""
    settings = tomllib.loads((dev.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert settings["package-dir"]["minigpt.records"] == "book/results" and "minigpt.records" in settings["packages"]
    monkeypatch.setenv("MINIGPT_RESULTS", str(tmp_path))
    monkeypatch.setattr(results, "SHIPPED", tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="not yet measured"):
        results.load("05-words")
    monkeypatch.setattr(results, "SHIPPED", dev.ROOT / "book" / "results")
    assert results.load("05-words").values["test"]["GPT"] > 0
    results.save("05-words", {"mine": 1.0})
    assert results.load("05-words").values == {"mine": 1.0}
