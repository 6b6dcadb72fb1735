"""The embedded world: short English stories made from a seed, their exact information content, and labelled tasks.

    story(0)              one story;  story(0, "test") another, from a stream of its own
    story_bits(0)         how many bits of information it holds: -log2 of its probability under the generator
    entropy(1000)         the mean of that per byte of text: the loss no language model can beat on average
    task("sentiment")     labelled examples in the shapes of GPT-1's Table 1

Everything is a function of its arguments: the same seed gives the same bytes on every platform.

**What is exact.** A story is written by a sequence of random decisions of known probability (`world_grammar.py`), and
`story_bits` is the sum of -log2 of them. It is -log2 p(text) if no other sequence of decisions writes the same text.
That is not proved for the whole grammar; it is checked: `derivations` searches for every sequence that could have
written a given text, latents (mood, topic) included, and the tests do so for many stories and find exactly one each.
`exact_bits` does the sum over whatever is found. On a tiny grammar the tests enumerate every text there is.

The entropy is that of whole stories. A model that reads them in windows cut from a stream sees less of what came
before, and cannot reach it.
"""

from functools import cache
from math import sqrt

from . import world_tasks, world_village, world_voyage
from .world_grammar import Chooser

SPLITS = ("train", "validation", "test")
GRAMMARS = {"village": world_village.grammar, "voyage": world_voyage.grammar}
DOMAINS = tuple(GRAMMARS)
TASKS = world_tasks.NAMES


@cache
def _grammar(domain):
    return GRAMMARS[_known("domain", domain, DOMAINS)]()


def _known(what, name, names):
    if name not in names:
        raise ValueError(f"unknown {what} {name!r}: choose one of {', '.join(names)}")
    return name


def _write(index, split, seed, domain):
    """A story and its bits."""
    _known("split", split, SPLITS)
    if not isinstance(index, int) or index < 0:
        raise ValueError(f"a story's index is a whole number from 0 on, not {index!r}")
    grammar = _grammar(domain)
    chooser = Chooser(f"{domain}/{split}/{seed}/{index}")
    return grammar.write(chooser), chooser.bits


def story(index, split="train", seed=0, domain="village"):
    """One story, a str of one or more paragraphs; any index from 0 on, so a split never ends.

    Raises ValueError for an unknown split or domain, or a negative index.
    """
    return _write(index, split, seed, domain)[0]


def stories(n, split="train", seed=0, domain="village"):
    """The first `n` stories of a split, a list of str."""
    return [story(index, split, seed, domain) for index in range(n)]


def story_bits(index, split="train", seed=0, domain="village"):
    """-log2 p(story) under the generator, in bits (see the module's docstring for what is exact)."""
    return _write(index, split, seed, domain)[1]


def exact_bits(text, domain="village"):
    """-log2 p(text) in bits for any text, summed over all its derivations; infinite if it has none. Slow: 0.1 s."""
    return _grammar(domain).bits(text)


def entropy(n=1000, split="test", seed=0, domain="village"):
    """Bits per byte of UTF-8 text, estimated from the first n stories of a split: (mean, standard error).

    The ratio of the summed bits to the summed bytes, and the standard error of that ratio (delta method).
    """
    if n < 2:
        raise ValueError(f"an estimate of the entropy needs at least 2 stories, not {n}")
    written = [_write(index, split, seed, domain) for index in range(n)]
    sizes = [len(text.encode("utf-8")) for text, _ in written]
    rate = sum(bits for _, bits in written) / sum(sizes)
    spread = sum((bits - rate * size) ** 2 for (_, bits), size in zip(written, sizes, strict=True)) / (n - 1)
    return rate, sqrt(spread / n) / (sum(sizes) / n)


def task(name, split="train", n=None, seed=0, domain="village"):
    """Labelled examples of a task, a list of n dicts (by default 2,000 / 400 / 500 in train / validation / test).

    name: one of TASKS. Every dict has "label" (int), and
        sentiment      text                          1 = positive
        acceptability  text                          1 = grammatical
        entailment     premise, hypothesis           1 = the hypothesis follows
        paraphrase     text1, text2                  1 = they mean the same
        cloze          context, answers (2 str)      the index of the ending that fits
        pronoun        text, answers (2 str)         the index of the noun that "it" stands for
        qa             context, question, answers    the index of the right answer
    The words that decide an example are different in every split, and all of them occur in the stories.
    domain: "village", or "voyage" for sentiment, entailment, cloze, pronoun and qa in words of that domain.
    Raises ValueError for an unknown task, split or domain.
    """
    _known("task", name, TASKS)
    _known("split", split, SPLITS)
    _known("domain", domain, DOMAINS)
    return world_tasks.examples(name, split, n, seed, domain)
