"""Prompt anatomy: the numbers are the model's, strings stay strings, and the keyboard is enough."""

import json
import os
import re

import pytest
import torch

from minigpt import BPE, viz_prompt
from tests.browser import launch

HOSTILE = ["</script><script>hacked()</script>", "<img src=x onerror=hacked()>", "<!--", "&lt;", "\u2028", "'\"`${1}", "\ud800", ""]
GROUPS = {"a summary": {"none": {"prompt": "A story.", "writes": " Then", "next": [[" The", 0.5], ["\n", 0.25]]},
                        "TL;DR:": {"prompt": "A story.\nTL;DR:", "writes": " short", "next": [[" Short", 0.75]]}},
          "words": {text: {"prompt": f"{text} , x", "writes": text, "next": [[text, 0.5], ["b", 0.125]]} for text in HOSTILE}}


def test_look_tells_what_the_model_expects(gpt):
    bpe = BPE.load("world")
    found = viz_prompt.look(gpt, bpe, {"one": "Leo smelled the", "long": "Leo smelled the " * 60, "none": ""}, top=5, new_tokens=4)
    with torch.no_grad():
        probs = gpt(torch.tensor([bpe.encode("Leo smelled the")]))[0, -1].softmax(-1)
    best = probs.topk(5)
    assert [p for _, p in found["one"]["next"]] == pytest.approx(best.values.tolist(), abs=1e-4)
    assert [token for token, _ in found["one"]["next"]] == [bpe.decode([i]) for i in best.indices.tolist()]
    assert found["one"]["writes"].startswith(found["one"]["next"][0][0]) and found["none"]["prompt"] == ""
    assert len(bpe.encode(found["one"]["writes"])) == 4
    # of a long prompt the end is read, as much as the window holds; of nothing, the mark that begins a text
    counted = " ".join(str(i) for i in range(300))
    for prompt, ids in ((counted, bpe.encode(counted)[-128:]), ("", [bpe.eos_id])):
        found = viz_prompt.look(gpt, bpe, {"x": prompt}, top=10_000, new_tokens=1)["x"]
        with torch.no_grad():
            best = gpt(torch.tensor([ids]))[0, -1].softmax(-1).topk(4096)
        assert len(found["next"]) == 4096 and found["writes"] == bpe.decode([int(best.indices[0])])
        assert [p for _, p in found["next"]] == pytest.approx(best.values.tolist(), abs=1e-4)
    with pytest.raises(ValueError, match="no prompts to look at"):
        viz_prompt.look(gpt, bpe, {})


def test_what_is_shared_and_what_is_a_prompts_own():
    data = viz_prompt.prompts(GROUPS, "a model").data
    assert [one["parts"] for one in data["groups"][0]["variants"]] == [["A story.", "", ""], ["A story.", "\nTL;DR:", ""]]
    assert [one["parts"][1:] for one in data["groups"][1]["variants"]][1] == [HOSTILE[1] + " ,", " x"]
    near = {name: {"prompt": f"Q: {name} is it", "next": [["a", 1.0]]} for name in ("who", "what")}
    assert [one["parts"] for one in viz_prompt.prompts({"words": near}).data["groups"][0]["variants"]] == [
        ["Q:", " who", " is it"], ["Q:", " what", " is it"]]
    view = viz_prompt.prompts({"one": {"only": {"prompt": "text", "next": [["a", 1.0]]}}})
    assert view.data["groups"][0]["variants"][0]["parts"] == ["text", "", ""] and repr(view).startswith("<interactive view: ")


def test_the_view_holds_what_was_found_as_characters_that_can_be_shown():
    groups = GROUPS | {"\ud800": {"\udfff one": {"prompt": "Say \ud800 it ", "next": [["\ud800", 0.1234]]},
                                "two\n": {"prompt": "Say it\n\n", "next": [["a", 0.5]], "writes": "\udfff"}}}
    view = viz_prompt.prompts(groups, "model \ud800")
    shown = lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # noqa: E731
    assert json.loads(json.dumps(view.data, ensure_ascii=False).encode()) == view.data  # UTF-8, to the last string
    assert view.data["model"] == shown("model \ud800") != "model \ud800" and "after 12 prompts" in repr(view)
    assert [group["name"] for group in view.data["groups"]] == list(map(shown, groups))
    for group, variants in zip(view.data["groups"], groups.values(), strict=True):
        for one, (name, given) in zip(group["variants"], variants.items(), strict=True):
            assert one["name"] == shown(name) and "".join(one["parts"]) == shown(given["prompt"])
            assert one["next"] == [[shown(token), p] for token, p in given["next"]]
            assert one["writes"] == shown(given.get("writes", ""))


@pytest.mark.parametrize("groups", [{}, {"x": {}}, {"x": {"a": {"prompt": "p", "next": []}}}, {"x": {"a": {"prompt": "p"}}}])
def test_bad_groups_end_in_one_line(groups):
    with pytest.raises(ValueError, match="^prompts: ") as error:
        viz_prompt.prompts(groups)
    assert "\n" not in str(error.value)


def test_strings_cannot_leave_the_data():
    html = viz_prompt.prompts(GROUPS, HOSTILE[0])._repr_html_()
    data = re.search(r'(?s)<script type="application/json" class="minigpt-data">(.*?)</script>', html)[1]
    assert not set("<>&\u2028") & set(data) and json.loads(data)["model"] == HOSTILE[0]
    assert html == viz_prompt.prompts(GROUPS, HOSTILE[0])._repr_html_() and "https://" not in html


# -- in a browser -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page():
    running, stop, lacking = launch()
    if lacking:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lacking)
    page, troubles = running.new_page(), []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: troubles.append("dialog"))
    page.on("request", lambda request: troubles.append(request.url))
    body = viz_prompt.prompts(GROUPS, "a <b>model</b>")._repr_html_()
    page.set_content(f'<!doctype html><html lang="en"><meta charset="utf-8"><body>{body}</body></html>')
    yield page
    stop()
    assert not troubles


def test_a_prompt_is_changed_by_keyboard_alone(page):
    told = page.locator("p[aria-live]")
    assert told.inner_text() == "With none, a <b>model</b> expects ·The with 50 %, then ⏎ with 25 %."
    assert page.locator(".mg-prompt mark").count() == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert told.inner_text() == "With TL;DR:, a <b>model</b> expects ·Short with 75 %."
    assert page.locator(".mg-prompt mark").inner_text().strip() == "TL;DR:"
    assert page.locator(".mg-written").inner_text().strip() == "short"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    for text in HOSTILE[:3]:
        assert page.locator(".mg-prompt mark").inner_text() == f"{text} ,"
        assert page.locator(".mg-name").first.inner_text() == text.replace(" ", "·")
        page.keyboard.press("ArrowRight")
    assert page.locator(".minigpt-view img, .minigpt-view b, .mg-note").count() == 0
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
