"""One GPT for both papers: GPT-1's post-norm Transformer decoder and GPT-2's pre-norm one; and GPT-1's baseline, an LSTM.

GPT-1 section 3.1 and 4.1; GPT-2 section 2.3. What differs between the papers is a handful of lines, all of them in `Block.forward`,
`GPT.__init__` (the final norm) and `GPT._init` (the initialisation). The LSTM (GPT-1 section 5) is the last class.
"""

import math
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt import paper, weights


def _sizes(config, *names: str) -> None:
    kind = type(config).__name__
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{kind}: {name} must be a positive whole number, not {value!r}")
    if not 0 <= config.dropout < 1:
        raise ValueError(f"{kind}: dropout must lie in [0, 1), not {config.dropout}")


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model. Defaults are GPT-2's smallest.

    pre_norm: True is GPT-2 (norm before each sub-layer, one more after the last block), False is GPT-1 (norm after each sum).
    residual_layers: N of GPT-2's 1/sqrt(N) initialisation of the projections that write into the residual stream; None takes
        2 * n_layer (every block adds to it twice) with pre_norm and 1 (no scaling) without.
    """

    vocab_size: int = 50257
    n_positions: int = 1024
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    pre_norm: bool = True
    tie_word_embeddings: bool = True
    dropout: float = 0.1
    layer_norm_epsilon: float = 1e-5
    residual_layers: int | None = None

    def __post_init__(self):
        _sizes(self, "vocab_size", "n_positions", "n_layer", "n_head", "n_embd")
        if self.n_embd % self.n_head:
            raise ValueError(f"GPTConfig: n_embd {self.n_embd} does not divide into n_head {self.n_head} equal heads")

    @classmethod
    def preset(cls, name: str) -> "GPTConfig":
        """The papers' models ('gpt1', 'gpt2', 'gpt2-medium', 'gpt2-large', 'gpt2-xl') and the laptop model ('world')."""
        presets = paper.PRESETS | {"world": LAPTOP}
        if name not in presets:
            raise ValueError(f"unknown preset {name!r}; choose one of {', '.join(presets)}")
        return cls(**presets[name])


# The laptop model: small enough to train for a minute, deep enough for the papers' plots over layers to have a shape.
LAPTOP = dict(vocab_size=4096, n_positions=128, n_layer=4, n_head=4, n_embd=128, dropout=0.0)


class KVCache:
    """Keys and values of the tokens seen so far, for every layer: (2, batch, n_head, n_positions, head size) each.

    The memory is reserved at once: growing a tensor by concatenation copies the whole past at every token.
    """

    def __init__(self, config: GPTConfig, batch: int, like: Tensor):
        shape = (2, batch, config.n_head, config.n_positions, config.n_embd // config.n_head)
        self.layers = [like.new_empty(shape) for _ in range(config.n_layer)]
        self.length = 0

    def extend(self, layer: int, kv: Tensor) -> Tensor:
        """Store keys and values (2, batch, n_head, time, head size) after the past; return past and present together."""
        end = self.length + kv.shape[3]
        self.layers[layer][:, :, :, self.length:end] = kv
        return self.layers[layer][:, :, :, :end]


def causal_mask(queries: int, keys: int, device=None) -> Tensor:
    """(queries, keys) booleans, True where a query may look: the last query sees all keys, each earlier one a key fewer."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


class CausalSelfAttention(nn.Module):
    """Masked multi-head self-attention, softmax(Q K^T / sqrt(d)) V with the future masked out (GPT-1 section 3.1)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.n_head, self.dropout = config.n_head, config.dropout
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)  # queries, keys and values in one product
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, cache: KVCache | None = None, layer: int = 0, maps: list | None = None) -> Tensor:
        """x (batch, time, n_embd) -> the same shape. `maps`, a list, receives this layer's (batch, n_head, time, keys) weights."""
        batch, time, width = x.shape
        qkv = self.c_attn(x).view(batch, time, 3, self.n_head, width // self.n_head).permute(2, 0, 3, 1, 4)
        q, (k, v) = qkv[0], qkv[1:] if cache is None else cache.extend(layer, qkv[1:])
        dropout = self.dropout if self.training else 0.0
        # In bf16 on a CPU the fused kernel's backward takes 2 to 4 times as long as the plain path, up to 1,024 positions.
        plain = q.dtype == torch.bfloat16 and x.device.type == "cpu" and cache is None and not torch.compiler.is_compiling()
        if maps is not None or plain:
            weights = attention_weights(q, k)
            y = F.dropout(weights, dropout) @ v
            if maps is not None:
                maps.append(weights)
        elif time == k.shape[2]:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=time > 1, dropout_p=dropout)
        else:
            mask = None if time == 1 else causal_mask(time, k.shape[2], x.device)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.c_proj(y.transpose(1, 2).reshape(batch, time, width))


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """The plain path: softmax(Q K^T / sqrt(d)) with the future masked out, (batch, n_head, queries, keys)."""
    future = _future(q.shape[-2], k.shape[-2], q.dtype, q.device)
    # One product that scales and adds -inf to the future on its way: separate passes would cost as much as the product.
    scores = torch.baddbmm(future, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=1 / math.sqrt(q.shape[-1]))
    return scores.softmax(-1).unflatten(0, q.shape[:2])


@lru_cache(maxsize=8)
def _future(queries: int, keys: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(queries, keys): 0 where a query may look, -inf where it may not."""
    with torch.inference_mode(False):  # kept for later calls, which may need gradients
        return torch.zeros(queries, keys, dtype=dtype, device=device).masked_fill_(~causal_mask(queries, keys, device), -math.inf)


class MLP(nn.Module):
    """The position-wise network: widen four times, GELU (the tanh form, as in OpenAI's code), narrow again."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, n_embd) -> the same shape."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    """One Transformer block: attention, then the MLP, each added to the residual stream."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.pre_norm = config.pre_norm
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cache: KVCache | None = None, layer: int = 0, maps: list | None = None) -> Tensor:
        """(batch, time, n_embd) -> the same shape."""
        if self.pre_norm:  # GPT-2 section 2.3: the norm stands at the input of each sub-layer
            x = x + self.drop(self.attn(self.ln_1(x), cache, layer, maps))
            return x + self.drop(self.mlp(self.ln_2(x)))
        x = self.ln_1(x + self.drop(self.attn(x, cache, layer, maps)))  # GPT-1 Figure 1: the norm stands after each sum
        return self.ln_2(x + self.drop(self.mlp(x)))


class LanguageModel(nn.Module):
    """What GPT and the LSTM share. A subclass sets Config (a dataclass), config, wte, lm_head and `hidden(ids)`."""

    def loss(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean negative log-likelihood in nats (GPT-1 eq. 1) of targets (batch, time); a target of -100 is left out."""
        logits = self.lm_head(self.hidden(ids))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), targets.reshape(-1))

    def n_params(self) -> int:
        """How many numbers are learned; a tied head is counted once."""
        return sum(p.numel() for p in self.parameters())

    def _check(self, ids: Tensor, past: int) -> None:
        if ids.dim() != 2 or ids.shape[1] == 0:
            raise ValueError(f"ids must be (batch, time) with at least one token, not {tuple(ids.shape)}")
        if past + ids.shape[1] > self.config.n_positions:
            raise ValueError(f"{past + ids.shape[1]} tokens do not fit the context of {self.config.n_positions} positions; "
                             "pass the last ones, or use generate(), which slides the window")
        # On a GPU reading the ids back would stall it at every step; there the embedding's own assert catches them.
        if ids.device.type == "cpu" and not torch.compiler.is_compiling():
            low, high = ids.aminmax()
            if low < 0 or high >= self.config.vocab_size:
                bad = int(low if low < 0 else high)
                raise ValueError(f"token id {bad} is outside the vocabulary of {self.config.vocab_size} entries")

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write config.json and model.safetensors, transformers reads a GPT's; `dtype` stores them smaller (torch.float16)."""
        tensors = self.state_dict()
        if self.config.tie_word_embeddings:
            del tensors["lm_head.weight"]
        weights.write(folder, asdict(self.config), tensors, dtype)

    @classmethod
    def from_pretrained(cls, name: str | Path, dtype: torch.dtype = torch.float32, **changes):
        """A shipped checkpoint ('world'), a local folder, or a hub id such as 'openai-community/gpt2', ready to evaluate.

        changes: fields of the configuration to replace, e.g. dropout=0.1 before fine-tuning.
        Raises FileNotFoundError, ValueError or hub.HubError in one line, also where the folder holds the other kind of model.
        """
        config, tensors = weights.read(name)
        kind = LSTM if "n_units" in config else GPT
        if not issubclass(cls, kind):
            raise ValueError(f"{name} holds a model of the other kind; read it with {kind.__name__}.from_pretrained")
        model = cls(replace(cls.Config(**config), **changes))
        expected = {k: v.shape for k, v in model.state_dict().items()}
        if model.config.tie_word_embeddings:
            tensors["lm_head.weight"] = tensors["wte.weight"]
        for key, shape in expected.items():
            if key not in tensors:
                raise ValueError(f"{name}: the weights lack {key}")
            if tensors[key].shape != shape:
                raise ValueError(f"{name}: {key} is {tuple(tensors[key].shape)}, the configuration asks for {tuple(shape)}")
        if extra := sorted(set(tensors) - set(expected)):
            raise ValueError(f"{name}: the weights hold {extra[0]}, which this architecture has no place for")
        model.load_state_dict(tensors)
        return model.to(dtype).eval()


class GPT(LanguageModel):
    """The language model of both papers: learned token and position embeddings, blocks, and a softmax over the vocabulary."""

    Config = GPTConfig

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        # GPT-2 adds one norm after the last block: without it the residual stream would reach the softmax unnormalised.
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon) if config.pre_norm else nn.Identity()
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.wte.weight  # GPT-1 eq. 2: P(u) = softmax(h_n W_e^T)
        self._init()

    @torch.no_grad()
    def _init(self) -> None:
        """N(0, 0.02) weights and zero biases (GPT-1 section 4.1). GPT-2: positions at 0.01, residual projections / sqrt(N)."""
        config = self.config
        n = config.residual_layers or (2 * config.n_layer if config.pre_norm else 1)
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue  # LayerNorm's gains and biases start at 1 and 0; linear biases are zeroed below
            std = 0.02
            if name == "wpe.weight" and config.pre_norm:
                std = 0.01
            elif name.endswith("c_proj.weight"):
                std /= math.sqrt(n)
            nn.init.normal_(parameter, std=std)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def hidden(self, ids: Tensor, cache: KVCache | None = None, maps: list | None = None) -> Tensor:
        """ids (batch, time) -> what the softmax reads, (batch, time, n_embd)."""
        past = cache.length if cache is not None else 0
        self._check(ids, past)
        positions = torch.arange(past, past + ids.shape[1], device=ids.device)
        x = self.drop(self.wte(ids) + self.wpe(positions))
        for layer, block in enumerate(self.h):
            x = block(x, cache, layer, maps)
        if cache is not None:
            cache.length += ids.shape[1]
        return self.ln_f(x)

    def forward(self, ids: Tensor, cache: KVCache | None = None, attention_maps: bool = False):
        """ids int64 (batch, time) -> logits (batch, time, vocab_size).

        With `attention_maps`, (logits, maps): for every layer the (batch, n_head, time, time) attention weights, computed on the
        plain path that chapter 03 builds. With a cache, `ids` continue the tokens it holds.
        Raises ValueError for ids outside the vocabulary and for more tokens than n_positions.
        """
        maps = [] if attention_maps else None
        logits = self.lm_head(self.hidden(ids, cache, maps))
        return (logits, maps) if attention_maps else logits


@dataclass(frozen=True)
class LSTMConfig:
    """The shape of GPT-1's baseline (section 5): one layer of n_units LSTM cells. Defaults: the paper's, beside a GPT 768 wide."""

    vocab_size: int = 40478
    n_positions: int = 512
    n_embd: int = 768
    n_units: int = 2048
    dropout: float = 0.1
    tie_word_embeddings: bool = True

    def __post_init__(self):
        _sizes(self, "vocab_size", "n_positions", "n_embd", "n_units")


class LSTM(LanguageModel):
    """The same language model with one LSTM layer in place of position embeddings and blocks (GPT-1 section 5).

    There are more units than the embedding is wide, and the tied softmax multiplies by the embedding matrix, so `proj` brings them
    back to n_embd. There are no positions to learn: a recurrent network reads in order.
    """

    Config = LSTMConfig

    def __init__(self, config: LSTMConfig):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.rnn = nn.LSTM(config.n_embd, config.n_units, batch_first=True)
        self.proj = nn.Linear(config.n_units, config.n_embd)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.wte.weight
        for parameter in self.parameters():  # as GPT-1: N(0, 0.02) weights, zero biases
            nn.init.normal_(parameter, std=0.02) if parameter.dim() == 2 else nn.init.zeros_(parameter)

    def hidden(self, ids: Tensor) -> Tensor:
        """ids (batch, time) -> what the softmax reads, (batch, time, n_embd)."""
        self._check(ids, 0)
        return self.drop(self.proj(self.rnn(self.drop(self.wte(ids)))[0]))

    def forward(self, ids: Tensor) -> Tensor:
        """ids int64 (batch, time) -> logits (batch, time, vocab_size). Raises ValueError as GPT does."""
        return self.lm_head(self.hidden(ids))


def load(name: str | Path, dtype: torch.dtype = torch.float32, **changes) -> GPT | LSTM:
    """The model of a folder, shipped checkpoint or hub id, a GPT or an LSTM by its config.json; arguments as from_pretrained."""
    kind = LSTM if weights.config(name)["model_type"] == "lstm" else GPT
    return kind.from_pretrained(name, dtype, **changes)


# The paper gives its 768-wide model's rival 2048 units: the laptop's 128-wide one gets 344 (the nearest multiple of 8).
BASELINES = {"gpt1-lstm": dict(),
             "world-lstm": dict(vocab_size=LAPTOP["vocab_size"], n_positions=128, n_embd=128, n_units=344, dropout=0.0)}


def config_of(preset: str) -> GPTConfig | LSTMConfig:
    """The configuration of any preset: GPTConfig's, or a baseline LSTM ('gpt1-lstm', 'world-lstm')."""
    return LSTMConfig(**BASELINES[preset]) if preset in BASELINES else GPTConfig.preset(preset)
