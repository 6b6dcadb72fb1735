"""The embedded world: its text, its probabilities and its tasks."""

import hashlib
import math
import re
import time
from collections import Counter, defaultdict

import pytest

from minigpt import world, world_village, world_voyage
from minigpt.world_grammar import Chooser, Grammar, Template, articles, runs

CATEGORIES, MOODS = world_village.CATEGORIES, world_village.MOODS


def words(text):
    return re.findall(r"[a-z][a-z'-]*", text.lower())


@pytest.fixture(scope="module")
def corpus():
    return world.stories(5000)


# --- text -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("domain, split, index, digest", [
    ("village", "train", 0, "db5ec5cd73c73f2f"),
    ("village", "train", 12345, "dcbaacf7dad0211a"),
    ("village", "validation", 1, "81050a054bdf7613"),
    ("village", "test", 2, "07a99cf0da7719a2"),
    ("voyage", "train", 0, "e857f8a5c51cf561"),
    ("voyage", "test", 7, "49dd61613932e3bd"),
])
def test_the_same_bytes_everywhere(domain, split, index, digest):
    text = world.story(index, split, domain=domain)
    assert hashlib.sha256(text.encode("utf-8")).hexdigest()[:16] == digest


@pytest.mark.parametrize("name, digest", [
    ("sentiment", "e0c5de936731f261"),
    ("acceptability", "015ab63063a40521"),
    ("entailment", "e558ab9ad51652c0"),
    ("paraphrase", "5b6c023b8930ba63"),
    ("cloze", "e7675bbb57f4c406"),
    ("pronoun", "8b497b79ea3a4f0a"),
    ("qa", "2d4dda7f097879bf"),
])
def test_the_same_tasks_everywhere(name, digest):
    assert hashlib.sha256(repr(world.task(name, "test")).encode("utf-8")).hexdigest()[:16] == digest


def test_stories_are_of_a_readable_length(corpus):
    lengths = sorted(len(story.split()) for story in corpus)
    assert 130 < lengths[len(lengths) // 2] < 190
    assert 70 <= lengths[0] and lengths[-1] <= 280
    assert 80 <= lengths[len(lengths) // 50] and lengths[-len(lengths) // 50] <= 250


def test_vocabulary(corpus):
    assert len({word for story in corpus for word in words(story)}) >= 2200
    assert all(story.isascii() for story in corpus)


@pytest.mark.parametrize("domain", world.DOMAINS)
def test_articles_agree_with_the_next_word(domain):
    text = "\n".join(world.stories(1000, domain=domain))
    sounds_like_you = "use|uni|eu"
    assert not re.findall(rf"\b[Aa] (?=[aeiouAEIOU])(?!{sounds_like_you})\w+|\b[Aa] honest\w*", text)
    assert not re.findall(r"\b[Aa]n (?![aeiouAEIOU]|honest|hour)\w+", text)
    assert articles("a~ owl, a~ cat, a~ useless a~ honest man") == "an owl, a cat, a useless an honest man"


@pytest.mark.parametrize("domain", world.DOMAINS)
def test_nothing_of_the_template_language_is_left(domain):
    text = "\n".join(world.stories(1000, domain=domain))
    assert not re.search(r"[{}\[\]|~^=]|  | [.,!?]|\.\.|<", text)
    starts = re.findall(r'(?:^|[.!?] |\n)"?(\w)', text)
    assert all(letter.isupper() for letter in starts if letter.isalpha())


def test_every_pronoun_has_one_reading(corpus):
    she = {person.text for person in world_village.WOMEN}
    he = {person.text for person in world_village.MEN}
    for story in corpus[:500]:
        names = set(re.findall(r"[A-Z]\w+", story))
        assert len(names & she) == 1 and len(names & he) == 1


def test_words_of_one_category_only():
    for field in ("adjectives", "verbs", "adverbs", "jobs"):
        owners = Counter(word for category in CATEGORIES for word in set(getattr(category, field)))
        assert max(owners.values()) == 1, owners.most_common(3)
    for categories in (CATEGORIES, world_voyage.CATEGORIES):
        nouns = Counter(noun.text for category in categories for noun in category.nouns)
        assert max(nouns.values()) == 1, nouns.most_common(3)


def test_categories_and_moods_are_balanced():
    latents = [world._grammar("village").start(Chooser(f"village/train/0/{i}")) for i in range(6000)]
    for name, options in (("topic", CATEGORIES), ("mood", MOODS)):
        counts = Counter(story[name].name for story in latents)
        expected = len(latents) / len(options)
        assert all(abs(n - expected) < 5 * math.sqrt(expected) for n in counts.values()), counts


def test_speed():
    start = time.process_time()
    size = sum(map(len, world.stories(1500, seed=9)))
    assert size / (time.process_time() - start) > 1e6


# --- probabilities ----------------------------------------------------------------------------------------------------

class Kind:
    def __init__(self, name, things):
        self.name, self.things, self.clues = name, things, ()


def tiny():
    """A grammar of a few hundred texts; a cat is in both kinds, so that some texts have two derivations."""
    kinds = (Kind("k", ("cat", "dog")), Kind("l", ("cat", "owl", "emu")))
    lexicon = {"thing": lambda story, chooser: story["kind"].things, "colour": ("red", "blue")}

    def compiled(*lines):
        return tuple(Template(line, lexicon) for line in lines)

    blocks = compiled("It was {colour}.", "It was [red|old].", "Yes.")
    return Grammar({"kind": kinds}, compiled("A~ {T=thing}.", "[See a~|Oh, a~] {T=thing}."),
                   lambda latents: (blocks,), compiled("Bye, {T}."), 1, 2)


def test_tiny_grammar_every_text_and_its_probability():
    grammar = tiny()
    total = defaultdict(float)
    for text, bits in runs(grammar.write):
        total[text] += 2.0 ** -bits
    assert len(total) > 200
    assert math.isclose(sum(total.values()), 1.0, abs_tol=1e-12)
    for text, probability in total.items():
        assert math.isclose(grammar.bits(text), -math.log2(probability), abs_tol=1e-9)
    several = [text for text in total if len(grammar.derivations(text)) > 1]
    assert any("cat" in text for text in several) and any("It was red." in text for text in several)
    assert grammar.bits("A cow. Bye, cow.") == math.inf


def test_tiny_grammar_by_counting():
    """The frequency of a text in many draws is the probability that the grammar states."""
    grammar, n = tiny(), 60000
    counts = Counter(grammar.write(Chooser(f"draw {i}")) for i in range(n))
    for text, count in counts.most_common(20):
        p = 2.0 ** -grammar.bits(text)
        assert abs(count - n * p) < 5 * math.sqrt(n * p)


@pytest.mark.parametrize("domain, n", [("village", 40), ("voyage", 60)])
def test_each_story_has_one_derivation(domain, n):
    grammar = world._grammar(domain)
    for index in range(n):
        found = grammar.derivations(world.story(index, "test", domain=domain))
        assert len(found) == 1
        assert math.isclose(found[0][0], world.story_bits(index, "test", domain=domain), abs_tol=1e-6)


def test_latents_can_be_read_off_the_text():
    grammar = world._grammar("village")
    lists = [{w for field in (m.opinions, m.feelings, m.adverbs, m.reactions, m.noises) for w in field} for m in MOODS]
    assert not lists[0] & lists[1]
    elsewhere = {"bitter", "cried", "sang", "hopeless"}
    for index in range(3000):
        truth = grammar.start(Chooser(f"village/test/0/{index}"))
        text = world.story(index, "test")
        moods = [MOODS[i] for i in (0, 1) if (lists[i] - elsewhere) & set(words(text))]
        assert moods == [truth["mood"]]
        opening = text.split("\n")[0]
        homes = [c for c in CATEGORIES if any(re.search(rf"\b{re.escape(p)}\b", opening) for p in c.places)]
        assert truth["topic"] in homes


def test_entropy_is_that_of_the_bits():
    rate, error = world.entropy(400)
    size = sum(len(world.story(i, "test").encode()) for i in range(400))
    assert math.isclose(rate, sum(world.story_bits(i, "test") for i in range(400)) / size)
    assert 0.15 < rate < 0.5 and 0 < error < 0.01
    other, other_error = world.entropy(400, "train", seed=3)
    assert abs(rate - other) < 5 * math.hypot(error, other_error)
    assert math.isclose(world.exact_bits(world.story(7)), world.story_bits(7), abs_tol=1e-6)


# --- splits and tasks -------------------------------------------------------------------------------------------------

def test_splits_share_no_story(corpus):
    parts = [corpus, world.stories(3000, "validation"), world.stories(3000, "test"), world.stories(3000, seed=1)]
    assert len({story for part in parts for story in part}) == sum(map(len, parts))


def fields(example):
    """A dict of words by field, for a bag-of-words baseline."""
    for key, value in example.items():
        if key != "label":
            for i, text in enumerate([value] if isinstance(value, str) else value):
                yield f"{key}{i}", text


def features(example):
    return {f"{where}:{word}" for where, text in fields(example) for word in words(text)}


@pytest.mark.parametrize("name", world.TASKS)
def test_a_bag_of_words_is_at_chance(name):
    right = total = 0
    for seed in range(3):
        counts = [Counter(), Counter()]
        train = world.task(name, seed=seed)
        for example in train:
            counts[example["label"]].update(features(example))
        for example in world.task(name, "test", seed=seed):
            score = sum(math.log((counts[1][f] + 1) / (counts[0][f] + 1)) for f in features(example))
            right += (score > 0) == example["label"]
            total += 1
    assert abs(right / total - 0.5) < 0.06, right / total


@pytest.mark.parametrize("name", world.TASKS)
@pytest.mark.parametrize("split", world.SPLITS)
def test_tasks_are_balanced_and_distinct(name, split):
    made = world.task(name, split)
    assert len(made) == {"train": 2000, "validation": 400, "test": 500}[split]
    assert sum(example["label"] for example in made) == len(made) // 2
    assert len({str(example) for example in made}) == len(made)
    assert made[:6] == world.task(name, split, 6)
    assert len(world.task(name, split, 7)) == 7 and world.task(name, split, 0) == []


@pytest.mark.parametrize("name", world.TASKS)
def test_training_does_not_hold_the_answers(name):
    parts = [{str(example) for example in world.task(name, split)} for split in world.SPLITS]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


DECIDING = {
    "sentiment": {w for mood in MOODS for w in mood.opinions},
    "acceptability": {w for verb in world_village.VERBS for w in (verb.past, verb.participle)},
    "entailment": {noun.text for c in CATEGORIES for noun in c.nouns},
    "paraphrase": {pair.first for groups in world_village.PAIRS.values() for group in groups for pair in group},
    "cloze": {w for mood in MOODS for w in mood.opinions + mood.feelings},
    "pronoun": {w for c in CATEGORIES for w in [n.text for n in c.nouns] + list(c.adjectives)},
    "qa": {noun.text for c in CATEGORIES for noun in c.nouns},
}


@pytest.mark.parametrize("name", world.TASKS)
def test_deciding_words_are_held_out_but_known(name, corpus):
    def used(split):
        text = "\n".join(text for example in world.task(name, split) for _, text in fields(example))
        return {w for w in DECIDING[name] if re.search(rf"(?<![\w-]){re.escape(w)}(?![\w-])", text)}

    train, validation, test = map(used, world.SPLITS)
    known = set(words(" ".join(corpus)))
    assert all(part in known for word in validation | test for part in words(word))
    assert not train & test and not train & validation and not validation & test
    assert len(train) > 0.4 * len(DECIDING[name]) and min(len(validation), len(test)) > 0.2 * len(DECIDING[name])


@pytest.mark.parametrize("name", world.TASKS)
def test_stories_hold_no_sentence_of_a_task(name, corpus):
    text = "\n".join(corpus[:1000])
    for split in world.SPLITS:
        for example in world.task(name, split):
            assert not [t for where, t in fields(example) if t in text and not (name in ("pronoun", "qa")
                                                                                and where.startswith("answers"))]


def test_labels_mean_what_they_say():
    category = {noun.text: c.name for c in CATEGORIES for noun in c.nouns}
    for example in world.task("qa", "test"):
        kind = re.match(r"Which (\w+) does", example["question"])[1]
        assert [category[answer] == kind for answer in example["answers"]].index(True) == example["label"]
    owner = {adjective: c.name for c in CATEGORIES for adjective in c.adjectives}
    for example in world.task("pronoun", "test"):
        adjective = re.search(r", and it was very (.*)\.", example["text"])[1]
        assert category[example["answers"][example["label"]]] == owner[adjective]
    for example in world.task("entailment", "test"):
        noun = re.search(r" an? (.*) in ", example["premise"])[1]
        kind = re.search(r" an? (.*)\.", example["hypothesis"])[1]
        assert (category[noun] == kind) == bool(example["label"])


def test_labels_of_words_mean_what_they_say():
    pasts = {verb.past: 0 for verb in world_village.VERBS}
    participles = {verb.participle: 1 for verb in world_village.VERBS}
    for example in world.task("acceptability", "test"):
        _, _, *has, form = re.match(r"(\w+ )(\w+ \w+ )(has )?(\w+)", example["text"]).groups()
        assert ({**pasts, **participles}[form] == (has != [None])) == bool(example["label"])
    good, bad = ({*mood.opinions, *mood.feelings} for mood in MOODS)
    for example in world.task("sentiment", "test"):
        found = set(re.findall(r"[\w-]+", example["text"].lower()))
        assert bool(found & good) == bool(example["label"]) and bool(found & bad) != bool(example["label"])
    for example in world.task("cloze", "test"):
        right, wrong = (set(words(example["answers"][i])) for i in (example["label"], 1 - example["label"]))
        mood, other = (good, bad) if set(words(example["context"])) & good else (bad, good)
        assert right & mood and wrong & other
    group = {pair.first: (kind, i) for kind, groups in world_village.PAIRS.items()
             for i, pairs in enumerate(groups) for pair in pairs}
    for example in world.task("paraphrase", "test"):
        first, second = (text.removesuffix(".").split()[-1] for text in (example["text1"], example["text2"]))
        assert first != second and (group[first] == group[second]) == bool(example["label"])


def test_second_domain_has_tasks_of_its_own():
    fish = {noun.text for c in world_voyage.CATEGORIES for noun in c.nouns}
    assert all(set(e["answers"]) <= fish for e in world.task("qa", "test", domain="voyage"))
    sea, land = (set(words(" ".join(world.stories(400, domain=d)))) for d in ("voyage", "village"))
    assert len(sea) > 400 and len(sea - land) > 200
    with pytest.raises(ValueError, match="exists in the domain 'village' only"):
        world.task("paraphrase", domain="voyage")


@pytest.mark.parametrize("call, says", [
    (lambda: world.story(0, "tset"), "unknown split 'tset': choose one of train, validation, test"),
    (lambda: world.story(0, domain="moon"), "unknown domain 'moon'"),
    (lambda: world.story(-1), "whole number from 0 on, not -1"),
    (lambda: world.task("parsing"), "unknown task 'parsing'"),
    (lambda: world.task("qa", "dev"), "unknown split 'dev'"),
    (lambda: world.task("qa", n=-2), "whole number from 0 on, not -2"),
    (lambda: world.task("acceptability", n=10**5), "fewer than 100000 different examples"),
    (lambda: world.entropy(1), "at least 2 stories"),
    (lambda: Template("[a|a]", {}), "same alternative twice"),
])
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        call()
