"""GPT-1's input transformations (Figure 1 right, section 3.3) and the small head on top (section 3.2).

A task becomes one or more sequences of token ids, which the pre-trained model reads like any other text:

    classification   <start> text <extract>
    entailment       <start> premise <delimiter> hypothesis <extract>
    similarity       <start> one <delimiter> other <extract>, and the same in the other order
    choice           <start> context question <delimiter> answer <extract>, one sequence for each answer

The head reads the last layer at <extract>. The tasks themselves, Table 1's twelve and the world's seven, stand in `tasks_table`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from minigpt import paper, viz
from minigpt.tasks_table import FORMATS, TABLE1, TASKS, THE_WORLDS, Example, Task, get, read, substitution, table

__all__ = ["FORMATS", "METRICS", "SPECIALS", "TABLE1", "TASKS", "THE_WORLDS", "Classifier", "Example", "Task", "add_specials",
           "collate", "get", "read", "scores", "shares", "special_ids", "substitution", "table", "transform", "view"]
SPECIALS = ("_start_", "_delimiter_", "_classify_")  # OpenAI's names; their ids follow the vocabulary's last one, in this order
METRICS = ("accuracy", "f1", "matthews", "pearson")


# -- transformations ----------------------------------------------------------------------------------------------------------


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How many tokens each segment keeps: while they do not fit, the longest (the first of the longest) loses its last token."""
    kept = list(lengths)
    while sum(kept) > room:
        kept[kept.index(max(kept))] -= 1
    return kept


def transform(example: Example, fmt: str, encode: Callable[[str], list[int]], start: int, delimiter: int, extract: int,
              max_length: int) -> list[list[int]]:
    """The sequences of token ids of one example, at most `max_length` tokens each: 1, 2 (similarity) or one for each answer.

    Each segment is encoded on its own, as it would stand in running text: with a space before it (GPT-1's tokeniser sees none).
    Special tokens spelled out in a text are ordinary text. Start, delimiter and extract are never cut: `shares` takes from the ends
    of the longest segments, so that a question and its answers stay whole when a document does not fit, and all answers are read
    after the same context. (OpenAI's code cuts each segment to half the context less two tokens, needed or not.)
    Raises ValueError for an unknown format, a wrong number of texts or answers, and a max_length without room for any text.
    """
    if fmt not in FORMATS:
        raise ValueError(f"unknown format {fmt!r}: choose one of {', '.join(FORMATS)}")
    expected = {"classification": 1, "choice": max(1, len(example.segments))}.get(fmt, 2)
    if len(example.segments) != expected or (fmt == "choice") != bool(example.answers):
        raise ValueError(f"{fmt} takes {expected} text{'s' * (expected > 1)} and {'answers' if fmt == 'choice' else 'no answers'}, "
                         f"not {len(example.segments)} and {len(example.answers)}")
    room = max_length - (2 if fmt == "classification" else 3)
    if room < 1:
        raise ValueError(f"max_length {max_length} leaves no room for text beside the special tokens")
    texts, answers = ([encode(_spaced(text)) for text in part] for part in (example.segments, example.answers))
    kept = shares([*map(len, texts), max(map(len, answers), default=0)], room)
    texts = [ids[:count] for ids, count in zip(texts, kept, strict=False)]
    if fmt == "classification":
        return [[start, *texts[0], extract]]
    if fmt == "choice":
        context = [token for ids in texts for token in ids]  # no delimiter between document and question (section 3.3)
        pairs = [(context, ids[:kept[-1]]) for ids in answers]
    else:
        pairs = [tuple(texts), tuple(texts[::-1])][:2 if fmt == "similarity" else 1]
    return [[start, *first, delimiter, *second, extract] for first, second in pairs]


def _spaced(text: str) -> str:
    return text if not text or text[0].isspace() else f" {text}"


HEADS = {
    "classification": "One linear layer turns the vector at extract into one number for each label.",
    "entailment": "One linear layer turns the vector at extract into one number for each label.",
    "similarity": "Both orders are read. The two vectors at extract are added, and one linear layer reads their sum.",
    "choice": "Each answer has a sequence of its own. One linear layer gives each extract one number; the largest wins.",
}
PARTS = {"classification": ("text",), "entailment": ("premise", "hypothesis"), "similarity": ("one text", "the other text"),
         "choice": ("context", "answer")}


def view(cases: Sequence[tuple[str, Example]], bpe, max_length: int = 128) -> viz.View:
    """The sequences of examples in colour, with the place where the head reads: (task or format, example) each.

    bpe: the tokeniser; max_length: as in `transform`. How many tokens were cut is said below the sequences.
    """
    rows, (start, delimiter, extract) = [], special_ids(bpe.vocab_size)
    names = {start: "start", delimiter: "delimiter", extract: "extract"}
    for name, example in cases:
        fmt = name if name in FORMATS and name not in TASKS else get(name).format
        whole, kept = (transform(example, fmt, bpe.encode, start, delimiter, extract, size) for size in (1 << 30, max_length))
        cut, coloured = sum(map(len, whole)) - sum(map(len, kept)), []
        for number, ids in enumerate(kept):
            border = ids.index(delimiter) if delimiter in ids else len(ids)
            kinds = ("second", "first") if fmt == "similarity" and number else ("first", "second")
            coloured.append([(names[token], "special") if token in names else
                             (viz.readable(bpe.decode_bytes([token])), kinds[place > border]) for place, token in enumerate(ids)])
        told = f" To fit {max_length} tokens, {cut} were cut from the ends of the longest texts." if cut else ""
        rows.append((name, PARTS[fmt], coloured, HEADS[fmt] + told))
    return viz.sequences(rows)


def special_ids(vocab_size: int) -> tuple[int, int, int]:
    """The ids of start, delimiter and extract behind a vocabulary of `vocab_size` entries."""
    return vocab_size, vocab_size + 1, vocab_size + 2


def collate(batch: Sequence[Sequence[Sequence[int]]], pad: int = 0) -> tuple[Tensor, Tensor]:
    """The sequences of B examples, K each, as ids (B, K, T) padded on the right, and the places of their last tokens, (B, K).

    The last token is the extract token. What stands to its right cannot reach it: the model looks back only.
    Raises ValueError if the batch is empty or its examples differ in their number of sequences.
    """
    counts = {len(sequences) for sequences in batch}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"a batch needs examples with equally many sequences, not {sorted(counts)}")
    last = torch.tensor([[len(ids) - 1 for ids in sequences] for sequences in batch])
    longest = int(last.max()) + 1
    return torch.tensor([[[*ids, *[pad] * (longest - len(ids))] for ids in sequences] for sequences in batch]), last


# -- the head -----------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def add_specials(model: nn.Module) -> nn.Module:
    """A new model whose vocabulary has the three special tokens too: old weights copied, the new rows drawn from N(0, 0.02).

    Works for any language model with `config`, `wte` and `lm_head`; it stays in the old one's mode, precision and place.
    """
    old = model.config.vocab_size
    new = type(model)(replace(model.config, vocab_size=old + len(SPECIALS))).to(model.wte.weight)
    tensors = model.state_dict()
    for name in ("wte.weight", "lm_head.weight"):  # tied, the two are one table, and the later copy stays
        rows = torch.empty_like(tensors[name][:1]).repeat(len(SPECIALS), 1)
        tensors[name] = torch.cat([tensors[name], nn.init.normal_(rows, std=paper.fact("gpt1-init-std"))])
    new.load_state_dict(tensors)
    return new.train(model.training)


class Classifier(nn.Module):
    """A language model with one linear layer, which reads the last layer at the extract token (GPT-1 equation 3).

    model: extended by `add_specials`; its members `config.n_embd` and `hidden` are used. n_outputs: `Task.n_outputs`.
    Similarity adds the representations of both orders before the layer; a choice gives each sequence one number.
    """

    def __init__(self, model: nn.Module, n_outputs: int, fmt: str, dropout: float = 0.1):
        super().__init__()
        if fmt not in FORMATS:
            raise ValueError(f"unknown format {fmt!r}: choose one of {', '.join(FORMATS)}")
        if fmt == "choice" and n_outputs != 1:
            raise ValueError(f"a choice gives each sequence one number: n_outputs must be 1, not {n_outputs}")
        self.model, self.fmt = model, fmt
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(model.config.n_embd, n_outputs).to(model.wte.weight)
        nn.init.normal_(self.head.weight, std=paper.fact("gpt1-init-std"))
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """ids (B, K, T), last (B, K) -> logits (B, n_outputs), of a choice (B, K), and the last layer (B, K, T, n_embd)."""
        sequences = {"similarity": 2, "choice": ids.shape[1]}.get(self.fmt, 1)
        if ids.shape[1] != sequences:
            raise ValueError(f"{self.fmt} takes {sequences} sequence{'s' * (sequences > 1)} of each example, not {ids.shape[1]}")
        hidden = self.model.hidden(ids.flatten(0, 1)).unflatten(0, ids.shape[:2])
        read = hidden.gather(2, last[..., None, None].expand(-1, -1, 1, hidden.shape[-1])).squeeze(2)  # (B, K, n_embd)
        if self.fmt == "choice":
            return self.head(self.drop(read)).squeeze(-1), hidden
        return self.head(self.drop(read.sum(1))), hidden


# -- scores -------------------------------------------------------------------------------------------------------------------


def scores(metrics: Sequence[str], predictions, labels) -> dict[str, float]:
    """The metrics in points, as the paper prints them (100 x accuracy, F1 of class 1, Matthews' or Pearson's correlation).

    predictions: (n,) class numbers, or numbers for pearson; labels: the same. A correlation with a constant counts as 0.
    Raises ValueError for unknown metrics, unequal lengths, no examples, secret labels, and values that are not finite.
    """
    if unknown := [name for name in metrics if name not in METRICS]:
        raise ValueError(f"unknown metric {unknown[0]!r}: choose among {', '.join(METRICS)}")
    if any(label is None for label in labels):
        raise ValueError("these labels are secret (None): predictions can be made, but not scored")
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.ndim != 1 or predictions.shape != labels.shape or not len(labels):
        raise ValueError(f"predictions {predictions.shape} and labels {labels.shape} must be equally long lists, not empty")
    if not (np.isfinite(predictions).all() and np.isfinite(labels).all()):
        raise ValueError("predictions and labels must be finite numbers")
    from scipy import stats
    from sklearn import metrics as sklearn

    constant = np.ptp(predictions) == 0 or np.ptp(labels) == 0
    compute = {
        "accuracy": lambda: sklearn.accuracy_score(labels, predictions),
        "f1": lambda: sklearn.f1_score(labels, predictions, zero_division=0),
        "matthews": lambda: sklearn.matthews_corrcoef(labels, predictions),
        "pearson": lambda: 0.0 if constant else stats.pearsonr(predictions, labels).statistic,
    }
    return {name: 100 * float(compute[name]()) for name in metrics}
