# ruff: noqa: E402 (a cell imports what it needs)
# %% [markdown] closed=["minigpt.tasks", "minigpt.objective", "minigpt.finetune", "sklearn.metrics", "scipy.stats", "transformers"]
# # Assignment 4 · GPT-1's transformations and fine-tuning
#
# You build everything that stands between a pre-trained language model and a task: the sequences that a question becomes, the
# batch, the head, the two losses, the scores and the loop. Chapters 6 to 8 of the book explain all of it. At the end a cell
# takes the book's laptop model, fine-tunes it with your six parts and nothing else, and puts your scores beside the book's.
#
# **How it works.** Each problem has a cell with a stub, where `...` stands for your work, and a check below it. Run the stub as
# it is and the check says that the problem was not attempted yet. (It says the same when your function returns nothing: look
# for a forgotten `return`.) Write your code, run both cells again, and the check tells you what is wrong and why. You may add
# cells and functions of your own; the names, the arguments and the results of the stubs have to stay. The grader runs your
# notebook from top to bottom in a fresh process without network, and then calls your functions with inputs that you have not
# seen. No problem needs the code of another one, so you may take them in any order; only the last cell needs all of them.
#
# **What you may use.** Python and PyTorch. The book's own transformations, losses and fine-tuning are closed while grading,
# and so are the scores of scikit-learn and SciPy, and transformers. With a person or an assistant you may discuss ideas, but
# not code; the file with the rules for AI assistants lies beside this one.
#
# **Letters.** Throughout, B is the number of examples in a batch, K the number of sequences of each example, T the number of
# positions, C the width of the model, and V the size of its vocabulary.
# %%
import math

import torch
from torch import Tensor


# %% [markdown] problem="4.1" title="Four shapes of question" points=15 difficulty=2 minutes=35
# Write `sequences`, which turns one example into the sequences that the model reads. `texts` and `answers` hold ids; `answers`
# is empty but for a choice. A choice reads its texts (a document, then a question) with nothing between them.
#
# What does not fit into `max_length` is cut, and start, delimiter and extract never are. The rule: while it does not fit, the
# longest text loses its last token, and of several equally long ones the first. For a choice the answers together count as
# one more text, behind the others, which is as long as the longest answer: if this text may keep n tokens, every answer keeps
# at most its first n. So all answers are read after the same words. Similarity cuts its texts once, before it exchanges them.
# %% tags=["solution"]
def sequences(texts: list[list[int]], answers: list[list[int]], fmt: str, marks: tuple[int, int, int], max_length: int) -> list:
    """The ids of each sequence of an example, start and extract included: a list of 1, 2 or len(answers) lists of ids.

    fmt: "classification" (one text), "entailment" (two), "similarity" (two, read in both orders), "choice" (one text or more).
    marks: the ids of start, delimiter, extract. max_length: no sequence may have more ids; there is room for the marks and more.
    """
    ### BEGIN SOLUTION
    start, delimiter, extract = marks
    kept = [len(text) for text in texts] + [max(map(len, answers), default=0)]
    room = max_length - (2 if fmt == "classification" else 3)
    while sum(kept) > room:
        kept[kept.index(max(kept))] -= 1
    texts = [text[:count] for text, count in zip(texts, kept, strict=False)]
    if fmt == "classification":
        return [[start, *texts[0], extract]]
    if fmt == "choice":
        pairs = [(sum(texts, []), answer[:kept[-1]]) for answer in answers]
    else:
        pairs = [texts, texts[::-1]] if fmt == "similarity" else [texts]
    return [[start, *first, delimiter, *second, extract] for first, second in pairs]
    ### END SOLUTION
# %% tags=["check"]
def diagnose_4_1(answer):
    def made(texts, answers, fmt, max_length):
        got = answer(texts, answers, fmt, (90, 91, 92), max_length)
        lists = isinstance(got, list | tuple) and len(got) and all(isinstance(one, list | tuple) for one in got)
        return [list(one) for one in got] if lists else [[got if got is None else "no list of lists"]]

    got = made([[1, 2]], [], "classification", 20)
    if got == [[None]]:
        return "not attempted yet"
    if len(got[0]) == 1 and not isinstance(got[0][0], int):
        return "return a list of sequences, each a list of ids, even where there is only one sequence"
    if got == [[90, 1, 2, 91, 92]]:
        return "one text needs no delimiter: that stands between two parts"
    if got != [[90, 1, 2, 92]]:
        return f"classification: the text 1, 2 with start 90 and extract 92 becomes [[90, 1, 2, 92]], not {got}"
    got = made([[1], [2, 3]], [], "entailment", 20)
    if len(got) == 2:
        return "entailment: a premise comes before its hypothesis, in one sequence; only similarity reads both orders"
    if got != [[90, 1, 91, 2, 3, 92]]:
        return f"entailment: the texts 1 and 2, 3 become [[90, 1, 91, 2, 3, 92]], not {got}"
    got = made([[1], [2, 3]], [], "similarity", 20)
    if len(got) == 1:
        return "similarity: neither text comes first, so both orders are read: two sequences, and you return one"
    if got != [[90, 1, 91, 2, 3, 92], [90, 2, 3, 91, 1, 92]]:
        return f"similarity: the texts 1 and 2, 3 become [90, 1, 91, 2, 3, 92] and [90, 2, 3, 91, 1, 92], not {got}"
    given, options = [[1, 2], [3]], [[4], [5, 6]]
    got = made(given, options, "choice", 20)
    if (given, options) != ([[1, 2], [3]], [[4], [5, 6]]):
        return "choice: the lists that you were given have been changed: the caller may still need them, so work on copies"
    if len(got) == 1:
        return "choice: each answer has a sequence of its own, so two answers make two; you return one"
    if got == [[90, 1, 2, 91, 3, 91, 4, 92], [90, 1, 2, 91, 3, 91, 5, 6, 92]]:
        return "choice: there is a delimiter between document and question; the only one stands before the answer"
    if got == [[90, 1, 2, 3, 91, 4, 92], [90, 1, 2, 3, 91, 5, 92]]:
        return "choice: the answer 5, 6 lost a token, and there was room: all answers together are as long as the longest of them"
    if got != [[90, 1, 2, 3, 91, 4, 92], [90, 1, 2, 3, 91, 5, 6, 92]]:
        return f"choice: 1, 2 and 3 with the answers 4 and 5, 6 become 90, 1, 2, 3, 91, an answer and 92; you return {got}"
    got = made([[1], [2], [3]], [[4]], "choice", 20)
    if got != [[90, 1, 2, 3, 91, 4, 92]]:
        return f"choice: there may be more than two texts; 1 and 2 and 3 with the answer 4: [[90, 1, 2, 3, 91, 4, 92]], not {got}"
    given = [[1, 2, 3, 4, 5], [6]]
    got = made(given, [], "entailment", 7)
    if given != [[1, 2, 3, 4, 5], [6]]:
        return "the texts that you were given have been changed: the caller may still need them, so work on copies"
    if len(got[0]) > 7:
        return f"max_length is 7, and a sequence of {len(got[0])} came out: the marks count as well"
    if got[0][-1:] != [92] or 91 not in got[0]:
        return "a mark was cut off: without extract there is nothing to read; only the texts may lose tokens"
    if 6 not in got[0]:
        return "the short text was cut away while the long one stayed: the longest text gives way"
    if got[0][:2] == [90, 2] or got[0][:2] == [90, 3]:
        return "the long text lost its beginning; a text loses its last token"
    if got != [[90, 1, 2, 3, 91, 6, 92]]:
        return f"1, 2, 3, 4, 5 and 6 in 7 places become [90, 1, 2, 3, 91, 6, 92], all places used, not {got[0]}"
    got = made([[1, 2, 3, 4, 5], [6, 7, 8]], [], "entailment", 7)
    if got == [[90, 1, 91, 6, 7, 8, 92]]:
        return "the longest text lost all that was too much, and ended as the shorter: look for the longest again after each token"
    if got != [[90, 1, 2, 91, 6, 7, 92]]:
        return f"1 to 5 and 6, 7, 8 in 7 places become [90, 1, 2, 91, 6, 7, 92], not {got[0]}"
    if made([[1, 2, 3, 4]], [], "classification", 6) != [[90, 1, 2, 3, 4, 92]]:
        return "four tokens and two marks fit into 6 places, and you cut: classification has no delimiter that needs a place"
    got = made([[1, 2], [3, 4]], [], "similarity", 6)
    if got[0] == [90, 1, 2, 91, 3, 92]:
        return "of two equally long texts you cut the second; the first of the longest loses its token"
    if got == [[90, 1, 91, 3, 4, 92], [90, 3, 91, 1, 2, 92]]:
        return "similarity: the two orders hold different tokens: cut first, then exchange the texts"
    if got != [[90, 1, 91, 3, 4, 92], [90, 3, 4, 91, 1, 92]]:
        return f"similarity: 1, 2 and 3, 4 in 6 places become [90, 1, 91, 3, 4, 92] and the other order, not {got}"
    got = made([[1, 2, 3, 4, 5]], [[6], [7, 8]], "choice", 8)
    if got[0][:5] == [90, 1, 2, 3, 4]:
        return "choice: the first answer is read after 1, 2, 3, 4, the second after less: cut once, for the longest answer"
    if got == [[90, 1, 2, 91, 6, 92], [90, 1, 2, 91, 7, 8, 92]]:
        return "choice: a place stays empty: each sequence holds one answer, so the longest answer counts, and not their sum"
    if got != [[90, 1, 2, 3, 91, 6, 92], [90, 1, 2, 3, 91, 7, 8, 92]]:
        return f"choice: 1 to 5 with the answers 6 and 7, 8 in 8 places: both are read after 1, 2, 3; you return {got}"
    got = made([[1, 2, 3], [4]], [[5]], "choice", 7)
    if got == [[90, 1, 2, 3, 91, 5, 92]]:
        return "choice: the question was cut away: document and question are two texts, so cut them before you join them"
    if got != [[90, 1, 2, 4, 91, 5, 92]]:
        return f"choice: 1, 2, 3 and 4 with the answer 5 in 7 places become [90, 1, 2, 4, 91, 5, 92], not {got}"
    got = made([[1, 2, 3]], [[4, 5, 6]], "choice", 8)
    if got == [[90, 1, 2, 3, 91, 4, 5, 92]]:
        return "choice: the answers stand behind the texts, so of a text and an answer of the same length the text loses its token"
    if got != [[90, 1, 2, 91, 4, 5, 6, 92]]:
        return f"choice: 1, 2, 3 with the answer 4, 5, 6 in 8 places become [90, 1, 2, 91, 4, 5, 6, 92], not {got[0]}"
    got = made([[1, 2]], [[3, 4, 5, 6], [7]], "choice", 8)
    right = [[90, 1, 2, 91, 3, 4, 5, 92], [90, 1, 2, 91, 7, 92]]
    return "correct" if got == right else f"choice: an answer longer than the context gives way: {right}, not {got}"


print("Problem 4.1:", diagnose_4_1(sequences))
# %% tags=["hidden"]
def cases_4_1(rng):
    def text(low, high):
        return [rng.randrange(500) for _ in range(rng.randint(low, high))]

    def call(fmt, length, count, options, low=1, high=6):
        return ("sequences", [text(low, high) for _ in range(count)], [text(1, high) for _ in range(options)], fmt,
                (900, 901, 902), length)

    plain = [call(fmt, 99, count, 0) for fmt, count in (("classification", 1), ("entailment", 2)) for _ in range(3)]
    both = [call("similarity", 99, 2, 0) for _ in range(3)]
    choice = [call("choice", 99, n, rng.randint(2, 4)) for n in (1, 2, 2, 3, 3)]
    long = [call("classification", rng.randint(8, 12), 1, 0, 15, 20) for _ in range(2)]
    long += [call("classification", 9, 1, 0, 7, 7)]  # it just fits
    for _ in range(4):
        a, b = text(9, 20), text(1, 3)
        long.append(("sequences", rng.sample([a, b], 2), [], "entailment", (900, 901, 902), rng.randint(12, 14)))
    long += [call("entailment", rng.randint(10, 14), 2, 0, 8, 12) for _ in range(2)]
    pairs = [("sequences", [[1, 2, 3, 4], [5, 6, 7, 8]], [], "similarity", (900, 901, 902), rng.choice([8, 10]))]
    pairs += [call("similarity", rng.randint(10, 14), 2, 0, 8, 12) for _ in range(3)]
    answers = [("sequences", [text(12, 20), text(2, 3)], [text(1, 1), text(2, 4)], "choice", (900, 901, 902), rng.randint(14, 17))
               for _ in range(3)]
    answers.append(("sequences", [text(2, 4)], [text(10, 14), text(1, 3), text(9, 9)], "choice", (900, 901, 902), 12))
    answers.append(("sequences", [text(7, 7)], [text(7, 7), text(2, 2)], "choice", (900, 901, 902), rng.choice([12, 14])))
    return [("one text, or a premise and its hypothesis", 3, plain), ("both orders", 3, both),
            ("a sequence for each answer", 4, choice), ("too long: one text or two", 2, long),
            ("too long: both orders", 1, pairs), ("too long: answers", 2, answers)]
# %% [markdown] problem="4.2" title="A batch, and where to read" points=10 difficulty=1 minutes=20
# Write `pad`, which puts the sequences of B examples into one tensor, filled up on the right with `fill`, and remembers where
# the last token of each sequence stands, which is extract. `fill` may be any id, also one that occurs in the texts. Then write
# `read_out`, which fetches the state at that place of every sequence from the last layer.
# %% tags=["solution"]
def pad(batch: list[list[list[int]]], fill: int) -> tuple[Tensor, Tensor]:
    """The sequences of B examples, K each -> ids (B, K, T), T the longest of all, and places of the last tokens (B, K); int64."""
    ### BEGIN SOLUTION
    longest = max(len(ids) for sequences in batch for ids in sequences)
    ids = [[[*ids, *[fill] * (longest - len(ids))] for ids in sequences] for sequences in batch]
    return torch.tensor(ids), torch.tensor([[len(ids) - 1 for ids in sequences] for sequences in batch])
    ### END SOLUTION


def read_out(hidden: Tensor, last: Tensor) -> Tensor:
    """hidden (B, K, T, C), last (B, K) int64 -> the states at these places, (B, K, C)."""
    ### BEGIN SOLUTION
    places = last[:, :, None, None].expand(-1, -1, 1, hidden.shape[-1])
    return hidden.gather(2, places).squeeze(2)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_4_2(answer, read):
    got = answer([[[5, 7]], [[5, 6, 0, 7]]], 0)
    if got is None:
        return "not attempted yet"
    if not isinstance(got, list | tuple) or len(got) != 2 or not all(isinstance(one, torch.Tensor) for one in got):
        return "pad: return two tensors, the ids and the places of the last tokens"
    ids, last = got
    if ids.shape != (2, 1, 4):
        return f"pad: two examples with one sequence each, the longer of 4 ids, make ids of shape (2, 1, 4), not {tuple(ids.shape)}"
    if ids.dtype != torch.int64 or last.dtype != torch.int64:
        return f"pad: ids and places are int64, so that they can index; yours are {ids.dtype} and {last.dtype}"
    if ids[0, 0].tolist() == [0, 0, 5, 7]:
        return "pad: you fill up on the left, and the text then stands at positions where the model never met a beginning"
    if ids.tolist() != [[[5, 7, 0, 0]], [[5, 6, 0, 7]]]:
        return f"pad: [5, 7] beside a sequence of 4 becomes [5, 7, 0, 0]; your rows are {ids.flatten(0, 1).tolist()}"
    if last.shape != (2, 1):
        return f"pad: there is one place for each sequence, shape (2, 1), not {tuple(last.shape)}"
    if last.tolist() == [[2], [4]]:
        return "pad: these are the lengths; the last of 2 tokens stands at place 1, since places count from 0"
    if last.tolist() == [[3], [3]]:
        return "pad: that is the last column, where the shorter sequence has padding; extract stands at its own last token"
    if last.tolist() == [[1], [2]]:
        return "pad: you count what differs from the filling, but its id may occur in a text, as in 5, 6, 0, 7"
    if last.tolist() != [[1], [3]]:
        return f"pad: the last tokens of [5, 7] and [5, 6, 0, 7] stand at [[1], [3]], not at {last.tolist()}"
    got = answer([[[5, 9]], [[9, 6, 9]]], 9)
    if isinstance(got, list | tuple) and len(got) == 2 and isinstance(got[1], torch.Tensor) and got[1].tolist() != [[1], [2]]:
        return "pad: the filling may be the last token's own id: its place follows from the length, and not from a search for an id"
    got = answer([[[1], [2, 3, 8]], [[4, 5], [7]]], 9)
    got = [one.tolist() if isinstance(one, torch.Tensor) else one for one in got] if isinstance(got, list | tuple) else got
    right = [[[[1, 9, 9], [2, 3, 8]], [[4, 5, 9], [7, 9, 9]]], [[0, 2], [1, 0]]]
    if list(got if isinstance(got, list | tuple) else []) != right:
        return f"pad: [[[1], [2, 3, 8]], [[4, 5], [7]]] with the filling 9 becomes {right[0]} with the places {right[1]}, not {got}"
    hidden = torch.arange(24.0).view(2, 2, 3, 2)  # the state at place t of sequence k of example b begins with 12 b + 6 k + 2 t
    got, right = read(hidden, torch.tensor([[0, 2], [1, 0]])), [[[0, 1], [10, 11]], [[14, 15], [18, 19]]]
    if got is None:
        return "read_out: not attempted yet"
    if not isinstance(got, torch.Tensor) or got.shape != (2, 2, 2):
        return f"read_out: states (2, 2, 3, 2) give one state for each sequence, (2, 2, 2), not {tuple(getattr(got, 'shape', ()))}"
    if torch.equal(got, hidden[:, :, -1]):
        return "read_out: that is the last position of the tensor; the shorter sequences have padding there"
    if torch.equal(got, hidden[:, :, 0]):
        return "read_out: that is the first position, where start stands and nothing has been read yet"
    if got[0].tolist() == right[0] and got.tolist() != right:
        return "read_out: the second example is read at the first one's places; each sequence has a place of its own"
    if got.tolist() != right:
        return f"read_out: the states at [[0, 2], [1, 0]] begin with 0, 10, 14, 18; yours with {got[..., 0].flatten().tolist()}"
    got = read(hidden[:1, :1], torch.tensor([[1]]))
    if not isinstance(got, torch.Tensor) or got.shape != (1, 1, 2):
        return f"read_out: one example with one sequence gives (1, 1, 2), not {tuple(getattr(got, 'shape', ()))}: " \
            "squeeze() without a number takes each 1 of a shape away"
    leaf = hidden.clone().requires_grad_()
    return "correct" if getattr(read(leaf, torch.zeros(2, 2, dtype=torch.int64)), "requires_grad", False) else \
        "read_out: no gradient reaches the states: keep them in the tensor, without .item(), .tolist() or .detach()"


print("Problem 4.2:", diagnose_4_2(pad, read_out))
# %% tags=["hidden"]
def normal(rng, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.getrandbits(31)))


def cases_4_2(rng):
    def batch(examples, count, vocabulary):
        return [[[rng.randrange(vocabulary) for _ in range(rng.randint(2, 9))] for _ in range(count)] for _ in range(examples)]

    one, many, read = [], [], []
    for _ in range(3):
        one.append(("pad", batch(rng.randint(2, 5), 1, 3), rng.randrange(3)))
        many.append(("pad", batch(rng.randint(2, 4), rng.randint(2, 4), 50), 77))
        b, k, t = rng.randint(2, 4), rng.randint(1, 3), rng.randint(4, 7)
        last = torch.tensor([[rng.randrange(t - 1) for _ in range(k)] for _ in range(b)])
        read.append(("read_out", normal(rng, b, k, t, rng.randint(2, 5)), last))
    read.append(("read_out", normal(rng, 3, 1, 4, 5), torch.tensor([[1], [0], [2]])))
    return [("one sequence for each example, the filling occurs in the text", 3, one),
            ("several sequences for each example", 3, many), ("reading", 4, read)]
# %% [markdown] problem="4.3" title="The head" points=15 difficulty=2 minutes=25
# One linear layer reads the states at extract: $P(y \mid x) = \mathrm{softmax}(h W_y + b)$, the paper's equation 3 with a
# bias. Similarity adds the states of both orders before the layer. A choice has one output, which gives each sequence a
# number, and the softmax runs over the answers. Write `log_probabilities`, the logarithms of $P$, which have to stay finite
# where $P$ itself is too small for a float.
# %% tags=["solution"]
def log_probabilities(states: Tensor, weight: Tensor, bias: Tensor, fmt: str) -> Tensor:
    """states (B, K, C) at extract, weight (C, L), bias (L,) -> log-probabilities of the labels (B, L), for a choice (B, K).

    fmt: "classification" or "entailment" (K = 1), "similarity" (K = 2) or "choice" (L = 1).
    """
    ### BEGIN SOLUTION
    if fmt == "choice":
        scores = (states @ weight + bias).squeeze(-1)
    else:
        scores = states.sum(dim=1) @ weight + bias
    return scores.log_softmax(dim=-1)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_4_3(function):
    def answer(*arguments):
        got = function(*arguments)
        return got.float() if isinstance(got, torch.Tensor) else got

    one, layer = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.tensor([[0.0, 2.0], [1.0, 0.0]])
    got = answer(one, layer, torch.zeros(2), "classification")
    if got is None:
        return "not attempted yet"
    if not isinstance(got, torch.Tensor) or got.shape != (2, 2):
        return f"two examples and two labels give a tensor of shape (2, 2), not {tuple(getattr(got, 'shape', ()))}"
    right = torch.tensor([[-2.1269, -0.1269], [-0.3133, -1.3133]])
    if torch.allclose(got.sum(-1), torch.ones(2), atol=1e-3) and (got >= 0).all():
        return "these are probabilities; return their logarithms"
    if torch.allclose(got, layer, atol=1e-3):
        return "these are the layer's scores; the softmax is missing"
    if torch.allclose(got[0], torch.tensor([-1.3133, -0.3133]), atol=1e-3):
        return "the matrix is applied transposed: it is stored as (C, L), and a square matrix raises no error"
    if torch.allclose(got.exp().sum(0), torch.ones(2), atol=1e-3) and not torch.allclose(got, right, atol=1e-3):
        return "the softmax runs over the examples of the batch; it belongs over the labels of each example"
    if not torch.allclose(got, right, atol=1e-3):
        return f"the scores 0 and 2 have the log-probabilities -2.127 and -0.127, not {[round(x, 3) for x in got[0].tolist()]}"
    got = answer(torch.zeros(1, 1, 2), layer, torch.tensor([0.0, 2.0]), "classification")
    if getattr(got, "shape", None) == (2,):
        return "one example and two labels give (1, 2), not (2,): squeeze() without a number takes each 1 of a shape away"
    if not isinstance(got, torch.Tensor) or got.shape != (1, 2):
        return f"one example and two labels give the shape (1, 2), not {tuple(getattr(got, 'shape', ()))}"
    if not torch.allclose(got, right[:1], atol=1e-3):
        return "the bias is not added to the scores"
    both = torch.tensor([[[1.0, 2.0], [3.0, 1.0]]])
    got = answer(both, torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([0.0, -2.5]), "similarity")
    if not isinstance(got, torch.Tensor) or got.shape != (1, 2):
        return f"similarity: one pair and two labels give the shape (1, 2), not {tuple(getattr(got, 'shape', ()))}"
    if not torch.allclose(got.exp().sum(-1), torch.ones(1), atol=1e-3):
        return "similarity: the labels' probabilities do not sum to 1: add the states of both orders, and then take one softmax"
    apart = (got[0, 1] - got[0, 0]).item()  # scores 0 and 3 + 4 - 2.5
    known = {2.0: "similarity: the bias is in it twice: add the states first, then the layer sees their sum once",
             1.0: "similarity: you take the mean of the two orders; the paper adds their states",
             0.5: "similarity: only the first order was read; its state and the second one's are added",
             1.5: "similarity: only the second order was read; its state and the first one's are added"}
    for value, says in known.items():
        if abs(apart - value) < 1e-3:
            return says
    if not abs(apart - 4.5) < 1e-3:
        return f"similarity: the two scores of (1, 2) + (3, 1) lie 4.5 apart here; yours lie {apart:.3f} apart"
    three = torch.tensor([[[0.0, 1.0], [2.0, 4.0], [0.0, 7.0]], [[5.0, 0.0], [5.0, 3.0], [5.0, 2.0]]])
    got = answer(three, torch.tensor([[1.0], [0.0]]), torch.ones(1), "choice")
    if isinstance(got, torch.Tensor) and got.shape == (2, 3, 1):
        return "choice: the one output has to go: (2, 3), a number for each answer, not (2, 3, 1)"
    if not isinstance(got, torch.Tensor) or got.shape != (2, 3):
        return f"choice: two examples with three answers give the shape (2, 3), not {tuple(getattr(got, 'shape', ()))}"
    if got.abs().max() < 1e-6:
        return "choice: a softmax over one number is always 1; it runs over the answers of an example"
    if torch.allclose(got.exp().sum(0), torch.ones(3), atol=1e-3):
        return "choice: the softmax runs over the batch; it belongs over the answers of each example"
    if not torch.allclose(got.exp().sum(-1), torch.ones(2), atol=1e-3):
        return "choice: the probabilities of an example's answers do not sum to 1"
    if not abs(got[0, 1].item() + 0.2395) < 1e-3:
        return f"choice: the scores 1, 3, 1 become -2.24, -0.24, -2.24, not {[round(x, 2) for x in got[0].tolist()]}"
    got = answer(three[:1, :2], torch.tensor([[1.0], [0.0]]), torch.ones(1), "choice")
    if getattr(got, "shape", None) == (2,):
        return "choice: one example with two answers: (1, 2), not (2,); squeeze() without a number takes each 1 of a shape away"
    if not isinstance(got, torch.Tensor) or got.shape != (1, 2):
        return f"choice: one example with two answers gives the shape (1, 2), not {tuple(getattr(got, 'shape', ()))}"
    if not torch.allclose(got, right[:1], atol=1e-3):
        return f"choice: two answers with the scores 1, 3 have -2.13, -0.13, not {[round(x, 2) for x in got[0].tolist()]}"
    leaf = (1000 * one).requires_grad_()
    got = answer(leaf, layer, torch.zeros(2), "entailment")
    if not isinstance(got, torch.Tensor) or got.shape != (2, 2):
        return f"entailment: two pairs and two labels give the shape (2, 2), not {tuple(getattr(got, 'shape', ()))}"
    if not got.isfinite().all():
        return "scores 2000 apart give minus infinity: exp(-2000) is 0 for a float, and exp(2000) is too large, so do " \
            "not take the logarithm of a softmax"
    if not abs(got[0, 0].item() + 2000) < 1:
        return f"of two scores 2000 apart the smaller one's log-probability is -2000, not {got[0, 0].item():.1f}: what is " \
            "added or cut off to keep a logarithm finite makes it wrong"
    return "correct" if got.requires_grad else "no gradient reaches the states: stay with tensors, without .tolist() or .detach()"


print("Problem 4.3:", diagnose_4_3(log_probabilities))
# %% tags=["hidden"]
def cases_4_3(rng):
    def calls(fmt, count, size=1.0):
        found = []
        for _ in range(3):
            width, labels = rng.randint(5, 7), 1 if fmt == "choice" else rng.randint(2, 4)
            sequences = count or rng.randint(2, 5)
            found.append(("log_probabilities", size * normal(rng, rng.randint(2, 5), sequences, width), normal(rng, width, labels),
                          normal(rng, labels), fmt))
        return found

    square = [("log_probabilities", normal(rng, 3, 1, 3), normal(rng, 3, 3), normal(rng, 3), "entailment"),
              ("log_probabilities", normal(rng, 1, 1, 4), normal(rng, 4, 2), normal(rng, 2), "classification")]
    few = [("log_probabilities", normal(rng, 1, 2, 5), normal(rng, 5, 1), normal(rng, 1), "choice")]
    return [("one sequence", 4, calls("classification", 1) + square), ("both orders", 4, calls("similarity", 2)),
            ("a choice", 5, calls("choice", 0) + few), ("scores far apart", 2, calls("classification", 1, 2000.0))]
# %% [markdown] problem="4.4" title="Two losses" points=20 difficulty=3 minutes=35
# While the model learns the task, it goes on predicting the next token of the task's own texts: $L_3 = L_2 + \lambda L_1$. Both
# are to be minimised here, so both are mean *negative* log-probabilities, in nats.
#
# Write `text_loss`, which is $L_1$. In each sequence every token but the first is predicted from what stands before it, the
# marks too; padding is not text. Each sequence's losses are averaged over its own tokens, and then all sequences of all
# examples are averaged, so that a long text counts as much as a short one. Then write `objective`, which is $L_3$, with $L_2$
# averaged over the examples.
# %% tags=["solution"]
def text_loss(scores: Tensor, ids: Tensor, last: Tensor) -> Tensor:
    """scores (B, K, T, V), before the softmax; ids (B, K, T) padded on the right; last (B, K), at least 1 -> L1, a scalar."""
    ### BEGIN SOLUTION
    log_p = scores[:, :, :-1].log_softmax(dim=-1)
    said = log_p.gather(3, ids[:, :, 1:, None]).squeeze(3)
    real = torch.arange(1, ids.shape[2]) <= last[:, :, None]
    return -((said * real).sum(dim=2) / last).mean()
    ### END SOLUTION


def objective(log_p: Tensor, labels: Tensor, scores: Tensor, ids: Tensor, last: Tensor, coefficient: float) -> Tensor:
    """log_p (B, L) of the labels, the right ones (B,) int64; scores, ids, last as in text_loss; lambda -> L3, a scalar."""
    ### BEGIN SOLUTION
    task_loss = -log_p[torch.arange(len(labels)), labels].mean()
    return task_loss + coefficient * text_loss(scores, ids, last)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_4_4(loss, total):
    def table(rows):
        """Scores of one sequence over four tokens: token v costs rows[t][v] bits at position t."""
        return -math.log(2) * torch.tensor(rows, dtype=torch.float)[None, None]

    def scalar(value):
        return isinstance(value, torch.Tensor) and value.shape == ()

    def bits(value):
        number = value.item() / math.log(2) if scalar(value) else math.nan
        return math.inf if math.isnan(number) else number

    full = table([[3, 1, 2, 3], [2, 1, 3, 3], [2, 3, 1, 3], [3, 2, 3, 1]])  # 0 then 1: 1 bit; then 2: 3 bits; then 3: 3 bits
    got = loss(full, torch.tensor([[[0, 1, 2, 3]]]), torch.tensor([[3]]))
    if got is None:
        return "not attempted yet"
    if not scalar(got):
        return f"text_loss: return a tensor of shape (), not {getattr(got, 'shape', type(got).__name__)}"
    known = {-7 / 3: "text_loss: the sign: a loss is the negative of the log-probability, so that smaller is better",
             7: "text_loss: the sum over the tokens of a sequence; divide it by their number",
             1.75: "text_loss: three tokens are predicted in a sequence of four, and you divide by four",
             2: "text_loss: the last token, extract, is not predicted; the marks are, like the others",
             3: "text_loss: the second token is not predicted; only the first has nothing before it",
             8 / 3: "text_loss: position t is compared with the token before it; it predicts token t + 1",
             7 / 3 / math.log(2): "text_loss: this is in bits; a nat is what the natural logarithm counts"}
    known |= dict.fromkeys((5 / 3, 1.5, 1), "text_loss: position t is compared with token t, which it has read already; "
                                            "it predicts token t + 1")
    for value, says in known.items():
        if abs(bits(got) - value) < 1e-3:
            return says
    if abs(bits(got) - 7 / 3) > 1e-3:
        return f"text_loss: tokens of 1, 3 and 3 bits have a mean of 7/3 bits, 1.617 nats; yours is {bits(got) * math.log(2):.3f}"
    got = loss(full + 7, torch.tensor([[[0, 1, 2, 3]]]), torch.tensor([[3]]))
    if abs(bits(got) - 7 / 3) > 1e-3:
        return "text_loss: adding 7 to all scores must change nothing: they are no log-probabilities before the softmax"
    short = table([[3, 3, 1, 2], [1, 2, 3, 3], [3, 3, 1, 2], [1, 3, 2, 3], [1, 3, 3, 2]])  # 0, 1, 1, then two places of padding
    got = loss(short, torch.tensor([[[0, 1, 1, 0, 0]]]), torch.tensor([[2]]))
    known = {2.25: "text_loss: padding counts as text: what stands behind the last token is not predicted",
             8 / 3: "text_loss: one token too many: nothing is predicted from the last token, behind it there is only padding",
             1.25: "text_loss: padding is left out of the sum, but not of the number that you divide by",
             3.0: "text_loss: the last token is not predicted; it is a real token like the others",
             2.0: "text_loss: the second token is not predicted; only the first has nothing before it"}
    for value, says in known.items():
        if abs(bits(got) - value) < 1e-3:
            return says
    if abs(bits(got) - 2.5) > 1e-3:
        return f"text_loss: two tokens of 3 and 2 bits, then padding: 2.5 bits in the mean, and yours is {bits(got):.3f}"
    long = table([[1, 3, 2, 3]] + [[1, 2, 3, 3]] * 4)  # 0, 1, 0, 0, 0: a token of 3 bits, three of 1 bit
    pair, ids = torch.cat([short, long], 1), torch.tensor([[[0, 1, 1, 0, 0], [0, 1, 0, 0, 0]]])  # two sequences of one example
    got, again = loss(pair, ids, torch.tensor([[2, 4]])), loss(pair.transpose(0, 1), ids.transpose(0, 1), torch.tensor([[2], [4]]))
    if abs(bits(got) - 11 / 6) < 1e-3:
        return "text_loss: you average over all tokens at once, so a long text counts more; first each sequence, then all of them"
    if min(abs(bits(got) - 2.75), abs(bits(got) - 1.625)) < 1e-3:
        return "text_loss: you leave out an id that occurs in the text, too: what is padding follows from last alone"
    if abs(bits(got) - 4) < 1e-3:
        return "text_loss: the sequences of an example are added; average over them too"
    if abs(bits(got) - 2) > 1e-3 or abs(bits(again) - 2) > 1e-3:
        return f"text_loss: sequences of 2.5 and 1.5 bits make 2; yours make {bits(got):.3f}, and {bits(again):.3f} as two examples"
    log_p, labels = -math.log(2) * torch.tensor([[1.0, 1.0], [2.0, 0.415]]), torch.tensor([1, 0])

    def three(coefficient):
        return total(log_p, labels, pair.repeat(2, 1, 1, 1), ids.repeat(2, 1, 1), torch.tensor([[2, 4], [2, 4]]), coefficient)

    got = three(0.0)
    if got is None:
        return "objective: not attempted yet"
    if not scalar(got):
        return f"objective: return a tensor of shape (), not {getattr(got, 'shape', type(got).__name__)}"
    known = {-1.5: "objective: the sign of the task's loss: it is the negative of the right label's log-probability",
             3: "objective: the sum over the examples; average them",
             2: "objective: with lambda = 0 only the texts' loss is left; lambda belongs to L1, not to L2",
             0.7075: "objective: you take the likeliest label, or the wrong one; what counts is the probability of the right label",
             3.5: "objective: with lambda = 0 the texts' loss is still in it: multiply L1 by lambda",
             2.5: "objective: with lambda = 0 half of the texts' loss is still in it: lambda is an argument, and not always 0.5",
             1.10375: "objective: the mean over all labels; only the right label's log-probability counts"}
    for value, says in known.items():
        if abs(bits(got) - value) < 1e-3:
            return says
    if abs(bits(got) - 1.5) > 1e-3:
        return f"objective: right labels of 1 and 2 bits, lambda = 0: 1.5 bits, 1.040 nats; yours is {bits(got) * math.log(2):.3f}"
    got = bits(three(2.0))
    if abs(got + 2.5) < 1e-3:
        return "objective: the texts' loss is subtracted; both are minimised, so they are added"
    if abs(got - 2.5) < 1e-3:
        return "objective: the task's loss is multiplied by 1 - lambda; it keeps its full weight"
    if abs(got - 6.5) < 1e-3:
        return "objective: of each example only the first sequence is in the texts' loss; all K belong to it"
    if abs(got - 5.5) > 1e-3:
        return f"objective: 1.5 bits and 2 x 2 bits make 5.5, not {got:.3f}"
    pair.requires_grad_()
    log_p.requires_grad_()
    got = three(2.0)
    flows = scalar(got) and got.requires_grad
    flows = flows and None not in [g if g is None else 0 for g in torch.autograd.grad(got, (pair, log_p), allow_unused=True)]
    return "correct" if flows else "objective: the gradient is cut off: stay with tensors, without .item(), .tolist(), .detach()"


print("Problem 4.4:", diagnose_4_4(text_loss, objective))
# %% tags=["hidden"]
def cases_4_4(rng):
    def draw(sequences, full):
        b, t, v = rng.randint(2, 4), rng.randint(5, 8), rng.randint(5, 9)
        ids = torch.tensor([[[rng.randrange(v) for _ in range(t)] for _ in range(sequences)] for _ in range(b)])
        last = torch.tensor([[t - 1 if full else rng.randint(1, t - 2) for _ in range(sequences)] for _ in range(b)])
        last[0, 0] = t - 1
        return 2 * normal(rng, b, sequences, t, v) + 1, ids, last

    def call(coefficient):
        scores, ids, last = draw(rng.randint(2, 3), False)
        labels = torch.tensor([rng.randrange(3) for _ in ids])
        return ("objective", (2 * normal(rng, len(ids), 3)).log_softmax(-1), labels, scores, ids, last, coefficient)

    return [("texts without padding", 4, [("text_loss", *draw(1, True)) for _ in range(3)]),
            ("texts of different length", 6, [("text_loss", *draw(1, False)) for _ in range(3)]),
            ("several sequences for each example", 4, [("text_loss", *draw(rng.randint(2, 3), False)) for _ in range(3)]),
            ("the task's loss alone", 3, [call(0.0) for _ in range(3)]), ("both", 3, [call(rng.uniform(0.3, 2)) for _ in range(3)])]
# %% [markdown] problem="4.5" title="What counts as good" points=10 difficulty=2 minutes=25
# Write `score`, the paper's four metrics from scratch, in points from -100 to 100. F1 is the harmonic mean of precision and
# recall of class 1. Matthews' correlation is $(ab - cd)/\sqrt{(a + c)(a + d)(b + c)(b + d)}$ with a true positives, b true
# negatives, c false positives and d false negatives. Pearson's correlation is the covariance over the product of the standard
# deviations; here predictions and labels are any numbers. A metric that would divide by zero is 0. (Matthews' correlation is
# Pearson's, of zeros and ones. Who notices can save some lines.)
# %% tags=["solution"]
def score(metric: str, predictions: list[float], labels: list[float]) -> float:
    """"accuracy", "f1", "matthews" (of classes 0 and 1) or "pearson" (of numbers), times 100; the lists are equally long."""
    ### BEGIN SOLUTION
    pairs = list(zip(predictions, labels, strict=True))
    if metric == "accuracy":
        return 100 * sum(x == y for x, y in pairs) / len(pairs)
    if metric == "f1":
        called, are, hits = sum(x == 1 for x in predictions), sum(y == 1 for y in labels), sum(x == y == 1 for x, y in pairs)
        return 100 * 2 * hits / (called + are) if hits else 0.0
    x_mean, y_mean = sum(predictions) / len(pairs), sum(labels) / len(pairs)
    both = sum((x - x_mean) * (y - y_mean) for x, y in pairs)
    spread = sum((x - x_mean) ** 2 for x in predictions) * sum((y - y_mean) ** 2 for y in labels)
    return 100 * both / math.sqrt(spread) if spread else 0.0
    ### END SOLUTION
# %% tags=["check"]
def diagnose_4_5(answer):
    predictions, labels = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 0, 0, 0, 0]  # a = 2, b = 5, c = 1, d = 2
    got = answer("accuracy", predictions, labels)
    if got is None:
        return "not attempted yet"

    def near(value):
        return isinstance(got, int | float) and abs(got - value) < 0.01

    for metric, right in (("accuracy", 70.0), ("f1", 57.143), ("matthews", 35.635)):
        got = answer(metric, predictions, labels)
        if isinstance(got, bool) or not isinstance(got, int | float):
            return f"{metric}: return a number, not {'nothing' if got is None else 'a ' + type(got).__name__}"
        if near(right / 100):
            return f"{metric}: in points, please: times 100"
        if metric == "f1" and near(76.923):
            return "f1: this is the F1 of class 0; the positives are class 1, here 2 found, 1 false alarm, 2 missed"
        if metric == "f1" and near(67.033):
            return "f1: this is the mean over both classes; the paper's is that of class 1 alone"
        if metric == "f1" and near(58.333):
            return "f1: the arithmetic mean of precision and recall; the harmonic one is nearer to the smaller of the two"
        if metric == "f1" and near(28.571):
            return "f1: the harmonic mean has a 2 in front: 2 P R / (P + R)"
        if metric == "matthews" and near(800 / 504):
            return "matthews: the root is missing below"
        if not near(right):
            return f"{metric}: with 2 true and 1 false positives, 5 true and 2 false negatives it is {right}, not {got:.3f}"
    got = answer("accuracy", [1, 1, 0], [1, 0, 0])
    if not near(200 / 3):
        return f"accuracy: two of three are right, 66.67 points, not {got}: do not round"
    got = answer("pearson", [0.5, 1.0, 2.0], [10.0, 30.0, 20.0])
    if isinstance(got, bool) or not isinstance(got, int | float):
        return f"pearson: return a number, not {'nothing' if got is None else 'a ' + type(got).__name__}"
    if near(32.733 ** 2 / 100):
        return "pearson: this is the square of the correlation"
    if near(87.482):
        return "pearson: the means are not subtracted: this is the cosine of the two lists, not their correlation"
    if near(49.099) or near(21.822):
        return "pearson: n in one place and n - 1 in the other: covariance and deviations have to divide by the same number"
    if not near(32.733):
        return f"pearson: (0.5, 1, 2) and (10, 30, 20) have a correlation of 32.733 points, not {got:.3f}"
    got = answer("pearson", [1.0, 2.0, 4.0], [-1.0, -2.0, -4.0])
    if not near(-100):
        return f"pearson: a list and its negative have a correlation of -100, not {got}"
    got = answer("matthews", [1, 0, 0], [0, 1, 1])
    if not near(-100):
        return f"matthews: who is always wrong has a correlation of -100, not {got}: it may be negative"
    for metric, lists in (("f1", ([0, 0], [0, 0])), ("f1", ([1, 1], [0, 0])), ("f1", ([1, 0], [0, 1])),
                          ("matthews", ([1, 1, 1], [1, 1, 0])), ("matthews", ([1, 1, 0], [1, 1, 1])),
                          ("pearson", ([2.5, 2.5], [1.0, 3.0])), ("pearson", ([1.0, 3.0], [2.5, 2.5]))):
        try:
            got = answer(metric, *lists)
        except ZeroDivisionError:
            return f"{metric}: {lists[0]} for {lists[1]} divides by zero; a metric that would is 0, not an error"
        if not near(0):
            return f"{metric}: {lists[0]} for {lists[1]} should be 0, not {got}"
    return "correct"


print("Problem 4.5:", diagnose_4_5(score))
# %% tags=["hidden"]
def cases_4_5(rng):
    def classes(metric):
        found = []
        for _ in range(4):
            labels = [1, 1, 0, 0] + [int(rng.random() < 0.3) for _ in range(20)]
            found.append(("score", metric, [1, 0, 0, 1] + [y if rng.random() < 0.7 else 1 - y for y in labels[4:]], labels))
        return found

    matthews = classes("matthews")
    matthews += [(*call[:2], [1 - x for x in call[2]], call[3]) for call in matthews[:2]]  # mostly wrong: below 0
    numbers = []
    for _ in range(4):
        labels = [rng.uniform(0, 5) for _ in range(12)]
        numbers.append(("score", "pearson", [rng.uniform(-1, 2) + y for y in labels], labels))
    same = rng.randint(0, 1)
    constant = [("score", "f1", [0] * 5, [0, 1, 1, 0, 1]), ("score", "f1", [0] * 4, [0] * 4),
                ("score", "matthews", [same] * 6, [0, 1, 1, 1, 0, 1]), ("score", "pearson", [1.5] * 4, [1.0, 2.0, 4.0, 3.0]),
                ("score", "f1", [1, 0, 0], [0, 1, 1]), ("score", "pearson", [1.0, 2.0, 4.0, 3.0], [1.5] * 4)]
    return [("accuracy", 1, classes("accuracy")), ("F1", 3, classes("f1")), ("Matthews' correlation", 2, matthews),
            ("Pearson's correlation", 2, numbers), ("who has learned nothing", 2, constant)]
# %% [markdown] problem="4.6" title="The loop" points=20 difficulty=3 minutes=40
# Write `fine_tune`. It passes `epochs` times over the batches, in their order. Update t (t = 0, 1, ... over all epochs) of N in
# all takes the gradient of the loss for all parameters. If the gradient as a whole, all parameters together, is longer than
# 1, it is scaled to the length 1. Then each parameter p moves: p - rate · f · gradient. With s = t / N the factor f is that of
# the paper's schedule as OpenAI's code has it: (s / warmup while s < warmup, and 1 from there on) times (1 - s).
#
# After each epoch it calls `evaluate`, and at the end it returns the parameters of the epoch that did best, of equals the
# first. The parameters that it was given stay as they are: the next run will start from them again.
#
# (Plain gradient descent, without Adam, is enough here, since a pre-trained network has only a short way to go.)
# %% tags=["solution"]
def fine_tune(p: dict, loss, evaluate, batches: list, epochs: int, rate: float, warmup: float) -> tuple[dict, list[float]]:
    """p: tensors by name, plain ones or a network's parameters; loss(p, batch) -> a scalar that depends on all of them;
    evaluate(p) -> a float, the larger the better; warmup: the share of all updates, 0 for none -> the parameters after the best
    epoch, and what evaluate said after each.
    """
    ### BEGIN SOLUTION
    p = {name: tensor.detach().clone().requires_grad_() for name, tensor in p.items()}
    best, found, total, t = p, [], epochs * len(batches), 0
    for _ in range(epochs):
        for batch in batches:
            gradients = torch.autograd.grad(loss(p, batch), list(p.values()))
            length = math.sqrt(sum(g.square().sum().item() for g in gradients))
            s = t / total
            step = rate * (s / warmup if s < warmup else 1) * (1 - s) / max(1.0, length)
            p = {name: (w.detach() - step * g).requires_grad_() for (name, w), g in zip(p.items(), gradients, strict=True)}
            t += 1
        found.append(evaluate(p))
        if found[-1] > max(found[:-1], default=-math.inf):
            best = p
    return {name: tensor.detach() for name, tensor in best.items()}, found
    ### END SOLUTION
# %% [markdown]
# The grader calls `fine_tune_toy`, and with it your `fine_tune`, on a small network. Leave the two functions as they are.
# %%
def toy_scores(p: dict[str, Tensor], x: Tensor) -> Tensor:
    return torch.tanh(x @ p["body"]) @ p["head"] + p["bias"]


def toy_loss(p: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
    return torch.nn.functional.cross_entropy(toy_scores(p, batch[0]), batch[1])


def fine_tune_toy(p: dict[str, Tensor], batches: list, held_out: tuple, epochs: int, rate: float, warmup: float, less: float = 0.0):
    """What fine_tune returns, judged by the accuracy on held_out minus `less`, and what it has left of those that it was given."""
    def evaluate(p):
        return (toy_scores(p, held_out[0]).argmax(1) == held_out[1]).float().mean().item() - less

    return fine_tune(p, toy_loss, evaluate, batches, epochs, rate, warmup), {name: tensor.detach() for name, tensor in p.items()}
# %% tags=["check"]
def diagnose_4_6(answer):
    asked = []  # how far w had gone down, whenever evaluate was asked

    def run(slopes, epochs=1, rate=1.0, warmup=0.0, says=None):
        """Fine-tunes w = (0, 0) where the loss of a batch is its slopes times w, so that the gradient is the slopes."""
        p, said = {"w": torch.zeros(2)}, iter(says or range(1, 99))
        asked.clear()

        def evaluate(p):
            w = p.get("w") if isinstance(p, dict) else None
            asked.append(-w[0].item() if isinstance(w, torch.Tensor) and w.shape == (2,) else math.nan)
            return float(next(said))

        got = answer(p, lambda p, batch: (p["w"] * batch).sum(), evaluate, slopes, epochs, rate, warmup)
        return got, p

    def usable(got, *shapes):
        """Is it parameters of these names and shapes, all finite, and a list?"""
        if not isinstance(got, list | tuple) or len(got) != 2 or not isinstance(got[0], dict) or not isinstance(got[1], list):
            return False
        return got[0].keys() == dict(shapes).keys() and all(isinstance(got[0][name], torch.Tensor) and got[0][name].shape == shape
                                                            and got[0][name].isfinite().all() for name, shape in shapes)

    flat, steep = torch.tensor([0.3, 0.4]), torch.tensor([30.0, 40.0])
    try:
        got, _ = run([flat])
    except ZeroDivisionError:
        return "you divide by zero: warmup may be 0, which means that there is none, and N may be 1"
    if got is None:
        return "not attempted yet"
    if not isinstance(got, list | tuple) or len(got) != 2 or not isinstance(got[0], dict) or not isinstance(got[1], list):
        return "return two things: the parameters as a dictionary, and the list of what evaluate said"
    if not usable(got, ("w", (2,))):
        return "the parameters that you return should have the names and shapes of those that you were given, and finite numbers"

    def moved(*slopes, **settings):
        """How many times the first slope w has gone down, along the first coordinate."""
        got, _ = run(list(slopes), **settings)
        return -got[0]["w"][0].item() / slopes[0][0].item() if usable(got, ("w", (2,))) else math.inf

    far = moved(flat)
    if abs(far + 1) < 1e-4:
        return "you walk uphill: the loss falls against its gradient, so the step is subtracted"
    if abs(far) < 1e-6:
        return "one update with rate 1 and no warm-up moved nothing: update t = 0 has s = 0, and with warmup = 0 its factor is 1"
    if abs(far - 2) < 1e-4:
        return "a gradient of length 0.5 was stretched to length 1; only those longer than 1 are scaled"
    if abs(far - 1) > 1e-4:
        return f"one update with rate 1 and the gradient (0.3, 0.4) should move w by one gradient; it moved by {far:.3f}"
    far = moved(steep) * 50
    if abs(far - 50) < 1e-3:
        return "a gradient of length 50 was followed at full length: scale it down to length 1 before the step"
    if abs(far - 50 / 30) < 1e-2:
        return "each number of the gradient was cut at 1, which turns its direction; scale the whole gradient by one factor"
    if abs(far - 1) > 1e-3:
        return f"a gradient of length 50 should be scaled to length 1; yours has the length {far:.3f}"
    far = moved(steep, rate=0.1) * 50
    if abs(far - 1) < 1e-3:
        return "you scaled the step, rate included: first the gradient is scaled to the length 1, then it is multiplied by the rate"
    if abs(far - 0.1) > 1e-4:
        return f"with rate 0.1 a gradient that was scaled to the length 1 moves the parameters by 0.1, not by {far:.3f}"
    two = {"a": torch.zeros(1), "b": torch.zeros(1)}
    got = answer(two, lambda p, batch: (3 * p["a"] + 4 * p["b"] + p["a"] * p["b"]).sum(), lambda p: 1.0, [0], 1, 1.0, 0.0)
    if not usable(got, ("a", (1,)), ("b", (1,))):
        return "with the two parameters a and b, return both of them, with their shapes"
    got = got[0]
    if abs(got["a"].item() + 1) < 1e-3 and abs(got["b"].item() + 1) < 1e-3:
        return "each parameter's gradient was scaled by itself; the length is that of all parameters together, here 5"
    ends = [w.item() for w in got.values()]
    if abs(ends[0] + 0.6) < 1e-3 and abs(ends[1] + 0.68) < 1e-2:
        return "the second parameter's gradient was taken after the first had moved: all of them are taken, and then all move"
    if abs(ends[0] + 0.6) > 1e-3 or abs(ends[1] + 0.8) > 1e-3:
        return f"slopes of 3 and 4 have the length 5 together, so the two parameters go to -0.6 and -0.8, not to {ends}"
    small = flat / 100
    far = moved(small, 4 / 3 * small)  # 1 + 4/3 * 1/2
    if abs(far - 11 / 6) < 1e-3:
        return "the batches were not taken in their order; here the first comes first, in every epoch"
    far = moved(small, small, epochs=3)  # (6 + 5 + 4 + 3 + 2 + 1) / 6
    again = "the schedule starts again with each epoch: s counts the updates of all epochs, over N = 6 here"
    known = {6: "the rate never falls: the factor 1 - s takes it down in a straight line over all updates", 4.5: again, 5.5: again,
             2.5: "s is one update ahead: the first update is t = 0, and its factor here is 1",
             -1.5: "N is the number of updates of one epoch in yours; it is that of all epochs, 6 here",
             56 / 6: "the gradients of earlier updates are still in it: each update needs the gradient of its own batch alone",
             4: "the rate falls from epoch to epoch; it falls with every update, s = t / N",
             11 / 6: "of three epochs evaluate liked each better than the one before, and you return the first one's parameters"}
    for value, says in known.items():
        if abs(far - value) < 1e-3:
            return says
    if abs(far - 3.5) > 1e-3:
        return f"six updates with the factors 1, 5/6, 4/6 and so on make 3.5 gradients; w moved by {far:.3f}"
    far = moved(small, small, epochs=2, warmup=0.7)  # 0 + 0.25 / 0.7 * 0.75 + 0.5 / 0.7 * 0.5 + 0.25
    whole = "your warm-up lasts a whole number of updates; here s itself is compared with warmup, and the factor is s / warmup"
    known = {2.5: "the warm-up is ignored: while s < warmup the factor has s / warmup in it", 1.125: whole, 2.5 / 3: whole,
             1.5: "warmup is a share of all updates, and not a number of them: it is s that is compared with it",
             9 / 7: "warmup is a share of all updates, and not of those of one epoch",
             40 / 21: "the way down begins after the warm-up in yours; here the factor 1 - s holds from the start",
             37 / 28: "while it warms up your factor leaves out 1 - s; it is in the factor from the start"}
    for value, says in known.items():
        if abs(far - value) < 1e-3:
            return says
    if abs(far - 0.875) > 1e-3:
        return f"with warmup = 0.7 four updates have the factors 0, 0.268, 0.357, 0.25, together 0.875; w moved by {far:.3f}"
    got, _ = run([small, small], epochs=2)
    said = got[1] if usable(got, ("w", (2,))) else None
    if isinstance(said, list) and len(said) > 2:
        return f"evaluate is asked after each epoch, here after each of two, and your list has {len(said)} numbers"
    if len(asked) < 2 or abs(asked[0] / small[0].item() - 1.75) > 1e-3:
        return "evaluate is asked after the updates of an epoch, with the parameters as they are then; yours judged others"
    got, given = run([small], epochs=4, says=[0.1, 0.3, 0.3, 0.2, 0, 0, 0, 0])  # the factors are 1, 0.75, 0.5, 0.25
    p, said = got if usable(got, ("w", (2,))) else (None, None)
    if said != [0.1, 0.3, 0.3, 0.2]:
        return f"evaluate is asked after each of four epochs and said 0.1, 0.3, 0.3, 0.2; your list is {said}"
    far = -p["w"][0].item() / small[0].item()
    known = {2.5: "you return the last epoch's parameters, and evaluate liked the second best. (Did you keep those? A tensor "
                  "that is changed in place changes under all its names.)",
             2.25: "of two epochs that are equally good the first counts, and you return the later one",
             1: "you return the epoch that evaluate liked least", 0: "you return the parameters as they were before"}
    for value, says in known.items():
        if abs(far - value) < 1e-3:
            return says
    if abs(far - 1.75) > 1e-3:
        return f"after the second epoch, the best, w has moved by 1 + 0.75 gradients; yours has moved by {far:.3f}"
    far = moved(small, epochs=3, says=[-3, -1, -2])  # the factors are 1, 2/3, 1/3
    if not abs(far - 5 / 3) < 1e-3:
        return "what evaluate says may be negative, here -3, -1, -2: the first epoch is the best so far, whatever it scored"
    network = {"w": torch.nn.Parameter(torch.zeros(2))}
    try:
        answer(network, lambda p, batch: (p["w"] * batch).sum(), lambda p: 1.0, [small], 1, 1.0, 0.0)
    except (RuntimeError, ValueError) as error:
        return f"a network's parameters have gradients already: detach() what you copy, or the copy hangs on them ({error})"
    if given["w"].any() or network["w"].any():
        return "the parameters that you were given have been changed: a second run could not start from them again; copy them first"
    return "correct"


print("Problem 4.6:", diagnose_4_6(fine_tune))
# %% tags=["hidden"]
def cases_4_6(rng):
    def call(updates, epochs, rate, warmup, size=0.1):
        width, labels = rng.randint(3, 5), rng.randint(2, 3)

        def batch(n):
            return (size * normal(rng, n, width)).double(), torch.tensor([rng.randrange(labels) for _ in range(n)])

        p = {"body": normal(rng, width, 4), "head": size * normal(rng, 4, labels), "bias": torch.zeros(labels)}
        p = {name: tensor.double() for name, tensor in p.items()}
        return ("fine_tune_toy", p, [batch(6) for _ in range(updates)], batch(8), epochs, rate, warmup)

    def draw(right, *settings):
        """A call for which `right` holds, given what evaluate says after each epoch."""
        while True:
            drawn = call(*settings)
            (_, found), _ = fine_tune_toy(*drawn[1:])
            if right(found):
                return drawn

    long = []
    while len(long) < 3:
        drawn = call(1, 1, 0.5, 0.0, 4.0)
        (after, _), _ = fine_tune_toy(*drawn[1:])
        if sum((after[name] - p).square().sum().item() for name, p in drawn[1].items()) > 0.2499:  # the whole rate, so it was cut
            long.append(drawn)
    many = [call(3, 1, 0.5, 0.0), call(5, 1, 0.5, 0.0), draw(lambda said: said[1] > said[0], 4, 2, 1.0, 0.0, 0.3)]
    best = [draw(lambda said: said.index(max(said)) == 1 and max(said) < 1, 3, 3, 1.0, 0.0, 0.3) + (3.0,)]
    best += [draw(lambda said, n=n: said.index(max(said)) not in (0, 4) and said.count(max(said)) == n, 3, 5, 1.0, 0.0, 0.3)
            for n in (1, 2, 1)]
    return [("one update", 4, [call(1, 1, 0.5, 0.0) for _ in range(3)]),
            ("long gradients", 4, long),
            ("many updates, without warm-up", 4, many),
            ("with warm-up", 3, [call(5, 1, 0.5, 0.4), call(4, 1, 0.5, 0.6)]), ("the best epoch is not the last", 5, best)]
# %% [markdown]
# ## The whole way, with your parts
#
# The next cell is not graded. It takes the book's laptop model, gives it rows for the three marks (chapter 6), and fine-tunes
# it on three tasks with your `sequences`, `pad`, `read_out`, `log_probabilities`, `objective`, `score` and `fine_tune`. It runs
# when all six checks say "correct", for about half a minute. What comes first: the words that decide in the test stand in
# no training example. Whoever has not read the stories can only guess.
# %% tags=["finale"]
from torch import nn

from minigpt import BPE, GPT, finetune, paper, results, tasks, viz

world, bpe = GPT.from_pretrained("world"), BPE.load("world")


class Reader(nn.Module):
    """A language model whose forward pass stops at the last layer: ids (B * K, T) -> (B * K, T, C)."""

    def __init__(self, model: GPT):
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model.hidden(ids)


def batches_of(task, split: str, count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Examples of a task in batches of 8: ids (B, K, T), places of extract (B, K), labels (B,)."""
    examples, found = tasks.read(task, split, count), []
    for i in range(0, count, 8):
        rows = [[[bpe.encode(" " + text) for text in part] for part in (e.segments, e.answers)] for e in examples[i:i + 8]]
        made = [sequences(texts, answers, task.format, tasks.special_ids(bpe.vocab_size), 128) for texts, answers in rows]
        found.append((*pad(made, 0), torch.tensor([e.label for e in examples[i:i + 8]])))
    return found


def learn(name: str, count: int, coefficient: float, scratch: bool = False):
    """Fine-tune on a task of the world -> its score on 200 test examples, and the states at extract before and after."""
    task, metric = tasks.get(name), tasks.get(name).metrics[0]
    model = finetune.transfer(world, -1 if scratch else None, dropout=0.0)
    torch.manual_seed(0)
    reader = Reader(tasks.add_specials(model).eval())
    p = dict(reader.named_parameters())
    p |= {"head.weight": 0.02 * torch.randn(world.config.n_embd, task.n_outputs), "head.bias": torch.zeros(task.n_outputs)}

    def forward(p, ids, last):
        body = {key: tensor for key, tensor in p.items() if not key.startswith("head.")}
        hidden = torch.func.functional_call(reader, body, (ids.flatten(0, 1),)).unflatten(0, ids.shape[:2])
        states = read_out(hidden, last)
        return log_probabilities(states, p["head.weight"], p["head.bias"], task.format), hidden, states

    def loss(p, batch):
        ids, last, labels = batch
        log_p, hidden, _ = forward(p, ids, last)
        return objective(log_p, labels, hidden @ p["model.wte.weight"].T, ids, last, coefficient)

    @torch.no_grad()
    def tested(p, batches):
        rows = [(forward(p, ids, last), labels) for ids, last, labels in batches]
        decided = [label for (log_p, _, _), _ in rows for label in log_p.argmax(-1).tolist()]
        labels = [label for _, labels in rows for label in labels.tolist()]
        return score(metric, decided, labels), torch.cat([states[:, 0] for (_, _, states), _ in rows]), labels

    development, test = batches_of(task, "validation", 64), batches_of(task, "test", 200)
    _, before, labels = tested(p, test)
    p, _ = fine_tune(p, loss, lambda p: tested(p, development)[0], batches_of(task, "train", count), 4, 0.1, 0.1)
    got, after, _ = tested(p, test)
    return got, before, after, labels


def show() -> None:
    """Your scores beside the book's, and what fine-tuning does to the states at extract."""
    import matplotlib.pyplot as plt

    book = results.load("gpt1-table5-laptop").values["rows"]
    both = paper.fact("gpt1-lambda")
    runs = [("sentiment", "w/ aux LM (full)", 200, both), ("sentiment", "w/o pre-training", 200, both),
            ("cloze", "w/ aux LM (full)", 100, both), ("acceptability", "w/o aux LM", 300, 0.0)]
    rows, pictures = [], []
    for name, how, count, coefficient in runs:
        got, before, after, labels = learn(name, count, coefficient, how == "w/o pre-training")
        rows.append([name, how, f"{got:.0f}", "{:.0f} ± {:.0f}".format(*book[f"Transformer {how}"][name])])
        print(*rows[-1][:3], sep=" · ")
        pictures = pictures or [("before fine-tuning", before, labels), ("after", after, labels)]
    viz.style()
    axes = plt.subplots(1, 2, figsize=(8, 3.4))[1]
    for axis, (title, states, labels) in zip(axes, pictures, strict=True):
        flat = states - states.mean(0)
        x, y = (flat @ torch.linalg.svd(flat, full_matrices=False)[2][:2].T).T
        axis.scatter(x, y, c=[viz.COLORS["blue" if label else "orange"] for label in labels], s=14)
        axis.set(title=title, xticks=[], yticks=[])
    plt.show()
    print("The states at extract of 200 test sentences, seen from their broadest side. Blue speaks well of something, orange ill.")
    print(results.Table(["task", "run", "your test accuracy", "the book's, three models"], rows))


if [diagnose_4_1(sequences), diagnose_4_2(pad, read_out), diagnose_4_3(log_probabilities), diagnose_4_4(text_loss, objective),
    diagnose_4_5(score), diagnose_4_6(fine_tune)] == ["correct"] * 6:
    show()
else:
    print("When all six problems are correct, this cell fine-tunes the laptop model with them.")
# %% [markdown] question="4.7" title="Both orders" points=5 minutes=10
# A friend wants to save half of the time in a similarity task and reads only one order, first text first, in training and in
# the test. In at most 120 words: what can go wrong that her test accuracy need not show, and with which experiment, which
# takes no training, could she find out? What does reading both orders cost, and what does it guarantee?
# %% [markdown] tags=["rubric"]
# 1 point: a model that reads from left to right answers differently for the two orders, and nothing in the labels keeps it from
# using the order. 2 points: ask every test pair a second time with its texts exchanged and count how many answers change. 2
# points: both orders cost twice the time; the added states, and so the answer, are the same for both, whatever was learned.
# %% [markdown] question="4.8" title="When the second loss helps" points=5 minutes=15
# In at most 150 words: for which tasks did the paper's Table 5 find the auxiliary loss helpful, and what explanation does the
# paper give? What did chapter 8 find for `entailment` when the number of labels grew, which explanation did it test, and
# how far did the test bear it out?
# %% [markdown] tags=["rubric"]
# 1 point: it helped on the language inference tasks and on QQP and cost a little on the smaller sets. 1 point: the paper says
# that larger data sets benefit. 1 point: in the book it costs more, not less, with more labels. 1 point: the suspicion was that
# false hypotheses teach the model untrue sentences; it was tested by showing only true or only false ones. 1 point: false ones
# did far more harm, but true ones did some as well, so it is part of the story at most. (Who notices that RTE gains too, and is
# a small set, which does not fit the explanation of the paper, has read well.)
