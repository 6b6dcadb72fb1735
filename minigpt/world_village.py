"""The first domain of the embedded world: stories of a village.

A story has two latents, its mood and its topic (a category of things). A and B are its people, always a woman
and a man, so that every pronoun has one reading; T is the thing it is about. The sentences themselves are in
`world_sentences.py`.
"""

from . import world_sentences as sentences
from .world_grammar import Grammar, Template
from .world_own import OWN
from .world_things import CATEGORIES
from .world_words import KIN, MOODS, PAIRS, PEOPLE, VERBS, WORDS

WOMEN = tuple(p for p in PEOPLE if p.he == "she")
MEN = tuple(p for p in PEOPLE if p.he == "he")
OTHER_CATEGORIES = {category.name: tuple(c for c in CATEGORIES if c is not category) for category in CATEGORIES}


def _second(story, chooser):
    """Another thing of the story's topic."""
    return [noun for noun in story["topic"].nouns if noun is not story["T"]]


def _third(story, chooser):
    """And yet another."""
    return [noun for noun in story["topic"].nouns if noun is not story["T"] and noun is not story["u"]]


def _elsewhere(story, chooser):
    """A thing of another category."""
    return chooser.pick(OTHER_CATEGORIES[story["topic"].name]).nouns


def _pair(kind):
    def pair(story, chooser):
        return chooser.pick(PAIRS[kind])
    return pair


LEXICON = {
    **WORDS,
    **{category.name: category.nouns for category in CATEGORIES},
    "person": PEOPLE,
    "other": lambda story, chooser: MEN if story["A"].he == "she" else WOMEN,
    "kin": lambda story, chooser: KIN["he" if story["A"].he == "she" else "she"],
    "thing": lambda story, chooser: story["topic"].nouns,
    "second": _second,
    "third": _third,
    "elsewhere": _elsewhere,
    "verb": VERBS,
    **{f"{kind}_pair": _pair(kind) for kind in PAIRS},
}


def templates(text):
    """The templates of a text, one on a line."""
    return tuple(Template(line, LEXICON) for line in text.strip().split("\n"))


def grammar():
    """The grammar of the village."""
    own = {name: templates(text) for name, text in OWN.items()}
    shared = tuple(templates(text) for text in (sentences.TOPIC, sentences.SPOKEN_MOOD, sentences.TOLD_MOOD,
                                                sentences.PAIRED, sentences.VERBAL, sentences.GENERAL))

    def pools(latents):
        return (own[latents["topic"].name], *shared)

    return Grammar({"mood": MOODS, "topic": CATEGORIES}, templates(sentences.OPENINGS), pools,
                   templates(sentences.ENDINGS), 6, 15)
