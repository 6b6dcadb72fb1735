# %% [markdown] closed=["minigpt.bpe", "minigpt.bpe_core", "minigpt.bpe_gpt1", "tiktoken", "tokenizers", "transformers"]
# # Assignment 1 · Byte-pair encoding
#
# In this assignment you write a byte-level tokenizer from the first count to the last replacement character: what GPT-2's
# section 2.2 describes and chapter 2 of the book explains. At the end you have three functions, `train`, `encode` and
# `decode`, and they turn any text into numbers and back.
#
# **How it works.** Each problem has a cell with a stub, where `...` stands for your work, and a check below it. Run the stub
# as it is and the check says that the problem was not attempted yet. (It says the same when your function returns nothing:
# look for a forgotten `return`.) Write your code, run both cells again, and the check tells you what is wrong and why. You may
# add cells and functions of your own; the names, the arguments and the results of the stubs have to stay, and a function
# leaves the arguments that it was given unchanged. The grader runs your notebook from top to bottom in a fresh process without
# network, and then calls your functions with inputs that you have not seen. Each later problem is marked as if the earlier
# ones were right, so an early mistake costs its points once.
#
# **What you may use.** Python and its standard library. The book's own tokenizer, tiktoken, tokenizers and transformers are
# closed while grading. With a person or an assistant you may discuss ideas, but not code; the file with the rules for AI
# assistants lies beside this one.
#
# **A word on ids.** Throughout, a symbol is a number. The numbers 0 to 255 are the bytes, and the k-th merge, counted from
# zero, makes the symbol 256 + k.
# %% [markdown] problem="1.1" title="Count the pairs" points=10 difficulty=1 minutes=15
# A corpus is a dictionary from words to how often they occur, and a word is a tuple of symbols. Write `count_pairs`, which
# says how often each pair of neighbours occurs in the corpus. Pairs that do not occur are not in the result.
# %% tags=["solution"]
def count_pairs(words: dict[tuple[int, ...], int]) -> dict[tuple[int, int], int]:
    """{word: how often it occurs} -> {(left, right): how often the two stand side by side}."""
    ### BEGIN SOLUTION
    pairs = {}
    for word, times in words.items():
        for pair in zip(word, word[1:], strict=False):
            pairs[pair] = pairs.get(pair, 0) + times
    return pairs
    ### END SOLUTION
# %% tags=["check"]
def diagnose_1_1(answer):
    got = answer({(1, 2): 3})
    if got is None:
        return "not attempted yet"
    if not isinstance(got, dict):
        return f"return a dictionary from pairs to counts, not a {type(got).__name__}"
    if got.get((1, 2)) == 1:
        return "a word that occurs 3 times was counted once: count each pair as often as its word occurs"
    if got != {(1, 2): 3}:
        return f"the word (1, 2), three times, has the pair (1, 2) three times and no other; you say {got}"
    got = answer({(2, 1): 1})
    if len(got) == 2:
        return "the pairs of an earlier call are still in the result: make the dictionary inside the function, anew for each call"
    if got == {(1, 2): 1}:
        return "(2, 1) was counted as (1, 2): which of the two comes first matters"
    got = answer({(1, 2, 3, 1, 2): 1})
    if got.get((1, 2)) == 1:
        return "in (1, 2, 3, 1, 2) the pair (1, 2) occurs twice: count every place, not every different pair once"
    got = answer({(7, 7, 7): 1})
    if got != {(7, 7): 2}:
        return f"in (7, 7, 7) the pair (7, 7) occurs twice, at two overlapping places; you say {got}"
    got = answer({(1, 2): 1, (3, 4): 1, (5,): 1})
    if any(pair in got for pair in ((2, 3), (4, 5))):
        return "a pair was counted across the border of two words: only symbols of the same word are neighbours"
    if got == {(1, 2): 1}:
        return "only the first word was counted: the return belongs behind the loop over the words, not into it"
    if got == {}:
        return "only the last word was counted: make the dictionary before the loop over the words, not in it"
    words = {(1, 2, 9): 2, (3, 1, 2): 5}
    both = answer(words).get((1, 2))
    if both != 7:
        return f"(1, 2) is in two words that occur 2 and 5 times: 7 times in all, not {both}; add to the count so far"
    if len(words) != 2:
        return "your function changes the dictionary that it was given: the next merge needs it too"
    return "correct" if got == {(1, 2): 1, (3, 4): 1} else f"for the words (1, 2), (3, 4) and (5,) you return {got}"


print("Problem 1.1:", diagnose_1_1(count_pairs))
# %% tags=["hidden"]
def cases_1_1(rng):
    once = [rng.sample(range(256), rng.randint(3, 7)) for _ in range(4)]
    runs = [[*rng.choices(range(3), k=8), 5, 5, 5, 1, 5, 5] for _ in range(4)]
    several = [{tuple(rng.sample(range(200), rng.randint(1, 5))): 1 for _ in range(6)} for _ in range(4)]
    for words in several:
        a, b, c = rng.sample(range(200, 256), 3)
        words |= {(a, b, c): rng.randint(2, 9), (c, a, b): rng.randint(10, 20)}
    return [("words that occur several times", 4, [("count_pairs", {tuple(w): rng.randint(2, 90)}) for w in once]),
            ("pairs that occur again in their word", 3, [("count_pairs", {tuple(w): 1}) for w in runs]),
            ("several words, and words of one symbol", 3, [("count_pairs", words) for words in several])]
# %% [markdown] problem="1.2" title="Choose the pair" points=10 difficulty=1 minutes=10
# Write `best_pair`, which chooses the pair to merge: the most frequent one. Of equally frequent pairs it takes the one with
# the smaller left symbol, and if these are equal too, the one with the smaller right symbol, so that every computer learns
# the same vocabulary. If there is no pair at all, it raises `ValueError`.
# %% tags=["solution"]
def best_pair(pairs: dict[tuple[int, int], int]) -> tuple[int, int]:
    """{(left, right): count} -> the most frequent pair; of equals the smallest. Raises ValueError if there is none."""
    ### BEGIN SOLUTION
    if not pairs:
        raise ValueError("there is no pair to merge")
    return min(pairs, key=lambda pair: (-pairs[pair], pair))
    ### END SOLUTION
# %% tags=["check"]
def diagnose_1_2(answer):
    got = answer({(1, 2): 3, (4, 5): 9, (0, 0): 1})
    if got is None:
        return "not attempted yet"
    if got == (0, 0):
        return "you chose the rarest pair; the most frequent one is merged"
    if got != (4, 5):
        return f"(4, 5) occurs 9 times and everything else less, but you chose {got!r}"
    got = answer({(3, 4): 5, (3, 1): 2, (1, 1): 2})
    if got != (3, 4):
        return f"(3, 4) occurs 5 times and {got} twice: the order of the symbols decides only between equally frequent pairs"
    ties = [({(5, 3): 2, (95, 1): 2, (3, 9): 2, (7, 0): 2, (9, 5): 2}, (3, 9)), ({(3, 4): 2, (3, 1): 2, (3, 6): 2}, (3, 1)),
            ({(10, 0): 2, (9, 0): 2}, (9, 0))]
    gots = [answer(dict(pairs)) for pairs, _ in ties]
    if gots[0] == (5, 3):
        return "of equally frequent pairs you take the one that was met first; the smallest is due, in whatever order they come"
    if gots[0] == (9, 5):
        return "of equally frequent pairs you take the one that was met last; the smallest is due, in whatever order they come"
    if gots[0] == (95, 1):
        return "ties are broken the other way round: of (5, 3), (95, 1) and (3, 9), equally frequent, the smallest is (3, 9)"
    if gots[0] == (7, 0):
        return "of (3, 9) and (7, 0), equally frequent, (3, 9) is due: the right symbols decide only if the left are equal"
    if gots[1] == (3, 4):
        return "(3, 4) and (3, 1) are equally frequent and have the same left symbol: now the right one decides"
    if gots[2] == (10, 0):
        return "(9, 0) is smaller than (10, 0): compare numbers, not their spelling"
    for (pairs, right), got in zip(ties, gots, strict=True):
        if got != right:
            return f"of the equally frequent pairs {list(pairs)} the smallest is {right}, not {got}"
    pairs = {(1, 2): 3, (4, 5): 9}
    answer(pairs)
    if pairs != {(1, 2): 3, (4, 5): 9}:
        return "your function changes the dictionary that it was given: only look at it"
    try:
        return f"with no pair at all raise ValueError; you return {answer({})!r}"
    except ValueError:
        return "correct"


print("Problem 1.2:", diagnose_1_2(best_pair))
# %% tags=["hidden"]
def shuffled(rng, pairs):
    return dict(rng.sample(list(pairs.items()), len(pairs)))


def cases_1_2(rng):
    clear, ties = [], []
    for _ in range(5):
        clear.append({(rng.randrange(256), rng.randrange(256)): count for count in rng.sample(range(1, 99), 8)})
        left = rng.randrange(20, 90)
        ties.append({(left, 40): 7, (left, 9): 7, (left, 100): 7, (left + 1, 0): 7, (left - 1, 0): 6, (left + 100, 3): 7})
    ties = [sorted(pairs.items(), reverse=down) for pairs in ties for down in (True, False)] + [shuffled(rng, p) for p in ties]
    return [("one pair more frequent than all others", 3, [("best_pair", shuffled(rng, pairs)) for pairs in clear]
             + [("best_pair", {(left, 40): 9, (left, 9): 2, (left - 1, 50): 3})]),
            ("equally frequent pairs", 5, [("best_pair", dict(pairs)) for pairs in ties]
             + [("best_pair", {(100, 1): 2, (20, 1): 2, (3, 1): 2})]),
            ("no pair at all", 2, [("best_pair", {})])]
# %% [markdown] problem="1.3" title="Merge" points=15 difficulty=2 minutes=20
# Write `merge`, which replaces every occurrence of a pair in a word by one new symbol, going from left to right. Occurrences
# do not overlap: what has become part of a new symbol is used up.
# %% tags=["solution"]
def merge(word: tuple[int, ...], pair: tuple[int, int], new: int) -> tuple[int, ...]:
    """The word with each occurrence of `pair`, from left to right and without overlap, replaced by the symbol `new`."""
    ### BEGIN SOLUTION
    merged, place = [], 0
    while place < len(word):
        if tuple(word[place:place + 2]) == tuple(pair):
            merged.append(new)
            place += 2
        else:
            merged.append(word[place])
            place += 1
    return tuple(merged)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_1_3(answer):
    got = answer((1, 2, 3), (1, 2), 256)
    if got is None:
        return "not attempted yet"
    if list(got) == [256]:
        return "the last symbol got lost: in (1, 2, 3) the 3 stays, although no pair begins there"
    if list(got) != [256, 3]:
        return f"(1, 2, 3) with the pair (1, 2) becomes (256, 3), not {got!r}"
    got = list(answer((1, 2, 3, 1, 2), (1, 2), 256))
    if got == [256, 3, 1, 2]:
        return "only the first occurrence was merged: (1, 2, 3, 1, 2) holds the pair twice"
    if got != [256, 3, 256]:
        return f"(1, 2, 3, 1, 2) becomes (256, 3, 256), not {got!r}"
    got = list(answer((7, 7, 7), (7, 7), 256))
    if got == [7, 256]:
        return "(7, 7, 7) became (7, 256): go from left to right, so that the first two are merged"
    if got == [256, 256]:
        return "in (7, 7, 7) the middle symbol was used twice: after a merge go on behind it"
    if got != [256, 7]:
        return f"(7, 7, 7) becomes (256, 7), not {got!r}"
    if list(answer((2, 1, 3), (1, 2), 256)) != [2, 1, 3]:
        return "(2, 1) was merged although the pair is (1, 2): the order matters"
    if list(answer((1, 3, 1, 2), (1, 2), 256)) != [1, 3, 256]:
        return "in (1, 3, 1, 2) the first 1 has no 2 behind it, the second has: (1, 3, 256); go on to the end of the word"
    if list(answer((1, 1, 2), (1, 2), 256)) != [1, 256]:
        return "in (1, 1, 2) only the last two symbols are the pair (1, 2): both of its symbols have to fit, each at its place"
    if list(answer((1, 2, 1, 2), (1, 2), 256)) != [256, 256]:
        return "(1, 2, 1, 2) holds the pair (1, 2) twice, one directly behind the other: it becomes (256, 256)"
    if list(answer((11, 2), (1, 2), 256)) != [11, 2]:
        return "(11, 2) does not hold the pair (1, 2): compare the symbols, not the text of their digits"
    if not isinstance(answer((1, 2), (1, 2), 256), tuple):
        return "return a tuple: train keeps words as keys of a dictionary, and a list cannot be a key"
    word = [1, 2, 3]
    answer(word, (1, 2), 256)
    return "correct" if word == [1, 2, 3] else "your function changes the word that it was given: build a new one"


print("Problem 1.3:", diagnose_1_3(merge))
# %% tags=["hidden"]
def cases_1_3(rng):
    apart, runs, other = [], [], []
    for new in range(300, 305):
        a, b, c, d = rng.sample(range(256), 4)
        apart.append(("merge", (c, a, b, d, a, b, c, a, b, d)[rng.randrange(2):], (a, b), new))
        runs += [("merge", (a,) * n, (a, a), new) for n in (3, 5)] + [("merge", (b, *(a,) * 7), (a, a), new)]
        apart.append(("merge", (a, d, a, b, c), (a, b), new))
        other += [("merge", (b, a, c, b, a), (a, b), new), ("merge", (a,), (a, b), new), ("merge", (c, d, b, b, a), (a, b), new),
                  ("merge", (c, a, a, d), (a, b), new), ("merge", (11, 2, 1, 21), (1, 2), new)]
    return [("several occurrences", 6, apart), ("runs of one symbol", 5, runs), ("words without the pair", 4, other)]
# %% [markdown] problem="1.4" title="Learn the merges" points=25 difficulty=2 minutes=30 uses=["count_pairs", "best_pair", "merge"]
# Write `train`. It gets words as text with their counts and learns up to `n_merges` merges, each on the corpus as the merges
# before it have left it. At the start every word is the tuple of the bytes of its UTF-8 form. It stops early if there is no
# pair left; a pair that occurs only once is merged like any other. Use your functions from above, or write it your own way.
# %% tags=["solution"]
def train(counts: dict[str, int], n_merges: int) -> list[tuple[int, int]]:
    """{word: how often it occurs} -> the pairs in the order in which they were merged; the k-th made the symbol 256 + k."""
    ### BEGIN SOLUTION
    words = {tuple(word.encode("utf-8")): times for word, times in counts.items()}
    merges = []
    while len(merges) < n_merges and (pairs := count_pairs(words)):
        merges.append(best_pair(pairs))
        words = {merge(word, merges[-1], 255 + len(merges)): times for word, times in words.items()}
    return merges
    ### END SOLUTION
# %% tags=["check"]
def diagnose_1_4(answer):
    got = answer({"abab": 1}, 1)
    if got is None:
        return "not attempted yet"
    if not isinstance(got, list | tuple):
        return f"return a list of pairs, not a {type(got).__name__}"

    def learn(counts, n_merges):
        return [tuple(pair) for pair in answer(counts, n_merges)]

    if list(map(tuple, got)) != [(97, 98)]:
        return f"one merge on the word 'abab' is [(97, 98)], the bytes of a and b, not {got!r}"
    got = learn({"abab": 2}, 2)
    if got[1:] == [(98, 97)]:
        return "the second merge of 'abab' should join what the first has made: replace the pair in the words, then count again"
    if len(got) > 1 and got[1][0] == got[1][1] != 256:
        return f"the first merge makes the symbol 256; yours is {got[1][0]}"
    if got != [(97, 98), (256, 256)]:
        return f"two merges on 'abab' are [(97, 98), (256, 256)], not {got}"
    if learn({"ab": 1, "xy": 3}, 1) != [(120, 121)]:
        return "'xy' occurs three times and 'ab' once, so x+y is first: a word counts as often as it occurs"
    try:
        if learn({"é": 2}, 1) != [(195, 169)]:
            return "'é' is two bytes, 195 and 169, which one merge joins: start from bytes (UTF-8), not from characters"
    except Exception as error:
        return f"'é' raised {type(error).__name__}: start from the bytes of the UTF-8 form, not from characters"
    gots = [learn({word: 1}, 1) for word in ("abc", "zyx")]
    if [] in gots:
        return "a pair that occurs only once is merged too, as long as merges are left"
    if gots != [[(97, 98)], [(121, 120)]]:
        return f"the pairs of 'zyx', and of 'abc', are equally frequent: (121, 120) and (97, 98) are due, not {gots}"
    counts = {"ab": 2}
    try:
        alone = learn(counts, 5)
    except ValueError:
        return "'ab' allows one merge, then no pair is left: stop there instead of raising ValueError"
    if alone[1:] == [(256, 256)]:
        return "'ab', twice, was merged across the border of two words: only symbols of the same word are neighbours"
    got = learn({"ab": 9, "cd": 5, "efef": 2}, 2)
    if got == [(97, 98)]:
        return "after the first merge 'cd' is gone: a word in which nothing was merged stays as it is"
    if got != [(97, 98), (99, 100)]:
        return f"after a+b comes c+d, since 'cd' occurs 5 times, not {got[1:]}: a word keeps its own count after a merge"
    got = learn({"abcd": 2}, 3)
    if got != [(97, 98), (99, 100), (256, 257)]:
        return f"the second merge makes the symbol 257: 'abcd' gives [(97, 98), (99, 100), (256, 257)], not {got}"
    if learn({"ab": 2}, 0) != []:
        return "with n_merges = 0 nothing is merged: the result is an empty list"
    if counts != {"ab": 2}:
        return "your function changes the dictionary that it was given: build a new one"
    return "correct" if alone == [(97, 98)] else f"'ab' with five merges gives [(97, 98)], since no pair is left; you say {alone}"


print("Problem 1.4:", diagnose_1_4(train))
# %% tags=["hidden"]
def random_word(rng, letters, low, high):
    return "".join(rng.choices(letters, k=rng.randint(low, high)))


def cases_1_4(rng):
    def corpus(letters, n, low, high):
        return {random_word(rng, letters, 3, 7): rng.randint(low, high) for _ in range(n)}

    nested = {"abababab" * 2: 2, random_word(rng, "pqrs", 4, 6): 3, random_word(rng, "tuvw", 4, 6): 5}
    weighed = {"ab": 1, "ac": 1, "ad": 1, "a" + rng.choice("xyz"): rng.randint(5, 50)}
    once = ["abcdefg", "hijkl", "mnopqrst", "uvwxy"]
    beyond = {letter: 9 - k for k, letter in enumerate(sorted(rng.sample("äöüßéñøçï", 4)))}
    return [("words count as often as they occur", 5, [("train", weighed, 1), ("train", {"zq": 9, "ab": 3, "b": 2}, 1)]),
            ("many merges, one upon the other", 8, [("train", corpus("abcde", 8, 2, 9), 10), ("train", nested, 6)]),
            ("text beyond ASCII", 6, [("train", beyond, 4)]),
            ("pairs that occur once", 3, [("train", {rng.choice(once): 1}, 1)]),
            ("nothing left to merge", 3, [("train", {random_word(rng, "klmn", 2, 2): 2}, 9), ("train", {"q": 4}, 3),
                                          ("train", {"ab": 3}, 0)])]
# %% [markdown] problem="1.5" title="Encode" points=20 difficulty=3 minutes=30 uses=["merge"]
# Write `encode`, which turns one word into ids. It starts from the bytes of the word and applies the merges in the order in
# which they were learned, wherever they apply. Ask yourself what happens when two merges compete for the same symbol.
# %% tags=["solution"]
def encode(word: str, merges: list[tuple[int, int]]) -> list[int]:
    """A word and the merges, the earliest learned first -> the ids of the word."""
    ### BEGIN SOLUTION
    symbols = tuple(word.encode("utf-8"))
    for k, pair in enumerate(merges):
        symbols = merge(symbols, pair, 256 + k)
    return list(symbols)
    ### END SOLUTION
# %% tags=["check"]
def diagnose_1_5(answer):
    got = answer("ten", [(101, 110)])
    if got is None:
        return "not attempted yet"
    if list(got) == [116, 0]:
        return "the first merge makes the symbol 256; you gave its place in the list"
    if list(got) != [116, 256]:
        return f"'ten' with the one merge e+n is [116, 256], not {got!r}"
    got = list(answer("abc", [(98, 99), (97, 98), (257, 99)]))
    if got in ([257, 99], [258]):
        return f"'abc' gave {got}: b+c was learned first, so it is due first, although a+b stands further left"
    if got != [97, 256]:
        return f"'abc' with b+c learned before a+b is [97, 256], not {got}"
    got = list(answer("enten", [(101, 110), (116, 256)]))
    if got == [256, 116, 101, 110]:
        return "only the first e+n of 'enten' was merged: a merge applies wherever its pair stands"
    if got != [256, 257]:
        return f"'enten' is [256, 257]: e+n twice, then t and the new symbol; you say {got}"
    merges = [(120, 121), (97, 98)]
    got = list(answer("xab", merges))
    if got == [120, 256]:
        return "'xab' holds no x+y, and yet a+b makes 257: count all merges, not only those that apply"
    if got == [120, 97, 98]:
        return "encoding stopped at x+y, which 'xab' does not hold: later merges may still apply"
    if got != [120, 257]:
        return f"'xab' with the merges x+y and a+b is [120, 257], not {got}"
    if merges != [(120, 121), (97, 98)]:
        return "your function changes the list of merges that it was given: the next word needs it too"
    if list(answer("aaa", [(97, 97)])) == [97, 256]:
        return "'aaa' became [97, 256]: go from left to right, so that the first two are merged"
    try:
        got = list(answer("é", []))
    except Exception as error:
        return f"'é' raised {type(error).__name__}: start from the bytes of the UTF-8 form"
    return "correct" if got == [195, 169] else f"'é' without merges is [195, 169], not {got}: start from bytes, not characters"


print("Problem 1.5:", diagnose_1_5(encode))
# %% tags=["hidden"]
def cases_1_5(rng):
    single, order, again, beyond = [], [], [], []
    for _ in range(5):
        x, a, b, c = rng.sample(range(97, 123), 4)
        single += [("encode", bytes([x, a, b, c]).decode(), [(a, b)]), ("encode", bytes([x, a, b]).decode(), [(c, x), (a, b)])]
        order += [("encode", bytes([x, a, b, c]).decode(), [(b, c), (a, b), (257, c)]),
                  ("encode", bytes([a, b, c, x]).decode(), [(c, x), (b, c), (a, 257)])]
        again += [("encode", bytes([a, b, x, a, b, x, a, b]).decode(), [(a, b), (x, 256)]), ("encode", chr(a) * 3, [(a, a)])]
        beyond.append(("encode", rng.choice("äé€ß") + chr(a) + chr(b), [(a, b)]))
    return [("one merge", 4, single), ("merges that compete", 8, order), ("a pair that occurs again", 4, again),
            ("text beyond ASCII", 4, beyond)]
# %% [markdown] problem="1.6" title="Decode" points=10 difficulty=2 minutes=15
# Write `decode`, which turns ids back into text. A model may produce ids in any order, so their bytes need not be UTF-8: what
# is not becomes the replacement character U+FFFD, as `errors="replace"` does it.
# %% tags=["solution"]
def decode(ids: list[int], merges: list[tuple[int, int]]) -> str:
    """Ids -> the text of their bytes; bytes that are not UTF-8 become U+FFFD."""
    ### BEGIN SOLUTION
    spelled = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        spelled.append(spelled[left] + spelled[right])
    return b"".join(spelled[i] for i in ids).decode("utf-8", errors="replace")
    ### END SOLUTION
# %% tags=["check"]
def diagnose_1_6(answer):
    got = answer([104, 105], [])
    if got is None:
        return "not attempted yet"
    if not isinstance(got, str):
        return f"return text, not a {type(got).__name__}"
    if got != "hi":
        return f"the bytes 104 and 105 are 'hi', not {got!r}"
    euro = [(226, 130), (256, 172)]
    try:
        if answer([258], [(97, 98), (256, 99), (257, 100)]) != "abcd":
            return "the symbol 258 is made of 257, which is made of 256, which is made of bytes: take it apart down to the bytes"
        got = [answer(ids, euro) for ids in ([226, 130, 172], [256, 172], [257])]
    except UnicodeDecodeError:
        return "a character whose bytes lie in several ids raised UnicodeDecodeError: join all bytes, then decode once"
    except ValueError:
        return "a merge of a merge raised ValueError: a symbol above 255 was left among the bytes; take it apart down to the bytes"
    if got[0] == "".join(map(chr, "€".encode())):
        return "each byte became a character of its own: three bytes together are the euro sign; make them bytes, and decode those"
    if any("\ufffd" in text or len(text) > 1 for text in got):
        return f"the euro sign, its three bytes in several ids, came back as {got}: join all bytes, then decode once"
    if got != ["€"] * 3:
        return f"the euro sign came back as {got}"
    try:
        got = answer([256, 33], euro)
    except UnicodeDecodeError:
        return "half a character raised UnicodeDecodeError: a model can produce such ids, so they become U+FFFD"
    if got == "\ufffd":
        return "one bad character made the whole text a U+FFFD: the '!' behind it is fine and stays"
    if got == "\ufffd!" and answer([128, 129], []) == "\ufffd":
        return "the bytes 128 and 129 are two U+FFFD, not one: leave their number to errors=\"replace\""
    if got == "\ufffd!" and answer([104, 226], []) == "h":
        return "half a character at the end of the ids got lost: it becomes U+FFFD too"
    return "correct" if got == "\ufffd!" else f"half a euro sign and '!' should be one U+FFFD and '!', not {got!r}"


print("Problem 1.6:", diagnose_1_6(decode))
# %% tags=["hidden"]
def cases_1_6(rng):
    plain, spread, broken = [], [], []
    for _ in range(4):
        a, b, c, d = rng.sample(range(97, 123), 4)
        plain.append(("decode", [a, 258, 257, d, 256], [(a, b), (256, c), (257, 257)]))
        raw = list(rng.choice("äé€ß😀").encode())
        spread += [("decode", [a, *raw, b], []), ("decode", [256, *raw[2:]], [(raw[0], raw[1])])]
        broken += [("decode", [a, *list("€".encode())[:2], b], []), ("decode", [128, a, 255], []),
                   ("decode", [128, 129, a], []), ("decode", [a, 226], [])]
    return [("merges of merges", 4, plain), ("characters spread over several ids", 3, spread),
            ("bytes that are not UTF-8", 3, broken)]
# %% [markdown] question="1.7" title="Why bytes" points=5 minutes=10
# GPT-1's vocabulary starts from characters, GPT-2's from bytes. In at most 120 words: what can GPT-2 write that GPT-1 cannot,
# and what does it pay for it?
# %% [markdown] tags=["rubric"]
# 2 points: any string at all, since every string is bytes, with no unknown symbol; GPT-1 loses characters it has not seen. 1
# point: 256 first symbols suffice, instead of one for each character (Unicode has over 140,000). 2 points: the price is that
# a rare character costs several ids, and that the ids a model produces need not be valid text.
# %% [markdown] question="1.8" title="The order of the merges" points=5 minutes=15
# Somebody proposes to encode by always taking the longest symbol of the vocabulary that fits at the current place. In at most
# 120 words: does this give the same ids as your `encode`? Give an example with the merges you need for it, and say what a
# model trained with one and used with the other would meet.
# %% [markdown] tags=["rubric"]
# 1 point: no. 3 points: a correct example, such as the merges b+c, a+b and the word abc: longest-first gives [ab, c], in the
# order of learning it is [a, bc]. 1 point: the model meets sequences of ids that it has never seen in training, for text that
# it knows.
