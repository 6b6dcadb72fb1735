"""Counting: n-gram language models with interpolated Kneser-Ney smoothing, the baseline that a GPT has to beat.

A model of order n predicts a token from the n - 1 before it. Each order takes a discount off every count and hands what
it saved to the next shorter context, down to the uniform distribution:

    p_n(w | h) = max(c(h w) - D, 0) / c(h) + saved(h) p_{n-1}(w | h without its first token)

The longest order counts how often "h w" occurs; the shorter ones count how many different tokens come before "h w",
since they are asked only where the longer context is of little help (Kneser and Ney). The discount of an order is
n1 / (n1 + 2 n2), with n1 and n2 the numbers of n-grams counted once and twice; `modified=True` takes Chen and Goodman's
three discounts instead, for counts of one, of two, and of three or more.
"""

import numpy as np


class NGram:
    """An n-gram model over token ids 0..vocab_size-1; order 1 ignores the context.

    Raises ValueError for orders or vocabularies below 1.
    """

    def __init__(self, order, vocab_size, modified=False):
        if order < 1 or vocab_size < 1:
            raise ValueError(f"order and vocab_size must be at least 1, not {order} and {vocab_size}")
        self.order, self.vocab_size, self.modified = order, vocab_size, modified
        # For each order n: the sorted keys of its n-grams, their discounted shares, what each context saved, discounts.
        # An n-gram's key is (row of its first n - 1 tokens in the order below) * vocab_size + its last token.
        self.keys, self.shares, self.saved, self.discounts = [], [], [], []

    def fit(self, tokens):
        """Count a stream of ids (n_tokens,); returns the model. Raises ValueError for no tokens or ids out of range."""
        tokens = self._checked(tokens)
        if len(tokens) == 0:
            raise ValueError("there are no tokens to count")
        self.keys, counts, suffixes = [], [], []
        rows = np.zeros(len(tokens) + 1, dtype=np.int64)  # of the n-gram that ends before each place
        for n in range(1, self.order + 1):
            keys = rows[:-1] * self.vocab_size + tokens[n - 1:]
            keys, first, found, times = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
            if n > 1:  # the row, one order below, of each n-gram without its first token
                suffixes.append(rows[1:][first])
            self.keys.append(keys)
            counts.append(times)
            rows = found.reshape(-1)
            if len(rows) < 2:  # the text is shorter than the order: there is nothing longer to count
                break
        for n in range(len(counts) - 1):
            counts[n] = np.bincount(suffixes[n], minlength=len(counts[n]))
        self.shares, self.saved, self.discounts = [], [], []
        for n, times in enumerate(counts):
            self._smooth(self.keys[n] // self.vocab_size, times, len(counts[n - 1]) if n else 1)
        return self

    def log_prob(self, tokens):
        """ln p of every token given those before it in the array: float64 (n_tokens,), in nats.

        The first tokens have fewer tokens before them and are predicted from those.
        """
        self._require_fit()
        tokens = self._checked(tokens)
        p = np.full(len(tokens), 1 / self.vocab_size)
        before = np.zeros(len(tokens), dtype=np.int64)  # row of the context; -1 where it never occurred
        for keys, shares, saved in zip(self.keys, self.shares, self.saved, strict=True):
            wanted = before * self.vocab_size + tokens
            row = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            seen = (before >= 0) & (keys[row] == wanted)
            p *= np.where(before >= 0, saved[before], 1.0)
            p += np.where(seen, shares[row], 0.0)
            before = np.concatenate([[-1], np.where(seen, row, -1)[:-1]])[: len(tokens)]
        return np.log(p)

    def probs(self, context=()):
        """The distribution of the next token after a sequence of ids: float64 (vocab_size,), summing to one."""
        self._require_fit()
        context = self._checked(context)
        p = np.full(self.vocab_size, 1 / self.vocab_size)
        for n in range(min(len(self.keys), len(context) + 1)):
            row = self._row(context[len(context) - n:])
            if row < 0:
                break
            start, stop = np.searchsorted(self.keys[n], [row * self.vocab_size, (row + 1) * self.vocab_size])
            p *= self.saved[n][row]
            p[self.keys[n][start:stop] % self.vocab_size] += self.shares[n][start:stop]
        return p

    def sample(self, n_tokens, context=(), seed=0):
        """Draw `n_tokens` ids one after the other, after `context`: a list of ids, without the context."""
        rng = np.random.default_rng(seed)
        text = [int(token) for token in context]
        for _ in range(n_tokens):
            cumulative = np.cumsum(self.probs(text[-(self.order - 1):] if self.order > 1 else ()))
            drawn = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
            text.append(int(min(drawn, self.vocab_size - 1)))
        return text[len(text) - n_tokens:]

    def _smooth(self, contexts, counts, n_contexts):
        """From counts (one per n-gram) to discounted shares and the mass that each context saved."""
        discounts = _discounts(counts, self.modified)
        taken = discounts[np.minimum(counts, 3)]
        totals = np.bincount(contexts, counts, n_contexts)
        known = totals > 0  # the last tokens of the text may be a context that nothing follows
        totals = np.where(known, totals, 1)
        self.shares.append((counts - taken) / totals[contexts])
        self.saved.append(np.where(known, np.bincount(contexts, taken, n_contexts) / totals, 1.0))
        self.discounts.append(discounts)

    def _row(self, context):
        """The row of a context among the n-grams of its length, or -1 if it never occurred."""
        row = 0
        for keys, token in zip(self.keys, context, strict=False):
            key = row * self.vocab_size + token
            row = int(np.searchsorted(keys, key))
            if row == len(keys) or keys[row] != key:
                return -1
        return row

    def _checked(self, tokens):
        tokens = np.asarray(tokens)
        if tokens.ndim != 1 or (tokens.size and tokens.dtype.kind not in "iu"):
            raise ValueError(f"tokens must be a list of whole numbers, not {tokens.dtype} of shape {tokens.shape}")
        tokens = tokens.astype(np.int64)
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self.vocab_size:
            raise ValueError(f"ids run from {tokens.min()} to {tokens.max()}, and this vocabulary from 0 to "
                             f"{self.vocab_size - 1}")
        return tokens

    def _require_fit(self):
        if not self.keys:
            raise ValueError("the model has counted nothing yet: call fit(tokens) first")


def _discounts(counts, modified):
    """What to take off a count of 0, 1, 2, and 3 or more: float64 (4,).

    Always more than nothing, so that no token is impossible: a text too small or too regular to have n-grams of every
    count gets the discount 1/2.
    """
    n1, n2, n3, n4 = (np.count_nonzero(counts == k) for k in (1, 2, 3, 4))
    single = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    if modified and n1 and n2 and n3 and n4:
        three = [1 - 2 * single * n2 / n1, 2 - 3 * single * n3 / n2, 3 - 4 * single * n4 / n3]
        if all(0 < discount < k + 1 for k, discount in enumerate(three)):
            return np.array([0.0, *three])
    return np.array([0.0, single, single, single])


def best_order(train, validation, vocab_size, orders=range(1, 8), modified=False):
    """Fit each order on `train` and keep the one with the lowest loss on `validation`.

    Returns (model, {order: nats per token}).
    """
    best, losses = None, {}
    for order in orders:
        model = NGram(order, vocab_size, modified).fit(train)
        losses[order] = float(-model.log_prob(validation).mean())
        if losses[order] == min(losses.values()):
            best = model
    if best is None:
        raise ValueError("there are no orders to choose from")
    return best, losses
