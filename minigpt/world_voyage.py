"""The second domain of the embedded world: ships' logs, with words and sentence forms of their own.

It shares the people and the irregular verbs of the village, and little else, so that a model pre-trained on the
village has something to adapt to. Two latents again: the mood and the topic.
"""

from .world_grammar import Grammar, Template
from .world_words import PEOPLE, VERBS, WORDS, Mood, category

CATEGORIES = (
    category(
        "fish", "fish",
        nouns="cod, herring, mackerel, tuna, halibut, haddock, sardine, anchovy, eel, turbot, pilchard, swordfish, "
              "flounder, monkfish, sturgeon, salmon, plaice, pike",
        adjectives="scaly, slippery, silvery, salted, bony, wriggling, smoked, gutted",
        verbs="caught, netted, filleted, hooked, landed, salted",
        adverbs="deftly, briskly, nimbly",
        parts="fins, gills, scales, spine",
        places="net, hold, galley",
        jobs="fisherman, ship's cook"),
    category(
        "seabird", "seabirds",
        nouns="albatross, petrel, gannet, cormorant, puffin, tern, skua, pelican, kittiwake, guillemot, shearwater, "
              "fulmar, razorbill, booby, osprey, sandpiper, penguin, curlew",
        adjectives="white-winged, soaring, web-footed, diving, screeching, gliding, moulting, migrating",
        verbs="spotted, shot at, ringed, followed, described, startled",
        adverbs="wonderingly, keenly, hastily",
        parts="wingspan, plumage, call, webbed feet",
        places="rigging, crow's nest, wake",
        jobs="naturalist, lookout"),
    category(
        "sail", "sails",
        nouns="mainsail, foresail, topsail, jib, spinnaker, mizzen, staysail, lugsail, genoa, spanker, trysail, "
              "skysail, headsail, gaffsail, moonsail, flying jib, royal, studdingsail",
        adjectives="billowing, patched, furled, slack, canvas, flapping, reefed, storm-torn",
        verbs="hoisted, furled, reefed, set, lowered, patched",
        adverbs="smartly, handily, taut",
        parts="canvas, sheets, luff, clew",
        places="sail locker, bow, foredeck",
        jobs="sailmaker, topman"),
    category(
        "vessel", "vessels",
        nouns="schooner, brig, frigate, sloop, ketch, cutter, galleon, clipper, barque, trawler, tugboat, ferry, "
              "yacht, dinghy, canoe, lugger, whaler, corvette",
        adjectives="three-masted, becalmed, anchored, waterlogged, ocean-going, armed, barnacled, moored",
        verbs="sighted, hailed, boarded, towed, signalled, rammed",
        adverbs="promptly, astern, abeam",
        parts="hull, mast, rudder, anchor",
        places="harbour, strait, roadstead",
        jobs="pilot, harbour master"),
    category(
        "device", "devices",
        nouns="compass, sextant, telescope, barometer, chart, hourglass, lantern, sounding lead, quadrant, astrolabe, "
              "chronometer, foghorn, thermometer, log line, spyglass, protractor, almanac, octant",
        adjectives="brass, calibrated, magnetic, faulty, finely graduated, accurate to a hair, salt-stained, dented",
        verbs="consulted, adjusted, checked, read off, calibrated, unpacked",
        adverbs="precisely, hourly, anew",
        parts="dial, scale, needle, mounting",
        places="chart room, wheelhouse, cabin",
        jobs="navigator, first mate"),
)

MOODS = (
    Mood("good",
         opinions=tuple("""fair favourable auspicious propitious bracing shipshape handsome welcome smooth blessed
         steady memorable rewarding profitable promising merciful triumphant hospitable""".split()),
         feelings=tuple("heartened buoyant hale contented spirited rested encouraged high-spirited".split()),
         adverbs=tuple("heartily lustily willingly contentedly".split()),
         reactions=tuple("toasted saluted honoured relished".split()),
         cries=("Fair winds", "Land ho", "God be thanked", "All is well"),
         noises=tuple("whistled rejoiced danced exulted".split())),
    Mood("bad",
         opinions=tuple("""foul-smelling treacherous ruinous perilous squally ill-fated calamitous disastrous harrowing
         cursed deadly hellish merciless accursed desolate ominous gruelling fateful""".split()),
         feelings=tuple("disheartened seasick fearful mutinous despondent starved fever-stricken low-spirited".split()),
         adverbs=tuple("grudgingly sullenly fearfully listlessly".split()),
         reactions=tuple("damned feared dreaded shunned".split()),
         cries=("Man overboard", "All hands to the pumps", "God help us", "All is lost"),
         noises=tuple("grumbled shuddered prayed mutinied".split())),
)

SEA = {key: tuple(w.strip() for w in text.split(",")) for key, text in {
    "ship": "Albion, Bonaventure, Calypso, Dauntless, Endurance, Fortuna, Griffin, Halcyon, Intrepid, Meridian",
    "port": "Lisbon, Cadiz, Bergen, Dover, Havana, Malta, Tunis, Batavia, Bristol, Naples, Hamburg, Valparaiso",
    "wind": "light airs, a gentle breeze, a fresh breeze, a stiff gale, a following wind, a head wind",
    "bearing": "north-east, north-west, south-east, south-west, due north, due south, due east, due west",
    "cargo": "pepper, silk, tea, timber, salt, wool, rum, cotton, spices, tar, coal, sugar, whale oil, furs",
    "hand": "bosun, cabin boy, quartermaster, helmsman, purser, surgeon, carpenter's mate, gunner",
    "water": "swell, tide, current, spray, fog bank, surf",
}.items()}

OPENINGS = """
Log of the {S=ship}, one {day} in {month}. Wind {bearing}, {wind}. Captain {A=person} commanding. {^A.he} sighted a~ \
{T=thing} near the {P=topic.places}, bound for {C=port}.
{day}, at sea. The {S=ship} left {C=port} with {number} tons of {cargo}. Captain {A=person} found a~ {T=thing} in the \
{P=topic.places}.
{S=ship}, day {number}. {^wind} from {bearing}. Captain {A=person} reports a~ {T=thing} by the {P=topic.places}. \
Course set for {C=port}.
"""

BODY = """
Noon. {^wind} from {bearing}. Depth {number} fathoms.
The crew {T.verbs} the {T} {T.adverbs}.
The {T}, a~ {T.adjectives} {T.name}, was entered in this log.
A~ {u=second} was seen to port. It was a~ {T.adjectives} {T.name}.
The {hand} asked which {T.name} it was. Answer: a~ {u=second}, very {T.adjectives}.
The {T.parts} of the {T} measured {number} inches.
A~ {topic.jobs} {T.verbs} {number} {T.kinds} before {number2} bells, most of them {T.adjectives}.
Took on {cargo} and fresh water at {port}. The {hand} kept the tally.
Made {number} knots under the {water}. The {hand} stood watch.
A~ {x=elsewhere}, {x.adjectives}, was found on deck. The {hand} {x.verbs} the {x.name} {x.adverbs}.
The {hand} has {v=verb.participle} {v.ends}, which was noted.
Captain {A} {v=verb.past} {v.ends} in the forenoon watch.
In the {P}: {number} {u=second.plural}, all {T.adjectives}.
Latitude {number} degrees. The {water} set {bearing}.
Exchanged {cargo} for a~ {x=elsewhere}. The {x.name} is {x.adjectives}.
"""

FEELING = """
A~ {mood.opinions} day. The crew {mood.reactions} it.
"{mood.cries}!" the {hand} called. All hands {mood.noises} {mood.adverbs}.
The {T} proved a~ {mood.opinions} {T.name}. Everyone was {mood.feelings}.
Captain {A} is {mood.feelings}. The {water} was {mood.opinions}.
The men {mood.reactions} the {T} and {mood.noises}. It was {mood.opinions}.
The passage to {port} was {mood.opinions}. The {hand} felt {mood.feelings}.
The watch below worked {mood.adverbs}, {mood.feelings} as they were.
"""

ENDINGS = """
{C} in sight. The voyage was {mood.opinions}, and the crew {mood.feelings}. Signed, {A}.
So ends a~ {mood.opinions} day aboard the {S}.
Dropped anchor off {C}. All hands {mood.noises}. The {T} remains in the {P}.
"""

OTHER_CATEGORIES = {c.name: tuple(d for d in CATEGORIES if d is not c) for c in CATEGORIES}

LEXICON = {
    **{key: WORDS[key] for key in ("month", "day", "number")}, **SEA,
    "person": PEOPLE, "verb": VERBS,
    "number2": ("two", "three", "four", "five", "six", "seven", "eight"),
    "thing": lambda story, chooser: story["topic"].nouns,
    "second": lambda story, chooser: [noun for noun in story["topic"].nouns if noun is not story["T"]],
    "elsewhere": lambda story, chooser: chooser.pick(OTHER_CATEGORIES[story["topic"].name]).nouns,
}


def grammar():
    """The grammar of the ships' logs."""
    openings, body, feeling, endings = (
        tuple(Template(line, LEXICON) for line in text.strip().split("\n"))
        for text in (OPENINGS, BODY, FEELING, ENDINGS))
    return Grammar({"mood": MOODS, "topic": CATEGORIES}, openings, lambda latents: (body, feeling), endings, 5, 9)
