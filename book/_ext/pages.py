"""What the landing page and the scoreboard are made of: directives, and the in-page model's file."""

import hashlib
import html
import re
import sys
from pathlib import Path

import inpage
import scores
from docutils import nodes
from docutils.parsers.rst import Directive
from PIL import Image
from sphinx.util import logging

logger = logging.getLogger(__name__)
MODEL_FILE = "minigpt-world.js"
GENERATED = ("book/welcome", "book/scoreboard", "book/reference")  # made from files that Sphinx does not watch
UNUSED = ("**/*.map", "vendor/**/*.*", "*-macros.html")
BARE_TABLE = re.compile(r'<table(?! class="table).*?</table>', re.DOTALL)  # the theme puts its own into a box that scrolls
OPENINGS = ("In May, Nora received a violin from her brother Karl. She played the",
            "It was a windy Saturday. Nora and her brother Karl were in the kitchen. The recipe for the",
            '"Look at that drill," said Victor. His neighbour Ida looked up. They were in the')

MISSING = ("The trained model is not in this copy of the book. <code>python -m minigpt pretrain --data world "
           "--preset world --out runs/world</code> makes one.")


def paper_role(name, raw, text, line, inliner, options=None, content=()):
    """A number of the papers, from minigpt/paper.py and nowhere else.

    {paper}`key` or {paper}`key:n` from the running text, {paper}`table | row | column` from a table,
    {paper}`parameters | preset` for an exact count.
    """
    from minigpt import paper

    key, *place = [part.strip() for part in text.split("|")]
    if key == "parameters":
        value = paper.PARAMETERS[place[0]]
    elif place:
        value = paper.get(key).value(*place)
    else:
        key, _, part = key.partition(":")
        value = paper.fact(key)[int(part)] if part else paper.fact(key)
    return [nodes.Text(f"{value:,}")], []


def opening(text: str) -> str:
    """A button that puts a beginning into the text box."""
    words = html.escape(" ".join(text.split()[:4]))
    return (f'<button type="button" class="pg-opening" data-text="{html.escape(text)}" disabled>'
            f"{words}\u2026</button>")


class Raw(Directive):
    """A directive whose HTML is made by a function of (source root, settings)."""

    has_content = False

    def make(self, root: Path, config) -> str:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        env = self.state.document.settings.env
        return [nodes.raw("", self.make(Path(env.srcdir), env.config), format="html")]


class Playground(Raw):
    def make(self, root: Path, config) -> str:
        buttons = ", ".join(opening(text) for text in OPENINGS)
        ready = inpage.available(root / config.minigpt_checkpoint)
        template = Path(__file__).with_name("playground.html").read_text(encoding="utf-8")
        return template.format(
            model=f'data-model="{MODEL_FILE}"' if ready else "", first=html.escape(OPENINGS[0]), openings=buttons,
            status="The model loads when the page is idle." if ready else MISSING)


class Clone(Directive):
    """The commands that fetch the repository and build the book; its address comes from _config.yml."""

    def run(self) -> list[nodes.Node]:
        config = self.state.document.settings.env.config
        address = config.html_theme_options["repository_url"]
        folder = address.rsplit("/", 1)[-1]
        text = f"git clone {address}\ncd {folder}\npython dev.py book\npython dev.py test"
        return [nodes.literal_block(text, text, language="bash")]


class Headline(Raw):
    def make(self, root: Path, config) -> str:
        return scores.headline()


class ChapterTimes(Raw):
    def make(self, root: Path, config) -> str:
        return scores.chapter_times()


class Scoreboard(Raw):
    """The part of the scoreboard that its argument names: GPT-1, GPT-2 or records."""

    required_arguments = 1

    def make(self, root: Path, config) -> str:
        if self.arguments[0] == "records":
            return scores.all_records()
        links = {int(path.name[:2]): f"../notebooks/{path.stem}.html"
                 for path in (root / "notebooks").glob("[0-9][0-9]-*.ipynb")}
        return scores.paper_section(self.arguments[0], links)


def script(item) -> str:
    """The text of an inline script."""
    return str(getattr(item, "attributes", {}).get("body") or "").lower()


def keep(button: dict) -> bool:
    """Whether a button in the page's header has somewhere to lead: page sources are not part of the site."""
    if button.get("type") == "group":
        button["buttons"] = [item for item in button["buttons"] if keep(item)]
        return bool(button["buttons"])
    return "_sources" not in button.get("url", "")


def follow_system(app, config):
    """Light or dark as the reader's system is, until she chooses; without it the theme logs an error on a first visit."""
    config.html_context.setdefault("default_mode", "auto")


def outdated(app, env, added, changed, removed):
    return [name for name in GENERATED if name in env.found_docs]


def page_files(app, page, template, context, doctree):
    """Leaves out what no page needs and gives the landing page its own files.

    thebe's scripts are for live kernels on other hosts; sphinx-design's files serve pages that use its classes.
    """
    unused = ["thebe"] if "sd-" in context.get("body", "") else ["thebe", "design"]
    for kind in ("script_files", "css_files"):
        context[kind][:] = [item for item in context.get(kind, ())
                            if not any(name in str(item).lower() + script(item) for name in unused)]
    context["header_buttons"] = [button for button in context.get("header_buttons", ()) if keep(button)]
    body = context.get("body", "").replace(' role="list" class="citation-list"', ' class="citation-list"')
    context["body"] = BARE_TABLE.sub(r'<div class="pst-scrollable-table-container">\g<0></div>', body)
    if page == "book/welcome":
        app.add_css_file("landing.css")
        app.add_js_file("minigpt.js", loading_method="defer")
        app.add_js_file("playground.js", loading_method="defer")


def shrink(path: Path) -> None:
    """A figure with 256 colours instead of 16 million: a third of the bytes, and nobody sees it."""
    with Image.open(path) as picture:
        if picture.mode == "P":
            return
        opaque = Image.new("RGB", picture.size, "white")
        opaque.paste(picture, mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
    opaque.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def finish(app, error):
    """Writes the in-page model and removes what no page asks for."""
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    folder = Path(app.srcdir) / app.config.minigpt_checkpoint
    if inpage.available(folder):
        inpage.write(folder, static / MODEL_FILE)
    else:
        logger.info("no checkpoint in %s: the landing page says so", app.config.minigpt_checkpoint)
    for pattern in UNUSED:
        for path in static.glob(pattern):
            if path.is_file():
                path.unlink()
    for path in (Path(app.outdir) / "_images").glob("*.png"):
        shrink(path)


def digest() -> str:
    """Changes when anything changes that makes pages: a build after that starts afresh."""
    files = sorted(path for path in Path(__file__).parent.glob("*.*") if path.suffix in (".py", ".html"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def setup(app):
    sys.path.insert(0, str(app.srcdir))
    app.add_config_value("book_code", digest(), "env", [str])
    app.add_config_value("minigpt_checkpoint", "minigpt/checkpoints/world", "env", [str])
    app.add_role("paper", paper_role)
    app.add_directive("playground", Playground)
    app.add_directive("scoreboard-headline", Headline)
    app.add_directive("scoreboard", Scoreboard)
    app.add_directive("chapter-times", ChapterTimes)
    app.add_directive("clone", Clone)
    app.connect("config-inited", follow_system)
    app.connect("env-get-outdated", outdated)
    app.connect("html-page-context", page_files, priority=900)  # after the theme has made its buttons
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
