"""The embedded world: stories, their exact information content, and labelled tasks, all from a seed."""

from functools import cache

from . import world_tasks, world_village
from .world_grammar import Chooser

SPLITS = ("train", "validation", "test")
GRAMMARS = {"village": world_village.grammar}
TASKS = tuple(world_tasks.MAKERS)


@cache
def _grammar(domain):
    if domain not in GRAMMARS:
        raise ValueError(f"unknown domain {domain!r}: choose one of {', '.join(GRAMMARS)}")
    return GRAMMARS[domain]()


def _write(index, split, seed, domain):
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    chooser = Chooser(f"{domain}/{split}/{seed}/{index}")
    return _grammar(domain).write(chooser), chooser.bits


def story(index, split="train", seed=0, domain="village"):
    """One story, a str."""
    return _write(index, split, seed, domain)[0]


def stories(n, split="train", seed=0, domain="village"):
    """The first `n` stories of a split, a list of str."""
    return [story(index, split, seed, domain) for index in range(n)]


def story_bits(index, split="train", seed=0, domain="village"):
    """-log2 p(story) under the generator, in bits."""
    return _write(index, split, seed, domain)[1]


def task(name, split="train", n=None, seed=0):
    """Labelled examples of a task, a list of dicts."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: choose one of {', '.join(TASKS)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    return world_tasks.examples(name, split, n, seed)
