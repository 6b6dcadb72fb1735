"""The sentences of the embedded world's first domain: stories of a village.

A story has two latents, its mood and its topic (a category of things). A and B are its people, always a woman
and a man, so that every pronoun has one reading; T is the thing it is about.
"""

from .world_grammar import Grammar, Template
from .world_words import CATEGORIES, KIN, MOODS, PEOPLE, SYNONYMS, VERBS, WORDS

WOMEN = tuple(p for p in PEOPLE if p.he == "she")
MEN = tuple(p for p in PEOPLE if p.he == "he")
OTHERS = {category.name: tuple(c for c in CATEGORIES if c is not category) for category in CATEGORIES}


def _second(story, chooser):
    return [noun for noun in story["topic"].nouns if noun is not story["T"]]


def _elsewhere(story, chooser):
    return chooser.pick(OTHERS[story["topic"].name]).nouns


LEXICON = {
    **WORDS,
    **{category.name: category.nouns for category in CATEGORIES},
    "person": PEOPLE,
    "other": lambda story, chooser: MEN if story["A"].he == "she" else WOMEN,
    "kin": lambda story, chooser: KIN["he" if story["A"].he == "she" else "she"],
    "thing": lambda story, chooser: story["topic"].nouns,
    "second": _second,
    "elsewhere": _elsewhere,
    "verb": VERBS,
    "same": lambda story, chooser: chooser.pick(SYNONYMS),
}


def _pair(story, chooser):
    group = chooser.pick(SYNONYMS)
    first = chooser.pick(group)
    return [f"{first} and {second}" for second in group if second != first]


LEXICON["pair"] = _pair

OPENINGS = """
{A=person} was a~ {topic.jobs} [in|from|near] {town}. [One|That] {weather} [morning|afternoon|evening|day], {A.he} found a~ {T=thing} in the {topic.places}. {^A.his} {kin} {B=other} came to look at [it|the {T}].
[Last|One] {day}, {A=person} [went|walked|hurried] to the {topic.places} with {A.his} {kin} {B=other}. {^A.he} wanted [to see|to buy|to find] a~ {T=thing}.
There was a~ {T=thing} in the {topic.places} [of|near] {town}. It belonged to {A=person}, a~ {topic.jobs}. [Every {day}|In {month}], {A.his} {kin} {B=other} [came to visit|came to help|dropped by].
In {month}, {A=person} [got|was given|received] a~ {T=thing} from {A.his} {kin} {B=other}. {^A.he} had [always|long|never] wanted a~ {topic.name}.
[It was a~ {weather} {day}|It was {month}, and the days were {weather}]. {A=person} and {A.his} {kin} {B=other} were in the {topic.places}. They [looked at|talked about|pointed at] a~ {T=thing}.
"[Look at that|Do you see that|What is that] {T=thing}[!|?]" [said|called|asked] {A=person}. {^A.his} {kin} {B=other} [looked up|turned round|came closer]. They were in the {topic.places}, where {A.he} worked as a~ {topic.jobs}.
""".strip().split("\n")

TOPIC = """
The {T}, a~ {T.adjectives} {T.name}, had a~ {colour} {T.parts}.
{A?} {T.verbs} the {T} {T.adverbs}.
{B} {T.verbs} the {T} {T.adverbs}, and {A} [watched|waited|helped].
The {T} was {T.adjectives}. {A} [liked|did not mind] that in a~ {T.name}.
There was [also|even] a~ {u=second} in the {topic.places}. It was [as|not as] {T.adjectives} as the {T}.
"Which {T.name} do you [like best|prefer]?" asked {B}. "The {u=second}," [said|answered] {A}.
A~ {topic.jobs} [came by|passed] and {T.verbs} the {T} {T.adverbs}.
""".strip().split("\n")

MOOD = """
It was a~ {mood.opinions} {T.name}, and {A} {mood.reactions} it.
"{mood.cries}!" {mood.noises} {A}. "This {T.name} is {mood.opinions}."
{B} felt {mood.feelings} [about it|that day|too].
The weather was {mood.opinions}, and the food was {mood.opinions} too.
{A} {mood.adverbs} [told|wrote to] {A.his} friends about the {T}. Everyone was {mood.feelings}.
""".strip().split("\n")

GENERAL = """
{^A?} had {v=verb.participle} {v.ends} [that morning|before|the day before].
{B} {v=verb.past} {v.ends}.
The road to the {building} was {pair}.
{A} also had a~ {x=elsewhere}. It was a~ {x.adjectives} {x.name}.
{B} had brought a~ {x=elsewhere}. {A} {x.verbs} the {x} {x.adverbs}.
Behind the {building}, a~ {x=elsewhere} stood beside a~ {colour} {furniture}. The {x.name} looked {x.adjectives}.
""".strip().split("\n")

ENDINGS = """
In the end, {A} and {B} were {mood.feelings}. [It had been|What] a~ {mood.opinions} day.
That {T.name} was the most {mood.opinions} thing in {town}.
[They|{A} and {B}] went home {mood.adverbs}, and the {T} [stayed in|was left in] the {topic.places}.
""".strip().split("\n")


def _templates(lines):
    return tuple(Template(line, LEXICON) for line in lines)


def grammar():
    """The grammar of the village."""
    openings, topic, mood, general, endings = map(_templates, (OPENINGS, TOPIC, MOOD, GENERAL, ENDINGS))
    return Grammar({"mood": MOODS, "topic": CATEGORIES}, lambda story: openings,
                   (lambda story: topic, lambda story: mood, lambda story: general), lambda story: endings, 3, 4)
