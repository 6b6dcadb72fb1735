"""The log-probability of the last tokens of many sequences, and of long texts through a sliding window.

What all of GPT-2's zero-shot scores are made of. Sequences of about equal length go through the model together, a context that
several choices share is read once, and the softmax, which for a large vocabulary costs as much as several blocks, is computed only
where a token is scored, in memory that is asked for once.
"""

from collections.abc import Callable, Sequence
from os.path import commonprefix

import numpy as np
import torch
from torch import Tensor

from minigpt import zeroshot
from minigpt.generate import Decoder
from minigpt.model import LanguageModel

POSITIONS_AT_ONCE = 256  # rows of logits held at a time: 50 MB for a vocabulary of 50,000
# (what a pass costs besides its tokens, counted in tokens; the most tokens in a pass): a few hundred tokens keep a CPU busy, and
# their activations stay in its cache; a GPU wants thousands.
CPU, GPU = (64, 2048), (1024, 16_384)


def log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (n, vocab_size), which are overwritten, and targets (n,) -> nats of the targets, (n, 1)."""
    top, chosen = logits.amax(1, keepdim=True), logits.gather(1, targets[:, None])
    return chosen - top - logits.sub_(top).exp_().sum(1, keepdim=True).log_()


@torch.inference_mode()
def tails(model, sequences: Sequence[Sequence[int]], sizes: Sequence[int], batch_size: int = 16,
          judge: Callable[[Tensor, Tensor], Tensor] = log_probs) -> list[np.ndarray]:
    """What `judge` says of the last `size` tokens of each sequence, given all before: float32 arrays (size, columns of judge).

    judge: (float32 logits (n, vocab_size), targets (n,)) -> (n, k); it may overwrite the logits. Any model that gives logits for a
    batch of ids will do. Where neighbours have the same context, as the choices of a question do, one of the book's models reads
    it once, into its cache.
    Raises ValueError for a size that leaves no token to predict from, and for more tokens than the model's window holds (the
    last token of a sequence is only predicted, so a sequence may be one longer than the window).
    """
    window = zeroshot._window(model)
    for number, (ids, size) in enumerate(zip(sequences, sizes, strict=True)):
        if not 1 <= size < len(ids):
            raise ValueError(f"sequence {number}: {size} of its {len(ids)} tokens cannot be scored: the first is given")
        if window is not None and len(ids) > window + 1:
            raise ValueError(f"sequence {number} has {len(ids)} tokens; the window of {window} scores {window + 1} at most")
    was_training = getattr(model, "training", False)
    caches = isinstance(model, LanguageModel) and Decoder(model, 1).store is not None
    together = shared(sequences, sizes, batch_size) if caches else []
    alone = set(range(len(sequences))).difference(*(members for members, _ in together))
    order = sorted(alone, key=lambda i: (len(sequences[i]), i))
    cuts = batches([len(sequences[i]) for i in order], batch_size, *(CPU if _device(model).type == "cpu" else GPU))
    together += [(order[begin:end], 0) for begin, end in cuts]
    buffer = _buffer(model)
    found: list = [None] * len(sequences)
    if was_training:
        model.eval()
    try:
        for chosen, given in together:
            rows = _judge_batch(model, [sequences[i] for i in chosen], [sizes[i] for i in chosen], judge, given, buffer)
            for i, row in zip(chosen, rows, strict=True):
                found[i] = row
    finally:
        if was_training:
            model.train()
    return found


def batches(lengths: Sequence[int], batch_size: int, overhead: int, most: int) -> list[tuple[int, int]]:
    """How to cut an ascending list of lengths into batches (begin, end) for the least work.

    A batch costs its padded tokens and `overhead` tokens more: short sequences beside a long one are padded to its length, and
    every batch reads all the weights. It holds at most batch_size sequences and `most` tokens, or a single sequence.
    """
    best, begins = [0], [0]
    for end, longest in enumerate(lengths, 1):
        costs = [(best[begin] + overhead + (end - begin) * longest, begin) for begin in range(max(0, end - batch_size), end)
                 if (end - begin) * longest <= most or end - begin == 1]
        cost, begin = min(costs)
        best.append(cost)
        begins.append(begin)
    cuts, end = [], len(lengths)
    while end:
        cuts.append((begins[end], end))
        end = begins[end]
    return cuts[::-1]


def shared(sequences: Sequence[Sequence[int]], sizes: Sequence[int], batch_size: int) -> list[tuple[list[int], int]]:
    """Neighbours that begin alike, batch_size at most: (their numbers, how many first tokens they share, none of them scored).

    Only those that save a third of the work: smaller groups fill the processor worse.
    """
    groups: list[tuple[list[int], int]] = []
    for i, (ids, size) in enumerate(zip(sequences, sizes, strict=True)):
        unscored = list(ids[:len(ids) - size - 1])  # without the context's last token, which predicts the first that is scored
        if groups and len(groups[-1][0]) < batch_size:
            members, given = groups[-1]
            common = len(commonprefix([unscored, list(sequences[members[0]][:given])]))
            if 2 * common > given:
                groups[-1] = (members + [i], common)
                continue
        groups.append(([i], len(unscored)))
    return [(members, given) for members, given in groups
            if 3 * given * (len(members) - 1) > sum(len(sequences[i]) for i in members)]


def windows(n_tokens: int, context: int | None, stride: int | None) -> list[tuple[int, int, int]]:
    """How a text of n_tokens ids, the first of which is given, is cut: (begin, end, size), where the last `size` of ids[begin:end]
    are scored.

    context: at most so many tokens are looked at for a prediction (None: all); stride: how many new tokens each window after the
    first scores (None: as many as fit, so each window starts where the last one ended). Each token is scored exactly once.
    """
    n = n_tokens - 1
    context = n if context is None else context
    stride = context if stride is None else stride
    if n < 1:
        return []
    if context < 1 or not 1 <= stride <= context:
        raise ValueError(f"context must be at least 1 and stride between 1 and context, not {context} and {stride}")
    cuts = [(0, min(n, context) + 1, min(n, context))]
    done = cuts[0][2]
    while done < n:
        size = min(stride, n - done)
        done += size
        cuts.append((done - context, done + 1, size))
    return cuts


def rolling(model, sequences: Sequence[Sequence[int]], context: int | None = None, stride: int | None = None,
            batch_size: int = 16) -> list[np.ndarray]:
    """For each sequence of ids, nats of its tokens 1, 2, ... in order, through windows as `windows` cuts them.

    context None takes the model's whole window. Raises ValueError for a context that the model's window does not hold.
    """
    context = fitting(model, context)
    cuts = [(i, cut) for i, ids in enumerate(sequences) for cut in windows(len(ids), context, stride)]
    rows = tails(model, [sequences[i][begin:end] for i, (begin, end, _) in cuts], [size for _, (_, _, size) in cuts], batch_size)
    parts: list[list] = [[] for _ in sequences]
    for (i, _), row in zip(cuts, rows, strict=True):
        parts[i].append(row[:, 0])
    return [np.concatenate(part) if part else np.zeros(0, dtype=np.float32) for part in parts]


def fitting(model, context: int | None) -> int | None:
    """The context to use: the model's window for None (None again if it has no limit)."""
    window = zeroshot._window(model)
    if context is not None and window is not None and context > window:
        raise ValueError(f"a context of {context} tokens does not fit this model's window of {window}")
    return window if context is None else context


def cropped(model, context: Sequence[int], continuation: Sequence[int]) -> list[int]:
    """Context and continuation as one sequence for `tails`; a context too long for the window loses its beginning.

    Raises ValueError for a continuation without tokens, one that the window does not hold, and a context without tokens.
    """
    window = zeroshot._window(model)
    if not len(continuation):
        raise ValueError("the continuation is empty: there is nothing to score")
    if not len(context):
        raise ValueError("the context is empty: there is nothing to predict the first token from")
    if window is not None and len(continuation) > window:
        raise ValueError(f"the continuation has {len(continuation)} tokens, the window {window} positions")
    whole = [*context, *continuation]
    return whole[-(window + 1):] if window else whole


def _device(model) -> torch.device:
    parameters = model.parameters() if hasattr(model, "parameters") else ()
    return next((p.device for p in parameters), torch.device("cpu"))


def _buffer(model) -> Tensor | None:
    """Memory for the logits of POSITIONS_AT_ONCE tokens, used over and over: asking for it anew takes as long as filling it."""
    head = getattr(model, "lm_head", None)
    plain = isinstance(head, torch.nn.Linear) and head.bias is None and hasattr(model, "hidden")
    return head.weight.new_empty(POSITIONS_AT_ONCE, len(head.weight)) if plain else None


def _judge_batch(model, batch, sizes, judge, given: int, buffer: Tensor | None) -> list[np.ndarray]:
    """`given`: so many first tokens are the same in the whole batch; they are read once. buffer: of one of the book's models."""
    device = _device(model)
    cache, context, batch = None, batch[0][:given], [row[given:] for row in batch]
    longest = max(map(len, batch)) - 1
    if given:
        cache = Decoder(model, 1).store
        model.hidden(torch.tensor([context], device=device), cache)
        cache.layers = [kv[:, :, :, :given + longest].repeat(1, len(batch), 1, 1, 1) for kv in cache.layers]
    # Padding stands on the right, where a model that looks to the left never sees it.
    ids = torch.tensor([[*row[:-1], *[0] * (longest + 1 - len(row))] for row in batch], dtype=torch.int64, device=device)
    places = [r * longest + len(row) - 1 - size + k for r, (row, size) in enumerate(zip(batch, sizes, strict=True))
              for k in range(size)]
    places = torch.tensor(places, device=device)
    targets = torch.tensor([i for row, size in zip(batch, sizes, strict=True) for i in row[len(row) - size:]], device=device)
    out = model(ids) if buffer is None else model.hidden(ids, cache) if given else model.hidden(ids)
    states = getattr(out, "logits", out).flatten(0, 1)  # transformers' models wrap their logits
    parts = []
    for begin in range(0, len(places), POSITIONS_AT_ONCE):
        chosen = states[places[begin:begin + POSITIONS_AT_ONCE]]
        logits = chosen if buffer is None else torch.mm(chosen, model.lm_head.weight.T, out=buffer[:len(chosen)])
        parts.append(judge(logits.float(), targets[begin:begin + POSITIONS_AT_ONCE]))
    values = torch.cat(parts).float().cpu().numpy()
    return np.split(values, np.cumsum(sizes)[:-1])
