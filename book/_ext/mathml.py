"""Equations as MathML, made while the site is built: no script and no network are needed to read them."""

import html
import re
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)
UNKNOWN = re.compile(r">(\\[A-Za-z]+)<")
OPEN = '<mo stretchy="false">&#x00028;</mo>'
NAMES = "log|ln|exp|min|max|sin|cos|tanh|arg|det|lim|Pr"
# First letters of the alphabets that browsers no longer make from mathvariant: capitals, small letters, digits.
ALPHABETS = {"bold": (0x1D400, 0x1D41A, 0x1D7CE), "bold-italic": (0x1D468, 0x1D482, None),
             "monospace": (0x1D670, 0x1D68A, 0x1D7F6)}
LETTERS = re.compile(r'<(mi|mn) mathvariant="(bold|bold-italic|monospace)">(\w+)</\1>')
# latex2mathml's output beside what TeX's spacing and letter shapes ask for.
REPAIRS = [
    (re.compile(r'(?:<mi mathvariant="normal">[A-Za-z]</mi>){2,}'),
     lambda m: f"<mi>{re.sub('<[^>]*>', '', m[0])}</mi>"),
    (re.compile(r"<mi>(&#x0039[1-9A-F];|&#x003A[0-9];)</mi>"), r'<mi mathvariant="normal">\1</mi>'),
    (re.compile(r"<mo>&#x022A4;</mo>"), '<mi mathvariant="normal">&#x022A4;</mi>'),
    (re.compile(r"<mo>(&#x0002F;)</mo>"), r'<mo lspace="0" rspace="0">\1</mo>'),
    (re.compile(r"<mrow><mo>(&#x0002C;)</mo></mrow>"), r'<mo lspace="0" rspace="0">\1</mo>'),
    (re.compile(r"<mo>([A-Za-z]{2,})</mo>"), r'<mo lspace="0.167em" rspace="0.167em">\1</mo>'),
    (re.compile(rf"(?<=</mi>|</mn>)<mi>({NAMES})</mi>"), r'<mspace width="0.167em" /><mi>\1</mi>'),
    (re.compile(rf"(<mi>(?:{NAMES})</mi>|<msub><mi>log</mi><m[in]>[^<]*</m[in]></msub>)(?!{re.escape(OPEN)}|<m[in]>2</mn>|</)"),
     r'\1<mspace width="0.167em" />'),
]


def alphabet(match: re.Match) -> str:
    """Letters of a bold or monospaced alphabet as their own characters."""
    capital, small, zero = ALPHABETS[match[2]]
    out = ""
    for char in match[3]:
        if "A" <= char <= "Z":
            out += chr(capital + ord(char) - ord("A"))
        elif "a" <= char <= "z":
            out += chr(small + ord(char) - ord("a"))
        else:
            out += chr(zero + int(char)) if zero and char.isdigit() else char
    return f"<{match[1]}>{out}</{match[1]}>"


def tighten(root: ElementTree.Element) -> None:
    """No space around the operators in subscripts and superscripts, as in TeX."""
    for element in root.iter():
        if element.tag in ("msub", "msup", "msubsup"):
            for operator in (mo for child in list(element)[1:] for mo in child.iter("mo")):
                operator.set("lspace", "0")
                operator.set("rspace", "0")


def mathml(tex: str, display: str, where: nodes.Node | None = None) -> str:
    """One ``<math>`` element for a TeX formula; ``display`` is "inline" or "block".

    A command that latex2mathml does not know would be printed as text on the page, so it is a warning (and the
    build runs with warnings as errors).
    """
    tex = re.sub(r"\\(begin|end)\{(aligned|split|align)\}", r"\\\1{align*}", tex.strip())
    if display == "block" and r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{align*}}{tex}\end{{align*}}"
    try:
        out = convert(tex, display=display)
    except Exception as error:  # latex2mathml has a dozen exception classes, and any of them means the same
        logger.warning("cannot read the equation %r: %s", tex, type(error).__name__, location=where)
        return f"<code>{html.escape(tex)}</code>"
    unknown = UNKNOWN.findall(out)
    if unknown:
        logger.warning("unknown TeX command %s in %r", ", ".join(unknown), tex, location=where)
    out = LETTERS.sub(alphabet, out)
    for pattern, repair in REPAIRS:
        out = pattern.sub(repair, out)
    root = ElementTree.fromstring(out.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    root.set("alttext", tex)
    tighten(root)
    return ElementTree.tostring(root, encoding="unicode")


def visit_inline(self, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), "inline", node))
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    label = node.get("label")
    name = f' id="equation-{label}"' if label else ""
    self.body.append(f'<div class="equation"{name}>')
    self.body.append(mathml(node.astext(), "block", node))
    if node.get("number"):
        self.body.append(f'<span class="eqno">({node["number"]})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
