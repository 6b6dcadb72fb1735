"""Sampling: the cache against no cache and against transformers, and the filters against their definitions."""

import io
import json
import shutil
import sys

import pytest
import torch
import transformers

from minigpt import BPE, GPT, GPTConfig, generate, modern
from minigpt.__main__ import main
from minigpt.generate import Continuation, Decoder, choose, compiled_step, generate_texts, keep_likely, stream_seed, stream_text
from minigpt.model import LSTM, KVCache, LSTMConfig
from tests.benchmarks.bench_generate import as_llama
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


class Own(GPT):
    """A model that makes its own cache, as those of other architectures do."""

    def new_cache(self, batch):
        self.made = KVCache(self.config, batch, self.wte.weight)
        return self.made


@pytest.mark.parametrize("kind", [*CONFIGS, "own cache", "no cache"])
def test_a_decoders_logits_equal_uncached_ones_at_every_step(kind):
    torch.manual_seed(0)
    model = LSTM(LSTMConfig(101, 17, 16, 24)) if kind == "no cache" else shaken(kind if isinstance(kind, GPTConfig) else CONFIGS[0])
    if kind == "own cache":
        model.__class__ = Own
    model.eval()
    text, decoder, end = torch.randint(101, (3, 45)), Decoder(model, 3), 0
    for step in (4, 1, 1, 3, *[1] * 12, 2, *[1] * 17, 5):  # the window of 17 slides from the twelfth on
        with torch.inference_mode():
            logits = decoder(text[:, end:end + step])
            end += step
            torch.testing.assert_close(logits, model(text[:, max(0, end - 17):end])[:, -1], atol=1e-5, rtol=1e-5)
        assert (decoder.store is not None) == (end <= 17 and kind != "no cache")
    if kind == "own cache":
        assert model.made.length == 17, "its own cache must have been used, as far as the window goes"


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


def test_greedy_with_rotary_positions_equals_transformers_token_for_token():
    torch.manual_seed(0)
    model = modern.Modern(modern.ModernConfig(61, 256, 3, 6, 2, 48, 40)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # far from the initial values, under which everything looks alike
            parameter.add_(torch.randn_like(parameter) * 0.3)
    ids = torch.randint(61, (3, 7))
    expected = as_llama(model).generate(ids, max_new_tokens=200, do_sample=False, pad_token_id=0)
    assert torch.equal(generate(model, ids, 200, temperature=0), expected) and len(expected[0].unique()) > 10


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


def test_a_tiny_temperature_is_greedy_and_an_endless_one_refused():
    logits = torch.tensor([[3.0, 9.0, -2.0]])
    assert choose(logits, torch.tensor([0.999]), temperature=1e-38) == 1
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature must not be negative or without end"):
            generate(shaken(CONFIGS[0]), torch.tensor([[1]]), 2, temperature=bad)


def test_the_compiled_step_is_for_a_gpt_only():
    with pytest.raises(ValueError, match="written for GPT, not for LSTM"):
        generate(LSTM(LSTMConfig(11, 8, 8, 8)), torch.tensor([[1]]), 2, compile=True)


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


# -- texts ----------------------------------------------------------------------------------------------------------

PROMPTS = ["The old man", "She", "", "Once upon a time there was a fox. The fox", "She",
           "A horse and a cow went to the market. There", "Grüße, 世界", "x" * 40]
SETTINGS = [dict(temperature=0), dict(), dict(temperature=0.7, top_k=40, top_p=0.95)]


@pytest.fixture(scope="module")
def world():
    return GPT.from_pretrained("world"), BPE.load("world")


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_texts_in_batches_equal_each_prompt_alone(world, settings, batch_size):
    model, bpe = world
    together = generate_texts(model, bpe, PROMPTS, 24, **settings, seed=5, batch_size=batch_size)
    for i, prompt in enumerate(PROMPTS):
        ids = torch.tensor([bpe.encode(prompt) or [bpe.eos_id]])
        seed = stream_seed(5, prompt, PROMPTS[:i].count(prompt))
        new = generate(model, ids, 24, **settings, eos_id=bpe.eos_id, seed=seed)[0, ids.shape[1]:].tolist()
        new = new[:new.index(bpe.eos_id)] if bpe.eos_id in new else new
        assert together[i] == bpe.decode(new)
    if settings.get("temperature") != 0:
        assert together[1] != together[4], "the same prompt twice must give two samples"
        assert together != generate_texts(model, bpe, PROMPTS, 24, **settings)


def test_texts_do_not_depend_on_the_other_prompts(world):
    found = generate_texts(*world, PROMPTS[:4], 15, seed=1)
    assert generate_texts(*world, PROMPTS[3::-1], 15, seed=1) == found[::-1]
    assert [generate_texts(*world, [prompt], 15, seed=1)[0] for prompt in PROMPTS[:4]] == found
    assert len({stream_seed(seed, prompt, copy) for seed in (0, 1) for prompt in PROMPTS[:4] for copy in (0, 1)}) == 16


def test_long_prompts_lose_their_beginning_and_the_window_slides(world):
    model, bpe = world
    model = shaken(model.config)  # never ends a text of its own accord
    long = "The dog ran to the river. " * 40
    ids = bpe.encode(long)
    for new, kept in ((20, 108), (64, 64), (100, 64), (150, 64)):  # of 128 positions
        expected = generate(model, torch.tensor([ids[-kept:]]), new, temperature=0)[0, kept:].tolist()
        short, found = generate_texts(model, bpe, ["A", long], new, temperature=0)
        assert bpe.eos_id not in expected and found == bpe.decode(expected)
        assert short and short == generate_texts(model, bpe, ["A"], new, temperature=0)[0]


def test_every_batch_is_small_and_even(world, monkeypatch):
    """Prompts of very unequal length do not wait for each other."""
    made, start = [], Decoder.__init__
    monkeypatch.setattr(Decoder, "__init__", lambda self, model, batch: (made.append(batch), start(self, model, batch))[0])
    generate_texts(*world, ["a"] * 5 + [" a" * 60] + [" a" * n for n in (3, 4)], 8, temperature=0, batch_size=4)
    assert made == [4, 3, 1]


@pytest.mark.parametrize("settings", SETTINGS)
def test_stop_strings_end_a_text_wherever_they_fall(world, settings):
    model, bpe = world
    free = generate_texts(model, bpe, PROMPTS, 40, **settings, seed=3)
    inside = [text[5:14] for text in free if len(text) > 14]
    for stops in ([". "], ["e "], ["e f", "t", "."], ["zz", "he"], ["The old", "She"], inside):
        found = generate_texts(model, bpe, PROMPTS, 40, **settings, seed=3, stop=tuple(stops))
        for i, (prompt, text, whole) in enumerate(zip(PROMPTS, found, free, strict=True)):
            ends = [whole.find(s) for s in stops if s in whole]
            assert text == (whole[:min(ends)] if ends else whole)
            if prompt not in PROMPTS[:i]:
                assert "".join(stream_text(model, bpe, prompt, 40, **settings, seed=3, stop=stops)) == text
    assert inside


def test_nothing_is_computed_after_the_last_text_has_ended(world, monkeypatch):
    calls, call = [], Decoder.__call__
    monkeypatch.setattr(Decoder, "__call__", lambda self, new: (calls.append(1), call(self, new))[1])
    text, = generate_texts(*world, ["The old man"], 40, temperature=0)
    calls.clear()
    assert generate_texts(*world, ["The old man"], 40, temperature=0, stop=(text[3:6],)) == [text[:3]] and len(calls) < 5
    calls.clear()
    assert "".join(stream_text(*world, "The old man", 40, temperature=0, stop=(text[3:6],))) == text[:3] and len(calls) < 5
    calls.clear()
    generate_texts(*world, ["The old man"], 3, temperature=0)
    assert len(calls) == 3
    last = text[-4:] + "never"  # its beginning is held back until nothing can follow
    assert "".join(stream_text(*world, "The old man", 40, temperature=0, stop=(last,))) == text


def test_streamed_pieces_never_have_to_be_taken_back(world):
    _, bpe = world
    text = "😀 café, ab abc abd — END of it"
    for stop in ((), ("abd",), ("abcd", "c a"), ("END of",), ("é",), ("😀",)):
        written, shown = Continuation(bpe, [5], stop), ""
        for token in bpe.encode(text):
            shown += written.add(token)
            assert text.startswith(shown) and not any(s in shown for s in stop)
            if written.stopped:
                break
        shown += written.rest()
        ends = [text.find(s) for s in stop if s in text]
        assert shown == written.text == text[:min(ends, default=None)] and written.stopped == bool(ends)
    assert len(bpe.encode("😀")) > 1, "the check needs a character of several tokens"


def test_a_stop_string_may_begin_inside_one_token_and_end_inside_another(world):
    _, bpe = world
    tokens = bpe.encode(" river. The horse")
    assert len(tokens) >= 3
    written = Continuation(bpe, [1], ("ver. Th",))
    assert "".join(written.add(token) for token in tokens) == " ri"[:3] and written.stopped


def test_words_of_a_gpt1_vocabulary_keep_their_space():
    bpe = BPE.train(["the old cat sat on the mat . " * 3], 60, style="gpt1")
    whole, prompt = bpe.encode("the old cat sat on"), bpe.encode("the old")
    written = Continuation(bpe, prompt)
    assert "".join(written.add(token) for token in whole[len(prompt):]) + written.rest() == " cat sat on"


@pytest.mark.parametrize(("changes", "says"), [
    (dict(prompts="one text"), "must be a list of texts"), (dict(prompts=[1]), "must be a list of texts"),
    (dict(stop=("",)), "stop string must not be empty"), (dict(batch_size=0), "batch_size must be at least 1"),
    (dict(top_k=0), "top_k must be at least 1"), (dict(max_new_tokens=-1), "max_new_tokens must not be negative")])
def test_bad_requests_for_texts_are_refused_in_one_line(world, changes, says):
    with pytest.raises((ValueError, TypeError), match=says):
        generate_texts(*world, **(dict(prompts=["a"], max_new_tokens=2) | changes))


def test_a_vocabulary_without_an_end_cannot_begin_with_nothing(world):
    bpe = BPE.train(["the old cat sat"], 40, style="gpt1")
    assert bpe.eos_id is None
    with pytest.raises(ValueError, match="no <|endoftext|> to start from"):
        generate_texts(world[0], bpe, [""], 3)


def test_no_prompts_and_no_tokens(world):
    assert generate_texts(*world, [], 5) == [] and generate_texts(*world, ["a", "a longer one"], 0) == ["", ""]


def test_without_a_seed_every_text_is_new(world):
    one, two = ([generate_texts(*world, ["The old"], 30), list(stream_text(*world, "The old", 30))] for _ in range(2))
    assert one[0] != two[0] and one[1] != two[1]


def test_one_stop_string_and_special_tokens_in_a_prompt(world):
    text, = generate_texts(*world, ["The old man"], 30, seed=4)
    assert generate_texts(*world, ["The old man"], 30, seed=4, stop=text[9:12]) == [text[:text.index(text[9:12])]]
    seen, call = [], Decoder.__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "__call__", lambda self, new: (seen.append(new.tolist()), call(self, new))[1])
        for special in ((), ("<|endoftext|>",)):
            generate_texts(*world, ["<|endoftext|>The"], 1, allowed_special=special)
            "".join(stream_text(*world, "<|endoftext|>The", 1, allowed_special=special))
    assert seen[0] == seen[1] and seen[2] == seen[3] and seen[2][0][0] == world[1].eos_id != seen[0][0][0]


# -- the command ----------------------------------------------------------------------------------------------------


def test_the_command_streams_what_the_library_writes(world, capsys):
    settings = ["--max-new-tokens", "30", "--seed", "4", "--top-k", "40"]
    assert main(["generate", "--prompt", "The old man", *settings]) == 0
    whole = capsys.readouterr().out
    text, = generate_texts(*world, ["The old man"], 30, top_k=40, seed=4)
    assert whole == f"The old man{text}\n" and len(text) > 40
    assert main(["generate", "--prompt", "The old man", *settings, "--stop", text[20:24], "--stop", "zzz"]) == 0
    assert capsys.readouterr().out == f"The old man{text[:text.index(text[20:24])]}\n"


def test_prompts_from_a_file_and_from_standard_input(world, capsys, tmp_path, monkeypatch):
    (tmp_path / "prompts.txt").write_bytes("\ufeffThe old man\r\n\r\nGrüße, 世界\n".encode())
    command = ["generate", "--max-new-tokens", "12", "--seed", "4", "--prompt-file"]
    assert main([*command, str(tmp_path / "prompts.txt")]) == 0
    said = capsys.readouterr().out
    prompts = ["The old man", "Grüße, 世界"]
    assert [json.loads(line) for line in said.splitlines()] == [
        {"prompt": prompt, "completion": text}
        for prompt, text in zip(prompts, generate_texts(*world, prompts, 12, seed=4), strict=True)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(prompts).encode())))
    assert main([*command, "-"]) == 0 and capsys.readouterr().out == said


@pytest.mark.parametrize(("arguments", "says"), [
    (["--prompt-file", "empty"], "no prompts in it"), (["--prompt-file", "bytes"], "not UTF-8 text (byte 1)"),
    (["--prompt-file", "nowhere"], "nowhere"), (["--stop", ""], "a stop string must not be empty"),
    (["--temperature", "nan"], "temperature must not be negative"), (["--model", "nothing.gguf"], "nothing.gguf")])
def test_the_command_refuses_in_one_line(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n \n")
    (tmp_path / "bytes").write_bytes(b"a\xff")
    assert main(["generate", "--max-new-tokens", "2", *arguments]) == 2
    out, err = capsys.readouterr()
    assert says in err and err.count("\n") == 1 and out == ""


# -- SmolLM2-135M-Instruct --------------------------------------------------------------------------------------------


@pytest.mark.skipif(not modern.available(), reason=f"needs SmolLM2-135M-Instruct: {modern.INSTALL}")
def test_smollm2_in_a_batch_equals_each_prompt_alone_and_no_cache():
    model, bpe = modern.load(modern.NAME)
    prompts = ["The capital of France is", "One two three four five six", "<|im_start|>user\nSay hello.<|im_end|>\n"]
    for settings in (dict(temperature=0), dict(top_k=40, seed=3)):
        together = generate_texts(model, bpe, prompts, 8, **settings, allowed_special=bpe.specials)
        for prompt, text in zip(prompts, together, strict=True):
            ids = torch.tensor([bpe.encode(prompt, allowed_special=bpe.specials)])
            seed = stream_seed(3, prompt)
            new = generate(model, ids, 8, **settings | dict(seed=seed), cache=False)[0, ids.shape[1]:].tolist()
            assert text == bpe.decode(new[:new.index(bpe.eos_id)] if bpe.eos_id in new else new) and text
