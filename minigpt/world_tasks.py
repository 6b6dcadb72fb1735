"""The seven labelled tasks of the embedded world, in the shapes of GPT-1's Table 1.

Each asks what the stories' words mean, in sentences that no story contains. The words that decide an example are
divided: half of them for training, a quarter for validation, a quarter for testing, so that a model which has not read
the stories cannot know the words it is tested on. Every deciding word goes with both labels equally often.
"""

import random
from functools import cache

from . import world_village, world_voyage
from .world_grammar import articles
from .world_words import PEOPLE, SYNONYMS, VERBS, WORDS

SIZES = {"train": 2000, "validation": 400, "test": 500}
WORLDS = {"village": world_village, "voyage": world_voyage}
PEOPLE_NAMES = [person.text for person in PEOPLE]
DESCRIBED = {"person": WORDS["official"], "object": WORDS["furniture"], "place": WORDS["building"],
             "matter": ("lesson", "journey", "speech", "story", "meeting", "question", "plan", "answer", "game")}


@cache
def share(words, split):
    """The words (a tuple) that `split` may use: half of them to train, a quarter to validate, a quarter to test.

    Validation has words of its own, since it chooses epochs and rates for words that training has not seen.
    """
    words = list(words)
    random.Random(f"half of {len(words)}").shuffle(words)
    middle, end = len(words) // 2, len(words) // 2 + len(words) // 4
    return {"train": words[:middle], "validation": words[middle:end], "test": words[end:]}[split]


def _two_things(rng, world, split):
    """Two categories, and a noun of each."""
    pair = rng.sample(world.CATEGORIES, 2)
    return pair, [rng.choice(share(category.nouns, split)).text for category in pair]


def sentiment(rng, world, split, label):
    """Opinions of one mood; 1 = positive."""
    first, second = rng.sample(share(world.MOODS[1 - label].opinions, split), 2)
    noun = rng.choice(rng.choice(world.CATEGORIES).nouns).text
    building, room, day = (rng.choice(WORDS[kind]) for kind in ("building", "room", "day"))
    text = rng.choice((f"We saw a~ {first} {noun} in the {building}. The {day} was {second}.",
                       f"I think this {noun} is {first}, and the {room} is {second} too.",
                       f"A~ {first} {noun}, I thought, and a~ {second} {building}.",
                       f"The {noun} I bought was {first}. My {day} was so {second}."))
    return {"text": articles(text)}


def acceptability(rng, world, split, label):
    """Past tense alone and participle after "has" are grammatical (1), the other way round is not (0)."""
    verb = rng.choice(share(VERBS, split))
    has = rng.random() < 0.5
    form = verb.participle if has == bool(label) else verb.past
    return {"text": f"The new {rng.choice(WORDS['official'])} {'has ' if has else ''}{form} {rng.choice(verb.ends)}."}


def entailment(rng, world, split, label):
    """A thing is of its category (1) and of no other (0)."""
    (own, other), (noun, _) = _two_things(rng, world, split)
    name, town = rng.choice(PEOPLE_NAMES), rng.choice(WORDS["town"])
    did = rng.choice(("bought", "had", "wanted", "found"))
    return {"premise": articles(f"{name} {did} a~ {noun} in {town}."),
            "hypothesis": articles(f"{name} {did} a~ {(own if label else other).name}.")}


def paraphrase(rng, world, split, label):
    """Two words of a synonym group (1), or of two groups that describe the same kind of thing (0)."""
    kind = rng.choice(sorted(SYNONYMS))
    own, other = rng.sample(share(SYNONYMS[kind], split), 2)
    first, second = rng.sample(own, 2)
    what = f"The {rng.choice(DESCRIBED[kind])} in {rng.choice(WORDS['town'])} was"
    return {"text1": f"{what} {first}.", "text2": f"{what} {second if label else rng.choice(other)}."}


def cloze(rng, world, split, label):
    """A small story of one mood, and endings of both moods; the label is the index of the fitting one."""
    moods = rng.sample(world.MOODS, 2)
    first, second = rng.sample(share(moods[label].opinions, split), 2)
    name, noun = rng.choice(PEOPLE_NAMES), rng.choice(rng.choice(world.CATEGORIES).nouns).text
    context = (f"{name} went to the {rng.choice(WORDS['building'])} on {rng.choice(WORDS['day'])}. "
               f"There was a~ {first} {noun}. Everything there was {second}.")
    feelings = [rng.choice(share(mood.feelings, split)) for mood in moods]
    return {"context": articles(context), "answers": [f"{name} was {feeling} in the end." for feeling in feelings]}


def pronoun(rng, world, split, label):
    """Two nouns, and a property that only one of them has; the label is its index."""
    pair, nouns = _two_things(rng, world, split)
    adjective = rng.choice(share(pair[label].adjectives, split))
    where = rng.choice(("next to", "behind", "near", "beside"))
    return {"text": f"The {nouns[0]} was {where} the {nouns[1]}, and it was very {adjective}.", "answers": nouns}


def qa(rng, world, split, label):
    """A question that names the category of one of two things; the label is its index."""
    pair, nouns = _two_things(rng, world, split)
    name = rng.choice(PEOPLE_NAMES)
    return {"context": articles(f"{name} has a~ {nouns[0]} and a~ {nouns[1]}."),
            "question": f"Which {pair[label].name} does {name} have?", "answers": nouns}


MAKERS = {make.__name__: make for make in (sentiment, acceptability, entailment, paraphrase, cloze, pronoun, qa)}
NAMES = tuple(MAKERS)
VILLAGE_ONLY = ("acceptability", "paraphrase")   # their words are the same in both domains


def examples(name, split, n, seed, domain):
    """n distinct examples, as many of each label."""
    if domain != "village" and name in VILLAGE_ONLY:
        raise ValueError(f"the task {name!r} exists in the domain 'village' only, not in {domain!r}")
    n = SIZES[split] if n is None else n
    if not isinstance(n, int) or n < 0:
        raise ValueError(f"the number of examples is a whole number from 0 on, not {n!r}")
    taken = set()
    rng = random.Random(f"{domain}/{name}/{split}/{seed}")
    made, repeats = [], 0
    while len(made) < n:
        # Pairs of labels in random order: any even number of examples is balanced.
        label = 1 - made[-1]["label"] if len(made) % 2 else rng.randrange(2)
        example = {**MAKERS[name](rng, WORLDS[domain], split, label), "label": label}
        if str(example) not in taken:
            taken.add(str(example))
            made.append(example)
            repeats = 0
        elif (repeats := repeats + 1) > 1000:
            raise ValueError(f"{name} has fewer than {n} different examples: ask for fewer")
    return made
