"""A small probabilistic grammar that writes text, and knows the probability of what it writes.

A *template* is a string with choices and slots:

    [big|small]       one of the alternatives, each equally likely; alternatives may hold slots and choices
    {A} {A.his}       what the story knows as A, or an attribute of it; an attribute that is a list is drawn from
    {x=fruit}         draw a member of the class "fruit", call it x from now on, and write it
    {x=verb.past}     draw one, call it x, and write its attribute `past`
    {A?}              A's name or pronoun, one half each;   {^A?} the same with a capital letter
    a~                "a", or "an" before a vowel

Every random decision is one call of a chooser's `pick` (equally likely options) or `chance` (yes with
probability p), which adds -log2 of its probability to `bits`. `derivations` runs the grammar backwards: it finds
every sequence of decisions that yields a given text, so that -log2 p(text) can be summed over all of them.
"""

import random
import re
from math import log2

LOG2 = [0.0] + [log2(n) for n in range(1, 1000)]
VOWELS = frozenset("aeiouAEIOU")


class Chooser:
    """Decides at random and adds up the information content, in bits, of what it decided."""

    def __init__(self, seed):
        self.random = random.Random(seed).random
        self.bits = 0.0

    def pick(self, options):
        """One of a sequence of options, each equally likely."""
        n = len(options)
        self.bits += LOG2[n]
        return options[int(self.random() * n)]

    def chance(self, p):
        """True with probability p (0 < p < 1)."""
        yes = self.random() < p
        self.bits -= log2(p if yes else 1 - p)
        return yes


class DeadEnd(Exception):
    """No option can lead to the text that is being explained."""


class Replay:
    """A chooser that follows a given path, and notes the paths that branch off it.

    With `window`, the lower-case text that comes next, options of which no trace is in it are not followed: a
    string that does not occur in it, or a thing none of whose `clues` does.
    """

    def __init__(self, path, branches, window=None):
        self.path, self.branches, self.window = list(path), branches, window
        self.depth, self.bits = 0, 0.0

    def _possible(self, option):
        if self.window is None:
            return True
        if isinstance(option, Template):
            return all(word in self.window for word in option.fixed)
        clues = (option,) if isinstance(option, str) else getattr(option, "clues", ())
        return not clues or any(clue.lower() in self.window or "~" in clue for clue in clues)

    def _follow(self, live):
        if self.depth == len(self.path):
            if not live:
                raise DeadEnd
            self.branches.extend([*self.path, i] for i in live[1:])
            self.path.append(live[0])
        self.depth += 1
        return self.path[self.depth - 1]

    def pick(self, options):
        self.bits += LOG2[len(options)]
        known = self.depth < len(self.path)
        live = () if known else [i for i, option in enumerate(options) if self._possible(option)]
        return options[self._follow(live)]

    def chance(self, p):
        yes = self._follow((0, 1)) == 0
        self.bits -= log2(p if yes else 1 - p)
        return yes


def runs(function, window=None):
    """Every (result, bits) that `function(chooser)` can give, one for each sequence of decisions."""
    waiting = [[]]
    while waiting:
        chooser = Replay(waiting.pop(), waiting, window)
        try:
            result = function(chooser)
        except DeadEnd:
            continue
        yield result, chooser.bits


class Template:
    """A compiled template. `parts` are strings, tuples of alternatives, and functions (story, chooser) -> str."""

    def __init__(self, text, lexicon):
        self.source = text
        self.parts = tuple(_parse(text, lexicon))
        self.fixed = [part.lower().strip() for part in self.parts if isinstance(part, str) and "~" not in part]

    def write(self, story, chooser):
        out = []
        self.fill(story, chooser, out)
        text = articles("".join(out))
        return text[0].upper() + text[1:]

    def fill(self, story, chooser, out):
        for part in self.parts:
            kind = type(part)
            if kind is str:
                out.append(part)
            elif kind is tuple:
                chosen = chooser.pick(part)
                if type(chosen) is str:
                    out.append(chosen)
                else:
                    chosen.fill(story, chooser, out)
            else:
                out.append(part(story, chooser))


def articles(text):
    """Replace each `a~` by "a" or "an", as the next word sounds."""
    if "~" not in text:
        return text
    first, *rest = text.split("~ ")
    return first + "".join(("n " if _sounds_like_vowel(piece) else " ") + piece for piece in rest)


def _sounds_like_vowel(word):
    return word[0] in VOWELS and not word.startswith(("use", "uni")) or word.startswith("honest")


def _parse(text, lexicon):
    """The parts of a template's text."""
    for piece in re.findall(r"\{[^}]*\}|\[(?:[^\[\]]|\[[^\[\]]*\])*\]|[^\[\]{}]+", text):
        if piece[0] == "{":
            yield _slot(piece[1:-1], lexicon)
        elif piece[0] == "[":
            alternatives = _alternatives(piece[1:-1])
            if len(set(alternatives)) < len(alternatives):
                raise ValueError(f"a choice holds the same alternative twice: {piece}")
            yield tuple(Template(a, lexicon) if "{" in a or "[" in a else a for a in alternatives)
        else:
            yield piece


def _alternatives(text):
    """Split at the bars that are not inside inner brackets."""
    depth, pieces = 0, [""]
    for char in text:
        depth += (char == "[") - (char == "]")
        if char == "|" and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += char
    return pieces


def _slot(spec, lexicon):
    capital, spec = spec.startswith("^"), spec.removeprefix("^")
    if "=" in spec:
        function = _draw(*spec.split("="), lexicon)
    elif spec.endswith("?"):
        function = _name_or_pronoun(spec[:-1])
    elif spec.split(".")[0] in lexicon:
        function = _draw(None, spec, lexicon)
    elif "." in spec:
        function = _attribute(*spec.split("."))
    else:
        def function(story, chooser):
            return _text(story[spec])
    if capital:
        def capitalised(story, chooser):
            word = function(story, chooser)
            return word[0].upper() + word[1:]
        return capitalised
    return function


def _text(thing):
    return thing if type(thing) is str else thing.text


def _draw(name, spec, lexicon):
    kind, _, attribute = spec.partition(".")
    if kind not in lexicon:

        def draw_attribute(story, chooser):
            story[name] = chooser.pick(_get(story[kind], attribute))
            return story[name]
        return draw_attribute
    options = lexicon[kind]

    def draw(story, chooser):
        chosen = chooser.pick(options(story, chooser) if callable(options) else options)
        if name:
            story[name] = chosen
        if not attribute:
            return _text(chosen)
        value = _get(chosen, attribute)
        return value if type(value) is str else chooser.pick(value)
    return draw


def _get(thing, attribute):
    """An attribute of a thing, or else of its category."""
    value = getattr(thing, attribute, None)
    return getattr(thing.category, attribute) if value is None else value


def _name_or_pronoun(name):
    def write(story, chooser):
        person = story[name]
        return chooser.pick((person.text, person.he))
    return write


def _attribute(name, attribute):
    def write(story, chooser):
        value = _get(story[name], attribute)
        return value if type(value) is str else chooser.pick(value)
    return write


class Grammar:
    """Stories: an opening, `least` to `most` blocks (each number equally likely), an ending.

    latents: dict of name -> options, drawn before the first word and fixed for the whole story.
    openings, endings: templates.  pools: a function of the latents that gives, for each kind of block, its templates.
    Before each block its kind is drawn, then a template of that kind that the story has not used yet.
    """

    def __init__(self, latents, openings, pools, endings, least, most):
        self.latents, self.openings, self.pools, self.endings = latents, openings, pools, endings
        self.least, self.most = least, most

    def start(self, chooser):
        """The latents of a story, drawn."""
        story = {name: chooser.pick(options) for name, options in self.latents.items()}
        story["pools"] = self.pools(story)
        story["blocks"] = -1
        return story

    def step(self, story, chooser):
        """Write the next piece of a story; None after the ending."""
        blocks = story["blocks"] = story["blocks"] + 1
        if blocks == 0:
            return chooser.pick(self.openings).write(story, chooser)
        if blocks > self.most + 1 or story.get("over"):
            return None
        done = blocks - 1
        if done == self.most or done >= self.least and chooser.chance(1 / (self.most - done + 1)):
            story["over"] = True
            return "\n" + chooser.pick(self.endings).write(story, chooser)
        gap = "\n" if chooser.chance(0.25) else " "
        pools = story["pools"]
        kind = chooser.pick([i for i, pool in enumerate(pools) if pool])
        template = chooser.pick(pools[kind])
        left = [t for t in pools[kind] if t is not template]
        story["pools"] = (*pools[:kind], left, *pools[kind + 1:])
        return gap + template.write(story, chooser)

    def write(self, chooser):
        """One story."""
        story = self.start(chooser)
        pieces = []
        while (piece := self.step(story, chooser)) is not None:
            pieces.append(piece)
        return "".join(pieces)

    def derivations(self, text, reach=900):
        """All derivations of `text`, as a list of (bits, story); empty if the grammar cannot write it.

        reach: the longest piece in characters; only words within it are considered next.
        """
        found = []
        waiting = [(story, 0, bits) for story, bits in runs(self.start)]
        while waiting:
            story, at, bits = waiting.pop()
            window = text[at:at + reach].lower()

            def step(chooser, story=story):
                copy = dict(story)
                return self.step(copy, chooser), copy

            for (piece, after), more in runs(step, window):
                if piece is None and at == len(text):
                    found.append((bits + more, after))
                elif piece is not None and text.startswith(piece, at):
                    waiting.append((after, at + len(piece), bits + more))
        return found

    def bits(self, text):
        """-log2 p(text), summed over all derivations (infinite if there is none)."""
        found = [bits for bits, _ in self.derivations(text)]
        if not found:
            return float("inf")
        fewest = min(found)
        return fewest - log2(sum(2.0 ** (fewest - bits) for bits in found))
