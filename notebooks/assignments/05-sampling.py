# %% [markdown] closed=["minigpt.generate", "minigpt.model", "minigpt.modern", "transformers"]
# # Assignment 5 · Sampling and the KV cache
#
# A language model answers one question: which token comes next, and how surely? In this assignment you build everything that
# stands between its answers and a text. The first half chooses a token, from temperature to the draw. The second half makes
# writing fast, with a cache of keys and values, for several prompts at a time. Chapter 11 of the book explains all of it (and
# chapter 3 the mask of a text that goes on, and the heads). There prompts of unequal length are read side by side; here you take
# the other way, which most libraries take: padding on the left.
# At the end the book's small model writes with your own loop, and you see what the cache was worth.
#
# **How it works.** Each problem has a cell with a stub, where `...` stands for your work, and a check below it. Run the stub as
# it is and the check says that the problem was not attempted yet. (It says the same when your function returns nothing: look
# for a forgotten `return`.) Write your code, run both cells again, and the check tells you what is wrong and why. You may add
# cells and functions of your own; the names, the arguments and the results of the stubs have to stay, and no
# function may change what it was given. The grader runs your notebook from top to bottom in a fresh process without network, and
# then calls your functions with inputs that you have not seen. Each later problem is marked as if the earlier ones were right, so
# an early mistake costs its points once. The checks in this notebook use your own earlier functions: get those right first.
#
# **What you may use.** Python and all of PyTorch, its attention included, and the functions of the next cell. The book's own
# model and its sampling are closed while grading, and so is transformers. With a person or an assistant you may discuss ideas,
# but not code; the file with the rules for AI assistants lies beside this one.
# %%
import math
import time

import torch
from torch import Tensor
from torch.nn import functional as F


def layer_norm(x: Tensor, p: dict[str, Tensor], name: str) -> Tensor:
    """The layer norm `name` of the parameters p, over the last dimension of x."""
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])


def mlp(x: Tensor, p: dict[str, Tensor]) -> Tensor:
    """A block's second sub-layer; p holds "c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias"."""
    widened = F.gelu(torch.addmm(p["c_fc.bias"], x.flatten(0, -2), p["c_fc.weight"]), approximate="tanh")
    return torch.addmm(p["c_proj.bias"], widened, p["c_proj.weight"]).view(x.shape)


def part(p: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The parameters whose names begin with `prefix`, without it: part(p, "h.0.") is all of block 0."""
    return {name.removeprefix(prefix): tensor for name, tensor in p.items() if name.startswith(prefix)}


def misshapen(got, shape: tuple[int, ...], whole: bool = False) -> str | None:
    """For the checks: what is wrong with the form of a result; None if it is a tensor of this shape."""
    if not isinstance(got, Tensor):
        return f"the result should be a tensor of shape {shape}, not {'None' if got is None else f'a {type(got).__name__}'}"
    if tuple(got.shape) != shape:
        return f"the result should have the shape {shape}, not {tuple(got.shape)}"
    if got.is_floating_point() == whole or got.dtype == torch.bool:
        return f"the result should hold {'whole numbers' if whole else 'floating-point numbers'}, not {got.dtype}"
    return None


def close(got: Tensor, right) -> bool:
    """For the checks: equal to a thousandth, in float32 or float64."""
    return torch.allclose(got.double(), torch.as_tensor(right).double(), atol=1e-3)


def waiting(function, *arguments) -> bool:
    """For the checks: is an earlier function that this problem uses still without an answer?"""
    try:
        return function(*arguments) is None
    except Exception:
        return True


# %% [markdown] problem="5.1" title="Temperature" points=10 difficulty=1 minutes=15
# Write `probabilities`: the logits of every row are divided by the temperature and go through a softmax. Temperature 0 is the
# limit of small temperatures, greedy: the highest logit gets probability 1, and of several equal ones the first. Only 0 itself is
# greedy: at 0.005 two logits that are close still share. No result may be infinite or not a number, neither for logits of 1,000
# nor at a temperature of 1e-37.
# %% tags=["solution"]
def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """logits (batch, vocab_size), temperature 0 or more -> probabilities, the same shape."""
    ### BEGIN SOLUTION
    if temperature == 0:
        return F.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(logits.dtype)
    below_best = logits - logits.amax(dim=-1, keepdim=True)
    return (below_best / temperature).softmax(dim=-1)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_5_1(answer):
    logits = torch.tensor([[0.0, math.log(4)], [0.0, 0.0]])  # odds of 1 to 4 in the first row, of 1 to 1 in the second
    given = logits.clone()
    got = answer(given, 2.0)
    if got is None:
        return "not attempted yet"
    if wrong := misshapen(got, (2, 2)):
        return wrong
    if not torch.equal(given, logits):
        return "the logits that you were given have changed: make a new tensor (`-=` and the like change the old one)"
    first = got[0].tolist()
    if abs(got[0].sum() - 1) > 1e-3 and abs(got[:, 1].sum() - 1) < 1e-3:
        return "the columns sum to 1, not the rows: the softmax runs over the vocabulary, the last dimension"
    if abs(sum(first) - 0.5) < 1e-3:
        return "at temperature 2 the row sums to 0.5: divide the logits, before the softmax, not the probabilities after it"
    if abs(first[1] - 16 / 17) < 1e-3:
        return "the odds 1 to 4 became 1 to 16 at temperature 2: divide by the temperature; yours makes hot sharper, not flatter"
    if abs(first[1] - 0.8) < 1e-3:
        return "the temperature has no effect: at 2 the odds 1 to 4 become their root, 1 to 2"
    if not close(got, [[1 / 3, 2 / 3], [0.5, 0.5]]):
        return f"odds of 1 to 4 become 1 to 2 at temperature 2, that is (0.333, 0.667), not {[round(p, 3) for p in first]}"
    try:
        got = answer(torch.tensor([[1.0, 3.0, 3.0, 2.0]]), 0)
    except ZeroDivisionError:
        return "temperature 0 divides by zero: it is a case of its own, all probability on the highest logit"
    if wrong := misshapen(got, (1, 4)):
        return f"at temperature 0 {wrong}"
    got = got[0].tolist()
    if any(math.isnan(p) for p in got):
        return "at temperature 0 you divide by zero and get not a number: it is a case of its own"
    if [round(p, 3) for p in got] == [0, 0.5, 0.5, 0]:
        return "a temperature close to 0 is not 0: with two highest logits greedy takes the first, and you give half to each"
    if got == [0, 0, 1, 0]:
        return "of two highest logits greedy takes the first; you take the last"
    if got != [0, 1, 0, 0]:
        return f"at temperature 0 the logits (1, 3, 3, 2) give (0, 1, 0, 0), not {[round(p, 3) for p in got]}"
    got = answer(torch.tensor([[1000.0, 1000.0 + math.log(3)]]), 1.0)
    if wrong := misshapen(got, (1, 2)):
        return f"for logits around 1,000 {wrong}"
    if not close(got, [[0.25, 0.75]]):
        if got.isnan().any():
            return ("logits around 1,000 give not a number, since e^1000 is infinite: subtract the highest logit of the row first, "
                    "which changes no probability")
        return f"logits 1000 and 1000 + ln 3 give (0.25, 0.75), not {got[0].tolist()}"
    got = answer(torch.tensor([[100.0, 90.0]]), 1e-37)
    if wrong := misshapen(got, (1, 2)):
        return f"at temperature 1e-37 {wrong}"
    if got.isnan().any():
        return "at temperature 1e-37 a logit of 100 becomes infinite: subtract the highest logit before you divide, not after"
    if got[0].tolist() != [1, 0]:
        return f"at temperature 1e-37 logits 100 and 90 give (1, 0), not {got[0].tolist()}"
    for temperature in (0, 1e-37):
        got = answer(torch.tensor([[5.0, 3.0, 1.0], [500.0, 900.0, 700.0]]), temperature)
        if wrong := misshapen(got, (2, 3)):
            return f"at temperature {temperature} {wrong}"
        if got.tolist() != [[1, 0, 0], [0, 1, 0]]:
            return (f"at temperature {temperature} the rows (5, 3, 1) and (500, 900, 700) give (1, 0, 0) and (0, 1, 0), not "
                    f"{got.tolist()}: each row has a highest logit of its own")
    for temperature in (0.005, 1e-9):
        got = answer(torch.tensor([[0.0, -temperature * math.log(3)]]), temperature)
        if wrong := misshapen(got, (1, 2)):
            return f"at temperature {temperature} {wrong}"
        if not close(got, [[0.75, 0.25]]):
            return (f"at temperature {temperature} two logits that differ by {temperature} · ln 3 still share, (0.75, 0.25), and "
                    f"yours give {got[0].tolist()}: only 0 itself is greedy")
    return "correct"


print("Problem 5.1:", diagnose_5_1(probabilities))
# %% tags=["hidden"]
def normal(rng, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.getrandbits(31)))


def tied_rows(rng, batch, size):
    """Logits whose two highest are equal, in places of its own for each row; the first of them differs from row to row."""
    while True:
        logits = normal(rng, batch, size)
        for row in logits:
            row[rng.sample(range(size), 2)] = 5.0
        if len(set(logits.argmax(-1).tolist())) > 1:
            return logits


def cases_5_1(rng):
    plain, zero, large = [], [], []
    for _ in range(4):
        batch, size = rng.randint(2, 4), rng.randint(4, 9)
        plain.append(("probabilities", 3 * normal(rng, batch, size), rng.choice([0.3, 0.5, 2.0, 3.0])))
        zero.append(("probabilities", tied_rows(rng, batch, size), rng.choice([0, 0.0])))
        large += [("probabilities", 1000 + 3 * normal(rng, batch, size), rng.choice([0.5, 2.0])),
                  ("probabilities", 100 * normal(rng, batch, size), 1e-37),
                  *(("probabilities", cold * normal(rng, batch, size), cold) for cold in (0.005, 1e-9))]
    return [("ordinary temperatures", 4, plain), ("temperature 0", 3, zero), ("large logits, tiny temperatures", 3, large)]
# %% [markdown] problem="5.2" title="Cut the tail" points=15 difficulty=2 minutes=35
# Two ways to cut off what is unlikely. Both return logits, in which the tokens that are cut have become minus infinity and all
# others are as they were.
#
# `keep_top_k` keeps the k likeliest tokens of each row, and all tokens that are as likely as the k-th. A k larger than the
# vocabulary keeps everything.
#
# `keep_top_p` keeps the smallest set of the likeliest tokens whose probabilities together reach p. The token with which they
# reach it stays in, so there is always one left, and p = 1 keeps everything, however small. (Nothing is asked in which two
# tokens at the border are equally likely, or p is reached exactly.)
# %% tags=["solution"]
def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """logits (batch, vocab_size), k at least 1 -> the same, -inf outside each row's k likeliest."""
    ### BEGIN SOLUTION
    if k >= logits.shape[-1]:
        return logits
    bar = logits.topk(k, dim=-1).values[:, -1:]
    return logits.masked_fill(logits < bar, -math.inf)
    ### END SOLUTION


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """logits (batch, vocab_size), 0 < p <= 1 -> the same, -inf outside each row's smallest set that reaches p."""
    ### BEGIN SOLUTION
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    probs = ordered.softmax(dim=-1)
    likelier = probs.cumsum(dim=-1) - probs
    cut = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, likelier >= p)
    return logits.masked_fill(cut, -math.inf)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_5_2(top_k, top_p):
    logits = torch.tensor([[3.0, 1.0, 4.0, -1.0], [10.0, 40.0, 20.0, 30.0]])

    def kept(got, rows=1):
        """For each row the tokens that are left (None without a form), and whether what is cut is -inf."""
        if not isinstance(got, Tensor) or got.dim() != 2 or len(got) != rows or not got.is_floating_point():
            return [None] * rows, False
        finite = got.isfinite()
        return [[i for i, stays in enumerate(row) if stays] for row in finite.tolist()], bool((got[~finite] == -math.inf).all())

    given = logits.clone()
    got = top_k(given, 2)
    if got is None:
        return "not attempted yet"
    if wrong := misshapen(got, (2, 4)):
        return f"keep_top_k: {wrong}"
    if not torch.equal(given, logits):
        return "keep_top_k changes the logits that it was given: make a new tensor"
    (first, second), cut = kept(got, 2)
    if first == [0, 1, 2, 3] and (got[0, 1] == 0 or got[0, 3] == 0):
        return "keep_top_k sets what it cuts to 0, but a logit of 0 is likelier than one of -1: minus infinity is no probability"
    if first == [] and second == [1, 3]:
        return "keep_top_k takes the 2 highest logits of the whole batch: each row has likeliest tokens of its own"
    if first == [2] and second == [1]:
        return "keep_top_k with k = 2 keeps one token: the k-th likeliest itself stays in"
    if first == second == [0, 1, 2, 3] or ((first, second) == ([0, 2], [1, 3]) and not cut):
        return f"keep_top_k with k = 2: in (3, 1, 4, -1) two logits become minus infinity; yours become {got[0].tolist()}"
    if first == [0, 2] and second != [1, 3]:
        return (f"keep_top_k: the first row is right, but of (10, 40, 20, 30) the 2 likeliest are the tokens 1 and 3, and you keep "
                f"{second}: each row has a bar of its own")
    if (first, second) != ([0, 2], [1, 3]):
        return f"keep_top_k: of (3, 1, 4, -1) the 2 likeliest are the tokens 0 and 2, and you keep {first}"
    if not close(got[got.isfinite()], logits[got.isfinite()]):
        return "keep_top_k keeps the right tokens, but their logits should stay as they were"
    got = top_k(torch.tensor([[2.0, 5.0, 2.0, 1.0]]), 2)
    if kept(got)[0] != [[0, 1, 2]]:
        return f"keep_top_k: in (2, 5, 2, 1) two tokens are equally likely as the second, and both stay; you keep {kept(got)[0][0]}"
    try:
        got = top_k(logits.clone(), 40)
    except (RuntimeError, IndexError) as error:
        return f"keep_top_k: a k of 40 in a vocabulary of 4 raised {type(error).__name__}; it should keep everything"
    if misshapen(got, (2, 4)) or not close(got, logits):
        return "keep_top_k: a k of 40 in a vocabulary of 4 should keep everything as it is"

    logits = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.7, 0.1, 0.15, 0.05]]).log() + 1
    given = logits.clone()
    got = top_p(given, 0.6)
    if got is None:
        return "keep_top_p: not attempted yet"
    if wrong := misshapen(got, (2, 4)):
        return f"keep_top_p: {wrong}"
    if not torch.equal(given, logits):
        return "keep_top_p changes the logits that it was given: make a new tensor"
    if got.min() >= 0 and abs(got[0].sum() - 1) < 1e-3:
        return "keep_top_p gives back probabilities: logits are wanted, with -inf where something is cut"
    (first, second), cut = kept(got, 2)
    if first == [1] and second in ([], [0]):
        if kept(top_p(logits[:1].clone(), 0.6))[0] != [[1]]:
            return "keep_top_p cuts a row otherwise when it comes alone: softmax and sums run along the row, the last dimension"
        return "keep_top_p drops the token with which p is reached: 0.5 alone does not reach 0.6, so the next one, 0.25, stays in"
    if first == [0, 1, 2, 3] and (got[0, 0] == 0 or got[0, 2] == 0):
        return ("keep_top_p sets what it cuts to 0, but a logit of 0 may be likelier than what is kept: what is cut becomes minus "
                "infinity")
    if first == second == [0, 1, 2, 3]:
        return ("keep_top_p keeps everything: begin with the likeliest and add up probabilities, not logits; of (0.1, 0.5, 0.15, "
                "0.25) the tokens 1 and 3 reach 0.6")
    if first in ([0, 1], [0, 3]):
        return ("keep_top_p keeps as many tokens as it should, but the wrong ones: go from the likeliest down, and bring what you "
                "found in this order back to where the tokens stand (place i of the order belongs to the token order[i])")
    if 0 in first:
        return "keep_top_p keeps the least likely token, 0.1: go from the likeliest down, and add up probabilities, not logits"
    if first != [1, 3]:
        return f"keep_top_p: of (0.1, 0.5, 0.15, 0.25) the tokens 1 and 3 are the smallest set that reaches 0.6; you keep {first}"
    if second != [0]:
        return (f"keep_top_p: the first row is right, but in (0.7, 0.1, 0.15, 0.05) token 0 alone reaches 0.6, and you keep "
                f"{second}: each row has a set of its own")
    if not cut:
        return f"keep_top_p keeps the right tokens; all others become minus infinity, and yours {got[0].tolist()}"
    if not close(got[got.isfinite()], logits[got.isfinite()]):
        return "keep_top_p keeps the right tokens, but their logits should stay as they were"
    sure = torch.tensor([[0.0, 30.0, 0.0]])
    got = kept(top_p(sure.clone(), 0.5))[0][0]
    if got != [1]:
        return f"keep_top_p: where one token alone has more than p, it stays alone; you keep {got}"
    got = top_p(sure.clone(), 1.0)
    if misshapen(got, (1, 3)) or not close(got, sure):
        return ("keep_top_p with p = 1 cuts tokens: the first one's probability rounds to 1, and p counts as reached; 1 keeps "
                "everything by definition")
    return "correct"


print("Problem 5.2:", diagnose_5_2(keep_top_k, keep_top_p))
# %% tags=["hidden"]
def distinct(rng, batch, size, gap=0.7):
    """Logits at least `gap` apart, so that rounding decides nothing."""
    return torch.tensor([[gap * (rank + 0.5 * rng.random()) - 1.0 for rank in rng.sample(range(size), size)] for _ in range(batch)])


def reachable(rng, logits):
    """A p that no row reaches exactly, nor nearly."""
    sums = logits.softmax(-1).sort(descending=True).values.cumsum(-1)
    while True:
        p = rng.uniform(0.3, 0.95)
        if (sums - p).abs().min() > 1e-3:
            return p


def unlike(rng, size):
    """Three rows, from flat to peaked, and a p that takes another number of tokens in each."""
    while True:
        logits = distinct(rng, 3, size, gap=0.3) * torch.tensor(rng.sample([0.6, 1.5, 4.0], 3))[:, None]
        p = reachable(rng, logits)
        if len(set(keep_top_p(logits, p).isfinite().sum(-1).tolist())) == 3:
            return logits, p


def cases_5_2(rng):
    likeliest, ties, smallest, sure, everything = [], [], [], [], []
    for _ in range(4):
        size = rng.randint(6, 9)
        logits = distinct(rng, 3, size) + torch.tensor(rng.sample([-9.0, 0.0, 9.0], 3))[:, None]
        likeliest.append(("keep_top_k", logits, rng.randint(2, size - 2)))
        tied = logits.clone()
        for row in tied:
            places = row.argsort(descending=True)
            row[places[2]] = row[places[1]]
        ties += [("keep_top_k", tied, 2), ("keep_top_k", logits, size + rng.randint(1, 50))]
        smallest.append(("keep_top_p", *unlike(rng, size)))
        peaked = distinct(rng, 3, size)
        peaked[range(3), [rng.randrange(size) for _ in range(3)]] = 40.0
        sure.append(("keep_top_p", peaked, rng.uniform(0.3, 0.95)))
        everything.append(("keep_top_p", peaked, 1.0))
    return [("top-k: the likeliest", 3, likeliest), ("top-k: ties, and more than there are", 3, ties),
            ("top-p: the smallest set", 5, smallest), ("top-p: one token has more than p", 2, sure),
            ("top-p: p = 1", 2, everything)]
# %% [markdown] problem="5.3" title="Draw" points=15 difficulty=2 minutes=30 uses=["probabilities", "keep_top_k", "keep_top_p"]
# All chance comes from outside, as one uniform number u in [0, 1) for each row, so the same numbers give the same text on every
# computer. Lay the weights of a row side by side on a line, in the order of the tokens' ids, and walk the share u of the line's
# length. Write `draw`, which returns the token on whose stretch you then stand. Weights are not negative, but need not sum to 1,
# and a weight of 0 has no stretch: such a token is never drawn, not even at u = 0. Compute in float64: float32 loses a small
# stretch beside a large one.
#
# Then put the first half together in `choose`: the temperature first, then top-k, then top-p among what top-k has left, then
# the draw. `None` means that there is no such cut. Mind what each function takes and returns: the cuts work on logits, `draw`
# on weights.
# %% tags=["solution"]
def draw(weights: Tensor, u: Tensor) -> Tensor:
    """weights (batch, vocab_size), not negative, some of each row positive; u (batch,) -> tokens (batch,), whole numbers."""
    ### BEGIN SOLUTION
    line = weights.double().cumsum(dim=-1)
    point = u.double()[:, None] * line[:, -1:]
    return torch.searchsorted(line, point, right=True)[:, 0]
    ### END SOLUTION


def choose(logits: Tensor, u: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """logits (batch, vocab_size), one number u (batch,) in [0, 1) for each row -> the next tokens (batch,), whole numbers."""
    ### BEGIN SOLUTION
    logits = probabilities(logits, temperature).log()
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    if top_p is not None:
        logits = keep_top_p(logits, top_p)
    return draw(probabilities(logits, 1.0), u)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_5_3(draw, choose):
    def numbers(*values):
        return torch.tensor(values, dtype=torch.float64)

    def one(weights, u):
        """The token that draw gives for a batch of one; None without a form."""
        got = draw(weights.clone(), numbers(u))
        return None if misshapen(got, (1,), whole=True) else got.item()

    shares, places = torch.tensor([[0.1, 0.2, 0.3, 0.4]]), (0.05, 0.25, 0.55, 0.95)
    got = draw(shares.clone(), numbers(0.05))
    if got is None:
        return "not attempted yet"
    if wrong := misshapen(got, (1,), whole=True):
        return f"draw: {wrong}"
    got = [one(shares, u) for u in places]
    if len(set(got)) == 1:
        return f"draw gives the token {got[0]} whatever u is: it is u that decides"
    if got in ([3, 3, 2, 0], [3, 2, 1, 0], [0, 0, 1, 3]):
        return "draw lays the weights out from the likeliest or from the back: their order on the line is that of the ids"
    if got == [1, 2, 3, 4]:
        return f"draw gives {got} for u = {places}: one too far, since the first stretch belongs to token 0"
    if got != [0, 1, 2, 3]:
        return f"draw: with the weights (0.1, 0.2, 0.3, 0.4) u = {places} gives the tokens 0, 1, 2, 3, not {got}"
    got = draw(shares.repeat(4, 1), numbers(*places))
    if wrong := misshapen(got, (4,), whole=True):
        return f"draw, for a batch of four: {wrong}"
    if got.tolist() != [0, 1, 2, 3]:
        return f"draw: four equal rows with u = {places} give 0, 1, 2, 3, and you give {got.tolist()}: each row has its own u"
    got = [one(10 * shares, 0.55), one(shares / 10, 0.55)]
    if got != [2, 2]:
        return (f"draw: the weights (1, 2, 3, 4) are the same shares as (0.1, 0.2, 0.3, 0.4), so u = 0.55 gives 2, not {got}: "
                "the line is as long as the sum of the weights")
    some = torch.tensor([[0.0, 0.0, 3.0, 0.0, 1.0, 0.0]])
    got = [one(some, u) for u in (0.0, 0.74, 0.76, 0.9999)]
    if got[0] in (0, 1):
        return f"draw: u = 0 gave the token {got[0]}, whose weight is 0: go on to the first point that lies beyond u, not at u"
    if got != [2, 2, 4, 4]:
        return f"draw: the weights (0, 0, 3, 0, 1, 0) with u = 0, 0.74, 0.76, 0.9999 give 2, 2, 4, 4, not {got}"
    if (got := one(torch.tensor([[1.0, 2.0**-26]]), 1 - 2.0**-28)) != 1:
        return (f"draw: beside a weight of 1 one of 2^-26 still has its stretch, at the end, where u = 1 - 2^-28 stands; you give "
                f"{got} instead of 1. In float32 both numbers are lost: make weights and u float64 before you add and multiply")

    logits = torch.tensor([[0.6, 0.2, 0.15, 0.05]]).log()
    if waiting(probabilities, logits, 1.0) or waiting(keep_top_k, logits, 2) or waiting(keep_top_p, logits, 0.5):
        return "draw is right; choose stands on the problems 5.1 and 5.2, which come first"
    given = logits.clone()
    got = choose(given, numbers(0.5), temperature=2.0)
    if got is None:
        return "choose: not attempted yet"
    if wrong := misshapen(got, (1,), whole=True):
        return f"choose: {wrong}"
    if not torch.equal(given, logits):
        return "choose changes the logits that it was given: make a new tensor"
    many = torch.arange(0.005, 1, 0.01, dtype=torch.float64)

    def drawn(**how):
        got = choose(logits.repeat(100, 1), many, **how)
        return misshapen(got, (100,), whole=True) or sorted(set(got.tolist()))

    for temperature, shares in ((1.0, [60, 20, 15, 5]), (2.0, [42, 24, 21, 12])):
        got = choose(logits.repeat(100, 1), many, temperature=temperature)
        if wrong := misshapen(got, (100,), whole=True):
            return f"choose, for a batch of 100: {wrong}"
        if got.min() < 0 or got.max() > 3:
            return "choose draws tokens that do not exist: did minus infinity or not a number reach draw? It takes probabilities"
        got = [(got == token).sum().item() for token in range(4)]
        if any(abs(n - share) > 1 for n, share in zip(got, shares, strict=True)):
            return (f"choose at temperature {temperature:g} without a cut should draw the tokens 0 to 3 in about {shares} of 100 "
                    f"evenly spaced places, and yours draws them in {got}: one division by the temperature, one softmax")
    got = choose(torch.tensor([[1.0, 2.0, 5.0, 5.0]]), numbers(0.99), temperature=0)
    if misshapen(got, (1,), whole=True) or got.item() != 2:
        return f"choose: at temperature 0 the first of the highest logits is chosen, token 2, whatever u is; you give {got}"
    got = drawn(top_k=2)
    if isinstance(got, list) and max(got) > 3:
        return ("choose with top_k = 2 draws a token that does not exist: minus infinity has reached draw as a weight. keep_top_k "
                "and keep_top_p take logits and return logits; after the last cut a softmax makes weights of them")
    if got != [0, 1]:
        return f"choose with top_k = 2 draws the tokens 0 and 1, yours {got}"
    if (got := drawn(top_p=0.7)) != [0, 1]:
        return f"choose with top_p = 0.7 draws the tokens 0 and 1, yours {got}"
    if (got := drawn(temperature=4.0, top_p=0.55)) == [0]:
        return ("choose cuts before it heats: at temperature 4 the tokens have 0.33, 0.25, 0.24 and 0.18, and top-p 0.55 keeps "
                "two, but yours draws only token 0, which had 0.6 when cold")
    if got != [0, 1]:
        return f"choose at temperature 4 with top_p = 0.55 draws the tokens 0 and 1, yours {got}"
    if (got := drawn(top_k=2, top_p=0.7)) == [0, 1]:
        return ("choose applies top-p to all tokens: of the two that top-k = 2 leaves, the first has 0.6 / 0.8 = 0.75 and "
                "reaches 0.7 alone; yours draws both")
    return "correct" if got == [0] else f"choose with top_k = 2 and top_p = 0.7 draws token 0 only, yours {got}"


print("Problem 5.3:", diagnose_5_3(draw, choose))
# %% tags=["hidden"]
def uniform(rng, batch):
    return torch.tensor([rng.random() for _ in range(batch)], dtype=torch.float64)


def cases_5_3(rng):
    rows, scaled, none, cuts, greedy = [], [], [], [], []
    for _ in range(4):
        batch, size = rng.randint(6, 9), rng.randint(5, 9)
        weights = normal(rng, batch, size).softmax(-1)
        rows.append(("draw", weights, uniform(rng, batch)))
        scaled += [("draw", weights * rng.uniform(3, 9), uniform(rng, batch)), ("draw", weights * 0.1, uniform(rng, batch)),
                   ("draw", torch.tensor([[1.0, *[2.0**-26] * (size - 1)]]), torch.tensor([1 - 2.0**-28], dtype=torch.float64))]
        empty = weights.clone()
        empty[:, [0, 2, size - 1]] = 0.0
        empty /= empty.sum(-1, keepdim=True)
        none += [("draw", empty, torch.zeros(batch, dtype=torch.float64)),
                 ("draw", empty, torch.full((batch,), 0.99999, dtype=torch.float64))]
        logits = distinct(rng, 40, size, gap=0.4)
        hot = (logits / 3).softmax(-1).log()
        cuts += [("choose", logits, uniform(rng, 40), 3.0, None, reachable(rng, hot)),
                 ("choose", logits, uniform(rng, 40), 0.7, 3, 0.8), ("choose", logits, uniform(rng, 40), 1.5, 2, None)]
        greedy.append(("choose", tied_rows(rng, batch, size), uniform(rng, batch), 0.0, rng.choice([None, 3]), None))
    return [("draw: each row its own number", 4, rows), ("draw: weights that do not sum to 1, or are tiny", 2, scaled),
            ("draw: tokens of weight 0", 3, none), ("choose: temperature and cuts", 4, cuts), ("choose: greedy", 2, greedy)]
# %% [markdown] problem="5.4" title="Attention with a past" points=20 difficulty=3 minutes=50
# Now the cache. The batch is a rectangle of tokens, and it grows by columns: first the prompts, several columns at once, then
# one column for each new token. Prompts of unequal length are padded on the left, so that all end in the same column; `start`
# says for each row in which column its text begins.
#
# Write `attend`, one layer of causal self-attention, for the new columns only. The keys and values of the columns before come
# in `past`, or it is `None` if there are none. Return what the new columns become, and the keys and values of all columns so
# far, which the next call will get. Column t sees column s if s <= t and s is not padding; a column of padding sees itself alone,
# so that no row is empty. (Exercise 3.4 of the book is the mask without the padding, and `split_heads` in the same chapter cuts
# the features into heads.) The tensors in `past` must not change: somebody may want to try two continuations of the same text.
# %% tags=["solution"]
def attend(x: Tensor, p: dict[str, Tensor], n_head: int, start: Tensor, past: tuple | None = None) -> tuple[Tensor, tuple]:
    """x (batch, new, n_embd), start (batch,), past (keys, values) or None -> (the shape of x, (keys, values) with the new ones).

    Keys and values are (batch, n_head, columns, n_embd // n_head) each; head h reads the h-th stretch of the features.
    p: "c_attn.weight" (n_embd, 3 * n_embd), which makes queries, keys and values, in this order, "c_attn.bias" (3 * n_embd,),
    "c_proj.weight" (n_embd, n_embd), "c_proj.bias" (n_embd,); `x @ weight + bias` applies them.
    """
    ### BEGIN SOLUTION
    batch, new, width = x.shape
    qkv = (x @ p["c_attn.weight"] + p["c_attn.bias"]).view(batch, new, 3, n_head, width // n_head)
    q, keys, values = qkv.permute(2, 0, 3, 1, 4)
    if past is not None:
        keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
    columns = torch.arange(keys.shape[2])
    s, t = columns[None, None, :], columns[None, -new:, None]
    seen = (s <= t) & ((s >= start[:, None, None]) | (s == t))
    scores = q @ keys.transpose(-2, -1) / math.sqrt(width // n_head)
    y = scores.masked_fill(~seen[:, None], -math.inf).softmax(dim=-1) @ values
    return y.transpose(1, 2).reshape(batch, new, width) @ p["c_proj.weight"] + p["c_proj.bias"], (keys, values)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_5_4(answer):
    # All queries and keys are 0, so a column sees evenly; the values are the input, and column j's value is 1 at feature j:
    # what comes out of a column tells which columns it has seen.
    p = {"c_attn.weight": torch.cat([torch.zeros(4, 8), torch.eye(4)], dim=1), "c_attn.bias": torch.zeros(12),
         "c_proj.weight": torch.eye(4), "c_proj.bias": torch.zeros(4)}
    marked, nothing = torch.eye(4)[None], torch.tensor([0])

    def told(got, batch, new, total, n_head=1):
        """What is wrong with the form of a result, or None."""
        if not isinstance(got, tuple | list) or len(got) != 2 or not isinstance(got[1], tuple | list) or len(got[1]) != 2:
            return "return two things: what the new columns become, and the pair (keys, values)"
        if wrong := misshapen(got[0], (batch, new, 4)):
            return f"for {new} new columns {wrong}"
        for name, tensor in zip(("keys", "values"), got[1], strict=True):
            if isinstance(tensor, Tensor) and tensor.dim() == 4 and tensor.shape[2] == new < total:
                return f"the {name} you return are those of the new columns alone: the next call needs all {total} columns so far"
            if wrong := misshapen(tensor, (batch, n_head, total, 4 // n_head)):
                return f"the {name} after {total} columns, heads of size {4 // n_head}: {wrong}"
        return None

    def seen(got, row=0):
        return [[s for s, weight in enumerate(line) if weight > 1e-3] for line in got[0][row].tolist()]

    def cached(columns):
        return torch.zeros(1, 1, columns, 4), marked[:, None, :columns].clone()

    got = answer(marked[:, :3].clone(), p, 1, nothing)
    if got is None:
        return "not attempted yet"
    if wrong := told(got, 1, 3, 3):
        return wrong
    if seen(got)[0] == [0, 1, 2]:
        return "without a past column 0 sees the columns 1 and 2: it looks into the future"
    if seen(got) == [[0], [1], [1, 2]] or seen(got) == [[0], [1], [2]]:
        return "with start = 0 there is no padding, but only column 0 sees itself: the column `start` belongs to the text"
    if seen(got) == [[0], [0, 1], [0, 1, 2]] and abs(got[0][0].sum(-1) - 1).max() > 1e-3:
        return (f"the weights with which column 0 sees sum to {got[0][0, 0].sum():.2f}, not to 1: hide what is not seen before the "
                "softmax, with minus infinity, not after it")
    if seen(got) != [[0], [0, 1], [0, 1, 2]]:
        return f"three columns without a past should see [0], [0, 1] and [0, 1, 2]; yours see {seen(got)}"
    past = cached(2)
    try:
        got = answer(marked[:, 2:3].clone(), p, 1, nothing, past)
    except (RuntimeError, IndexError) as error:
        return (f"one new column after a past of two raised {type(error).__name__}: {str(error)[:90]}. Keys and values are joined "
                "along the columns, dimension 2, and the mask needs a row for each new column and a place for each column")
    if wrong := told(got, 1, 1, 3):
        return wrong
    if not torch.equal(past[1], cached(2)[1]) or past[0].shape[2] != 2:
        return "the past that you were given has changed: make new tensors, since two continuations may start from it"
    if got[1][1][0, 0, 0].tolist() == [0, 0, 1, 0]:
        return "the new keys and values stand before those of the past: the columns keep their order, the new ones come last"
    if seen(got) == [[2]]:
        return "a new column sees itself alone: it also sees all columns of the past, so the past's keys and values come in"
    if seen(got) == [[0]]:
        return ("column 2, the only new one, sees column 0 alone: your mask counts the new columns from 0, but after a past of two "
                "columns the first new one is column 2")
    if seen(got) != [[0, 1, 2]]:
        return f"one new column after a past of two sees the columns 0, 1 and 2; yours sees {seen(got)[0]}"
    got = answer(marked[:, 2:].clone(), p, 1, nothing, cached(2))
    if wrong := told(got, 1, 2, 4):
        return wrong
    if seen(got)[0] == [0, 1, 2, 3]:
        return "of two new columns after a past the first sees the second: a block of new columns needs its mask, too"
    if seen(got) != [[0, 1, 2], [0, 1, 2, 3]]:
        return f"two new columns after a past of two see [0, 1, 2] and [0, 1, 2, 3]; yours see {seen(got)}"

    try:
        got = answer(marked.repeat(2, 1, 1), p, 1, torch.tensor([0, 2]))
    except (RuntimeError, IndexError) as error:
        return (f"for two rows with start = (0, 2) your function raised {type(error).__name__}: {str(error)[:90]}. The mask of "
                "each row needs a place for the heads, (batch, 1, new, columns)")
    if wrong := told(got, 2, 4, 4):
        return wrong
    if got[0].isnan().any():
        return ("a column of padding sees nothing, softmax divides 0 by 0, and not a number spreads from there in the next layer: "
                "padding sees itself")
    if seen(got, 0) != [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]:
        return f"of two rows the first has no padding (start 0), the second two columns; in the first column 3 sees {seen(got)[3]}"
    if seen(got, 1)[2:] == [[0, 1, 2], [0, 1, 2, 3]]:
        return "padding is seen: where the text starts in column 2, the columns 0 and 1 are hidden from it"
    if seen(got, 1)[2:] == [[2], [3]] or seen(got, 1)[3] == [1, 2, 3]:
        return f"the border of the padding is off by one: with start = 2 column 3 sees [2, 3], not {seen(got, 1)[3]}"
    if seen(got, 1) != [[0], [1], [2], [2, 3]]:
        return f"with start = 2 the four columns see [0], [1], [2] and [2, 3]; yours see {seen(got, 1)}"
    got = answer(marked[:, 3:].repeat(2, 1, 1), p, 1, torch.tensor([0, 2]), tuple(t.repeat(2, 1, 1, 1) for t in cached(3)))
    if wrong := told(got, 2, 1, 4):
        return wrong
    if seen(got, 1) != [[2, 3]]:
        return f"with a past, too, padding is hidden: column 3 of a text that starts in column 2 sees [2, 3], not {seen(got, 1)[0]}"

    got = answer(marked.clone(), p, 2, nothing)
    if wrong := told(got, 1, 4, 4, n_head=2):
        return wrong
    if not torch.equal(got[1][1].float(), torch.stack([marked[:, :, :2], marked[:, :, 2:]], dim=1)):
        return ("with two heads, head 0 should hold the features 0 and 1 of every column and head 1 the features 2 and 3; yours "
                "mix columns and heads: cut each column's features into heads first, then bring the heads before the columns")
    if seen(got) != [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]:
        return ("with two heads the results are joined wrongly, columns and heads are mixed: bring the columns before the heads "
                "again, then put the heads of a column side by side")

    p["c_attn.weight"] = torch.zeros(4, 12)  # two heads of size 2: head 1 has queries and keys that are not 0
    p["c_attn.bias"] = torch.tensor([0.0, 0.0, math.sqrt(2) * math.log(3), 0.0] + [0.0] * 8)
    p["c_attn.weight"][:, 8:] = torch.eye(4)
    past = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    past[0][0, 1, 0, 0], past[1][0, :, 0, 0] = 1.0, 1.0
    got = answer(torch.zeros(1, 1, 4), p, 2, nothing, past)
    if wrong := told(got, 1, 1, 2, n_head=2):
        return wrong
    if close(got[0].flatten(), [0.5, 0.0, 0.5, 0.0]):
        return ("the new column's query, which is c_attn's bias here, has no effect in head 1: does the bias belong to your "
                "queries, and are the three parts of c_attn queries, keys, values, in this order?")
    if not close(got[0].flatten(), [0.5, 0.0, 0.75, 0.0]):
        return ("with two heads of size 2, head 0 should weigh the past by 0.5 and head 1 by 0.75, so (0.5, 0, 0.75, 0), not "
                f"{[round(y, 3) for y in got[0].flatten().tolist()]}: the scale is the root of the head's size, head 0 comes first")
    p["c_proj.bias"], p["c_proj.weight"] = torch.ones(4), torch.diag(torch.tensor([2.0, 0.0, 0.0]), 1)
    got = answer(torch.zeros(1, 1, 4), p, 2, nothing, past)
    if wrong := told(got, 1, 1, 2, n_head=2):
        return wrong
    if not close(got[0].flatten(), [1.0, 2.0, 1.0, 1.0]):
        return "c_proj is applied in another way than y @ weight + bias"
    return "correct"


print("Problem 5.4:", diagnose_5_4(attend))
# %% tags=["hidden"]
def attention_of(rng, width):
    return {"c_attn.weight": normal(rng, width, 3 * width), "c_attn.bias": normal(rng, 3 * width),
            "c_proj.weight": normal(rng, width, width), "c_proj.bias": normal(rng, width)}


def cases_5_4(rng):
    def call(past, new, padded=False):
        batch, n_head, size = 2, rng.randint(2, 3), rng.randint(2, 4)
        start = torch.tensor([0, rng.randint(2, past + new - 2)] if padded else [0, 0])
        cache = tuple(normal(rng, batch, n_head, past, size) for _ in range(2)) if past else None
        return ("attend", normal(rng, batch, new, n_head * size), attention_of(rng, n_head * size), n_head, start, cache)

    return [("no past", 4, [call(0, rng.randint(3, 6)) for _ in range(3)]),
            ("one column after a past", 5, [call(rng.randint(2, 6), 1) for _ in range(3)]),
            ("several columns after a past", 6, [call(rng.randint(2, 6), rng.randint(2, 4)) for _ in range(3)]),
            ("padding", 5, [call(0, 6, True), call(5, 1, True), call(3, 4, True)])]
# %% [markdown] problem="5.5" title="The network, a few columns at a time" points=15 difficulty=2 minutes=30 uses=["attend"]
# Write `forward`, all of GPT-2 for the new columns: the embeddings of token and position, the blocks, the last norm, and the
# product with the embedding matrix, which gives the logits. In each block `x` gets what attention makes of `ln_1`'s result
# added to it, and then what the MLP makes of `ln_2`'s. `layer_norm`, `mlp` and `part` stand at the beginning of the notebook.
# The past is a list with the keys and values of every layer. A token's position is its place in its own text, counted from 0,
# whatever stands left of it; padding gets position 0. What is wanted is what follows the last column, so one row of logits for
# each text.
# %% tags=["solution"]
def forward(ids: Tensor, start: Tensor, past: list | None, p: dict[str, Tensor], config: dict) -> tuple[Tensor, list]:
    """New columns ids (batch, new), start (batch,), each layer's past or None -> (logits (batch, vocab_size), each layer's past).

    p: "wte.weight" (vocab_size, n_embd), "wpe.weight" (n_positions, n_embd), "ln_f.weight", "ln_f.bias" (n_embd,), and for each
    layer i the names "h.i.ln_1.…", "h.i.attn.…", "h.i.ln_2.…", "h.i.mlp.…". config: "n_layer", "n_head" and "n_positions".
    """
    ### BEGIN SOLUTION
    before = past[0][0].shape[2] if past else 0
    columns = torch.arange(before, before + ids.shape[1])
    places = (columns[None, :] - start[:, None]).clamp(min=0)
    x, kept = p["wte.weight"][ids] + p["wpe.weight"][places], []
    for i in range(config["n_layer"]):
        block = part(p, f"h.{i}.")
        added, both = attend(layer_norm(x, block, "ln_1"), part(block, "attn."), config["n_head"], start, past[i] if past else None)
        x = x + added
        x = x + mlp(layer_norm(x, block, "ln_2"), part(block, "mlp."))
        kept.append(both)
    return layer_norm(x[:, -1], p, "ln_f") @ p["wte.weight"].T, kept
    ### END SOLUTION
# %% tags=["check"]
def diagnose_5_5(answer):
    # Attention and MLP add nothing. Token i has a 1 at feature i, position j at feature 4 + j, and the head reads the features:
    # the two highest logits tell which token and which position the last column had.
    config = {"n_layer": 2, "n_head": 1, "n_positions": 4}
    p = {"wte.weight": torch.eye(8), "wpe.weight": torch.eye(8)[4:], "ln_f.weight": torch.ones(8), "ln_f.bias": torch.zeros(8)}
    for i in range(2):
        p |= {f"h.{i}.ln_{j}.weight": torch.ones(8) for j in (1, 2)} | {f"h.{i}.ln_{j}.bias": torch.zeros(8) for j in (1, 2)}
        p |= {f"h.{i}.attn.c_attn.weight": torch.zeros(8, 24), f"h.{i}.attn.c_attn.bias": torch.full((24,), i + 1.0),
              f"h.{i}.attn.c_proj.weight": torch.zeros(8, 8), f"h.{i}.attn.c_proj.bias": torch.zeros(8),
              f"h.{i}.mlp.c_fc.weight": torch.zeros(8, 32), f"h.{i}.mlp.c_fc.bias": torch.zeros(32),
              f"h.{i}.mlp.c_proj.weight": torch.zeros(32, 8), f"h.{i}.mlp.c_proj.bias": torch.zeros(8)}
    nothing = torch.tensor([0])

    def told(got, columns, n_head=1):
        if not isinstance(got, tuple | list) or len(got) != 2:
            return "return two things: the logits and the list of the layers' keys and values"
        if isinstance(got[0], Tensor) and got[0].dim() == 3:
            return f"logits of the last column alone are wanted, (1, 8), not of every column, {tuple(got[0].shape)}"
        if wrong := misshapen(got[0], (1, 8)):
            return f"the logits: {wrong}"
        pairs = got[1] if isinstance(got[1], list | tuple) else []
        if len(pairs) != 2 or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
            return "the second result is a list with the pair (keys, values) of every layer, two pairs here"
        shapes = {tuple(getattr(tensor, "shape", ())) for pair in pairs for tensor in pair}
        if n_head == 2 and shapes == {(1, 1, columns, 8)}:
            return "with n_head = 2 in `config` your keys and values still have one head"
        size = (1, n_head, columns, 8 // n_head)
        return None if shapes == {size} else f"keys and values should be {size} here, not {shapes}"

    def read(got):
        """The token and the position of the last column."""
        two = sorted(got[0][0].topk(2).indices.tolist())
        return two[0], two[1] - 4

    try:
        got = answer(torch.tensor([[2, 0, 3]]), nothing, None, p, config)
    except Exception:
        if waiting(attend, torch.zeros(1, 3, 8), part(p, "h.0.attn."), 1, nothing):
            return "forward stands on attend, so problem 5.4 comes first"
        raise
    if got is None:
        return "not attempted yet"
    if wrong := told(got, 3):
        return wrong
    if got[0].abs().max() < 1e-3:
        return "the stream is lost: what attention and MLP compute is added to x, it does not take its place"
    if abs(got[0].sum() - 1) < 1e-3 and got[0].min() >= 0 or abs(got[0].exp().sum() - 1) < 1e-3:
        return "these are probabilities, or their logarithms: logits are wanted, and `choose` does the rest"
    if abs(got[0].mean()) > 1e-3:
        return "the norm ln_f is missing: the logits are read from x itself, where token and position are still 1 and 1"
    if abs(got[0][0].topk(2).values.diff()) > 1e-3:
        return "the logits come from one embedding alone: the token's and the position's are added"
    if read(got) != (3, 2):
        token, place = read(got)
        return (f"after the tokens 2, 0, 3 the logits should come from token 3 at position 2, the last column; yours come from "
                f"token {token}, position {place}")
    keys = [both[0][0, 0, 0, 0].item() for both in got[1]]
    if keys != [1, 2]:
        return f"the keys of layer 0 are all 1 here, those of layer 1 all 2; you return {keys}: one pair for each layer, in order"
    past = [(torch.full((1, 1, 2, 8), 10.0 * i), torch.full((1, 1, 2, 8), 10.0 * i)) for i in (1, 2)]
    given = list(past)
    got = answer(torch.tensor([[1]]), nothing, given, p, config)
    if wrong := told(got, 3):
        return wrong
    if len(given) != 2 or any(mine is not theirs for mine, theirs in zip(given, past, strict=True)):
        return "the past that you were given has changed: return a new list, since two continuations may start from the old one"
    keys = [both[0][0, 0, 0, 0].item() for both in got[1]]
    if keys != [10, 20]:
        return f"every layer has a past of its own: layers 0 and 1 came with keys 10 and 20, and you return {keys}"
    if read(got) == (1, 0):
        return "after a past of two columns the new token stands at position 2; you count from 0 again in every call"
    if read(got) != (1, 2):
        return f"after a past of two columns token 1 stands at position 2; you give it position {read(got)[1]}"
    try:
        got = answer(torch.tensor([[0, 0, 1]]), torch.tensor([2]), None, p, config)
    except IndexError:
        return "with two columns of padding a position lies outside the table: positions count from the start of the text"
    if wrong := told(got, 3):
        return wrong
    if read(got) == (1, 2):
        return "a text that starts in column 2 has its first token there, at position 0; you count the padding in front of it, too"
    if read(got) != (1, 0):
        return f"a text that starts in column 2 has its first token there, at position 0; you give it position {read(got)[1]}"
    longer = [tuple(tensor[:, :, [0, 0, 1]] for tensor in pair) for pair in past]
    got = answer(torch.tensor([[1]]), torch.tensor([2]), longer, p, config)
    if wrong := told(got, 4):
        return wrong
    if read(got) != (1, 1):
        return f"column 3 of a text that starts in column 2 is position 1, also after a past; you say {read(got)[1]}"
    p["h.0.attn.c_attn.weight"][:, 8:16] = torch.eye(8)  # the first layer's keys are the normalised input
    got = answer(torch.tensor([[0, 0, 1]]), torch.tensor([2]), None, p, config)
    if wrong := told(got, 3):
        return wrong
    if got[1][0][0][0, 0, 0].topk(2).indices.sort().values.tolist() != [0, 4]:
        return ("padding should get position 0; in column 0 of a text that starts in column 2 yours has another, since position "
                "-2 is counted from the end of the table")
    p["h.1.mlp.c_proj.bias"][7] = 9.0
    got = answer(torch.tensor([[2, 0, 3]]), nothing, None, p, config)
    if wrong := told(got, 3):
        return wrong
    p["h.1.mlp.c_proj.bias"][7] = 0.0
    if got[0].argmax() != 7:
        p["h.0.mlp.c_proj.bias"][7] = 9.0
        got = answer(torch.tensor([[2, 0, 3]]), nothing, None, p, config)
        if not told(got, 3) and got[0].argmax() == 7:
            return "layer 1 does not use its own MLP: the parameters of layer i are part(p, f\"h.{i}.\")"
        return "what the MLP adds is lost: after attention x gets the MLP's result of ln_2 added"
    p["h.1.attn.c_proj.bias"][6] = 9.0
    got = answer(torch.tensor([[2, 0, 3]]), nothing, None, p, config)
    if wrong := told(got, 3):
        return wrong
    if got[0].argmax() != 6:
        return "what attention adds to x is lost"
    p["h.1.attn.c_proj.bias"][6] = 0.0
    p["h.1.ln_1.bias"][4] = p["h.1.ln_2.bias"][5] = 9.0  # in layer 1 feature 4 marks what comes out of ln_1, feature 5 out of ln_2
    got = answer(torch.tensor([[2, 0, 3]]), nothing, None, p, config)
    if wrong := told(got, 3):
        return wrong
    if (highest := got[0].argmax().item()) in (4, 5):
        return (f"ln_{highest - 3}'s result is for the sub-layer to read; what the sub-layer makes of it is added to x itself, not "
                "to the norm's result")
    p["h.1.attn.c_attn.weight"][:, 8:16] = torch.eye(8)  # layer 1's keys are what its attention reads
    p["h.1.mlp.c_fc.weight"][5, 1] = 1.0  # layer 1's MLP answers a large feature 5 with a large feature 7
    p["h.1.mlp.c_proj.weight"][1, 7] = 9.0
    got = answer(torch.tensor([[2, 0, 3]]), nothing, None, p, config)
    if wrong := told(got, 3):
        return wrong
    if got[1][1][0][0, 0, 2].argmax() != 4:
        return "attention should read what ln_1 of its own layer makes of x; in layer 1 yours reads something else"
    if got[0].argmax() != 7:
        return "the MLP should read what ln_2 of its own layer makes of x; in layer 1 yours reads something else"
    p["h.1.ln_2.bias"][5], p["h.1.attn.c_proj.bias"][5] = 0.0, 9.0
    got = answer(torch.tensor([[2, 0, 3]]), nothing, None, p, config)
    if wrong := told(got, 3):
        return wrong
    if got[0].argmax() != 7:
        return "the MLP does not know what attention has added: it reads ln_2 of x after attention, not before"
    got = answer(torch.tensor([[2, 0, 3]]), nothing, None, p, config | {"n_head": 2})
    return told(got, 3, n_head=2) or "correct"


print("Problem 5.5:", diagnose_5_5(forward))
# %% tags=["hidden"]
def model_of(rng, vocab_size=9, n_positions=8, n_layer=2, n_head=2, width=8):
    p = {"wte.weight": normal(rng, vocab_size, width), "wpe.weight": normal(rng, n_positions, width)}
    norms = ["ln_f", *(f"h.{i}.ln_{j}" for i in range(n_layer) for j in (1, 2))]
    for name in norms:
        p |= {f"{name}.weight": 1 + 0.2 * normal(rng, width), f"{name}.bias": 0.2 * normal(rng, width)}
    for i in range(n_layer):
        p |= {f"h.{i}.attn.{name}": 0.7 * tensor for name, tensor in attention_of(rng, width).items()}
        p |= {f"h.{i}.mlp.c_fc.weight": 0.4 * normal(rng, width, 4 * width), f"h.{i}.mlp.c_fc.bias": normal(rng, 4 * width),
              f"h.{i}.mlp.c_proj.weight": 0.4 * normal(rng, 4 * width, width), f"h.{i}.mlp.c_proj.bias": normal(rng, width)}
    return p, {"n_layer": n_layer, "n_head": n_head, "n_positions": n_positions}


def cases_5_5(rng):
    def call(before, new, padded=False):
        p, config = model_of(rng)
        ids = torch.tensor([[rng.randrange(9) for _ in range(before + new)] for _ in range(2)])
        start = torch.tensor([0, rng.randint(2, before + new - 2)] if padded else [0, 0])
        past = forward(ids[:, :before], start, None, p, config)[1] if before else None
        return ("forward", ids[:, before:], start, past, p, config)

    return [("no past", 4, [call(0, rng.randint(2, 8)) for _ in range(3)]),
            ("after a past", 6, [call(rng.randint(2, 6), 1), call(5, 2), call(2, 4)]),
            ("padding", 5, [call(0, 6, True), call(6, 1, True), call(4, 3, True)])]
# %% [markdown] problem="5.6" title="Write" points=15 difficulty=3 minutes=50 uses=["choose", "forward"]
# Everything is there; now write. `write` continues several prompts together, each exactly as it would be continued alone, and
# returns the new tokens of each. The i-th new token of row b is drawn with `u[b, i]`. A row that draws `eos`, the id of the
# end-of-text token, is finished: `eos` does not belong to its text, nor does anything that follows. The others go on, up to
# `n_new` tokens each, and the work ends when all rows are finished.
#
# As long as the rectangle fits into the model's `n_positions` columns, every column passes through `forward` once. Once it is
# longer, the window slides: the columns on the left are dropped, and the last `n_positions` columns are encoded anew for each
# further token, without a past. What is dropped may be padding or text, so look at what happens to `start`. A prompt may be
# longer than the window to begin with.
# %% tags=["solution"]
def write(prompts: list, n_new: int, u: Tensor, p: dict[str, Tensor], config: dict, how: dict, eos: int | None) -> list[list[int]]:
    """Prompts, lists of at least one token, u (batch, n_new) -> the new tokens of each prompt, at most n_new, without `eos`.

    p, config: as for `forward`. how: the settings of `choose` by their names, such as {"top_k": 40}. eos: None ends nothing.
    """
    ### BEGIN SOLUTION
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    start = torch.tensor([longest - len(prompt) for prompt in prompts])
    written, finished, past, fresh = [[] for _ in prompts], [False] * len(prompts), None, ids
    for i in range(n_new):
        surplus = ids.shape[1] - config["n_positions"]
        if surplus > 0:
            ids, start, past = ids[:, surplus:], (start - surplus).clamp(min=0), None
            fresh = ids
        logits, past = forward(fresh, start, past, p, config)
        fresh = choose(logits, u[:, i], **how)[:, None]
        ids = torch.cat([ids, fresh], dim=1)
        for b, token in enumerate(fresh[:, 0].tolist()):
            finished[b] = finished[b] or token == eos
            if not finished[b]:
                written[b].append(token)
        if all(finished):
            break
    return written
    ### END SOLUTION
# %% tags=["check"]
def diagnose_5_6(answer):
    chance, config = torch.Generator().manual_seed(225), {"n_layer": 1, "n_head": 2, "n_positions": 8}
    shapes = {"wte.weight": (9, 8), "wpe.weight": (8, 8), "h.0.attn.c_attn.weight": (8, 24), "h.0.attn.c_attn.bias": (24,),
              "h.0.attn.c_proj.weight": (8, 8), "h.0.attn.c_proj.bias": (8,), "h.0.mlp.c_fc.weight": (8, 32),
              "h.0.mlp.c_fc.bias": (32,), "h.0.mlp.c_proj.weight": (32, 8), "h.0.mlp.c_proj.bias": (8,)}
    p = {name: torch.randn(shape, generator=chance) for name, shape in shapes.items()}
    for name in ("h.0.ln_1", "h.0.ln_2", "ln_f"):
        p |= {f"{name}.weight": torch.ones(8), f"{name}.bias": torch.zeros(8)}
    u = torch.rand(3, 12, generator=chance, dtype=torch.float64)
    calls, given, space = [], [], getattr(answer, "__globals__", globals())

    def watched(prompts, n_new, eos=None, how=None):
        """What `answer` returns; what it asked of `forward` goes to `calls`."""
        def spy(ids, start, past, p, config):
            if isinstance(ids, Tensor) and ids.dim() == 2 and ids.numel() and isinstance(start, Tensor) and start.numel():
                calls.append((ids.tolist(), start.flatten().tolist(), past is not None))
            return own(ids, start, past, p, config)

        calls.clear()
        own, space["forward"] = space["forward"], spy
        given[:] = [list(prompt) for prompt in prompts]
        try:
            got = answer(given, n_new, u[:len(prompts), :n_new], p, config, how or {}, eos)
        finally:
            space["forward"] = own
        return [list(row) if isinstance(row, tuple) else row for row in got] if isinstance(got, list | tuple) else got

    def told(got, rows, n_new, eos=None):
        if not isinstance(got, list) or len(got) != rows or not all(isinstance(row, list) for row in got):
            return f"return a list with the new tokens of each prompt, {rows} lists here"
        if not all(isinstance(token, int) for row in got for token in row):
            return "the new tokens should be plain whole numbers: a tensor's .tolist() or .item() makes them"
        sizes = [len(row) for row in got]
        if max(sizes) > n_new:
            return f"at most {n_new} new tokens were asked for; a row of yours has {max(sizes)}"
        if eos is None and min(sizes) < n_new:
            return f"there is no eos, so every row goes on to {n_new} new tokens; yours have {sizes}"
        return None

    def alone(prompt, row, n_new, same=False, **how):
        """One prompt, nothing cached: slow, and what is right by definition. With `same` every token is drawn with u[row, 0]."""
        text = list(prompt)
        for place in range(n_new):
            logits = forward(torch.tensor([text[-8:]]), torch.tensor([0]), None, p, config)[0]
            text += choose(logits, u[row:row + 1, 0 if same else place], **how).tolist()
        return text[len(prompt):]

    prompts, later = [[1, 2, 3], [4, 5, 6]], "write stands on choose and forward, so the problems 5.3 and 5.5 come first"
    unsolved = (waiting(choose, torch.zeros(1, 9), u[:1, 0])
                or waiting(forward, torch.tensor([[1]]), torch.tensor([0]), None, p, config))
    try:
        got = watched(prompts, 2)
    except Exception:
        if unsolved:
            return later
        raise
    if got is None:
        return "not attempted yet"
    if unsolved:
        return later
    if isinstance(got, list) and [row[:3] for row in got if isinstance(row, list)] == prompts:
        return "the prompts do not belong to the result, only the new tokens do"
    if wrong := told(got, 2, 2):
        return wrong
    if given != prompts:
        return "the prompts that you were given have changed: make a new list for what you add"
    if twice := [len(ids[0]) for ids, _, past in calls if past and len(ids[0]) > 1]:
        return (f"with a past `forward` got {twice[0]} columns: what is in the past is not given a second time, only "
                "the one column of the new tokens")
    got = watched(prompts, 5)
    if wrong := told(got, 2, 5):
        return wrong
    right = [alone(prompt, row, 5) for row, prompt in enumerate(prompts)]
    if got != right and got == [alone(prompt, row, 5, same=True) for row, prompt in enumerate(prompts)]:
        return "every token of a row is drawn with the same number, u[b, 0]: the i-th new token of row b has u[b, i]"
    if got != right:
        return f"two prompts of three tokens: alone they go on with {right}, in your batch with {got}"
    sizes = [len(ids[0]) for ids, _, _ in calls]
    if sum(sizes) > 3 + 4:
        return (f"the tokens are right, but {sum(sizes)} columns passed through the network where 7 are enough, the prompt's 3 and "
                "4 new ones: hand on the past that `forward` returns, and give it the new column only")
    coldest = [alone(prompt, row, 5, temperature=0) for row, prompt in enumerate(prompts)]
    got = watched(prompts, 5, how={"temperature": 0})
    if wrong := told(got, 2, 5):
        return wrong
    if got == right:
        return "with temperature 0 in `how` you write the same as without: the settings in `how` go to choose, by their names"
    if got != coldest:
        return f"with temperature 0 in `how` the two prompts go on with {coldest}, in your batch with {got}"

    prompts = [[1, 2, 3, 4], [5], [6, 7]]
    right = [alone(prompt, row, 4) for row, prompt in enumerate(prompts)]
    try:
        got = watched(prompts, 4)
    except (ValueError, TypeError) as error:
        return f"prompts of 4, 1 and 2 tokens raised {type(error).__name__}: {str(error)[:80]}. Make them a rectangle, by padding"
    if wrong := told(got, 3, 4):
        return wrong
    if got != right:
        ids, start, _ = calls[0] if calls else ([], [], False)
        last = [row[-1] for row in ids]
        if len(ids) == 3 and last != [4, 5, 7]:
            return (f"prompts of 4, 1 and 2 tokens: the last column you give to `forward` is {last}, and its logits are those "
                    "after the last column. Pad on the left, so that every prompt ends there")
        if len(ids) == 3 and start != [0, 3, 2]:
            return f"prompts of 4, 1 and 2 tokens start in the columns 0, 3 and 2; you tell `forward` {start}"
        bad = next(row for row in range(3) if got[row] != right[row])
        return f"prompts of unequal length: {prompts[bad]} alone goes on with {right[bad]}, in your batch with {got[bad]}"
    ending = [(b, token) for b, row in enumerate(right) for token in row[1:3]
              if token != row[0] and not all(token in other for other in right)]
    for b, eos in ending[:1]:
        ends = [row[:row.index(eos)] if eos in row else row for row in right]
        got = watched(prompts, 4, eos=eos)
        if wrong := told(got, 3, 4, eos):
            return wrong
        if got == right:
            return f"eos = {eos} ends nothing: the row {right[b]} should end before it, {ends[b]}"
        if got[b] == ends[b] + [eos]:
            return f"the eos itself does not belong to the text: {ends[b]}, not {got[b]}"
        if got[b][:len(ends[b])] == ends[b] and len(got[b]) > len(ends[b]):
            return f"a finished row goes on: behind the eos, {eos}, nothing counts, so {ends[b]}, not {got[b]}"
        for mine, whole in zip(got, ends, strict=True):
            if len(mine) < len(whole):
                return f"one row drew eos and all have stopped: {mine} should go on to {whole}"
        if got != ends:
            return f"with eos = {eos} the rows are {ends}, not {got}"
    ends = [row[:row.index(0)] if 0 in row else row for row in right]
    got = watched(prompts, 4, eos=0)
    if wrong := told(got, 3, 4, 0):
        return wrong
    if got == right != ends:
        return "eos = 0 ends nothing: 0 is an id like any other, and only None means that there is no eos"
    if got != ends:
        return f"with eos = 0 the rows are {ends}, not {got}"
    got = watched(prompts[:1], 4, eos=right[0][0])
    if wrong := told(got, 1, 4, right[0][0]):
        return wrong
    if got != [[]] or len(calls) > 1:
        return (f"the only row draws eos as its first token, so there is nothing to return, and `forward` is called once; you "
                f"return {got} after {len(calls)} calls: the work ends when all rows are finished")
    watched([[1, 2, 3, 4, 5, 6]], 3)
    if sum(sizes := [len(ids[0]) for ids, _, _ in calls]) > 8:
        return (f"6 tokens and 3 more: the last call encodes 8 columns, which still fit, and yours encoded {sizes} columns in its "
                "calls. The window slides only where there are more columns than positions")
    try:
        got = watched([[1, 2, 3, 4, 5, 6]], 6)
    except (IndexError, ValueError) as error:
        low = min((min(start) for _, start, _ in calls), default=0)
        if low < 0:
            return f"when the window slides `start` becomes {low}: a text whose beginning is dropped starts in column 0"
        return (f"6 tokens and 6 more do not fit 8 positions, and your function raised {type(error).__name__} ({str(error)[:60]}): "
                "beyond the window encode the last 8 columns anew")
    right = [alone([1, 2, 3, 4, 5, 6], 0, 6)]
    if wrong := told(got, 1, 6):
        return f"beyond the window: {wrong}"
    if got != right:
        says = f"6 tokens and 6 more in a window of 8 positions: alone the text goes on with {right[0]}, yours with {got[0]}"
        if any(past for _, _, past in calls[3:]):
            says += (". You keep the past when the window slides, but every token has moved to another position, so its keys and "
                     "values are not valid any more")
        return says
    prompts = [[1, 2, 3, 4, 5, 6], [7, 8], [3]]
    right, got = [alone(prompt, row, 12) for row, prompt in enumerate(prompts)], watched(prompts, 12)
    if wrong := told(got, 3, 12):
        return f"beyond the window: {wrong}"
    if got != right:
        starts = [start for ids, start, _ in calls if len(ids[0]) == 8]
        if starts and starts[-1] == [0, 4, 5]:
            return ("the window slides over texts that start in the columns 0, 4 and 5, and `start` stays as it is: with each "
                    "column that is dropped the texts begin one column further left, until they begin in column 0")
        return "a batch of unequal prompts beyond the window differs from its texts alone: look at `start` when columns are dropped"
    prompts = [[1, 2, 3, 4, 5, 6, 7, 8, 1, 2], [3, 4, 5, 6]]
    right = [alone(prompt, row, 3) for row, prompt in enumerate(prompts)]
    try:
        got = watched(prompts, 3)
    except (IndexError, ValueError) as error:
        return f"a prompt of 10 tokens raised {type(error).__name__}: before the first token, too, drop what does not fit into 8"
    if got != right:
        return f"a prompt of 10 tokens and one of 4, in a window of 8, go on with {right}, yours with {got}"
    return "correct"


print("Problem 5.6:", diagnose_5_6(write))
# %% tags=["hidden"]
def cases_5_6(rng):
    def call(lengths, n_new, eos=None):
        """With an eos that some rows draw in the middle of their text, and others not at all."""
        p, config = model_of(rng)
        prompts = [[rng.randrange(9) for _ in range(length)] for length in lengths]
        u = torch.tensor([[rng.random() for _ in range(n_new)] for _ in lengths], dtype=torch.float64)
        how = {"temperature": rng.choice([0.5, 2.0]), "top_k": rng.choice([None, 6]), "top_p": rng.choice([None, 0.95])}
        free = write(prompts, n_new, u, p, config, how, None)
        found = [row[i] for row in free for i in range(1, n_new - 1) if row[i] not in row[:i]]
        found = [token for token in found if 0 < sum(token in row for row in free) < len(free)]
        if eos not in (None, *found):
            return call(lengths, n_new, eos)
        return ("write", prompts, n_new, u, p, config, how, eos)

    return [("prompts of one length", 3, [call([3, 3, 3], 5), call([2, 2], 6)]),
            ("prompts of unequal length", 5, [call([4, 1, 3], 4), call([1, 3], 5)]),
            ("rows that end", 3, [call([2, 2, 2], 6, eos) for eos in (0, *rng.sample(range(1, 9), 2))]),
            ("beyond the window", 4, [call([6, 6], 7), call([7, 2], 9), call([3, 6, 1], 11), call([11, 4], 3)])]
# %% [markdown]
# ## What you have built
#
# The book's small model comes in the form that your functions expect: a dictionary of tensors under the published names. So do
# the weights of GPT-2. If all checks say "correct", the next two cells let the small model write with your code, three texts at
# a time whose beginnings differ in length, and then measure what the cache is worth. Neither is graded.
# %% tags=["finale"]
if diagnose_5_6(write) != "correct":
    print("not yet: problem 5.6 comes first")
else:
    from minigpt import BPE, weights

    bpe, (config, tensors) = BPE.load("world"), weights.read("world")
    p = {name: tensor.float().T if name.endswith(weights.PROJECTIONS) else tensor.float() for name, tensor in tensors.items()}
    beginnings = ["It was", "Irene had brought a lily. Leo smelled the", "One frosty morning, Victor found a bus in the driveway."]
    u = torch.rand(3, 60, generator=torch.Generator().manual_seed(11), dtype=torch.float64)
    how = {"temperature": 0.85, "top_k": 40}
    texts = write([bpe.encode(text) for text in beginnings], 60, u, p, config, how, bpe.eos_id)
    for beginning, more in zip(beginnings, texts, strict=True):
        print(f"{beginning} |{bpe.decode(more)}\n")
# %% tags=["finale"]
if diagnose_5_6(write) != "correct":
    print("not yet: problem 5.6 comes first")
else:
    from minigpt import viz

    def tokens_per_second(ids, past):
        """In seconds of the processor, the best of a few calls: it does not matter what else the machine is doing."""
        took = []
        for _ in range(5):
            begun = time.process_time()
            forward(ids, torch.zeros(len(ids), dtype=torch.int64), past, p, config)
            took.append(time.process_time() - begun)
        return len(ids) / max(min(took), 1e-4)

    threads, lengths, ids = torch.get_num_threads(), (4, 16, 32, 64, 96, 128), torch.randint(0, 4000, (8, 128))
    torch.set_num_threads(1)
    speed = {"all columns": [], "with the past": []}
    for length in lengths:
        past = forward(ids[:, :length - 1], torch.zeros(8, dtype=torch.int64), None, p, config)[1]
        speed["all columns"].append(tokens_per_second(ids[:, :length], None))
        speed["with the past"].append(tokens_per_second(ids[:, length - 1:length], past))
    torch.set_num_threads(threads)
    viz.style()
    axes = viz.curves(speed, x=lengths, marker="o", xlabel="columns of the text", ylabel="tokens per second, 8 texts")
    axes.set(yscale="log", xlim=(0, 175), ylim=(10, None))
    print(f"at 128 columns your cache is worth a factor of {speed['with the past'][-1] / speed['all columns'][-1]:.0f}")
# %% [markdown] question="5.7" title="Bytes" points=5 minutes=10
# A model has 3 billion weights of 2 bytes, and its 32 layers are 2,560 wide. Memory delivers 60 GB a second; the processor could
# do 3,000 billion operations a second. (Count a multiplication and an addition as two operations.) In at most 120 words: how many
# tokens a second can it write for one text at most, and why does a processor twice as fast not help? What changes for 16 texts at
# a time, and what does the cache of keys and values, in 2-byte numbers, add to the bytes of a step for each text when it has
# 4,000 tokens?
# %% [markdown] tags=["rubric"]
# 2 points: each weight is read once for each token, 6 GB, so at most 10 tokens a second; the arithmetic, about 6 billion
# operations, would take 2 milliseconds, so the processor waits for memory. 1 point: for 16 texts the weights are read once for
# all, so nearly 16 times as many tokens as long as the texts are short. 2 points: a text's cache is 2 · 32 · 2,560 · 4,000 · 2
# bytes, about 1.3 GB, read at every step and not shared; for 16 texts that is 21 GB, more than the weights.
# %% [markdown] question="5.8" title="What may be kept" points=5 minutes=15
# In at most 150 words, for GPT-2 and with reasons: (a) A thousand questions all begin with the same instruction of 300 tokens.
# May its keys and values be computed once and used for all? (b) All end with the same 300 tokens instead. May it now? (c) The
# window slides by one token. May the other tokens' keys and values be kept, and would they be valid if the model had no
# positions at all?
# %% [markdown] tags=["rubric"]
# 1 point: (a) yes: with the causal mask nothing that comes later changes them, and the tokens stand at the same positions. 1
# point: (b) no: keys and values depend on all that stands before them, and on the position. 1 point: (c) no: every token moves
# to another position, so another position embedding goes into its keys and values. 2 points: without positions those of the
# first layer would be valid; from the second layer on they were computed from tokens that have left the window.
