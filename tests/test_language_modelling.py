"""Rolling log-likelihoods and perplexities: against plain loops, and against lm-evaluation-harness on the same weights."""

import math
import re

import numpy as np
import pytest
import torch

from minigpt import GPT, modern, protocol, scoring, world, zeroshot
from minigpt import language_modelling as lm
from minigpt.weights import CHECKPOINTS
from tests.harness import harness as load_harness
from tests.harness import requests

FULL = dict(detokeniser="none", documents="each alone", unit="word")


@pytest.fixture(scope="module")
def laptop():
    return modern.load("world")


@pytest.fixture(scope="module")
def harness():
    """lm-evaluation-harness on the shipped model, read by transformers."""
    return load_harness(CHECKPOINTS / "world")


def naive(model, ids, context):
    """One token at a time, each from a pass of its own over at most `context` tokens before it."""
    out = []
    with torch.no_grad():
        for i in range(1, len(ids)):
            logits = model(torch.tensor([ids[max(0, i - context):i]]))[0, -1].double()
            out.append(float(logits.log_softmax(-1)[ids[i]]))
    return out


class Toy:
    """A model of a vocabulary of four, each word's distribution depending on the two words before: nothing is uniform."""

    def __init__(self):
        torch.manual_seed(1)
        self.table = torch.randn(4, 4, 4) * 2

    def __call__(self, ids):
        before = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], 1)
        return self.table[before, ids]


def test_every_stride_gives_the_same_total_when_the_context_is_unbounded():
    ids = np.random.default_rng(0).integers(0, 4, 40).tolist()
    totals = [scoring.rolling(Toy(), [ids], None, stride)[0].sum() for stride in (None, 1, 7, 39)]
    np.testing.assert_allclose(totals, totals[0], rtol=1e-5)
    assert abs(totals[0]) > 30  # so that the tolerance means something


def test_windows_score_each_token_once_and_never_look_further():
    for n, context, stride in ((2, 5, 2), (30, 8, 8), (30, 8, 3), (31, 8, 1), (9, 8, 8), (10, 9, 4), (17, 16, 5)):
        seen = []
        for begin, end, size in scoring.windows(n, context, stride):
            assert end - 1 - begin <= context and 1 <= size <= (stride if seen else context)
            seen += range(end - size, end)
        assert seen == list(range(1, n))
    assert scoring.windows(1, 8, 8) == []
    for context, stride in ((0, None), (4, 5), (4, 0)):
        with pytest.raises(ValueError, match="stride between 1 and context"):
            scoring.windows(10, context, stride)


def test_rolling_equals_a_naive_loop(laptop):
    model, bpe = laptop
    ids = [bpe.eos_id, *bpe.encode(world.story(3))][:60]
    np.testing.assert_allclose(scoring.rolling(model, [ids, ids[:9]], 16, 1)[0], naive(model, ids, 16), atol=2e-4)
    windows = scoring.rolling(model, [ids], 16, 5)[0]
    for begin, end, size in scoring.windows(len(ids), 16, 5):
        np.testing.assert_allclose(windows[end - 1 - size:end - 1], naive(model, ids[begin:end], 99)[-size:], atol=2e-4)


def test_rolling_refuses_a_context_beyond_the_window(laptop):
    with pytest.raises(ValueError, match="does not fit this model's window of 128"):
        scoring.rolling(laptop[0], [[1, 2, 3]], 200)


def test_probabilities_of_all_continuations_sum_to_one():
    pairs = [([2, 1], [a, b, c]) for a in range(4) for b in range(4) for c in range(4)]
    rows = scoring.tails(Toy(), [[*context, *rest] for context, rest in pairs], [3] * len(pairs), batch_size=5)
    assert math.isclose(sum(math.exp(row.sum()) for row in rows), 1, rel_tol=1e-5)


def test_tails_equal_whole_sequences_in_batches(laptop):
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 4096, n).tolist() for n in (7, 24, 129, 2, 24, 13, 3, 50)]
    sizes = [3, 1, 128, 1, 23, 5, 2, 49]
    rows = scoring.tails(laptop[0], sequences, sizes, batch_size=3)
    for ids, size, row in zip(sequences, sizes, rows, strict=True):
        np.testing.assert_allclose(row[:, 0], naive(laptop[0], ids, 128)[-size:], atol=5e-4)


def test_batches_cost_the_least():
    assert scoring.batches([], 4, 10, 99) == [] and scoring.batches([7], 4, 10, 5) == [(0, 1)]  # longer than `most`: alone
    assert scoring.batches([9] * 5, 2, 10, 99) == [(0, 1), (1, 3), (3, 5)]
    assert scoring.batches([9] * 5, 5, 10, 27) in ([(0, 2), (2, 5)], [(0, 3), (3, 5)])
    # short ones beside the long one: 4 * 40 tokens with the padding; apart, 3 * 3 + 40, and one pass more
    assert scoring.batches([3, 3, 3, 40], 8, 10, 999) == [(0, 3), (3, 4)]
    assert scoring.batches([3, 3, 3, 40], 8, 110, 999) == [(0, 3), (3, 4)]
    assert scoring.batches([3, 3, 3, 40], 8, 112, 999) == [(0, 4)]
    draw = np.random.default_rng(0)

    def cost(cuts):
        return sum(6 + (end - begin) * lengths[end - 1] for begin, end in cuts)

    for _ in range(20):  # no other way of cutting is better
        lengths = sorted(draw.integers(1, 30, 8).tolist())
        found = scoring.batches(lengths, 3, 6, 60)
        assert [begin for begin, _ in found] == [0, *(end for _, end in found[:-1])] and found[-1][1] == 8
        borders = [[0, *(i for i in range(1, 8) if chosen >> i & 1), 8] for chosen in range(0, 256, 2)]
        every = [list(zip(cut, cut[1:], strict=False)) for cut in borders]
        allowed = [cuts for cuts in every if all(
            end - begin == 1 or end - begin <= 3 and (end - begin) * lengths[end - 1] <= 60 for begin, end in cuts)]
        assert found in allowed and cost(found) == min(map(cost, allowed))


def test_tails_read_little_padding(laptop, monkeypatch):
    model, read = laptop[0], []
    hidden = type(model).hidden
    monkeypatch.setattr(type(model), "hidden", lambda self, ids, *rest: read.append(ids.shape) or hidden(self, ids, *rest))
    scoring.tails(model, [[i] * n for i, n in enumerate((120, 5, 6, 118, 5))], [1] * 5)
    assert sorted(map(tuple, read)) == [(2, 119), (3, 5)]
    monkeypatch.setattr(scoring, "CPU", (64, 100))
    read.clear()
    scoring.tails(model, [[i] * n for i, n in enumerate((120, 50, 50, 118))], [1] * 4)
    assert sorted(map(tuple, read)) == [(1, 117), (1, 119), (2, 49)]


def test_the_memory_of_the_logits_serves_any_number_of_places(laptop, monkeypatch):
    rng = np.random.default_rng(1)
    sequences = [rng.integers(0, 4096, n).tolist() for n in (90, 20, 70)]
    sizes = [89, 19, 69]
    expected = scoring.tails(laptop[0], sequences, sizes)
    monkeypatch.setattr(scoring, "POSITIONS_AT_ONCE", 7)
    for row, other in zip(scoring.tails(laptop[0], sequences, sizes), expected, strict=True):
        np.testing.assert_allclose(row, other, atol=2e-5)
    logits = 30 * torch.randn(5, 9)
    targets = torch.tensor([0, 8, 3, 3, 1])
    right = logits.log_softmax(1).gather(1, targets[:, None])
    torch.testing.assert_close(scoring.log_probs(logits, targets), right, rtol=1e-5, atol=1e-5)
    huge = torch.full((1, 4), -1e30)  # not -inf - -inf
    assert scoring.log_probs(huge, torch.tensor([2])).item() == pytest.approx(-math.log(4))


def test_a_shared_context_is_read_once_and_scored_as_if_each_were_alone(laptop, monkeypatch):
    model, _ = laptop
    draw = np.random.default_rng(5)
    contexts = [draw.integers(0, 4000, n).tolist() for n in (100, 60)]
    choices = [[draw.integers(0, 4000, size).tolist() for size in (1, 4, 28, 2, 1)] for _ in contexts]
    sequences = [context + choice for context, given in zip(contexts, choices, strict=True) for choice in given]
    sizes = [len(choice) for given in choices for choice in given]
    sequences.insert(2, list(range(50)))  # breaks the first five into two and three
    sizes.insert(2, 3)
    assert scoring.shared(sequences, sizes, 16) == [([0, 1], 99), ([3, 4, 5], 99), ([6, 7, 8, 9, 10], 59)]
    alone = [scoring.tails(model, [ids], [size])[0] for ids, size in zip(sequences, sizes, strict=True)]
    read = []
    hidden = type(model).hidden
    monkeypatch.setattr(type(model), "hidden", lambda self, ids, *rest: read.append(ids.numel()) or hidden(self, ids, *rest))
    for row, expected in zip(scoring.tails(model, sequences, sizes), alone, strict=True):
        np.testing.assert_allclose(row, expected, atol=2e-5)
    assert sum(read) == (99 + 2 * 4) + (99 + 3 * 28) + (59 + 5 * 28) + 49  # padding to the longest choice included


def test_what_is_scored_is_never_shared_and_groups_are_no_larger_than_a_batch():
    ids = list(range(40))
    assert scoring.shared([ids, ids, ids], [1, 30, 5], 16) == []  # nine tokens in common are not worth it
    assert scoring.shared([ids, ids, ids], [1, 3, 2], 16) == [([0, 1, 2], 36)]
    assert scoring.shared([ids, ids, ids, [0, *[9] * 30]], [1] * 4, 16) == [([0, 1, 2], 38)]  # the same <|endoftext|> is no context
    assert scoring.shared([ids] * 5, [1] * 5, 2) == [([0, 1], 38), ([2, 3], 38)]
    assert scoring.shared([], [], 2) == scoring.shared([ids[:2]] * 9, [1] * 9, 16) == []


def test_tails_restore_training_mode_and_score_without_dropout():
    torch.manual_seed(0)
    model = GPT.from_pretrained("world", dropout=0.5).train()
    first, second = (scoring.tails(model, [[1, 2, 3]], [2])[0] for _ in range(2))
    assert model.training and (first == second).all()


@pytest.mark.parametrize("ids, size", [([1], 1), ([1, 2], 2), ([1, 2], 0), (list(range(131)), 1)])
def test_tails_refuse_what_cannot_be_scored(laptop, ids, size):
    with pytest.raises(ValueError, match="cannot be scored|the window of 128"):
        scoring.tails(laptop[0], [ids], [size])


def test_hostile_continuations(laptop):
    model = laptop[0]
    with pytest.raises(ValueError, match="the continuation is empty"):
        scoring.cropped(model, [1, 2], [])
    with pytest.raises(ValueError, match="the context is empty"):
        scoring.cropped(model, [], [1])
    with pytest.raises(ValueError, match="129 tokens, the window 128"):
        scoring.cropped(model, [1], [2] * 129)
    assert scoring.cropped(model, list(range(200)), [7, 8]) == [*range(73, 200), 7, 8]


def test_units_of_the_original_text():
    text = " = A title = \n \n café @-@ bar , it 's \n"
    assert lm.counts(text) == {"word": 10, "word or line end": 13, "word as lm-eval": 12, "byte": 40, "character": 39}
    assert lm.perplexity(-8 * math.log(2), 4) == pytest.approx(4)
    with pytest.raises(ValueError, match="no such unit"):
        lm.perplexity(-1.0, 0)


def measured(task, model, bpe, items, **given):
    switches = protocol.choose(task, given)
    rows = task.measure(model, bpe, task.plan(model, bpe, items, switches), switches)
    return task.score(rows, switches), rows


@pytest.fixture(scope="module")
def cut_stories():
    """Stories of the world cut the way WikiText is."""
    stories = [re.sub(r"([.,?!:;\"])", r" \1 ", world.story(i, split="test")).replace("  ", " ").strip() for i in range(8)]
    return [{"text": f" = Story {i} = \n \n {story} \n \n"} for i, story in enumerate(stories)]


def test_perplexity_scales_before_exponentiation(laptop, cut_stories):
    task = lm.TASKS["wikitext2"]
    values, rows = measured(task, *laptop, cut_stories, **FULL)
    nats = sum(float(scoring.rolling(laptop[0], [zeroshot.start(laptop[1]) + laptop[1].encode(item["text"])])[0].sum())
               for item in cut_stories)
    words = sum(len(item["text"].split()) for item in cut_stories)
    assert values["nats"] == pytest.approx(nats, rel=1e-6) and values["units"] == words
    assert values["perplexity"] == pytest.approx(math.exp(-nats / words), rel=1e-6)
    switches = protocol.choose(task, FULL)
    by_token = task.score(rows, switches | {"unit": "token"})
    assert by_token["nats"] == values["nats"] and by_token["units"] > words and by_token["perplexity"] < values["perplexity"]
    assert by_token["bits_per_byte"] == values["bits_per_byte"]


def test_units_are_counted_on_the_original_whatever_the_model_reads(laptop, cut_stories):
    kinds = ("none", "invertible", "public")
    found = {kind: measured(lm.TASKS["wikitext2"], *laptop, cut_stories, detokeniser=kind)[0] for kind in kinds}
    assert len({values["units"] for values in found.values()}) == 1
    assert found["invertible"]["perplexity"] < found["none"]["perplexity"] / 2  # the world's model never saw cut text


def test_one_stream_differs_from_documents_alone_only_by_what_is_seen(laptop, cut_stories):
    stream, rows = measured(lm.TASKS["wikitext2"], *laptop, cut_stories)
    alone, _ = measured(lm.TASKS["wikitext2"], *laptop, cut_stories, documents="each alone")
    assert stream["units"] == alone["units"] and stream["nats"] != alone["nats"]
    tokens = lm.encode(laptop[1], lm.undone("".join(item["text"] for item in cut_stories), "invertible", "wikitext"))
    assert sum("word" in row for row in rows) == 1 and len(rows) == math.ceil(len(tokens) / 128)


def test_context_and_stride_are_switches(laptop, cut_stories):
    found = {(c, s): measured(lm.TASKS["wikitext2"], *laptop, cut_stories[:2], context=c, stride=s)[0]["nats"]
             for c, s in (("window", "context"), (32, "context"), (32, 8))}
    assert found["window", "context"] > found[32, 8] > found[32, "context"]


def test_wikitext_as_the_harness_measures_it(laptop, harness, cut_stories):
    wikitext = pytest.importorskip("lm_eval.tasks.wikitext.preprocess_wikitext")
    metrics = pytest.importorskip("lm_eval.api.metrics")
    pages = [item["text"] for item in cut_stories]
    totals = harness.loglikelihood_rolling(requests("loglikelihood_rolling", [(wikitext.wikitext_detokenizer({"page": page}),)
                                                                              for page in pages]), disable_tqdm=True)
    theirs = [wikitext.process_results({"page": page}, (total,)) for page, total in zip(pages, totals, strict=True)]
    task, switches = lm.TASKS["wikitext2"], dict(detokeniser="public", documents="each alone", unit="word as lm-eval")
    ours, rows = measured(task, *laptop, cut_stories, **switches)
    assert ours["perplexity"] == pytest.approx(metrics.weighted_perplexity([row["word_perplexity"] for row in theirs]), rel=1e-4)
    assert ours["bits_per_byte"] == pytest.approx(metrics.bits_per_byte([row["bits_per_byte"] for row in theirs]), rel=1e-4)
    by_byte = task.score(rows, protocol.choose(task, switches | {"unit": "byte"}))
    assert by_byte["perplexity"] == pytest.approx(metrics.weighted_perplexity([row["byte_perplexity"] for row in theirs]), rel=1e-4)


# -- data -----------------------------------------------------------------------------------------------------------------------


def test_articles_of_wikitext(mirror):
    items = lm.TASKS["wikitext2"].read()
    assert len(items) == 60  # as GPT-2 section 4 says of this test set
    whole = "".join(item["text"] for item in items)
    assert lm.counts(whole)["word"] == 241_211 and len(whole.split("\n")) == 4_359
    assert all(re.match(r"( \n)? = [^=].* = \n \n", item["text"]) for item in items)
    assert len(lm.TASKS["wikitext2"].read(limit=3)) == 3


def test_wikitext_from_files(tmp_path):
    text = " \n = One = \n \n a formula : \n = 1 henry = \n text . \n \n = = Part = = \n \n more \n \n = Two = \n \n end \n"
    (tmp_path / "wiki.test.raw").write_text(text, encoding="utf-8")
    items = lm.TASKS["wikitext103"].read(tmp_path / "wiki.test.raw")
    assert [item["text"][:10] for item in items] == [" \n = One =", " = Two = \n"] and "".join(i["text"] for i in items) == text
    with pytest.raises(FileNotFoundError, match="no such file"):
        lm.TASKS["wikitext2"].read(tmp_path / "absent.raw")


def test_sentences_from_files(tmp_path):
    (tmp_path / "ptb.test.txt").write_text(" no it was n't black monday \n but <unk> 's N % \n", encoding="utf-8")
    assert [item["text"] for item in lm.TASKS["ptb"].read(tmp_path / "ptb.test.txt")] == [
        " no it was n't black monday \n", " but <unk> 's N % \n"]
    folder = tmp_path / "heldout"
    folder.mkdir()
    for i in range(2):
        (folder / f"news.en.heldout-0000{i}-of-00050").write_text(f"Sentence {i} .\n", encoding="utf-8")
    assert [item["text"] for item in lm.TASKS["1bw"].read(folder)] == ["Sentence 0 .\n", "Sentence 1 .\n"]
    with pytest.raises(FileNotFoundError, match="--data"):
        lm.TASKS["ptb"].read()


def test_last_five_million_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(lm, "HUNDRED_MILLION", 40)
    monkeypatch.setattr(lm, "TEST_BYTES", 9)
    (tmp_path / "enwik8").write_bytes(b"x" * 30 + "é<page>é".encode())
    assert [item["text"] for item in lm.TASKS["enwik8"].read(tmp_path / "enwik8")] == ["<page>é"]  # the first é was cut in two
    (tmp_path / "text8").write_bytes(b"anarchism originated ")
    assert [item["text"] for item in lm.TASKS["text8"].read(tmp_path / "text8")] == ["anarchism originated "]
    with pytest.raises(ValueError, match="nothing that can be used"):
        (tmp_path / "empty").write_bytes(b"")
        lm.TASKS["enwik8"].read(tmp_path / "empty")


def test_bits_per_byte_and_character(laptop):
    text = "the cat sat. Café."
    byte, _ = measured(lm.TASKS["enwik8"], *laptop, [{"text": text}])
    character, _ = measured(lm.TASKS["text8"], *laptop, [{"text": text}])
    assert byte["units"] == 19 and character["units"] == 18 and byte["nats"] == character["nats"]
    assert byte["bits"] == pytest.approx(-byte["nats"] / 19 / math.log(2)) and byte["bits"] == byte["bits_per_byte"]
