"""How GPT-1's own tokeniser finds the words of a text: ftfy repairs it, five replacements tidy it, spaCy splits it.

Its vocabulary was learned on words found this way, and any other way gives other ids. So nothing here falls back on something
simpler: without the two packages there is an error that says what to install.

A vocabulary in GPT-1's style says in its tokenizer_config.json which splitter made it: "openai", the one here, or "plain", the
regular expression of `bpe_core.split_gpt1`, which `BPE.train` uses and which needs no package.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from minigpt.bpe_core import split_gpt1

NEEDED = "GPT-1's tokeniser needs ftfy and spaCy to find the words of a text: pip install ftfy spacy"

# The marks that OpenAI's code replaces, and those of which it sets each run apart from its neighbours.
REPLACED = str.maketrans({"—": "-", "–": "-", "―": "-", "…": "...", "´": "'"})
SET_APART = re.compile(r"(" + "|".join(re.escape(mark) + "+" for mark in "-~!\";?+,)(\\/*[]}{|_") + r")")


OFFICIAL_SIZE = 40_478


def standardise(text: str) -> str:
    """OpenAI's text_standardize: plain dashes, dots and quotes, marks set apart, single spaces, " \\n " for a line break."""
    text = SET_APART.sub(r" \1 ", text.translate(REPLACED))
    return re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", " \n ", text)).strip()


def split_openai(text: str) -> list[str]:
    """The words of a text, line breaks as words of their own. Raises ImportError, in one line, without ftfy or spaCy."""
    fix, tokenizer = _tools()
    return [token.text for token in tokenizer(standardise(fix(text)))]


@lru_cache(maxsize=1)
def _tools():
    """ftfy's repair and spaCy's English tokeniser: its rules only, no model to download."""
    try:
        import ftfy
        import spacy
    except ImportError:
        raise ImportError(NEEDED) from None
    return ftfy.fix_text, spacy.blank("en").tokenizer


SPLITTERS = {"openai": split_openai, "plain": split_gpt1}


def splitter(name: str | None, vocab_size: int, config: Path) -> Callable[[str], list[str]]:
    """The splitter that a tokenizer_config.json names. Without a name, a vocabulary of GPT-1's own size is taken for GPT-1's.

    Raises ValueError, in one line, for a name that is not known.
    """
    name = name or ("openai" if vocab_size == OFFICIAL_SIZE else "plain")
    if name not in SPLITTERS:
        raise ValueError(f"{config}: unknown splitter {name!r}: one of {', '.join(SPLITTERS)}")
    return SPLITTERS[name]


def splitter_name(function: Callable[[str], list[str]]) -> str | None:
    """What `splitter` calls a function; None for one of the reader's own, which is not saved."""
    return next((name for name, known in SPLITTERS.items() if known is function), None)
