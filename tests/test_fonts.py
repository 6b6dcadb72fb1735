"""book/_ext/fonts.py: the site's fonts, cut from installed packages."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("fontTools")
pytest.importorskip("sphinx")
from fontTools.ttLib import TTFont  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import fonts  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder that a build fills, with a theme's style sheet in it."""
    site = tmp_path_factory.mktemp("site")
    sheet = site / "_static" / "styles" / "theme.css"
    sheet.parent.mkdir(parents=True)
    sheet.write_text('html { --pst-icon-bell: "\uf0f3" }', encoding="utf-8")
    fonts.write(SimpleNamespace(outdir=site, builder=SimpleNamespace(format="html")), None)
    return site / "_static" / "fonts"


def test_every_font_that_the_style_sheets_name_is_made(made):
    sheets = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "book" / "_static").glob("*.css"))
    named = set(re.findall(r'url\("fonts/([^"]+)"\)', sheets))
    assert named == {path.name for path in made.glob("*.woff2")} and len(named) == 7
    assert sum(path.stat().st_size for path in made.iterdir()) < 220_000


def test_no_font_is_committed():
    kinds = {".woff2", ".woff", ".ttf", ".otf"}
    assert [path for folder in ("book", "minigpt") for path in (ROOT / folder).rglob("*") if path.suffix in kinds] == []


def test_fonts_keep_their_licence(made):
    for path in made.glob("*.woff2"):
        names = TTFont(path)["name"]
        written = f"{names.getDebugName(0)} {names.getDebugName(13)}"
        assert "SIL Open Font License" in written or (made / f"{path.stem.split('-')[0]}-license.txt").is_file(), path.name
    assert len(list(made.glob("*-license.txt"))) == 2


def test_every_icon_is_there(made):
    icons = re.findall(r'"\\(f\w{3})"', (ROOT / "book" / "_static" / "icons.css").read_text(encoding="utf-8"))
    drawn = {code for name in ("icons", "icons-brands") for code in TTFont(made / f"{name}.woff2").getBestCmap()}
    assert drawn == {int(code, 16) for code in icons} | {0xF0F3} and len(icons) >= 18


def test_equations_have_their_signs(made):
    math = TTFont(made / "stix-two-math.woff2")
    assert set("√∑∏∈≤≈⋅−×⊤∞ℝ𝑥𝜃𝛼θΣ′‖⟨") <= set(map(chr, math.getBestCmap()))
    tall = math["MATH"].table.MathVariants
    root = tall.VertGlyphConstruction[tall.VertGlyphCoverage.glyphs.index(math.getBestCmap()[ord("√")])]
    signs = [part.VariantGlyph for part in root.MathGlyphVariantRecord] + [part.glyph for part in root.GlyphAssembly.PartRecords]
    assert len(signs) == 7 and max(math["hmtx"][name][0] for name in signs) == fonts.RADICAL


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(fonts, "find_spec", lambda name: None)
    with pytest.raises(fonts.ExtensionError, match="ziamath.*pip install"):
        fonts.source(fonts.MATH, "STIXTwoMath-Regular.ttf")
