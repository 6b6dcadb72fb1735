"""Fine-tuning: the step against transformers and against hand-made loops, the quirks against OpenAI's code re-derived, runs."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional as F

from minigpt import GPT, GPTConfig, finetune, tasks
from minigpt.finetune import FinetuneConfig, Run, batches, transfer, warmup_linear
from minigpt.model import LSTM, LSTMConfig
from minigpt.objective import OpenAIClassifier, decide, losses, targets
from minigpt.tasks import Classifier, Example, add_specials, collate

transformers.logging.set_verbosity_error()
S, D, E = 60, 61, 62
SMALL = dict(vocab_size=60, n_positions=12, n_layer=2, n_head=2, n_embd=16, dropout=0.0)
MODELS = {
    "gpt1": lambda: GPT(GPTConfig(**SMALL, pre_norm=False)),
    "gpt2": lambda: GPT(GPTConfig(**SMALL)),
    "lstm": lambda: LSTM(LSTMConfig(vocab_size=60, n_positions=12, n_embd=16, n_units=20, dropout=0.0)),
}
BATCHES = {  # lengths differ inside an example and between examples
    "classification": [[[S, 5, 6, 7, E]], [[S, 8, E]], [[S, 9, 9, 4, 3, 2, E]]],
    "entailment": [[[S, 5, D, 9, E]], [[S, 8, 3, D, 4, 4, E]]],
    "similarity": [[[S, 5, 6, D, 9, E], [S, 9, D, 5, 6, E]], [[S, 8, D, 7, E], [S, 7, D, 8, E]]],
    "choice": [[[S, 5, D, 9, E], [S, 5, D, 9, 8, 7, E]], [[S, 1, 2, D, 2, E], [S, 1, 2, D, 3, 3, E]]],
}


def shaken(module: nn.Module, seed=3) -> nn.Module:
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return module.eval()


def classifier_of(kind="gpt1", fmt="choice", n=2) -> Classifier:
    torch.manual_seed(0)
    return shaken(Classifier(add_specials(MODELS[kind]()), 1 if fmt == "choice" else n, fmt))


def grads(module, loss):
    return dict(zip([n for n, _ in module.named_parameters()],
                    torch.autograd.grad(loss, list(module.parameters()), allow_unused=True), strict=True))


# -- the step -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gpt1", "gpt2"])
def test_loss_and_gradients_equal_transformers(kind, tmp_path):
    """OpenAIGPTDoubleHeadsModel and its GPT-2 sister, on rows of equal length, where their averages and ours are the same."""
    ours = classifier_of(kind)
    ours.model.save_pretrained(tmp_path)
    family = {"gpt1": transformers.OpenAIGPTDoubleHeadsModel, "gpt2": transformers.GPT2DoubleHeadsModel}[kind]
    theirs = family.from_pretrained(tmp_path, num_labels=1).eval()
    theirs.multiple_choice_head.summary.load_state_dict(ours.head.state_dict())
    torch.manual_seed(1)
    ids = torch.randint(60, (4, 3, 9))
    ids[..., 0], ids[..., 5], ids[..., 8] = S, D, E
    last, label = torch.full((4, 3), 8), torch.tensor([0, 2, 1, 1])
    task, lm, logits = losses(ours, ids, last, label)
    found = theirs(ids, mc_token_ids=last, labels=ids, mc_labels=label)
    for mine, reference in ((task, found.mc_loss), (lm, found.loss), (logits, found.mc_logits)):
        torch.testing.assert_close(mine, reference, atol=1e-5, rtol=1e-5)
    mine, reference = grads(ours, task + 0.5 * lm), grads(theirs, found.mc_loss + 0.5 * found.loss)
    names = {"wte": "transformer.tokens_embed", "wpe": "transformer.positions_embed"} if kind == "gpt1" else {}
    checked = 0
    for name, gradient in mine.items():
        top, rest = name.removeprefix("model.").split(".", 1)
        place = "multiple_choice_head.summary" if top == "head" else names.get(top, f"transformer.{top}")
        other = reference[f"{place}.{rest}"]
        turned = name.endswith("weight") and gradient.dim() == 2 and top == "h"
        torch.testing.assert_close(gradient.T if turned else gradient, other, atol=1e-5, rtol=1e-4)
        checked += 1
    assert checked == len(list(theirs.parameters()))


@pytest.mark.parametrize("kind", list(MODELS))
@pytest.mark.parametrize("fmt", tasks.FORMATS)
def test_losses_equal_a_loop_over_single_sequences(kind, fmt):
    """One sequence at a time there is no padding, extract is the last place, and nothing can be read from anywhere else."""
    ours, batch = classifier_of(kind, fmt), BATCHES[fmt]
    label = torch.tensor([1, 0, 1][:len(batch)])
    logits, texts = [], []
    for group in batch:
        states = [ours.model.hidden(torch.tensor([ids]))[0] for ids in group]
        for ids, h in zip(group, states, strict=True):
            texts.append(F.cross_entropy(h[:-1] @ ours.model.wte.weight.T, torch.tensor(ids[1:])))
        if fmt == "choice":
            logits.append(torch.cat([ours.head(h[-1]) for h in states]))
        else:
            logits.append(ours.head(sum(h[-1] for h in states)))
    expected = F.cross_entropy(torch.stack(logits), label)
    for pad in (0, E):
        task, lm, _ = losses(ours, *collate(batch, pad), label)
        torch.testing.assert_close(task, expected)
        torch.testing.assert_close(lm, sum(texts) / len(texts))
    assert losses(ours, *collate(batch), label, auxiliary=False)[1] == 0


def made_run(config, fmt="choice", kind="gpt1", n=2, classifier=None):
    task = {"choice": "cloze", "classification": "sentiment", "similarity": "paraphrase", "entailment": "entailment"}[fmt]
    batch = BATCHES[fmt]
    return Run(classifier or classifier_of(kind, fmt, n), tasks.get(task), batch, torch.tensor([1, 0, 1][:len(batch)]), config)


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 2.0])
def test_the_update_minimises_l2_plus_lambda_l1(coefficient):
    run = made_run(FinetuneConfig(lm_coefficient=coefficient, clip=1e9, classifier_dropout=0.0))
    run.classifier.drop.p = 0.0
    rows = run.order[0]
    task, lm, _ = losses(run.classifier, *collate([run.sequences[i] for i in rows]), run.target[rows])
    expected = grads(run.classifier, task + coefficient * lm)
    seen = {}
    run.optimiser.register_step_pre_hook(lambda *_: seen.update({n: p.grad.clone() for n, p in run.classifier.named_parameters()}))
    assert run.update() == pytest.approx((task + coefficient * lm).item(), rel=1e-6)
    for name, gradient in expected.items():
        torch.testing.assert_close(seen[name], gradient, atol=1e-7, rtol=1e-5)


def test_the_schedule_is_that_of_the_released_code():
    for x in (0.0, 0.0005, 0.001, 0.002, 0.0021, 0.3, 0.999):
        rises = float(x <= 0.002)
        assert warmup_linear(x, 0.002) == pytest.approx((rises * (x / 0.002) + (1 - rises)) * (1 - x))
    assert warmup_linear(0.0, 0.0) == 1 and warmup_linear(0.5, 0.0) == 0.5
    run, rates = made_run(FinetuneConfig(learning_rate=1.0, epochs=4, batch_size=1)), []
    run.optimiser.register_step_pre_hook(lambda *_: rates.append([g["lr"] for g in run.optimiser.param_groups]))
    for _ in range(run.total):
        if run.step == run.per_epoch * (len(run.log) + 1):
            run._new_epoch()
        run.update()
    assert run.total == 8 and rates == [[0, 0]] + [[1 - t / 8] * 2 for t in range(1, 8)]


def test_decay_spares_biases_and_gains_and_gradients_are_clipped():
    run, seen = made_run(FinetuneConfig(weight_decay=0.25)), []
    decayed, free = run.optimiser.param_groups
    assert decayed["weight_decay"] == 0.25 and free["weight_decay"] == 0 and all(p.dim() >= 2 for p in decayed["params"])
    assert any(p is run.classifier.model.wte.weight for p in decayed["params"]), "the code decays embeddings too"
    assert len(decayed["params"]) + len(free["params"]) == len(list(run.classifier.parameters()))
    with torch.no_grad():
        run.classifier.head.weight.mul_(100)
    run.optimiser.register_step_pre_hook(
        lambda *_: seen.append(torch.cat([p.grad.flatten() for p in run.classifier.parameters()]).norm()))
    run.update()
    assert seen[0] == pytest.approx(1.0, abs=1e-4)


def test_the_papers_settings_are_the_defaults():
    assert FinetuneConfig() == FinetuneConfig(
        learning_rate=6.25e-5, batch_size=32, epochs=3, warmup=0.002, lm_coefficient=0.5, classifier_dropout=0.1, dropout=0.1,
        weight_decay=0.01, betas=(0.9, 0.999), clip=1.0)


# -- the released code's quirks -------------------------------------------------------------------------------------------------


def openai_model(classifier, batch, labels, n_ctx):
    """OpenAI's `model` with dropout 0, by hand: X holds a token and a position row for each place, M marks the real ones."""
    lm = classifier.model
    we = torch.cat([lm.wte.weight, lm.wpe.weight])[:lm.config.vocab_size + n_ctx]
    x, m = torch.zeros(len(batch), 2, n_ctx, 2, dtype=int), torch.zeros(len(batch), 2, n_ctx)
    for i, pair in enumerate(batch):
        for j, ids in enumerate(pair):
            x[i, j, :len(ids), 0], m[i, j, :len(ids)] = torch.tensor(ids), 1
    x[..., 1] = torch.arange(n_ctx) + lm.config.vocab_size
    x, m = x.view(-1, n_ctx, 2), m.view(-1, n_ctx)
    h = we[x].sum(2)
    for block in lm.h:
        c = F.linear(h, block.attn.c_attn.weight, block.attn.c_attn.bias)
        q, k, v = (t.view(*t.shape[:2], 2, 8).transpose(1, 2) for t in c.split(16, -1))
        w = q @ k.transpose(2, 3) * 8 ** -0.5
        b = torch.ones(n_ctx, n_ctx).tril()
        a = ((w * b - 1e9 * (1 - b)).softmax(-1) @ v).transpose(1, 2).reshape(h.shape)
        a = F.linear(a, block.attn.c_proj.weight, block.attn.c_proj.bias)
        n = F.layer_norm(h + a, (16,), block.ln_1.weight, block.ln_1.bias)
        f = F.linear(n, block.mlp.c_fc.weight, block.mlp.c_fc.bias)
        f = 0.5 * f * (1 + torch.tanh(math.sqrt(2 / math.pi) * (f + 0.044715 * f**3)))
        f = F.linear(f, block.mlp.c_proj.weight, block.mlp.c_proj.bias)
        h = F.layer_norm(n + f, (16,), block.ln_2.weight, block.ln_2.bias)
    lm_losses = F.cross_entropy((h[:, :-1] @ we.T).transpose(1, 2), x[:, 1:, 0], reduction="none")
    lm_losses = (lm_losses * m[:, 1:]).sum(1) / m[:, 1:].sum(1)
    at = (x[..., 0] == E).float().argmax(1)
    clf_logits = classifier.head(h[torch.arange(len(h)), at]).view(-1, 2)
    return F.cross_entropy(clf_logits, labels), lm_losses.mean()


def quirky(dropout=0.0, classifier_dropout=0.0, positions=9, fmt="choice"):
    torch.manual_seed(0)
    lm = GPT(GPTConfig(**SMALL | dict(dropout=dropout), pre_norm=False))
    return shaken(OpenAIClassifier(add_specials(lm), 1 if fmt == "choice" else 2, fmt, classifier_dropout, positions)).train()


def test_quirks_equal_openais_forward_pass_and_gradients():
    ours, label = quirky(), torch.tensor([1, 0])
    task, lm, _ = losses(ours, *collate(BATCHES["choice"]), label)
    reference = openai_model(ours, BATCHES["choice"], label, 9)
    torch.testing.assert_close(torch.stack([task, lm]), torch.stack(reference), atol=1e-6, rtol=1e-5)
    expected = grads(ours, reference[0] + 0.5 * reference[1])
    for name, gradient in grads(ours, task + 0.5 * lm).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)
    plain = losses(classifier_of(), *collate(BATCHES["choice"]), label)[1]
    assert lm > plain + 0.01, "position rows take some of the probability"
    assert expected["model.wpe.weight"][7:9].abs().sum() > 0, "rows that stand at no place are still pushed away"


def test_quirks_drop_the_embedding_matrix_and_read_with_the_same():
    ours, label = quirky(dropout=0.4, classifier_dropout=0.3), torch.tensor([1, 0])
    ids, last = collate(BATCHES["choice"])
    torch.manual_seed(5)
    task, lm, _ = losses(ours, ids, last, label)
    used = ours.matrix
    assert 0.3 < (used == 0).float().mean() < 0.5 and used.shape == (63 + 9, 16)
    torch.manual_seed(5)  # the same noise, drawn in the code's order: the matrix, the blocks, the classifier
    we = F.dropout(torch.cat([ours.model.wte.weight, ours.model.wpe.weight[:9]]), 0.4)
    h = we[ids.flatten(0, 1)] + we[63:63 + ids.shape[2]]
    for block in ours.model.h:
        h = block(h)
    read = h[torch.arange(4), last.flatten()].view(2, 2, 16) * F.dropout(torch.ones(2, 1, 16), 0.3)
    torch.testing.assert_close(task, F.cross_entropy(ours.head(read)[..., 0], label))
    texts = [F.cross_entropy(h[i, :n] @ we.T, ids.view(4, -1)[i, 1:n + 1]) for i, n in enumerate(last.flatten())]
    torch.testing.assert_close(lm, sum(texts) / 4)


def test_quirks_share_the_classifiers_noise_between_choices():
    ids, last = collate([[[S, 5, D, 6, E]] * 2] * 8)
    shared = quirky(classifier_dropout=0.5)(ids, last)[0]
    own = classifier_of().train()
    own.drop.p = 0.5
    own = own(ids, last)[0]
    torch.testing.assert_close(shared[:, 0], shared[:, 1])
    assert ((own[:, 0] - own[:, 1]).abs() > 1e-3).all() and shared[:, 0].std() > 1e-3


def test_quirks_follow_the_codes_adam():
    """opt.py: decay times the bias-corrected rate, epsilon beside the uncorrected root, the rate of t finished updates."""
    config = FinetuneConfig(learning_rate=0.01, weight_decay=0.1, clip=1e9, epochs=8, quirks="openai", lm_coefficient=0.0)
    run = made_run(config, "classification", classifier=quirky(fmt="classification"))
    weights = {n: p.detach().clone() for n, p in run.classifier.named_parameters()}
    m, v = ({n: torch.zeros_like(p) for n, p in weights.items()} for _ in range(2))
    batch, label = collate(BATCHES["classification"]), torch.tensor([1, 0, 1])
    twin = quirky(fmt="classification")
    for t in range(4):
        twin.load_state_dict(weights, strict=False)
        with torch.no_grad():
            twin.model.lm_head.weight = twin.model.wte.weight
        gradient = grads(twin, losses(twin, *batch, label, False)[0])
        rate = 0.01 * warmup_linear(t / 8, 0.002) * math.sqrt(1 - 0.999 ** (t + 1)) / (1 - 0.9 ** (t + 1))
        for n, p in weights.items():
            g = gradient[n] if gradient[n] is not None else torch.zeros_like(p)
            m[n], v[n] = 0.9 * m[n] + 0.1 * g, 0.999 * v[n] + 0.001 * g * g
            weights[n] = p - rate * (m[n] / (v[n].sqrt() + 1e-8) + (0.1 * p if p.dim() > 1 else 0))
        run.update()
        run._new_epoch()
        for n, p in run.classifier.named_parameters():
            if not n.endswith("c_attn.bias"):  # a bias of the keys moves no softmax: its gradient is rounding noise
                torch.testing.assert_close(p.detach(), weights[n], atol=2e-6, rtol=1e-4, msg=f"{n} after update {t + 1}")


def test_quirks_cut_each_text_to_half_the_context_and_drop_the_last_batch(trained):
    long = Example((" ".join(["the old hen"] * 30), "a cat"), (), 1)
    ids = finetune.encode(trained, tasks.get("entailment"), [long], 24, "openai")[0][0]
    assert ids.index(trained.vocab_size + 1) == 1 + 24 // 2 - 2
    assert len(finetune.encode(trained, tasks.get("entailment"), [long], 24)[0][0]) == 24
    assert sorted(map(len, batches(np.ones(70), 32, 0, 0, truncate=True))) == [32, 32]
    assert sorted(map(len, batches(np.ones(70), 32, 0, 0))) == [6, 32, 32]
    assert len(batches(np.ones(5), 32, 0, 0, truncate=True)[0]) == 5, "a set smaller than a batch is still trained on"


def test_quirks_need_a_transformer():
    for lm in (MODELS["lstm"](), GPT(GPTConfig(**SMALL, tie_word_embeddings=False))):
        with pytest.raises(ValueError, match="leave out quirks for another model"):
            OpenAIClassifier(add_specials(lm), 1, "choice", 0.1, 5)


# -- labels, transfer, batches --------------------------------------------------------------------------------------------------


def test_a_number_becomes_a_distribution_and_back():
    task = tasks.get("stsb")
    values = [0.0, 0.25, 3.6, 4.999, 5.0]
    soft = targets(task, [Example(("a", "b"), (), v) for v in values])
    assert task.n_outputs == 6 and soft.shape == (5, 6)
    for row, v in zip(soft.tolist(), values, strict=True):  # Tai et al. (2015), section 5.2, with classes 0 to 5
        p = [0.0] * 6
        p[math.floor(v)] = math.floor(v) - v + 1
        if v != math.floor(v):
            p[math.floor(v) + 1] = v - math.floor(v)
        assert row == pytest.approx(p, abs=1e-6)
    with np.errstate(divide="ignore"):
        assert decide(task, np.log(soft.numpy())) == pytest.approx(values, abs=1e-5)
    assert decide(tasks.get("rte"), np.array([[0.1, 0.3], [2.0, 1.0]])).tolist() == [1, 0]
    with pytest.raises(ValueError, match="rte: these examples' labels are secret"):
        targets(tasks.get("rte"), [Example(("a", "b"), (), None)])


@pytest.mark.parametrize("kind", list(MODELS))
def test_transfer_copies_the_embeddings_and_the_first_blocks(kind):
    old = shaken(MODELS[kind]())
    depth = 1 if kind == "lstm" else 2
    nothing = transfer(old, -1, seed=4).state_dict()
    for layers in (-1, 0, 1, 2, None)[:None if depth == 2 else 3] + (() if depth == 2 else (None,)):
        new = transfer(old, layers, seed=4, dropout=0.3)
        assert new.config == replace(old.config, dropout=0.3) and new.lm_head.weight is new.wte.weight
        k = depth if layers is None else layers
        for name, value in new.state_dict().items():
            block = int(name.split(".")[1]) + 1 if name.startswith("h.") else 0 if name[:3] in ("wte", "wpe", "lm_") else depth
            assert torch.equal(value, old.state_dict()[name] if block <= k else nothing[name]), name
    assert not torch.equal(nothing["wte.weight"], old.wte.weight), "no pre-training: another initialisation"
    with pytest.raises(ValueError, match=f"from -1 .from scratch. to {depth} .all of them., not 3"):
        transfer(old, 3)


def test_batches_use_every_example_once_and_keep_neighbours_in_length_together():
    lengths = np.random.default_rng(0).integers(3, 60, 1000)
    for epoch in (0, 1):
        found = batches(lengths, 16, 7, epoch)
        assert sorted(np.concatenate(found)) == list(range(1000))
    padded = sum(len(rows) * lengths[rows].max() for rows in found)
    assert padded < 1.15 * lengths.sum() < 0.8 * len(lengths) * lengths.max()
    assert [list(b) for b in batches(lengths, 16, 7, 1)] == [list(b) for b in found]
    assert [list(b) for b in batches(lengths, 16, 7, 2)] != [list(b) for b in found]


# -- whole runs -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(trained):
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=trained.vocab_size, n_positions=40, n_layer=2, n_head=2, n_embd=16, dropout=0.0)).eval()


TASK = "sentiment"
QUICK = FinetuneConfig(learning_rate=3e-3, batch_size=8, epochs=3, checkpoint_every=3)


def examples(n, split="train"):
    return tasks.read(TASK, split, n)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_learns_moves_everything_and_leaves_the_model_alone(tiny, trained):
    before = {n: p.clone() for n, p in tiny.state_dict().items()}
    learn = examples(48)
    result = finetune.finetune(tiny, trained, TASK, learn, learn, replace(QUICK, epochs=12), progress=False)
    assert result.dev["accuracy"] > 90 and not result.classifier.training
    assert all(torch.equal(p, before[n]) for n, p in tiny.state_dict().items())
    for name, p in result.classifier.model.state_dict().items():
        old = before[name]
        assert not torch.equal(p[:len(old)], old), f"{name} stood still"
    assert [row["epoch"] for row in result.log] == list(range(1, 13))
    assert result.log[-1]["task_loss"] < result.log[0]["task_loss"] and result.log[-1]["lm_loss"] < result.log[0]["lm_loss"]
    assert finetune.evaluate(result.classifier, trained, TASK, learn) == result.dev == result.log[result.best_epoch - 1]["dev"]
    best = [row["dev"]["accuracy"] for row in result.log]
    assert result.best_epoch == 1 + best.index(max(best))


def test_predictions_come_in_the_order_of_the_examples(tiny, trained):
    torch.manual_seed(0)
    classifier = shaken(Classifier(add_specials(tiny), 2, "classification"))
    given = examples(30, "test")
    together = finetune.predict(classifier, trained, TASK, given, batch_size=7)
    alone = np.concatenate([finetune.predict(classifier, trained, TASK, [example]) for example in given])
    assert alone.std(0).min() > 0.01, "examples that all score alike would hide a wrong order"
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_the_same_seed_gives_the_same_run(tiny, trained):
    one, two, other = (finetune.finetune(tiny, trained, TASK, examples(20), examples(8, "validation"), replace(QUICK, seed=seed),
                                         progress=False) for seed in (1, 1, 2))
    assert same(one.classifier, two.classifier) and one.log == two.log
    assert not same(one.classifier, other.classifier)


@pytest.mark.parametrize("stop", [2, 3, 4, 8])
def test_killed_and_resumed_to_the_same_bits(tiny, trained, tmp_path, monkeypatch, stop):
    """9 updates with dropout, a checkpoint at every third; the kill falls before, on, between and after them."""
    given = (tiny, trained, TASK, examples(24), examples(8, "validation"), replace(QUICK, checkpoint_every=2))
    straight = finetune.finetune(*given, progress=False)
    update = Run.update

    def killed(run):
        if run.step == stop:
            raise KeyboardInterrupt
        return update(run)

    monkeypatch.setattr(Run, "update", killed)
    with pytest.raises(KeyboardInterrupt):
        finetune.finetune(*given, out=tmp_path, progress=False)
    steps = []
    monkeypatch.setattr(Run, "update", lambda run: (steps.append(run.step), update(run))[1])
    again = finetune.finetune(*given, out=tmp_path, resume=True, progress=False)
    assert same(again.classifier, straight.classifier) and again.log == straight.log and again.best_epoch == straight.best_epoch
    assert steps[0] == max(s for s in (0, 2, 3, 4, 6, 8) if s <= stop) and steps[-1] == 8
    steps.clear()
    done = finetune.finetune(*given, out=tmp_path, resume=True, progress=False)
    assert not steps and same(done.classifier, straight.classifier) and done.log == straight.log


def test_resuming_something_else_is_refused(tiny, trained, tmp_path):
    dev = examples(8, "validation")
    finetune.finetune(tiny, trained, TASK, examples(16), dev, QUICK, out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="started with learning_rate 0.003, not 0.1; resume with the same settings"):
        finetune.finetune(tiny, trained, TASK, examples(16), dev, replace(QUICK, learning_rate=0.1), tmp_path, True, False)
    with pytest.raises(ValueError, match="started with training set 16 examples"):
        finetune.finetune(tiny, trained, TASK, examples(17), dev, QUICK, tmp_path, True, False)


def test_a_loss_that_is_not_a_number_is_one_line(tiny, trained):
    with pytest.raises(FloatingPointError, match="sentiment: the loss is nan at step .* of 9; lower the learning rate .now 1e.30."):
        wild = replace(QUICK, learning_rate=1e30, clip=1e30)
        finetune.finetune(tiny, trained, TASK, examples(24), examples(8), wild, progress=False)


def test_saved_and_loaded(tiny, trained, tmp_path):
    dev = tasks.read("paraphrase", "validation", 10)
    result = finetune.finetune(tiny, trained, "paraphrase", tasks.read("paraphrase", "train", 8), dev, replace(QUICK, epochs=1),
                               progress=False)
    finetune.save_classifier(result.classifier, trained, tasks.get("paraphrase"), tmp_path)
    classifier, bpe, task = finetune.load_classifier(tmp_path)
    assert task.name == "paraphrase" and same(classifier, result.classifier) and not classifier.training
    assert finetune.evaluate(classifier, bpe, task, dev) == result.dev
    with pytest.raises(FileNotFoundError, match="head.safetensors: no such file; python -m minigpt finetune writes one"):
        finetune.load_classifier(tmp_path / "nowhere")


def test_impossible_requests_are_one_line(tiny, trained):
    dev = examples(4)
    secret = [Example(("a",), (), None)]
    for request, says in [
        (lambda: finetune.finetune(tiny, trained, TASK, [], dev, QUICK), "there are no training examples$"),
        (lambda: finetune.finetune(tiny, trained, TASK, dev, [], QUICK), "no development examples; they choose the epoch"),
        (lambda: finetune.finetune(tiny, trained, TASK, secret, dev, QUICK), "labels are secret"),
        (lambda: finetune.finetune(tiny, trained, TASK, dev, secret, QUICK), "labels are secret"),
        (lambda: finetune.finetune(tiny, trained, "sentimental", dev, dev, QUICK), "unknown task 'sentimental'"),
        (lambda: finetune.finetune(MODELS["gpt2"](), trained, TASK, dev, dev, QUICK), "has 60 entries, the tokeniser's 600"),
        (lambda: finetune.finetune(tiny, trained, TASK, dev, dev, replace(QUICK, layers=9)), "not 9"),
        (lambda: FinetuneConfig(epochs=0), "epochs must be at least 1"),
        (lambda: FinetuneConfig(lm_coefficient=-1), "must not be negative"),
        (lambda: FinetuneConfig(quirks="google"), "unknown quirks 'google'"),
        (lambda: FinetuneConfig(precision="fp16"), "unknown precision 'fp16'")]:
        with pytest.raises(ValueError, match=says):
            request()
