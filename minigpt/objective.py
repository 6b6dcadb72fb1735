"""What fine-tuning minimises (GPT-1 section 3.2): the task's loss L2, the texts' own language-model loss L1, and the labels' form.

`OpenAIClassifier` is the same network as OpenAI's released code runs it in training, which is not quite as the paper tells it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from minigpt.model import GPT
from minigpt.tasks import Classifier, Example, Task

# -- labels -------------------------------------------------------------------------------------------------------------------


def targets(task: Task, examples: Sequence[Example]) -> Tensor:
    """Classes as int64 (n,); numbers as distributions over the whole numbers, float (n, outputs): 3.6 is 0.4 of 3 and 0.6 of 4.

    OpenAI's code carries this encoding, of Tai et al. (2015), for STS-B: it is how the paper did it, as far as its code shows.
    Raises ValueError for labels that are secret.
    """
    labels = [example.label for example in examples]
    if any(label is None for label in labels):
        raise ValueError(f"{task.name}: these examples' labels are secret; they can be predicted, but not trained on")
    if task.labels:
        return torch.tensor(labels)
    whole = torch.arange(task.n_outputs) + task.limits[0]
    return (1 - (torch.tensor(labels)[:, None] - whole).abs()).clamp(min=0)


def decide(task: Task, logits: np.ndarray) -> np.ndarray:
    """logits (n, outputs) -> the likeliest class (n,), or the expected number where the label is a number."""
    if task.labels:
        return logits.argmax(-1)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True)) @ (np.arange(logits.shape[-1]) + task.limits[0])


# What GLUE's server calls the tasks. It takes words instead of numbers for the classes of its entailment tasks.
GLUE = {"cola": "CoLA", "sst2": "SST-2", "mrpc": "MRPC", "qqp": "QQP", "stsb": "STS-B", "mnli": "MNLI-m", "qnli": "QNLI",
        "rte": "RTE"}


def submission(task: Task, split: str, decisions: np.ndarray) -> tuple[str, str]:
    """What `decide` found for a split as GLUE's server takes it: (name of the file, its text of lines "index<tab>prediction")."""
    name = "MNLI-mm" if "mismatched" in split else GLUE.get(task.name, task.name)
    lines = ["index\tprediction"]
    for i, value in enumerate(decisions):
        word = task.format == "entailment"
        lines.append(f"{i}\t{value:.3f}" if not task.labels else f"{i}\t{task.labels[value] if word else value}")
    return f"{name}.tsv", "\n".join(lines) + "\n"


# -- the two losses -----------------------------------------------------------------------------------------------------------


class OpenAIClassifier(Classifier):
    """The forward pass of OpenAI's released code.

    Token and position embeddings are rows of one matrix. The code drops entries of this matrix, not of the sum that enters the
    blocks, uses the same dropped matrix as the weights of the softmax, and lets the softmax run over all its rows: tokens, special
    tokens, and the `positions` rows that no token ever has. Its classifier dropout is the same for all sequences of an example.
    """

    def __init__(self, model: GPT, n_outputs: int, fmt: str, dropout: float, positions: int):
        super().__init__(model, n_outputs, fmt, dropout)
        if not isinstance(model, GPT) or not model.config.tie_word_embeddings:
            raise ValueError("OpenAI's code is that of a Transformer with tied embeddings; leave out quirks for another model")
        self.positions, self.matrix = positions, None

    def forward(self, ids: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """ids (B, K, T), last (B, K) -> logits, hidden (B, K, T, n_embd); sets `matrix`, the softmax's weights of this pass."""
        model, p = self.model, self.model.config.dropout
        self.matrix = F.dropout(torch.cat([model.wte.weight, model.wpe.weight[:self.positions]]), p, self.training)
        if not self.training:
            return super().forward(ids, last)
        at = torch.arange(ids.shape[2], device=ids.device) + model.config.vocab_size
        x = F.embedding(ids.flatten(0, 1), self.matrix) + F.embedding(at, self.matrix)
        for block in model.h:
            x = block(x)
        hidden = model.ln_f(x).unflatten(0, ids.shape[:2])
        read = hidden.gather(2, last[..., None, None].expand(-1, -1, 1, hidden.shape[-1])).squeeze(2)
        read = read * self.drop(torch.ones_like(read[:, :1]))
        return (self.head(read).squeeze(-1) if self.fmt == "choice" else self.head(read.sum(1))), hidden


def losses(classifier: Classifier, ids: Tensor, last: Tensor, target: Tensor, auxiliary: bool = True):
    """(L2, L1, logits) of a batch as negative mean log-likelihoods in nats: the task's (eq. 4), and the texts' (eq. 1).

    ids (B, K, T), last (B, K), target (B,) or (B, outputs). L1 is averaged over the tokens of each sequence, from the second to the
    extract token, padding left out, then over sequences. Without `auxiliary` it is 0 and costs nothing.
    """
    logits, hidden = classifier(ids, last)
    supervised = F.cross_entropy(logits.float(), target)
    if not auxiliary:
        return supervised, torch.zeros((), device=ids.device), logits
    real = torch.arange(ids.shape[2] - 1, device=ids.device) < last[..., None]  # (B, K, T-1): the next token is not padding
    states = hidden[:, :, :-1][real]
    rows = classifier.matrix if isinstance(classifier, OpenAIClassifier) else None
    scored = classifier.model.lm_head(states) if rows is None else F.linear(states, rows)
    each = F.cross_entropy(scored.float(), ids[:, :, 1:][real], reduction="none")
    share = (1 / last)[..., None].expand(real.shape)[real]  # a sequence has `last` targets
    return supervised, (each * share).sum() / last.numel(), logits
