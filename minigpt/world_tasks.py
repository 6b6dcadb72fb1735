"""The seven labelled tasks of the embedded world, in the shapes of GPT-1's Table 1."""

import random

from .world_words import CATEGORIES, MOODS, PEOPLE, SYNONYMS, VERBS, WORDS

SIZES = {"train": 2000, "validation": 400, "test": 500}
NAMES = [person.text for person in PEOPLE]


def divide(words, split):
    """The words a split may use: the first half in training and validation, the rest in testing.

    Validation shares its words with training and differs in its sentences.
    """
    words = list(words)
    random.Random(f"halves {len(words)}").shuffle(words)
    half = len(words) // 2
    return words[half:] if split == "test" else words[:half]


def sentiment(rng, split, label):
    mood = MOODS[1 - label]
    first, second = rng.sample(divide(mood.opinions, split), 2)
    noun = rng.choice(rng.choice(CATEGORIES).nouns).text
    text = rng.choice([f"I bought the {noun} here. The whole visit was {first}, and so {second}.",
                       f"My {noun} is {first}, really {second}.", f"A {first} place with {second} service."])
    return {"text": text}


def acceptability(rng, split, label):
    verb = rng.choice(divide(VERBS, split))
    has = rng.random() < 0.5
    form = verb.participle if has == bool(label) else verb.past
    who = f"The {rng.choice(WORDS['official'])}"
    return {"text": f"{who} {'has ' if has else ''}{form} {rng.choice(verb.ends)}."}


def entailment(rng, split, label):
    own, other = rng.sample(CATEGORIES, 2)
    noun = rng.choice(divide(own.nouns, split)).text
    name = rng.choice(NAMES)
    return {"premise": f"{name} owns the {noun}.", "hypothesis": f"{name} owns one {(own if label else other).name}."}


def paraphrase(rng, split, label):
    own, other = rng.sample(divide(SYNONYMS["object"], split), 2)
    first, second = rng.sample(own, 2)
    name = rng.choice(WORDS["official"])
    return {"text1": f"The {name} thinks it is {first}.",
            "text2": f"The {name} thinks it is {second if label else rng.choice(other)}."}


def cloze(rng, split, label):
    mood, other = rng.sample(MOODS, 2)
    name = rng.choice(NAMES)
    context = f"{name} woke up early. It was a day that was {rng.choice(divide(mood.opinions, split))}."
    right, wrong = (f"{name} was {rng.choice(divide(m.feelings, split))} all day." for m in (mood, other))
    return {"context": context, "answers": [wrong, right] if label else [right, wrong]}


def pronoun(rng, split, label):
    pair = rng.sample(CATEGORIES, 2)
    first, second = (rng.choice(divide(c.nouns, split)).text for c in pair)
    return {"text": f"The {first} is next to the {second}, and it is {rng.choice(divide(pair[label].adjectives, split))}.",
            "answers": [first, second]}


def qa(rng, split, label):
    pair = rng.sample(CATEGORIES, 2)
    first, second = (rng.choice(divide(c.nouns, split)).text for c in pair)
    name = rng.choice(NAMES)
    return {"context": f"{name} keeps the {first} and the {second}.", "question": f"Which {pair[label].name} has {name}?",
            "answers": [first, second]}


MAKERS = {f.__name__: f for f in (sentiment, acceptability, entailment, paraphrase, cloze, pronoun, qa)}


def examples(name, split, n, seed):
    rng = random.Random(f"{name}/{split}/{seed}")
    n = SIZES[split] if n is None else n
    labels = [i % 2 for i in range(n)]
    rng.shuffle(labels)
    return [{**MAKERS[name](rng, split, label), "label": label} for label in labels]
