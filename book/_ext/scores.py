"""The scoreboard's HTML, from the records in ``book/results``."""

from html import escape
from pathlib import Path


def records(root: Path) -> list:
    """Every readable record, by name; none while nothing was measured."""
    from minigpt import results

    return [results.load(path.stem) for path in sorted((root / "book" / "results").glob("*.json"))]


def headline(root: Path) -> str:
    return '<p class="not-yet">Not yet measured.</p>'


def scoreboard(root: Path) -> str:
    return '<p class="not-yet">Not yet measured.</p>'
