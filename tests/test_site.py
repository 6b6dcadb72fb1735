"""The built site in a real browser, from file://: nothing fails, nothing is fetched, everybody can use it."""

import json
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import launch

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
MODEL = "minigpt-world.js"
CHECKPOINT = ROOT / "minigpt" / "checkpoints" / "world"
LIMIT = 1_500_000
CI = os.environ.get("CI", "").lower() == "true"
PAGES = sorted(p.relative_to(SITE).as_posix() for folder in ("book", "notebooks") for p in (SITE / folder).glob("*.html"))


def lacking(reason):
    """Skips for a reader, fails where everything must be there."""
    pytest.fail(reason) if CI else pytest.skip(reason)


@pytest.fixture(scope="module")
def site():
    if not (SITE / "index.html").is_file():
        lacking("the site is not built: python dev.py book")
    return SITE


@pytest.fixture(scope="module")
def chromium():
    browser, stop, reason = launch()
    if browser is None:
        lacking(reason)
    yield browser
    stop()


@pytest.fixture
def visit(chromium, site):
    """visit(page, theme, width) -> (page, seen): the page opened from the disk, and what it asked for and said."""
    contexts = []

    def visit(name, theme="light", width=1280):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        seen = {"errors": [], "elsewhere": [], "files": set()}

        def asked(request):
            if request.url.startswith("file:"):
                seen["files"].add(urlsplit(request.url).path)
            elif not request.url.startswith(("data:", "blob:")):
                seen["elsewhere"].append(request.url)

        def said(message):
            if message.type == "error":
                seen["errors"].append(message.text)

        page.on("request", asked)
        page.on("console", said)
        page.on("pageerror", lambda error: seen["errors"].append(str(error)))
        context.route(re.compile("^(https?|wss?):"), lambda route: route.abort())
        file, mark, query = name.partition("?")
        page.goto((site / file).as_uri() + mark + query)
        return page, seen

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def playground(visit):
    """The landing page with its model loaded."""
    if not CHECKPOINT.joinpath("model.safetensors").is_file():
        lacking("minigpt/checkpoints/world has no model")
    page, seen = visit("book/welcome.html")
    page.wait_for_function("globalThis.minigptPage")
    yield page
    assert seen["errors"] == [] and seen["elsewhere"] == []


# -- every page -----------------------------------------------------------------------------------------------------


def axe_source():
    import axe_playwright_python

    return next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")


AXE = """async () => {
  for (const details of document.querySelectorAll("article details")) details.open = true;
  const found = await axe.run("article", {resultTypes: ["violations"], preload: false});
  return found.violations.filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html).join(" | "));
}"""


def test_every_page_is_built(site):
    listed = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert len(listed) >= 12
    assert [f"{name}.html" for name in listed if f"{name}.html" not in PAGES] == []


@pytest.mark.parametrize("name", PAGES)
def test_page(visit, name):
    """Light, dark and on a phone: no error, no request elsewhere, no weight, no barrier, nothing sticking out."""
    source = axe_source()
    for theme, width in (("light", 1280), ("dark", 390)):
        page, seen = visit(name, theme, width)
        page.wait_for_load_state("load")
        if name == "book/welcome.html" and CHECKPOINT.joinpath("model.safetensors").is_file():
            page.wait_for_function("globalThis.minigptPage")
        assert seen["elsewhere"] == []
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate(source)
        assert page.evaluate(AXE) == []
        assert seen["errors"] == []
        paths = [Path(unquote(path).lstrip("/") if os.name == "nt" else unquote(path)) for path in seen["files"]]
        weight = sum(path.stat().st_size for path in paths if path.name != MODEL)
        assert weight < LIMIT, f"{weight:,} bytes: {sorted((p.stat().st_size, p.name) for p in paths)[-5:]}"


class Page(HTMLParser):
    """Links, anchors and images of one page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.images = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.update(found[key] for key in ("id", "name") if found.get(key))
        if tag == "img":
            self.images.append(found)
        for key in ("href", "src"):
            if found.get(key):
                self.links.append(found[key])


def test_no_link_is_broken(site):
    read = {path: Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in read.items():
        for link in page.links:
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            if not file.is_file():
                broken.append(f"{path.name}: {link}")
            elif target.fragment and file in read and unquote(target.fragment) not in read[file].anchors:
                broken.append(f"{path.name}: {link} (no such place)")
    assert len(read) > 12 and broken == []


def test_every_image_says_what_it_shows(site):
    bare = []
    for name in PAGES:
        for image in Page(site / name).images:
            alt = image.get("alt") or ""
            if len(alt) < 8 or re.search(r"\.(png|svg|jpe?g)$", alt) or alt.startswith(("_images", "../")):
                bare.append(f"{name}: {image.get('src')} alt={alt!r}")
    assert bare == []


def test_every_chapter_opens_in_colab(site):
    """The badge is a picture with a link, and the page's own launch button leads to the same notebook."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = Page(site / "notebooks" / f"{path.stem}.html")
        ending = f"/blob/main/notebooks/{path.name}"
        links = [link for link in page.links if link.startswith("https://colab.") and link.endswith(ending)]
        badges = [image for image in page.images if image.get("src", "").endswith("colab.svg")]
        assert (len(badges), len(links)) == (1, 2), path.name


def test_pages_name_no_other_host(site):
    """Links may lead elsewhere; scripts, style sheets, pictures and fonts may not come from there."""
    asks = re.compile(r"""<(?:script|img|iframe|source|video)[^>]*\ssrc=["'](?:https?:)?//|<link[^>]*href=["']https?://"""
                      r"""(?![^>]*rel=["'](?:canonical|license))|url\(["']?(?:https?:)?//|@import""")
    files = [*site.rglob("*.html"), *(site / "_static").glob("*.css")]
    assert [path.name for path in files if asks.search(path.read_text(encoding="utf-8"))] == []


def test_the_sites_fonts_are_used(visit):
    page, _ = visit("notebooks/03-masked-self-attention.html")
    loaded = page.evaluate("document.fonts.ready.then(all => [...all].filter(face => face.status === 'loaded')"
                           ".map(face => face.family.replaceAll('\"', '') + face.weight + face.style[0]))")
    assert set(loaded) >= {"Source Serif400n", "Source Serif400i", "Source Serif600n", "STIX Two Mathnormaln",
                           "Font Awesome 6 Free900n", "Font Awesome 6 Brands400n"}


def test_search_finds_from_the_disk(visit):
    page, seen = visit("search.html?q=attention")
    page.wait_for_selector("#search-results li a[href*=glossary]", timeout=10_000)
    assert seen["errors"] == []


def test_solutions_reach_the_page_unchanged(visit, site):
    """Every Python block of a folded solution stands on the page as in the notebook."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        folded = re.findall(r'<details class="solution">(.*?)</details>', text, re.DOTALL)
        written = [code.rstrip() for part in folded for code in re.findall(r"```python\n(.*?)```", part, re.DOTALL)]
        page, _ = visit(f"notebooks/{path.stem}.html")
        shown = page.eval_on_selector_all("details.solution pre", "all => all.map(pre => pre.textContent.trimEnd())")
        assert shown == written and len(shown) >= 4, path.name


# -- the model in the page ------------------------------------------------------------------------------------------

HOSTILE = ["", " ", "  two  spaces ", "Once upon a time", "don't we'll I'VE 'tis", "naïve café — “quotes” …",
           "日本語のテキスト", "👩‍👩‍👧 🇨🇭", "\ufeffbom\ufeff", "a\u0085b\u00a0c\u2028d\u2029e\u3000f", "\x00\x01\x1c\x1d\x1e\x1f",
           "line\r\n\r\n\tTab\n", "x" * 300, " " * 41, "1234567890 ½ ² Ⅷ ٣", "<|endoftext|>", "__init__(self)",
           "<script>alert(1)</script>&amp;", "e\u0301 \u200d\u200b", "ǅ ß İ ﬁ"]


def strange(n, seed=0):
    """Random strings from all of Unicode, runs of spaces among them."""
    import random
    import unicodedata

    draw = random.Random(seed)
    chars = [chr(i) for i in range(0x110000) if unicodedata.category(chr(i)) not in ("Cn", "Cs", "Co")]
    pool = [lambda: draw.choice(chars), lambda: chr(draw.randrange(32, 127)), lambda: draw.choice(" \n\t\u00a0'")]
    return ["".join(draw.choice(pool)() for _ in range(draw.randrange(1, 40))) for _ in range(n)]


def test_page_bpe_equals_the_package(playground):
    from minigpt import BPE

    bpe = BPE.load("world")
    texts = HOSTILE + strange(2000)
    found = playground.evaluate("texts => texts.map(t => minigptPage.bpe.encode(t))", texts)
    assert found == [bpe.encode(text) for text in texts]
    found_words = playground.evaluate("texts => texts.map(t => minigptPage.bpe.split(t))", texts)
    assert found_words == [bpe.pre_tokenize(text) for text in texts]  # this vocabulary merges little beyond ASCII
    back = playground.evaluate("all => all.map(ids => minigptPage.bpe.decode(ids))", found)
    assert back == texts
    cut = [[i] for i in range(256)] + [[1, 200, 130], [bpe.eos_id]]  # bytes that are no characters
    found = playground.evaluate("all => all.map(ids => minigptPage.bpe.decode(ids))", cut)
    assert found == [bpe.decode(ids) for ids in cut]


LOGITS = "ids => { model.read(ids); return model.logits.map(row => Array.from(row)); }"


def test_page_logits_equal_pytorch(playground):
    import torch

    from minigpt import GPT

    model = GPT.from_pretrained("world").eval()
    ids = torch.randint(0, model.config.vocab_size, (2, model.config.n_positions),
                        generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, maps = model(ids, attention_maps=True)
    for row in range(2):
        # In one call: between two, the page may read the text in its box and leave that one's attention behind.
        logits_found, found = playground.evaluate(
            f"ids => {{ const model = minigptPage.model; const logits = ({LOGITS})(ids); "
            "return [logits, model.attention.at(-1).map(layer => layer.map(w => Array.from(w)))]; }", ids[row].tolist())
        assert (torch.tensor(logits_found) - logits[row]).abs().max() < 1e-3
        expected = torch.stack([layer[row, :, -1] for layer in maps])
        assert (torch.tensor(found) - expected).abs().max() < 1e-4


def test_odd_model_equals_transformers(chromium, tmp_path):
    """Another shape than the shipped one, written by transformers, read from the generated script."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    import inpage

    torch.manual_seed(1)
    config = transformers.GPT2Config(vocab_size=259, n_positions=17, n_embd=30, n_layer=3, n_head=5, initializer_range=0.2,
                                     bos_token_id=258, eos_token_id=258)
    model = transformers.GPT2LMHeadModel(config).half()
    model.save_pretrained(tmp_path)
    tmp_path.joinpath("vocab.json").write_text(json.dumps({chr(256 + i): i for i in range(258)} | {"<|endoftext|>": 258}))
    tmp_path.joinpath("merges.txt").write_text("#version: 0.2\n")
    inpage.write(tmp_path, tmp_path / MODEL)
    page = chromium.new_page()
    page.add_script_tag(path=str(ROOT / "book" / "_static" / "minigpt.js"))
    page.add_script_tag(path=str(tmp_path / MODEL))
    page.evaluate("globalThis.model = new MiniGPT.GPT(MINIGPT_WORLD)")
    ids = torch.arange(17) * 13 % 259
    with torch.no_grad():
        logits = model.float().eval()(ids[None]).logits[0]
    assert logits.abs().max() > 1
    for some in (ids[:1], ids, torch.cat([ids[:9], ids[:8]])):  # the last one keeps nine positions of the cache
        with torch.no_grad():
            logits = model(some[None]).logits[0]
        assert (torch.tensor(page.evaluate(LOGITS, some.tolist())) - logits).abs().max() < 1e-3
    page.close()


def test_playground_works_by_keyboard(playground):
    page = playground
    text = lambda: page.input_value("#pg-text")  # noqa: E731
    focus = lambda: page.evaluate("document.activeElement.className")  # noqa: E731
    page.focus("#pg-text")
    page.keyboard.press("Control+A")
    page.keyboard.type("One windy day")
    page.wait_for_function("document.querySelectorAll('.pg-bar').length === 8 && minigptPage.model.ids.length > 1")
    likeliest = page.evaluate("(() => { const l = Array.from(minigptPage.model.logits.at(-1)); "
                              "return minigptPage.bpe.decode([l.indexOf(Math.max(...l))]); })()")
    page.keyboard.press("Tab")
    assert text() == "One windy day" + likeliest
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert "pg-write" in focus()
    before = len(text())
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelector('#pg-text').value.length > {before + 8}")
    page.keyboard.press("Enter")
    assert page.inner_text(".pg-write") == "Write on"
    page.focus(".pg-bar")
    before = text()
    page.keyboard.press("Enter")
    assert len(text()) > len(before) and "pg-bar" in focus()
    page.focus(".pg-query")
    page.keyboard.press("ArrowLeft")
    assert "pg-query" in focus() and page.locator(".pg-future").count() == 1
    page.focus(".pg-radio:checked")
    before = page.inner_text(".pg-reading")
    page.keyboard.press("ArrowRight")
    assert re.match(r"Layer \d, head \d: ", before) and page.inner_text(".pg-reading")[:16] != before[:16]


def test_playground_shows_text_as_text(playground):
    playground.fill("#pg-text", "<img src=x onerror=alert(1)> " * 40)
    playground.wait_for_function("document.querySelector('.pg-surprise').textContent.includes('last 128')")
    assert playground.locator(".playground img").count() == 0
    assert playground.evaluate("JSON.stringify(minigptPage.model.ids) === JSON.stringify("
                               "minigptPage.bpe.encode(document.querySelector('#pg-text').value).slice(-128))")
