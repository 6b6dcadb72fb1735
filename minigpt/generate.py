"""Sampling from a language model, token by token, with a cache of the keys and values already computed.

GPT-2 section 3.6 samples with top-k; temperature 1 and top-k 40 are the settings of its appendix. Top-p is in OpenAI's code, not
in the paper. `generate` and `stream` continue token ids, `generate_texts` and `stream_text` continue texts. All take any of the
book's models: one that makes its own cache (`new_cache(batch)`), a GPT, or one without (it recomputes everything at each step).
"""

import hashlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from minigpt.model import GPT, KVCache, LanguageModel


def keep_likely(logits: Tensor, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """Set logits (..., vocab_size) to -inf outside the k likeliest tokens, or outside the fewest whose probability reaches p."""
    if top_k is not None and top_k < logits.shape[-1]:
        kth = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < kth, float("-inf"))
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)  # ties fall alike everywhere
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
    logits = logits.float()
    logits = logits - logits.amax(-1, keepdim=True)  # a tiny temperature would make infinities of the logits themselves
    probs = keep_likely(logits / temperature, top_k, top_p).softmax(-1)
    cdf = probs.double().cumsum(-1)
    point = u.double().unsqueeze(-1) * cdf[..., -1:]
    return torch.searchsorted(cdf, point, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def _times(linear: nn.Linear, x: Tensor) -> Tensor:
    """W x + b for one vector, written as multiply-and-sum: compiled, it reads W at the speed of memory; a GEMM call does not."""
    x = x.as_strided(x.shape, (1,))  # puts x into memory: else the compiler computes it anew, a norm and all, for every row of W
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


class Decoder:
    """Next-token logits of a growing text; what was computed for its beginning stays in a cache as long as it stays right.

    Once the text is longer than n_positions, each token stands one position further left at every step. Learned positions change
    all keys and values then; and even where only distances count (rotary positions), those above the first layer have been
    computed from tokens that have left the window. So the last n_positions tokens are encoded anew for every further token.
    """

    def __init__(self, model: LanguageModel, batch: int, cache: bool = True, compile: bool = False):
        if compile and not isinstance(model, GPT):
            raise ValueError(f"the compiled step is written for GPT, not for {type(model).__name__}; leave out compile=True")
        self.model, self.window, self.ids, self.store = model.eval(), model.config.n_positions, None, None
        if cache and hasattr(model, "new_cache"):
            self.store = model.new_cache(batch)
        elif cache and isinstance(model, GPT):
            self.store = KVCache(model.config, batch, model.wte.weight)
        self.fast = compiled_step(model) if compile and cache and batch == 1 else None

    def __call__(self, new: Tensor) -> Tensor:
        """Add ids (batch, time) to the text; return the logits (batch, vocab_size) of what follows it."""
        self.ids = (new if self.ids is None else torch.cat([self.ids, new], dim=1))[:, -self.window:]
        store = self.store
        if store is not None and store.length + new.shape[1] > self.window:
            store = self.store = None
        if store is not None and self.fast is not None and store.length:
            logits = self.fast(new[0], torch.tensor([store.length], device=new.device), store.layers)
            store.length += 1
            return logits
        hidden = self.model.hidden(self.ids) if store is None else self.model.hidden(new, store)
        return self.model.lm_head(hidden[:, -1])  # the other positions' logits would be thrown away


@torch.inference_mode()
def stream(model: LanguageModel, ids: Tensor, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
           top_p: float | None = None, seed: int | None = None, cache: bool = True, compile: bool = False) -> Iterator[Tensor]:
    """Yield the next tokens, (batch,) int64, one position after the other. Arguments as for `generate`.

    Past n_positions the window slides, and nothing is cached any more: see `Decoder`.
    """
    _check(ids, max_new_tokens, temperature, top_k, top_p)
    decoder, generator, new = Decoder(model, len(ids), cache, compile), _generator(seed), ids
    for _ in range(max_new_tokens):
        u = torch.rand(len(ids), generator=generator).to(ids.device)
        new = choose(decoder(new), u, temperature, top_k, top_p).unsqueeze(1)
        yield new.squeeze(1)


def generate(model: LanguageModel, ids: Tensor, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
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


class Continuation:
    """The text that tokens add to a prompt, one at a time, up to the first stop string.

    Stop strings are looked for in the text, so it does not matter how they fall into tokens, and only in what was added: one that
    is part of the prompt stops nothing.
    """

    def __init__(self, bpe, prompt: list[int], stop: tuple[str, ...] = ()):
        self.bpe, self.stop, self.text, self.given, self.stopped = bpe, stop, "", 0, False
        self.ids = list(prompt[-1:])  # GPT-1's decoding puts a space between words: the first new one needs the one before it
        self.before = len(bpe.decode(self.ids))

    def add(self, token: int) -> str:
        """Take one more token; return the text that has become certain.

        Held back is a character whose bytes are not all there yet, and what may be the beginning of a stop string.
        """
        self.ids.append(token)
        self.text = self.bpe.decode(self.ids)[self.before:]
        found = [at for at in map(self.text.find, self.stop) if at >= 0]
        if found:
            self.text, self.stopped = self.text[:min(found)], True
            return self.rest()
        whole = self.text.rstrip("\N{REPLACEMENT CHARACTER}")
        open_ = max((n for s in self.stop for n in range(1, len(s)) if self.text.endswith(s[:n])), default=0)
        return self.rest(min(len(whole), len(self.text) - open_))

    def rest(self, end: int | None = None) -> str:
        """What has not been returned yet, up to `end`; all of it when no more tokens come."""
        piece = self.text[self.given:end]
        self.given += len(piece)
        return piece


def stream_seed(seed: int, prompt: str, copy: int = 0) -> int:
    """The seed of the random stream that continues a prompt; `copy` counts the same prompt's occurrences before it.

    It depends on nothing else: neither on the other prompts, nor on how they are divided into batches.
    """
    digest = hashlib.sha256(f"{seed} {copy} {prompt}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7])


@torch.inference_mode()
def generate_texts(model: LanguageModel, bpe, prompts: list[str], max_new_tokens: int, temperature: float = 1.0,
                   top_k: int | None = None, top_p: float | None = None, stop: tuple[str, ...] = (), seed: int | None = None,
                   batch_size: int = 16, progress: bool = False, allowed_special: Iterable[str] = ()) -> list[str]:
    """Continue texts, many at a time: one completion for each prompt, without it.

    Prompts may differ in length; each is continued as it would be alone (up to the rounding of sums, which depends on the batch),
    also when sampled: its random numbers come from `stream_seed`. A completion ends before the first of the `stop` strings,
    before <|endoftext|>, or after max_new_tokens. A prompt too long for the window loses its beginning, so that max_new_tokens
    (or, if these are more, half a window) fit behind it; past the window's end it slides as in `stream`. An empty prompt is
    <|endoftext|>. allowed_special: special tokens to read as such in the prompts. temperature, top_k, top_p as for `generate`.
    Raises ValueError for settings out of range, and TypeError for prompts that are not a list of str.
    """
    if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts):
        raise TypeError("prompts must be a list of texts; put a single one into a list")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, it is {batch_size}")
    _check(None, max_new_tokens, temperature, top_k, top_p)
    stop, seed, copies = _stops(stop), torch.Generator().seed() if seed is None else seed, Counter()
    rows = []
    for prompt in prompts:
        ids = _fit(model, bpe, prompt, max_new_tokens, allowed_special)
        rows.append((ids, Continuation(bpe, ids, stop), _generator(stream_seed(seed, prompt, copies[prompt]))))
        copies[prompt] += 1
    with tqdm(total=len(rows), desc="texts", unit="text", disable=not progress, file=sys.stderr, dynamic_ncols=True) as bar:
        for batch in _batches(sorted(rows, key=lambda row: len(row[0])), batch_size, max_new_tokens):
            _together(model, bpe.eos_id, batch, max_new_tokens, temperature, top_k, top_p)
            bar.update(len(batch))
    return [written.text for _, written, _ in rows]


def _batches(rows: list, batch_size: int, max_new_tokens: int) -> Iterator[list]:
    """Rows in order of length, few enough, and near enough in length that waiting for the longest costs less than a batch more."""
    batch = []
    for row in rows:
        if len(batch) == batch_size or batch and len(row[0]) - len(batch[0][0]) > max_new_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _together(model: LanguageModel, eos_id: int | None, rows: list, max_new_tokens: int, *settings) -> None:
    """Let every row's continuation grow. All rows begin at position 0 and are read side by side, so that no padding is needed:

    where a row's prompt goes on, its next token is the prompt's; where it has ended, the chosen one.
    """
    device = next(model.parameters()).device
    lengths = [len(ids) for ids, _, _ in rows]
    decoder, done = Decoder(model, len(rows)), [max_new_tokens == 0] * len(rows)
    new = torch.tensor([ids[:min(lengths)] for ids, _, _ in rows], device=device)
    for place in range(min(lengths), max(lengths) + max_new_tokens):
        if all(done):
            break
        u = [torch.rand(1, generator=random) if place >= len(ids) else torch.zeros(1) for ids, _, random in rows]
        chosen = choose(decoder(new), torch.cat(u).to(device), *settings).tolist()
        for i, (ids, written, _) in enumerate(rows):
            if place < len(ids):
                chosen[i] = ids[place]
            elif not done[i]:
                if chosen[i] != eos_id:
                    written.add(chosen[i])
                done[i] = chosen[i] == eos_id or written.stopped or place + 1 == len(ids) + max_new_tokens
        new = torch.tensor(chosen, device=device).unsqueeze(1)


def stream_text(model: LanguageModel, bpe, prompt: str, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
                top_p: float | None = None, stop: tuple[str, ...] = (), seed: int | None = None,
                allowed_special: Iterable[str] = ()) -> Iterator[str]:
    """Yield the completion of one prompt, piece by piece, as it becomes certain; together they are `generate_texts`'s."""
    _check(None, max_new_tokens, temperature, top_k, top_p)
    ids = _fit(model, bpe, prompt, max_new_tokens, allowed_special)
    written = Continuation(bpe, ids, _stops(stop))
    seed = None if seed is None else stream_seed(seed, prompt)
    device = next(model.parameters()).device
    for new in stream(model, torch.tensor([ids], device=device), max_new_tokens, temperature, top_k, top_p, seed):
        if int(new) == bpe.eos_id:
            break
        yield written.add(int(new))
        if written.stopped:
            return
    yield written.rest()


def _fit(model: LanguageModel, bpe, prompt: str, max_new_tokens: int, allowed_special: Iterable[str]) -> list[int]:
    """A prompt's ids, cut at the front to leave room for what is asked."""
    ids = bpe.encode(prompt, allowed_special=allowed_special)
    if not ids:  # nothing to continue: begin where a document begins
        if bpe.eos_id is None:
            raise ValueError("the prompt is empty, and this vocabulary has no <|endoftext|> to start from; give one")
        ids = [bpe.eos_id]
    window = model.config.n_positions
    return ids[-max(1, window - min(max_new_tokens, window // 2)):]


def _stops(stop: Iterable[str] | str) -> tuple[str, ...]:
    stop = (stop,) if isinstance(stop, str) else tuple(stop)
    if "" in stop:
        raise ValueError("a stop string must not be empty")
    return stop


def _generator(seed: int | None) -> torch.Generator:
    generator = torch.Generator()  # on the CPU whatever the model's device: the same numbers everywhere
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


def _check(ids: Tensor | None, max_new_tokens: int, temperature: float, top_k: int | None, top_p: float | None) -> None:
    if ids is not None and (ids.dim() != 2 or ids.shape[1] == 0):
        raise ValueError(f"the prompt must be ids (batch, time) with at least one token, not {tuple(ids.shape)}; "
                         "start from <|endoftext|> to write from nothing")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, it is {max_new_tokens}")
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must not be negative or without end, it is {temperature}; 0 is greedy")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, it is {top_k}; None keeps every token")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], it is {top_p}; None keeps every token")
