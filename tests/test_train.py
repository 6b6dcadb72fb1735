"""Training: the schedule, accumulation, resuming after a kill, and what happens when things go wrong."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch

from minigpt import GPT, GPTConfig, checkpoint
from minigpt.train import TrainConfig, Trainer, evaluate, learning_rate, parameter_groups, pick_precision, read_log, train

SHAPE = GPTConfig(vocab_size=40, n_positions=16, n_layer=2, n_head=2, n_embd=16, dropout=0.1)
QUICK = dict(steps=30, batch_size=8, warmup=5, precision="fp32", log_every=1, eval_every=10, checkpoint_every=5)
TOKENS = np.random.default_rng(0).integers(0, 40, 5000).astype(np.uint16)


def fresh(seed=0, **changes) -> GPT:
    torch.manual_seed(seed)
    return GPT(GPTConfig(**(SHAPE.__dict__ | changes)))


def same_weights(a: GPT, b: GPT) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_schedule_is_warm_up_then_cosine():
    config = TrainConfig(steps=1100, warmup=100, learning_rate=1.0)
    assert learning_rate(0, config) == 0.01 and learning_rate(99, config) == 1.0
    assert learning_rate(100, config) == 1.0
    assert learning_rate(600, config) == pytest.approx(0.5)
    assert learning_rate(1099, config) == pytest.approx(0, abs=1e-5)
    assert all(learning_rate(s, config) > learning_rate(s + 1, config) for s in range(100, 1099))


def test_decay_falls_on_matrices_only():
    model = fresh()
    decayed, free = (sum(p.numel() for p in g["params"]) for g in parameter_groups(model, 0.01))
    assert decayed + free == model.n_params()
    assert free == sum(p.numel() for n, p in model.named_parameters() if n.endswith("bias") or "ln_" in n)


def test_update_is_decoupled_adam_by_hand():
    """GPT-1 section 4.1 and its reference [37]: w <- w - lr (m / (sqrt(v) + eps) + decay w), with bias correction."""
    config = TrainConfig(**QUICK | dict(steps=3, warmup=2, weight_decay=0.5, clip=1e9))
    trainer = Trainer(fresh(dropout=0.0), TOKENS, config)
    name, w = "h.0.mlp.c_fc.weight", trainer.model.h[0].mlp.c_fc.weight
    m = v = torch.zeros_like(w)
    expected = w.detach().clone()
    for t in range(3):
        x, y = trainer._batch(t)
        grad = torch.autograd.grad(trainer.model.loss(x, y), w)[0]
        m, v = 0.9 * m + 0.1 * grad, 0.99 * v + 0.01 * grad**2
        rate = learning_rate(t, config)
        step = (m / (1 - 0.9 ** (t + 1))) / ((v / (1 - 0.99 ** (t + 1))).sqrt() + 1e-8)
        expected = expected * (1 - rate * 0.5) - rate * step
        trainer.update()
        torch.testing.assert_close(trainer.model.state_dict()[name], expected, atol=1e-5, rtol=1e-5)


def test_gradients_are_clipped_to_norm_one():
    trainer = Trainer(fresh(), TOKENS, TrainConfig(**QUICK))
    seen = []
    trainer.optimiser.register_step_pre_hook(
        lambda *_: seen.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]).norm()))
    with torch.no_grad():
        trainer.model.wte.weight.mul_(100)
    trainer.update()
    assert seen[0] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("micro", [1, 2, 4])
def test_accumulation_equals_the_large_batch(micro):
    whole, parts = fresh(dropout=0.0), fresh(dropout=0.0)
    log = train(whole, TOKENS, config=TrainConfig(**QUICK), progress=False)
    log_parts = train(parts, TOKENS, config=TrainConfig(**QUICK, micro_batch=micro), progress=False)
    for a, b in zip(log, log_parts, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-5)


def test_it_learns_and_evaluates():
    tokens = np.tile(np.arange(40), 200).astype(np.uint16)
    model = fresh(dropout=0.0)
    before = evaluate(model, tokens)
    log = train(model, tokens, tokens, TrainConfig(**QUICK | dict(steps=150, learning_rate=1e-2)), progress=False,
                bytes_per_token=2.0)
    assert before > 3.5 and log[-1]["val_loss"] < 0.5
    assert log[-1]["val_bits_per_byte"] == pytest.approx(log[-1]["val_loss"] / np.log(2) / 2)


RUN = """
import sys, numpy as np, torch
from tests.test_train import QUICK, TOKENS, fresh
from minigpt.train import TrainConfig, train
model = fresh()
config = TrainConfig(**QUICK | dict(steps=int(sys.argv[3])))
train(model, TOKENS, TOKENS, config, out=sys.argv[1], resume=sys.argv[2] == "1", progress=False)
torch.save(model.state_dict(), sys.argv[1] + "/final.pt")
"""


def launch(folder, resume, steps=400):
    return subprocess.Popen([sys.executable, "-c", RUN, str(folder), str(int(resume)), str(steps)], stderr=subprocess.PIPE)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_at_a_random_moment_resumes_to_the_same_bits(tmp_path):
    straight = launch(tmp_path / "straight", False)
    killed = launch(tmp_path / "killed", False)
    while not list((tmp_path / "killed" / "checkpoints").glob("*.sha256")):
        assert killed.poll() is None, killed.stderr.read().decode()
        time.sleep(0.005)
    time.sleep(random.random() * 0.5)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert straight.wait() == 0, straight.stderr.read().decode()
    assert not (tmp_path / "killed" / "final.pt").exists(), "the run was over before it was killed"
    again = launch(tmp_path / "killed", True)
    assert again.wait() == 0, again.stderr.read().decode()
    ours, reference = (torch.load(tmp_path / f / "final.pt", weights_only=True) for f in ("killed", "straight"))
    assert all(torch.equal(ours[k], reference[k]) for k in reference)
    logs = [[(r["step"], r["loss"], r.get("val_loss")) for r in read_log(tmp_path / f)] for f in ("killed", "straight")]
    assert logs[0] == logs[1] and len(logs[0]) == 400


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path):
    reference = fresh()
    train(reference, TOKENS, config=TrainConfig(**QUICK), out=tmp_path, progress=False)
    newest = sorted((tmp_path / "checkpoints").glob("*.pt"))[-1]
    data = bytearray(newest.read_bytes())
    for damage in (data[:-200], data[:1000] + bytes([data[1000] ^ 1]) + data[1001:], b""):
        newest.write_bytes(damage)
        with pytest.warns(UserWarning, match=f"{newest.name} is truncated or damaged"):
            assert checkpoint.newest(tmp_path / "checkpoints")["step"] == 25
    model = fresh()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(model, TOKENS, config=TrainConfig(**QUICK), out=tmp_path, resume=True, progress=False)
    assert same_weights(model, reference)
    for path in (tmp_path / "checkpoints").glob("*.pt"):
        path.write_bytes(b"broken")
    with pytest.raises(ValueError, match="no checkpoint in .* is whole"), pytest.warns(UserWarning):
        checkpoint.newest(tmp_path / "checkpoints")


def test_resuming_with_other_settings_is_refused(tmp_path):
    train(fresh(), TOKENS, config=TrainConfig(**QUICK), out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="started with learning_rate 0.003, not 0.1"):
        train(fresh(), TOKENS, config=TrainConfig(**QUICK | dict(learning_rate=0.1)), out=tmp_path, resume=True, progress=False)


@pytest.mark.skipif(sys.platform == "win32", reason="needs file-size limits")
def test_a_full_disk_costs_a_checkpoint_but_not_the_run(tmp_path):
    limited = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" \
              "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n" + RUN.replace("torch.save", "print('done', len) #")
    run = subprocess.run([sys.executable, "-c", limited, str(tmp_path), "0", "12"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "done" in run.stdout and "no checkpoint at step 5" in run.stdout + run.stderr
    assert not list((tmp_path / "checkpoints").iterdir()), "half-written files must not stay"


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_checkpoints(tmp_path):
    model = fresh()
    config = TrainConfig(**QUICK)

    def poison(trainer):
        with torch.no_grad():
            trainer.model.wte.weight.fill_(float("nan"))

    with pytest.raises(FloatingPointError, match="the loss is nan at step 11: lower the learning rate"):
        train(model, TOKENS, TOKENS, config, out=tmp_path, progress=False, at_eval=poison)
    assert checkpoint.newest(tmp_path / "checkpoints") is not None


def test_two_processes_equal_one(tmp_path):
    script = tmp_path / "run.py"
    script.write_text("import torch.distributed as d, os\nd.init_process_group('gloo')\n" + RUN.replace(
        "fresh()", "fresh(dropout=0.0)").replace("torch.save", "if os.environ['RANK'] == '0': torch.save"))
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script),
               str(tmp_path / "two"), "0", "20"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    alone = fresh(dropout=0.0)
    train(alone, TOKENS, TOKENS, TrainConfig(**QUICK | dict(steps=20)), progress=False)
    for key, value in torch.load(tmp_path / "two" / "final.pt", weights_only=True).items():
        torch.testing.assert_close(value, alone.state_dict()[key], atol=1e-5, rtol=1e-4)


def test_the_precision_probe_leaves_no_trace():
    model, x = fresh(), torch.randint(40, (4, 16))
    before, rng = [p.clone() for p in model.parameters()], torch.get_rng_state()
    assert pick_precision(model, x, x, seconds=0.2) in ("fp32", "bf16")
    assert all(p.grad is None and torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
    assert torch.equal(torch.get_rng_state(), rng)


@pytest.mark.parametrize(("settings", "says"), [
    (dict(steps=0), "steps must be at least 1"), (dict(precision="fp8"), "unknown precision 'fp8'")])
def test_impossible_settings(settings, says):
    with pytest.raises(ValueError, match=says):
        TrainConfig(**settings)
    with pytest.raises(ValueError, match="not a multiple of micro_batch 3"):
        Trainer(fresh(), TOKENS, TrainConfig(**QUICK, micro_batch=3))
    with pytest.raises(ValueError, match="do not fill one window"):
        evaluate(fresh(), TOKENS[:5])


def test_the_log_survives_a_cut_last_line(tmp_path):
    (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0}) + '\n{"step": 2, "lo', encoding="utf-8")
    assert read_log(tmp_path) == [{"step": 1, "loss": 2.0}]
