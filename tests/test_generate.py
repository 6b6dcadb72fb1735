"""Sampling: the cache against no cache and against transformers, and the filters against their definitions."""

import shutil

import pytest
import torch
import transformers

from minigpt import GPTConfig, generate
from minigpt.generate import choose, compiled_step, keep_likely
from minigpt.model import KVCache
from tests.test_model import ODD, shaken

transformers.logging.set_verbosity_error()
CONFIGS = [GPTConfig(**ODD[0], pre_norm=p) for p in (True, False)]
LONG = GPTConfig(vocab_size=61, n_positions=256, n_layer=2, n_head=2, n_embd=16)


@pytest.mark.parametrize("config", CONFIGS)
def test_cached_logits_equal_uncached_at_every_position(config):
    model, ids = shaken(config), torch.randint(101, (2, 17))
    with torch.no_grad():
        whole = model(ids)
        for split in ([1] * 17, [5, 12], [16, 1], [3, 4, 1, 9]):
            cache, parts = KVCache(config, 2, model.wte.weight), []
            for part in ids.split(split, dim=1):
                parts.append(model(part, cache=cache))
            torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_past_the_window_the_last_tokens_are_encoded_anew(config):
    model, ids = shaken(config), torch.randint(101, (2, 5))
    out = generate(model, ids, 40, temperature=0)
    assert torch.equal(out, generate(model, ids, 40, temperature=0, cache=False))
    for end in range(5, 45):
        with torch.no_grad():
            assert torch.equal(out[:, end], model(out[:, max(0, end - 17):end])[:, -1].argmax(-1))


def test_a_prompt_longer_than_the_window():
    model, ids = shaken(CONFIGS[0]), torch.randint(101, (1, 30))
    out = generate(model, ids, 3, temperature=0)
    assert torch.equal(out[:, :30], ids) and torch.equal(out, generate(model, ids, 3, temperature=0, cache=False))


def test_greedy_equals_transformers_token_for_token(tmp_path):
    model = shaken(LONG)
    model.save_pretrained(tmp_path)
    reference = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.randint(61, (3, 7))
    expected = reference.generate(ids, max_new_tokens=200, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert torch.equal(generate(model, ids, 200, temperature=0), expected)


@pytest.mark.parametrize(("top_k", "top_p"), [(1, None), (7, None), (None, 0.1), (None, 0.9), (20, 0.5), (500, 1.0)])
def test_filters_equal_transformers(top_k, top_p):
    logits = torch.randn(5, 101, generator=torch.Generator().manual_seed(0)) * 3
    expected = logits
    if top_k:
        expected = transformers.TopKLogitsWarper(top_k)(None, expected)
    if top_p:
        expected = transformers.TopPLogitsWarper(top_p)(None, expected)
    assert torch.equal(keep_likely(logits, top_k, top_p), expected)


def test_samples_follow_the_distribution():
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0, float("-inf")]])
    u = torch.rand(200_000, generator=torch.Generator().manual_seed(0))
    for temperature in (0.5, 1.0, 2.0):
        drawn = choose(logits.expand(len(u), -1), u, temperature).bincount(minlength=5) / len(u)
        torch.testing.assert_close(drawn, (logits[0] / temperature).softmax(-1), atol=5e-3, rtol=0)
    assert choose(logits, torch.tensor([0.0])) == 0 and choose(logits, torch.tensor([1 - 2**-24])) == 3


def test_seeds():
    model, ids = shaken(CONFIGS[0]), torch.randint(101, (2, 3))
    one, again, other = (generate(model, ids, 30, seed=s) for s in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert not torch.equal(generate(model, ids, 30), generate(model, ids, 30)), "no seed must mean a new text each time"


def test_the_end_token_ends_each_row_for_itself():
    model, ids = shaken(CONFIGS[0]), torch.randint(101, (4, 3))
    free = generate(model, ids, 30, temperature=0)
    eos = int(free[0, 6])
    out = generate(model, ids, 30, temperature=0, eos_id=eos)
    for row, full in zip(out[:, 3:], free[:, 3:], strict=True):
        ends = (full == eos).nonzero()
        stop = int(ends[0]) + 1 if len(ends) else len(row)
        assert torch.equal(row[:stop], full[:stop][:len(row)]) and (row[stop:] == eos).all()
    alone = generate(model, ids[:1], 30, temperature=0, eos_id=eos)
    assert alone[0, -1] == eos and alone.shape[1] <= 7


@pytest.mark.parametrize(("settings", "says"), [
    (dict(temperature=-1), "temperature must not be negative"), (dict(top_k=0), "top_k must be at least 1"),
    (dict(top_p=0.0), "top_p must lie in"), (dict(max_new_tokens=-1), "max_new_tokens must not be negative"),
    (dict(ids=torch.zeros(1, 0, dtype=torch.long)), "at least one token"), (dict(ids=torch.tensor([[101]])), "id 101 is outside")])
def test_bad_settings_are_refused_in_one_line(settings, says):
    model = shaken(CONFIGS[0])
    with pytest.raises(ValueError, match=says):
        generate(model, **(dict(ids=torch.tensor([[1]]), max_new_tokens=2) | settings))


def test_nothing_to_generate():
    model, ids = shaken(CONFIGS[0]), torch.tensor([[1, 2]])
    assert torch.equal(generate(model, ids, 0), ids)


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("config", CONFIGS)
def test_the_compiled_step_gives_the_same_text(config):
    model, ids = shaken(config), torch.randint(101, (1, 3))
    assert torch.equal(generate(model, ids, 25, temperature=0, compile=True), generate(model, ids, 25, temperature=0))
    cache = KVCache(config, 1, model.wte.weight)
    with torch.inference_mode():
        model.hidden(ids, cache)
        logits = compiled_step(model)(torch.tensor([5]), torch.tensor([3]), cache.layers)
        torch.testing.assert_close(logits, model(torch.cat([ids, torch.tensor([[5]])], 1))[:, -1], atol=1e-5, rtol=1e-5)
