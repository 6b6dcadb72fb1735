"""Does a small model learn what words mean? Two vocabularies, fine-tuned alike: python book/studies/vocabulary.py RUN

RUN is a model folder made by `python -m minigpt pretrain --data world --preset world --vocab-size 1024 --steps 5000 --batch-size 16
--precision fp32 --seed 0 --half --out RUN`; it is compared with the shipped model, which has 4,096 entries and read less text.
"""

import argparse

import numpy as np
import torch

from minigpt import BPE, GPT, finetune, results, tasks
from minigpt.experiments import CODE
from minigpt.world_things import CATEGORIES

NAMES = ("sentiment", "cloze", "entailment")
SEEDS = (1, 2, 3)
LABELS = 600


def tokens_per_noun(bpe: BPE) -> float:
    nouns = [noun.text for category in CATEGORIES for noun in category.nouns]
    return round(float(np.mean([len(bpe.encode(f" {noun}")) for noun in nouns])), 2)


def accuracy(model: GPT, bpe: BPE, name: str, seed: int) -> float:
    """Test accuracy in points, on words that no label was seen for, without the auxiliary loss."""
    task = tasks.get(name)
    train, dev, test = (tasks.read(task, split, n, seed) for split, n in (("train", LABELS), ("validation", 200), ("test", 500)))
    config = finetune.FinetuneConfig(learning_rate=5e-4, batch_size=16, epochs=6, dropout=0.0, lm_coefficient=0.0, warmup=0.05,
                                     seed=seed, precision="bf16")
    found = finetune.finetune(model, bpe, task, train, dev, config, progress=False)
    return finetune.evaluate(found.classifier, bpe, task, test)["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="the folder of the model with the smaller vocabulary")
    values = {}
    torch.set_num_threads(1)
    for folder in (parser.parse_args().run, "world"):
        bpe, model = BPE.load(folder), GPT.from_pretrained(folder)
        scores = {name: [accuracy(model, bpe, name, seed) for seed in SEEDS] for name in NAMES}
        values[f"{bpe.vocab_size:,} entries"] = {"tokens per noun": tokens_per_noun(bpe), "parameters": model.n_params(),
                                                 **{name: list(results.interval(of)) for name, of in scores.items()}}
        print(bpe.vocab_size, values[f"{bpe.vocab_size:,} entries"], flush=True)
    results.save("08-vocabulary", values, "python book/studies/vocabulary.py runs/world-1024", SEEDS,
                 f"one pre-trained model of each vocabulary; fine-tuned on {LABELS} labels, 3 fine-tuning seeds, best epoch on the "
                 "development set; test accuracy in points on words unseen in fine-tuning", "95 %, over the fine-tuning seeds",
                 [f"minigpt.{name}" for name in CODE])


if __name__ == "__main__":
    main()
