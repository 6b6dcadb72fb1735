"""The look of the book's figures, and interactive views that need no kernel.

A view (`attention`, `merges`, `shapes`, `next_tokens`, `sequences`, `sampling`) is an object that Jupyter shows by
`_repr_html_`: HTML, SVG and JavaScript in one piece, with its data inside. It works on the static site, in Jupyter and in
Colab, with the network off, by mouse and by keyboard, and shows every string as text, never as markup. Nothing here imports
torch: arrays and tensors of any kind are read through numpy.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

STATIC = Path(__file__).parent / "static"

# Apart from each other for colour-blind readers too, and dark enough to be read as text on white.
COLORS = {"blue": "#0b62a4", "orange": "#c44e00", "green": "#00805e", "purple": "#8f3f7c", "ochre": "#8a6a00",
          "sky": "#3a86b8", "grey": "#5f6773"}
LINES = ["-", "--", "-.", ":"]


# -- figures ------------------------------------------------------------------------------------------------------


def style() -> None:
    """Give matplotlib the book's look: calm, on white, readable at the width of a phone."""
    import matplotlib as mpl

    mpl.rcParams.update({
        "figure.figsize": (6.4, 3.4), "figure.dpi": 150, "figure.facecolor": "white", "savefig.facecolor": "white",
        "figure.constrained_layout.use": True, "font.size": 12, "axes.titlesize": 13, "axes.labelsize": 12,
        "axes.titlelocation": "left", "axes.facecolor": "white", "axes.edgecolor": "#8a919c",
        "axes.labelcolor": "#1c2024", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e4e7ec", "grid.linewidth": 0.8, "xtick.color": "#3b424d", "ytick.color": "#3b424d",
        "text.color": "#1c2024", "lines.linewidth": 2.2, "lines.markersize": 5, "legend.frameon": False,
        "axes.prop_cycle": mpl.cycler(color=list(COLORS.values())), "image.cmap": "Blues"})


def curves(series: Mapping[str, Sequence[float]], x=None, xlabel: str = "", ylabel: str = "", ax=None, **plot):
    """Draw named lines, each labelled at its end and told apart by its dashes as well as its colour.

    `x` holds the common abscissae, or a mapping from the same names; without it the points are counted from 0.
    Further keywords go to `Axes.plot`. Returns the axes.
    """
    ax = ax or _axes()
    for i, (name, values) in enumerate(series.items()):
        values = _array(values)
        at = x[name] if isinstance(x, Mapping) else np.arange(len(values)) if x is None else x
        line, = ax.plot(at, values, **({"linestyle": LINES[i % len(LINES)]} | plot))
        ax.annotate(name, (at[len(values) - 1], values[-1]), xytext=(5, 0), textcoords="offset points", va="center",
                    color=line.get_color(), annotation_clip=False)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def heatmap(matrix, rows: Sequence[str] | None = None, columns: Sequence[str] | None = None,
            digits: int | None = 2, ax=None):
    """Draw a matrix as coloured cells with their values, exact zeros left blank. Returns the axes.

    digits: decimals of the values, None for no values at all. `axes.heat` is the image, for a colour bar or a common scale.
    """
    matrix = _array(matrix)
    ax = ax or _axes()
    ax.heat = ax.imshow(matrix, aspect="auto")
    dark = matrix.min() + 0.65 * (matrix.max() - matrix.min())  # white letters from here on
    if digits is not None:
        for (i, j), value in np.ndenumerate(matrix):
            ax.text(j, i, f"{value:.{digits}f}" if value else "", ha="center", va="center", fontsize=10,
                    color="white" if value > dark else "#1c2024")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_xticks(range(matrix.shape[1]), columns if columns is not None else range(matrix.shape[1]))
    ax.set_yticks(range(matrix.shape[0]), rows if rows is not None else range(matrix.shape[0]))
    return ax


def bars(values: Mapping[str, float], label: str = "", digits: int = 2, color: str = "blue", ax=None):
    """Draw named values as horizontal bars with their numbers, the first on top. Returns the axes."""
    ax = ax or _axes()
    drawn = ax.barh(list(values), list(values.values()), color=COLORS.get(color, color))
    ax.bar_label(drawn, fmt=f"{{:.{digits}f}}", padding=3)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.12)
    ax.set_xlabel(label)
    return ax


def _axes():
    import matplotlib.pyplot as plt

    return plt.subplots()[1]


# -- views --------------------------------------------------------------------------------------------------------


class View:
    """An interactive figure: `kind` names the script in static/ that draws `data`."""

    def __init__(self, kind: str, data: dict, summary: str):
        self.kind, self.data, self.summary = kind, data, summary

    def __repr__(self) -> str:
        return f"<interactive view: {self.summary}>"

    def _repr_html_(self) -> str:
        """One self-contained block. No ids: many views share a page, and the same data give the same bytes."""
        code = "\n".join(_asset(name) for name in ("view.js", f"{self.kind}.js"))
        data = json.dumps(self.data, ensure_ascii=True, separators=(",", ":"))
        # Inside <script> only "<" can end the element or start a comment; JSON may spell it as an escape.
        data = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        name = self.kind.replace("_", " ")
        return (f'<div class="minigpt-view" data-view="{self.kind}" role="group" '
                f'aria-label="interactive view: {name}">\n'
                f'<style class="minigpt-style">{_asset("view.css")}</style>\n'
                f'<script type="application/json" class="minigpt-data">{data}</script>\n'
                f'<p class="mg-note">An interactive view ({name}) stands here. It needs JavaScript: '
                "run this cell, or read the chapter on the book's site.</p>\n"
                f'<script class="minigpt-code">(() => {{\n{code}}})();</script>\n</div>')


def attention(tokens: Sequence[str], maps, layer: int = 0, head: int = 0, query: int | None = None) -> View:
    """Where each token looks, for every layer and head.

    tokens: the texts of T tokens. maps: what `model(ids, attention_maps=True)` gives, a list over layers of
    (1, head, T, T) or (head, T, T) weights; or one (layer, head, T, T), (head, T, T) or (T, T) array. Weights are
    kept to a thousandth. `layer`, `head` (from 0) and `query` (a position; the last by default) say where the view
    opens. Raises ValueError for maps that do not fit the tokens and for weights that are not probabilities.
    """
    tokens = _texts(tokens)
    layers = [_heads(m) for m in maps] if isinstance(maps, list | tuple) else _layers(_array(maps))
    count = len(tokens)
    for number, m in enumerate(layers):
        if m.shape != layers[0].shape or m.shape[1:] != (count, count):
            raise ValueError(f"layer {number}: attention of shape {m.shape} does not fit {count} tokens; "
                             f"expected (head, {count}, {count})")
        if not (np.isfinite(m).all() and m.min() >= 0 and np.abs(m.sum(-1) - 1).max() < 0.02):
            raise ValueError(f"layer {number}: each row of attention must be probabilities that sum to 1")
    heads = layers[0].shape[0]
    query = count - 1 if query is None else query
    if not (0 <= layer < len(layers) and 0 <= head < heads and 0 <= query < count):
        raise ValueError(f"layer {layer}, head {head}, query {query}: there are {len(layers)} layers, {heads} heads "
                         f"and {count} tokens, counted from 0")
    masked = all(np.triu(m, 1).max(initial=0) == 0 for m in layers)
    data = {"tokens": tokens, "map": layer * heads + head, "query": query,
            "maps": [[[[round(1000 * w) for w in (row[:i + 1] if masked else row).tolist()] for i, row in enumerate(m)]
                      for m in one] for one in layers]}
    return View("attention", data, f"attention of {count} tokens, {len(layers)} layers, {heads} heads")


def merges(text: str | Iterable, bpe) -> View:
    """A stepper through the merges that byte-pair encoding applies to a text, one at a time in the order learned.

    text: a str, or words (each a str or a sequence of symbols). bpe: a `BPE`, or a plain list of (left, right) pairs,
    with which a str is split at white space and words into characters. Only merges that occur in the text are shown.
    """
    ranks = {}
    for rank, pair in enumerate(getattr(bpe, "merges", bpe)):
        ranks.setdefault(tuple(pair), rank)
    words, show = _first_symbols(text, bpe) if hasattr(bpe, "merges") else (_plain_words(text), {})
    if not words:
        raise ValueError("merges: the text holds no words")
    now, steps = words, []
    while pairs := [pair for word in now for pair in zip(word, word[1:], strict=False) if pair in ranks]:
        left, right = min(pairs, key=ranks.__getitem__)
        after = [_merge(word, left, right) for word in now]
        count = sum(map(len, now)) - sum(map(len, after))
        steps.append({"rank": ranks[left, right], "left": left, "right": right, "count": count})
        now = after
    shown = {symbol for word in words for symbol in word} | {m["left"] + m["right"] for m in steps}
    data = {"words": words, "merges": steps, "show": {s: show[s] for s in sorted(shown) if show.get(s, s) != s}}
    return View("merges", data, f"{len(steps)} merges over {len(words)} words")


def shapes(steps: Iterable) -> View:
    """A tracer of tensor shapes: one box for each step, (name, shape, note), followed forwards and backwards.

    shape: a sequence of sizes (a tensor's `.shape`), or a mapping from the names of the axes to their sizes.
    """
    rows = []
    for name, shape, *note in steps:
        axes = list(shape.items()) if isinstance(shape, Mapping) else [("", size) for size in shape]
        if not axes:
            raise ValueError(f"shapes: {name!r} has no axes")
        rows.append({"name": str(name), "note": " ".join(map(str, note)),
                     "shape": [[str(axis), size if isinstance(size, str) else int(size)] for axis, size in axes]})
    if not rows:
        raise ValueError("shapes: no steps to show")
    return View("shapes", {"steps": rows}, f"{len(rows)} tensor shapes")


def next_tokens(tokens: Sequence[str], probs, vocabulary: Sequence[str] | None = None, top: int = 6) -> View:
    """The likeliest next tokens after each token of a text.

    probs: for each position a list of (token, probability); or a (T, V) array together with `vocabulary`, the texts of
    the V tokens, of which the `top` likeliest are shown. Raises ValueError if the lengths do not fit.
    """
    tokens = _texts(tokens)
    if vocabulary is not None:
        table = _array(probs)
        if table.ndim != 2 or table.shape[1] != len(vocabulary):
            raise ValueError(f"probabilities of shape {table.shape} do not fit a vocabulary of {len(vocabulary)}")
        best = np.argsort(-table, axis=1, kind="stable")[:, :top]
        probs = [[(vocabulary[j], row[j]) for j in order] for row, order in zip(table, best, strict=True)]
    rows = [[[str(token), round(float(p), 4)] for token, p in row] for row in probs]
    if len(rows) != len(tokens):
        raise ValueError(f"{len(rows)} rows of probabilities for {len(tokens)} tokens")
    return View("next_tokens", {"tokens": tokens, "top": rows}, f"next tokens after {len(tokens)} tokens")


def sequences(cases: Iterable) -> View:
    """The token sequences that examples become, and what a head that reads at some token has seen.

    cases: (name, parts, sequences, note) each. parts: what the first and, if there is one, the second text is called;
    sequences: lists of (token, kind) with kind "first", "second" or "special", read at their last token unless the
    reader chooses another; note: a sentence shown below. Raises ValueError for no cases, and for empty sequences.
    """
    rows = []
    for name, parts, found, note in cases:
        if not found or not all(found):
            raise ValueError(f"sequences: {name!r} has no tokens to show")
        kinds = {kind for one in found for _, kind in one}
        if not kinds <= {"first", "second", "special"}:
            raise ValueError(f"sequences: {name!r} has tokens of the kinds {sorted(kinds)}; known: first, second, special")
        rows.append({"name": str(name), "parts": _texts(parts), "note": str(note),
                     "sequences": [list(map(list, zip(_texts(token for token, _ in one), (kind for _, kind in one), strict=True)))
                                   for one in found]})
    if not rows:
        raise ValueError("sequences: no cases to show")
    return View("sequences", {"cases": rows}, f"token sequences of {len(rows)} examples")


def sampling(cases: Iterable, vocabulary: Sequence[str], top: int = 40) -> View:
    """How temperature, top-k and top-p change the distribution of the next token; the reader moves them and draws.

    cases: (text, logits) each, logits (V,) of what follows the text; vocabulary: the texts of the V tokens, of which the `top`
    likeliest are named. Logits are kept to a hundredth, the likeliest as 0. Raises ValueError for sizes that do not fit.
    """
    rows = []
    for text, values in cases:
        logits = _array(values)
        if logits.shape != (len(vocabulary),) or not np.isfinite(logits).all():
            raise ValueError(f"sampling: {len(vocabulary)} finite logits are needed after {text!r}, not {logits.shape}")
        order = np.argsort(-logits, kind="stable")
        below = np.round(100 * (logits[order[0]] - logits[order])).astype(int)
        rows.append({"text": str(text), "tokens": _texts(vocabulary[i] for i in order[:top]), "below": below.tolist()})
    if not rows:
        raise ValueError("sampling: no cases to show")
    return View("sampling", {"cases": rows}, f"the next token after {len(rows)} texts, by temperature, top-k and top-p")


def readable(data: bytes) -> str:
    """Text where the bytes are text; hexadecimal where they are a piece of a character."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "‹" + data.hex(" ") + "›"


# -- reading what was passed --------------------------------------------------------------------------------------


def _asset(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _array(values) -> np.ndarray:
    """Any array, tensor or nested list as float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().float().numpy()
    return np.asarray(values, dtype=np.float64)


def _texts(tokens: Sequence[str]) -> list[str]:
    tokens = [str(token) for token in tokens]
    if not tokens:
        raise ValueError("no tokens to show")
    # Half of a surrogate pair is no text; a browser would show the same mark.
    return [token.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for token in tokens]


def _heads(values) -> np.ndarray:
    """One layer's weights as (head, T, T)."""
    m = _array(values)
    if m.ndim == 4 and m.shape[0] == 1:
        m = m[0]
    if m.ndim == 2:
        m = m[None]
    if m.ndim != 3:
        raise ValueError(f"one layer's attention must be (1, head, T, T), (head, T, T) or (T, T), not {m.shape}")
    return m


def _layers(maps: np.ndarray) -> list[np.ndarray]:
    return [_heads(m) for m in maps] if maps.ndim >= 4 else [_heads(maps)]


def _plain_words(text) -> list[list[str]]:
    return [list(word) for word in (text.split() if isinstance(text, str) else text) if len(word)]


def _first_symbols(text, bpe) -> tuple[list[list[str]], dict[str, str]]:
    """The words of a text in the vocabulary's smallest symbols, and how to show each symbol to a reader."""
    words = bpe.pre_tokenize(text) if isinstance(text, str) else list(text)
    if bpe.style == "gpt1":
        words = [w.lower() if isinstance(w, str) else w for w in words]
        return [[*w[:-1], w[-1] + "</w>"] if isinstance(w, str) else list(w) for w in words if w], {}
    raw = {token: bpe.decode_bytes([i]) for token, i in bpe.vocab.items()}
    symbol = {data: token for token, data in raw.items() if len(data) == 1}
    spelled = [[symbol[bytes([byte])] for byte in w.encode()] if isinstance(w, str) else list(w) for w in words]
    return spelled, {token: readable(data) for token, data in raw.items()}


def _merge(word: list[str], left: str, right: str) -> list[str]:
    out, i = [], 0
    while i < len(word):
        both = word[i:i + 2] == [left, right]
        out.append(left + right if both else word[i])
        i += 2 if both else 1
    return out
