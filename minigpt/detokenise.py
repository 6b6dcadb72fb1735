"""De-tokenisers that can be undone: " 1 @,@ 000 cars , he said . " -> "1,000 cars, he said." and back (GPT-2 section 3.1).

WikiText, the Penn Treebank and the Billion Word benchmark were cut into words and punctuation long ago, and GPT-2 never saw text
like that. The paper therefore undoes the cutting before it asks for log p(text), "with invertible de-tokenizers": if each text has
exactly one original, then its log-probability is that of the data set, and the comparison with word models is fair. OpenAI did not
publish theirs. Ours work chunk by chunk, where a chunk is what stands between two spaces:

    split(chunk)   one fixed reading of a chunk as a list of words: punctuation comes off its ends, hyphens become @-@, ...
    join(words)    glues neighbouring words where English does, and looks at what `split` makes of every chunk. Where that is not
                   the original (the word "T4.5" would be read as "T4 @.@ 5"), the words of the chunk are kept apart by an invisible
                   mark, U+2060, that `split` obeys.

So the inverse holds by construction, for every text, and the marks can be counted.
"""

import re
from dataclasses import dataclass

MARK = "\u2060"  # "word joiner": has no width; stands before each word of a chunk that `split` would misread
AS_IS = "\u2063"  # "invisible separator": the line after it was left as it was
CLOSING = frozenset(", . ; : ! ? ) ] } % ° ” ...".split())  # no space before
OPENING = frozenset("( [ { $ £ ¥ € ₱ # “".split())  # no space after
ABBREVIATIONS = frozenset("No Nos Mr Mrs Ms Dr St Sr Jr Col Gen Lt Capt Maj Sgt vs p pp v al Bros Co Corp Inc Ltd lbs mm".split())
BETWEEN = re.compile(r"(?<=[^-])(-)(?=[^-])")
NUMBER = re.compile(r"(?<=[0-9>])([,.])(?=[0-9<])")  # <unk> may stand for digits
DASH = re.compile(r"(?<=[0-9>])(–)(?=[0-9<])|(?<=.)([/—])(?=.)")
INITIALS = re.compile(r"(?:[A-Z]\.)+|(?:[^\W\d]\.){2,}")


@dataclass(frozen=True)
class Style:
    """How a data set was cut. edges: lines begin and end with a space; marks: @-@, @,@ and @.@; treebank: -LRB-, ``, '' and n't;
    stops: the full stop of a sentence is a word of its own (the Penn Treebank that is in use has lost them)."""

    edges: bool = True
    marks: bool = False
    treebank: bool = False
    stops: bool = True


STYLES = {"wikitext": Style(marks=True), "ptb": Style(treebank=True, stops=False), "1bw": Style(edges=False),
          "cbt": Style(edges=False, treebank=True)}
GLUED = {"@-@": "-", "@,@": ",", "@.@": "."}
TREEBANK = {"-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}", "-LSB-": "[", "-RSB-": "]"}
BRACKETS = {shown: word for word, shown in TREEBANK.items()}


def detokenise(text: str, style: str = "wikitext") -> str:
    """The text as it is usually written, line by line; `retokenise` gives back exactly `text`, whatever it holds."""
    kind = STYLES[style]
    *whole, last = text.split("\n")  # what comes after the last line end is not a line, if it is empty
    return "\n".join([*(_join_line(line, kind) for line in whole), last and (_join_line(last, kind) or AS_IS + last)])


def retokenise(text: str, style: str = "wikitext") -> str:
    """The inverse of `detokenise`."""
    kind = STYLES[style]
    *whole, last = text.split("\n")
    return "\n".join([*(_split_line(line, kind) for line in whole), last and _split_line(last, kind)])


def _join_line(line: str, style: Style) -> str:
    if line == (" " if style.edges else ""):
        return ""
    body = line[1:-1] if style.edges else line
    whole = f" {body} " == line if style.edges else True
    if not body or not whole or MARK in line or AS_IS in line:
        return AS_IS + line
    return " ".join(_written(chunk, style) for chunk in _chunks(body.split(" "), style))


def _split_line(line: str, style: Style) -> str:
    if line.startswith(AS_IS):
        return line[1:]
    edge = " " if style.edges else ""
    return edge + " ".join(word for chunk in line.split(" ") for word in split(chunk, style)) + edge if line else edge


def _written(words: list[tuple[str, str]], style: Style) -> str:
    """One chunk as it is written: glued if `split` reads it right, with marks if it does not. words: (as cut, as shown)."""
    glued, original = "".join(shown for _, shown in words), [word for word, _ in words]
    genitive = glued.startswith("'s") and original[0] == "'"  # a quotation: must not look like an 's that was missed
    return glued if split(glued, style) == original and not genitive else MARK + MARK.join(original)


def _chunks(words: list[str], style: Style):
    """The words of a line in groups that are to be written without a space between."""
    group, glue, opened = [], False, {'"': False, "'": False}
    for i, word in enumerate(words):
        before, after, shown = _sides(word, words[i - 1] if i else "", words[i + 1] if i + 1 < len(words) else "", opened, style)
        if group and not (before or glue):
            yield group
            group = []
        group.append((word, shown))
        glue = after
    if group:
        yield group


def _sides(word: str, previous: str, following: str, opened: dict, style: Style) -> tuple[bool, bool, str]:
    """Whether a word is glued to what stands before it, to what stands after it, and how it is shown."""
    if style.marks and word in GLUED:
        return True, True, GLUED[word]
    if style.treebank and word in TREEBANK:
        return TREEBANK[word] in ")}]", TREEBANK[word] in "({[", TREEBANK[word]
    if style.treebank and word in ("``", "''"):
        return word == "''", word == "``", '"'
    if word in opened:
        # A lone ' after a plural is a possessive, unless a quotation is open.
        closing = opened[word] or (word == "'" and previous.endswith("s"))
        opened[word] = not closing
        return closing, not closing, word
    if style.marks and word in ("/", "—"):
        return True, True, word
    if style.marks and word == "–" and previous[-1:].isdecimal() and following[:1].isdecimal():
        return True, True, word
    if word == "=":
        return previous == "=", False, word
    contraction = word == "n't" or (len(word) > 1 and word[0] == "'" and word[1].isalpha())
    return contraction or word in CLOSING, word in OPENING, word


def split(chunk: str, style: Style) -> list[str]:
    """The words that a chunk (text without spaces) is read as."""
    if chunk.startswith(MARK):
        return chunk[1:].split(MARK)
    if len(chunk) > 1 and set(chunk) == {"="}:
        return list(chunk)
    if not style.marks:
        return _peel(chunk, style)
    words = []
    for part in re.split(BETWEEN, chunk):  # text, hyphen, text, ...
        words += ["@-@"] if part == "-" and chunk != "-" else _dashes(part, style)
    return words


def _dashes(part: str, style: Style) -> list[str]:
    pieces = [piece for piece in re.split(DASH, part) if piece]
    return [word for piece in pieces or [part] for word in ([piece] if piece in "/—–" else _peel(piece, style))]


def _peel(piece: str, style: Style) -> list[str]:
    """Punctuation off both ends, a contraction off the end, @,@ and @.@ inside numbers."""
    if piece == "...":
        return [piece]
    head, tail = [], []
    while len(piece) > 1 and (piece[0] in OPENING or piece[0] in "\"'") and not _contracted(piece):
        head.append(_word(piece[0], "``", style))
        piece = piece[1:]
    while len(piece) > 1:
        if piece.endswith("...") and len(piece) > 3:
            cut = 3
        elif piece[-1] == "." and _abbreviated(piece, style):
            break
        elif piece[-1] in CLOSING or piece[-1] in "\"'":
            cut = 1
        else:
            break
        tail.insert(0, _word(piece[-cut:], "''", style))
        piece = piece[:-cut]
    return head + _contractions(piece, style) + tail


def _word(shown: str, quote: str, style: Style) -> str:
    if not style.treebank:
        return shown
    return quote if shown == '"' else BRACKETS.get(shown, shown)


def _abbreviated(piece: str, style: Style) -> bool:
    return not style.stops or piece[:-1] in ABBREVIATIONS or INITIALS.fullmatch(piece) is not None


def _contracted(piece: str) -> bool:
    return re.fullmatch(r"'(s|t|re|ve|m|ll|d)", piece) is not None


def _contractions(piece: str, style: Style) -> list[str]:
    if style.treebank and piece.endswith("n't") and len(piece) > 3:
        return [*_contractions(piece[:-3], style), "n't"]
    at = piece.rfind("'", 1)
    if at > 0 and piece[at + 1:at + 2].isalpha():
        return [*_contractions(piece[:at], style), piece[at:]]
    return _numbers(piece) if style.marks else [piece]


def _numbers(piece: str) -> list[str]:
    return [f"@{part}@" if part in ",." and piece != part else part for part in re.split(NUMBER, piece)]


def marks(text: str) -> dict[str, int]:
    """How often a de-tokenised text had to keep its words apart: chunks with marks, lines left as they were, and all lines."""
    lines = text.split("\n")
    return {"chunks with marks": sum(chunk.startswith(MARK) for line in lines for chunk in line.split(" ")),
            "lines left as they were": sum(line.startswith(AS_IS) for line in lines), "lines": len(lines)}


def public_wikitext(text: str) -> str:
    """What the public de-tokenisers make of WikiText (Megatron-LM's, which lm-evaluation-harness took over).

    It cannot be undone: "N" becomes "1", and a hyphen of the text can no longer be told from @-@. Kept to compare numbers with.
    """
    for old, new in (("s '", "s'"), (" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", "."), (" : ", ": "), (" ; ", "; "), (" . ", ". "),
                     (" ! ", "! "), (" ? ", "? "), (" , ", ", ")):
        text = text.replace(old, new)
    for opening, closing in ("()", "[]", "{}", '""', "''"):  # no space inside; a pair may stretch over lines
        first, last = re.escape(opening), re.escape(closing)
        text = re.sub(rf"{first}\s*([^{last}]*?)\s*{last}", rf"{opening}\1{closing}", text)
    for old, new in (("= = = =", "===="), ("= = =", "==="), ("= =", "=="), (" ° ", "°"), (" \n", "\n"), ("\n ", "\n"),
                     (" N ", " 1 "), (" 's", "'s")):
        text = text.replace(old, new)
    return text
