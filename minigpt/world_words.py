"""The words of the embedded world, sorted by what they mean.

Plain lists, no code that chooses: `world_grammar.py` writes stories with them and `world_tasks.py` asks about
them. A category's nouns, adjectives, verbs and adverbs belong to it alone, so that a word's neighbours tell
its category.
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


@dataclass(frozen=True, eq=False)
class Person:
    """A name and the pronouns that stand for it."""

    text: str
    he: str
    him: str
    his: str


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


def _category(name, kinds, **lists):
    words = {key: tuple(w.strip() for w in text.split(",")) for key, text in lists.items()}
    nouns = words.pop("nouns")
    category = Category(name, kinds, (), **words)
    object.__setattr__(category, "nouns", tuple(Noun(noun, category, plural(noun)) for noun in nouns))
    return category


CATEGORIES = (
    _category(
        "animal", "animals",
        nouns="goat, donkey, rabbit, pony, hamster, lamb, kitten, puppy, calf, ferret, mouse, hedgehog, piglet, otter, "
              "squirrel, llama, mule, badger, weasel, foal, beaver, fox, monkey, camel",
        adjectives="furry, tame, hungry, sleepy, shaggy, frisky, woolly, timid, hairy, playful",
        verbs="fed, petted, stroked, tickled, milked, groomed, chased, sheltered",
        adverbs="gently, tenderly, kindly, lovingly",
        parts="tail, paw, ear, nose, snout, whisker, belly",
        places="barn, stable, meadow, pasture, kennel, farmyard",
        jobs="farmer, shepherd, vet, groom"),
    _category(
        "fruit", "fruits",
        nouns="apple, pear, plum, peach, lemon, melon, fig, apricot, orange, banana, mango, lime, quince, cherry, "
              "grape, papaya, coconut, kiwi, nectarine, raspberry, strawberry, tangerine, pineapple, blackberry",
        adjectives="ripe, juicy, sour, seedless, mellow, unripe, tangy, fleshy, overripe, sun-ripened",
        verbs="peeled, squeezed, picked, bit, pitted, sliced, plucked, gathered",
        adverbs="greedily, eagerly, hungrily, thirstily",
        parts="skin, stem, core, pip, peel, flesh, rind",
        places="orchard, greenhouse, fruit stall, hillside, juice bar, grove",
        jobs="grower, picker, fruit seller, juicer"),
    _category(
        "dish", "dishes",
        nouns="pie, stew, omelette, pancake, curry, salad, pudding, dumpling, casserole, pizza, soup, sandwich, "
              "sausage, waffle, pasty, burger, tart, trifle, crumble, risotto, kebab, lasagne, roast, porridge",
        adjectives="tasty, salty, spicy, crispy, buttery, creamy, peppery, cheesy, greasy, steaming",
        verbs="cooked, baked, fried, served, seasoned, boiled, reheated, devoured",
        adverbs="slowly, noisily, skilfully, patiently",
        parts="crust, filling, sauce, topping, gravy, garnish, aroma",
        places="kitchen, bakery, inn, tavern, canteen, dining room",
        jobs="cook, baker, chef, waiter"),
    _category(
        "tool", "tools",
        nouns="hammer, saw, drill, wrench, chisel, shovel, axe, spade, rake, screwdriver, crowbar, mallet, hatchet, "
              "file, pickaxe, trowel, plane, sickle, scythe, hoe, clamp, knife, pitchfork, crank",
        adjectives="rusty, blunt, sharp, sturdy, handmade, steel, jagged, well-oiled, worn-out, notched",
        verbs="sharpened, gripped, swung, oiled, mended, wielded, hammered, repaired",
        adverbs="firmly, steadily, forcefully, tightly",
        parts="handle, blade, edge, grip, screw, tip, bolt",
        places="workshop, shed, forge, sawmill, building site, quarry",
        jobs="carpenter, builder, blacksmith, plumber"),
    _category(
        "instrument", "instruments",
        nouns="violin, flute, drum, trumpet, guitar, harp, cello, piano, banjo, clarinet, trombone, fiddle, lute, "
              "tuba, oboe, bugle, accordion, mandolin, lyre, saxophone, horn, viola, tambourine, harmonica",
        adjectives="tuneful, melodious, loud, out-of-tune, squeaky, shrill, mellow-toned, resonant, musical, tinny",
        verbs="played, tuned, strummed, practised, plucked at, rehearsed on, performed on, blew into",
        adverbs="softly, rhythmically, musically, loudly",
        parts="string, key, note, tone, bow, reed, pedal",
        places="concert hall, bandstand, music room, theatre, opera house, ballroom",
        jobs="musician, composer, conductor, music teacher"),
    _category(
        "garment", "garments",
        nouns="coat, scarf, jacket, shirt, cloak, sweater, dress, skirt, hat, cap, glove, mitten, shawl, vest, "
              "blouse, apron, robe, cardigan, sock, bonnet, tunic, gown, kilt, raincoat",
        adjectives="knitted, silky, baggy, woollen, checked, tight-fitting, ragged, striped, embroidered, tailored",
        verbs="wore, knitted, sewed, ironed, buttoned, folded, stitched, hemmed",
        adverbs="neatly, snugly, stylishly, tidily",
        parts="sleeve, collar, pocket, seam, button, hood, lining",
        places="tailor's shop, wardrobe, laundry, dressing room, weaving mill, fitting room",
        jobs="tailor, seamstress, weaver, dressmaker"),
    _category(
        "vehicle", "vehicles",
        nouns="truck, van, car, bus, tractor, wagon, cart, bicycle, motorbike, taxi, tram, scooter, lorry, carriage, "
              "train, ambulance, minibus, jeep, sledge, caravan, limousine, tricycle, bulldozer, moped",
        adjectives="speedy, bumpy, rattling, fuel-hungry, muddy, dented, four-wheeled, electric, roaring, motorised",
        verbs="drove, parked, steered, rode in, refuelled, raced, overtook, reversed",
        adverbs="quickly, recklessly, speedily, smoothly",
        parts="wheel, brake, engine, tyre, headlight, seat, bumper",
        places="garage, car park, station, motorway, crossroads, petrol station",
        jobs="driver, mechanic, chauffeur, courier"),
    _category(
        "flower", "flowers",
        nouns="rose, tulip, lily, daisy, orchid, poppy, violet, iris, daffodil, carnation, pansy, peony, sunflower, "
              "primrose, snowdrop, bluebell, marigold, dahlia, buttercup, hyacinth, geranium, crocus, jasmine, petunia",
        adjectives="fragrant, blooming, scented, wilted, sweet-smelling, faded, thorny, dewy, budding, freshly cut",
        verbs="watered, planted, smelled, sniffed, arranged, potted, pressed, transplanted",
        adverbs="delicately, daintily, lightly, gracefully",
        parts="petal, bud, stalk, scent, blossom, thorn, root",
        places="garden, flower bed, park, florist's shop, windowsill, conservatory",
        jobs="gardener, florist, botanist, flower girl"),
    _category(
        "toy", "toys",
        nouns="doll, kite, puzzle, marble, yo-yo, puppet, teddy bear, balloon, rattle, spinning top, ball, hoop, "
              "jigsaw, skipping rope, rocking horse, dollhouse, whistle, robot, frisbee, domino, slingshot, "
              "pinwheel, boomerang, jack-in-the-box",
        adjectives="bouncy, wind-up, cuddly, colourful, stuffed, painted, plastic, childish, bendy, battery-powered",
        verbs="bounced, tossed, cuddled, played with, unwrapped, wound up, spun, shared",
        adverbs="playfully, merrily, wildly, noiselessly",
        parts="spring, battery, knob, wrapping, lever, ribbon, switch",
        places="nursery, playground, toy shop, playroom, sandpit, classroom",
        jobs="toymaker, nanny, teacher, puppeteer"),
    _category(
        "jewel", "jewels",
        nouns="ring, necklace, bracelet, brooch, pearl, ruby, emerald, diamond, opal, locket, crown, pendant, "
              "sapphire, topaz, amulet, tiara, earring, garnet, amethyst, cufflink, medallion, turquoise, anklet, "
              "moonstone",
        adjectives="sparkling, glittering, precious, priceless, golden, jewelled, engraved, dazzling, flawless, gilded",
        verbs="polished, appraised, pawned, auctioned, inherited, valued, smuggled, admired",
        adverbs="discreetly, secretly, proudly, enviously",
        parts="clasp, chain, setting, sparkle, glint, facet, gem",
        places="jeweller's shop, vault, palace, treasury, auction house, museum",
        jobs="jeweller, goldsmith, collector, auctioneer"),
    _category(
        "container", "containers",
        nouns="basket, bucket, jar, bottle, crate, barrel, chest, sack, jug, vase, trunk, tin, suitcase, bowl, "
              "pouch, bin, casket, flask, hamper, tub, canister, rucksack, pitcher, tray",
        adjectives="empty, full, brimming, leaky, airtight, deep, overflowing, half-empty, roomy, sealed",
        verbs="filled, emptied, packed, unpacked, lifted, carried, opened, stacked",
        adverbs="heavily, laboriously, hurriedly, clumsily",
        parts="lid, rim, cork, bottom, latch, hinge, label",
        places="cellar, warehouse, storeroom, attic, pantry, depot",
        jobs="porter, packer, storekeeper, removal man"),
    _category(
        "tree", "trees",
        nouns="oak, birch, pine, willow, maple, elm, beech, cedar, poplar, chestnut, larch, spruce, fir, ash, alder, "
              "sycamore, yew, hawthorn, rowan, palm, cypress, linden, juniper, aspen",
        adjectives="leafy, mossy, gnarled, hollow, shady, towering, bare, evergreen, bushy, crooked",
        verbs="felled, climbed, pruned, chopped down, uprooted, sketched, measured, circled",
        adverbs="carefully, upwards, high, nimbly",
        parts="branch, twig, bark, leaf, bough, canopy, sap",
        places="forest, wood, clearing, grove of trees, riverbank, nature reserve",
        jobs="forester, woodcutter, ranger, logger"),
)

GIRLS = tuple("""Anna Clara Ella Grace Hannah Ivy Julia Kate Laura Mia Nora Olive Paula Rosa Sara Tina Vera Wendy Zoe
Alice Betty Carol Dora Emma Flora Gina Helen Ida Jane Kitty Lucy Mary Nina Pam Ruth Sally Tess Ursula Molly Amy Bella
Edith Fiona Greta Holly Irene Judy Linda Maud Polly""".split())
BOYS = tuple("""Adam Ben Carl Dan Eric Finn George Hugo Ian Jack Kevin Leo Max Nick Oscar Paul Rob Sam Tom Victor
Will Arthur Bill Charlie David Edgar Fred Gus Harry Ivan James Karl Louis Mark Ned Oliver Peter Ralph Simon Ted
Henry Joe Luke Martin Noah Otto Percy Roy Toby Walter""".split())
PEOPLE = tuple(Person(n, "she", "her", "her") for n in GIRLS) + tuple(Person(n, "he", "him", "his") for n in BOYS)
KIN = {"she": ("sister", "aunt", "mother", "niece", "daughter", "grandmother", "friend", "neighbour", "cousin"),
       "he": ("brother", "uncle", "father", "nephew", "son", "grandfather", "friend", "neighbour", "cousin")}

MOODS = (
    Mood("good",
         opinions=tuple("""wonderful lovely marvellous delightful splendid superb excellent fantastic charming glorious
         brilliant magnificent fabulous pleasant perfect fine amazing terrific beautiful great admirable outstanding
         enchanting exquisite heavenly impressive remarkable sublime stunning tremendous agreeable adorable
         first-rate incredible graceful lucky pleasing refreshing satisfying thrilling""".split()),
         feelings=tuple("""happy glad cheerful joyful delighted pleased merry proud grateful content thrilled hopeful
         jolly overjoyed thankful relaxed amused ecstatic jubilant blissful""".split()),
         adverbs=tuple("happily gladly cheerfully joyfully warmly gratefully brightly fondly".split()),
         reactions=tuple("loved adored enjoyed praised cherished treasured applauded welcomed".split()),
         cries=("Hurray", "How nice", "Well done", "What luck", "Bravo", "What a treat", "Splendid", "Wonderful"),
         noises=tuple("laughed cheered smiled grinned beamed giggled sang chuckled".split())),
    Mood("bad",
         opinions=tuple("""awful horrible terrible dreadful nasty miserable ghastly disgusting dismal wretched hideous
         atrocious lousy unpleasant useless poor appalling pathetic ugly rotten abysmal disappointing
         foul gruesome grim inferior revolting shameful shocking tragic disagreeable vile
         second-rate unbearable clumsy unlucky annoying sickening frustrating depressing""".split()),
         feelings=tuple("""sad unhappy gloomy upset angry disappointed furious bitter ashamed lonely worried hopeless
         grumpy heartbroken resentful tense irritated desperate mournful sorrowful""".split()),
         adverbs=tuple("sadly unhappily gloomily angrily coldly bitterly crossly wearily".split()),
         reactions=tuple("hated loathed disliked cursed despised detested resented rejected".split()),
         cries=("Oh no", "How sad", "Shame on you", "What bad luck", "Bother", "What a pity", "Dreadful", "Alas"),
         noises=tuple("sighed wept frowned sobbed scowled groaned moaned cried".split())),
)

# Groups of words that mean the same. Stories pair them ("big and large"); the paraphrase task asks about them.
SYNONYMS = tuple(tuple(g.split()) for g in """big large huge
small little tiny
fast swift rapid
silent quiet hushed
shiny gleaming glossy
wet soaked drenched
dirty filthy grubby
tired weary exhausted
clever smart bright
strange odd peculiar
old ancient aged
rich wealthy prosperous
brave bold fearless
famous renowned celebrated
hard difficult tough
easy effortless uncomplicated
thin slim slender
weak frail feeble
strong powerful mighty
rude impolite cheeky
polite courteous well-mannered
lazy idle sluggish
funny comical humorous
expensive costly dear
wrong incorrect mistaken
cold chilly freezing
scared afraid frightened
broken smashed shattered
round circular spherical
lost missing vanished
dull boring tedious
secret hidden concealed
crazy mad insane
dark dim unlit
cruel mean heartless
calm peaceful tranquil
busy occupied hard-working
modern new up-to-date
necessary needed essential
certain sure convinced""".split("\n"))

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
    "material": "wood, iron, glass, leather, paper, copper, clay, stone, wool, bronze, wax, straw",
    "town": "Ashford, Brookdale, Castleton, Dunmore, Elmwood, Fairhaven, Greenhill, Hollowbrook, Kingsbury, Larkfield, "
            "Millbridge, Northgate, Oakham, Pinecrest, Redcliff, Silverton, Thornbury, Westport, Windermere, Yarrow",
    "month": "January, February, March, April, May, June, July, August, September, October, November, December",
    "day": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "number": "two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, twenty",
    "room": "hall, bedroom, study, bathroom, corridor, basement, lounge, balcony",
    "furniture": "table, sofa, armchair, bookshelf, cupboard, desk, stool, bench, mirror, lamp, carpet, curtain",
    "building": "church, school, hospital, castle, cottage, tower, lighthouse, windmill, library, bank, town hall, "
                "post office, hotel, factory, chapel, cinema",
    "weather": "rainy, sunny, windy, foggy, snowy, stormy, cloudy, frosty, misty, drizzly, humid, breezy",
    "drink": "tea, coffee, cocoa, milk, lemonade, water, cider, juice",
    "landmark": "river, lake, hill, valley, bridge, cliff, beach, island, cave, waterfall, pond, marsh",
    "bird": "robin, sparrow, crow, magpie, owl, swallow, blackbird, pigeon, gull, heron, woodpecker, wren",
    "official": "mayor, doctor, judge, priest, captain, nurse, lawyer, sheriff, dentist, postman, librarian, "
                "policeman",
}.items()}
