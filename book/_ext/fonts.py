"""The site's fonts, cut while it is built from packages of requirements.txt to the characters that the book uses.

Every file keeps its copyright and licence in its name table; the licences' texts are copied beside them.
"""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

THEME = "pydata_sphinx_theme", "theme/pydata_sphinx_theme/static/vendor/fontawesome/*/"
SERIF = "font_source_serif_pro", "files/"
MATH = "ziamath", "fonts/"
LATIN = ("20-7E A0-FF 131 152-153 2BB-2BC 2C6 2DA 2DC 300-301 303-304 308 2013-2014 2018-201A 201C-201E 2022 2026 "
         "2032-2033 2039-203A 2044 20AC 2122 2190-2193 2212 2215")
# Letters, Greek, accents, operators, arrows, brackets; then the italic, bold, script and double-struck letters.
SYMBOLS = ("20-7E A0-FF 131 237 302-304 307-308 30C 332 338 391-3A9 3B1-3C9 3D0-3D6 3F0-3F6 2016 2018-2022 2026 2032-2034 "
           "203E 2044 2061-2064 20D7 2100-2138 2190-2199 21A6 21D0-21D5 2200-22A5 22C5-22C6 22EE-22F1 2308-230B 23B4-23B5 "
           "23DC-23E1 27E8-27E9 2A7D-2A7E 1D400-1D4CF 1D538-1D56B 1D670-1D71B 1D7CE-1D7E1 1D7F6-1D7FF")
TEXT = ["ccmp", "kern", "liga", "locl", "mark", "pnum", "tnum"]  # the typographic features kept
FILES = {  # file of the site: package and folder, file in it, characters (None: the style sheets' icons), features
    "source-serif.woff2": (SERIF, "SourceSerifPro-Regular.ttf", LATIN, TEXT),
    "source-serif-italic.woff2": (SERIF, "SourceSerifPro-It.ttf", LATIN, TEXT),
    "source-serif-semibold.woff2": (SERIF, "SourceSerifPro-Semibold.ttf", LATIN, TEXT),
    "source-serif-bold.woff2": (SERIF, "SourceSerifPro-Bold.ttf", LATIN, TEXT),
    "stix-two-math.woff2": (MATH, "STIXTwoMath-Regular.ttf", SYMBOLS, []),
    "icons.woff2": (THEME, "webfonts/fa-solid-900.ttf", None, []),
    "icons-brands.woff2": (THEME, "webfonts/fa-brands-400.ttf", None, []),
    "source-serif-license.txt": (SERIF, "LICENSE.txt", None, []),
    "icons-license.txt": (THEME, "LICENSE.txt", None, []),
}
PRIVATE = "[\ue000-\uf8ff]"  # icons have the code points of Unicode's private area
ICONS = Path(__file__).parent.parent / "_static" / "icons.css"
RADICAL = 810  # the widest advance of a radical sign, in thousandths of an em


def source(folder: tuple[str, str], name: str) -> Path:
    """The file in an installed package; ExtensionError when the package or the file is not there."""
    package, inside = folder
    spec = find_spec(package)
    found = sorted(Path(spec.submodule_search_locations[0]).glob(inside + name)) if spec else []
    if not found:
        raise ExtensionError(f"{package} with {name} is not installed: pip install -r requirements.txt")
    return found[-1]


def characters(ranges: str) -> list[int]:
    """The code points of ranges in hexadecimal: "41-43 61" gives [65, 66, 67, 97]."""
    ends = [[int(end, 16) for end in part.split("-")] for part in ranges.split()]
    return [code for pair in ends for code in range(pair[0], pair[-1] + 1)]


def narrow_radicals(font: TTFont) -> None:
    """Tall radical signs as wide as the common one: Chromium leaves the room of the widest before every root."""
    for name in font.getGlyphOrder():
        advance = font["hmtx"][name][0]
        if name.startswith("uni221A.") and advance > RADICAL:
            glyph = font["glyf"][name]
            glyph.coordinates.scale((RADICAL / advance, 1))
            glyph.coordinates.toInt()
            glyph.recalcBounds(font["glyf"])
            font["hmtx"][name] = RADICAL, glyph.xMin


def cut(origin: Path, target: Path, codes: list[int], features: list[str]) -> None:
    """Write the part of a font that holds these characters as WOFF2."""
    options = subset.Options(flavor="woff2", hinting=False, layout_features=features, name_IDs=[0, 1, 2, 13, 14])
    with TTFont(origin, recalcTimestamp=False) as font:
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=codes)
        cutter.subset(font)
        if "MATH" in font:
            narrow_radicals(font)
        subset.save_font(font, target, options)


def write(app, error):
    """Fills _static/fonts when the pages are written; a file that is newer than what it is made of stays."""
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    sheets = "".join(path.read_text(encoding="utf-8") for path in (ICONS, *sorted(static.glob("styles/*.css"))))
    icons = [int(code, 16) for code in re.findall(r'"\\(f\w{3})"', sheets)] + [ord(c) for c in re.findall(PRIVATE, sheets)]
    made = static / "fonts"
    made.mkdir(parents=True, exist_ok=True)
    for name, (folder, file, ranges, features) in FILES.items():
        origin, target = source(folder, file), made / name
        newest = max(path.stat().st_mtime for path in (origin, ICONS, Path(__file__)))
        if target.is_file() and target.stat().st_mtime > newest:
            continue
        if target.suffix == ".txt":
            shutil.copyfile(origin, target)
        else:
            cut(origin, target, characters(ranges) if ranges else icons, features)


def setup(app):
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
