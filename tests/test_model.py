"""The model against transformers' GPT-2 and GPT-1, on random weights, in both directions."""

import pytest
import torch
import transformers
from torch.nn import functional as F

from minigpt import GPT, GPTConfig, paper
from minigpt.model import CausalSelfAttention, causal_mask

transformers.logging.set_verbosity_error()

ODD = [  # odd shapes on purpose: prime widths of heads, a vocabulary of 3, one layer, one head, a window of 1
    dict(vocab_size=101, n_positions=17, n_layer=3, n_head=3, n_embd=21),
    dict(vocab_size=3, n_positions=11, n_layer=1, n_head=1, n_embd=5),
    dict(vocab_size=997, n_positions=64, n_layer=2, n_head=7, n_embd=49),
    dict(vocab_size=50, n_positions=1, n_layer=2, n_head=2, n_embd=6),
]


def shaken(config: GPTConfig) -> GPT:
    """A model whose every parameter is random, gains and biases too: at their initial values they would hide a swap."""
    torch.manual_seed(7)
    model = GPT(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model.eval()


def theirs(config: GPTConfig):
    shape = dict(vocab_size=config.vocab_size, n_positions=config.n_positions, n_layer=config.n_layer, n_head=config.n_head,
                 n_embd=config.n_embd, tie_word_embeddings=config.tie_word_embeddings)
    kind = (transformers.GPT2Config, transformers.GPT2LMHeadModel) if config.pre_norm else (
        transformers.OpenAIGPTConfig, transformers.OpenAIGPTLMHeadModel)
    torch.manual_seed(8)
    model = kind[1](kind[0](**shape))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model.eval()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("shape", ODD)
def test_logits_equal_transformers_in_both_directions(shape, pre_norm, tied, tmp_path):
    config = GPTConfig(**shape, pre_norm=pre_norm, tie_word_embeddings=tied)
    lengths = {1, config.n_positions, config.n_positions // 2 + 1}
    ours = shaken(config)
    ours.save_pretrained(tmp_path / "ours")
    read_by_them = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()
    reference = theirs(config)
    reference.save_pretrained(tmp_path / "theirs")
    read_by_us = GPT.from_pretrained(tmp_path / "theirs")
    assert read_by_us.config.pre_norm == pre_norm and read_by_us.config.tie_word_embeddings == tied
    for model in (ours, read_by_them, reference, read_by_us):
        model.double()  # in fp32 the processor's own order of sums decides over the last 1e-5 of logits this large
    for length in lengths:
        ids = torch.randint(config.vocab_size, (3, length))
        with torch.no_grad():
            torch.testing.assert_close(ours(ids), read_by_them(ids).logits, atol=1e-10, rtol=1e-10)
            torch.testing.assert_close(read_by_us(ids), reference(ids).logits, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_gradients_equal_transformers(pre_norm, tmp_path):
    ours = shaken(GPTConfig(**ODD[0], pre_norm=pre_norm, dropout=0.0))
    ours.save_pretrained(tmp_path)
    reference = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.randint(101, (4, 18))
    loss = ours.loss(ids[:, :-1], ids[:, 1:])
    loss.backward()
    logits = reference(ids[:, :-1]).logits
    their_loss = F.cross_entropy(logits.reshape(-1, 101), ids[:, 1:].reshape(-1))
    their_loss.backward()
    torch.testing.assert_close(loss, their_loss, atol=1e-5, rtol=1e-5)
    name = "wte" if pre_norm else "tokens_embed"
    torch.testing.assert_close(ours.wte.weight.grad, getattr(reference.transformer, name).weight.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", list(paper.PARAMETERS))
def test_presets_have_exactly_the_published_sizes(name):
    with torch.device("meta"):  # shapes without memory: gpt2-xl has six gigabytes of weights
        model = GPT(GPTConfig.preset(name))
    assert model.n_params() == paper.PARAMETERS[name]


def test_plain_attention_equals_the_fused_one_and_maps_are_causal():
    model = shaken(GPTConfig(**ODD[0]))
    ids = torch.randint(101, (2, 17))
    with torch.no_grad():
        logits, maps = model(ids, attention_maps=True)
        torch.testing.assert_close(logits, model(ids), atol=1e-5, rtol=1e-5)
    assert len(maps) == 3 and all(m.shape == (2, 3, 17, 17) for m in maps)
    for m in maps:
        torch.testing.assert_close(m.sum(-1), torch.ones(2, 3, 17))
        assert (m.triu(1) == 0).all()


@pytest.mark.parametrize("pre_norm", [True, False])
def test_no_gradient_from_the_future(pre_norm):
    model = shaken(GPTConfig(**ODD[0], pre_norm=pre_norm))
    embedded = []
    model.wte.register_forward_hook(lambda m, i, o: (o.retain_grad(), embedded.append(o))[0])
    logits = model(torch.randint(101, (1, 17)))
    logits[0, 6].sum().backward()
    grad = embedded[0].grad[0]
    assert (grad[7:] == 0).all() and (grad[:7].abs().sum(-1) > 0).all()


def test_attention_against_its_definition_token_by_token():
    torch.manual_seed(0)
    attention = CausalSelfAttention(GPTConfig(**ODD[0])).eval()
    x = torch.randn(1, 5, 21)
    q, k, v = attention.c_attn(x)[0].split(21, dim=-1)
    rows = []
    for t in range(5):
        heads = []
        for h in range(3):
            part = slice(7 * h, 7 * h + 7)
            scores = torch.stack([q[t, part] @ k[s, part] / 7**0.5 for s in range(t + 1)])
            heads.append(sum(w * v[s, part] for s, w in enumerate(scores.softmax(0))))
        rows.append(torch.cat(heads))
    torch.testing.assert_close(attention(x)[0], attention.c_proj(torch.stack(rows)), atol=1e-6, rtol=1e-5)


def test_causal_mask_with_a_past():
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]


@pytest.mark.parametrize(("pre_norm", "residual_layers", "expected"), [
    (True, None, 0.02 / 24**0.5), (True, 12, 0.02 / 12**0.5), (False, None, 0.02)])
def test_initialisation(pre_norm, residual_layers, expected):
    torch.manual_seed(0)
    model = GPT(GPTConfig(500, 64, 12, 4, 128, pre_norm=pre_norm, residual_layers=residual_layers))
    std = torch.cat([w.flatten() for n, w in model.named_parameters() if n.endswith("c_proj.weight")]).std().item()
    assert std == pytest.approx(expected, rel=0.01)
    assert model.wte.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model.wpe.weight.std().item() == pytest.approx(0.01 if pre_norm else 0.02, rel=0.05)
    assert all((p == 0).all() for n, p in model.named_parameters() if n.endswith("bias"))


def test_bad_input_is_refused_in_one_line():
    model = GPT(GPTConfig(**ODD[0]))
    for ids, says in [([[101]], "token id 101 is outside"), ([[-1]], "token id -1 is outside"), ([[]], "at least one token"),
                      ([[0] * 18], "18 tokens do not fit the context of 17")]:
        with pytest.raises(ValueError, match=says):
            model(torch.tensor(ids, dtype=torch.long))
    with pytest.raises(ValueError, match="n_embd 10 does not divide into n_head 3"):
        GPTConfig(n_embd=10, n_head=3)
    with pytest.raises(ValueError, match="unknown preset 'gpt3'"):
        GPTConfig.preset("gpt3")


def test_sorts_all_729_inputs(checks):
    """A trained model of GPT-2's layout, head not tied: six letters over {0, 1, 2} in, the sorted six out."""
    model = GPT.from_pretrained(checks / "gpt-nano-sort")
    letters = torch.cartesian_prod(*[torch.arange(3)] * 6)
    ids = letters
    with torch.no_grad():
        for _ in range(6):
            ids = torch.cat([ids, model(ids)[:, -1].argmax(-1, keepdim=True)], dim=1)
    assert len(letters) == 729 and torch.equal(ids[:, 6:], letters.sort(dim=1).values)
