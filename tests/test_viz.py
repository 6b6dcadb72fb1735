"""The interactive views: what they show, that no string can do harm, and that the keyboard is enough."""

import ast
import json
import os
import re
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minigpt import viz
from minigpt.bpe import BPE
from tests.browser import launch

HOSTILE = ["</script><script>hacked()</script>", "<img src=x onerror=hacked()>", "<!--", "&lt;", "\u2028", "'\"`${1}",
           "]]>", "\x00\x1b", "\u202egnirts", "\ud800", "", " ", "\n", "w" * 300]
TOKENS = ["Once", " there", " was", " a", " red", " ball", *HOSTILE]


def some_attention(count, layers=2, heads=3, seed=0):
    weights = np.random.default_rng(seed).random((layers, heads, count, count)) * np.tri(count)
    return weights / weights.sum(-1, keepdims=True)


def some_views():
    rows = [[(token, 0.5), (" ball", 0.25)] for token in TOKENS]
    tokens = [("start", "special"), *((token, "first") for token in TOKENS), ("extract", "special")]
    pair = [("a", "first"), ("delimiter", "special"), ("b", "second")]
    return {"attention": viz.attention(TOKENS, some_attention(len(TOKENS)), query=2),
            "merges": viz.merges(["low", "lower", "<b>", *HOSTILE], [("l", "o"), ("lo", "w"), ("e", "r"), ("<", "b")]),
            "shapes": viz.shapes([("x", {"batch": 2, "time": 8, "width": 128}, "a note"),
                                  (HOSTILE[1], (8, 8), HOSTILE[0]), ("loss", (1,))]),
            "next_tokens": viz.next_tokens(TOKENS, rows),
            "sequences": viz.sequences([("one", ("a text",), [tokens], "note"),
                                        (HOSTILE[1], ("context", HOSTILE[0]), [pair, pair], HOSTILE[1])]),
            "sampling": viz.sampling([("Once", np.arange(len(TOKENS))), *((text, np.arange(len(TOKENS)) / 5) for text in HOSTILE)],
                                     TOKENS)}


KINDS = list(some_views())


# -- without a browser --------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


@pytest.mark.parametrize("kind", KINDS)
def test_strings_cannot_leave_the_data(kind):
    html = some_views()[kind]._repr_html_()
    assert [tag for tag, _ in Tags(html).tags] == ["div", "style", "script", "p", "script"]
    data = re.search(r'(?s)<script type="application/json" class="minigpt-data">(.*?)</script>', html)[1]
    assert not set("<>&\u2028") & set(data)
    assert json.loads(data) == json.loads(json.dumps(some_views()[kind].data))


@pytest.mark.parametrize("kind", KINDS)
def test_same_data_same_bytes_and_no_ids(kind):
    html = some_views()[kind]._repr_html_()
    assert html == some_views()[kind]._repr_html_()
    assert all("id" not in attributes for _, attributes in Tags(html).tags)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", html)
    assert repr(some_views()[kind]).startswith("<interactive view: ")


def test_only_the_data_differs_between_two_sets_of_weights():
    """So that notebooks can compare everything but the data."""
    htmls = [viz.attention(TOKENS, some_attention(len(TOKENS), seed=seed))._repr_html_() for seed in (0, 1)]
    assert htmls[0] != htmls[1]
    patterns = re.findall(r"^regex: (.*)$\n^replace: (.*)$", Path("tests/sanitize.cfg").read_text("utf-8"), re.M)
    for pattern, replacement in patterns:
        htmls = [re.sub(pattern, replacement, html) for html in htmls]
    assert htmls[0] == htmls[1]


def test_viz_needs_neither_torch_nor_the_rest_of_the_package():
    tree = ast.parse(Path(viz.__file__).read_text("utf-8"))
    names = [getattr(node, "module", None) or alias.name for node in ast.walk(tree)
             if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    assert {name.split(".")[0] for name in names} <= {"json", "collections", "pathlib", "numpy", "matplotlib"}


def test_attention_reads_tensors_lists_and_arrays():
    torch = pytest.importorskip("torch")
    maps = some_attention(4)
    expected = viz.attention("abcd", maps).data
    assert viz.attention("abcd", [torch.tensor(m)[None].requires_grad_() for m in maps]).data == expected
    assert viz.attention("abcd", [m for m in maps]).data == expected
    assert viz.attention("abcd", maps[0, 0]).data["maps"] == [[expected["maps"][0][0]]]
    assert [len(row) for row in expected["maps"][0][0]] == [1, 2, 3, 4]
    full = viz.attention("abcd", np.full((4, 4), 0.25)).data
    assert [len(row) for row in full["maps"][0][0]] == [4, 4, 4, 4]


@pytest.mark.parametrize("call, says", [
    (lambda: viz.attention("abc", some_attention(4)), "does not fit 3 tokens"),
    (lambda: viz.attention("abcd", 2 * some_attention(4)), "sum to 1"),
    (lambda: viz.attention("abcd", np.full((4, 4), np.nan)), "sum to 1"),
    (lambda: viz.attention("abcd", np.ones(4)), "must be"),
    (lambda: viz.attention("abcd", some_attention(4), layer=2), "there are 2 layers"),
    (lambda: viz.attention([], np.ones((0, 0))), "no tokens"),
    (lambda: viz.merges("", [("a", "b")]), "no words"),
    (lambda: viz.shapes([]), "no steps"),
    (lambda: viz.shapes([("x", ())]), "no axes"),
    (lambda: viz.next_tokens("ab", [[("c", 1.0)]]), "1 rows of probabilities for 2 tokens"),
    (lambda: viz.next_tokens("ab", np.ones((2, 3)), vocabulary="cd"), "vocabulary of 2"),
    (lambda: viz.sequences([]), "no cases"),
    (lambda: viz.sampling([], "ab"), "no cases"),
    (lambda: viz.sampling([("x", [1.0, 2.0, 3.0])], "ab"), "2 finite logits are needed"),
    (lambda: viz.sampling([("x", [1.0, float("nan")])], "ab"), "2 finite logits are needed"),
    (lambda: viz.sequences([("x", ("a",), [], "")]), "'x' has no tokens"),
    (lambda: viz.sequences([("x", ("a",), [[("t", "first")], []], "")]), "'x' has no tokens"),
    (lambda: viz.sequences([("x", ("a",), [[("t", "third")]], "")]), "of the kinds \\['third'\\]"),
])
def test_bad_input_ends_in_one_clear_line(call, says):
    with pytest.raises(ValueError, match=says) as error:
        call()
    assert "\n" not in str(error.value)


def test_the_merge_stepper_ends_where_encode_ends():
    learned = BPE.train(["low lower lowest newest widest\n" * 20], 40, style="gpt1")
    for bpe, text in ((BPE.gpt2(), "The café's  naïve 日本 tokens, 12345!"), (learned, "Low lowest newer\nwidest")):
        data = viz.merges(text, bpe).data
        words = data["words"]
        ranks = [merge["rank"] for merge in data["merges"]]
        assert ranks == sorted(set(ranks)) and ranks
        for merge in data["merges"]:
            before = sum(map(len, words))
            words = [viz._merge(word, merge["left"], merge["right"]) for word in words]
            assert before - sum(map(len, words)) == merge["count"]
        expected = bpe.tokens(bpe.encode(text))
        assert [symbol for word in words for symbol in word] == expected


def test_next_tokens_keeps_the_likeliest():
    probs = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    assert viz.next_tokens("xy", probs, vocabulary="abc", top=2).data["top"] == [
        [["b", 0.5], ["c", 0.3]], [["a", 0.6], ["c", 0.3]]]


def test_the_figures_colours_can_be_read_on_white():
    for color in viz.COLORS.values():
        channels = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        # 3:1 for what is drawn; sky is the faintest of them.
        assert 1.05 / (luminance + 0.05) >= (3 if color == viz.COLORS["sky"] else 4.5), color


def test_figure_helpers(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    with matplotlib.rc_context():
        viz.style()
        ax = viz.curves({"ours": [3, 2, 1], "theirs": [3, 2]}, xlabel="step")
        assert [text.get_text() for text in ax.texts] == ["ours", "theirs"]
        assert len({line.get_linestyle() for line in ax.lines}) == 2
        ax = viz.heatmap([[0, 1], [0.25, 0.75]], rows="ab", columns="cd")
        assert [text.get_text() for text in ax.texts] == ["", "1.00", "0.25", "0.75"]
        assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
        ax = viz.bars({"one": 1.0, "two": 2.0})
        assert [text.get_text() for text in ax.texts] == ["1.00", "2.00"]


# -- in a browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; skipped without one, except where CI=true promises it."""
    running, stop, lacking = launch()
    if lacking:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lacking)
    yield running
    stop()


@pytest.fixture
def show(browser):
    """show(body, width=, scheme=, theme=) -> a page with that body; fails on any error, dialog or request elsewhere."""
    served, troubles, contexts = {}, [], []

    class Serve(BaseHTTPRequestHandler):
        def do_GET(self):
            page = served.get(self.path, "").encode("utf-8", "replace")
            self.send_response(200 if page else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/page"
    icon = address.replace("/page", "/favicon.ico")

    def open_page(body, width=1280, scheme="light", theme="light"):
        head = '<meta charset="utf-8"><title>Views</title><meta name="viewport" content="width=device-width">'
        served["/page"] = (f'<!doctype html><html lang="en" data-theme="{theme}"><head>{head}</head>'
                           f"<body><main><h1>Views</h1>{body}</main></body></html>")
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("request", lambda r: troubles.append(r.url) if not r.url.startswith((address, icon)) else None)
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append("dialog"))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    server.shutdown()
    server.server_close()
    assert not troubles


def everything():
    return "\n".join(view._repr_html_() for view in some_views().values())


def test_hostile_strings_are_shown_as_text(show):
    page = show(everything())
    assert page.locator(".minigpt-view[data-ready]").count() == len(KINDS) and page.locator(".mg-note").count() == 0
    assert page.locator(".minigpt-view img, .minigpt-view b, .minigpt-view script:not([class])").count() == 0
    tokens = page.locator("[data-view=attention] .mg-tokens button").all_inner_texts()
    assert len(tokens) == len(TOKENS)
    assert tokens[6].startswith("</script><script>hacked()</script>")
    assert tokens[7].startswith("<img·src=x·onerror=hacked()>")
    assert "�" in tokens[TOKENS.index("\ud800")] and tokens[TOKENS.index("\n")].startswith("⏎")


def test_attention_by_keyboard_alone(show):
    page = show(viz.attention(["one", " two", " three"], some_attention(3), query=0)._repr_html_())
    told = page.locator("p[aria-live]")
    assert told.inner_text().startswith("Layer 1, head 1. From one most goes to one (100 %)")
    assert page.locator(".mg-tokens .mg-later").count() == 2
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith("one")
    page.keyboard.press("ArrowRight")
    assert "From ·two" in told.inner_text()
    page.keyboard.press("End")
    assert "From ·three" in told.inner_text() and page.locator(".mg-tokens .mg-later").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Layer 1, head 1"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("Layer 2, head 2. From ·three")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    weights = page.locator("tbody tr td:last-child").all_inner_texts()
    expected = sorted(some_attention(3)[1, 1, 2], reverse=True)
    assert [float(weight.removesuffix(" %")) for weight in weights] == pytest.approx(100 * np.array(expected), abs=0.6)


def test_attention_by_pointer(show):
    page = show(viz.attention(["one", " two", " three"], some_attention(3))._repr_html_())
    page.locator(".mg-tokens button").nth(1).hover()
    assert "From ·two" in page.locator("p[aria-live]").inner_text()
    box = page.locator(".mg-big").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    assert "From one" in page.locator("p[aria-live]").inner_text()
    page.locator(".mg-thumbs button").nth(5).click()
    assert "Layer 2, head 3" in page.locator("p[aria-live]").inner_text()


def test_merges_step_forward_and_back(show):
    page = show(viz.merges("low lower low", [("l", "o"), ("e", "r"), ("lo", "w"), ("z", "z")])._repr_html_())
    told, pieces = page.locator("p[aria-live]"), page.locator(".mg-piece")
    assert "11 tokens" in told.inner_text() and pieces.count() == 11
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "Merge 1 of 3 (number 1 in the list): l + o → lo, 3 times here. 11 → 8 tokens." in told.inner_text()
    assert page.locator(".mg-new").all_inner_texts() == ["lo", "lo", "lo"]
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert pieces.all_inner_texts() == ["low", "low", "er", "low"]
    assert page.get_by_text("Forward").is_disabled()
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")
    assert "Merge 2 of 3 (number 2 in the list): e + r → er, 1 time here" in told.inner_text()
    page.get_by_text("Back").focus()
    page.keyboard.press("Enter")
    assert "Merge 1 of 3" in told.inner_text()


def test_shapes_and_next_tokens_by_keyboard(show):
    views = some_views()
    page = show(views["shapes"]._repr_html_() + views["next_tokens"]._repr_html_())
    assert page.get_by_role("img", name="x: batch 2 by time 8 by width 128").count() == 1
    page.locator("[data-view=shapes] .mg-steps button").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".mg-panel strong").inner_text() == HOSTILE[1]
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("img", name="loss: 1").count() == 1 and page.get_by_text("Forward").is_disabled()
    page.locator("[data-view=next_tokens] [role=radio]").first.evaluate("node => node.click()")
    page.keyboard.press("ArrowRight")
    told = page.locator("[data-view=next_tokens] p[aria-live]").inner_text()
    assert "After ·there the model expects: (in the text: ·was)" in told
    page.locator("[data-view=next_tokens] [role=radio]").nth(4).click()
    assert page.locator(".mg-name").all_inner_texts() == ["·red", "·ball ✓"]


def test_sequences_by_keyboard_alone(show):
    page = show(some_views()["sequences"]._repr_html_())
    read, tabs = page.locator(".mg-sequence p[aria-live]"), page.locator(".mg-row[role=radiogroup] button")
    assert read.all_inner_texts() == ["▲ The head reads here, at extract: this position has seen all 22 tokens."]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert "the head would know 1 of 22 tokens" in read.first.inner_text()
    page.keyboard.press("ArrowRight")
    assert "know 2 of 22" in read.first.inner_text() and page.locator(".mg-token.mg-later").count() == 20
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    assert read.all_inner_texts() == ["▲ The head reads here, at b: this position has seen all 3 tokens."] * 2
    kinds = page.locator(".mg-sequence").first.locator(".mg-token").evaluate_all("all => all.map((b) => b.className.split(' ')[1])")
    assert kinds == ["mg-first", "mg-special", "mg-second"]


def test_sampling_by_keyboard_equals_the_package(show):
    torch = pytest.importorskip("torch")
    from minigpt.generate import keep_likely

    logits = torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul(200).round() / 100
    page = show(viz.sampling([("Once", logits), ("Then", -logits)], [str(i) for i in range(500)])._repr_html_())
    sliders, told = page.get_by_role("slider"), page.locator("p[aria-live]").first

    def agrees(logits, temperature, top_k=None, top_p=None):
        probs = keep_likely(logits / temperature, top_k, top_p).softmax(-1)
        choices = torch.exp(-torch.special.xlogy(probs, probs).sum()).item()
        order = logits.sort(descending=True, stable=True).indices
        says = [f"{100 * p:.0f} %" if p >= 0.0995 else f"{100 * p:.1f} %" if p else "cut" for p in probs[order[:12]].tolist()]
        assert told.inner_text() == (f"{int((probs > 0).sum())} of 500 tokens can be drawn; "
                                     f"as uncertain as {choices:.1f} equally likely ones.")
        rows = page.locator(".mg-bars > span").all_inner_texts()
        assert rows[0:24:2] == [str(i) for i in order[:12].tolist()] and rows[1:24:2] == says

    def press(slider, key, times=1):
        sliders.nth(slider).focus()
        for _ in range(times):
            page.keyboard.press(key)

    agrees(logits, 1.0)
    press(0, "ArrowLeft", 6)
    agrees(logits, 0.7)
    press(1, "ArrowLeft", 4)
    agrees(logits, 0.7, top_k=20)
    press(2, "ArrowLeft", 5)
    agrees(logits, 0.7, top_k=20, top_p=0.75)
    page.locator("[role=radio]").first.focus()
    page.keyboard.press("ArrowRight")
    agrees(-logits, 0.7, top_k=20, top_p=0.75)
    page.get_by_text("Draw ten").focus()
    page.keyboard.press("Enter")
    kept = keep_likely(-logits / 0.7, 20, 0.75).isfinite().nonzero().flatten().tolist()
    drawn = page.locator(".mg-piece").all_inner_texts()
    assert len(drawn) == 10 and {int(token) for token in drawn} <= set(kept)
    press(0, "Home")
    assert told.inner_text().startswith("1 of 500 tokens")
    page.get_by_text("Start again").focus()
    page.keyboard.press("Enter")
    agrees(-logits, 1.0)


def test_two_views_on_a_page_do_not_touch_each_other(show):
    html = viz.attention(["one", " two"], some_attention(2))._repr_html_()
    page = show(html + html)
    page.locator(".minigpt-view").first.locator(".mg-tokens button").first.click()
    first, second = page.locator("p[aria-live]").all_inner_texts()
    assert "From one" in first and "From ·two" in second


def test_works_as_jupyter_inserts_it(show):
    """Jupyter sets innerHTML and then makes each script anew, so that it runs."""
    page = show('<div id="cell"></div>')
    page.evaluate("""html => {
        const host = document.getElementById("cell");
        host.innerHTML = html;
        for (const old of host.querySelectorAll("script")) {
            const fresh = document.createElement("script");
            for (const { name, value } of old.attributes) fresh.setAttribute(name, value);
            fresh.textContent = old.textContent;
            old.replaceWith(fresh);
        } }""", everything())
    assert page.locator(".minigpt-view[data-ready]").count() == len(KINDS) and page.locator(".mg-note").count() == 0


@pytest.mark.parametrize("scheme, theme", [("light", "light"), ("dark", "auto"), ("light", "dark"), ("dark", "light")])
def test_axe_finds_nothing_and_the_theme_is_followed(show, scheme, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = show(everything(), scheme=scheme, theme=theme)
    page.locator("summary").click()
    results = axe.Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    background = page.locator(".minigpt-view").first.evaluate("node => getComputedStyle(node).backgroundColor")
    dark = theme == "dark" or (theme == "auto" and scheme == "dark")
    assert background == ("rgb(23, 27, 32)" if dark else "rgb(255, 255, 255)")


def test_fits_a_phone(show):
    page = show(everything(), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
