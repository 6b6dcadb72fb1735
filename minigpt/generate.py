"""Sampling from a GPT, token by token, with a cache of the keys and values already computed.

GPT-2 section 3.6 samples with top-k; temperature 1 and top-k 40 are the settings of its appendix. Top-p is in OpenAI's code, not
in the paper.
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


def _times(linear: nn.Linear, x: Tensor) -> Tensor:
    """W x + b for one vector, written as multiply-and-sum: compiled, it reads W at the speed of memory; a GEMM call does not."""
    y = (linear.weight * x).sum(-1)
    return y if linear.bias is None else y + linear.bias


def _step(model: GPT, token: Tensor, position: Tensor, layers: list[Tensor]) -> Tensor:
    """Logits (1, vocab_size) after one token (1,) at `position` (1,), the past in a KVCache's `layers`; batch 1 only."""
    config = model.config
    seen = torch.arange(config.n_positions, device=token.device) <= position
    x = model.wte(token)[0] + model.wpe(position)[0]
    for block, store in zip(model.h, layers, strict=True):
        qkv = _times(block.attn.c_attn, block.ln_1(x) if config.pre_norm else x).view(3, config.n_head, -1)
        store.index_copy_(3, position, qkv[1:].unsqueeze(1).unsqueeze(3))
        k, v = store[0, 0], store[1, 0]
        scores = (k * qkv[0].unsqueeze(1)).sum(-1) / math.sqrt(k.shape[-1])
        weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
        attended = _times(block.attn.c_proj, torch.where(seen[:, None], weights.unsqueeze(-1) * v, 0).sum(1).flatten())
        x = x + attended if config.pre_norm else block.ln_1(x + attended)
        widened = F.gelu(_times(block.mlp.c_fc, block.ln_2(x) if config.pre_norm else x), approximate="tanh")
        narrowed = _times(block.mlp.c_proj, widened)
        x = x + narrowed if config.pre_norm else block.ln_2(x + narrowed)
    return _times(model.lm_head, model.ln_f(x)).unsqueeze(0)


@lru_cache(maxsize=2)
def compiled_step(model: GPT) -> Callable:
    """`_step` compiled for this model: half a minute once, then several times the speed. Needs a C++ compiler on a CPU."""
    return torch.compile(lambda token, position, layers: _step(model, token, position, layers), dynamic=False)


@torch.inference_mode()
def stream(model: GPT, ids: Tensor, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
           top_p: float | None = None, seed: int | None = None, cache: bool = True, compile: bool = False) -> Iterator[Tensor]:
    """Yield the next tokens, (batch,) int64, one position after the other. Arguments as for `generate`.

    Once the text is longer than n_positions, every position shifts by one at each step, so nothing cached is right any more:
    the last n_positions tokens are then encoded anew for every token.
    """
    _check(ids, max_new_tokens, temperature, top_k, top_p)
    model.eval()
    window = model.config.n_positions
    u = torch.rand(max_new_tokens, len(ids), generator=_generator(seed)).to(ids.device)
    store = KVCache(model.config, len(ids), model.wte.weight) if cache else None
    fast = compiled_step(model) if compile and cache and len(ids) == 1 else None
    new = ids
    for step in range(max_new_tokens):
        if store is not None and store.length + new.shape[1] > window:
            store = None
        if store is not None and fast is not None and store.length:
            logits = fast(new[0], torch.tensor([store.length], device=ids.device), store.layers)
            store.length += 1
        else:
            hidden = model.hidden(ids[:, -window:] if store is None else new, store)
            logits = model.lm_head(hidden[:, -1])  # the other positions' logits would be thrown away
        new = choose(logits, u[step], temperature, top_k, top_p).unsqueeze(1)
        ids = torch.cat([ids, new], dim=1)
        yield new.squeeze(1)


def generate(model: GPT, ids: Tensor, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
             top_p: float | None = None, eos_id: int | None = None, seed: int | None = None, cache: bool = True,
             compile: bool = False) -> Tensor:
    """Continue ids int64 (batch, time) -> (batch, time + new), the prompt included.

    temperature: 0 is greedy, 1 the model's own distribution. top_k: sample among the k likeliest. top_p: among the fewest tokens
    whose probability reaches p. eos_id: a row that produces it is filled up with it, and generation ends when all rows have.
    seed: the same seed gives the same text. cache=False recomputes everything at each step (for comparison). compile: for one
    prompt, decode with a compiled step (half a minute of compiling first; needs a C++ compiler on a CPU).
    Raises ValueError for an empty prompt, ids outside the vocabulary, or settings out of range.
    """
    columns, done = [ids], torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    for new in stream(model, ids, max_new_tokens, temperature, top_k, top_p, seed, cache, compile):
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
