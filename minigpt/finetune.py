"""Fine-tuning with the auxiliary objective (GPT-1 section 3.2): L3 = L2 + lambda * L1, the task's loss plus the texts' own.

    config = FinetuneConfig()                                   # the paper's settings; LAPTOP: those of the laptop model
    result = finetune(model, bpe, task, train, dev, config)     # the model itself is left as it was
    evaluate(result.classifier, bpe, task, test)

`quirks="openai"` follows OpenAI's released code where it and the paper differ; each place says how.
"""

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from minigpt import checkpoint, paper
from minigpt.bpe import BPE
from minigpt.model import GPT, LSTM, load
from minigpt.objective import OpenAIClassifier, decide, losses, targets
from minigpt.tasks import Classifier, Example, Task, add_specials, collate, get, scores, special_ids, transform
from minigpt.train import autocast, parameter_groups

POOL = 8  # batches whose examples are sorted by length together


@dataclass(frozen=True)
class FinetuneConfig:
    """Defaults: GPT-1 section 4.1 ("Fine-tuning details"), and its code for what the paper leaves out (betas, clip).

    lm_coefficient: lambda of L3. dropout: of the blocks and embeddings; classifier_dropout: before the head. warmup: share of all
    updates. layers: how many blocks start from the pre-trained ones (`transfer`). quirks: None or "openai".
    checkpoint_every: updates, besides the end of each epoch; it does not change the result.
    """

    learning_rate: float = paper.fact("gpt1-finetune-lr")
    batch_size: int = paper.fact("gpt1-finetune-batch")
    epochs: int = paper.fact("gpt1-finetune-epochs")
    warmup: float = paper.fact("gpt1-finetune-warmup")
    lm_coefficient: float = paper.fact("gpt1-lambda")
    classifier_dropout: float = 0.1
    dropout: float = paper.fact("gpt1-dropout")
    weight_decay: float = paper.fact("gpt1-weight-decay")
    betas: tuple[float, float] = paper.fact("gpt1-adam")[:2]
    clip: float = paper.fact("gpt1-clip")
    seed: int = 0
    layers: int | None = None
    quirks: str | None = None
    precision: str = "fp32"
    checkpoint_every: int = 500

    def __post_init__(self):
        for name in ("batch_size", "epochs", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, it is {getattr(self, name)}")
        if self.lm_coefficient < 0:
            raise ValueError(f"lm_coefficient must not be negative, it is {self.lm_coefficient}")
        if self.quirks not in (None, "openai"):
            raise ValueError(f"unknown quirks {self.quirks!r}; choose 'openai' or None")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"unknown precision {self.precision!r}; choose fp32 or bf16")


LAPTOP = FinetuneConfig(learning_rate=5e-4, batch_size=16, epochs=8, dropout=0.0)


@dataclass
class Result:
    """classifier: as it was after `best_epoch` (1-based), ready to evaluate; dev: its metrics; log: a dictionary for each epoch."""

    classifier: Classifier
    best_epoch: int
    dev: dict[str, float]
    log: list[dict]


def warmup_linear(done: float, warmup: float) -> float:
    """The factor of the learning rate when the share `done` of all updates lies behind: up to 1 until `warmup`, and down to 0.

    As OpenAI's code has it: the very first update has the rate 0, and the way down begins at the start, not after the warm-up.
    """
    return (done / warmup if done <= warmup and warmup else 1.0) * (1 - done)


@torch.no_grad()
def transfer(model: GPT | LSTM, layers: int | None = None, seed: int = 0, **changes) -> GPT | LSTM:
    """A fresh model whose embeddings and first `layers` blocks are copies of `model`'s (GPT-1 Figure 2 left).

    None copies everything, 0 the embeddings only, -1 nothing (no pre-training). GPT-2's last norm goes with the last block, and the
    LSTM's one layer counts as one block. changes: fields of the configuration to replace, such as dropout.
    """
    depth = getattr(model.config, "n_layer", 1)
    layers = depth if layers is None else layers
    if not -1 <= layers <= depth:
        raise ValueError(f"layers must be from -1 (from scratch) to {depth} (all of them), not {layers}")
    torch.manual_seed(seed)
    fresh = type(model)(replace(model.config, **changes)).to(model.wte.weight)
    own = fresh.state_dict()
    for name, tensor in model.state_dict().items():
        part = name.split(".")
        needs = {"wte": 0, "wpe": 0, "lm_head": 0, "h": int(part[1]) + 1 if part[0] == "h" else depth}.get(part[0], depth)
        if layers >= needs:
            own[name].copy_(tensor)
    return fresh


# -- a run --------------------------------------------------------------------------------------------------------------------


def encode(bpe: BPE, task: Task, examples: Sequence[Example], max_length: int, quirks: str | None = None) -> list[list[list[int]]]:
    """Each example's sequences of token ids (`tasks.transform`), at most max_length tokens each."""
    words = cache(bpe.encode)  # a premise or question often stands in several examples
    # OpenAI's code cuts each text to half the context less two tokens, also where the other one would leave room.
    text = (lambda t: words(t)[:max_length // 2 - 2]) if quirks else words
    return [transform(example, task.format, text, *special_ids(bpe.vocab_size), max_length) for example in examples]


def batches(lengths: np.ndarray, size: int, seed: int, epoch: int, truncate: bool = False) -> list[np.ndarray]:
    """The batches of an epoch, a function of its arguments: shuffled, with neighbours in length together to save padding.

    truncate: leave out the last, incomplete batch, as OpenAI's code does.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    if truncate and len(order) >= size:
        order = order[:len(order) // size * size]
    if len(order) > size * POOL:  # fewer would always meet the same neighbours
        pools = [order[i:i + size * POOL] for i in range(0, len(order), size * POOL)]
        order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    found = [order[i:i + size] for i in range(0, len(order), size)]
    return [found[i] for i in rng.permutation(len(found))]


class Run:
    """One fine-tuning: classifier, optimiser, step counter, log and the best epoch so far. `finetune` drives it."""

    def __init__(self, classifier: Classifier, task: Task, sequences: list, target: Tensor, config: FinetuneConfig):
        self.classifier, self.task, self.config = classifier, task, config
        self.sequences, self.target = sequences, target
        self.device = classifier.head.weight.device
        self.lengths = np.array([max(map(len, rows)) for rows in sequences])
        self.per_epoch = len(self._batches(0))
        self.total = self.per_epoch * config.epochs
        self.optimiser = torch.optim.AdamW(parameter_groups(classifier, config.weight_decay), lr=config.learning_rate,
                                           betas=config.betas, fused=True)
        self.step, self.log, self.best = 0, [], None
        self._new_epoch()

    def _batches(self, epoch: int) -> list[np.ndarray]:
        return batches(self.lengths, self.config.batch_size, self.config.seed, epoch, self.config.quirks == "openai")

    def _new_epoch(self) -> None:
        self.order = self._batches(self.step // self.per_epoch)
        self.sums, self.seen = [0.0, 0.0], []  # of L2 and L1; (examples, logits) as the epoch went, for the training score

    def update(self) -> float:
        """One step over a batch; returns its L3. Raises FloatingPointError if that is not a number."""
        config, rows = self.config, self.order[self.step % self.per_epoch]
        ids, last = (t.to(self.device) for t in collate([self.sequences[i] for i in rows]))
        self.classifier.train()
        with autocast(self.device, config.precision):
            task_loss, lm_loss, logits = losses(self.classifier, ids, last, self.target[rows].to(self.device),
                                                config.lm_coefficient > 0)
            loss = task_loss + config.lm_coefficient * lm_loss  # equation 5
        loss.backward()
        if not math.isfinite(value := loss.item()):
            raise FloatingPointError(f"{self.task.name}: the loss is {value} at step {self.step + 1} of {self.total}; lower the "
                                     f"learning rate (now {config.learning_rate:g}) or use fp32")
        nn.utils.clip_grad_norm_(self.classifier.parameters(), config.clip)
        self._set_rate()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.sums = [self.sums[0] + task_loss.item() * len(rows), self.sums[1] + lm_loss.item() * len(rows)]
        self.seen.append((rows.tolist(), logits.detach().float().cpu()))
        self.step += 1
        return value

    def _set_rate(self) -> None:
        config, t = self.config, self.step + 1
        for group, decay in zip(self.optimiser.param_groups, (config.weight_decay, 0.0), strict=True):
            group["lr"] = config.learning_rate * warmup_linear(self.step / self.total, config.warmup)
            if config.quirks == "openai":
                # The code multiplies the decay, too, by Adam's bias correction, and adds epsilon to the uncorrected root.
                second = math.sqrt(1 - config.betas[1] ** t)
                group["weight_decay"] = decay * second / (1 - config.betas[0] ** t)
                group["eps"] = paper.fact("gpt1-adam")[2] / second

    def end_epoch(self, bpe: BPE, dev: Sequence[Example]) -> None:
        """Score the epoch that was completed on the development set and keep the weights if they are the best so far."""
        rows = np.concatenate([part for part, _ in self.seen])
        logits = torch.cat([part for _, part in self.seen]).numpy()
        labels = self.target[rows].numpy()
        told = labels if self.task.labels else labels @ (np.arange(labels.shape[1]) + self.task.limits[0])
        metrics = evaluate(self.classifier, bpe, self.task, dev)
        row = {"epoch": self.step // self.per_epoch, "task_loss": self.sums[0] / len(rows), "lm_loss": self.sums[1] / len(rows),
               "train": scores(self.task.metrics, decide(self.task, logits), told), "dev": metrics}
        self.log.append(row)
        if self.best is None or metrics[self.task.metrics[0]] > self.best["dev"][self.task.metrics[0]]:
            weights = {name: tensor.detach().cpu().clone() for name, tensor in self.classifier.state_dict().items()}
            self.best = {"epoch": row["epoch"], "dev": metrics, "weights": weights}
        if self.step < self.total:
            self._new_epoch()

    def state(self) -> dict:
        """Everything that the next update depends on, and what was found so far."""
        return {"step": self.step, "classifier": self.classifier.state_dict(), "optimiser": self.optimiser.state_dict(),
                "log": self.log, "best": self.best, "sums": self.sums, "seen": self.seen, "settings": self._settings(),
                "rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else []}

    def _settings(self) -> dict:
        digest = zlib.crc32(json.dumps([self.sequences, self.target.tolist()]).encode())
        return asdict(self.config) | {"task": self.task.name, "training set": f"{len(self.sequences)} examples ({digest:08x})"}

    def restore(self, state: dict) -> None:
        """Continue from `state`; ValueError where anything that shapes the run has changed."""
        for key, now in self._settings().items():
            before = state["settings"].get(key)
            if key not in ("checkpoint_every", "betas") and before != now:
                raise ValueError(f"the run was started with {key} {before}, not {now}; resume with the same settings")
        self.classifier.load_state_dict(state["classifier"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.log, self.best = state["step"], state["log"], state["best"]
        if self.step < self.total:
            self._new_epoch()
        if self.step % self.per_epoch:
            self.sums, self.seen = state["sums"], state["seen"]
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"]:
            torch.cuda.set_rng_state_all(state["cuda_rng"])


def finetune(model: GPT | LSTM, bpe: BPE, task: Task | str, train: Sequence[Example], dev: Sequence[Example],
             config: FinetuneConfig | None = None, out: str | Path | None = None, resume: bool = False,
             progress: bool = True) -> Result:
    """Fine-tune a copy of a pre-trained model on a task; the epoch that scores best on `dev` by the task's first metric is kept.

    out: a folder for checkpoints; resume=True continues from the newest whole one to the same weights, bit for bit on the same
    device and thread count. The same seed gives the same run. Raises ValueError for examples that cannot be used and
    FloatingPointError if the loss stops being a number.
    """
    task, config = get(task) if isinstance(task, str) else task, config or FinetuneConfig()
    for name, examples in (("training", train), ("development", dev)):
        if not len(examples):
            raise ValueError(f"{task.name}: there are no {name} examples" + "; they choose the epoch" * (name == "development"))
    if model.config.vocab_size != bpe.vocab_size:
        raise ValueError(f"the model's vocabulary has {model.config.vocab_size} entries, the tokeniser's {bpe.vocab_size}")
    target = targets(task, train)
    targets(task, dev)
    longest = model.config.n_positions
    sequences = encode(bpe, task, train, longest, config.quirks)
    extended = add_specials(transfer(model, config.layers, config.seed, dropout=config.dropout))
    shape = (extended, task.n_outputs, task.format, config.classifier_dropout)
    if config.quirks == "openai":
        # The code shrinks its context, and with it the rows of the softmax, to the longest example of all.
        both = sequences + encode(bpe, task, dev, longest, config.quirks)
        classifier = OpenAIClassifier(*shape, positions=max(len(ids) for rows in both for ids in rows))
    else:
        classifier = Classifier(*shape)
    run = Run(classifier.to(model.wte.weight.device), task, sequences, target, config)
    folder = Path(out) / "checkpoints" if out is not None else None
    if folder is not None and resume and (state := checkpoint.newest(folder)) is not None:
        run.restore(state)
    bar = tqdm(total=run.total, initial=run.step, disable=not progress, unit="step", mininterval=0.5, desc=task.name)
    while run.step < run.total:
        loss = run.update()
        bar.update()
        ended = run.step % run.per_epoch == 0
        if ended:
            run.end_epoch(bpe, dev)
            bar.set_postfix_str(f"loss {loss:.3f}, dev {run.log[-1]['dev'][task.metrics[0]]:.1f}")
        if folder is not None and (ended or run.step % config.checkpoint_every == 0):
            checkpoint.save(folder, run.step, run.state())
    bar.close()
    classifier.load_state_dict(run.best["weights"])
    return Result(classifier.eval(), run.best["epoch"], run.best["dev"], run.log)


@torch.no_grad()
def predict(classifier: Classifier, bpe: BPE, task: Task | str, examples: Sequence[Example], batch_size: int = 64) -> np.ndarray:
    """Logits (n, outputs), of a choice (n, answers), in the order of the examples."""
    task = get(task) if isinstance(task, str) else task
    sequences = encode(bpe, task, examples, classifier.model.config.n_positions)
    order = np.argsort([max(map(len, rows)) for rows in sequences], kind="stable")
    device, was_training = classifier.head.weight.device, classifier.training
    classifier.eval()
    found = [None] * len(order)
    for i in range(0, len(order), batch_size):
        rows = order[i:i + batch_size]
        ids, last = collate([sequences[row] for row in rows])
        for row, logits in zip(rows, classifier(ids.to(device), last.to(device))[0].float().cpu().numpy(), strict=True):
            found[row] = logits
    classifier.train(was_training)
    return np.stack(found)


def evaluate(classifier: Classifier, bpe: BPE, task: Task | str, examples: Sequence[Example]) -> dict[str, float]:
    """The task's metrics, in points, on labelled examples."""
    task = get(task) if isinstance(task, str) else task
    return scores(task.metrics, decide(task, predict(classifier, bpe, task, examples)), [example.label for example in examples])


def save_classifier(classifier: Classifier, bpe: BPE, task: Task, folder: str | Path) -> None:
    """Write a fine-tuned model as a folder: the language model with its three new tokens, the tokeniser, and the head."""
    folder = Path(folder)
    classifier.model.save_pretrained(folder)
    bpe.save(folder)
    save_file({name: tensor.detach().cpu() for name, tensor in classifier.head.state_dict().items()}, folder / "head.safetensors",
              metadata={"task": task.name})


def load_classifier(folder: str | Path) -> tuple[Classifier, BPE, Task]:
    """What `save_classifier` wrote, ready to evaluate. Raises FileNotFoundError if the folder holds no head."""
    path = Path(folder) / "head.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; python -m minigpt finetune writes one")
    with safe_open(path, framework="pt") as file:
        task, head = get(file.metadata()["task"]), {name: file.get_tensor(name) for name in file.keys()}
    classifier = Classifier(load(folder), task.n_outputs, task.format)
    classifier.head.load_state_dict(head)
    return classifier.eval(), BPE.load(folder), task
