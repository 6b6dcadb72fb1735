"""Pre-training: optimiser groups, schedule, mixed precision, accumulation, checkpoints, torchrun (GPT-1 section 4.1).

A run is a pure function of its settings: the batch of step t is drawn from (seed, t), so a killed run continues on exactly the
batches it would have seen, and the same seed gives the same batches on every machine.
"""

import contextlib
import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from minigpt import checkpoint, data
from minigpt.model import GPT

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class TrainConfig:
    """What a run depends on beside the model and the tokens. Learning rates and sizes are the laptop model's.

    batch_size: sequences per update, over all accumulation steps and all processes; micro_batch: sequences at a time on one
    process (None: as many as fit the update). precision: 'auto' lets `pick_precision` choose.
    """

    steps: int = 1000
    batch_size: int = 32
    micro_batch: int | None = None
    learning_rate: float = 3e-3
    warmup: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    seed: int = 0
    precision: str = "auto"
    compile: bool = False
    log_every: int = 10
    eval_every: int = 250
    checkpoint_every: int = 250
    eval_tokens: int = 65536

    def __post_init__(self):
        for name in ("steps", "batch_size", "log_every", "eval_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, it is {getattr(self, name)}")
        if self.precision not in ("auto", *PRECISIONS):
            raise ValueError(f"unknown precision {self.precision!r}; choose auto, {', '.join(PRECISIONS)}")


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of update `step` (0-based): linear warm-up to the maximum, then a cosine to 0 (GPT-1 section 4.1)."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Decay matrices, leave biases and gains alone (GPT-1 section 4.1: "all non bias or gain weights")."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [{"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}]


def optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Adam with decoupled decay, all parameters updated in one fused pass over memory."""
    return torch.optim.AdamW(parameter_groups(model, config.weight_decay), lr=config.learning_rate, betas=config.betas, fused=True)


def autocast(device: torch.device, precision: str):
    """The context in which the forward pass runs: matrix products in `precision`, norms and losses in fp32."""
    return contextlib.nullcontext() if precision == "fp32" else torch.autocast(device.type, PRECISIONS[precision])


def pick_precision(model: GPT, ids: torch.Tensor, targets: torch.Tensor, seconds: float = 2.0) -> str:
    """Time a forward and backward pass in each precision the device may like; the fastest whose loss agrees with fp32 wins.

    A low precision has to be a tenth faster: below that the gain is noise, and the choice would change from run to run.
    """
    device = ids.device
    low = {"cpu": "bf16", "cuda": "bf16" if _has_bf16() else "fp16"}.get(device.type)
    if low is None:
        return "fp32"
    times, losses, rng = {}, {}, torch.get_rng_state()
    for precision in ("fp32", low):
        best, stop = math.inf, time.perf_counter() + seconds / 2
        for trial in range(20):
            start = time.perf_counter()
            with autocast(device, precision):
                loss = model.loss(ids, targets)
            loss.backward()
            losses[precision] = loss.item()  # also waits for the GPU
            if trial:  # the first pass allocates and chooses kernels
                best = min(best, time.perf_counter() - start)
            if trial and time.perf_counter() > stop:
                break
        times[precision] = best
    model.zero_grad(set_to_none=True)
    torch.set_rng_state(rng)
    safe = math.isfinite(losses[low]) and abs(losses[low] - losses["fp32"]) < 0.02 * losses["fp32"]
    return low if safe and times[low] < 0.9 * times["fp32"] else "fp32"


def _has_bf16() -> bool:
    return torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 8  # older cards emulate it, slowly


@torch.no_grad()
def evaluate(model: GPT, tokens: np.ndarray, max_tokens: int = 65536, batch_size: int = 32) -> float:
    """Mean nats per token over contiguous windows from the start of `tokens`; the same tokens every time it is called."""
    device, window = model.wte.weight.device, model.config.n_positions
    windows = min(len(tokens) - 1, max_tokens) // window
    if windows < 1:
        raise ValueError(f"{len(tokens)} validation tokens do not fill one window of {window}")
    flat = torch.from_numpy(np.asarray(tokens[:windows * window + 1], dtype=np.int64))
    x, y = flat[:-1].view(windows, window), flat[1:].view(windows, window)
    was_training = model.training
    model.eval()
    total = sum(model.loss(a.to(device), b.to(device)).item() * len(a)
                for a, b in zip(x.split(batch_size), y.split(batch_size), strict=True))
    model.train(was_training)
    return total / windows


class _Objective(nn.Module):
    """The loss as a module's forward: what DistributedDataParallel and torch.compile want to wrap."""

    def __init__(self, model: GPT):
        super().__init__()
        self.model = model

    def forward(self, ids, targets):
        return self.model.loss(ids, targets)


class Trainer:
    """One run: model, optimiser, step counter and log. `train` drives it; chapter 05 takes it apart."""

    def __init__(self, model: GPT, tokens: np.ndarray, config: TrainConfig):
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.model, self.tokens, self.config = model, tokens, config
        self.device = model.wte.weight.device
        micro = config.micro_batch or -(-config.batch_size // self.world)
        if config.batch_size % (micro * self.world):
            raise ValueError(f"batch_size {config.batch_size} is not a multiple of micro_batch {micro} x {self.world} processes")
        self.micro, self.accumulate = micro, config.batch_size // (micro * self.world)
        self.precision = config.precision
        if self.precision == "auto":
            self.precision = pick_precision(model, *(t[:micro] for t in self._batch(0)))
        self.optimiser = optimiser(model, config)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.objective = _Objective(model)
        if self.world > 1:
            self.objective = DistributedDataParallel(self.objective)
        if config.compile:
            self.objective = torch.compile(self.objective)
        self.step, self.log = 0, []
        torch.manual_seed(config.seed + self.rank)  # dropout

    def _batch(self, step: int):
        """This process's share of the batch of update `step`."""
        x, y = data.batch(self.tokens, self.config.batch_size, self.model.config.n_positions, self.config.seed, step)
        return x[self.rank::self.world].to(self.device), y[self.rank::self.world].to(self.device)

    def update(self) -> torch.Tensor:
        """One optimiser step over batch_size sequences; returns the mean loss in nats, still on the device."""
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        x, y = self._batch(self.step)
        total = 0.0
        for i in range(self.accumulate):
            last = i == self.accumulate - 1
            # Gradients of all processes need averaging once per update, not once per micro-batch.
            sync = contextlib.nullcontext() if self.world == 1 or last else self.objective.no_sync()
            with sync, autocast(self.device, self.precision):
                part = slice(i * self.micro, (i + 1) * self.micro)
                loss = self.objective(x[part], y[part]) / self.accumulate  # equal parts: the mean of means is the mean
            with sync:
                self.scaler.scale(loss).backward()
            total = total + loss.detach()
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return total

    def state(self) -> dict:
        """Everything that the next update depends on."""
        return {"step": self.step, "model": self.model.state_dict(), "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(), "precision": self.precision, "config": asdict(self.config),
                "rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else []}

    def restore(self, state: dict) -> None:
        """Continue from `state`; ValueError where the settings that shape the run have changed."""
        ours, theirs = asdict(self.config), state["config"]
        for key in ("steps", "batch_size", "learning_rate", "warmup", "weight_decay", "clip", "seed"):
            if ours[key] != theirs[key]:
                raise ValueError(f"the run was started with {key} {theirs[key]}, not {ours[key]}; resume with the same settings")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.precision = state["step"], state["precision"]
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"]:
            torch.cuda.set_rng_state_all(state["cuda_rng"])


def train(model: GPT, tokens: np.ndarray, validation: np.ndarray | None = None, config: TrainConfig | None = None,
          out: str | Path | None = None, resume: bool = False, progress: bool = True, bytes_per_token: float | None = None,
          at_eval=None) -> list[dict]:
    """Train `model` in place on a stream of token ids; returns the log, a list of {"step", "loss", ...} in nats per token.

    validation: held-out ids; every eval_every updates the log gains "val_loss" (and "val_bits_per_byte" with bytes_per_token).
    out: a run folder; log.jsonl, curves.png and checkpoints go there, and resume=True continues from its newest whole checkpoint
    to the same weights, bit for bit on the same device and thread count. at_eval: called with the Trainer at each evaluation.
    Raises FloatingPointError if the loss stops being a number (the last checkpoint stays), ValueError for impossible settings.
    """
    trainer = Trainer(model, tokens, config or TrainConfig())
    config, main = trainer.config, trainer.rank == 0
    folder = Path(out) if out is not None else None
    if folder is not None and resume:
        state = checkpoint.newest(folder / "checkpoints")
        if state is not None:
            trainer.restore(state)
            trainer.log = [row for row in read_log(folder) if row["step"] <= trainer.step]
    if folder is not None and main:
        folder.mkdir(parents=True, exist_ok=True)
        write_log(folder, trainer.log)
    bar = tqdm(total=config.steps, initial=trainer.step, disable=not (progress and main), unit="step", mininterval=0.5)
    started, first = time.perf_counter(), trainer.step
    while trainer.step < config.steps:
        loss = trainer.update()
        bar.update()
        last = trainer.step == config.steps
        if trainer.step % config.log_every == 0 or last or trainer.step == 1:
            rate = (trainer.step - first) * config.batch_size * model.config.n_positions / (time.perf_counter() - started)
            _record(trainer, loss.item(), rate, folder, bar)
        if validation is not None and (trainer.step % config.eval_every == 0 or last):
            paused = time.perf_counter()
            trainer.log[-1]["val_loss"] = value = evaluate(model, validation, config.eval_tokens)
            if bytes_per_token:
                trainer.log[-1]["val_bits_per_byte"] = value / math.log(2) / bytes_per_token
            if at_eval is not None:
                at_eval(trainer)
            started += time.perf_counter() - paused  # tokens/s is of training alone
        if folder is not None and main and (trainer.step % config.checkpoint_every == 0 or last):
            _save(trainer, loss, folder)
    bar.close()
    return trainer.log


def _record(trainer: Trainer, loss: float, rate: float, folder: Path | None, bar: tqdm) -> None:
    if not math.isfinite(loss):
        kept = f"; the checkpoints in {folder / 'checkpoints'} are from before" if folder else ""
        raise FloatingPointError(f"the loss is {loss} at step {trainer.step}: lower the learning rate "
                                 f"(now {trainer.config.learning_rate:g}) or use fp32{kept}")
    trainer.log.append({"step": trainer.step, "loss": loss, "learning_rate": learning_rate(trainer.step - 1, trainer.config),
                        "tokens_per_second": round(rate)})
    bar.set_postfix_str(f"loss {loss:.3f}, {rate:,.0f} tokens/s")


def _save(trainer: Trainer, loss: torch.Tensor, folder: Path) -> None:
    if not torch.isfinite(loss):
        return  # the next log line will say so; a broken model never replaces a sound one
    try:
        write_log(folder, trainer.log)
        checkpoint.save(folder / "checkpoints", trainer.step, trainer.state())
    except OSError as error:  # a full disk must not cost the hours already spent: go on, the next one may fit
        tqdm.write(f"warning: no checkpoint at step {trainer.step}: {error}; training goes on, the earlier one is kept")


def read_log(folder: str | Path) -> list[dict]:
    """The log of a run folder, one dictionary a line of log.jsonl; a last line cut short by a kill is dropped."""
    path = Path(folder) / "log.jsonl"
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


def write_log(folder: Path, log: list[dict]) -> None:
    """Write log.jsonl whole, so that a kill leaves the old one or the new one."""
    text = "".join(json.dumps(row) + "\n" for row in log)
    partial = folder / "log.jsonl.partial"
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, folder / "log.jsonl")
