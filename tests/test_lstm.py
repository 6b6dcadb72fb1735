"""GPT-1's baseline, an LSTM: against its equations, saved and loaded, trained by the Trainer that trains GPT."""

import json

import numpy as np
import pytest
import torch

from minigpt import GPT, GPTConfig
from minigpt.model import LSTM, LSTMConfig, config_of, load
from minigpt.train import TrainConfig, train
from tests.test_main import minigpt

SMALL = LSTMConfig(vocab_size=31, n_positions=12, n_embd=6, n_units=10, dropout=0.0)


def shaken(config: LSTMConfig = SMALL) -> LSTM:
    torch.manual_seed(3)
    model = LSTM(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model.eval()


def test_hidden_follows_the_equations_of_an_lstm():
    model = shaken()
    ids = torch.tensor([[4, 7, 30, 0, 7]])
    rnn = model.rnn
    h, c, rows = torch.zeros(10), torch.zeros(10), []
    for x in model.wte.weight[ids[0]]:
        i, f, g, o = (rnn.weight_ih_l0 @ x + rnn.bias_ih_l0 + rnn.weight_hh_l0 @ h + rnn.bias_hh_l0).split(10)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        rows.append(model.proj.weight @ h + model.proj.bias)
    torch.testing.assert_close(model.hidden(ids)[0], torch.stack(rows), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model(ids)[0], torch.stack(rows) @ model.wte.weight.T, atol=1e-6, rtol=1e-5)


def test_the_baseline_has_the_papers_shape_and_the_laptops_keeps_its_ratio():
    paper, laptop = config_of("gpt1-lstm"), config_of("world-lstm")
    assert (paper.n_units, paper.n_embd) == (2048, 768)
    assert laptop.n_units % 8 == 0 and abs(laptop.n_units - laptop.n_embd * 2048 / 768) <= 4
    gpt = config_of("world")
    assert (laptop.vocab_size, laptop.n_positions, laptop.n_embd) == (gpt.vocab_size, gpt.n_positions, gpt.n_embd)
    model, units, width = LSTM(laptop), laptop.n_units, laptop.n_embd
    assert model.n_params() == laptop.vocab_size * width + 4 * units * (width + units + 2) + units * width + width
    assert model.lm_head.weight is model.wte.weight
    assert LSTM(LSTMConfig(31, 12, 6, 10, tie_word_embeddings=False)).n_params() == LSTM(SMALL).n_params() + 31 * 6


def test_nothing_comes_from_the_future():
    model, ids = shaken(), torch.randint(31, (2, 9))
    changed = ids.clone()
    changed[:, 5:] = (ids[:, 5:] + 1) % 31
    assert torch.equal(model(ids)[:, :5], model(changed)[:, :5])
    assert not torch.equal(model(ids)[:, 5:], model(changed)[:, 5:])


@pytest.mark.parametrize("tied", [True, False])
def test_saved_and_loaded_by_what_the_folder_holds(tmp_path, tied):
    model = shaken(LSTMConfig(31, 12, 6, 10, dropout=0.2, tie_word_embeddings=tied))
    model.save_pretrained(tmp_path / "lstm")
    for back in (load(tmp_path / "lstm"), LSTM.from_pretrained(tmp_path / "lstm")):
        assert type(back) is LSTM and back.config == model.config and not back.training
        assert all(torch.equal(a, b) for a, b in zip(back.state_dict().values(), model.state_dict().values(), strict=True))
        assert (back.lm_head.weight is back.wte.weight) == tied
    assert load(tmp_path / "lstm", dropout=0.5).config.dropout == 0.5
    GPT(GPTConfig(31, 12, 1, 1, 6)).save_pretrained(tmp_path / "gpt")
    assert type(load(tmp_path / "gpt")) is GPT and type(load("world")) is GPT


def test_the_wrong_class_is_told_in_one_line(tmp_path):
    shaken().save_pretrained(tmp_path / "lstm")
    with pytest.raises(ValueError, match="lstm holds a model of the other kind; read it with LSTM.from_pretrained$"):
        GPT.from_pretrained(tmp_path / "lstm")
    with pytest.raises(ValueError, match="world holds a model of the other kind; read it with GPT.from_pretrained$"):
        LSTM.from_pretrained("world")
    with pytest.raises(FileNotFoundError, match="no model folder"):
        load(tmp_path / "nowhere")
    config = json.loads((tmp_path / "lstm" / "config.json").read_text())
    (tmp_path / "lstm" / "config.json").write_text(json.dumps(config | {"n_units": 11}))
    with pytest.raises(ValueError, match="the configuration asks for"):
        load(tmp_path / "lstm")


def test_bad_shapes_and_ids_are_refused_in_one_line():
    for ids, says in [([[31]], "token id 31 is outside"), ([[]], "at least one token"), ([[0] * 13], "13 tokens do not fit")]:
        with pytest.raises(ValueError, match=says):
            shaken()(torch.tensor(ids, dtype=torch.long))
    with pytest.raises(ValueError, match="LSTMConfig: n_units must be a positive whole number, not 0"):
        LSTMConfig(n_units=0)
    with pytest.raises(ValueError, match="unknown preset 'lstm'"):
        config_of("lstm")


def test_the_trainer_trains_it_unchanged():
    torch.manual_seed(0)
    model = LSTM(LSTMConfig(vocab_size=31, n_positions=12, n_embd=16, n_units=32, dropout=0.0))
    tokens = np.tile(np.arange(31), 200).astype(np.uint16)
    config = TrainConfig(steps=250, batch_size=8, warmup=5, learning_rate=2e-2, precision="fp32", eval_every=250)
    log = train(model, tokens, tokens, config, progress=False)
    assert log[0]["loss"] == pytest.approx(np.log(31), abs=0.1) and log[-1]["val_loss"] < 0.5


def test_pretrain_makes_a_run_folder_that_loads_and_resumes(tmp_path):
    (tmp_path / "book.txt").write_text("The old hen sat on the wall. " * 400, encoding="utf-8")
    command = ["pretrain", "--preset", "world-lstm", "--data", "book.txt", "--steps", 4, "--batch-size", 2, "--vocab-size", 270,
               "--out", "run", "--precision", "fp32", "--quiet"]
    done = minigpt(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    model = load(tmp_path / "run")
    assert type(model) is LSTM and model.config.vocab_size == 270 and "finetune --model run" in done.stdout
    assert minigpt(tmp_path, *command, "--resume").returncode == 0
    wrote = minigpt(tmp_path, "generate", "--model", "run", "--prompt", "The old hen", "--temperature", 0, "--max-new-tokens", 8)
    assert wrote.returncode == 0 and wrote.stdout.startswith("The old hen") and len(wrote.stdout) > 15
