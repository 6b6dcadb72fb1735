"""Solving tasks with a language model as it is, without any training on them.

First the primitives: log-probabilities of tokens and of continuations, in padded batches. They ask nothing of a model but that
`model(ids)` gives logits for a batch of ids, each position seeing only those before it. Then GPT-1's four heuristics (section 5,
"Zero-shot Behaviors"; Figure 2 right), as the paper scores them:

    acceptability_scores   the mean log-probability of a sentence's tokens, to be compared with a threshold
    sentiment_by_very      append "very", then compare the probabilities of two words
    choose                 of several answers, the one whose tokens have the highest mean log-probability in their context
    pronoun_partial        put each candidate in the pronoun's place; the mean log-probability of what follows decides

Text is encoded by `bpe`, anything with `encode`. Where the vocabulary has <|endoftext|>, each text begins after one, as the
documents of pre-training did; so its first token is scored as well. GPT-1's vocabulary has none: there the first token is given.
"""

from collections.abc import Sequence

import numpy as np
import torch

from minigpt import tasks

TOKENS_AT_ONCE = 16_384  # tokens of a batch, padding included: keeps the logits of a large vocabulary within memory
WORDS = ("negative", "positive")  # the paper's two words, in the order of the labels 0 and 1


@torch.inference_mode()
def token_log_probs(model, sequences: Sequence[Sequence[int]], batch_size: int = 64) -> list[np.ndarray]:
    """For each sequence of ids, nats of its tokens 1, 2, ... given those before: float32 arrays, one shorter than the sequence.

    Sequences of about equal length are padded on the right and go through the model together, `batch_size` at most. A model
    that looks only to the left never sees the padding, so the numbers are those of one sequence at a time.
    Raises ValueError for an empty sequence, or for one longer than the model's window.
    """
    window = _window(model)
    for number, ids in enumerate(sequences):
        if not 1 <= len(ids) <= (window or len(ids)):
            raise ValueError(f"sequence {number} has {len(ids)} tokens; it needs 1 to {window or 'any number of'}")
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    found: list = [np.zeros(0, dtype=np.float32)] * len(sequences)
    was_training = getattr(model, "training", False)
    if was_training:
        model.eval()
    try:
        for chosen in _batches([i for i in order if len(sequences[i]) > 1], sequences, batch_size):
            for i, row in zip(chosen, _batch_log_probs(model, [sequences[i] for i in chosen]), strict=True):
                found[i] = row
    finally:
        if was_training:
            model.train()
    return found


def continuation(model, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int = 64) -> list[tuple[float, int]]:
    """For each (context ids, continuation ids): the log-probability of the continuation in nats, and how many tokens it is of.

    A context too long for the model's window loses its beginning. Without any context the first token of the continuation has
    nothing to be predicted from: it is left out, of the sum and of the count. Raises ValueError for a continuation without
    tokens to score, or one that does not fit the window.
    """
    window, sequences, sizes = _window(model), [], []
    for number, (context, rest) in enumerate(pairs):
        if window is not None and len(rest) > window - 1:
            raise ValueError(f"continuation {number} has {len(rest)} tokens; with a context they do not fit the {window} positions")
        whole = [*context, *rest]
        sequences.append(whole[-window:] if window else whole)
        sizes.append(len(rest) if len(context) else len(rest) - 1)
        if sizes[-1] < 1:
            raise ValueError(f"continuation {number} has no token that could be predicted")
    rows = token_log_probs(model, sequences, batch_size)
    return [(float(row[-size:].sum(dtype=np.float64)), size) for row, size in zip(rows, sizes, strict=True)]


# -- GPT-1's heuristics ---------------------------------------------------------------------------------------------------------


def acceptability_scores(model, bpe, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
    """The mean log-probability per token of each text, in nats (the paper's heuristic for CoLA). See `threshold`."""
    rows = token_log_probs(model, [start(bpe) + list(bpe.encode(text)) for text in texts], batch_size)
    empty = next((number for number, row in enumerate(rows) if not len(row)), None)
    if empty is not None:
        raise ValueError(f"text {empty} is too short to be scored: {texts[empty]!r}")
    return np.array([row.mean(dtype=np.float64) for row in rows])


def threshold(scores, labels) -> float:
    """The value that best separates labels 1 (above it) from labels 0, by accuracy; the middle one if several do.

    The paper thresholds the mean log-probability and does not say how the threshold is chosen. Here it is tuned on labelled
    sentences apart from those that are tested.
    """
    scores, labels = _paired(scores, labels)
    order = np.argsort(scores, kind="stable")
    values, positive = scores[order], labels[order]
    # right[k]: correct if the k lowest scores are called 0 and all others 1; only between two different scores is there room
    right = np.concatenate([[0], np.cumsum(1 - positive)]) + positive.sum() - np.concatenate([[0], np.cumsum(positive)])
    cuts = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    possible = np.concatenate([[True], values[1:] > values[:-1], [True]])
    best = np.flatnonzero(possible & (right == right[possible].max()))
    return float(cuts[best[len(best) // 2]])


def auc(scores, labels) -> float:
    """How often a text of label 1 scores above one of label 0 (ties count half): 0.5 is chance, and no threshold is needed."""
    scores, labels = _paired(scores, labels)
    above = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    if not above.size:
        raise ValueError("both labels must occur")
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def sentiment_by_very(model, bpe, texts: Sequence[str], words: tuple[str, str] = WORDS, cue: str = "very",
                      batch_size: int = 64) -> np.ndarray:
    """log p(words[1]) - log p(words[0]) right after each text and the cue, in nats: above 0 the prediction is words[1].

    The paper's heuristic for SST-2 appends the token "very" and lets the model choose between "positive" and "negative". A
    word of several tokens has the product of their probabilities.
    """
    ends = [list(bpe.encode(f" {word}")) for word in words]
    pairs = [(start(bpe) + list(bpe.encode(f"{text} {cue}")), end) for text in texts for end in ends]
    sums = np.array([total for total, _ in continuation(model, pairs, batch_size)]).reshape(-1, 2)
    return sums[:, 1] - sums[:, 0]


def choose(model, bpe, contexts: Sequence[str], answers: Sequence[Sequence[str]], batch_size: int = 64) -> list[np.ndarray]:
    """The mean log-probability per token of each answer in its context: one array per context; its argmax is the prediction.

    The paper's heuristic for RACE; the context is the document and the question, joined by the caller.
    """
    return _mean_by_item(model, [[(start(bpe) + list(bpe.encode(context)), list(bpe.encode(f" {answer}"))) for answer in given]
                                 for context, given in zip(contexts, answers, strict=True)], batch_size)


def pronoun_partial(model, bpe, schemas: Sequence[tuple[str, Sequence[str], str]], batch_size: int = 64) -> list[np.ndarray]:
    """For each (text before the pronoun, candidates, text after it): the mean log-probability of the text after, per candidate.

    The paper's heuristic for the Winograd schemas of DPRD: each candidate takes the pronoun's place, and only what comes after
    it is scored, so that a candidate gains nothing by being a frequent word.
    """
    return _mean_by_item(model, [[(start(bpe) + list(bpe.encode(f"{before} {candidate}")), list(bpe.encode(f" {after}")))
                                  for candidate in candidates] for before, candidates, after in schemas], batch_size)


def pronoun_full(model, bpe, schemas: Sequence[tuple[str, Sequence[str], str]], batch_size: int = 64) -> list[np.ndarray]:
    """As `pronoun_partial`, but the whole sentence is scored, the candidate included (GPT-2, Figure 3: full scoring)."""
    return _mean_by_item(model, [[(start(bpe), list(bpe.encode(f"{before} {candidate} {after}"))) for candidate in candidates]
                                 for before, candidates, after in schemas], batch_size)


def schema(text: str, candidates: Sequence[str], pronoun: str = "it") -> tuple[str, list[str], str]:
    """A sentence cut at the last occurrence of its pronoun: (before, the candidates as noun phrases, after)."""
    before, after = tasks.substitution(text, pronoun)
    return before, [f"the {candidate}" for candidate in candidates], after.lstrip()


def relative(score: float, chance: float, best: float) -> float:
    """Figure 2's vertical axis: 0 for a random guess, 1 for the best score known (the paper: the state of the art then)."""
    if best == chance:
        raise ValueError(f"the best score and chance are both {best}: nothing to measure against")
    return (score - chance) / (best - chance)


# -- inside ---------------------------------------------------------------------------------------------------------------------


def start(bpe) -> list[int]:
    """What stands before each text: <|endoftext|>, as in pre-training, if the vocabulary has it."""
    eos = getattr(bpe, "eos_id", None)
    return [] if eos is None else [eos]


def _window(model) -> int | None:
    return getattr(getattr(model, "config", None), "n_positions", None)


def _batches(order: list[int], sequences, batch_size: int):
    """Groups of neighbours in `order` (by length), of batch_size sequences and TOKENS_AT_ONCE tokens at most."""
    group: list[int] = []
    for i in order:
        if group and (len(group) == batch_size or (len(group) + 1) * len(sequences[i]) > TOKENS_AT_ONCE):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _batch_log_probs(model, batch) -> list[np.ndarray]:
    longest = max(map(len, batch))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in batch], dtype=torch.int64)
    device = next((p.device for p in model.parameters()), ids.device) if hasattr(model, "parameters") else ids.device
    ids = ids.to(device)
    logits = model(ids[:, :-1])
    logits = getattr(logits, "logits", logits).float()  # transformers' models wrap theirs
    log_probs = logits.gather(2, ids[:, 1:, None])[..., 0] - logits.logsumexp(-1)
    return [values[:len(row) - 1] for values, row in zip(log_probs.cpu().numpy(), batch, strict=True)]


def _mean_by_item(model, items: list[list[tuple]], batch_size: int) -> list[np.ndarray]:
    """The mean log-probability of each continuation, grouped as the items are."""
    means = iter([total / n for total, n in continuation(model, [pair for item in items for pair in item], batch_size)])
    return [np.array([next(means) for _ in item]) for item in items]


def _paired(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(int)
    if scores.shape != labels.shape or not scores.size or not set(labels.tolist()) <= {0, 1}:
        raise ValueError(f"need as many scores as labels of 0 and 1, and at least one; got {scores.shape} and {labels.shape}")
    return scores, labels
