"""Fixtures for the checks that need files which the repository does not carry."""

import os
from pathlib import Path

import pytest

from minigpt import BPE, GPT, world


def folder(variable: str) -> Path:
    """The folder that an environment variable names; skips without it, fails when the checks are required."""
    value = os.environ.get(variable, "")
    if value and Path(value).is_dir():
        return Path(value)
    reason = f"{variable} names no folder: see CONTRIBUTING.md, 'Checks that need more files'"
    if os.environ.get("MINIGPT_REQUIRE") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def mirror() -> Path:
    """A folder laid out as <hub id>/<path in the repository>."""
    return folder("MINIGPT_DATA")


@pytest.fixture
def checks() -> Path:
    """A folder of independent reference outputs."""
    return folder("MINIGPT_CHECKS")


@pytest.fixture(scope="module")
def stories() -> list[str]:
    return world.stories(400)


@pytest.fixture(scope="module")
def trained(stories) -> BPE:
    """A small byte-level vocabulary, trained on `stories`."""
    return BPE.train(stories, 600)


@pytest.fixture(scope="module")
def gpt() -> GPT:
    """The shipped model."""
    return GPT.from_pretrained("world").eval()


@pytest.fixture(scope="module")
def bpe() -> BPE:
    """The shipped model's vocabulary."""
    return BPE.load("world")
