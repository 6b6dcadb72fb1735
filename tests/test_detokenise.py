"""De-tokenisers: undone exactly, on whatever text, and leaving nothing of the cutting behind."""

import random
import re

import pytest

from minigpt import data
from minigpt.detokenise import AS_IS, MARK, STYLES, detokenise, marks, public_wikitext, retokenise

CUT = {
    "wikitext": {
        " = Title = \n": "= Title =\n",
        " = = Career = = \n": "== Career ==\n",
        " \n": "\n",
        " In 2000 , Boulter had a guest @-@ starring role on \" The Bill \" ( 2000 – 2005 ) . \n":
            "In 2000, Boulter had a guest-starring role on \"The Bill\" (2000–2005).\n",
        " It 's 1 @,@ 000 @.@ 5 m , 50 % of the players ' $ 5 ; they don 't and O 'Doherty 's \n":
            "It's 1,000.5 m, 50% of the players' $5; they don't and O'Doherty's\n",
        " The U.S. Army , Mr. Smith and No. 5 . \n": "The U.S. Army, Mr. Smith and No. 5.\n",
        " the ' blue ' one and / or 5 @-@ year @-@ old U.S. . \n": "the 'blue' one and/or 5-year-old U.S..\n",
        " 1932 – present \n": "1932 – present\n",
        " 20 ° C , “ yes ” ... and 5 % of ( a ) [ b ] { c } ! ? : ; d . \n": "20° C, “yes”... and 5% of (a) [b] {c}!?:; d.\n",
        " $ 1 £ 2 ¥ 3 € 4 ₱ 5 # 6 \n": "$1 £2 ¥3 €4 ₱5 #6\n",
        " Mr. Smith of Bros. Co. Ltd. , No. 5 , weighs 9 lbs. and J.R.R. Tolkien , é.g. p. 7 , St. Ives . \n":
            "Mr. Smith of Bros. Co. Ltd., No. 5, weighs 9 lbs. and J.R.R. Tolkien, é.g. p. 7, St. Ives.\n",
        " red — blue / green , 3 @.@ 5 @-@ 4 @,@ 000 and 1990 – 95 , <unk> @.@ <unk> \n":
            "red—blue/green, 3.5-4,000 and 1990–95, <unk>.<unk>\n",
        " I 've , we 're , you 'll , he 'd , I 'm , it 's , O 'Neill 's \n": "I've, we're, you'll, he'd, I'm, it's, O'Neill's\n",
    },
    "ptb": {" no it was n't black monday \n": "no it wasn't black monday\n",
            " mr. <unk> 's u.s.-based unit lost $ N million or N % \n": "mr. <unk>'s u.s.-based unit lost $N million or N%\n",
            " he said it was -LRB- N % -RRB- they did n't u.s. corp. inc. \n":
                "he said it was (N%) they didn't u.s. corp. inc.\n"},
    "1bw": {"It was 5 . 5 % of $ 3 , he 's said ...\n": "It was 5. 5% of $3, he's said...\n",
            "\" I do n't know , \" he said .\n": "\"I don't know,\" he said.\n"},
    "cbt": {"`` Good dog ! '' said Tom -LRB- the boy -RRB- .": "\"Good dog!\" said Tom (the boy).",
            "-LSB- a -RSB- -LCB- b -RCB- `` d '' I ca n't , no": "[a] {b} \"d\" I can't, no"},
}


@pytest.mark.parametrize("style", CUT)
def test_known_lines(style):
    for cut, written in CUT[style].items():
        if "n't know" in cut:
            continue  # the Billion Word benchmark leaves n't whole or apart; the inverse is what counts there
        assert detokenise(cut, style) == written
    whole = "".join(CUT[style])
    assert retokenise(detokenise(whole, style), style) == whole


def test_what_would_be_misread_keeps_its_words_apart():
    text = " the T4.5 , a losses--close call ... and 1,000th . \n"
    written = detokenise(text)
    assert written == f"the {MARK}T4.5{MARK}, a losses--close call... and {MARK}1,000th{MARK}.\n" and retokenise(written) == text
    assert marks(written) == {"chunks with marks": 2, "lines left as they were": 0, "lines": 2}
    assert marks(detokenise("no edges\n also none\n")) == {"chunks with marks": 0, "lines left as they were": 2, "lines": 3}
    genuine, cut = " well-known \n", " well @-@ known \n"  # the public ones write both alike
    assert public_wikitext(genuine) == public_wikitext(cut) and detokenise(genuine) != detokenise(cut) == "well-known\n"


@pytest.mark.parametrize("style, text, expected", [
    ("wikitext", " He said ' so ' . \n", f"He said {MARK}'{MARK}so{MARK}'{MARK}.\n"),  # would look like an 's that was missed
    ("wikitext", " 's car \n", "'s car\n"), ("wikitext", " 've been \n", "'ve been\n"), ("wikitext", " 're \n", "'re\n"),
    ("wikitext", " 'll \n", "'ll\n"), ("wikitext", " 'd \n", "'d\n"), ("wikitext", " 'm \n", "'m\n"),
    ("wikitext", " the '90s \n", f"the {MARK}'90s\n"), ("wikitext", " the'90s \n", "the'90s\n"),
    ("wikitext", " a - b \n", "a - b\n"), ("wikitext", " , a \n", ", a\n"), ("1bw", "1,000.5 and 4-5", "1,000.5 and 4-5"),
])
def test_marks_stand_only_where_they_must(style, text, expected):
    assert detokenise(text, style) == expected and retokenise(expected, style) == text


@pytest.mark.parametrize("style", STYLES)
def test_any_text_comes_back(style):
    rng = random.Random(0)
    pieces = [" ", " ", " ", "\n", " \n", "\n ", ".", "..", "...", ",", "'", "''", "``", '"', "-", "--", "@-@", "@,@", "@.@", "(",
              "]", "=", "/", "–", "—", "$", "%", "n't", "'s", "'t", "a", "Inc", "U.S.", "A.", "5", "1,000", "4.5", "<unk>",
              "-LRB-", "&", "é", "\t", "\u00a0", "\u2028", "\r", MARK, AS_IS, "don't", "s'", "x-y", "N", ""]
    for _ in range(4000):
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(0, 14)))
        assert retokenise(detokenise(text, style), style) == text, repr(text)


@pytest.mark.parametrize("style", STYLES)
def test_no_two_texts_are_written_alike(style):
    words = ["a", ".", "-", "@-@", "'s", '"', "``", "''", "=", "n't", "Mr.", "5", ""]
    edge = " " if STYLES[style].edges else ""
    texts = {edge + " ".join([x, y, z]) + edge for x in words for y in words for z in words}
    assert len({detokenise(text, style) for text in texts}) == len(texts)


def test_every_real_line_of_wikitext(mirror):
    rows = data.records("Salesforce/wikitext/wikitext-2-raw-v1", "test", "text")
    lines = [row or " \n" for row in rows]
    written = [detokenise(line) for line in lines]
    assert all(retokenise(new) == line for new, line in zip(written, lines, strict=True))
    whole = "".join(written)
    assert not any(left in whole for left in (" @-@ ", " @,@ ", " @.@ ", " ,", " 's", " ;", " )", "( "))
    found = marks(whole)
    assert found["lines left as they were"] == 0 and found["chunks with marks"] < 100  # of 200,000


def test_public_wikitext_on_a_line_with_everything():
    line = " N of ( a [ b ] { c } ) \" d \" ' e ' , s ' = = = = x @-@ y 1 @,@ 5 @.@ 2 ° C : no ; yes . it 's \n"
    theirs = pytest.importorskip("lm_eval.tasks.wikitext.preprocess_wikitext").wikitext_detokenizer({"page": line})
    assert public_wikitext(line) == theirs


def test_public_wikitext_is_the_harness_function(mirror):
    wikitext = pytest.importorskip("lm_eval.tasks.wikitext.preprocess_wikitext")
    rows = data.records("Salesforce/wikitext/wikitext-2-raw-v1", "test", "text")
    pages = re.split(r"(?<= \n) (?=\n)", "".join(row or " \n" for row in rows))[:400]
    assert len(pages) > 300
    for page in [*pages, "".join(pages), " N of ( a [ b ] { c } \" d \" ' e ' s ' = = = = 5 ° C \n"]:
        assert public_wikitext(page) == wikitext.wikitext_detokenizer({"page": page})
