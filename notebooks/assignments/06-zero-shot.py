# %% [markdown] closed=["minigpt.scoring", "minigpt.zeroshot", "minigpt.cloze", "minigpt.detokenise", "minigpt.overlap"]
# # Assignment 6 · Zero-shot evaluation and overlap
#
# A language model gives probabilities, and a paper prints a score. In this assignment you write what lies between the two:
# the log-probability of a continuation, the choice between answers, the window that slides over a long text, LAMBADA's last
# word, a de-tokeniser that can be undone, and the Bloom filter that tells whether the test was in the training text. Chapters
# 12 to 14 of the book explain nearly all of it. At the end your functions measure the shipped model of the embedded world, and
# each result stands beside the interval that says how sure it is.
#
# **How it works.** Each problem has a cell with a stub, where `...` stands for your work, and a check below it. Run the stub as
# it is and the check says that the problem was not attempted yet. (It says the same when your function returns nothing: look
# for a forgotten `return`.) Write your code, run both cells again, and the check tells you what is wrong and why. You may add
# cells and functions of your own; the names, the arguments and the results of the stubs have to stay. The grader runs your
# notebook from top to bottom in a fresh process without network, and then calls your functions with inputs that you have not
# seen. Each later problem is marked as if the earlier ones were right, so an early mistake costs its points once. The checks in
# this notebook use your own earlier functions: get those right first.
#
# **What you may use.** Python, its standard library and PyTorch. The book's own scores, de-tokenisers and Bloom filter are
# closed while grading. With a person or an assistant you may discuss ideas, but not code; the file with the rules for AI
# assistants lies beside this one.
#
# **A word on units.** All log-probabilities are natural logarithms, in nats, so they are 0 or less, and a perplexity is
# `math.exp` of minus a mean of them.
# %%
import hashlib
import math
import re

import torch
from torch import Tensor


# %% [markdown] problem="6.1" title="Which logits predict which token" points=10 difficulty=1 minutes=15
# A model has read all of `ids` and given logits at every position. The first `n_context` ids are the context, the others the
# continuation. Write `token_log_probs`, which gives the log-probability of every token of the continuation, each given all
# tokens before it. A continuation may have no tokens. A context may not, for then nothing predicts the first token: raise
# `ValueError`. Logits may be as large as they like.
# %% tags=["solution"]
def token_log_probs(logits: Tensor, ids: Tensor, n_context: int) -> Tensor:
    """logits (time, vocab_size), ids (time,) -> nats of ids[n_context:], (time - n_context,). ValueError without a context."""
    ### BEGIN SOLUTION
    if n_context < 1:
        raise ValueError("without a context nothing predicts the first token")
    log_p = logits[n_context - 1:-1].log_softmax(dim=-1)
    return log_p.gather(1, ids[n_context:, None])[:, 0]
    ### END SOLUTION
# %% tags=["check"]
def diagnose_6_1(answer):
    chances = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75], [0.2, 0.5, 0.3], [0.1, 0.4, 0.5]])
    logits, ids = chances.log() + torch.tensor([[3.0], [-1.0], [2.0], [5.0]]), torch.tensor([0, 1, 2, 1])
    got = answer(logits.clone(), ids.clone(), 2)
    if got is None:
        return "not attempted yet"
    if not isinstance(got, torch.Tensor) or not got.is_floating_point():
        return f"return a tensor of floats, not {got.dtype if isinstance(got, torch.Tensor) else type(got).__name__}"
    if got.shape == ():
        return "you return one number; each token of the continuation has its own, and whoever needs their sum can add them"
    if got.shape == (1,):
        return "ids[2] and ids[3] are scored, and you return one number: what predicts ids[2] stands at position 1, in the context"
    if got.shape != (2,):
        return f"with 4 ids and a context of 2 the result has the shape (2,), one number per token, not {tuple(got.shape)}"
    right = torch.tensor([0.75, 0.5]).log()
    known = [(torch.tensor([0.3, 0.4]).log(), "the logits at position t were taken for token t, which the model has just read "
              "there: position t predicts token t + 1"),
             (torch.tensor([0.25, 0.125]).log(), "you look one position too early: token t is predicted at position t - 1"),
             (right.exp(), "these are probabilities: take their logarithm"),
             (right / math.log(2), "these are bits: nats are natural logarithms"),
             (-right, "the sign is turned: the logarithm of a probability is 0 or less"),
             (logits[[1, 2], [2, 1]], "these are the logits themselves: only after a softmax are they log-probabilities"),
             (logits.log_softmax(0)[[1, 2], [2, 1]], "the softmax runs over the positions; it belongs over the vocabulary")]
    for value, says in known:
        if torch.allclose(got.double(), value.double(), atol=1e-5):
            return says
    if not torch.allclose(got.double(), right.double(), atol=1e-5):
        return f"tokens with the probabilities 0.75 and 0.5 have -0.2877 and -0.6931 nats, you say {got.tolist()}"
    try:
        got = answer(logits, ids, 4)
    except Exception as error:
        return f"a continuation of no tokens raised {type(error).__name__}: its result is empty, of shape (0,)"
    if not isinstance(got, torch.Tensor) or got.shape != (0,):
        return f"a continuation of no tokens has no log-probabilities, so the shape is (0,), not {tuple(getattr(got, 'shape', ()))}"
    got = answer(logits, ids, 3)
    if not isinstance(got, torch.Tensor) or got.shape != (1,):
        return (f"a continuation of one token has the shape (1,), not {tuple(getattr(got, 'shape', ()))}: a `squeeze()` without a "
                "dimension takes that 1 away too")
    got = answer(torch.tensor([[0.0, 2000.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([1, 0, 2]), 1)
    got = got.tolist() if isinstance(got, torch.Tensor) and got.shape == (2,) else [repr(got), math.nan]
    if got[0] != -2000.0:
        return f"beside a logit of 2000 a logit of 0 has -2000 nats, not {got[0]}: exponentials that large or small are lost"
    if not math.isclose(got[1], -math.log(3), rel_tol=1e-5):
        return f"three equal logits have -1.0986 nats each, not {got[1]}: a large logit at another position has no say in it"
    try:
        got = answer(logits, ids, 0)
    except ValueError:
        return "correct"
    except Exception as error:
        return f"with n_context = 0 nothing predicts the first token: raise ValueError; yours raised {type(error).__name__}"
    return f"with n_context = 0 nothing predicts the first token: raise ValueError; you return {got!r}"


print("Problem 6.1:", diagnose_6_1(token_log_probs))
# %% tags=["hidden"]
def normal(rng, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.getrandbits(31)))


def cases_6_1(rng):
    several, ends, nothing, large = [], [], [], []
    for _ in range(4):
        time, size = rng.randint(5, 9), rng.randint(5, 9)
        logits, ids = 3 * normal(rng, time, size), torch.tensor([rng.randrange(size) for _ in range(time)])
        several.append(("token_log_probs", logits, ids, rng.randint(1, time - 2)))
        ends += [("token_log_probs", logits, ids, time - 1), ("token_log_probs", logits, ids, time)]
        nothing.append(("token_log_probs", logits, ids, 0))
        huge = 900 * normal(rng, time, size)
        large.append(("token_log_probs", huge, huge.argmin(1).roll(1), 1))  # each token was the unlikeliest one
    return [("continuations of several tokens", 4, several), ("continuations of one token, and of none", 2, ends),
            ("no context", 2, nothing), ("large logits", 2, large)]
# %% [markdown] problem="6.2" title="Which answer?" points=10 difficulty=1 minutes=15
# A question has several answers, and the model has given nats to the tokens of each. Which answer does it choose? The sum is
# the probability of the whole answer, and long answers lose by it. So one divides: by the number of `"token"`s, or, since
# tokens depend on the vocabulary, by the number of `"byte"`s of the answer's text in UTF-8, exactly as it is given, with the
# space that it may begin with. Write `choose`. Of equal scores the first wins. An answer without tokens raises `ValueError`;
# ask yourself which answer would win otherwise.
# %% tags=["solution"]
def choose(log_p: list[list[float]], texts: list[str], by: str) -> int:
    """Nats of each answer's tokens; the answers as text; by: "sum", "token" or "byte" -> the number of the best one, from 0."""
    ### BEGIN SOLUTION
    if not all(log_p):
        raise ValueError("an answer without tokens has nothing to be compared by")
    sizes = {"sum": [1] * len(texts), "token": [len(nats) for nats in log_p], "byte": [len(text.encode("utf-8")) for text in texts]}
    scores = [sum(nats) / size for nats, size in zip(log_p, sizes[by], strict=True)]
    return scores.index(max(scores))
    ### END SOLUTION
# %% tags=["check"]
def diagnose_6_2(answer):
    log_p, texts = [[-3.0], [-1.0] * 4, [-3.0, -3.0]], [" no", " 1234", " unquestionably"]
    got = answer([list(nats) for nats in log_p], list(texts), "sum")
    if got is None:
        return "not attempted yet"
    if not isinstance(got, int) or isinstance(got, bool):
        return f"return the number of the best answer, 0, 1 or 2, as an int, not {got!r}"

    def ask(log_p, texts, by):
        got = answer(log_p, texts, by)
        return got if isinstance(got, int) and not isinstance(got, bool) else repr(got)

    found = [got, ask(log_p, texts, "token"), ask(log_p, texts, "byte")]
    if found == [1, 2, 3]:
        return "the answers are counted from 0, as in Python"
    if got == 2:
        return "you chose the unlikeliest answer: nats are negative, and the best sum is the largest one, nearest to 0"
    if got != 0:
        return f"by 'sum' the answers have -3, -4 and -6 nats, so number 0 is best, not {got}"
    if ask([[-1.0, -1.0], [-0.125, -2.5]], [" a", " b"], "token") != 0:
        return "you average probabilities: the score per token is the mean of the logarithms (-1 against -1.3125)"
    if found[1] != 1:
        return f"by 'token' the answers have -3, -1 and -3 nats per token, so number 1 is best, not {found[1]}"
    if found[2] != 2:
        return f"by 'byte' the answers have -1, -0.8 and -0.4 nats per byte, so number 2 is best, not {found[2]}"
    if ask([[-6.5], [-6.3]], [" äöüäöü", " abcdefgh"], "byte") != 0:
        return "you count characters: ' äöüäöü' has 7, but 13 bytes in UTF-8, and -6.5 / 13 is better than -6.3 / 9"
    if ask([[-1.8], [-4.0]], [" a", " bcd"], "byte") != 0:
        return "the space before a word is a byte of it: ' a' has two, and -1.8 / 2 is better than -4 / 4"
    if ask([[-3.0], [-2.0], [-1.0, -1.0]], ["a", "b", "c"], "sum") != 1:
        return "answers 1 and 2 have the same sum, -2: of equal scores the first one wins"
    for by in ("sum", "token", "byte"):
        try:
            got = ask([[-1.0], []], ["a", ""], by)
        except ValueError:
            continue
        except Exception as error:
            return f"an answer without tokens should raise ValueError; by {by!r} yours raised {type(error).__name__}"
        if got == 1:
            return "an answer of no tokens won: the sum of nothing is 0, which is a probability of 1; raise ValueError"
        return f"an answer without tokens should raise ValueError; by {by!r} you chose {got}"
    return "correct"


print("Problem 6.2:", diagnose_6_2(choose))
# %% tags=["hidden"]
def best(scores):
    top = [i for i, score in enumerate(scores) if score >= max(scores) - 0.02]
    return top[0] if len(top) == 1 else None


def answers(rng):
    """Five answers, the best of which depends on how they are scored."""
    while True:
        texts = [" " * rng.randint(0, 1) + "".join(rng.choices("abcdeäöü€", k=rng.randint(2, 14))) for _ in range(5)]
        log_p = [[-rng.randint(1, 30) / 8 for _ in range(rng.randint(1, 5))] for _ in texts]
        sums = [sum(nats) for nats in log_p]
        ways = [sums, [s / len(nats) for s, nats in zip(sums, log_p, strict=True)],
                [s / len(text.encode()) for s, text in zip(sums, texts, strict=True)]]
        chosen, averaged = [best(way) for way in ways], best([sum(map(math.exp, nats)) / len(nats) for nats in log_p])
        if None not in chosen and len(set(chosen)) == 3 and averaged not in (None, chosen[1]):
            return log_p, texts


def cases_6_2(rng):
    drawn = [answers(rng) for _ in range(6)]
    a, b = rng.randint(2, 9) / 4, rng.randint(11, 20) / 4
    ties = [("choose", [[-b], [-2 * a], [-a, -a]], ["x", "yy", "zzz"], "sum"),
            ("choose", [[-b], [-a, -a], [-a]], ["x", "yy", "zzz"], "token"),
            ("choose", [[-a, -a], [-b], [-a, -a], [-2 * a]], ["pp", "q", "rr", "é"], "byte")]
    letters = rng.sample("bcdfghjklmnp", 12)
    one, three, eight = f" {letters[0]}", f" {''.join(letters[1:4])}", f" {''.join(letters[:8])}"
    accents = " " + "".join(rng.choices("äöüéñ", k=6))  # 7 characters, 13 bytes
    spelled = [("choose", [[-1.8 * a], [-4.0 * a]], [one, three], "byte"),
               ("choose", [[-6.3 * a], [-6.5 * a]], [eight, accents], "byte")]
    nothing = [("choose", [[-a], [], [-b]], ["x", "", "z"], by) for by in ("sum", "token", "byte")]
    by = {way: [("choose", *case, way) for case in drawn] for way in ("sum", "token", "byte")}
    return [("by sum", 2, by["sum"]), ("by token", 2, by["token"]), ("by byte", 2, by["byte"] + spelled), ("equal scores", 2, ties),
            ("an answer without tokens", 2, nothing)]
# %% [markdown] problem="6.3" title="A long text through a window" points=15 difficulty=3 minutes=30
# A text is longer than the window, so it is scored in pieces. Write `windows`. It gives the pieces in order, each as a pair
# of lists: what the model reads, and what is scored there. What is read at position i predicts what follows it. So the last
# token scored is the one that follows the last token read; if fewer tokens are scored than read, they are the ones predicted
# at the last positions read. The rules:
#
# - every token of the text is scored exactly once, the first one too: `prefix` stands before the text, to predict it from;
# - no window reads more than `context` tokens (`prefix` counts), and none reads fewer unless the whole text is that short: the
#   last window begins earlier rather than read less;
# - the first window scores all that it can, each later one the next `stride` tokens, the last one those that are left;
# - a stride larger than the context would skip tokens: raise `ValueError`. A text of no tokens has no windows.
#
# For the ids 11 to 17, a context of 4, a stride of 2 and the prefix 0 there are three windows: [0, 11, 12, 13] is read and
# [11, 12, 13, 14] scored, then [12, 13, 14, 15] is read and [15, 16] scored, at last [13, 14, 15, 16] is read and [17] scored.
# %% tags=["solution"]
def windows(ids: list[int], context: int, stride: int, prefix: int) -> list[tuple[list[int], list[int]]]:
    """The ids of a text, 1 <= stride <= context -> [(ids that are read, ids that are scored at the last positions), ...]."""
    ### BEGIN SOLUTION
    if stride > context:
        raise ValueError(f"a stride of {stride} skips tokens if only {context} are read")
    whole, done, found = [prefix, *ids], 0, []
    while done < len(ids):
        new = ids[done:done + (stride if found else context)]
        done += len(new)
        found.append((whole[max(0, done - context):done], new))
    return found
    ### END SOLUTION
# %% tags=["check"]
def diagnose_6_3(answer):
    def complaint(stride, n=10):
        """What is wrong with the windows of the ids 11, 12, ..., with a context of 4; None if nothing is."""
        ids, where = list(range(11, 11 + n)), f"with context 4 and stride {stride} on the ids 11 to {10 + n}, "
        try:
            got = answer(list(ids), 4, stride, 0)
        except Exception as error:
            why = "; a stride as large as the context is allowed: windows side by side" if stride == 4 else ""
            return where + f"yours raised {type(error).__name__}: {error}{why}"
        if got is None:
            return "not attempted yet"
        if not isinstance(got, list):
            return f"return a list of pairs of two lists, what is read and what is scored, not a {type(got).__name__}"
        if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in got):
            return f"return a list of pairs, what is read and what is scored; you return {got}"
        found = [(read, scored) for read, scored in got]
        kinds = {type(part).__name__ for pair in found for part in pair} - {"list"}
        if kinds or not found:
            return f"return a list of pairs of two lists, what is read and what is scored, not {' and '.join(kinds) or 'nothing'}"
        if not all(isinstance(i, int) for pair in found for part in pair for i in part):
            return f"the two lists of a pair hold ids, that is, ints; you return {found}"
        if found[0][1][:1] == [0]:
            return where + f"your first window scores {found[0][1]}: the prefix is read, never scored, and what is read comes first"
        counts = [sum(scored.count(i) for _, scored in found) for i in ids]
        if not counts[0]:
            return where + "token 11 is never scored: the prefix before the text is there to predict it"
        if not counts[-1]:
            return where + f"token {ids[counts.index(0)]} and what follows are never scored: the last window takes what is left"
        for token, count in zip(ids, counts, strict=True):
            if count != 1:
                return where + f"token {token} is scored {count} times: where windows overlap, only the new tokens count"
        if [i for _, scored in found for i in scored] != ids:
            return where + f"the scored tokens should be the text in its order, not {[scored for _, scored in found]}"
        for read, scored in found:
            if scored and scored[-1] in read:
                return where + (f"a window reads {read} and is scored on token {scored[-1]}, which it has read: what is read ends "
                                "one token earlier, and begins one earlier, at first with the prefix")
            if len(read) > 4:
                return where + f"a window reads {len(read)} tokens: {read}"
            if not read or not scored:
                return where + f"a window reads {read} and scores {scored}: neither can be empty"
        if n < 4 and found != [([0, *ids[:-1]], ids)]:
            why = "; where does your slice begin? A negative number counts from the end" if len(found[0][0]) < n else ""
            return where + f"the text is shorter than the context: one window reads {[0, *ids[:-1]]}; yours are {found}{why}"
        if n < 4:
            return None
        if found[0][0][0] != 0:
            return where + f"your first window reads {found[0][0]}: the first token too is predicted, from the prefix before it"
        sizes = [len(read) for read, _ in found]
        if max(sizes) == 3:
            return where + "no window reads more than 3 tokens: the context counts what is read, and the last target is not read"
        if len(found[0][1]) == stride < 4:
            return where + f"your first window scores {stride} tokens; nothing was scored before, so it scores 11 to 14"
        if any(0 in read for read, _ in found[1:]):
            return where + "a later window begins with the prefix: it stands before the text, not before each window"
        if sizes[-1] < 4 and set(sizes[:-1]) == {4}:
            return where + f"the last window reads only {found[-1][0]}: let it begin earlier, so that it too reads 4 tokens"
        if min(sizes) < 4:
            return where + f"a window reads only {min(found, key=lambda pair: len(pair[0]))[0]}: it may look at 4 tokens"
        if any(read[-1] != scored[-1] - 1 for read, scored in found):
            return where + f"what is read must end right before the last token that is scored there; yours: {found}"
        if len(found[0][1]) != 4 or any(len(scored) != stride for _, scored in found[1:-1]):
            return where + f"the windows score {[len(scored) for _, scored in found]} tokens; first it is 4, then {stride} each"
        return None

    for stride, n in ((4, 10), (2, 11), (3, 12), (4, 12), (2, 2)):
        if says := complaint(stride, n):
            return says
    try:
        got = answer([], 4, 2, 0)
    except Exception as error:
        return f"a text of no tokens raised {type(error).__name__}; it has no windows"
    if not isinstance(got, list) or got:
        return f"a text of no tokens has no windows, []; you return {got!r}"
    try:
        got = answer(list(range(11, 21)), 4, 5, 0)
    except ValueError:
        return "correct"
    except Exception as error:
        return f"a stride of 5 with a context of 4 should raise ValueError; yours raised {type(error).__name__}"
    return "a stride of 5 with a context of 4 skips every fifth token, or reads it too late: raise ValueError"


print("Problem 6.3:", diagnose_6_3(windows))
# %% tags=["hidden"]
def cases_6_3(rng):
    side, over, short, skips = [], [], [], []
    for context in (3, 5, 6, 8):
        text = rng.sample(range(1, 5000), 3 * context + rng.randint(1, context - 1))  # the last window is not full
        side.append(("windows", text, context, context, 7000 + context))
        stride = rng.randint(1, context // 2)
        longer = rng.sample(range(1, 5000), 2 * context + 2 * stride + (rng.randint(1, stride - 1) if stride > 1 else 0))
        over += [("windows", longer, context, stride, 0), ("windows", text, context, 2, 0)]
        short += [("windows", text[:rng.randint(2, context - 1)], context, 1, 0), ("windows", text[:1], context, 2, 0)]
        skips.append(("windows", text, context, context + rng.randint(1, 4), 0))
    return [("windows side by side", 5, side), ("windows that overlap", 6, over),
            ("texts that fit a window, and none", 2, [*short, ("windows", [], 5, 3, 0)]), ("a stride that skips", 2, skips)]
# %% [markdown] problem="6.4" title="The last word" points=15 difficulty=2 minutes=25 uses=["token_log_probs"]
# LAMBADA asks for the last word of a passage. The word is `ids[n_context:]`, one token or several, and `logits` are those of
# the whole passage, as in problem 6.1. Write `last_word`, which says two things. Was the word predicted: would the likeliest
# token have been the right one at *every* place of the word, where the tokens in `banned` (the stop words) can never be
# chosen? And what log-probability does the model give to the whole word? The filter is about choosing. It leaves the
# probabilities as they are. `banned` may be empty.
# %% tags=["solution"]
def last_word(logits: Tensor, ids: Tensor, n_context: int, banned: list[int]) -> tuple[bool, float]:
    """logits (time, vocab_size), ids (time,), banned ids -> (was the word predicted, its log-probability in nats)."""
    ### BEGIN SOLUTION
    allowed = logits[n_context - 1:-1].clone()
    allowed[:, banned] = -math.inf
    right = (allowed.argmax(dim=-1) == ids[n_context:]).all()
    return bool(right), float(token_log_probs(logits, ids, n_context).sum())
    ### END SOLUTION
# %% tags=["check"]
def diagnose_6_4(answer):
    first, last = [-3.0, -1.0, -5.0, -7.0], [-4.0, -6.0, -2.5, -8.0]  # the word is the tokens 1 and 2; both are likeliest
    ids = torch.tensor([3, 0, 1, 2])

    def ask(at_first, at_last, banned, shift=0.0):
        """The answer; the logits before and after; what the word's tokens have."""
        logits = torch.tensor([[-9.0] * 4, at_first, at_last, [-6.0, -6.0, -6.0, -1.0]]) + shift
        kept = logits.clone()
        got = answer(logits, ids.clone(), 2, banned)
        log_p = kept[1:3].log_softmax(1)[[0, 1], [1, 2]]
        if isinstance(got, tuple | list) and len(got) == 2 and isinstance(got[0], bool) and isinstance(got[1], float):
            return *got, torch.equal(kept, logits), log_p
        return got, math.nan, None, log_p

    right, nats, same, log_p = ask(first, last, [])
    if right is None:
        return "not attempted yet"
    if math.isnan(nats):
        kinds = [type(part).__name__ for part in right] if isinstance(right, tuple | list) else type(right).__name__
        return f"return Python's bool and float, as in (True, -0.5): was the word predicted, and its log-probability; not {kinds}"
    known = [(log_p[1].item(), "this is the log-probability of the last token; the word has two"),
             (log_p.mean().item(), "this is the mean over the word's tokens; the log-probability of the word is the sum"),
             (log_p.sum().exp().item(), "this is a probability: return its logarithm"),
             (-log_p.sum().item(), "the sign is turned: a log-probability is 0 or less")]
    for value, says in known:
        if math.isclose(nats, value, abs_tol=1e-4):
            return says
    if not math.isclose(nats, log_p.sum().item(), abs_tol=1e-4):
        return f"the word's tokens have {log_p[0]:.4f} and {log_p[1]:.4f} nats, together {log_p.sum():.4f}, not {nats:.4f}"
    if not right:
        return "both tokens of the word are the likeliest where they are predicted, at positions 1 and 2; you say that they are not"
    early, late = ask([-1.0, -3.0, -5.0, -7.0], last, [])[0], ask(first, [-2.0, -6.0, -4.0, -8.0], [])[0]
    if early is True and late is True:
        return "one right token is enough for you: a word is predicted if each of its tokens is"
    if early is not False and late is False:
        return "only the last token was asked for: here the first is wrong, so the word was never going to appear"
    if late is not False:
        return "only the first token was asked for: here the last is wrong"
    right, nats, same, log_p = ask([-1.0, -3.0, -5.0, -7.0], last, [0])
    if right is False and ask([-1.0, -3.0, -5.0, -7.0], last, [0], 20.0)[0] is True:
        if ask([1.0, -1.0, -5.0, -7.0], [1.0, -6.0, -2.5, -8.0], [0])[0] is True:
            return ("a banned token's logit is multiplied, and a negative one times a negative number is better than all others: "
                    "set it to minus infinity, which is never chosen")
        return "a banned token gets the logit 0, which here is better than all others: minus infinity is never chosen"
    if right is not True:
        return "token 0 is banned, so token 1 is the best that is left at the first place; you still let token 0 win"
    if not math.isclose(nats, log_p.sum().item(), abs_tol=1e-4):
        return f"with the filter {log_p.sum():.4f} nats became {nats:.4f}: the filter decides what is chosen, and nothing else"
    if not same:
        return "your function changes the logits that it was given: ban the tokens in a copy"
    if ask(first, [-2.0, -6.0, -4.0, -8.0], [0])[0] is not True:
        return "the filter works at the word's first token only; at the last one the banned token 0 still wins"
    right, nats, _, _ = ask(first, last, [1])
    if right is not False:
        return "token 1, the word's own first token, is banned, and yet you say that it was chosen"
    return "correct" if math.isfinite(nats) else "a banned token keeps its probability: it is not chosen, but not impossible"


print("Problem 6.4:", diagnose_6_4(last_word))
# %% tags=["hidden"]
def passage(rng, size, wrong=(), blocked=(), banned=(0, 1)):
    """A passage whose last word has `size` tokens; another token beats it at the places `wrong`, a banned one at `blocked`."""
    start = rng.randint(1, 4)
    logits, ids = normal(rng, start + size, 8) - 20, torch.tensor([rng.randint(4, 7) for _ in range(start + size)])
    for place in range(size):
        row = logits[start - 1 + place]
        row[ids[start + place]] = -10
        if place in wrong:
            row[rng.randint(2, 3)] = -9.5
        if place in blocked:
            row[rng.randint(0, 1)] = -9
    return "last_word", logits, ids, start, list(banned)


def own_stop_word(rng):
    name, logits, ids, start, _ = passage(rng, 1)
    return name, logits, ids, start, [0, int(ids[-1])]


def cases_6_4(rng):
    single = [passage(rng, 1, banned=()), passage(rng, 1, wrong=[0], banned=()), passage(rng, 1, banned=())]
    several = [passage(rng, size, wrong=wrong, banned=()) for size, wrong in ((2, []), (2, [0]), (3, [2]), (3, [0, 1]), (3, []))]
    filtered = [passage(rng, 1, blocked=[0]), passage(rng, 1, [0], [0]), own_stop_word(rng), passage(rng, 1, blocked=[0])]
    both = [passage(rng, size, wrong, at) for size, wrong, at in ((2, [], [0]), (2, [], [1]), (3, [], [0, 2]), (2, [0], [1]))]
    return [("words of one token", 3, single), ("words of several tokens", 5, several),
            ("the filter, words of one token", 3, filtered), ("the filter, words of several tokens", 4, both)]
# %% [markdown] problem="6.5" title="Undo the scissors" points=20 difficulty=2 minutes=35
# Old data sets are cut into words, with spaces between: `No , she said .` To be written as `No, she said.` and read back
# without a loss, it takes a fixed way of reading. `read` takes each chunk, that is, what stands between spaces (or the ends of
# the text), with one space between chunks. As long as the chunk has more than one character and ends in one of `STOPS`, this
# stop comes off as a word of its own; what is left is a word. A chunk that begins with `MARK` is read otherwise: each mark
# begins a word, which goes on to the next mark or to the end.
#
# `write` is the inverse. A word that is one of `STOPS` is glued to the chunk before it, if there is one; every other word
# begins a new chunk. Then it asks of each chunk how it would be read. If not as the words that it was made of (`U.S.` would
# be read as `U.S` and `.`), `MARK` is written before each of its words, with nothing between: `~U.S.`. Words are never empty,
# hold no spaces and no marks, and there is at least one.
#
# `word_perplexity` gets documents, each as its original words and the nats of the tokens that the model read in its stead,
# and returns one perplexity per word of the original text, over all documents as one corpus.
# %% tags=["solution"]
STOPS = (",", ".", ";", ":", "!", "?")
MARK = "~"  # the book's is invisible; this one can be seen


def read(text: str) -> list[str]:
    """Ordinary text -> its words and stops."""
    ### BEGIN SOLUTION
    words = []
    for chunk in text.split(" "):
        if chunk.startswith(MARK):
            words += chunk[1:].split(MARK)
            continue
        stops = []
        while len(chunk) > 1 and chunk[-1] in STOPS:
            stops.insert(0, chunk[-1])
            chunk = chunk[:-1]
        words += [chunk, *stops]
    return words
    ### END SOLUTION


def write(words: list[str]) -> str:
    """Words and stops -> ordinary text, such that read(write(words)) == words."""
    ### BEGIN SOLUTION
    chunks = []
    for word in words:
        if word in STOPS and chunks:
            chunks[-1].append(word)
        else:
            chunks.append([word])
    return " ".join("".join(chunk) if read("".join(chunk)) == chunk else MARK + MARK.join(chunk) for chunk in chunks)
    ### END SOLUTION


def word_perplexity(documents: list[tuple[list[str], list[float]]]) -> float:
    """[(the words of a document, the nats of its tokens), ...] -> the perplexity per word of the corpus."""
    ### BEGIN SOLUTION
    nats = sum(sum(log_p) for _, log_p in documents)
    return math.exp(-nats / sum(len(words) for words, _ in documents))
    ### END SOLUTION
# %% tags=["check"]
def diagnose_6_5(read_it, write_it, perplexity):
    def reads(text):
        got = read_it(text)
        return got if got is None or isinstance(got, list) else repr(got)

    def writes(words):
        got = write_it(words)
        return got if got is None or isinstance(got, str) else repr(got)

    got = reads("No, she said.")
    if got is None:
        return "not attempted yet"
    if got == ["No,", "she", "said."]:
        return "read: the stops at the end of a chunk come off as words of their own: 'said.' is 'said' and '.'"
    if got != ["No", ",", "she", "said", "."]:
        return f"read: 'No, she said.' holds ['No', ',', 'she', 'said', '.'], not {got!r}"
    got = reads("What?!")
    if got == ["What?", "!"]:
        return "read: 'What?!' lost one stop only: they come off as long as there is one at the end"
    if got == ["What", "!", "?"]:
        return "read: the stops of 'What?!' came out in the wrong order; the last to come off stands first"
    if got != ["What", "?", "!"]:
        return f"read: 'What?!' holds ['What', '?', '!'], not {got!r}"
    try:
        got = reads("3.5 :")
    except IndexError:
        return "read: '3.5 :' raised IndexError: ':' is taken to pieces until nothing is left; one character is left alone"
    if got != ["3.5", ":"]:
        return f"read: '3.5 :' holds '3.5' and ':': stops come off the end, and one character is left alone; not {got!r}"
    if reads("~U.S. ~etc.~. Yes.") != ["U.S.", "etc.", ".", "Yes", "."]:
        return f"read: '~U.S. ~etc.~. Yes.' begins 'U.S.', 'etc.', '.', as the marks say; you read {reads('~U.S. ~etc.~. Yes.')!r}"
    got = writes(["No", ",", "she", "said", "."])
    if got is None:
        return "write: not attempted yet"
    if got == "No , she said .":
        return "write: the stops are not glued to the word before them"
    if isinstance(got, str) and got.count("~") > 0 and got != "No, she said.":
        return f"write: {got!r} has marks that nobody needs; 'No, she said.' is read as it should be"
    if got != "No, she said.":
        return f"write: the words of 'No, she said.' became {got!r}"
    try:
        got = writes([",", "he", "said"])
    except IndexError:
        return "write: a stop as the first word has nothing to be glued to; yours raised IndexError"
    if got != ", he said":
        return f"write: a stop as the first word begins a chunk, ', he said', and is not {got!r}"
    got = writes(["The", "U.S.", "won", "."])
    if got == "The U.S. won.":
        return "write: 'The U.S. won.' would be read as 'The', 'U.S', '.', 'won', '.': such a chunk needs its mark"
    if got == "~The ~U.S. ~won~.":
        return "write: one chunk would be misread, and you mark them all; only 'U.S.' needs it"
    if got != "The ~U.S. won.":
        return f"write: this should be 'The ~U.S. won.', not {got!r}"
    got = writes(["etc.", "."])
    if got == "~etc..":
        return "write: '~etc..' is read as one word 'etc..': where a chunk needs marks, one stands before each of its words"
    if got != "~etc.~.":
        return f"write: 'etc.' and '.' become '~etc.~.', not {got!r}"
    got = writes(["What", "?", "!"])
    if got != "What?!":
        return f"write: a stop is glued to the chunk before it, even if that ends in a stop already: 'What?!', not {got!r}"
    got = writes(["3.5", "Oh!", "!"])
    if got != "3.5 ~Oh!~!":
        return (f"write: this should be '3.5 ~Oh!~!', not {got!r}: let `read` decide which chunk needs marks; '3.5' is read as one "
                "word, and 'Oh!!' as three")
    documents = [(["No", "milk"], [-1.0, -2.0, -3.0]), (["today"] * 6, [-4.0])]
    got = perplexity(documents)
    if got is None:
        return "word_perplexity: not attempted yet"
    known = [(math.exp(10 / 4), "you divide by the model's tokens, 4; the unit is the words of the original, 8"),
             ((math.exp(6 / 2) + math.exp(4 / 6)) / 2, "this is the mean of two perplexities: add up nats and words first"),
             (math.exp((6 / 2 + 4 / 6) / 2), "each document counts alike, however long: add up nats and words first"),
             (math.exp(10 / 4) * 4 / 8, "you scale a finished perplexity by tokens / words: divide before you exponentiate"),
             (math.exp(-10 / 8), "below 1: nats are negative, turn the sign"), (10 / 8, "these are nats per word: exponentiate"),
             (2 ** (10 / 8), "these are nats, so the base is e, not 2"),
             (math.exp(10 / 36), "you divide by the letters, 36; the unit is words, 8"),
             (math.exp(10 / 3), "a word that occurs again counts again")]
    for value, says in known:
        if isinstance(got, float) and math.isclose(got, value, rel_tol=1e-4):
            return f"word_perplexity: {says}"
    fits = isinstance(got, float) and math.isclose(got, math.exp(10 / 8), rel_tol=1e-4)
    return "correct" if fits else f"word_perplexity: 10 nats over 8 words are exp(10 / 8) = 3.490, not {got!r}"


print("Problem 6.5:", diagnose_6_5(read, write, word_perplexity))
# %% tags=["hidden"]
def plain_word(rng):
    return "".join(rng.choices("abcdefgh", k=rng.randint(2, 5)))


def cases_6_5(rng):
    plain, doubled, marked, glued, misread, documents = [], [], [], [], [], []
    for _ in range(4):
        a, b, c, d = (plain_word(rng) for _ in range(4))
        x, y = rng.sample(STOPS, 2)
        plain.append(("read", f"{a}{x} {b} {c}.{d}{y} {x}"))
        doubled.append(("read", f"{a}{x}{y} {b}... {c}"))
        marked.append(("read", f"{a} ~{b}. {c}{x} ~{d}.~{y}"))
        glued += [("write", [a, x, b, c, y]), ("write", [x, a, b, x, y, c]), ("write", [f"{a}.{b}", c, "."])]
        misread += [("write", [a, f"{b}.", c, x]), ("write", [a, f"{b}{y}", x, c, d, "."]), ("write", [f"{a},.", b, f"{c}!", y, x])]
        many = [(rng.choices([a, b, c, d], k=n), [-rng.random() * 4 for _ in range(2 * n - 1)])
                for n in rng.sample(range(2, 30), 3)]
        documents.append(("word_perplexity", many))
    return [("read: stops", 3, plain + doubled), ("read: marks", 3, marked), ("write: stops are glued", 4, glued),
            ("write: what would be misread", 5, misread), ("word_perplexity", 5, documents)]
# %% [markdown] problem="6.6" title="Have I read this before?" points=20 difficulty=3 minutes=40
# GPT-2's authors looked for the 8-grams of the test sets in their training text, with a Bloom filter. You write all three
# parts of it. The hash functions are given: `positions` names the bits of an 8-gram.
#
# `filter_size` says how large a filter must be for `expected` different 8-grams and a false-positive rate of at most `rate`.
# The number of hashes k is $\log_2(1/\text{rate})$, rounded up. The number of bits m is the smallest for which
# $(1 - e^{-k \cdot \text{expected} / m})^k \le \text{rate}$: solve this for m and round up.
#
# `make_filter` returns a list of booleans, True where a bit is set, after the 8-grams of all texts were added. An 8-gram is
# eight words in a row with single spaces between; the words are runs of the letters a to z and digits, in lower case, and
# everything else is a gap (your texts are English). No 8-gram reaches from one text into the next.
#
# `overlap` returns how many **per cent** of all the 8-grams of some other texts the filter holds. An 8-gram that occurs twice
# counts twice, and long texts count for more. If there is no 8-gram at all, it raises `ValueError`.
# %%
def positions(gram: str, bits: int, hashes: int) -> list[int]:
    """The bits that belong to an 8-gram, one for each hash function: numbers from 0 to bits - 1."""
    digests = [hashlib.blake2b(f"{i} {gram}".encode(), digest_size=8).digest() for i in range(hashes)]
    return [int.from_bytes(digest, "little") % bits for digest in digests]


# %% tags=["solution"]
def filter_size(expected: int, rate: float) -> tuple[int, int]:
    """How many different 8-grams are expected, the false-positive rate -> (bits, hashes)."""
    ### BEGIN SOLUTION
    hashes = math.ceil(math.log2(1 / rate))
    return math.ceil(-hashes * expected / math.log(1 - rate ** (1 / hashes))), hashes
    ### END SOLUTION


def make_filter(texts: list[str], bits: int, hashes: int) -> list[bool]:
    """The filter, `bits` booleans, after all 8-grams of the texts were added."""
    ### BEGIN SOLUTION
    lamps = [False] * bits
    for gram in eight_grams(texts):
        for place in positions(gram, bits, hashes):
            lamps[place] = True
    return lamps


def eight_grams(texts):
    """All 8-grams of all texts, repeats included."""
    found = []
    for text in texts:
        words = re.findall("[a-z0-9]+", text.lower())
        found += [" ".join(words[i:i + 8]) for i in range(len(words) - 7)]
    return found
    ### END SOLUTION


def overlap(lamps: list[bool], hashes: int, texts: list[str]) -> float:
    """A filter, its number of hashes, other texts -> per cent of their 8-grams that the filter holds."""
    ### BEGIN SOLUTION
    grams = eight_grams(texts)
    if not grams:
        raise ValueError("no text has as many as eight words")
    known = [all(lamps[place] for place in positions(gram, len(lamps), hashes)) for gram in grams]
    return 100 * sum(known) / len(known)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_6_6(size, make, share):
    got = size(1000, 0.01)
    if got is None:
        return "not attempted yet"
    known = [((7, 9593), "filter_size: first the bits, then the hashes"),
             ((9586, 7), "filter_size: 9586 bits would do for 6.64 hashes; with 7, which are not quite the best, it takes 7 more"),
             ((9592, 7), "filter_size: 9592 bits are one too few: round up"),
             *[((bits, 7), "filter_size: k / ln 2 bits an 8-gram, or 1.44 k, are for a filter that is half full; solve the formula "
                "above for m") for bits in (10098, 10099, 10080)]]
    if not isinstance(got, tuple | list) or [type(number) for number in got] != [int, int]:
        return f"filter_size: return two whole numbers, (bits, hashes), not {got!r}"
    for value, says in known:
        if tuple(got) == value:
            return says
    bits, hashes = got
    if hashes in (5, 4):
        return f"filter_size: the number of hashes is a logarithm with base 2, 6.64 and rounded up, not {hashes}: yours has base e"
    if hashes == 6:
        return "filter_size: log2(1 / 0.01) is 6.64, rounded up 7 hashes, not 6"
    if (bits, hashes) != (9593, 7):
        return f"filter_size: for 1000 8-grams and a rate of 0.01 it is (9593, 7), not {got!r}"

    got = size(1000, 0.05)
    if str(got) not in ("(6275, 5)", "[6275, 5]"):
        return f"filter_size: for a rate of 0.05 log2(1 / rate) is 4.32, rounded up 5 hashes, and it takes 6275 bits; not {got!r}"

    def lit(*grams, bits=997):
        return {place for gram in grams for place in positions(gram, bits, 3)}

    text, other = "The tall, tired 'baker' of Oakham sold 7 loaves!", "Nobody in Westport has ever heard of this"
    right = ["the tall tired baker of oakham sold 7", "tall tired baker of oakham sold 7 loaves"]
    got = make([text], 997, 3)
    if got is None:
        return "make_filter: not attempted yet"
    if not isinstance(got, list) or len(got) != 997 or not all(isinstance(bit, bool) for bit in got):
        return "make_filter: return a list of booleans, one for each bit"
    found = {place for place, bit in enumerate(got) if bit}
    cased = ["The tall tired baker of Oakham sold 7", "tall tired baker of Oakham sold 7 loaves"]
    raw = text.lower().split()
    letters = "the tall tired baker of oakham sold loaves"
    known = [(set(), "no bit is set"), (lit(right[0]), "the last 8-gram is missing: nine words hold two of them"),
             (lit(*cased), "the words are compared in lower case"),
             (lit(" ".join(raw[:8]), " ".join(raw[1:])), "punctuation still hangs on the words: only letters and digits count"),
             (lit(letters), "digits are part of words, and the 7 got lost"),
             (lit(f"{right[0]} loaves"), "these are nine words in a row, not eight"),
             (lit(*[w.replace(" ", "") for w in right]), "there is a single space between the words of an 8-gram"),
             (set(range(997)) - lit(*right), "the bits are turned round: True where a bit is set")]
    for value, says in known:
        if found == value:
            return f"make_filter: {says}"
    if found != lit(*right):
        return f"make_filter: the 8-grams of {text!r} are {right}; they set {sorted(lit(*right))}, you set {sorted(found)}"

    def ask(texts):
        """The bits that are set."""
        got = make(texts, 997, 3)
        return {place for place, bit in enumerate(got) if bit is True} if isinstance(got, list) else set()

    found = ask([text, other])
    if found > lit(*right, other.lower()):
        return "make_filter: an 8-gram reaches from the end of one text into the next"
    if found != lit(*right, other.lower()):
        return "make_filter: with a second text not all of its 8-grams are in the filter, or those of the first got lost"
    if ask(["Nobody's well-known;\nit rained: all day"]) != lit("nobody s well known it rained all day"):
        return "make_filter: what is no letter or digit is a gap inside a word too: \"Nobody's well-known\" is four words"
    if ask([text, text]) != ask([text]):
        return "make_filter: a text that is added twice leaves the same bits set: a bit that is set stays set"
    lamps = [place in lit(*right, bits=499) for place in range(499)]  # another size: the filter's own is len(lamps)
    try:
        got = share(list(lamps), 3, [text, other])
    except IndexError:
        return "overlap: yours raised IndexError: the number of bits is that of the filter it is given, len(lamps)"
    if got is None:
        return "overlap: not attempted yet"
    if not isinstance(got, float):
        return f"overlap: return a number of per cent, a float, not {got!r}"
    known = [(2 / 3, "this is a share: in per cent it is 100 times as much"),
             (50.0, "this is the mean of two texts' percentages (100 and 0): the 8-grams of all texts count alike"),
             (100 / 3, "these are the 8-grams that the filter does not hold"), (2.0, "this is how many it holds; divide by all"),
             (20.0, "an 8-gram reaches from the end of one text into the next"),
             *[(round(200 / 3, digits), "do not round") for digits in range(4)]]
    for value, says in known:
        if math.isclose(got, value, rel_tol=1e-6):
            return f"overlap: {says}"
    if not math.isclose(got, 200 / 3, rel_tol=1e-6):
        return f"overlap: two of three 8-grams are known, 66.67 %, not {got!r}"
    one = [place == positions(right[0], 499, 3)[0] for place in range(499)]
    got = share(one, 3, [text])
    if not isinstance(got, float) or got != 0:
        return "overlap: one bit that is set does not make an 8-gram known: all of its bits must be"
    for what, texts, known, n in (("the same text twice, and another, hold", [text, text, other], 4, 5),
                                  ("one text that says the same twice holds", [f"{text} {text}"], 4, 11)):
        got = share(list(lamps), 3, texts)
        if not isinstance(got, float) or not math.isclose(got, 100 * known / n, rel_tol=1e-5):
            return f"overlap: {what} {known} known 8-grams of {n}, {100 * known / n:.2f} %; you say {got!r}: repeats count"
    try:
        got = share(list(lamps), 3, ["Too short for that", ""])
    except ValueError:
        return "correct"
    except Exception as error:
        return f"overlap: without a single 8-gram raise ValueError; yours raised {type(error).__name__}"
    return f"overlap: without a single 8-gram there is nothing to divide by: raise ValueError, do not return {got!r}"


print("Problem 6.6:", diagnose_6_6(filter_size, make_filter, overlap))
# %% tags=["hidden"]
def plain(rng, n):
    return " ".join("".join(rng.choices("abcdefgh37", k=rng.randint(1, 4))) for _ in range(n))


def sentence(rng, n):
    """n words with what may stand between words: spaces, line ends, quotes, a stop, an apostrophe, a hyphen."""
    words = plain(rng, n).split()
    words[0], words[n // 2] = words[0].capitalize(), f"“{words[n // 2]}{rng.choice('AB')},”"
    gaps = ["'", *[rng.choice((" ", "  ", "\n"))] * (n - 3), "-", rng.choice(".!?")]
    return "".join(word + gap for word, gap in zip(words, gaps, strict=True))


def cases_6_6(rng):
    sizes = [("filter_size", rng.randint(500, 90_000), rate) for rate in (0.03, 0.003, 0.0009, 1e-6)]
    fills, shares, nothing = [], [], []
    for hashes in (2, 3, 5):
        texts = [sentence(rng, rng.randint(9, 14)) for _ in range(3)]
        fills.append(("make_filter", [*texts, sentence(rng, 8), sentence(rng, 5), texts[0]], rng.randint(700, 900), hashes))
        read_before = [plain(rng, rng.randint(9, 14)) for _ in range(3)]  # what a word is, only make_filter is asked
        lamps = make_filter(read_before, rng.randint(700, 900), hashes)
        again = f"{read_before[0]} {read_before[0]}"  # its middle is new, and its 8-grams occur twice
        shares.append(("overlap", lamps, hashes, [read_before[1], again, plain(rng, 30), plain(rng, 4)]))
        tiny = make_filter(read_before, 60, hashes)
        shares.append(("overlap", tiny, hashes, [plain(rng, 40), read_before[2], plain(rng, 25)]))
        nothing.append(("overlap", lamps, hashes, [plain(rng, 7), ""]))
    return [("filter_size", 5, sizes), ("make_filter", 7, fills), ("overlap", 6, shares),
            ("overlap: nothing to compare", 2, nothing)]
# %% [markdown]
# ## Your measurement
#
# The next cell uses all that you have written on the shipped model: a cloze test in LAMBADA's manner, made of stories that
# the model has not read, pronouns in the manner of Winograd's schemas, the perplexity of long texts, and the overlap of the
# test with 400 of the stories that the model was trained on. It runs once all six checks say "correct", takes about ten
# seconds, and is not marked. Each accuracy comes with its 95 % interval, since a share of so many items is only known so well.
# %% tags=["finale"]
def say_what_is_missing():
    """The problems whose check does not say "correct" yet."""
    if "diagnose_6_6" not in globals():
        return ["6.1 to 6.6: run the checks"]
    checks = {"6.1": (diagnose_6_1, token_log_probs), "6.2": (diagnose_6_2, choose), "6.3": (diagnose_6_3, windows),
              "6.4": (diagnose_6_4, last_word), "6.5": (diagnose_6_5, read, write, word_perplexity),
              "6.6": (diagnose_6_6, filter_size, make_filter, overlap)}
    missing = []
    for number, (check, *functions) in checks.items():
        try:
            said = check(*functions)
        except Exception as error:
            said = type(error).__name__
        missing += [number] if said != "correct" else []
    return missing


def cloze_passage(story, bpe, stop_words):
    """The story up to the second word of a sentence: what LAMBADA asks for, in our world."""
    ends = [m.end(1) for m in re.finditer(r"[.!?] [A-Z][a-z]+ ([a-z]{3,})\b", story) if m[1] not in stop_words and m.start() > 120]
    fits = [end for end in ends if len(bpe.encode(story[:end])) < 120]
    return story[:fits[-1]] if fits else None


def measure():
    """Measure the shipped model with the functions above, print it and draw it."""
    import matplotlib.pyplot as plt
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    from minigpt import BPE, GPT, text_scores, viz, world

    gpt, bpe = GPT.from_pretrained("world"), BPE.load("world")

    @torch.inference_mode()
    def logits(ids):
        return gpt(torch.tensor([ids]))[0]

    stories = [world.story(i, "test") for i in range(300)]
    passages = [text for text in (cloze_passage(story, bpe, ENGLISH_STOP_WORDS) for story in stories) if text]
    stops = [bpe.encode(f" {word}") for word in sorted(ENGLISH_STOP_WORDS)]
    stops = [ids[0] for ids in stops if len(ids) == 1]
    counts, nats = {}, []
    for text in passages:
        context, word = text.rsplit(" ", 1)
        ids, n = [bpe.eos_id, *bpe.encode(context)], len(bpe.encode(f" {word}"))
        ids += bpe.encode(f" {word}")
        out, ids = logits(ids), torch.tensor(ids)
        for target, size in (("word", n), ("token", 1)):
            for name, banned in (("no filter", []), ("filter", stops)):
                right, log_p = last_word(out, ids, len(ids) - size, banned)
                counts.setdefault(f"cloze: last {target}, {name}", []).append(right)
        nats.append(float(token_log_probs(out, ids, len(ids) - n).sum()))
    for row in world.task("pronoun", "test", n=150):
        before, after = re.split(r"(?<=, and )it (?=was)", row["text"])
        scores = {"partial": [], "full": []}
        for noun in row["answers"]:
            ids = [bpe.eos_id, *bpe.encode(f"{before}the {noun}")]
            whole = torch.tensor(ids + bpe.encode(f" {after}"))
            all_log_p = token_log_probs(logits(whole.tolist()), whole, 1).tolist()
            scores["full"].append(all_log_p)
            scores["partial"].append(all_log_p[len(ids) - 1:])
        for name, log_p in scores.items():
            chosen = choose(log_p, row["answers"], "sum")
            counts.setdefault(f"pronouns: {name} scoring", []).append(chosen == row["label"])
    intervals = {}
    for name, right in counts.items():
        low, high = intervals[name] = text_scores.wilson(sum(right), len(right))
        print(f"{name:32} {100 * sum(right) / len(right):5.1f} %   [{low:.0f}, {high:.0f}]   of {len(right)}")
    print(f"cloze: perplexity of the last word {math.exp(-sum(nats) / len(nats)):.1f}")

    for context, stride in ((128, 32), (128, 128), (16, 16)):
        documents = []
        for story in stories[:12]:
            pairs = windows(bpe.encode(story), context, stride, bpe.eos_id)
            log_p = []
            for seen, new in pairs:
                out = logits(seen)
                out = torch.cat([out, out[-1:]])  # the last target is not read; its own logits would predict what follows it
                log_p += token_log_probs(out, torch.tensor([*seen, new[-1]]), len(seen) + 1 - len(new)).tolist()
            documents.append((story.split(), log_p))
        print(f"stories, context {context:3}, stride {stride:3}: perplexity {word_perplexity(documents):.2f} per word")
    cut = read(stories[0].replace("\n", " "))
    print(f"a story cut into {len(cut)} words and written again is the same: {write(cut) == stories[0].replace(chr(10), ' ')}")

    bits, hashes = filter_size(70_000, 1e-4)
    lamps = make_filter(world.stories(400), bits, hashes)
    print(f"{overlap(lamps, hashes, passages):.2f} % of the 8-grams of the cloze test stand in 400 of the training stories")

    viz.style()
    _, axes = plt.subplots(figsize=(7.2, 2.6))
    for y, (name, right) in enumerate(counts.items()):
        axes.plot(intervals[name], [y, y], color=viz.COLORS["blue"], lw=3, alpha=0.5)
        axes.plot(100 * sum(right) / len(right), y, "o", color=viz.COLORS["blue"])
    axes.set_yticks(range(len(counts)), list(counts))
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="right, %, with 95 % intervals", title="The world model, measured by your functions")
    plt.show()


missing = say_what_is_missing()
if missing:
    print("The measurement waits for: problem", ", ".join(missing))
else:
    measure()
# %% [markdown]
# ## In words
#
# The next cell prints the two LAMBADA results for the smallest GPT-2 that question 6.7 is about.
# %% tags=["finale"]
def print_lambada():
    """The paper's LAMBADA results beside those of lm-evaluation-harness, the same weights."""
    from minigpt import paper

    table, harness = paper.get("gpt2-table3"), paper.fact("replicated-lambada-harness")
    printed = [table.value("117M", f"LAMBADA ({score})") for score in ("ppl", "acc")]
    print(f"GPT-2's smallest model on the {paper.fact('lambada-passages'):,} passages of LAMBADA:")
    print(f"the paper, Table 3:    perplexity {printed[0]}, {printed[1]} % right")
    print(f"lm-evaluation-harness: perplexity {harness[1]}, {harness[0]} % right")


print_lambada()
# %% [markdown] question="6.7" title="Two perplexities" points=5 minutes=10
# The cell above shows two perplexities and two accuracies of the same weights on the same passages. In at most 120
# words: how can both perplexities be "the" LAMBADA perplexity of GPT-2? Name two choices that can move a perplexity of this
# kind, and say why the stop-word filter, the likeliest reason for the difference in accuracy, does not explain this one.
# %% [markdown] tags=["rubric"]
# 1 point: a perplexity belongs to a protocol, and the paper's is not published in full, so neither number is wrong. 2 points,
# one for each choice: where the target begins (word or token, space or line end), what the text looks like (quotes, line
# breaks, lower case), what stands before the passage, per word or per token. 2 points: the filter changes which token is
# chosen, while a perplexity is made of the probability of the right word, which nobody chooses; only if the filter were applied to
# the probabilities themselves (and these made to sum to 1 again) would the perplexity move.
# %% [markdown] question="6.8" title="Three per cent" points=5 minutes=15
# Of the 1,000 questions of a test, 3 % stand in the training text together with their answers. The model has 61 % right in
# all. In at most 150 words: between which values can its accuracy on the other 970 questions lie, and how wide is this beside
# the 95 % interval of an accuracy of 61 % on 1,000 questions? And why does "3 % of the 8-grams of the test occur in the
# training text" say something else than "3 % of the questions do"?
# %% [markdown] tags=["rubric"]
# 2 points: 610 are right; if all 30 known ones are among them, 580 of 970, 59.8 %; if none is, 610 of 970, 62.9 %; so the
# overlap can have helped by about 1.2 points at most. 1 point: the 95 % interval of 610 of 1,000 is about 3 points to either
# side, so this is less than chance does. 2 points: common phrases make 8-grams match without any question being known, they
# may be spread thinly over many items or be the whole of a few, and the answer need not stand with them; the other way round, a
# paraphrase or a translation of a question shares no 8-gram.
