"""Figure 4's shape: training and test perplexity against model size, and a text read too often: python book/studies/sizes.py

Four models of GPT-2's shape read the same tokens of the embedded world in the same order, each token of the training text about
twice. The world's entropy is known, so the floor under both curves is drawn as well. Then one of the models reads a small text
many times, until training and test perplexity come apart. Finished runs are kept in OUT, and a killed study goes on with the next
one; --only WIDTH measures one size (--only 0 the small text) and writes no record.
"""

import argparse
import hashlib
import math
import time
from pathlib import Path

import numpy as np
import torch

from minigpt import BPE, GPT, GPTConfig, data, results, world
from minigpt.cells import Cells
from minigpt.train import TrainConfig, evaluate, train

CODE = ["minigpt.train", "minigpt.model", "minigpt.data", "minigpt.bpe", "minigpt.world", "minigpt.world_grammar",
        "minigpt.world_village", "minigpt.world_sentences", "minigpt.world_own", "minigpt.world_things", "minigpt.world_words"]
SHAPES = {32: 2, 64: 3, 128: 4, 192: 6}  # width: layers; heads of 32, as GPT-2's are of 64 at every size
TEXT, PASSES = 1_024_000, 2  # tokens of training text, how often they are read
SMALL_TEXT, SMALL_PASSES = 40_960, 30
SCORED = 131_072  # tokens, of the training and of the test text each


def texts(bpe: BPE) -> dict:
    """Training and test stream and their floors: the exact information of the stories, nats per token."""
    found = {}
    for part, wanted in (("train", TEXT), ("test", SCORED + 1)):
        ids, nats, index = [], [], 0
        while sum(map(len, ids)) < wanted:
            ids.append(data.encode(bpe, [world.story(index, part)]))
            nats.append(world.story_bits(index, part) * math.log(2))
            index += 1
        ends = np.cumsum([len(of) for of in ids])
        for name, tokens in ((part, SCORED), (f"{part}, small", SMALL_TEXT)):
            inside = ends <= tokens
            found[f"{name} floor"] = float(np.sum(np.array(nats)[inside]) / ends[inside][-1])
        found[part] = np.concatenate(ids)[:wanted]
    return found


def network(bpe: BPE, width: int) -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=bpe.vocab_size, n_positions=128, n_layer=SHAPES[width], n_head=width // 32, n_embd=width,
                         dropout=0.0))


def settings(width: int, tokens: int) -> TrainConfig:
    """Wider models want smaller steps; 3e-3 is the laptop model's."""
    steps = tokens // (16 * 128)
    return TrainConfig(steps=steps, batch_size=16, micro_batch=8, learning_rate=3e-3 * math.sqrt(128 / width), warmup=100,
                       precision="bf16", eval_every=steps, log_every=50)


def size(bpe: BPE, found: dict, width: int) -> dict:
    """One size on the large text: nats per token on the text that it has read and on test stories."""
    model, started = network(bpe, width), time.process_time()
    log = train(model, found["train"], None, settings(width, TEXT * PASSES))
    return {"width": width, "layers": SHAPES[width], "parameters": model.n_params(), "last batch": log[-1]["loss"],
            "train": evaluate(model, found["train"], SCORED), "test": evaluate(model, found["test"], SCORED),
            "cpu seconds": round(time.process_time() - started)}


def too_often(bpe: BPE, found: dict, folder: Path, width: int = 128) -> dict:
    """The laptop model's shape on a small text: nats per token on that text and on test stories after every pass or two."""
    small, config, rows = found["train"][:SMALL_TEXT], settings(width, SMALL_TEXT * SMALL_PASSES), []
    per_pass = SMALL_TEXT // (16 * 128)
    config = TrainConfig(**{**vars(config), "eval_every": 2 * per_pass, "warmup": 50, "learning_rate": 2e-3})

    def look(trainer):
        rows.append({"passes": trainer.step / per_pass, "train": evaluate(trainer.model, small, SMALL_TEXT - 1),
                     "test": evaluate(trainer.model, found["test"], SMALL_TEXT)})
    model = network(bpe, width)
    train(model, small, found["test"][:2_000], config, at_eval=look)
    model.save_pretrained(folder)  # recitation.py asks what it writes
    return {"width": width, "parameters": model.n_params(), "tokens": SMALL_TEXT, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/sizes", help="where finished runs are kept")
    parser.add_argument("--only", type=int, choices=[*SHAPES, 0], help="measure one size, or 0: the small text")
    options = parser.parse_args()
    torch.set_num_threads(1)
    bpe = BPE.load("world")
    found = texts(bpe)
    digest = hashlib.sha256("".join(map(results.source_digest, CODE)).encode()).hexdigest()[:16]
    cells = Cells(options.out, digest)
    for width in [*SHAPES, 0] if options.only is None else [options.only]:
        job = {"width": width, "text": TEXT if width else SMALL_TEXT, "passes": PASSES if width else SMALL_PASSES}
        if job not in cells:
            cells.add(job, size(bpe, found, width) if width else too_often(bpe, found, Path(options.out) / "small"))
        print(cells[job], flush=True)
    if options.only is not None:
        return
    rows = [cells[{"width": width, "text": TEXT, "passes": PASSES}] for width in SHAPES]
    for row in rows:
        row |= {f"{part} perplexity": round(math.exp(row[part]), 4) for part in ("train", "test")}
    values = {"text": TEXT, "passes": PASSES, "scored": SCORED, "rows": rows,
              "floor": {name[:-6]: math.exp(value) for name, value in found.items() if name.endswith(" floor")},
              "too often": cells[{"width": 0, "text": SMALL_TEXT, "passes": SMALL_PASSES}]}
    said = ", ".join(f"{row['test perplexity']:.2f} ({row['parameters'] / 1e6:.1f}M)" for row in rows)
    results.save("14-sizes", values, "python book/studies/sizes.py", [0],
                 f"embedded world, vocabulary {bpe.vocab_size:,}, window 128, {TEXT:,} training tokens read {PASSES} times, bf16, "
                 f"one seed, no dropout; nats per token of the first {SCORED:,} tokens of the training text and of test stories, "
                 "in windows of 128 one after the other; floor: perplexity per token by the exact information of these stories; "
                 f"too often: {SMALL_TEXT:,} tokens, {SMALL_PASSES} times", depends=CODE,
                 summary=f"test perplexity {said}")


if __name__ == "__main__":
    main()
