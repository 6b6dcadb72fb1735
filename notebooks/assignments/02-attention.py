# %% [markdown] closed=["minigpt.model", "transformers"] functions=["scaled_dot_product_attention", "layer_norm"]
# # Assignment 2 · Masked self-attention and the block
#
# You build one Transformer block from tensors alone, first the parts and then the whole, in GPT-1's order and in GPT-2's.
# Chapters 3 and 4 of the book explain all of it. The parameters come in a dictionary with the names and shapes of the
# published checkpoints, so at the end your function could run the weights of GPT-2.
#
# **How it works.** Each problem has a cell with a stub, where `...` stands for your work, and a check below it. Run the stub
# as it is and the check says that the problem was not attempted yet. (It says the same when your function returns nothing:
# look for a forgotten `return`.) Write your code, run both cells again, and the check tells you what is wrong and why. You may
# add cells and functions of your own; the names, the arguments and the results of the stubs have to stay, and a function
# leaves the arguments that it was given unchanged. The grader runs your notebook from top to bottom in a fresh process without
# network, and then calls your functions with inputs that you have not seen. Each later problem is marked as if the earlier
# ones were right, so an early mistake costs its points once. The checks in this notebook use your own earlier functions: get
# those right first.
#
# **What you may use.** Python and PyTorch's tensors, with `softmax` and `torch.nn.functional.gelu`. PyTorch's own attention
# and layer norm are closed while grading, and so are the book's model and transformers. With a person or an assistant you may
# discuss ideas, but not code; the file with the rules for AI assistants lies beside this one.
# %%
import math

import torch
from torch import Tensor


# %% [markdown] problem="2.1" title="Who may look where" points=10 difficulty=1 minutes=15
# A batch holds texts of different lengths, filled up at the end with padding. Write `attention_mask`. Position t of a text
# may look at position s if s does not come after t and is not padding. The positions of the padding itself look at the whole
# text before them, so that no row is empty. The tensor is `time` wide, even if no text of the batch is as long.
# %% tags=["solution"]
def attention_mask(lengths: list[int], time: int) -> Tensor:
    """lengths of the texts, each 1..time -> booleans (batch, time, time): [b, t, s] is True where t may look at s."""
    ### BEGIN SOLUTION
    places = torch.arange(time)
    past = places[None, :] <= places[:, None]
    real = places[None, :] < torch.tensor(lengths)[:, None]
    return past[None] & real[:, None, :]
    ### END SOLUTION
# %% tags=["check"]
def diagnose_2_1(answer):
    got = answer([4, 2], 4)
    if got is None:
        return "not attempted yet"
    if not isinstance(got, torch.Tensor) or got.shape != (2, 4, 4):
        return f"two texts of four positions need a tensor of shape (2, 4, 4), not {tuple(getattr(got, 'shape', ()))}"
    if got.dtype != torch.bool:
        return f"the mask must hold booleans, not {got.dtype}"
    full, short = got.tolist()
    if full[3] == [False, False, False, True] and full[0] == [True] * 4:
        return "upside down: position 0 sees all and the last position only itself; [b, t, s] belongs to t looking at s"
    for t in range(4):
        for s in range(t + 1, 4):
            if full[t][s]:
                return f"your mask lets position {t} see position {s}: it looks into the future"
    if not full[0][0]:
        return "position 0 may not even see itself: s = t is allowed"
    if full[3] == [True, True, False, False]:
        return "the text of length 4 hides positions 2 and 3, as the text of length 2 does: each needs a mask of its own"
    if not all(full[t][s] for t in range(4) for s in range(t + 1)):
        return "in a text without padding every position sees itself and everything before it; some of yours do not"
    if short[2][:2] == [False, False]:
        return "the positions of the padding see nothing at all, and softmax divides 0 by 0; padding is not looked at, but it looks"
    if short[3][2] and short[3][3]:
        return "the padding is visible: in a text of length 2 nobody looks at positions 2 and 3"
    if short[3][2]:
        return "one position of the padding is visible: a text of length 2 has the positions 0 and 1, so position 2 is padding"
    if short[3] != [True, True, False, False]:
        return f"position 3 of a text of length 2 is padding and looks at positions 0 and 1, and at no other; not {short[3]}"
    if short[0] != [True, False, False, False] or short[1] != [True, True, False, False]:
        return f"a text of length 2 hides its future too: its first two rows are {short[:2]}"
    got = answer([2, 3], 4)
    if got.shape != (2, 4, 4):
        return f"two texts shorter than time = 4 need (2, 4, 4) too, not {tuple(got.shape)}: the width is time"
    if not got[1, 3, 2]:
        return "after a text of length 2, a text of length 3 hides its position 2: begin every text with a fresh mask"
    return "correct"


print("Problem 2.1:", diagnose_2_1(attention_mask))
# %% tags=["hidden"]
def cases_2_1(rng):
    times = [rng.randint(3, 12) for _ in range(4)]
    return [("texts without padding", 5, [("attention_mask", [time] * rng.randint(1, 3), time) for time in times]),
            ("texts with padding", 5, [("attention_mask", [rng.randint(1, time - 1) for _ in range(3)], time) for time in times])]
# %% [markdown] problem="2.2" title="Attention" points=20 difficulty=2 minutes=25
# Write `attention`, $\mathrm{softmax}(QK^\top/\sqrt{d})\,V$ with d the size of one head, where positions that the mask
# forbids get no weight at all. `mask` may be any shape that broadcasts to (batch, n_head, time, time).
# %% tags=["solution"]
def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q, k, v (batch, n_head, time, size), mask boolean, True where a query may look -> (batch, n_head, time, size)."""
    ### BEGIN SOLUTION
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return scores.masked_fill(~mask, -math.inf).softmax(dim=-1) @ v
    ### END SOLUTION
# %% tags=["check"]
def diagnose_2_2(answer):
    shape, everything, past = (1, 2, 3, 4), torch.ones(3, 3, dtype=torch.bool), torch.ones(3, 3, dtype=torch.bool).tril()
    q, k, v = torch.zeros(shape), torch.zeros(shape), torch.ones(shape)
    got = answer(q, k, v, everything)
    if got is None:
        return "not attempted yet"
    if not isinstance(got, torch.Tensor) or got.shape != shape:
        return f"the result should have the shape of v, {shape}, not {tuple(getattr(got, 'shape', ()))}"
    if got.isnan().any():
        return "the result is not a number, so some query may look nowhere: True in the mask means that it may look"
    v = torch.zeros(shape)
    v[..., 2, :] = 1.0
    if answer(q, k, v, everything)[0, 0, 0, 0] < 1e-6:
        return "position 0 does not see position 2, although this mask allows it: use the mask that is given, do not make your own"
    v = torch.ones(shape)
    q[..., 0, 0], k[..., 0, 0] = 1.0, 1.0  # the first query scores 1 against key 0; all other scores are 0
    got = answer(q, k, v, everything)
    if q[0, 0, 0, 0] != 1 or k[0, 0, 0, 0] != 1:
        return "your function changes the queries or keys that it was given (/= works in place): compute new ones"
    if not torch.allclose(got, torch.ones(shape), atol=1e-4):
        return "the weights of a query do not sum to 1: the softmax runs over the keys, the last dimension"
    v = torch.zeros(shape)
    v[..., 0, :] = 1.0
    weight = answer(q, k, v, everything)[0, 0, 0, 0].item()
    scale = math.log(max(2 * weight / max(1 - weight, 1e-9), 1e-9))
    known = [(1.0, "the scores are not divided by the square root of the head size"),
             (1 / 4, "the scores are divided by the head size itself, not by its square root"),
             (1 / math.sqrt(8), "the scale uses n_embd, not the head size: heads are 4 wide here, and 8 together"),
             (1 / math.sqrt(3), "the scale uses the number of positions; it belongs to the head size, the last dimension")]
    for value, says in known:
        if abs(scale - value) < 1e-3:
            return says
    if abs(scale - 1 / 2) > 1e-3:
        return f"with heads of size 4 a score of 1 should count as 1/2; in your softmax it counts as {scale:.3f}"
    got = answer(q, k, torch.ones(shape), past)
    if not torch.allclose(got, torch.ones(shape), atol=1e-4):
        return "the mask comes after the softmax: the weights that are left no longer sum to 1"
    q, k, v = torch.full(shape, -5.0), torch.full(shape, 5.0), torch.zeros(shape)  # all scores equal, and far below 0
    v[..., 1:, :] = 1.0
    seen = answer(q, k, v, past)[0, 0, 0, 0].item()
    if abs(seen - 1) < 1e-3:
        return "scores that the mask forbids are set to 0, which here is far better than all others; minus infinity is no weight"
    if seen > 1e-3:
        return "the mask has no effect: position 0 sees position 1 although it may not"
    q, k = torch.zeros(shape), torch.zeros(shape)
    q[..., 0, 1], k[..., 2, 1] = 40.0, 40.0
    if answer(q, k, v, everything)[0, 0, 0, 0] < 0.9 or answer(q, k, v, everything)[0, 0, 2, 0] > 0.9:
        return "query 0 asks for what key 2 offers and does not find it: row t, column s of the scores is query t times key s"
    q, k, v = torch.zeros(1, 1, 2, 9), torch.zeros(1, 1, 2, 9), torch.zeros(1, 1, 2, 9)
    q[..., 0, 0], k[..., 0, 0], v[..., 0, :] = 1.0, 1.0, 1.0
    weight = answer(q, k, v, torch.ones(2, 2, dtype=torch.bool))[0, 0, 0, 0].item()
    if abs(weight - 1 / (1 + math.exp(-1 / 3))) > 1e-3:
        return "right for heads of size 4, but not for heads of size 9, where a score of 1 counts as 1/3: the size is q.shape[-1]"
    q, v = torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 3, 4)
    v[..., 2, :] = 1.0
    try:
        got = answer(q, q, v, torch.stack([past, everything])[:, None])
    except (RuntimeError, IndexError) as error:
        return f"a mask of shape (2, 1, 3, 3), one for each text, raised an error; it broadcasts as it is: {error}"
    if got.shape != v.shape:
        return f"with a mask of shape (2, 1, 3, 3) the result is {tuple(got.shape)}, not {tuple(v.shape)}; it broadcasts as it is"
    if got[0, 0, 0, 0] > 1e-3 or got[1, 0, 0, 0] < 0.3:
        return "each text may have a mask and numbers of its own: in a batch of two, the second was treated like the first"
    return "correct"


print("Problem 2.2:", diagnose_2_2(attention))
# %% tags=["hidden"]
def normal(rng, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.getrandbits(31)))


def causal(time):
    return torch.ones(time, time, dtype=torch.bool).tril()


def cases_2_2(rng):
    scale, mask, both = [], [], []
    for _ in range(4):
        shape = (2, rng.randint(2, 3), rng.randint(5, 8), rng.choice([3, 10]))
        q, k, v = (normal(rng, *shape) * 2 for _ in range(3))
        scale.append(("attention", q, k, v, torch.ones(shape[2], shape[2], dtype=torch.bool)))
        low = torch.full(shape, -3.0)
        mask.append(("attention", low, -low, v, causal(shape[2])))
        every = torch.ones(shape[2], shape[2], dtype=torch.bool)
        both.append(("attention", q, k, v, torch.stack([causal(shape[2]), every])[:, None]))
    return [("the scale, without a mask", 6, scale), ("the mask, with equal scores", 8, mask), ("both together", 6, both)]
# %% [markdown] problem="2.3" title="Heads" points=15 difficulty=2 minutes=20
# Head h reads the features h · size up to (h + 1) · size of every position. Write `split_heads`, which gives every head its
# own features, and `merge_heads`, which puts them side by side again. Neither needs a loop.
# %% tags=["solution"]
def split_heads(x: Tensor, n_head: int) -> Tensor:
    """x (batch, time, n_embd) -> (batch, n_head, time, n_embd // n_head)."""
    ### BEGIN SOLUTION
    batch, time, width = x.shape
    return x.view(batch, time, n_head, width // n_head).transpose(1, 2)
    ### END SOLUTION


def merge_heads(x: Tensor) -> Tensor:
    """x (batch, n_head, time, size) -> (batch, time, n_head * size)."""
    ### BEGIN SOLUTION
    batch, n_head, time, size = x.shape
    return x.transpose(1, 2).reshape(batch, time, n_head * size)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_2_3(split, merge):
    x = 100.0 * torch.arange(3).view(1, 3, 1) + torch.arange(6.0)  # position 2 holds 200, 201, ... 205
    heads = x.new_tensor([[[0, 1, 2], [100, 101, 102], [200, 201, 202]], [[3, 4, 5], [103, 104, 105], [203, 204, 205]]])[None]
    got = split(x, 2)
    if got is None:
        return "not attempted yet"
    if got.shape != heads.shape:
        return f"split_heads: (1, 3, 6) with two heads becomes (1, 2, 3, 3), not {tuple(got.shape)}"
    if got[0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [100, 101, 102]]:
        return "split_heads mixes positions: the shape is right, but features 3, 4, 5 of position 0 became position 1 of head 0"
    if got[0, 0, 0].tolist() == [0, 2, 4]:
        return "split_heads deals the features out in turn: head 0 got 0, 2, 4 and should have 0, 1, 2, which lie side by side"
    if not torch.equal(got, heads):
        return f"split_heads: head 0 should hold {heads[0, 0].tolist()}, yours holds {got[0, 0].tolist()}"
    y = torch.arange(48.0).view(2, 4, 6)  # two texts, and three heads of two features each
    parts = [y[:, :, first:first + 2] for first in (0, 2, 4)]
    try:
        got = split(y, 3)
    except RuntimeError as error:
        return f"split_heads: right for (1, 3, 6) and two heads, but (2, 4, 6) and three heads raised an error: {error}"
    if got.shape != (2, 3, 4, 2):
        return f"split_heads: (2, 4, 6) with three heads becomes (2, 3, 4, 2), not {tuple(got.shape)}: use x's sizes and n_head"
    if not all(torch.equal(got[:, head], part) for head, part in enumerate(parts)):
        return "split_heads: right for one text, but in a batch of two the texts get mixed: the batch stays the first dimension"
    try:
        got = merge(heads)
    except RuntimeError as error:
        return f"merge_heads: raised an error (after a transpose view cannot join dimensions, reshape can): {error}"
    if got is None:
        return "merge_heads: not attempted yet"
    if got.shape != x.shape:
        return f"merge_heads: (1, 2, 3, 3) becomes (1, 3, 6), not {tuple(got.shape)}"
    if got[0, 0].tolist() == [0, 1, 2, 100, 101, 102]:
        return "merge_heads mixes positions: position 0 got features of position 1; time has to come before the heads first"
    if got[0, 0].tolist() == [0, 3, 1, 4, 2, 5]:
        return "merge_heads deals the features out in turn: head 0's 0, 1, 2 should lie side by side"
    if torch.equal(got, x):
        try:
            got = merge(torch.stack(parts, 1))
        except RuntimeError as error:
            return f"merge_heads: right for (1, 2, 3, 3), but (2, 3, 4, 2) raised an error: {error}"
        if got.shape != y.shape:
            return f"merge_heads: (2, 3, 4, 2) becomes (2, 4, 6), not {tuple(got.shape)}: take all sizes from x"
        return "correct" if torch.equal(got, y) else "merge_heads: right for one text, but in a batch of two the texts get mixed"
    return f"merge_heads: position 0 should hold 0 to 5, yours holds {got[0, 0].tolist()}"


print("Problem 2.3:", diagnose_2_3(split_heads, merge_heads))
# %% tags=["hidden"]
def cases_2_3(rng):
    sizes = [(rng.randint(1, 3), rng.randint(2, 5), rng.randint(4, 6), rng.randint(2, 3)) for _ in range(4)]
    return [("split", 8, [("split_heads", normal(rng, b, t, h * s), h) for b, h, t, s in sizes]),
            ("merge", 7, [("merge_heads", normal(rng, b, h, t, s)) for b, h, t, s in sizes])]
# %% [markdown] problem="2.4" title="Multi-head" points=15 difficulty=2 minutes=25 uses=["attention","split_heads","merge_heads"]
# Put the parts together in `self_attention`. One product makes queries, keys and values, in this order, and only then each of
# them is split into heads. The matrices are stored as (in, out), so that `x @ w + b` applies them.
# %% tags=["solution"]
def self_attention(x: Tensor, p: dict[str, Tensor], n_head: int, mask: Tensor) -> Tensor:
    """x (batch, time, n_embd), mask (time, time) booleans -> (batch, time, n_embd).

    p: "c_attn.weight" (n_embd, 3 * n_embd), "c_attn.bias" (3 * n_embd,), "c_proj.weight" (n_embd, n_embd), "c_proj.bias" (n_embd,)
    """
    ### BEGIN SOLUTION
    qkv = x @ p["c_attn.weight"] + p["c_attn.bias"]
    q, k, v = (split_heads(part, n_head) for part in qkv.chunk(3, dim=-1))
    return merge_heads(attention(q, k, v, mask)) @ p["c_proj.weight"] + p["c_proj.bias"]
    ### END SOLUTION
# %% tags=["check"]
def diagnose_2_4(answer):
    mask, x = torch.ones(2, 2, dtype=torch.bool), torch.eye(2)[None]  # position 0 is (1, 0), position 1 is (0, 1)

    def parameters():
        p = {"c_attn.weight": torch.zeros(2, 6), "c_attn.bias": torch.zeros(6),
             "c_proj.weight": torch.eye(2), "c_proj.bias": torch.zeros(2)}
        p["c_attn.weight"][:, 4:] = torch.eye(2)  # values: the input
        return p

    p = parameters()
    got = answer(x, p, 1, mask)
    if got is None:
        return "not attempted yet"
    if got.shape != (1, 2, 2):
        return f"an input of shape (1, 2, 2) should come out with its shape, not {tuple(got.shape)}"
    if got.abs().max() < 1e-6:
        return "the values are the third block of c_attn, after queries and keys; you take them from another"
    if torch.allclose(got[0, 0], torch.tensor([1.0, 0.0]), atol=1e-4):
        return "position 0 does not see position 1, although this mask allows it: use the mask that is given, do not make your own"
    if torch.allclose(got[0, 0], torch.tensor([1.5, 0.5]), atol=1e-4):
        return "x itself is added: that is the block's business; return only what attention has found"
    if torch.allclose(answer(x, p, 1, torch.eye(2, dtype=torch.bool)), got, atol=1e-4):
        return "the mask has no effect: a mask that lets each position see only itself changes nothing in your result"
    p["c_attn.weight"][1, 0], p["c_attn.weight"][0, 2] = 20.0, 20.0  # position 1 asks for what position 0 offers
    got = answer(x, p, 1, mask)[0]
    if got[0, 1] > 0.9 or got[1, 0] < 0.9:
        return "queries and keys are swapped: the first block of c_attn makes the queries, the second the keys"
    p = parameters()
    p["c_proj.weight"] = torch.tensor([[0.0, 1.0], [0.0, 0.0]])  # (in, out): feature 0 goes to feature 1
    got = answer(x, p, 1, mask)[0, 0].tolist()
    if got == [0.5, 0.5]:
        return "c_proj is missing: what the heads have found goes through one more matrix"
    if got == [0.5, 0.0]:
        return "c_proj is applied transposed: it is stored as (in, out), so x @ w, which a square matrix does not tell you"
    p["c_proj.bias"] = torch.tensor([3.0, 0.0])
    p["c_attn.bias"] = torch.tensor([0.0, 0.0, 0.0, 0.0, 7.0, 0.0])
    got = answer(x, p, 1, mask)[0, 0].tolist()
    if got != [3.0, 7.5]:
        return f"the biases of c_attn and c_proj are not both added: expected [3.0, 7.5] where you have {got}"
    x = torch.arange(8.0).view(1, 2, 4)
    p = {"c_attn.weight": torch.cat([torch.zeros(4, 8), torch.eye(4)], 1), "c_attn.bias": torch.zeros(12),
         "c_proj.weight": torch.eye(4), "c_proj.bias": torch.zeros(4)}
    got = answer(x, p, 2, torch.eye(2, dtype=torch.bool))
    mixed = "with two heads the parts get mixed: cut into queries, keys and values first, then into heads"
    if not torch.equal(got, x):
        return mixed
    x = torch.tensor([[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]])
    p["c_attn.weight"] = torch.zeros(4, 12)
    p["c_attn.weight"][0, 0], p["c_attn.weight"][1, 4] = 20.0, 20.0  # in feature 0, position 0 asks for what position 1 offers
    p["c_attn.weight"][0, [8, 10]], p["c_attn.weight"][1, [9, 11]] = 1.0, 1.0  # values: features 0 and 1, twice
    got, one = (answer(x, p, n_head, mask)[0, 0] for n_head in (2, 1))
    if torch.allclose(got, torch.tensor([0.0, 1.0, 0.0, 1.0]), atol=1e-3):
        return "with two heads the second looks where the first looks: split into n_head heads, each with weights of its own"
    if torch.allclose(one, torch.tensor([0.0, 1.0, 0.5, 0.5]), atol=1e-3):
        return "with n_head = 1 there are still two heads: take the number from the argument"
    if not torch.allclose(got, torch.tensor([0.0, 1.0, 0.5, 0.5]), atol=1e-3):
        return mixed
    p["c_attn.weight"][0, 0], p["c_attn.weight"][1, 4] = 1.0, 1.0
    if abs(answer(x, p, 2, mask)[0, 0, 1].item() - 1 / (1 + math.exp(-1 / math.sqrt(2)))) > 1e-3:
        return "with heads of size 2 the scores are divided by the root of 2, once: attention does it already"
    got = answer(x, p, 2, mask)[0, 0]
    p["c_proj.bias"] = torch.ones(4)
    more = answer(x, p, 2, mask)[0, 0] - got
    return "correct" if torch.allclose(more, torch.ones(4)) else "c_proj's bias is added once, not once for each head"


print("Problem 2.4:", diagnose_2_4(self_attention))
# %% tags=["hidden"]
def attention_weights_of(rng, width, bias):
    return {"c_attn.weight": normal(rng, width, 3 * width), "c_attn.bias": bias * normal(rng, 3 * width),
            "c_proj.weight": normal(rng, width, width), "c_proj.bias": bias * normal(rng, width)}


def cases_2_4(rng):
    def calls(bias):
        sizes = [(heads, rng.randint(2, 4), rng.randint(4, 7)) for heads in (2, 3)]  # heads, size, time
        return [("self_attention", normal(rng, 2, t, h * s), attention_weights_of(rng, h * s, bias), h, mask)
                for h, s, t in sizes for mask in (causal(t), causal(t).T)]

    return [("weights without biases", 9, calls(0.0)), ("weights and biases", 6, calls(1.0))]
# %% [markdown] problem="2.5" title="Layer norm" points=10 difficulty=1 minutes=15
# Write `layer_norm`. It gives the features of every position mean 0 and variance 1 (the variance divides by n, not by n - 1;
# `eps` is added to the variance), and then multiplies by `weight` and adds `bias`.
# %% tags=["solution"]
def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """x (..., n_embd), weight and bias (n_embd,) -> the shape of x."""
    ### BEGIN SOLUTION
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(variance + eps) * weight + bias
    ### END SOLUTION
# %% tags=["check"]
def diagnose_2_5(answer):
    x, one, zero = torch.tensor([[[2.0, 6.0], [10.0, 30.0]]]), torch.ones(2), torch.zeros(2)
    got = answer(x, one, zero)
    if got is None:
        return "not attempted yet"
    if got.shape != x.shape:
        return f"the shape of x, {tuple(x.shape)}, has become {tuple(got.shape)}"
    if x[0, 0, 0] != 2:
        return "your function changes x (-= and /= work in place), and the stream with it: compute a new tensor"
    low, high = got[0, 0].tolist()
    if torch.allclose(got[0, 0], -got[0, 1], atol=1e-2):
        return "you normalise over the positions: each position has its own mean and variance, over its features"
    if abs(high - 2 ** -0.5) < 1e-2:
        return "the variance divides by n - 1 (PyTorch's default); a layer norm divides by n"
    if abs(low + high) > 1e-2:
        return f"the features (2, 6) should get the mean 0, but become ({low:.3f}, {high:.3f}): subtract their mean"
    if abs(high - 1) > 1e-2:
        return f"the features (2, 6) should become (-1, 1), but become ({low:.3f}, {high:.3f}): divide by the root of the variance"
    try:
        small = answer(torch.tensor([[-0.01, 0.01]]), one, zero)[0, 1].item()
    except IndexError as error:
        return f"x of shape (1, 2) raised an error; x may have any number of dimensions, and the features are the last one: {error}"
    if abs(small - 0.953) > 1e-3:
        return f"(-0.01, 0.01) should become (-0.953, 0.953), not {small:.3f}: eps is added to the variance, before the root"
    if abs(answer(x, one, zero, 12.0)[0, 0, 1].item() - 0.5) > 1e-2:
        return "with eps = 12 the features (2, 6) become (-0.5, 0.5): eps is an argument, use it"
    got = answer(x, torch.tensor([2.0, 3.0]), torch.tensor([5.0, 1.0]))[0, 0]
    right = torch.allclose(got, torch.tensor([3.0, 4.0]), atol=1e-2)
    return "correct" if right else "multiply by weight at the end, then add bias, each feature with its own"


print("Problem 2.5:", diagnose_2_5(layer_norm))
# %% tags=["hidden"]
def cases_2_5(rng):
    plain, affine, small = [], [], []
    for _ in range(3):
        width = rng.randint(4, 9)
        x, one, zero = normal(rng, 2, 3, width) * 3 + 1, torch.ones(width), torch.zeros(width)
        plain += [("layer_norm", x, one, zero), ("layer_norm", x[0], one, zero)]
        affine.append(("layer_norm", x, normal(rng, width), normal(rng, width)))
        small += [("layer_norm", x * 1e-3, one, zero), ("layer_norm", x, one, zero, 0.5)]
    return [("mean and variance", 5, plain), ("weight and bias", 2, affine), ("small numbers, where eps counts", 3, small)]
# %% [markdown] problem="2.6" title="The block, twice" points=20 difficulty=3 minutes=40 uses=["self_attention", "layer_norm"]
# Write `block`. A block has two sub-layers, attention and the MLP (widen, GELU in its tanh form, narrow), and each is added
# to the stream. With `pre_norm` (GPT-2) a sub-layer reads the normalised stream, and the stream itself is never normalised.
# Without (GPT-1) the sum is normalised after each addition. `ln_1` belongs to attention, `ln_2` to the MLP.
# %% tags=["solution"]
def block(x: Tensor, p: dict[str, Tensor], n_head: int, mask: Tensor, pre_norm: bool) -> Tensor:
    """x (batch, time, n_embd), mask (time, time) booleans -> (batch, time, n_embd).

    p: "attn." and the names of self_attention; "ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias" (n_embd,);
    "mlp.c_fc.weight" (n_embd, 4 * n_embd), "mlp.c_fc.bias", "mlp.c_proj.weight" (4 * n_embd, n_embd), "mlp.c_proj.bias"
    """
    ### BEGIN SOLUTION
    def attend(y):
        return self_attention(y, {name.removeprefix("attn."): w for name, w in p.items() if name.startswith("attn.")}, n_head, mask)

    def mlp(y):
        hidden = torch.nn.functional.gelu(y @ p["mlp.c_fc.weight"] + p["mlp.c_fc.bias"], approximate="tanh")
        return hidden @ p["mlp.c_proj.weight"] + p["mlp.c_proj.bias"]

    for name, sublayer in (("ln_1", attend), ("ln_2", mlp)):
        weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
        if pre_norm:
            x = x + sublayer(layer_norm(x, weight, bias))
        else:
            x = layer_norm(x + sublayer(x), weight, bias)
    return x
    ### END SOLUTION
# %% tags=["check"]
def diagnose_2_6(answer):
    mask, x = torch.ones(2, 2, dtype=torch.bool), torch.tensor([[[1.0, 5.0, 0.0, 2.0], [4.0, 0.0, 0.0, 0.0]]])

    def parameters(attn, fc, mlp):
        """A block whose attention adds `attn` everywhere; its MLP has the biases `fc` and `mlp` and no weights."""
        p = {"attn.c_attn.weight": torch.zeros(4, 12), "attn.c_attn.bias": torch.zeros(12), "attn.c_proj.weight": torch.zeros(4, 4),
             "attn.c_proj.bias": torch.tensor(attn), "mlp.c_fc.weight": torch.zeros(4, 16), "mlp.c_fc.bias": torch.full((16,), fc),
             "mlp.c_proj.weight": torch.zeros(16, 4), "mlp.c_proj.bias": torch.tensor(mlp)}
        return p | {f"ln_{i}.weight": torch.ones(4) for i in (1, 2)} | {f"ln_{i}.bias": torch.zeros(4) for i in (1, 2)}

    nothing = parameters([0.0] * 4, 0.0, [0.0] * 4)
    given, taken = x.clone(), dict(nothing)
    got, after = answer(given, taken, 2, mask, True), answer(x.clone(), dict(nothing), 2, mask, False)
    if got is None and after is None:
        return "not attempted yet"
    if got is None or after is None:
        return f"nothing is returned with pre_norm={got is not None}: a return stands inside one of the branches"
    if len(taken) < len(nothing):
        return "your function takes entries out of p: the next call needs them too"
    if got.shape != x.shape:
        return f"the shape of x, {tuple(x.shape)}, has become {tuple(got.shape)}"
    if got.abs().max() < 1e-6:
        return "the stream is lost: what a sub-layer computes is added to the stream, it does not take its place"
    if not torch.allclose(got, x, atol=1e-4):
        return "with pre_norm the stream itself is normalised; only what a sub-layer reads should be, what is added to should not"
    if torch.equal(after, got):
        return "without pre_norm the sum is normalised after each addition; where nothing is added, your stream stays as it was"
    if not torch.allclose(after.mean(-1), torch.zeros(1, 2), atol=1e-3):
        return "without pre_norm the result of a block has mean 0 at each position; yours has not"
    if after.abs().max() < 1e-6:
        return "without pre_norm the stream is lost: the sum of the stream and a sub-layer is normalised, not the sub-layer alone"
    adds = parameters([1.0, -1.0, 2.0, -2.0], 0.0, [0.0] * 4)
    adds["mlp.c_fc.weight"][0, 0], adds["mlp.c_proj.weight"][0, 0] = 10.0, 10.0
    got = answer(torch.zeros(1, 2, 4), adds, 2, mask, True)
    if torch.allclose(got[0, 0], torch.tensor([1.0, -1.0, 2.0, -2.0]), atol=1e-4):
        return "the MLP reads the stream as it was before attention: it should read what attention has added to"
    if got[0, 0, 1].abs() < 1e-4:
        return "what attention adds is lost when the MLP's part is added"
    bent = parameters([0.0] * 4, -1.0, [0.0] * 4)
    bent["mlp.c_proj.weight"][0, 0] = 1.0
    value = answer(torch.zeros(1, 2, 4), bent, 2, mask, True)[0, 0, 0].item()
    if abs(value) < 1e-6:
        return "this is ReLU: GELU is not zero at -1"
    if abs(value + 1) < 1e-4:
        return "the MLP has no GELU between its two matrices"
    if abs(value + 0.15866) < 3e-5:
        return "this is the exact GELU; OpenAI's code, and so this problem, uses the tanh form, which differs in the fourth decimal"
    if abs(value + 0.15881) > 3e-5:
        return f"GELU in its tanh form is -0.15881 at -1; the MLP gives {value:.5f}"

    def norms(ln_1, ln_2):
        """Norms that give these rows; attention adds what it reads, and the MLP adds feature 0 of what it reads to feature 1."""
        p = parameters([0.0] * 4, 0.0, [0.0, 0.0, 0.0, 7.0])
        for i, row in ((1, ln_1), (2, ln_2)):
            if row:
                p[f"ln_{i}.weight"], p[f"ln_{i}.bias"] = torch.zeros(4), torch.tensor(row)
        p["attn.c_attn.weight"][:, 8:], p["attn.c_proj.weight"] = torch.eye(4), torch.eye(4)
        p["mlp.c_fc.weight"][0, 0], p["mlp.c_proj.weight"][0, 1] = 1.0, 1.0
        return p

    def like(got, *row):
        return torch.allclose(got, torch.tensor(row), atol=2e-2)

    row = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(1, 2, 1)
    got = answer(row, norms([3.0, 0.0, 0.0, 0.0], [10.0, 0.0, 0.0, 0.0]), 2, mask, True)[0, 0]
    if like(got[3], 0.0):
        return "the bias of mlp.c_proj is not added"
    if like(got[:2], 11.0, 3.0):
        return "with pre_norm ln_1 and ln_2 are swapped: ln_1 belongs to attention, ln_2 to the MLP"
    if like(got[:2], 4.0, 3.0):
        return "with pre_norm the MLP reads through ln_1; it has a norm of its own, ln_2"
    if like(got[:2], 4.0, 4.0):
        return "with pre_norm the MLP reads the bare stream: it should read the stream through ln_2"
    if like(got[:1], 2.0):
        return "with pre_norm attention reads the bare stream: it should read the stream through ln_1"
    if not like(got, 4.0, 10.0, 0.0, 7.0):
        return "with pre_norm the weights and biases of ln_1 and ln_2 do not act where they should: on what each sub-layer reads"
    row = torch.tensor([0.0, 0.0, 9.0, 0.0]).repeat(1, 2, 1)
    p = norms([3.0, 0.0, 0.0, 0.0], None)
    p["mlp.c_proj.bias"] = torch.zeros(4)
    got = answer(row, p, 2, mask, False)[0, 0]
    if like(got, 3.0, 0.0, 0.0, 0.0):
        return "without pre_norm a block ends with ln_1: the sum after the MLP belongs to ln_2, the one after attention to ln_1"
    if like(got, 1.732, -0.577, -0.577, -0.577):
        return "without pre_norm the MLP reads the stream as it was before ln_1: it should read what ln_1 has made of the sum"
    if like(got, -0.577, -0.577, 1.732, -0.577):
        return "without pre_norm the sum after attention is not normalised: both sums are, this one by ln_1"
    if not like(got, 1.0, 1.0, -1.0, -1.0):
        return "without pre_norm each sum is normalised once, by its own norm, and the MLP reads what ln_1 has made: yours differs"
    p = norms(None, None)
    p["mlp.c_proj.weight"], p["mlp.c_proj.bias"] = torch.zeros(16, 4), torch.zeros(4)
    got = answer(given, p, 2, torch.eye(2, dtype=torch.bool), True)
    if not torch.equal(given, x):
        return "x itself was changed (+= and -= work in place, in layer_norm too): write x = x + ..."
    if not torch.allclose((got - x).pow(2).mean(-1), torch.ones(1, 2), atol=1e-2):
        return "the mask has no effect: where each position may see only itself, attention still adds something of others"
    row = torch.tensor([[[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]]])
    p["attn.c_attn.weight"][0, 0], p["attn.c_attn.weight"][0, 4] = 5.0, -5.0  # in feature 0, each position looks at its opposite
    two, one = ((answer(row, p, n_head, mask, True) - row)[0, 0] for n_head in (2, 1))
    if not like(two, -1.0, 1.0, 0.0, 0.0) or not like(one, -1.0, 1.0, -1.0, 1.0):
        return "the number of heads is not n_head: hand the argument on to attention"
    return "correct"


print("Problem 2.6:", diagnose_2_6(block))
# %% tags=["hidden"]
def block_weights_of(rng, width):
    p = {f"attn.{name}": w for name, w in attention_weights_of(rng, width, 1.0).items()}
    for i in (1, 2):
        p |= {f"ln_{i}.weight": 1 + 0.3 * normal(rng, width), f"ln_{i}.bias": 0.3 * normal(rng, width)}
    return p | {"mlp.c_fc.weight": normal(rng, width, 4 * width), "mlp.c_fc.bias": normal(rng, 4 * width),
                "mlp.c_proj.weight": 0.01 * normal(rng, 4 * width, width), "mlp.c_proj.bias": normal(rng, width)}


def cases_2_6(rng):
    def whole(pre_norm):
        sizes = [(heads, rng.randint(2, 3), rng.randint(4, 6)) for heads in (2, 3)]
        return [("block", normal(rng, 2, t, h * s), block_weights_of(rng, h * s), h, mask, pre_norm)
                for h, s, t in sizes for mask in (causal(t), causal(t).T)]

    bent = {name: torch.zeros_like(w) for name, w in block_weights_of(rng, 4).items()}
    bent |= {"mlp.c_fc.bias": torch.linspace(-3.0, -2.4, 16), "mlp.c_proj.weight": 10 + normal(rng, 16, 4).abs()}
    return [("GPT-2's block: pre-norm", 8, whole(True)), ("GPT-1's block: post-norm", 8, whole(False)),
            ("the form of GELU", 4, [("block", normal(rng, 1, 3, 4), bent, 2, causal(3), True)])]
# %% [markdown] question="2.7" title="Why divide" points=5 minutes=10
# In at most 120 words: what happens to the weights of attention if the scores are not divided by $\sqrt{d}$, why does it get
# worse as heads get wider, and what does it do to training?
# %% [markdown] tags=["rubric"]
# 2 points: a score is a sum of d products, so its spread grows like the root of d; undivided, softmax puts nearly all weight
# on one key. 1 point: it grows with d, hence the root of d. 2 points: where softmax is saturated its gradient is close to
# zero, so queries and keys learn hardly anything.
# %% [markdown] question="2.8" title="Before or after" points=5 minutes=15
# In at most 120 words: GPT-2 moved the norm from after each sum to before each sub-layer, and added one more after the last
# block. What can pass through all blocks unchanged in GPT-2 but not in GPT-1, and why does GPT-2 need the extra norm?
# %% [markdown] tags=["rubric"]
# 2 points: the residual stream itself (and the gradient on its way back): every block only adds to it. 1 point: in GPT-1 each
# norm rescales all that was written before. 2 points: the stream grows with every addition and is never normalised, so that
# the head would read numbers whose size depends on the depth.
