"""The WebText pipeline: every stage against pages whose contents are known, hostile pages, kills, memory, shards."""

import itertools
import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections import Counter

import datasets
import numpy as np
import pytest

from minigpt import BPE, data, webtext, webtext_pages, webtext_stages, world
from minigpt.webtext import Settings, build, fates, judge, load_shards, pages
from minigpt.webtext_stages import Document, NearIndex, clean, digest, exact, jaccard, karma, near, shingles, text, tidy, wikipedia

N, SEED = 240, 3
SMALL = Settings(shard_tokens=12_000)


@pytest.fixture(scope="module", autouse=True)
def extra():
    """The extra `web`; without it a reader's tests skip, and the project's own fail."""
    try:
        for package in ("trafilatura", "datasketch", "py3langid"):
            webtext_stages.need(package)
    except ModuleNotFoundError as error:
        if os.environ.get("MINIGPT_REQUIRE") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def made(tmp_path_factory, bpe):
    """An uninterrupted run over N pages: its folder."""
    out = tmp_path_factory.mktemp("web") / "run"
    build(pages(N, SEED), out, bpe, SMALL, "world")
    return out


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def texts(*words):
    return [Document(str(i), text=text) for i, text in enumerate(words)]


# -- the pages ----------------------------------------------------------------------------------------------------------


def test_pages_depend_on_their_seed_and_number_alone():
    first = list(pages(60, 5))
    assert first == list(pages(60, 5)) and first[:20] == list(pages(20, 5))
    assert [p.page for p in first] != [p.page for p in pages(60, 6)]
    both = [(a.karma, b.karma) for a, b in zip(pages(200, 5), pages(200, 6), strict=True)
            if a.truth["kind"] == b.truth["kind"] == "article"]
    assert len(both) > 10 and sum(a == b for a, b in both) < len(both) / 2  # the votes too come from the seed
    kinds = Counter(page.truth["kind"] for page in pages(1000, 0))
    assert set(kinds) == set(webtext_pages.SHARES) and sum(webtext_pages.SHARES.values()) == 100
    assert all(abs(kinds[kind] - 10 * share) < 40 for kind, share in webtext_pages.SHARES.items())
    with pytest.raises(ValueError, match="at least 1"):
        pages(0)


def test_pages_are_what_their_labels_say():
    found = {page.id: page for page in pages(N, SEED)}
    by_number = {int(page.id.split("-")[-1]): page for page in found.values()}
    for page in found.values():
        kind, shown = page.truth["kind"], page.page.decode("latin-1" if b'"latin-1"' in page.page else "utf-8")
        assert (page.karma < 3) == (kind == "low")
        assert ("wikipedia.org/" in page.url) == (kind == "wikipedia")
        assert ("<p>" in shown.split("<footer>")[0]) == (kind != "empty")
        original = by_number[page.truth["story"]]
        if kind == "copy":
            assert original.truth["text"] == page.truth["text"] and original.url != page.url
        if kind == "edited":
            similarity = jaccard(shingles(original.truth["text"]), shingles(page.truth["text"]))
            assert 0.4 < similarity < 1
        if kind == "mirror":
            assert original.truth["kind"] == "wikipedia" and original.truth["text"] == page.truth["text"]
    french = [page.truth["text"] for page in found.values() if page.truth["kind"] == "french"]
    assert french and all("è" in text or "é" in text or " la " in text for text in french)


def test_french_sentences_agree_in_gender():
    chance = random.Random(0)
    female = {n for n, gender, _ in webtext_pages.NOUNS if gender}
    for _ in range(300):
        words = webtext_pages.french(chance)[0].lower().rstrip(".?").split()
        for article, noun in zip(words, words[1:], strict=False):
            if article in ("le", "la", "un", "une") and noun in {n for n, _, _ in webtext_pages.NOUNS}:
                assert (article in ("la", "une")) == (noun in female), words


# -- the stages -----------------------------------------------------------------------------------------------------------


def test_every_stage_against_the_labels(made):
    found = judge(fates(made), pages(N, SEED))
    assert found["karma"]["precision"] == found["karma"]["recall"] == 1
    kinds = Counter(page.truth["kind"] for page in pages(N, SEED))
    by_address = kinds["wikipedia"] / (kinds["wikipedia"] + kinds["mirror"])
    assert found["wikipedia"]["precision"] == 1 and found["wikipedia"]["recall"] == pytest.approx(by_address) and by_address < 1
    assert found["text"]["precision"] == found["clean"]["precision"] == found["clean"]["recall"] == 1
    assert found["language"]["precision"] == found["language"]["recall"] == 1
    assert found["exact"]["precision"] == 1 and found["exact"]["recall"] > 0.6
    assert found["near"]["precision"] == 1 and found["near"]["recall"] > 0.6
    ends = {page.id: fate["stage"] for page, fate in zip(pages(N, SEED), fates(made), strict=True)}
    for page in pages(N, SEED):
        kept = ends[page.id] == "kept"
        if page.truth["kind"] in ("article", "quote", "series", "translation"):
            assert kept, page.truth["kind"]
        if page.truth["kind"] in ("low", "wikipedia", "french", "empty", "copy"):
            assert not kept, page.truth["kind"]


def test_judge_counts_what_it_is_given():
    made = list(pages(40, 1))
    nothing = judge(({"id": page.id, "stage": "kept"} for page in made), made)
    low = sum(page.truth["kind"] == "low" for page in made)
    assert nothing["karma"] == dict(entered=40, removed=0, due=low, precision=None, recall=0) and low
    everything = judge(({"id": page.id, "stage": "karma"} for page in made), made)
    assert everything["karma"]["precision"] == low / 40 and everything["karma"]["recall"] == 1
    assert everything["near"] == dict(entered=0, removed=0, due=0, precision=None, recall=None)  # what is gone is judged no further
    with pytest.raises(ValueError, match="another seed"):
        judge(({"id": page.id, "stage": "kept"} for page in made), pages(40, 2))


def test_karma_and_wikipedia_by_the_link():
    votes = [Document(str(k), karma=k) for k in (-5, 0, 2, 3, 4, None)]
    assert [d.karma for d in karma(votes)] == [3, 4, None] and [d.karma for d in karma(votes, least=4)] == [4, None]
    removed = ["https://en.wikipedia.org/wiki/A", "http://wikipedia.org", "HTTPS://EN.M.WIKIPEDIA.ORG./x", "//fr.wikipedia.org/",
               "https://user@en.wikipedia.org:443/"]
    kept = ["https://notwikipedia.org/", "https://en.wikipedia.org.evil.example/", "https://a.example/?q=wikipedia.org",
            "https://wikiwand.com/en/A", "", "http://[broken", "wikipedia.org", "mailto:x@wikipedia.org"]
    gone = []
    left = [d.url for d in wikipedia([Document(u, u) for u in removed + kept], lambda d, stage, why: gone.append((d.url, stage)))]
    assert left == kept and gone == [(url, "wikipedia") for url in removed]
    mirrors = wikipedia([Document(u, u) for u in kept], domains=("wikipedia.org", "wikiwand.com"))
    assert "https://wikiwand.com/en/A" not in [d.url for d in mirrors]


def overlap(a, b):
    a, b = Counter(webtext_stages.normalise(a)), Counter(webtext_stages.normalise(b))
    both = (a & b).total()
    return both / max(1, a.total()), both / max(1, b.total())


def test_extraction_keeps_the_article_and_leaves_the_menu():
    made = [page for page in pages(80, 9) if page.truth["kind"] != "empty"]
    scores = {}
    for extractor in ("trafilatura", "plain"):
        copies = [Document(page.id, page=page.page) for page in made]
        rows = [overlap(d.text, page.truth["text"]) for d, page in zip(text(copies, extractor=extractor), made, strict=True)]
        scores[extractor] = np.mean(rows, axis=0)
    assert min(scores["trafilatura"]) > 0.95
    assert scores["plain"][1] > 0.99 and scores["plain"][0] < scores["trafilatura"][0] - 0.1
    with pytest.raises(ValueError, match="unknown extractor 'magic'"):
        next(text([Document("a")], extractor="magic"))


ARTICLE = ("<html><body><article>" + "".join(f"<p>{line}</p>" for i in range(3) for line in world.story(i).split("\n"))
           + "</article></body></html>").encode()
HOSTILE = {
    "empty": b"", "spaces": b"  \n ", "no body": b"<html><head><title>x</title></head></html>",
    "broken": b"<html><p><<<a href='><div",
    "unclosed": b"<div>" * 3000 + b"text" * 50, "tags": b"<p><b></b></p>" * 360_000, "zeros": b"\0" * 5000,
    "binary": bytes(range(256)) * 40, "a lie": b'<meta charset="utf-16"><p>hello', "unknown": b'<meta charset="nonsense"><p>hello',
    "entity": b"<p>&#0;&#xD800;&#99999999;&bogus;</p>", "script": b"<script>" + b"x" * 10_000, "comment": b"<!-- " * 3000,
    "huge": b"a" * (webtext_stages.MAX_BYTES + 1), "xml": b'<?xml version="1.0" encoding="latin-1"?><a/>',
    "bom": b"\xff\xfe<\0p\0>\0",
}


@pytest.mark.parametrize("extractor", ["trafilatura", "plain"])
def test_no_page_stops_the_stream(extractor):
    stream = [Document("first", page=ARTICLE), *(Document(name, page=page) for name, page in HOSTILE.items()),
              Document("nulls", page=ARTICLE.replace(b"the ", b"the\0 ").replace(b"She", b"Julia")),
              Document("surrogates", text="a \ud800 b. " * 100), Document("gone", problem="cannot be read (Permission denied)"),
              Document("last", page=ARTICLE.replace(b"article", b"main").replace(b"a", b"o"))]
    gone = {}
    drop = lambda d, stage, why: gone.update({d.id: (stage, why)})  # noqa: E731
    left = {d.id: d.text for d in near(exact(clean(text(stream, drop, extractor), drop, 20)), drop)}
    assert {"first", "surrogates", "last"} <= set(left) and gone.pop("nulls")[0] == "near"
    assert gone["tags"][1] == "more than 50,000 tags"
    assert gone["huge"] == ("text", "larger than 10,000,000 bytes") and gone["gone"][1].startswith("cannot be read")
    assert {"empty", "spaces", "zeros", "no body", "tags", "xml"} <= set(gone)
    assert all(word in left["first"] for word in world.story(0).split()[:10]) and "\0" not in "".join(left.values())


def test_pages_in_other_encodings():
    line = "<p>" + "Déjà vu à Noël, chère élève. " * 20 + "</p>"
    for encoding, meta in (("utf-8", ""), ("latin-1", '<meta charset="latin-1">'), ("cp1252", '<meta charset="windows-1252">'),
                           ("cp1252", ""), ("cp1252", '<meta charset="nonsense">'), ("utf-16", "")):
        page = f"<html><head>{meta}</head><body><article>{line}</article></body></html>".encode(encoding)
        assert "Déjà vu à Noël, chère élève." in next(text([Document("x", page=page)])).text
    for encoding, words in (("koi8-r", "Привет, мир"), ("iso-8859-2", "Zażółć gęślą jaźń"), ("shift_jis", "日本語")):
        page = f'<meta charset="{encoding}"><p>{words}</p>'
        assert webtext_stages.decode(page.encode(encoding)) == page
    page = "<p>Déjà\0 vu</p>"
    for encoding in ("utf-8", "cp1252", "utf-16"):
        assert webtext_stages.decode(page.encode(encoding)).lstrip("\ufeff") == "<p>Déjà vu</p>"


def test_whatever_a_page_does_to_its_parser_is_told(monkeypatch):
    errors = {error.__name__: error("no") for error in (ValueError, LookupError, RecursionError, AttributeError, TypeError)}

    def extract(page):
        if page.decode() in errors:
            raise errors[page.decode()]
        return page.decode()

    monkeypatch.setitem(webtext_stages.EXTRACTORS, "plain", extract)
    gone = {}
    stream = [Document(name, page=name.encode()) for name in (*errors, "good", "  ")]
    left = list(text(stream, lambda d, stage, why: gone.update({d.id: why}), extractor="plain"))
    assert [(d.id, d.text, d.page) for d in left] == [("good", "good", b"")]
    assert gone == {name: f"cannot be parsed ({name})" for name in errors} | {"  ": "no main text"}


def test_tidy():
    assert tidy("a\u00a0 b\tc\r\nd\re\n\n\n\nf \n g\u200b\x07h\ufeff ") == "a b c\nd\ne\n\nf\ng" + "h"
    assert tidy("a\n\n\nb") == tidy("a\n \n\t\n \nb") == "a\n\nb" and tidy("a\n\nb\nc") == "a\n\nb\nc"
    assert tidy("e\u0301") == "\u00e9" and tidy(" \n ") == "" and tidy("a\ud800b") == "ab"
    for story in (world.story(1), "½ ² 日本語 🏳️‍🌈\n\n\nx"):
        assert tidy(tidy(story)) == tidy(story)
    long = " ".join(["word"] * 49)
    sentence, menu = Document("s", text=long + " end."), Document("m", text="\n".join(["Home"] * 500))
    assert list(clean([sentence, menu])) == [sentence] and list(clean([Document("s", text=long + ".")])) == []
    assert list(clean([Document("q", text=f"“{long} end.”")]))


def test_the_language_filter():
    mistakes = []
    english, french = world.story(2), " ".join(webtext_pages.french(random.Random(1))[0] for _ in range(9))
    kept = [d.text for d in webtext_stages.language(texts(english, french, ""), lambda d, stage, why: mistakes.append(why))]
    assert english in kept and french not in kept and "fr" in mistakes
    assert [d.text for d in webtext_stages.language(texts(english, french), keep="fr")] == [french]


def test_exact_duplicates():
    base = world.story(0)
    same = [base, base.upper(), base.replace(" ", "  "), base.replace('"', "“"), base.replace(".", ""), base + "!"]
    assert len({digest(text) for text in same}) == 1 and len(digest(base)) == 16
    assert digest(base) != digest(base + " again") and digest("a b") != digest("ab")
    noted = []
    kept = list(exact(texts(*same, world.story(1), base), note=noted.append))
    assert [d.id for d in kept] == ["0", "6"] and noted == [digest(base), digest(world.story(1))]
    assert [d.id for d in exact(texts(base, world.story(1)), seen={digest(base)})] == ["1"]


@pytest.fixture(scope="module")
def family():
    """Sixty texts, among them many pairs of any similarity."""
    chance, found = random.Random(4), []
    for i in range(12):
        base = world.story(i).split()
        found.append(" ".join(base))
        for edits in (1, 3, 8, 30):
            changed = list(base)
            for place in chance.sample(range(len(changed)), min(edits, len(changed))):
                changed[place] = f"new{chance.randrange(1000)}"
            found.append(" ".join(changed))
    return found


@pytest.mark.parametrize("threshold, size, permutations", [(0.8, 5, 128), (0.5, 3, 128), (0.9, 1, 256), (0.3, 5, 64)])
def test_near_duplicates_against_the_jaccard_of_all_pairs(family, threshold, size, permutations):
    index = NearIndex(threshold, size, permutations)
    signatures, sets = [index.signature(text) for text in family], [shingles(text, size) for text in family]
    error = []
    for a, b in itertools.combinations(range(len(family)), 2):
        true, guess = jaccard(sets[a], sets[b]), float((signatures[a] == signatures[b]).mean())
        error.append((guess - true) / np.sqrt(max(true * (1 - true), 1e-3) / permutations))
    assert max(map(abs, error)) < 5.5 and abs(np.mean(error)) < 0.5
    spread, hits = 4 * 0.5 / np.sqrt(permutations), 0  # four standard errors at most
    for b in range(len(family)):
        found, true = index.find(signatures[b]), [jaccard(sets[a], sets[b]) for a in range(b)]
        if max(true, default=0) > threshold + spread:
            assert found, (b, max(true))
        if found:
            hits += 1
            assert true[found[0]] > threshold - spread
            assert found[1] == (signatures[found[0]] == signatures[b]).mean() >= threshold
        index.add(signatures[b])
    assert hits >= 10


def test_the_index_finds_the_most_similar_of_many(family):
    index = NearIndex()
    for story in family[::5]:
        index.add(index.signature(story))
    for i in range(12):
        assert index.find(index.signature(family[5 * i])) == (i, 1.0)
        assert index.find(index.signature(family[5 * i + 1]))[0] == i
    whole = NearIndex()  # every text beside its own edited copies: the text itself is the nearest
    for story in family:
        whole.add(whole.signature(story))
    assert [whole.find(signature)[0] for signature in whole.signatures] == [family.index(story) for story in family]
    assert index.find(index.signature("nothing like it")) is None and index.find(index.signature("")) is None
    kept = [d.id for d in near(texts(*family), index=NearIndex(0.7))]
    assert set(kept) >= {str(i) for i in range(0, 60, 5)} and "1" not in kept
    for bad in ((0, 5, 128), (1.1, 5, 128), (0.8, 0, 128), (0.8, 5, 1)):
        with pytest.raises(ValueError, match="near-duplicates need"):
            NearIndex(*bad)


def test_jaccard_and_shingles():
    assert shingles("One, two three", 2) == {"one two", "two three"} and shingles("one two", 5) == {"one two"}
    assert jaccard({1, 2, 3}, {2, 3, 4}) == 0.5 and jaccard(set(), set()) == 1 and jaccard(set(), {1}) == 0


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(ModuleNotFoundError, match="trafilatura cannot be imported .*pip install trafilatura lxml_html"):
        next(text([Document("a", page=ARTICLE)]))
    assert next(text([Document("a", page=ARTICLE)], extractor="plain")).text


# -- sources ----------------------------------------------------------------------------------------------------------------


def test_folders_and_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no \.html"):
        webtext.documents(str(tmp_path))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "Page.HTML").write_bytes(b'<link rel="canonical" href="https://en.wikipedia.org/wiki/X">' + ARTICLE)
    (tmp_path / "a.txt").write_bytes(b"caf\xc3\xa9 \xff")
    (tmp_path / "c.png").write_bytes(b"no")
    found = list(webtext.documents(str(tmp_path)))
    assert [d.id for d in found] == ["a.txt", "b/Page.HTML"] and found[0].text == "café \ufffd"
    assert found[1].url == "https://en.wikipedia.org/wiki/X" and list(wikipedia(found)) == found[:1]
    assert [d.id for d in webtext.documents(str(tmp_path / "a.txt"))] == ["a.txt"]
    for bad in ("no/such/folder/here", "./nowhere", "nonsense"):
        with pytest.raises(FileNotFoundError, match="there is no folder or file"):
            webtext.documents(bad)


def test_a_file_of_links_with_bad_lines(tmp_path):
    rows = ['{"url": "https://a.example/", "karma": 5, "html": "<p>x</p>"}', '{"url": 1, "karma": "7", "text": "plain"}', "{broken",
            "[1, 2]", '{"karma": "many"}', '{"html": 5}', '{"text": null}']
    path = tmp_path / "links.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    found = list(webtext.documents(str(path)))
    assert len(found) == 7 and found[0].page == b"<p>x</p>" and found[0].karma == 5
    assert found[1] == Document("links.jsonl:2", "1", 7, b"", "plain")
    assert [d.id for d in found if d.problem] == [f"links.jsonl:{i}" for i in (3, 4, 5, 6)] and "line 3 is not" in found[2].problem
    reasons = []
    assert len(list(text(karma(found), lambda d, stage, why: reasons.append(why)))) == 1 and "line 6 is not" in " ".join(reasons)


def test_rows_of_a_data_set(monkeypatch):
    table = datasets.Dataset.from_dict({"text": ["one", None], "url": ["https://x.example", None]})
    monkeypatch.setattr(data, "records", lambda source, part: table)
    found = list(webtext.documents("some/corpus"))
    assert [(d.id, d.text, d.url) for d in found] == [("some/corpus:0", "one", "https://x.example"), ("some/corpus:1", "", "")]
    monkeypatch.setattr(data, "records", lambda source, part: table.remove_columns("text"))
    with pytest.raises(ValueError, match="no column 'text'; it has: url"):
        list(webtext.documents("some/corpus"))


# -- shards -----------------------------------------------------------------------------------------------------------------


def test_shards_hold_the_kept_texts(made, bpe):
    index, shards = webtext.read_index(made), load_shards(made, verify=True)
    assert len(shards) >= 3 and all(isinstance(ids, np.memmap) and ids.dtype == np.uint16 for ids in shards)
    assert [len(ids) for ids in shards] == [shard["tokens"] for shard in index["shards"]]
    assert all(len(ids) >= 12_000 for ids in shards[:-1]) and all(ids[-1] == bpe.eos_id for ids in shards)
    written = "".join(bpe.decode(ids.tolist()) for ids in shards).split("<|endoftext|>")[:-1]
    kept = [fate for fate in fates(made) if fate["stage"] == "kept"]
    by_id = {page.id: page for page in pages(N, SEED)}
    assert len(written) == len(kept) == index["stages"]["near"]["documents"] == sum(s["documents"] for s in index["shards"])
    for story, fate in zip(written, kept, strict=True):
        assert min(overlap(story, by_id[fate["id"]].truth["text"])) > 0.85
    assert index["stages"]["near"]["bytes"] == sum(len(story.encode()) for story in written)
    x, _ = data.batch(shards[0], 2, 64, 0, 0)
    assert x.shape == (2, 64)


def test_counts_at_every_stage_fall(made):
    counts = webtext.read_index(made)["stages"]
    documents = [row["documents"] for row in counts.values()]
    assert list(counts) == list(webtext_stages.STAGES) and documents == sorted(documents, reverse=True) and documents[0] == N
    gone = Counter(fate["stage"] for fate in fates(made))
    for before, stage in itertools.pairwise(counts):
        assert counts[before]["documents"] - counts[stage]["documents"] == gone[stage], stage
    assert counts["links"]["bytes"] == sum(len(page.page) for page in pages(N, SEED))
    axes = webtext.funnel(counts)
    assert [bar.get_width() for bar in axes.patches] == documents and f"{documents[-1]} documents" in axes.texts[-1].get_text()


def test_a_large_vocabulary_takes_four_bytes(tmp_path, bpe, monkeypatch):
    monkeypatch.setattr(BPE, "vocab_size", property(lambda self: 70_000))
    assert build(texts(*world.stories(3)), tmp_path / "x", bpe, SMALL)["dtype"] == "uint32"
    assert load_shards(tmp_path / "x")[0].dtype == np.uint32


def copied(made, tmp_path):
    for name, content in files(made).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_damaged_folders_are_named(made, tmp_path, bpe):
    out = copied(made, tmp_path)
    shard = out / "shard-00001.npy"
    content = bytearray(shard.read_bytes())
    shard.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"shard-00001\.npy is cut short or damaged"):
        load_shards(out)
    content[500] ^= 1
    shard.write_bytes(content)
    assert load_shards(out)
    with pytest.raises(ValueError, match=r"shard-00001\.npy is cut short or damaged"):
        load_shards(out, verify=True)
    shard.write_bytes(b"")
    with pytest.raises(ValueError, match="cut short"):
        load_shards(out)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"shard-00001\.npy is missing"):
        load_shards(out)
    for content in ("{", "[]", '{"format": "other"}'):
        (out / "index.json").write_text(content)
        with pytest.raises(ValueError, match=r"index\.json"):
            load_shards(out)
    (out / "index.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no index\.json"):
        load_shards(out)
    with pytest.raises(ValueError, match="holds other files"):
        build(pages(3), out, bpe)


def test_nothing_in_nothing_out(tmp_path, bpe):
    with pytest.raises(ValueError, match="holds no documents"):
        build([], tmp_path / "a", bpe)
    index = build(texts("too short", "too"), tmp_path / "b", bpe)
    assert index["complete"] and index["stages"]["text"]["documents"] == 2 and index["stages"]["clean"]["documents"] == 0
    with pytest.raises(ValueError, match="holds no shards"):
        load_shards(tmp_path / "b")


# -- stopped and taken up -----------------------------------------------------------------------------------------------------


def test_stopped_after_every_shard_and_taken_up(made, tmp_path, bpe):
    out = tmp_path / "run"
    for _ in range(20):
        read = []
        index = build((read.append(1) or page for page in pages(N, SEED)), out, bpe, SMALL, "world", stop_after=1)
        if index["complete"]:
            break
    assert files(out) == files(made) and len(index["shards"]) >= 3
    assert build(iter([]), out, bpe, SMALL, "world") == index  # a finished run reads nothing


@pytest.mark.parametrize("at", [1, 170])
def test_a_crash_on_the_way(made, tmp_path, bpe, at):
    def failing():
        yield from itertools.islice(pages(N, SEED), at)
        raise OSError("the network is gone")

    with pytest.raises(OSError, match="the network"):
        build(failing(), tmp_path / "run", bpe, SMALL, "world")
    build(pages(N, SEED), tmp_path / "run", bpe, SMALL, "world")
    assert files(tmp_path / "run") == files(made)


def test_a_kill_without_warning(made, tmp_path):
    """The process ends between two instructions, once while pages are read and once between a shard and its index."""
    code = """if True:
        import os, sys
        from minigpt import BPE, webtext
        def dying(n):
            for i, page in enumerate(webtext.pages({n}, {seed})):
                if i == n:
                    os._exit(9)
                yield page
        if sys.argv[1] == "index":
            save, count = webtext._save_index, []
            webtext._save_index = lambda out, index: os._exit(9) if len(count) == 2 else (count.append(1), save(out, index))
        webtext.build(dying(int(sys.argv[2])), sys.argv[3], BPE.load("world"), webtext.Settings(shard_tokens=12_000), "world")
        """.replace("{n}", str(N)).replace("{seed}", str(SEED))
    out = tmp_path / "run"
    for how, at in (("index", N), ("pages", 200), ("pages", N)):
        run = subprocess.run([sys.executable, "-c", code, how, str(at), str(out)], capture_output=True, text=True)
        assert run.returncode == (9 if (how, at) != ("pages", N) else 0), run.stderr
        if how == "index":
            assert (out / "shard-00001.npy").is_file() and len(json.loads((out / "index.json").read_text())["shards"]) == 1
    assert files(out) == files(made)


def test_a_run_is_only_taken_up_as_it_was_begun(made, tmp_path, bpe):
    out = copied(made, tmp_path)
    with pytest.raises(ValueError, match="other settings .threshold: 0.8, not 0.5"):
        build(pages(N, SEED), out, bpe, Settings(shard_tokens=12_000, threshold=0.5), "world")
    with pytest.raises(ValueError, match="other source .world, not elsewhere"):
        build(pages(N, SEED), out, bpe, SMALL, "elsewhere")
    with pytest.raises(ValueError, match="other vocabulary"):
        build(pages(N, SEED), out, BPE.train(world.stories(20), 300), SMALL, "world")
    (out / "fates.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"fates\.jsonl is shorter than index\.json says"):
        build(pages(N, SEED), out, bpe, SMALL, "world")


def test_memory_does_not_grow_with_the_stream(tmp_path, bpe):
    """Sixty documents of 24 kB: what the second thirty need at most is what the first thirty needed, but for 5 KB each."""
    words = [word for i in range(200) for word in world.story(i).split()]
    peaks = []

    def stream():
        for i in range(60):
            if i in (30, 59):
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.reset_peak()
            chance = random.Random(i)
            yield Document(str(i), text=" ".join(chance.choices(words, k=4_000)) + ".")

    tracemalloc.start()
    try:
        index = build(stream(), tmp_path / "run", bpe, Settings(shard_tokens=20_000, permutations=16), "stream")
    finally:
        tracemalloc.stop()
    assert index["stages"]["near"]["documents"] == 60 and index["stages"]["near"]["bytes"] > 1_300_000
    assert peaks[1] < peaks[0] + 300_000, peaks


# -- translations ------------------------------------------------------------------------------------------------------------


def test_planted_translations_are_found():
    made = [page for page in pages(300, 8) if page.truth["kind"] in ("translation", "article")]
    found = list(webtext.translations(clean(text(made))))
    pairs = {(row["id"], row["phrase"].replace("’", "'"), row["gloss"]) for row in found}
    planted = {(page.id, *pair) for page in made for pair in page.truth["glosses"]}
    both = len(pairs & planted)
    assert len(planted) >= 10 and both / len(planted) >= 0.95 and both / len(pairs) >= 0.95


@pytest.mark.parametrize("line, phrase", [
    ("She wrote: 'La maison n'est pas verte ce matin,' which translates as, 'The house is not green this morning.'",
     "La maison n'est pas"),
    ("Or, as they say in French: Le chien dort dans le jardin [The dog sleeps in the garden].", "Le chien dort dans le jardin"),
    ("“Le boulanger attend depuis hier”, translated to English: “The baker has waited since yesterday”.", "Le boulanger attend"),
    ("The sign said « Il n'y a plus de pain » (meaning \"There is no more bread\").", "Il n'y a plus de pain"),
])
def test_the_shapes_of_table_1(line, phrase):
    (found,) = webtext.translations([Document("x", text=line)])
    assert found["phrase"].startswith(phrase) and found["gloss"].split()[0].lower() in ("the", "there")


@pytest.mark.parametrize("line", [
    'He said "good morning to you all" and she said "what a fine day it is", or so they say.',
    'The sign said "Il n\'y a plus de pain dans la maison". Nobody could read it, and it was raining all day long in the quiet '
    'little town by the river; later somebody called "Come here at once".',
    'The sign said "Il n\'y a plus de pain" and below it, for whoever came on a Monday, the same as on every other day of the '
    'week, it means "There is no more bread".',
    'They said "Il n\'y a plus de pain dans la maison", or "Le boulanger attend depuis ce matin".',
    'They ate a "croissant" or "roll".', "", '"" "" [', "'"])
def test_what_is_no_translation(line):
    assert list(webtext.translations([Document("x", text=line)])) == []


def test_an_unknown_language_is_named():
    with pytest.raises(ValueError, match="does not know the language 'xx'"):
        list(webtext.translations([Document("x", text='"un deux trois" or "one two three"')], foreign="xx"))


# -- the command ---------------------------------------------------------------------------------------------------------------


def test_the_command(tmp_path, capsys):
    assert webtext.main(["--pages", "30", "--seed", "2", "--out", str(tmp_path / "a"), "--extractor", "plain"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("links") and "30 documents" in said and "after near" in said and "1 shards" in said
    assert webtext.main(["--source", str(tmp_path / "nothing"), "--out", str(tmp_path / "b")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert webtext.main(["--pages", "30", "--seed", "3", "--out", str(tmp_path / "a"), "--extractor", "plain"]) == 2
    assert "other source" in capsys.readouterr().err
    assert webtext.main(["--pages", "30", "--out", str(tmp_path / "c"), "--threshold", "2"]) == 2
    assert "threshold" in capsys.readouterr().err


def test_top_domains():
    urls = ["https://b.example/1", "https://a.example/", "http://b.example/2", ""]
    assert list(webtext.top_domains(Document(u, u) for u in urls).items()) == [("b.example", 2), ("", 1), ("a.example", 1)]
