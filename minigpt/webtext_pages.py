"""Where web pages come from: made from the embedded world, each labelled with what it is, or read from files and data sets.

`pages(n, seed)` is a small web: articles, copies of them on other sites, edited copies, pages of Wikipedia and its mirrors,
French pages, links that nobody voted for, pages with nothing to read. Each is bytes of HTML with menus, adverts, scripts and
footers, and carries its `truth`, so that every stage's precision and recall can be measured. Page i of a seed is always the same
page, and needs no other page to be in memory.
"""

import html
import json
import random
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from minigpt import data, world
from minigpt.webtext_stages import MAX_BYTES, STAGES, Document, hostname

# Of each hundred pages. "series": reports that share a form but not their contents, "quote": an article that quotes Wikipedia.
SHARES = {"article": 36, "low": 12, "copy": 9, "edited": 9, "wikipedia": 7, "mirror": 3, "quote": 5, "series": 6, "french": 5,
          "empty": 4, "translation": 4}
SITES = ("morning-post.example", "riverside-news.example", "blog.pinecrest.example", "gazette.example", "hobby-corner.example")
ADVERTS = ("Sponsored: save 40% on garden chairs today only", "Advertisement: one trick that dentists do not want you to know",
           "Subscribe to our newsletter and never miss a story")
MENU = ("Home", "News", "Sport", "Weather", "About us", "Contact", "Sign in")

# A little French with its English: nouns with their gender, adjectives in both, verbs.
NOUNS = (("chat", 0, "cat"), ("maison", 1, "house"), ("jardin", 0, "garden"), ("rivière", 1, "river"),
         ("boulanger", 0, "baker"), ("voisine", 1, "neighbour"), ("chaise", 1, "chair"), ("bateau", 0, "boat"),
         ("marché", 0, "market"), ("fenêtre", 1, "window"),
         ("cheval", 0, "horse"), ("montagne", 1, "mountain"), ("pain", 0, "bread"), ("chanson", 1, "song"))
ADJECTIVES = (("noir", "noire", "black"), ("vert", "verte", "green"), ("content", "contente", "happy"), ("perdu", "perdue", "lost"),
              ("tranquille", "tranquille", "quiet"), ("gris", "grise", "grey"), ("froid", "froide", "cold"),
              ("petit", "petite", "little"))
VERBS = (("dort", "sleeps"), ("attend", "waits"), ("tombe", "falls"), ("chante", "sings"), ("travaille", "works"),
         ("revient", "comes back"))
TIMES = (("ce matin", "this morning"), ("depuis hier", "since yesterday"), ("chaque soir", "every evening"),
         ("cette année", "this year"))
FRENCH = (("{Le} {n} {a} {v} {t}.", "The {A} {N} {V} {T}."),
          ("Il y a {un} {n} {a} près {du} {m}.", "There is a {A} {N} near the {M}."),
          ("Nous n'avons jamais vu {un} {n} aussi {a}.", "We have never seen such a {A} {N}."),
          ("Qui a laissé {le} {n} dans {lem} {m}?", "Who has left the {N} in the {M}?"),
          ("{Le} {n} est {a}, mais {lem} {m} ne l'est pas.", "The {N} is {A}, but the {M} is not."),
          ("On dit souvent que {le} {n} {v} avec {lem} {m}.", "They often say that the {N} {V} with the {M}."))
GLOSSES = ("As the neighbours say in French: {open}{fr}{close} [{en}]",
           "{open}{fr}{close} wrote the mayor in French, which translates as {open}{en}{close}",
           "Over the door stood {open}{fr}{close}, translated to English: {open}{en}{close}",
           "At last somebody called: {open}{fr}{close}, which means {open}{en}{close}")
QUOTES = (('"', '"'), ("“", "”"), ("«", "»"))


def french(chance: random.Random) -> tuple[str, str]:
    """A French sentence and the same in English."""
    (n, female, noun), (m, other, second) = chance.sample(NOUNS, 2)
    adjective, verb, time = chance.choice(ADJECTIVES), chance.choice(VERBS), chance.choice(TIMES)
    one, two = chance.choice(FRENCH)
    words = dict(n=n, m=m, a=adjective[female], v=verb[0], t=time[0], le=("le", "la")[female], Le=("Le", "La")[female],
                 lem=("le", "la")[other], un=("un", "une")[female], du=("du", "de la")[other],
                 N=noun, M=second, A=adjective[2], V=verb[1], T=time[1])
    return one.format(**words), two.format(**words)


def pages(n: int, seed: int = 0) -> Iterator[Document]:
    """The first `n` pages of the small web of `seed`, one at a time; `truth` holds kind, story, text and glosses."""
    if n < 1:
        raise ValueError(f"the number of pages must be at least 1, not {n}")
    return (_page(i, seed) for i in range(n))


def _kind(i: int, seed: int) -> str:
    if i < 2:
        return ("article", "wikipedia")[i]  # so that every copy has something to copy
    return random.Random(f"kind/{seed}/{i}").choices(list(SHARES), SHARES.values())[0]


def _page(i: int, seed: int) -> Document:
    kind, chance = _kind(i, seed), random.Random(f"page/{seed}/{i}")
    wanted = {"copy": "article", "edited": "article", "mirror": "wikipedia", "quote": "wikipedia"}.get(kind)
    story = i
    if wanted:  # an earlier page of the kind wanted, most often a recent one
        earlier = (i - 1 - int(chance.expovariate(1 / 40)) for _ in range(60))
        story = next((j for j in earlier if j >= 0 and _kind(j, seed) == wanted), int(wanted == "wikipedia"))
    paragraphs, glosses = _text(i if kind == "quote" else story, seed, kind)
    if kind == "quote":
        paragraphs.insert(1, _text(story, seed, "wikipedia")[0][0])
        story = i
    if kind == "edited":
        paragraphs = _edit(paragraphs, chance)
    title = paragraphs[0].split(". ")[0][:60].strip(' ".')
    name = re.sub("[^a-z]+", "-", title.lower()).strip("-")
    host = {"wikipedia": chance.choice(("en.wikipedia.org", "en.m.wikipedia.org")), "mirror": "encyclopedia-mirror.example",
            "french": "le-journal.example"}.get(kind, chance.choice(SITES))
    votes = chance.choice((0, 1, 2)) if kind == "low" else 3 + int(chance.expovariate(0.1))
    shown = paragraphs
    if chance.random() < 0.3:  # some sites print curly quotation marks
        shown = [re.sub('"([^"]*)"', r"“\1”", line).replace("'", "’") for line in paragraphs]
    if kind == "empty":
        shown = []
    encoding = "latin-1" if kind == "french" and chance.random() < 0.5 else "utf-8"
    source = _html(title, shown, host, encoding, chance)
    if kind == "empty" and chance.random() < 0.4:  # a page that a script would fill
        source = f'<!DOCTYPE html><html><head><title>{host}</title></head><body><div id="app"></div><script src="/app.js"></script>'
    page = source.encode(encoding, "xmlcharrefreplace")
    truth = dict(kind=kind, story=story, text="" if kind == "empty" else "\n".join([title, *paragraphs]), glosses=glosses)
    return Document(f"page-{seed}-{i:07d}", f"https://{host}/{i}/{name}", votes, page, truth=truth)


def _text(i: int, seed: int, kind: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The paragraphs that page i is made of, and the (phrase, gloss) pairs planted in them."""
    chance, glosses = random.Random(f"text/{seed}/{i}"), []
    if kind == "french":
        return [" ".join(french(chance)[0] for _ in range(8)) for _ in range(4)], []
    if kind == "series":
        return _report(chance), []
    domain = "voyage" if kind in ("wikipedia", "mirror") else "village"
    stories = [world.story(3 * i + k, seed=seed, domain=domain) for k in range(chance.choice((1, 1, 2, 3)))]
    paragraphs = [line for text in stories for line in text.split("\n") if line.strip()]
    if kind == "translation":
        for form in chance.sample(GLOSSES, 2):
            (fr, en), (opened, closed) = french(chance), chance.choice(QUOTES)
            paragraphs.insert(chance.randrange(1, len(paragraphs) + 1), form.format(fr=fr, en=en, open=opened, close=closed))
            glosses.append((fr, en))
        paragraphs.append(f'The old sign, "{french(chance)[0]}", nobody could explain.')
    return paragraphs, glosses


def _report(chance: random.Random) -> list[str]:
    """A market report: the same form every week, with other towns and prices."""
    town = chance.choice(("Pinecrest", "Silverton", "Windermere", "Oakham"))
    day, hour, people = chance.choice(("Monday", "Friday", "Saturday")), chance.randint(5, 9), chance.randint(90, 900)
    goods = chance.sample(("apples", "pears", "bread", "cheese", "eggs", "honey", "butter", "plums", "onions", "leeks"), 5)
    lines = [f"The market of {town} opened on {day} at {hour} in the morning, and {people} people came."]
    for name in goods:
        price, trend, sold = chance.randint(2, 40), chance.choice(("more", "less")), chance.randint(3, 60)
        lines.append(f"A basket of {name} cost {price} pounds, {trend} than in the week before, and {sold} baskets were sold by "
                     f"{chance.choice(('noon', 'ten', 'two', 'evening'))}.")
    return [*lines, "All prices are those of the last sale of the day. The market opens every week, in rain and in sunshine, and "
                    "all are welcome."]


def _edit(paragraphs: list[str], chance: random.Random) -> list[str]:
    """A copy as another site prints it: a note in front, and from a few words to one in thirty changed."""
    rate = chance.choice((0.003, 0.01, 0.03))
    new = ("indeed", "perhaps", "today", "suddenly")
    lines = [" ".join(chance.choice(new) if chance.random() < rate else word for word in line.split(" ")) for line in paragraphs]
    return [f"Updated on {chance.choice(('Monday', 'Tuesday', 'Friday'))} by our own reporter.", *lines]


def _html(title: str, paragraphs: list[str], host: str, encoding: str, chance: random.Random) -> str:
    """One of three layouts around the paragraphs: an article element, a heap of div, a table; all with what one does not want."""
    head = html.escape(title)
    body = "\n".join(f"<p>{html.escape(line)}</p>" for line in paragraphs)
    menu = "".join(f'<li><a href="/{word.lower()}">{word}</a></li>' for word in chance.sample(MENU, 5))
    advert = f'<div class="advert"><a href="https://ads.example/{chance.randrange(999)}">{chance.choice(ADVERTS)}</a></div>'
    related = "".join(f'<li><a href="/{k}">{html.escape(_headline(k))}</a></li>' for k in chance.sample(range(30), 4))
    layouts = (
        f"<nav><ul>{menu}</ul></nav><main><article><h1>{head}</h1>{advert}\n{body}</article></main>"
        f"<aside><h3>Related stories</h3><ul>{related}</ul></aside>",
        f'<div id="menu"><ul>{menu}</ul></div><div id="content"><h2>{head}</h2><div class="post-body">{body}</div></div>'
        f'<div class="sidebar">{advert}<ul>{related}</ul></div>',
        f"<table><tr><td width=120><ul>{menu}</ul></td><td><h1>{head}</h1>{body}</td><td>{advert}</td></tr></table>"
        f"<ul>{related}</ul>")
    return (f'<!DOCTYPE html>\n<html><head><meta charset="{encoding}"><title>{head} | {host}</title>'
            f'<style>p {{margin: 1em}}</style>'
            f'<script>var page = {{"id": {chance.randrange(10**6)}}};</script></head>\n<body><div class="cookie">We use cookies. '
            f'<button>Accept all</button></div>{chance.choice(layouts)}\n<footer><p>© 2017 {host}. All rights reserved. '
            f'<a href="/privacy">Privacy</a></p></footer></body></html>')


@cache
def _headline(k: int) -> str:
    return world.story(k, "validation").split(".")[0][:50]


def judge(fates: Iterable[dict], made: Iterable[Document]) -> dict[str, dict]:
    """How well each stage did on pages that the project made: {stage: {entered, removed, due, precision, recall}}.

    fates: one {"id", "stage"} for each page in order, where the stage is the one that dropped it, or "kept". Due to be dropped are
    low links at "karma"; Wikipedia and its mirrors at "wikipedia"; pages without an article at "text" or "clean"; French ones at
    "language"; at "exact" whatever has the words of a page that came there before, at "near" what is the same story.
    """
    due = {"karma": ("low",), "wikipedia": ("wikipedia", "mirror"), "text": ("empty",), "clean": ("empty",),
           "language": ("french",)}
    found = {stage: dict(entered=0, removed=0, due=0, both=0) for stage in STAGES[1:]}
    words, stories = set(), set()
    for fate, page in zip(fates, made, strict=True):
        if fate["id"] != page.id:
            raise ValueError(f"the fate of {fate['id']} stands where that of {page.id} belongs: other pages, or another seed")
        truth = page.truth
        for stage in STAGES[1:]:
            same = (truth["story"], page.id if truth["kind"] == "edited" else "")
            bad = truth["kind"] in due[stage] if stage in due else same in words if stage == "exact" else truth["story"] in stories
            if stage == "exact":
                words.add(same)
            elif stage == "near":
                stories.add(truth["story"])
            gone = fate["stage"] == stage
            for key, value in (("entered", True), ("removed", gone), ("due", bad), ("both", gone and bad)):
                found[stage][key] += value
            if gone:
                break
    for row in found.values():
        both = row.pop("both")
        row["precision"] = both / row["removed"] if row["removed"] else None
        row["recall"] = both / row["due"] if row["due"] else None
    return found


# -- from files ---------------------------------------------------------------------------------------------------------


def documents(source: str, n: int = 400, seed: int = 0) -> Iterator[Document]:
    """The documents of a source, one at a time: "world" (`n` pages of `seed`), a folder of .html and .txt files, a .jsonl file of
    links ({"url", "karma", "html" or "text"} on each line), or a hub data set with a column of text.

    Raises FileNotFoundError, ValueError or hub.HubError in one line when there is nothing to read. A file or line that cannot be
    read is a document with a `problem`.
    """
    if source == "world":
        return pages(n, seed)
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in (".html", ".htm", ".txt") and file.is_file())
        if not files:
            raise FileNotFoundError(f"{path} holds no .html, .htm or .txt files")
        return (_file(file, file.relative_to(path).as_posix()) for file in files)
    if path.is_file():
        return _lines(path) if path.suffix == ".jsonl" else iter([_file(path, path.name)])
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+){1,2}", source) or source.startswith("."):
        raise FileNotFoundError(f"there is no folder or file {source}; give one, 'world', or a data set's hub id "
                                "(organisation/name)")
    return _rows(source)


def _file(path: Path, name: str) -> Document:
    try:
        with open(path, "rb") as file:
            page = file.read(MAX_BYTES + 1)
    except OSError as error:
        return Document(name, problem=f"cannot be read ({error.strerror})")
    if path.suffix.lower() == ".txt":
        return Document(name, text=page.decode("utf-8", "replace"))
    told = re.search(rb'(?i)<link[^>]+rel=["\']?canonical["\']?[^>]*href=["\']([^"\']+)', page[:50_000])
    return Document(name, told.group(1).decode("utf-8", "replace") if told else "", page=page)


def _lines(path: Path) -> Iterator[Document]:
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            name = f"{path.name}:{number}"
            try:
                row = json.loads(line)
                page, words, votes = row.get("html") or "", row.get("text") or "", row.get("karma")
                found = Document(name, str(row.get("url") or ""), None if votes is None else int(votes),
                                 page.encode("utf-8", "surrogatepass"), words + "")
            except (ValueError, TypeError, AttributeError):
                found = Document(name, problem=f"line {number} is not a link: {{\"url\", \"karma\", \"html\" or \"text\"}} as JSON")
            yield found


def _rows(source: str) -> Iterator[Document]:
    loaded = data.records(source, "train")
    name = next((column for column in ("text", "content", "document") if column in loaded.column_names), None)
    if name is None:
        raise ValueError(f"{source} has no column 'text'; it has: {', '.join(loaded.column_names)}")
    return (Document(f"{source}:{i}", str(row.get("url") or ""), text=row[name] or "") for i, row in enumerate(loaded))


def top_domains(found: Iterable[Document]) -> dict[str, int]:
    """How many documents come from each host, most frequent first."""
    counts: dict[str, int] = {}
    for document in found:
        counts[hostname(document.url)] = counts.get(hostname(document.url), 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
