# The marker of a cell cannot be broken over two lines.
# ruff: noqa: E501
# %% [markdown] closed=["minigpt.train","torch.optim.AdamW","torch.nn.utils.clip_grad_norm_","torch.func.grad"] functions=["cross_entropy","nll_loss"]
# # Assignment 3 · Pre-training
#
# In this assignment you write everything between a stream of tokens and a trained model: the windows, the loss and its
# gradient, the learning rate, the optimiser, the clipping, and the loop that holds them together. Chapter 5 of the book
# explains all of it. At the end your own code trains a network, you hold its curve against a bound that no table of pairs
# can pass, and it writes you a story.
#
# **How it works.** Each problem has a cell with a stub, where `...` stands for your work, and a check below it. Run the stub as
# it is and the check says that the problem was not attempted yet. (It says the same when your function returns nothing: look
# for a forgotten `return`.) Write your code, run both cells again, and the check tells you what is wrong and why. You may add
# cells and functions of your own; the names, the arguments and the results of the stubs have to stay. The grader runs your
# notebook from top to bottom in a fresh process without network, and then calls your functions with inputs that you have not
# seen. Each later problem is marked as if the earlier ones were right, so an early mistake costs its points once. The checks in
# this notebook use your own earlier functions: get those right first.
#
# **What you may use.** Python and PyTorch's tensors, with `softmax` and `logsumexp`. PyTorch's own losses, optimisers and
# clipping are not for this assignment: they are closed while grading, like the book's `train`. With a person or an assistant
# you may discuss ideas, but not code; the file with the rules for AI assistants lies beside this one.
#
# **Nothing is changed in place.** All your functions return new tensors and dictionaries and leave those that they were given
# as they are.
# %%
import math
import traceback

import torch
from torch import Tensor

Tensors = dict[str, Tensor]  # {name of a parameter: what belongs to it}


def told(error: Exception) -> str:
    """For the checks: an error in one line, with the line and the function of yours where it happened."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "<cell" in frame.filename or "ipy" in frame.filename]
    where = f" (line {frames[-1].lineno} of {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:200]}{where}"


def by_hand(name: str, *arguments):
    """For the grader: what your function of that name returns while automatic differentiation is switched off."""
    with torch.inference_mode():
        return globals()[name](*arguments)


def with_arguments(name: str, *arguments):
    """For the grader: what your function of that name returns, and how it leaves what it was given."""
    return globals()[name](*arguments), arguments


# %% [markdown] problem="3.1" title="Windows" points=10 difficulty=1 minutes=15
# Write `windows`. It cuts a window of `length` tokens out of the stream at each of the `starts`: `x` holds the tokens, and `y`
# holds for each of them the token that comes next in the stream. A window may reach beyond the end of the stream. Where there
# is no token left, `x` is filled up with 0; where there is no next token, `y` has the target -100, which means: not asked.
# %% tags=["solution"]
def windows(tokens: Tensor, starts: list[int], length: int) -> tuple[Tensor, Tensor]:
    """tokens int64 (n,), starts each 0..n-1 -> x and y, int64 (number of starts, length)."""
    ### BEGIN SOLUTION
    stream_x = torch.cat([tokens, tokens.new_zeros(length)])
    stream_y = torch.cat([tokens[1:], tokens.new_full((length + 1,), -100)])
    places = torch.tensor(starts)[:, None] + torch.arange(length)
    return stream_x[places], stream_y[places]
    ### END SOLUTION
# %% tags=["check"]
def diagnose_3_1(answer):
    tokens = torch.arange(10, 18)
    try:
        got = answer(tokens, [0, 4], 3)
    except Exception as error:
        return f"windows of three from the places 0 and 4 of the tokens 10 to 17 raised {told(error)}"
    if got is None:
        return "not attempted yet"
    if not isinstance(got, tuple | list) or len(got) != 2 or not all(isinstance(part, torch.Tensor) for part in got):
        return "return two tensors, x and y"
    x, y = got
    if x.shape != (2, 3) or y.shape != (2, 3):
        return f"two windows of three tokens: x and y have the shape (2, 3), not {tuple(x.shape)} and {tuple(y.shape)}"
    if x.dtype != torch.int64 or y.dtype != torch.int64:
        return f"token ids are int64; your x is {x.dtype} and your y {y.dtype}"
    x, y = x.tolist(), y.tolist()
    if x[0] == [10, 11, 12] and x[1][0] in (0, 11, 13):
        return "a start is a place in the stream, counted in tokens: the window from place 4 begins with tokens[4], which is 14"
    if x != [[10, 11, 12], [14, 15, 16]]:
        return f"the windows from places 0 and 4 are [10, 11, 12] and [14, 15, 16], but x holds {x}"
    if y == x:
        return "the targets are the inputs: each token is asked to predict itself, which it sees; y is one token later"
    if y[0] == [11, 12, 10]:
        return "the last target of a window came round from its front; it is the next token of the stream, 13"
    if y[0][1:] == [10, 11] or y[1] == [13, 14, 15]:
        return "y is shifted the wrong way: after 11 comes 12, and you ask for 10, which the model has already read"
    if y[0][:2] == [11, 12] and y[0][2] in (0, -100):
        return "the last token of a window has a target too: the stream goes on behind the window, with 13"
    if y != [[11, 12, 13], [15, 16, 17]]:
        return f"the targets are [11, 12, 13] and [15, 16, 17], but y holds {y}"
    try:
        x, y = (part.tolist() for part in answer(tokens, [6], 4))
        (x,), (y,) = x, y
    except Exception as error:
        return f"a window of 4 from place 6 of 8 tokens reaches beyond the end, which is allowed: {told(error)}"
    if len(x) != 4 or len(y) != 4:
        return "a window that reaches beyond the end is filled up: it has all its 4 places"
    if x[0] < 16:
        return "the window was moved back to fit in: it should begin at place 6, or some tokens are asked twice when it counts"
    if x[:2] != [16, 17]:
        return f"the window from place 6 of 8 tokens begins with 16 and 17; your x is {x}"
    if y[0] == 17 and y[1:] == [0, 0, 0]:
        return "the places behind the stream have the target 0, a token like any other, and would be asked: fill y with -100"
    if y[1] != -100:
        return f"the last token of the stream, 17, has no next one: its target is -100, not {y[1]}"
    if x[2:] != [0, 0]:
        return f"x is filled up with 0, not with {x[2:]}"
    if y != [17, -100, -100, -100]:
        return f"the window from place 6 has the targets [17, -100, -100, -100], not {y}"
    try:
        x, y = (part.tolist() for part in answer(torch.tensor([5, 0, 0, 7]), [0], 3))
    except Exception as error:
        return f"a window of 3 from the front of the tokens 5, 0, 0, 7 raised {told(error)}"
    if y != [[0, 0, 7]]:
        return f"0 is a token like any other: after 5, 0, 0 come 0, 0, 7, not {y}; find the end by counting places, not by a value"
    return "correct"


print("Problem 3.1:", diagnose_3_1(windows))
# %% tags=["hidden"]
def cases_3_1(rng):
    inside, beyond = [], []
    for _ in range(4):
        n, length = rng.randint(25, 40), rng.randint(4, 7)
        tokens = torch.tensor(rng.sample(range(1, 500), n))
        inside.append(("windows", tokens, [0, *(rng.randrange(2, n - length) for _ in range(3))], length))
        beyond.append(("windows", tokens, [rng.randrange(1, 9), n - rng.randint(2, length - 1)], length))
    zeros = torch.cat([tokens, torch.tensor([0, 0])])  # two tokens like any others
    beyond += [("windows", tokens, [n - 1], 3), ("windows", zeros, [1, n - 1], 4)]
    return [("windows inside the stream", 6, inside), ("windows that reach beyond its end", 4, beyond)]
# %% [markdown] problem="3.2" title="The loss and its gradient" points=15 difficulty=2 minutes=35
# Write `cross_entropy`: the mean of $-\log p(\text{target})$ in nats, where $p$ is the softmax of the logits (the scores of
# chapter 1), over the targets that count. A target of -100 does not. It also gives the gradient of this mean with respect to
# each logit, from which all learning starts. Work it out on paper first, for one target; it is short (exercise 1.5 of the book
# says what it looks like). Automatic differentiation, `backward` and `torch.autograd`, is not for this problem, and the grader
# switches it off. Logits may be as large as 10,000, where `exp` is infinite. If no target counts at all, the loss is 0 and so
# is the gradient.
# %% tags=["solution"]
def cross_entropy(logits: Tensor, targets: Tensor) -> tuple[float, Tensor, int]:
    """logits (batch, time, vocab), targets int64 (batch, time) -> mean loss, gradient (the shape of logits), targets that count."""
    ### BEGIN SOLUTION
    counts = targets != -100
    n = int(counts.sum())
    chosen = targets.where(counts, 0)[..., None]
    losses = logits.logsumexp(dim=-1) - logits.gather(-1, chosen)[..., 0]
    gradient = logits.softmax(dim=-1)
    gradient = gradient.scatter_add(-1, chosen, -torch.ones_like(chosen, dtype=gradient.dtype)) * counts[..., None] / max(n, 1)
    return (losses * counts).sum().item() / max(n, 1), gradient, n
    ### END SOLUTION
# %% tags=["check"]
def diagnose_3_2(answer):
    logits, targets = torch.tensor([[[0.0, math.log(3.0)], [0.0, 0.0]]]), torch.tensor([[0, 1]])
    try:
        got = answer(logits, targets)
    except Exception as error:
        return f"logits of shape (1, 2, 2) and targets of shape (1, 2) raised {told(error)}"
    if got is None:
        return "not attempted yet"
    if not isinstance(got, tuple | list) or len(got) != 3:
        return "return three things: the mean loss, its gradient, and how many targets count"
    loss, gradient, n = got
    if isinstance(loss, torch.Tensor) or not isinstance(loss, float | int):
        return f"the loss should be a plain number, not a {type(loss).__name__}: .item() takes it out of a tensor"
    if not isinstance(gradient, torch.Tensor) or gradient.shape != logits.shape:
        return f"the gradient has one number for each logit, {tuple(logits.shape)}, not {tuple(getattr(gradient, 'shape', ()))}"
    if isinstance(n, str) or str(n) != "2":
        return f"two targets count here, so the third result is the number 2, not {n!r}"
    if not abs(loss) < 1e6:
        return f"targets of the probabilities 1/4 and 1/2 have a modest loss, not {str(loss)[:20]}"
    right = (math.log(4) + math.log(2)) / 2  # the first target has probability 1/4, the second 1/2
    known = [(-right, "the sign is wrong: the loss is minus the logarithm of the probability"),
             (right / math.log(2), "these are bits: in nats the logarithm is the natural one"),
             (2 * right, "this is the sum of the losses; the mean divides by the number of targets that count"),
             (-math.log((1 / 4 + 1 / 2) / 2), "you averaged the probabilities; average their logarithms")]
    for value, says in known:
        if abs(loss - value) < 1e-4:
            return says
    if not abs(loss - right) < 1e-4:
        return f"targets of the probabilities 1/4 and 1/2 cost {right:.4f} nats on average; you say {loss:.4f}"
    slope, due = gradient[0, 0].tolist(), [-3 / 8, 3 / 8]
    known = [([3 / 8, -3 / 8], "the gradient points the wrong way: more of the target's logit costs less, so there it is negative"),
             ([-3 / 4, 3 / 4], "this is the gradient of the sum of the losses; that of their mean is divided by 2 targets"),
             ([1 / 8, 3 / 8], "this is the softmax alone: at the target itself 1 has to be taken off"),
             ([-1 / 4, 3 / 8], "your softmax runs over the positions; at each position it should run over the vocabulary, the last "
                               "dimension"),
             ([-1 / 2, 0.0], "this is the gradient with respect to the log-probabilities; the softmax couples the logits")]
    for value, says in known:
        if max(abs(a - b) for a, b in zip(slope, value, strict=True)) < 1e-4:
            return says
    if not max(abs(a - b) for a, b in zip(slope, due, strict=True)) < 1e-4:
        return f"probabilities of (1/4, 3/4) and target 0, one of two, have the gradient {due}, not {[round(s, 4) for s in slope]}"
    try:
        with torch.inference_mode():
            without = answer(logits, targets)[1]
        without = torch.allclose(without, gradient, atol=1e-4)
    except Exception:
        without = False
    if not without:
        return "automatic differentiation is not for this problem, and the grader switches it off: write the gradient as a formula"
    try:
        what = "a target of -100, which names no logit,"
        loss, gradient, n = answer(torch.cat([logits, logits * 5], dim=1), torch.tensor([[0, 1, -100, -100]]))
        given = logits + 1, torch.tensor([[0, -100]])
        before = given[0].clone()
        answer(*given)
        if given[1][0, 1] != -100:
            return "the targets that you were given have changed: write into a copy, targets.clone()"
        if (given[0] != before).any():
            return "the logits that you were given have changed: compute new ones (no -=, no sub_)"
        if n != 2:
            return f"of the targets 0, 1, -100, -100 two count; you say {n}"
        if abs(loss - right / 2) < 1e-4:
            return "the sum was divided by all four targets, but two of them are -100: the mean is over those that count"
        if not abs(loss - right) < 1e-4:
            return f"targets of -100 change your loss from {right:.4f} to {loss:.4f}: they should not be asked at all"
        if not gradient[0, 2:].abs().max() <= 1e-6:
            return "positions with the target -100 have a gradient: nothing is asked there, so nothing pulls, and it should be 0"
        if not torch.allclose(gradient[0, 0], torch.tensor(due), atol=1e-4):
            return f"with two more targets of -100 the gradient of the first position is still {due}, not {gradient[0, 0].tolist()}"
        what = "a batch of two windows, the second with one target,"
        loss, gradient, n = answer(torch.cat([logits, logits.flip(1)]), torch.tensor([[0, 1], [-100, 1]]))
        mean = (math.log(4) + math.log(2) + math.log(4 / 3)) / 3  # the third probability is 3/4
        if n != 3:
            return f"two windows with the targets 0, 1 and -100, 1 have three that count; you say {n}: mind the batch's dimension"
        if abs(loss - (right + math.log(4 / 3)) / 2) < 1e-4:
            return "the windows were averaged as equals, but one has two targets and the other one: take one mean over all three"
        if not abs(loss - mean) < 1e-4:
            return f"three targets of two windows, at 1/4, 1/2 and 3/4, cost {mean:.4f} on average; you say {loss:.4f}"
        if not torch.allclose(gradient[0, 0], torch.tensor([-1 / 4, 1 / 4]), atol=1e-4):
            return f"the gradient of one target of three, at 1/4, is [-0.25, 0.25], not {gradient[0, 0].tolist()}: divide by 3"
        what = "a logit of 1000"
        loss, gradient, n = answer(torch.tensor([[[1000.0, 0.0], [0.0, 1000.0], [0.0, 0.0]]]), torch.tensor([[0, 0, 0]]))
        if not math.isfinite(loss) or gradient.isnan().any():
            return f"logits of 1000 give {loss}: exp(1000) is infinite, and log of a probability rounded to 0 too; use logsumexp"
        if not abs(loss - (1000 + math.log(2)) / 3) < 1e-2:
            return (f"a sure hit costs 0, a miss by 1000 costs 1000 and a coin's toss 0.69, on average 333.56; you say {loss:.3f}: "
                    "do not change probabilities")
        what = "a batch without a target that counts"
        loss, gradient, n = answer(logits, torch.tensor([[-100, -100]]))
        if loss != 0 or gradient.abs().sum() != 0:
            return f"without a target that counts the loss is 0 and so is the gradient; you say {loss}"
    except Exception as error:
        return f"{what} raised {told(error)}"
    return "correct"


print("Problem 3.2:", diagnose_3_2(cross_entropy))
# %% tags=["hidden"]
def normal(rng, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.getrandbits(31)))


def cases_3_2(rng):
    plain, ignored, large, kept = [], [], [], []
    for _ in range(3):
        batch, time, vocab = rng.randint(2, 3), rng.randint(3, 5), rng.randint(4, 7)
        targets = torch.tensor([[rng.randrange(vocab) for _ in range(time)] for _ in range(batch)])
        plain.append(("by_hand", "cross_entropy", normal(rng, batch, time, vocab) * 2, targets))
        targets = targets.clone()
        targets[0, rng.randrange(time):] = -100
        ignored.append(("by_hand", "cross_entropy", normal(rng, batch, time, vocab) * 2, targets))
        kept.append(("with_arguments", *ignored[-1][1:]))
        misses = normal(rng, 2, 3, vocab).sort(dim=-1).values * 3000
        large.append(("by_hand", "cross_entropy", misses, torch.tensor([[vocab - 1, 0, 1], [vocab - 1, 0, 0]])))
    nothing = [("by_hand", "cross_entropy", normal(rng, 2, 3, 4), torch.full((2, 3), -100))]
    return [("every target counts", 5, plain), ("some targets are -100", 4, ignored), ("large logits", 3, large),
            ("no target counts", 2, nothing), ("nothing is changed in place", 1, kept)]
# %% [markdown] problem="3.3" title="The rate" points=10 difficulty=1 minutes=15
# Write `learning_rate`, the rate of update `step`, where the first update is number 0 and the last is number `steps - 1`. It
# climbs in a straight line for `warmup` updates: the first has `maximum / warmup`, the one with number `warmup - 1` has the
# maximum. The update with number `warmup` has the maximum once more, and there the fall begins. It follows half a cosine,
# $\tfrac12 (1 + \cos \pi s)$ for $s$ from 0 to 1, stretched and moved so that it leads from the maximum to the `floor`, which
# the update with number `steps` would have. Whoever goes on after that keeps the floor. There may be no warm-up at all.
# %% tags=["solution"]
def learning_rate(step: int, steps: int, warmup: int, maximum: float, floor: float = 0.0) -> float:
    """The rate of update `step` (0, 1, ...) of a run of `steps` updates; GPT-1's floor is 0."""
    ### BEGIN SOLUTION
    if step < warmup:
        return maximum * (step + 1) / warmup
    if step >= steps:
        return floor
    done = (step - warmup) / (steps - warmup)
    return floor + (maximum - floor) * 0.5 * (1 + math.cos(math.pi * done))
    ### END SOLUTION
# %% tags=["check"]
def diagnose_3_3(answer):
    try:
        got = answer(0, 110, 10, 1.0)
        if got is None:
            return "not attempted yet"
        if isinstance(got, torch.Tensor) or not isinstance(got, float | int):
            return f"return a number, not a {type(got).__name__}"
        if got == 0:
            return "update 0 has the rate 0, so the first batch is read for nothing: the ramp begins with maximum / warmup"
        ramp = [answer(step, 110, 10, 1.0) for step in (0, 4, 9)]
        if not all(abs(a - b) < 1e-6 for a, b in zip(ramp, (0.1, 0.5, 1.0), strict=True)):
            return f"ten updates of warm-up to 1: updates 0, 4 and 9 have the rates 0.1, 0.5 and 1, not {ramp}"
        top, middle = answer(10, 110, 10, 1.0), answer(60, 110, 10, 1.0)
        if abs(middle - 0.5 * (1 + math.cos(math.pi * 60 / 110))) < 1e-4:
            return "the cosine begins where the ramp ends; you start it at update 0, so the rate jumps down after the warm-up"
        if abs(top - 2) < 1e-3:
            return "the factor 1/2 is missing: 1 + cos begins at 2"
        if top > 1 + 1e-6:
            return f"update 10 has the rate {top:g}, above the maximum: the ramp ends one update earlier, with number warmup - 1"
        if not abs(top - 1) <= 1e-6:
            return f"update 10, the first after the ramp, has the maximum 1 too, not {top:.5f}: the cosine has not begun to fall"
        quarter = answer(35, 110, 10, 1.0)
        if abs(quarter - 0.75) < 1e-4:
            return "this falls in a straight line: a quarter of the way the half cosine is still at 0.8536"
        if abs(middle - math.cos(math.pi / 4)) < 1e-4:
            return "half a cosine is its way from 1 down to -1, moved and shrunk into 1 to 0; yours is a quarter, from 1 to 0"
        if abs(quarter - 0.5 * (1 + math.cos(0.25))) < 1e-4:
            return "the cosine lacks its pi: it should run through half a turn, down to -1"
        if abs(answer(109, 110, 10, 1.0)) < 1e-6:
            return "the last update, number 109 of 110, has the floor already and learns nothing; only number 110 would have it"
        if not (abs(middle - 0.5) <= 1e-6 and abs(quarter - 0.853553) <= 1e-5):
            return f"a quarter and half of the way from 10 to 110 the rates are 0.8536 and 0.5, not {quarter:.4f} and {middle:.4f}"
        first = answer(0, 110, 10, 1.0, 0.2)
        if not abs(first - 0.1) <= 1e-6:
            return f"the floor is where the cosine ends; the ramp begins with maximum / warmup = 0.1 as ever, not with {first:g}"
        top, middle, low = (answer(step, 110, 10, 1.0, 0.2) for step in (10, 60, 109))
        if top > 1 + 1e-6:
            return f"with a floor of 0.2 the rate rises to {top:g}, above its maximum: the cosine runs between floor and maximum"
        if abs(middle - 0.5) < 1e-6 and abs(low - 0.2) < 1e-6:
            return "the floor cuts the cosine off: it should run down to the floor, so that half of the way it is at 0.6"
        if not abs(middle - 0.6) <= 1e-6:
            return f"between the maximum 1 and the floor 0.2 the cosine is at 0.6 half of the way, not at {middle:.4f}"
        after = answer(160, 110, 10, 1.0, 0.2)
        if abs(after) <= 1e-6:
            return "50 updates after the end the rate is 0, but the floor is 0.2: from update `steps` on keep the floor"
        if not abs(after - 0.2) <= 1e-6:
            return f"50 updates after the end the rate is {after:.3f}: a cosine climbs again; from update `steps` on keep the floor"
        got = answer(0, 10, 0, 1.0)
        if not abs(got - 1) <= 1e-6:
            return f"without warm-up the first update has the maximum 1, not {got}"
        got = answer(7, 5, 5, 1.0, 0.2)
        if not abs(got - 0.2) <= 1e-6:
            return f"a run that is all warm-up keeps the floor 0.2 afterwards too; you say {got}"
    except Exception as error:
        return f"raised {told(error)}; warmup may be 0, and it may be as long as the whole run"
    return "correct"


print("Problem 3.3:", diagnose_3_3(learning_rate))
# %% tags=["hidden"]
def cases_3_3(rng):
    ramp, fall, floor, edges = [], [], [], []
    for _ in range(4):
        warmup, maximum = rng.randint(5, 40), rng.uniform(0.5, 2)
        steps = warmup + rng.randint(20, 60)
        ramp += [("learning_rate", step, steps, warmup, maximum) for step in (0, warmup // 2, warmup - 1)]
        ramp.append(("learning_rate", 1, steps, warmup, maximum, maximum * 0.8))
        places = [warmup + (steps - warmup) * share // 10 for share in (2, 4, 7, 9)]
        fall += [("learning_rate", step, steps, warmup, maximum) for step in (warmup, *places)]
        floor += [("learning_rate", step, steps, warmup, maximum, maximum * rng.uniform(0.1, 0.3)) for step in (warmup, *places)]
        edges += [("learning_rate", steps + rng.randint(20, 40), steps, warmup, maximum, 0.1),
                  ("learning_rate", 0, steps, 0, maximum), ("learning_rate", 9, 7, 7, maximum, 0.1)]
    return [("the ramp", 3, ramp), ("the cosine", 3, fall), ("the floor", 2, floor), ("after the end, and no warm-up", 2, edges)]
# %% [markdown] problem="3.4" title="AdamW" points=15 difficulty=2 minutes=30
# Write `adamw`, one update of all parameters. For each of them, with $g$ its gradient and $t = 1, 2, \dots$ the number of the
# update,
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# $$w \leftarrow w - \text{rate} \cdot
# \Big( \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon} + \text{decay} \cdot w \Big)$$
#
# with the book's $\beta_1 = 0.9$, $\beta_2 = 0.99$ and $\epsilon = 10^{-8}$. The decay is for matrices only: biases and gains,
# which have one dimension, are spared.
# %% tags=["solution"]
def adamw(p: Tensors, grads: Tensors, m: Tensors, v: Tensors, t: int, rate: float, decay: float) -> tuple[Tensors, ...]:
    """p, grads, m, v: {name: tensor}, the same names and shapes; m and v as the update before has left them -> the new p, m, v."""
    ### BEGIN SOLUTION
    new_p, new_m, new_v = {}, {}, {}
    for name, w in p.items():
        new_m[name] = 0.9 * m[name] + (1 - 0.9) * grads[name]
        new_v[name] = 0.99 * v[name] + (1 - 0.99) * grads[name] ** 2
        stride = new_m[name] / (1 - 0.9 ** t) / ((new_v[name] / (1 - 0.99 ** t)).sqrt() + 1e-8)
        new_p[name] = w - rate * (stride + (decay if w.dim() > 1 else 0) * w)
    return new_p, new_m, new_v
    ### END SOLUTION
# %% tags=["check"]
def diagnose_3_4(answer):
    def first(g, decay=0.0, shape=(1, 1), t=1, m=0.0, v=0.0):
        return answer(*({"w": torch.full(shape, value)} for value in (2.0, g, m, v)), t, 0.1, decay)

    try:
        got = first(4.0)
        if got is None:
            return "not attempted yet"
        if not isinstance(got, tuple | list) or len(got) != 3 or not all(isinstance(d, dict) and set(d) == {"w"} for d in got):
            return "return three dictionaries with the names of p: the new parameters, the new m and the new v"
        if any(not isinstance(d["w"], torch.Tensor) or d["w"].shape != (1, 1) for d in got):
            return "the new parameters and averages have the shapes of the old ones, here (1, 1)"
        w, m, v = (d["w"].item() for d in got)
        known = [(4.0, "the corrected m is kept, and would be corrected again the next time: keep the average itself, here 0.4"),
                 (0.04, "the two betas are swapped: m keeps 0.9 of its old value and takes 0.1 of the gradient"),
                 (3.6, "m takes beta of the gradient and keeps 1 - beta of its old value; it is the other way round")]
        for value, says in known:
            if abs(m - value) < 1e-5:
                return says
        if not abs(m - 0.4) <= 1e-5:
            return f"after a first gradient of 4, m is 0.1 · 4 = 0.4, not {m:.4f}"
        if abs(v - 0.04) < 1e-5:
            return "v averages the gradient; it should average its square, here 0.01 · 16 = 0.16"
        if not abs(v - 0.16) <= 1e-5:
            return f"after a first gradient of 4, v is 0.01 · 16 = 0.16, not {v:.4f}"
        if abs(w - 2.1) < 1e-4:
            return "the weight went up although its gradient is positive: step against the gradient"
        third = first(4.0, t=3, m=4.0 * (1 - 0.9 ** 2), v=16.0 * (1 - 0.99 ** 2))[0]["w"].item()
        raw = 2 - 0.1 * 4 * (1 - 0.9 ** 3) / (4 * math.sqrt(1 - 0.99 ** 3))
        if abs(third - raw) < 1e-4:
            return "the averages are used as they are, but they began at 0: divide m by 1 - beta1^t and v by 1 - beta2^t"
        if abs(w - (2 - 0.1 * 0.4 / 0.19 / math.sqrt(0.16 / 0.0199))) < 1e-4:
            return "the first update has t = 1, and you count it as the second: use t as it is"
        if not math.isfinite(w):
            return "the first update gives no number: t is 1 there, and with t - 1 the correction divides by 0"
        if abs(w - (2 - 0.1 * 4 / 16)) < 1e-4:
            return "the step is divided by v, not by its square root: the gradient's size should cancel"
        if not abs(w - 1.9) < 1e-4:
            return f"a first update moves a weight by the rate, whatever its gradient: from 2 to 1.9, not to {w:.4f}"
        if not abs(third - 1.9) < 1e-4:
            return f"equal gradients move a weight by the rate each time, the third from 2 to 1.9, not to {third:.4f}: mind t"
        if not abs(first(1e-6)[0]["w"].item() - 1.9010) <= 2e-4:
            return "a first gradient of 1e-6 should move 2 to 1.9010: eps is added to the root of the corrected v, not under it"
        if not math.isfinite(first(0.0)[0]["w"].item()):
            return "a gradient of 0 gives no number: 0 / 0 is what eps is there for"
        matrix, vector = (first(4.0, decay=0.5, shape=shape)[0]["w"].flatten()[0].item() for shape in ((1, 1), (1,)))
        known = [(1.9, "this matrix is not decayed: is the decay left out, does it go by the name, or is it added to the gradient, "
                       "where Adam divides it away? Take rate · decay · w off every tensor of two dimensions"),
                 (0.9, "the decay lacks the rate: each update takes rate · decay · w = 0.1 off, not decay · w = 1"),
                 (2.0, "the weights grow with the decay: it should shrink them"),
                 (1.9 - 0.05 * 1.9, "the decay reads the weight after Adam's step; in the formula both read the old weight")]
        for value, says in known:
            if abs(matrix - value) < 1e-4:
                return says
        if not abs(matrix - 1.8) <= 1e-4:
            return f"with a rate of 0.1 and a decay of 0.5 the weight 2 goes to 2 - 0.1 - 0.1 = 1.8, not to {matrix:.4f}"
        if abs(vector - 1.8) < 1e-4:
            return "a bias, with its one dimension, was decayed too: a gain that shrinks to 0 switches its channel off"
        if not abs(vector - 1.9) <= 1e-4:
            return f"a vector is moved by Adam alone, from 2 to 1.9, not to {vector:.4f}"
        p = {"a": torch.ones(2, 2), "b": torch.ones(3)}
        grads, m, v = ({name: w * size for name, w in p.items()} for size in (2, 0, 0))
        given = {"p": p, "grads": grads, "m": m, "v": v}
        before = {which: {name: (w, w.clone()) for name, w in d.items()} for which, d in given.items()}
        got = answer(p, grads, m, v, 1, 0.1, 0.0)
        for which, d in given.items():
            if len(d) != 2 or any(d.get(name) is not w for name, (w, _) in before[which].items()):
                return f"the dictionary {which} that you were given has changed: put the new tensors into a new dictionary"
            if any((w != old).any() for w, old in before[which].values()):
                return f"the tensors of {which} that you were given have changed: compute new ones (no -=, no mul_)"
        right = all(torch.allclose(got[0][name], w * 0.9, atol=1e-4) for name, w in p.items())
    except Exception as error:
        return f"raised {told(error)}"
    return "correct" if right else "of two parameters not each was updated as it should: each has its own gradient and averages"


print("Problem 3.4:", diagnose_3_4(adamw))
# %% tags=["hidden"]
def cases_3_4(rng):
    def call(shapes, t, decay, size=1.0):
        p, grads = ({name: normal(rng, *shape) for name, shape in shapes.items()} for _ in "pg")
        p, grads = {name: w + 2 * w.sign() for name, w in p.items()}, {name: size * (g + g.sign()) for name, g in grads.items()}
        m = {name: 0 * g if t == 1 else normal(rng, *g.shape) for name, g in grads.items()}
        v = {name: 0 * g if t == 1 else normal(rng, *g.shape).abs() + 0.5 for name, g in grads.items()}
        return "adamw", p, grads, m, v, t, rng.uniform(0.05, 0.2), decay

    both = {"weight": (3, rng.randint(2, 5)), "bias": (rng.randint(2, 5),)}
    matrix, vector = {"wte": (rng.randint(2, 5), 4)}, {"gain": (rng.randint(3, 6),)}
    return [("the first update", 3, [call(both, 1, 0.0) for _ in range(3)]),
            ("later updates", 5, [call(both, rng.randint(3, 9), 0.0) for _ in range(3)]),
            ("gradients close to nothing", 2, [call(both, 1, 0.0, size=1e-7) for _ in range(2)]),
            ("the decay of matrices", 2, [call(matrix, 1, rng.uniform(0.3, 0.6)) for _ in range(3)]),
            ("vectors are spared", 2, [call(vector, 1, rng.uniform(0.3, 0.6)) for _ in range(3)]),
            ("nothing is changed in place", 1, [("with_arguments", *call(both, rng.randint(3, 9), 0.0))])]
# %% [markdown] problem="3.5" title="Many pieces, one gradient" points=15 difficulty=2 minutes=25
# A batch that does not fit into memory is read in pieces, and each piece gives the mean loss over those of its targets that
# count, the gradient of this mean, and their number. Write `total_gradient`, which returns what one big batch would have
# given: the mean loss over all targets that count, and its gradient. Then it measures the length of the gradient, all tensors
# laid end to end as one vector, and where this exceeds `limit` it scales all of them down to that length. A gradient whose
# length is not a finite number would ruin every weight: raise `FloatingPointError`. If no target counts, the gradient is 0.
# %% tags=["solution"]
def total_gradient(pieces: list[tuple[float, Tensors, int]], limit: float) -> tuple[float, Tensors, float]:
    """pieces: (mean loss, {name: gradient}, targets that count) -> mean loss, {name: clipped gradient}, length before clipping."""
    ### BEGIN SOLUTION
    n = max(1, sum(count for _, _, count in pieces))
    loss = sum(mean * count for mean, _, count in pieces) / n
    grads = {name: sum(part[name] * count for _, part, count in pieces) / n for name in pieces[0][1]}
    length = math.sqrt(sum((g ** 2).sum().item() for g in grads.values()))
    if not math.isfinite(length):
        raise FloatingPointError(f"the gradient has the length {length}")
    return loss, {name: g * min(1.0, limit / max(length, 1e-30)) for name, g in grads.items()}, length
    ### END SOLUTION
# %% tags=["check"]
def diagnose_3_5(answer):
    def piece(loss, a, b, n):
        return loss, {"a": torch.tensor([[float(a)]]), "b": torch.tensor([float(b)])}, n

    try:
        got = answer([piece(1.0, 3, 4, 10)], 100.0)
        if got is None:
            return "not attempted yet"
        if not isinstance(got, tuple | list) or len(got) != 3 or not isinstance(got[1], dict) or set(got[1]) != {"a", "b"}:
            return "return three things: the mean loss, a dictionary with the gradients, and the length before clipping"
        if isinstance(got[0], torch.Tensor) or isinstance(got[2], torch.Tensor):
            return "the loss and the length should be plain numbers: .item() takes them out of a tensor"
        a, b = (got[1][name].flatten()[0].item() for name in "ab")
        if math.hypot(a, b) > 99:
            return "a gradient of length 5 was stretched to the limit of 100: clipping only ever shortens"
        if abs(got[2] - 7) < 1e-4:
            return "the lengths of the tensors were added, 3 + 4 = 7; end to end the vector (3, 4) has the length 5"
        if abs(got[2] - 25) < 1e-4:
            return "25 is the square of the length: take the root"
        if abs(got[2] - 4) < 1e-4:
            return "4 is the largest entry or tensor; the length of the vector (3, 4) is 5"
        if abs(a - 30) < 1e-3:
            return "this is the gradient of the summed loss: divide by the number of targets, here 10"
        if not max(abs(got[0] - 1), abs(a - 3), abs(b - 4), abs(got[2] - 5)) <= 1e-4:
            return f"one piece, loss 1, gradient (3, 4), stays as it is with length 5; not {got[0]}, ({a}, {b}), {got[2]}"
        given = [piece(1.0, 2, 0, 30), piece(5.0, 6, 0, 10)]
        loss, grads, length = answer(given, 100.0)
        if [part[1]["a"].item() for part in given] != [2, 6]:
            return "the gradients that you were given have changed: compute new tensors (no *=, no mul_), in a new dictionary"
        a = grads["a"].item()
        if abs(a - 4) < 1e-4:
            return "the pieces were averaged as equals, but one has 30 targets and the other 10: those would count three times"
        if abs(a - 8) < 1e-4:
            return "the means of the pieces were added: two pieces give twice the gradient, and the rate doubles behind your back"
        if abs(a - 120) < 1e-3:
            return "this is the gradient of the summed loss: divide by the number of targets, 40"
        if not abs(a - 3) <= 1e-4:
            return f"gradients of 2 from 30 targets and of 6 from 10 give (2 · 30 + 6 · 10) / 40 = 3, not {a:.4f}"
        if not abs(loss - 2) <= 1e-4:
            return f"losses of 1 over 30 targets and 5 over 10 have the mean 2, not {loss:.4f}: weigh them like the gradients"
        loss, grads, length = answer([piece(1.0, 6, 8, 10)], 5.0)
        a, b = (grads[name].flatten()[0].item() for name in "ab")
        if (abs(a - 5) < 1e-3) and (abs(b - 5) < 1e-3):
            return "every tensor or number was clipped by itself: (6, 8) became (5, 5), another direction; use one factor for all"
        if abs(a - 6) < 1e-3 and abs(b - 8) < 1e-3:
            return "a gradient of length 10 was not shortened to the limit of 5"
        if not max(abs(a - 3), abs(b - 4)) <= 1e-3:
            return f"(6, 8) has length 10 and becomes (3, 4) at a limit of 5, not ({a:.4f}, {b:.4f})"
        before = length
        loss, grads, length = answer([piece(1.0, 30, 0, 10), piece(1.0, -28, 0, 10)], 5.0)
        a = grads["a"].item()
        if abs(a) < 1e-3:
            return "each piece was clipped before they were added: 30 and -28 became 5 and -5, and nothing is left of their mean 1"
        if not abs(a - 1) <= 1e-3:
            return f"gradients of 30 and -28 from as many targets have the mean 1, short enough for the limit of 5, not {a:.4f}"
        if not abs(before - 10) <= 1e-3:
            return f"(6, 8) has the length 10 before it is clipped, which is worth knowing; you return {before:.4f}"
        loss, grads, length = answer([piece(0.0, 0, 0, 0)], 1.0)
        if not (loss == 0 and length == 0 and all(g.abs().sum() == 0 for g in grads.values())):
            return "where no target counts the loss, the gradient and its length are 0; mind the division by 0"
    except Exception as error:
        return f"raised {told(error)}; pieces may be without any target that counts, and a gradient may be 0"
    for bad in (math.inf, math.nan):
        try:
            answer([piece(1.0, bad, 0, 10)], 1.0)
            return f"a gradient of {bad} came through: raise FloatingPointError, or all weights are lost in one update"
        except FloatingPointError:
            continue
        except Exception as error:
            return f"a gradient of {bad} should raise FloatingPointError, not {type(error).__name__}"
    return "correct"


print("Problem 3.5:", diagnose_3_5(total_gradient))
# %% tags=["hidden"]
def cases_3_5(rng):
    shapes = {"weight": (3, rng.randint(2, 4)), "bias": (rng.randint(2, 5),), "head": (2, 2)}

    def piece(n, size=1.0):
        return rng.uniform(1, 6), {name: normal(rng, *shape) * size for name, shape in shapes.items()}, n

    def uneven():
        return [piece(n) for n in rng.sample([2, 7, 16, 40], 3)]

    infinite, unknown = piece(4), piece(4)
    infinite[1]["bias"][0], unknown[1]["bias"][1] = math.inf, math.nan
    nothing = 0.0, {name: torch.zeros(shape) for name, shape in shapes.items()}, 0
    long = [[piece(12, 3.0), piece(12, 90.0)] for _ in range(3)]
    edges = [("total_gradient", pieces, 1.0) for pieces in ([nothing, nothing], [piece(9), infinite], [unknown, piece(9)])]
    return [("pieces of unequal size", 5, [("total_gradient", uneven(), 1e6) for _ in range(3)]),
            ("gradients that are too long", 6, [("total_gradient", pieces, rng.uniform(0.5, 2)) for pieces in long]),
            ("no target, and no number", 3, edges),
            ("nothing is changed in place", 1, [("with_arguments", "total_gradient", uneven(), 1e6)])]
# %% [markdown]
# ## The network
#
# The next cell is given; leave it as it is. Neural language models began with networks like this one: it looks up a vector
# for each of the last few tokens of the window, lays them side by side, and goes through one hidden layer. `forward` gives
# logits. `backward` starts from the gradient with respect to these logits, which your `cross_entropy` returns, and carries it
# back to every parameter; this is all that PyTorch's automatic differentiation does in this assignment.
# %%
def network(vocab: int, width: int, seen: int, hidden: int, seed: int = 0) -> Tensors:
    """Parameters of a network that sees the last `seen` tokens: small random matrices, and biases of 0."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"wte": (vocab, width), "c_fc.weight": (seen * width, hidden), "head.weight": (hidden, vocab)}
    p = {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return p | {"c_fc.bias": torch.zeros(hidden), "head.bias": torch.zeros(vocab)}


def forward(p: Tensors, x: Tensor) -> Tensor:
    """x int64 (batch, time) -> logits (batch, time, vocab)."""
    vectors, time = p["wte"][x], x.shape[1]
    seen = p["c_fc.weight"].shape[0] // vectors.shape[2]
    past = [torch.nn.functional.pad(vectors, (0, 0, back, 0))[:, :time] for back in range(seen)]  # 0 before the window
    hidden = torch.tanh(torch.cat(past, dim=-1) @ p["c_fc.weight"] + p["c_fc.bias"])
    return hidden @ p["head.weight"] + p["head.bias"]


def backward(p: Tensors, x: Tensor, gradient: Tensor) -> Tensors:
    """The gradient with respect to the logits of x -> that with respect to each parameter."""
    leaves = {name: w.detach().requires_grad_() for name, w in p.items()}
    return dict(zip(leaves, torch.autograd.grad(forward(leaves, x), list(leaves.values()), gradient), strict=True))


# %% [markdown] problem="3.6" title="The loop" points=25 difficulty=3 minutes=50 uses=["windows","cross_entropy","learning_rate","adamw","total_gradient"]
# Write `bits_per_byte`, which scores a stream: windows stand side by side from its first token to its last, and every token
# but the first is asked exactly once (the first target of a window is seen from one token only). What they cost together, in
# bits, is shared out among the `n_bytes` bytes of the text.
#
# Write `train`. `starts[t][k]` are the starts of the windows that piece k of update t reads, so there are `len(starts)`
# updates. `maximum` and `warmup` shape the rate, whose floor is 0; `decay` is for the optimiser, whose averages begin at 0,
# and `limit` for the length of the gradient. It returns the trained parameters and the loss of every update, measured before
# the update was made.
# %% tags=["solution"]
def bits_per_byte(p: Tensors, tokens: Tensor, length: int, n_bytes: int) -> float:
    """tokens int64 (n,), the text of which has n_bytes bytes; length of the windows -> bits per byte."""
    ### BEGIN SOLUTION
    x, y = windows(tokens, list(range(0, len(tokens) - 1, length)), length)
    loss, _, n = cross_entropy(forward(p, x), y)
    return loss * n / math.log(2) / n_bytes
    ### END SOLUTION


def train(p: Tensors, tokens: Tensor, starts: list[list[list[int]]], length: int, maximum: float, warmup: int,
          decay: float, limit: float) -> tuple[Tensors, list[float]]:
    """Parameters, tokens (n,), starts of the windows -> new parameters, and the loss of each update in nats."""
    ### BEGIN SOLUTION
    m, v = ({name: torch.zeros_like(w) for name, w in p.items()} for _ in "mv")
    losses = []
    for step, update in enumerate(starts):
        pieces = []
        for piece in update:
            x, y = windows(tokens, piece, length)
            loss, gradient, n = cross_entropy(forward(p, x), y)
            pieces.append((loss, backward(p, x, gradient), n))
        loss, grads, _ = total_gradient(pieces, limit)
        p, m, v = adamw(p, grads, m, v, step + 1, learning_rate(step, len(starts), warmup, maximum), decay)
        losses.append(loss)
    return p, losses
    ### END SOLUTION
# %% tags=["check"]
def diagnose_3_6(score, learn):
    def blank(vocab, bias=None):  # a network without weights: all that it can learn is the bias of the head
        p = {name: 0 * w for name, w in network(vocab, 2, 2, 3).items()}
        return p if bias is None else p | {"head.bias": torch.tensor(bias)}

    try:
        tokens = torch.tensor([3, 1, 4, 1, 5, 2, 6, 5, 3, 5, 7])
        got = score(blank(8), tokens, 4, 20)
        if got is None:
            return "not attempted yet"
        if isinstance(got, torch.Tensor) or not isinstance(got, float | int):
            return f"bits_per_byte: return a number, not a {type(got).__name__}"
        for value, says in ((1.5 * math.log(2), "these are nats per byte: a nat is 1 / ln 2 = 1.44 bits"),
                            (3.0, "these are bits per token: 10 tokens cost 3 each, shared out among 20 bytes"),
                            (6.0, "a byte is less than a token here, so it costs less, not more: divide by the bytes"),
                            (1.2, "two of the ten questions are missing: they stand in the last window, which is not full"),
                            (0.15, "this is the mean loss over the bytes; multiply a mean by the number of targets first"),
                            (1.65, "the first of 11 tokens has nothing before it and is not asked: 10 questions")):
            if abs(got - value) < 1e-4:
                return f"bits_per_byte: {says}"
        if got > 1.65 + 1e-4 and abs(got / 0.15 - round(got / 0.15)) < 1e-3:
            return f"bits_per_byte: you ask {got / 0.15:.0f} questions, but there are 10: the windows overlap, and some count twice"
        if not abs(got - 1.5) <= 1e-4:
            return (f"bits_per_byte: 10 questions at 3 bits in 20 bytes are 1.5 bits per byte, not {got:.4f}, "
                    f"which would be {got * 20 / 3:.1f} questions")
        p, costs = blank(2, [0.0, 2.0]), [math.log2(1 + math.exp(2)), math.log2(1 + math.exp(-2))]  # a 0 is dear, a 1 is cheap
        got, right = score(p, torch.tensor([0] * 9 + [1] * 2), 4, 10), (8 * costs[0] + 2 * costs[1]) / 10
        if abs(got - (2 * costs[0] + costs[1]) / 3) < 1e-4:
            return "bits_per_byte: the windows were averaged as equals, but the last one asks two questions and the others four"
        if not abs(got - right) <= 1e-4:
            return f"bits_per_byte: 8 targets at {costs[0]:.3f} bits, 2 at {costs[1]:.3f}, in 10 bytes: {right:.4f}, not {got:.4f}"

        ones, zeros = list(range(8)), list(range(12, 20))  # windows of one token: after these a 1 follows, and after those a 0
        tokens = torch.tensor([1] * 12 + [0] * 12)
        p = blank(2)
        got = learn(p, tokens, [[ones]], 1, 0.1, 1, 0.0, 1e3)
        if got is None:
            return "train: not attempted yet"
        if not isinstance(got, tuple | list) or len(got) != 2 or not isinstance(got[0], dict) or set(got[0]) != set(p):
            return "train: return two things, the dictionary of the new parameters and the list of the losses"
        if not isinstance(got[1], list | tuple) or len(got[1]) != 1 or not isinstance(got[1][0], float):
            return f"train: one update has one loss, a plain number; you return {got[1]!r}"
        moved = got[0]["head.bias"][1].item()
        if not math.isfinite(moved):
            return "train: the first update gives no number: Adam's first t is 1, and at t = 0 its correction divides by 0"
        late = "the first update has the step 0 in the schedule, and yours has 1: Adam's t counts from 1, the step from 0"
        if moved == 0:
            twice = learn(p, tokens, [[ones], [ones]], 1, 0.1, 1, 0.0, 1e3)[0]["head.bias"][1]
            return f"train: {late if twice else 'nothing was learned: the parameters that come back are those from before'}"
        if moved < 0:
            return "train: a token that always comes has become less likely: the weights went up the gradient"
        if not abs(got[1][0] - math.log(2)) <= 1e-4:
            return f"train: the loss of an update is measured before it, here ln 2 = 0.6931, a coin's; you say {got[1][0]:.4f}"
        if not abs(moved - 0.1) <= 1e-3:
            return f"train: a single update at the rate 0.1 moves the bias of a token by 0.1, not by {moved:.4f}: check step and t"

        if any(w.any() for w in p.values()):
            return "train: the parameters that you were given have changed: put new ones into a new dictionary, no p[name] = ..."
        got, losses = learn(p, tokens, [[ones]] * 4, 1, 0.04, 4, 0.0, 1e3)
        moved = got["head.bias"][1].item()
        if len(losses) != 4:
            return f"train: four updates have four losses; you return {len(losses)}"
        if max(losses) - min(losses) < 1e-6:
            return "train: the loss is the same in every update: the forward pass reads the old parameters"
        if abs(moved - 0.16) < 2e-3:
            return "train: the warm-up does not arrive: at the rates 0.01, 0.02, 0.03, 0.04 a bias moves by 0.1, and yours by 0.16"
        if abs(moved - 0.09) < 2e-3:
            return f"train: {late}"
        back, losses = learn(p, tokens, [[ones], [zeros]], 1, 0.1, 1, 0.0, 1e3)
        back = back["head.bias"][1].item()
        if abs(losses[1] - (math.log(2) + math.log(1 + math.exp(0.2))) / 2) < 1e-3:
            return "train: the second update reads the pieces of the first again: each update begins with an empty list of pieces"
        if back < 0.05:
            return "train: the averages begin anew in every update: what adamw returns as m and v goes into the next one"
        if not abs(moved - 0.1) <= 2e-3:
            return f"train: four updates at the rates 0.01, 0.02, 0.03 and 0.04 move a bias by 0.1; yours moved by {moved:.4f}"
        p, costs = blank(2, [0.0, 2.0]), [math.log(1 + math.exp(2)), math.log(1 + math.exp(-2))]
        got, losses = learn(p, tokens, [[ones[:6], zeros[:2]]], 1, 0.1, 1, 0.0, 1e3)
        if len(losses) != 1:
            return "train: the pieces of an update make one update together: add up their gradients, then step once"
        if losses[0] > costs[0] + 1e-3:
            return (f"train: a loss of {losses[0]:.3f} is more than either piece costs before the update: did you add their means, "
                    "or step after each piece?")
        for value, says in ((costs[1], "only the first piece of an update is read"),
                            (costs[0], "only the last piece of an update is read"),
                            (sum(costs) / 2, "pieces of 6 and 2 targets count as equals")):
            if abs(losses[0] - value) < 1e-4:
                return f"train: {says}"
        if not abs(losses[0] - (6 * costs[1] + 2 * costs[0]) / 8) <= 1e-4:
            return f"train: 6 targets at {costs[1]:.3f} and 2 at {costs[0]:.3f} do not cost {losses[0]:.4f} on average"
        moved = learn(blank(2), tokens, [[ones[:5], zeros[:3], zeros[3:6]]], 1, 0.1, 1, 0.0, 1e3)[0]["head.bias"][1].item()
        if moved > 0:
            return ("train: 5 targets pull up and 6, in two pieces of 3, pull down, but your bias went up: a piece counts by its "
                    "number of targets, once")
        moved = learn(p, tokens, [[ones[:6], zeros[:2]]], 1, 0.1, 1, 0.0, 0.1)[0]["head.bias"][1].item() - 2
        if moved > 0:
            return ("train: 6 targets pull up with 0.12 each and 2 down with 0.88, but your bias went up: each piece was clipped "
                    "by itself; total_gradient takes all pieces of an update at once")
        moved = learn(blank(2), tokens, [[ones[:4], ones[4:]]] * 4, 1, 0.04, 2, 0.01, 1e3)[0]["head.bias"][1].item()
        if not abs(moved - 0.12) <= 2e-3:
            return (f"train: four updates, two of them warm-up, have the rates 0.02, 0.04, 0.04 and 0.02: a bias moves by 0.12, "
                    f"not by {moved:.4f}; which steps, warmup and floor does learning_rate get?")
        short, long = learn(p, tokens, [[[22]], [[0, 1, 2, 3]]], 3, 0.1, 1, 0.0, 1e3)[1], costs
        if not abs(short[0] - long[0]) <= 1e-4:
            return f"train: a window with one target left costs {long[0]:.4f}, that of this target; yours costs {short[0]:.4f}"
        held = learn(blank(2), tokens, [[ones]], 1, 0.1, 1, 0.0, 1e-8)[0]["head.bias"][1].item()
        if abs(held - 0.1) < 1e-3:
            return "train: the limit does not arrive: at 1e-8 Adam's eps more than halves the step, and yours is as long as ever"
        p = blank(2) | {"head.weight": torch.full((3, 2), 1.0)}
        left = learn(p, tokens, [[ones]], 1, 0.1, 1, 0.5, 1e3)[0]["head.weight"][0, 0].item()
        if abs(left - 1) < 1e-4:
            return "train: the decay does not arrive: a matrix without a gradient should shrink by rate · decay, from 1 to 0.95"
        if not abs(left - 0.95) <= 1e-4:
            return f"train: at rate 0.1 and decay 0.5 a matrix without a gradient goes from 1 to 0.95, not to {left:.4f}"
    except Exception as error:
        return f"raised {told(error)}; are the problems before correct? starts[t] is a list of pieces, starts[t][k] one of places"
    return "correct"


print("Problem 3.6:", diagnose_3_6(bits_per_byte, train))
# %% tags=["hidden"]
def cases_3_6(rng):
    def model(vocab=6):
        p = network(vocab, 3, 2, 5, seed=rng.getrandbits(31))
        return {name: 4 * w + (0.3 * normal(rng, *w.shape) if w.dim() < 2 else 0) for name, w in p.items()}

    def stream(n, vocab=6):
        return torch.tensor([0, *(rng.randrange(vocab) for _ in range(n - 1))])

    def learn(updates, rate=0.05, warmup=2, decay=0.0, limit=1e6):
        return "train", model(), tokens, updates, 5, rate, warmup, decay, limit

    def draw(n):
        return [rng.randrange(0, 30) for _ in range(n)]

    tokens, whole, ragged = stream(40), [], []
    for length in rng.sample(range(4, 9), 3):
        whole.append(("bits_per_byte", model(), stream(3 * length + 1), length, 7 * length))
        ragged.append(("bits_per_byte", model(), stream(3 * length + 1 + rng.randint(1, length - 2)), length, 7 * length))
    one = [learn([[draw(3)]], warmup=1) for _ in range(2)]
    many = [learn([[draw(3)] for _ in range(7)], warmup=rng.randint(3, 5)) for _ in range(2)]
    empty = [[39]]  # an update that asks nothing changes nothing, but the rate goes on behind it
    pieces = [learn([[draw(4), draw(1), [37]]], warmup=1) for _ in range(2)]
    held = [learn([empty, empty, [draw(2), draw(2)]], warmup=1, **more) for more in ({"decay": rng.uniform(1, 2)}, {"limit": 3e-8})]
    return [("bits per byte of whole windows", 5, whole), ("bits per byte, the last window not full", 4, ragged),
            ("a single update", 4, one), ("several updates", 4, many), ("updates in pieces", 4, pieces),
            ("pieces with decay or a limit", 3, held), ("nothing is changed in place", 1, [("with_arguments", *one[0])])]
# %% [markdown]
# ## Your run
#
# The last cell uses nothing but your functions, on stories of the book's world cut into tokens of about three bytes. First it
# computes a bound: the best table of pairs that there can be, the one that is counted on the very text to be predicted. No
# table of pairs, however it was trained, has fewer bits per byte on this text. Your network looks further back than one token,
# and it has never seen the text. Then it writes. All of it takes about 13 seconds on
# one core.
# %% tags=["finale"]
if diagnose_3_6(bits_per_byte, train) != "correct":
    print("Solve the six problems first, then run this cell again.")
else:
    from collections import Counter

    import matplotlib.pyplot as plt

    from minigpt import BPE, paper, viz, world

    stories, held_out = world.stories(1000), world.stories(200, split="validation")
    bpe = BPE.train(stories, 1024)
    text, other = (torch.tensor([i for story in part for i in [*bpe.encode(story), bpe.eos_id]]) for part in (stories, held_out))
    n_bytes = sum(len(story.encode()) for story in held_out)
    pairs, firsts = Counter(zip(other[:-1].tolist(), other[1:].tolist(), strict=True)), Counter(other[:-1].tolist())
    bound = -sum(n * math.log2(n / firsts[first]) for (first, _), n in pairs.items()) / n_bytes

    updates = torch.randint(len(text) - 1, (400, 2, 6), generator=torch.Generator().manual_seed(0)).tolist()
    start = network(bpe.vocab_size, width=64, seen=4, hidden=128)
    trained, losses = train(start, text, updates, length=32, maximum=0.02, warmup=40, decay=0.01, limit=1.0)
    bits, per_nat = bits_per_byte(trained, other, 32, n_bytes), len(other) / math.log(2) / n_bytes
    perplexity = 2 ** (bits * n_bytes / (len(other) - 1))

    viz.style()
    plt.plot([per_nat * loss for loss in losses], alpha=0.6, label="each batch")
    plt.axhline(bits, color=viz.COLORS["green"], label=f"held-out stories: {bits:.2f}")
    plt.axhline(bound, color=viz.COLORS["grey"], ls="--", label=f"the best table of pairs: {bound:.2f}")
    plt.xlabel("update"), plt.ylabel("bits per byte"), plt.ylim(0), plt.legend()
    plt.show()
    ids, generator = [bpe.eos_id], torch.Generator().manual_seed(0)
    for _ in range(150):
        scores = forward(trained, torch.tensor([ids[-32:]]))[0, -1]
        ids.append(int(torch.multinomial((scores / 0.5).softmax(dim=-1), 1, generator=generator)))
    print(f"{bits:.2f} bits per byte; below every table of pairs: {bits < bound}. It writes:\n\n{bpe.decode(ids[1:])}\n")
    theirs = paper.get("gpt1-perplexity").value("Transformer LM", "perplexity")
    print(f"Perplexity per token: yours {perplexity:.1f}, GPT-1's in the paper {theirs}. Question 3.7 asks what to make of it.")
# %% [markdown] question="3.7" title="Have you beaten GPT-1?" points=5 minutes=15
# Your network has a lower perplexity per token than GPT-1's paper reports for its model. In at most 120 words: is it the better
# one, and what would you have to know to say so? Then compare these two on one text: A has 40,000 tokens in its vocabulary, 4.4
# bytes in a token on average and a perplexity of 20 per token; B reads bytes and has a perplexity of 2.1 per byte.
# %% [markdown] tags=["rubric"]
# 2 points: no; a perplexity per token depends on what a token is (a short token is an easier question) and on the text, and
# both differ here. 1 point: bits per byte divides the cost of the whole text by something that no vocabulary changes; one would
# have to score both models on the same text. 2 points: A needs log2(20) / 4.4 = 0.98 bits per byte, B log2(2.1) = 1.07, so A is
# better although its perplexity looks ten times as high.
# %% [markdown] question="3.8" title="A spike" points=5 minutes=15
# A run is at 2.1 nats when, within two updates, its loss jumps to 5.4; it needs 400 updates to come back. Before clipping the
# gradient had been about 0.9 long; it was 60 long in the update whose loss is the first high one, and was clipped at 1. In at
# most 120 words: name two things that may have happened, and an experiment that tells them apart, given that the batch of
# each update is drawn from (seed, number of the update) and that there is a checkpoint from shortly before. Why did clipping
# not prevent it?
# %% [markdown] tags=["rubric"]
# 1 point: an odd batch (garbage, one character repeated), or a rate too high for the place that the weights have reached, or an
# overflow in low precision. 2 points: go back to the checkpoint and change one thing only: the same batch with half the rate, or
# the same rate with the batches of another seed; the jump goes away with its cause. 2 points: clipping bounds the length of one
# gradient and leaves its direction; Adam's step depends on the ratio of m and root v, so a clipped gradient can still move every
# weight by about the rate, and two such updates suffice.
