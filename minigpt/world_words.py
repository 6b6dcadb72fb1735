"""The words of the embedded world, sorted by what they mean.

Plain lists, no code that chooses: `world_grammar.py` writes stories with them and `world_tasks.py` asks about
them. The categories of things have a file of their own, `world_things.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Category:
    """A kind of thing: what it is called, its members, and the words that go with its members only."""

    name: str        # the hypernym, singular: "animal"
    kinds: str       # "animals"
    nouns: tuple     # Noun objects
    adjectives: tuple
    verbs: tuple     # past tense, transitive
    adverbs: tuple   # go with the verbs
    parts: tuple     # what a member has
    places: tuple    # where members are found: "barn"
    jobs: tuple      # who deals with them: "farmer"


@dataclass(frozen=True, eq=False)
class Noun:
    """A member of a category."""

    text: str
    category: "Category"
    plural: str

    @property
    def clues(self):
        return self.text, self.plural


@dataclass(frozen=True, eq=False)
class Person:
    """A name and the pronouns that stand for it."""

    text: str
    he: str
    him: str
    his: str

    @property
    def clues(self):
        return (self.text,)


@dataclass(frozen=True, eq=False)
class Mood:
    """How a story feels: every word of opinion or feeling in it is drawn from one of these."""

    name: str
    opinions: tuple
    feelings: tuple
    adverbs: tuple
    reactions: tuple   # past tense, people towards things: "loved"
    cries: tuple       # what people call out
    noises: tuple      # how people say it: "laughed"


@dataclass(frozen=True, eq=False)
class Verb:
    """An irregular verb: past tense, participle, and what may follow."""

    past: str
    participle: str
    ends: tuple

    @property
    def clues(self):
        return self.past, self.participle


IRREGULAR_PLURALS = {"mouse": "mice", "goose": "geese", "knife": "knives", "scarf": "scarves", "calf": "calves"}


def plural(noun):
    """The plural of a noun of the world."""
    if noun in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[noun]
    if noun.endswith(("s", "x", "ch", "sh")) or noun in ("mango", "potato"):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def category(name, kinds, **lists):
    """A Category; `lists` gives its words as text, separated by commas."""
    words = {key: tuple(w.strip() for w in text.split(",")) for key, text in lists.items()}
    nouns = words.pop("nouns")
    made = Category(name, kinds, (), **words)
    object.__setattr__(made, "nouns", tuple(Noun(noun, made, plural(noun)) for noun in nouns))  # frozen: once only
    return made


GIRLS = tuple("""
Anna Clara Ella Grace Hannah Ivy Julia Kate Laura Mia Nora Olive Paula Rosa Sara Tina Vera Wendy Zoe
Alice Betty Carol Dora Emma Flora Gina Helen Ida Jane Kitty Lucy Mary Nina Pam Ruth Sally
""".split())
BOYS = tuple("""
Adam Ben Carl Dan Eric Finn George Hugo Ian Jack Kevin Leo Max Nick Oscar Paul Rob Sam Tom Victor
Will Arthur Bill Charlie David Edgar Fred Gus Harry Ivan James Karl Louis Mark Ned Oliver
""".split())
PEOPLE = tuple(Person(n, "she", "her", "her") for n in GIRLS) + tuple(Person(n, "he", "him", "his") for n in BOYS)
KIN = {"she": ("sister", "aunt", "mother", "niece", "daughter", "grandmother", "friend", "neighbour", "cousin"),
       "he": ("brother", "uncle", "father", "nephew", "son", "grandfather", "friend", "neighbour", "cousin")}

MOODS = (
    Mood("good",
         opinions=tuple("""wonderful lovely marvellous delightful splendid superb excellent fantastic charming glorious
         brilliant magnificent fabulous pleasant perfect fine amazing terrific beautiful great admirable
         outstanding enchanting exquisite heavenly impressive remarkable sublime stunning tremendous
         agreeable gorgeous""".split()),
         feelings=tuple("""happy glad cheerful joyful delighted pleased merry proud grateful content thrilled hopeful
         jolly overjoyed thankful relaxed amused ecstatic jubilant blissful""".split()),
         adverbs=tuple("happily gladly cheerfully joyfully warmly gratefully brightly fondly".split()),
         reactions=tuple("loved adored enjoyed praised cherished treasured applauded welcomed".split()),
         cries=("Hurray", "How nice", "Well done", "What luck", "Bravo", "What a treat", "Splendid", "Wonderful"),
         noises=tuple("laughed cheered smiled grinned beamed giggled sang chuckled".split())),
    Mood("bad",
         opinions=tuple("""awful horrible terrible dreadful nasty miserable ghastly disgusting dismal wretched hideous
         atrocious lousy unpleasant useless poor appalling pathetic ugly rotten abysmal disappointing
         foul gruesome grim dire revolting shameful shocking wearisome disagreeable vile""".split()),
         feelings=tuple("""sad unhappy gloomy upset angry disappointed furious bitter ashamed lonely worried hopeless
         grumpy heartbroken resentful tense irritated desperate mournful sorrowful""".split()),
         adverbs=tuple("sadly unhappily gloomily angrily coldly bitterly crossly wearily".split()),
         reactions=tuple("hated loathed disliked cursed despised detested resented rejected".split()),
         cries=("Oh no", "How sad", "Shame on you", "What bad luck", "Bother", "What a pity", "Dreadful", "Alas"),
         noises=tuple("sighed wept frowned sobbed scowled groaned moaned cried".split())),
)

@dataclass(frozen=True, eq=False)
class Pair:
    """Two words of a synonym group, in one order."""

    first: str
    second: str

    @property
    def both(self):
        return f"{self.first} and {self.second}"

    @property
    def clues(self):
        return (self.first,)


# Groups of words that mean the same, by what they can describe.
SYNONYMS = {kind: tuple(tuple(group.split()) for group in text.strip().split("\n")) for kind, text in {"person": """
tired weary exhausted
clever smart bright
rich wealthy prosperous
brave bold fearless
famous renowned celebrated
slim thin slender
weak frail feeble
strong powerful mighty
rude impolite cheeky
polite courteous well-mannered
lazy idle sluggish
funny comical humorous
scared afraid frightened
kind considerate caring
cruel mean heartless
busy occupied hard-working
shy bashful reserved
honest truthful sincere
stubborn obstinate pig-headed
generous giving open-handed
""", "object": """
shiny gleaming glossy
dirty filthy grubby
expensive costly dear
broken smashed shattered
round circular spherical
heavy weighty massive
fancy elaborate ornate
clean spotless immaculate
unusual uncommon rare
wet soaked drenched
""", "place": """
big large huge
small little tiny
silent quiet hushed
strange odd peculiar
old ancient aged
cold chilly freezing
dark dim unlit
modern new up-to-date
tall high lofty
dangerous risky unsafe
""", "matter": """
hard difficult tough
easy effortless uncomplicated
wrong incorrect mistaken
dull boring tedious
secret hidden confidential
necessary needed essential
fast swift rapid
long lengthy drawn-out
clear plain obvious
true correct accurate
short brief quick
important vital crucial
sudden abrupt unexpected
""" }.items()}
PAIRS = {kind: tuple(tuple(Pair(a, b) for a in group for b in group if a != b) for group in groups)
         for kind, groups in SYNONYMS.items()}

VERBS = tuple(Verb(p, q, tuple(e.split("/"))) for p, q, e in (line.split(" | ") for line in """
drove | driven | to the mill/through the village/past the church
ate | eaten | at noon/with a spoon/at the long table
took | taken | the wrong path/the last seat/a short rest
broke | broken | a cup/a window/two plates
wrote | written | a letter/a long list/a poem
chose | chosen | the left path/the blue door/a quiet corner
wore | worn | thick boots/odd socks/a paper hat
gave | given | a speech/a small wave/an answer
saw | seen | a rainbow/a shooting star/the sunrise
drew | drawn | a map/a circle/a straight line
threw | thrown | a stone/a snowball/the dice
knew | known | the way/the rules/the answer
grew | grown | a beard/two inches/tall
flew | flown | over the sea/across the valley/to the north
blew | blown | out the candle/a kiss/on the fire
rode | ridden | along the beach/over the bridge/into town
hid | hidden | behind the door/under the bed/the key
fell | fallen | asleep/down the stairs/into the mud
forgot | forgotten | the date/the password/an umbrella
froze | frozen | with fear/on the spot/in the snow
shook | shaken | hands/the rug/with laughter
stole | stolen | a glance/a spoon/away at night
spoke | spoken | to the mayor/in a whisper/for an hour
sang | sung | a song/in the choir/a lullaby
rang | rung | the bell/the doorbell/twice
drank | drunk | a glass of water/some tea/from the well
swam | swum | across the lake/in the river/to the island
began | begun | a new book/the lesson/to yawn
sank | sunk | into a chair/to the ground/below the waves
tore | torn | the paper/a page/the envelope
woke | woken | at dawn/with a start/before sunrise
rose | risen | from the chair/at six/to the top
did | done | the homework/the dishes/a handstand
went | gone | to the library/upstairs/for a walk
bit | bitten | into the crust/a fingernail/the pencil
arose | arisen | at first light/from the couch/without a word
undid | undone | the knot/the buckle/the damage
withdrew | withdrawn | from the race/some money/to the study
mistook | mistaken | salt for sugar/left for right/a stranger for a friend
""".strip().split("\n")))

WORDS = {key: tuple(w.strip() for w in text.split(",")) for key, text in {
    "colour": "red, blue, green, yellow, brown, grey, black, white, purple, pink, crimson, silver, scarlet, navy",
    "material": "wood, iron, glass, brass, copper, clay, stone, bronze, marble, steel, bamboo",
    "town": "Ashford, Brookdale, Castleton, Dunmore, Elmwood, Fairhaven, Greenhill, Hollowbrook, Kingsbury, Larkfield, "
            "Millbridge, Northgate, Oakham, Pinecrest, Redcliff, Silverton, Thornbury, Westport, Windermere, Yarrow",
    "month": "January, February, March, April, May, June, July, August, September, October, November, December",
    "day": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "number": "two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, twenty",
    "many": "five, six, seven, eight, nine, ten, eleven, twelve, twenty",
    "hour": "one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve",
    "room": "hall, bedroom, study, bathroom, corridor, basement, lounge, living room",
    "furniture": "table, sofa, armchair, bookshelf, cupboard, desk, stool, bench, mirror, lamp, carpet, curtain",
    "building": "church, school, hospital, castle, cottage, tower, lighthouse, windmill, library, bank, town hall, "
                "post office, hotel, factory, chapel, cinema",
    "weather": "rainy, sunny, windy, foggy, snowy, stormy, cloudy, frosty, misty, drizzly, humid, breezy",
    "drink": "tea, coffee, cocoa, milk, lemonade, water, cider, juice",
    "landmark": "river, lake, hill, valley, bridge, cliff, beach, island, cave, waterfall, pond, marsh",
    "bird": "robin, sparrow, crow, magpie, owl, swallow, blackbird, pigeon, gull, heron, woodpecker, wren",
    "food": "bread, cheese, cake, honey, jam, rice, fudge, chocolate, toast, pasta, ham, yoghurt, custard, popcorn, "
            "marmalade, cereal, bacon, gingerbread",
    "sauce": "salt, vinegar, mustard, butter, ketchup, mayonnaise, cream",
    "mixture": "dough, batter, mixture, syrup, broth, punch",
    "relatives": "grandparents, parents, relatives, cousins, in-laws, old friends",
    "direction": "north, south, east, west, coast, mountains",
    "bush": "hedge, bushes, reeds, grass, ivy, shrubs",
    "official": "mayor, doctor, judge, priest, captain, nurse, lawyer, sheriff, dentist, postman, librarian, "
                "policeman",
}.items()}
