"""Sampling from a GPT, token by token, with a cache of the keys and values already computed.

GPT-2 section 3.6 samples with top-k; temperature 1 and top-k 40 are the settings of its appendix. Top-p is in OpenAI's code, not
in the paper.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from minigpt.model import GPT, KVCache


def keep_likely(logits: Tensor, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """Set logits (..., vocab_size) to -inf outside the k likeliest tokens, or outside the fewest whose probability reaches p."""
    if top_k is not None and top_k < logits.shape[-1]:
        kth = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < kth, float("-inf"))
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)  # the probability of everything likelier
        drop = torch.zeros_like(order, dtype=torch.bool).scatter(-1, order, before >= top_p)
        logits = logits.masked_fill(drop, float("-inf"))
    return logits


def choose(logits: Tensor, u: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """Next tokens (batch,) from logits (batch, vocab_size) and one uniform number each, u (batch,) in [0, 1).

    The uniform number picks a point on the cumulative distribution: the same u gives the same token on every device, up to
    rounding. Temperature 0 takes the likeliest token.
    """
    if temperature == 0:
        return logits.argmax(-1)
    probs = keep_likely(logits.float() / temperature, top_k, top_p).softmax(-1)
    cdf = probs.double().cumsum(-1)
    point = u.double().unsqueeze(-1) * cdf[..., -1:]
    return torch.searchsorted(cdf, point, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


@torch.inference_mode()
def stream(model: GPT, ids: Tensor, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
           top_p: float | None = None, seed: int | None = None, cache: bool = True) -> Iterator[Tensor]:
    """Yield the next tokens, (batch,) int64, one position after the other. Arguments as for `generate`.

    Once the text is longer than n_positions, every position shifts by one at each step, so nothing cached is right any more:
    the last n_positions tokens are then encoded anew for every token.
    """
    _check(ids, max_new_tokens, temperature, top_k, top_p)
    model.eval()
    window = model.config.n_positions
    u = torch.rand(max_new_tokens, len(ids), generator=_generator(seed)).to(ids.device)
    store = KVCache(model.config, len(ids), model.wte.weight) if cache else None
    new = ids = ids[:, -window:]
    for step in range(max_new_tokens):
        if store is not None and store.length + new.shape[1] <= window:
            hidden = model.hidden(new, store)
        else:
            store, ids = None, ids[:, -window:]
            hidden = model.hidden(ids)
        logits = model.lm_head(hidden[:, -1])  # the other positions' logits would be thrown away
        new = choose(logits, u[step], temperature, top_k, top_p).unsqueeze(1)
        ids = torch.cat([ids, new], dim=1)
        yield new.squeeze(1)


def generate(model: GPT, ids: Tensor, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
             top_p: float | None = None, eos_id: int | None = None, seed: int | None = None, cache: bool = True) -> Tensor:
    """Continue ids int64 (batch, time) -> (batch, time + new), the prompt included.

    temperature: 0 is greedy, 1 the model's own distribution. top_k: sample among the k likeliest. top_p: among the fewest tokens
    whose probability reaches p. eos_id: a row that produces it is filled up with it, and generation ends when all rows have.
    seed: the same seed gives the same text. cache=False recomputes everything at each step (for comparison).
    Raises ValueError for an empty prompt, ids outside the vocabulary, or settings out of range.
    """
    columns, done = [ids], torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    for new in stream(model, ids, max_new_tokens, temperature, top_k, top_p, seed, cache):
        if eos_id is not None:
            new = torch.where(done, eos_id, new)
            done |= new == eos_id
        columns.append(new.unsqueeze(1))
        if eos_id is not None and done.all():
            break
    return torch.cat(columns, dim=1)


def _generator(seed: int | None) -> torch.Generator:
    generator = torch.Generator()  # on the CPU whatever the model's device: the same numbers everywhere
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


def _check(ids: Tensor, max_new_tokens: int, temperature: float, top_k: int | None, top_p: float | None) -> None:
    if ids.dim() != 2 or ids.shape[1] == 0:
        raise ValueError(f"the prompt must be ids (batch, time) with at least one token, not {tuple(ids.shape)}; "
                         "start from <|endoftext|> to write from nothing")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, it is {max_new_tokens}")
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, it is {temperature}; 0 is greedy")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, it is {top_k}; None keeps every token")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], it is {top_p}; None keeps every token")
