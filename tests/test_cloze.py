"""LAMBADA and the Children's Book Test: their switches on models whose answers are known, and lm-evaluation-harness's numbers."""

import json
import math

import numpy as np
import pytest
import torch

from minigpt import cloze, modern, protocol, scoring, world
from minigpt.detokenise import detokenise
from minigpt.protocol import LeftOut
from minigpt.weights import CHECKPOINTS
from tests.harness import harness, requests

PASSAGE = {"text": "“She has a dog.”\n\nThe dog is called Rex, and everybody likes Rex"}


@pytest.fixture(scope="module")
def laptop():
    return modern.load("world")


@pytest.fixture(scope="module")
def passages():
    """Stories of the world cut after a word: what LAMBADA's passages look like to this model."""
    texts = [world.story(i, split="test").split() for i in range(60)]
    return [{"text": " ".join(words[:12 + i % 40]).rstrip(".,!?\"")} for i, words in enumerate(texts)]


class Says:
    """A model of words that says what `after` lists, likeliest first, after each word; its vocabulary is what it is told."""

    eos_id = 0

    def __init__(self, words: str, after: dict[str, list[str]]):
        self.words = ["<end>", *words.split("|")]
        self.vocab_size = len(self.words)
        self.table = torch.zeros(self.vocab_size, self.vocab_size)
        for word, likely in after.items():
            for rank, following in enumerate(likely):
                self.table[self.words.index(word), self.words.index(following)] = 5.0 - rank

    def __call__(self, ids):
        return self.table[ids]

    def encode(self, text):
        ids = []
        while text:
            known = [i for i, word in enumerate(self.words) if text.startswith(word)]
            ids.append(max(known, key=lambda i: len(self.words[i])) if known else 0)
            text = text[len(self.words[ids[-1]]) if known else 1:]
        return ids

    def decode(self, ids):
        return "".join(self.words[i] for i in ids)


def lambada(model, bpe, items, **given):
    switches = protocol.choose(cloze.LAMBADA, given)
    rows = cloze.LAMBADA.measure(model, bpe, items, switches)
    return cloze.LAMBADA.score(rows, switches), rows


def test_last_word():
    assert cloze.last_word("He saw a dog") == ("He saw a", " dog")
    assert cloze.last_word("He saw.\n\nPower ") == ("He saw.\n\n", "Power")
    assert cloze.last_word("two of\n\nPower", cut="space") == ("two", " of\n\nPower")
    for text in ("", "word", "  word  ", "\n\n"):
        with pytest.raises(ValueError, match="no last word"):
            cloze.last_word(text)


def test_versions_of_the_text():
    text = PASSAGE["text"]
    assert cloze.lambada_text(text, "as it is") == text
    assert cloze.lambada_text(text, "plain quotes") == text.replace("“", '"').replace("”", '"')
    assert cloze.lambada_text("``Yes,'' said ‘Al’", "plain quotes") == "\"Yes,\" said 'Al'"
    assert cloze.lambada_text(text, "line end first") == "\n" + text.replace("“", '"').replace("”", '"')
    assert cloze.lambada_text(text, "one line") == '"She has a dog." The dog is called Rex, and everybody likes Rex'
    assert cloze.lambada_text("Don't! It's\nRex", "lower case, cut") == "do n't ! it 's rex"


def test_target_and_filter_on_a_model_that_is_known():
    model = Says("a| the| dog| cat| sat|,| bi|rd", {"a": [" the", ",", " dog", " cat"], " bi": [" the", "rd"]})
    found = {}
    for word in (" dog", " bird", " the"):
        for target in ("last word", "last token"):
            for name in ("none", "stop words", "words only"):
                score, rows = lambada(model, model, [{"text": "a" + word}], target=target, filter=name, before="nothing")
                found[word.strip(), target, name] = score["accuracy"]
    assert [found["dog", "last word", name] for name in ("none", "stop words", "words only")] == [0, 0, 100]
    assert [found["bird", "last token", name] for name in ("none", "stop words", "words only")] == [0, 100, 100]
    assert not any(found["bird", "last word", name] for name in ("none", "stop words", "words only"))
    assert [found["the", "last word", name] for name in ("none", "stop words", "words only")] == [100, 0, 0]
    assert rows[0]["target_is_stop_word"] and not lambada(model, model, [{"text": "a dog"}])[1][0]["target_is_stop_word"]


def test_numbers_begin_no_word_and_part_of_a_word_is_no_stop_word():
    model = Says("a| 7| the|me| dog", {"a": [" 7", " dog"], " the": ["me"]})
    row, = lambada(model, model, [{"text": "a dog"}])[1]
    assert (row["none"], row["stop words"], row["words only"]) == ([0], [0], [1])
    assert not lambada(model, model, [{"text": "a theme"}])[1][0]["target_is_stop_word"]
    nats = 5 - math.log(math.exp(5) + 5)
    found = lambada(model, model, [{"text": "a theme"}], target="last token")[0]
    assert found["perplexity"] == pytest.approx(math.exp(-nats), rel=1e-4)


def test_the_passage_is_read_as_the_switches_say(laptop):
    model, bpe = laptop
    passages = [PASSAGE["text"], "She saw ``two'' dogs of\n\nRex"]
    for version in cloze.LAMBADA.switches["text"]:
        for cut in cloze.LAMBADA.switches["cut"]:
            for before, head in (("end of text", [bpe.eos_id]), ("nothing", [])):
                rows = lambada(model, bpe, [{"text": text} for text in passages], text=version, cut=cut, before=before)[1]
                for text, row in zip(passages, rows, strict=True):
                    context, target = cloze.last_word(cloze.lambada_text(text, version), cut)
                    ids = [*head, *bpe.encode(context), *bpe.encode(target)]
                    expected = scoring.rolling(model, [ids])[0][-len(bpe.encode(target)):]
                    assert row["log_p"] == pytest.approx(expected.tolist(), abs=1e-3), (version, cut, before)
    chosen = protocol.choose(cloze.LAMBADA)
    assert {name: chosen[name] for name in ("target", "filter", "text", "cut", "before")} == {
        "target": "last word", "filter": "stop words", "text": "as it is", "cut": "white space", "before": "end of text"}
    measured = {name: value for name, value in chosen.items() if name not in cloze.LAMBADA.scored}
    assert len(measured) == 3 and cloze.LAMBADA.measure(model, bpe, [PASSAGE], measured)  # the others are only counted with


def test_a_token_that_only_begins_a_stop_word_is_not_ruled_out():
    model = Says("a| bi|rd", {"a": [" bi"], " bi": ["rd"]})  # "bill" is on the list
    assert lambada(model, model, [{"text": "a bird"}])[0]["accuracy"] == 100


def test_perplexity_is_of_the_whole_word_or_its_last_token():
    model = Says("a| bi|rd", {"a": [" bi"], " bi": ["rd"]})
    nats = 5 - math.log(math.exp(5) + 3)
    for target, expected in (("last word", math.exp(-2 * nats)), ("last token", math.exp(-nats))):
        assert lambada(model, model, [{"text": "a bird"}], target=target)[0]["perplexity"] == pytest.approx(expected, rel=1e-4)


def test_rows_keep_their_order_and_hostile_items_are_left_out(laptop, passages):
    items = [passages[3], {"text": "word"}, passages[0], {"text": "long " * 300 + "x" * 400}, {"text": "word " * 500 + "end"}]
    _, rows = None, cloze.LAMBADA.measure(*laptop, items, protocol.choose(cloze.LAMBADA))
    assert "no last word" in rows[1]["left_out"] and "the window 128" in rows[3]["left_out"]
    for i in (0, 2, 4):
        alone = cloze.LAMBADA.measure(*laptop, [items[i]], protocol.choose(cloze.LAMBADA))[0]
        np.testing.assert_allclose(rows[i]["log_p"], alone["log_p"], atol=1e-4)
        assert rows[i]["none"] == alone["none"]


def test_lambada_as_the_harness_measures_it(laptop, passages):
    compare(harness(CHECKPOINTS / "world"), *laptop, passages)


def compare(theirs, model, bpe, items):
    """lm_eval's lambada_openai: its context and target, all tokens greedy, perplexity of the target, nothing before a passage."""
    metrics = pytest.importorskip("lm_eval.api.metrics")
    pairs = [(" ".join(item["text"].split(" ")[:-1]), " " + item["text"].split(" ")[-1]) for item in items]
    expected = theirs.loglikelihood(requests("loglikelihood", pairs), disable_tqdm=True)
    ours, rows = lambada(model, bpe, items, filter="none", cut="space", before="nothing")
    for (nats, greedy), row in zip(expected, rows, strict=True):
        assert sum(row["log_p"]) == pytest.approx(nats, abs=2e-3) and all(row["none"]) == greedy
    assert ours["accuracy"] == pytest.approx(100 * metrics.mean([greedy for _, greedy in expected]))
    assert ours["perplexity"] == pytest.approx(metrics.perplexity([nats for nats, _ in expected]), rel=1e-3)
    assert 0 < ours["accuracy"] < 100
    return ours


def test_lambada_file(tmp_path, mirror):
    items = cloze.LAMBADA.read()
    assert len(items) == 5_153 and len(cloze.LAMBADA.read(None, 7)) == 7
    assert sum("\n" in cloze.last_word(item["text"], "space")[1] for item in items) == 7
    assert not any("\n" in cloze.last_word(item["text"])[1] for item in items)


def test_malformed_lines_are_told_and_the_rest_kept(tmp_path):
    path = tmp_path / "lambada.jsonl"
    good, bad = json.dumps(PASSAGE), ["{broken", '["a list"]', '{"passage": "no text"}', '{"text": 5}', '{"text": "lonely"}']
    lines = [good, *bad, "", good]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.warns(LeftOut) as told:
        assert cloze.LAMBADA.read(path) == [PASSAGE, PASSAGE]
    assert [str(w.message).split(":")[0] for w in told] == [f"lambada.jsonl, line {n}" for n in (2, 3, 4, 5, 6)]
    assert cloze.LAMBADA.read(path, 1) == [PASSAGE]
    assert "valid JSON" in str(told[0].message) and "it has no 'text'" in str(told[2].message)
    path.write_text("{broken\n", encoding="utf-8")
    with pytest.warns(LeftOut), pytest.raises(ValueError, match="nothing that can be used"):
        cloze.LAMBADA.read(path)


# -- CBT ------------------------------------------------------------------------------------------------------------------------

QUESTION = "Then XXXXX gave it a bone , and it did n't bark ."
ITEM = {"sentences": ["`` Good dog ! '' said Tom .", "The dog barked ."], "question": QUESTION, "answer": "Tom",
        "options": ["dog", "Tom", "bone"]}
FILE = f"1 `` Good dog ! '' said Tom .\n2 The dog barked .\n21 {QUESTION}\tTom\t\tdog|Tom|bone\n"


def test_cbt_texts():
    context, ends = cloze.cbt_texts(ITEM, "invertible")
    assert context == '"Good dog!" said Tom. The dog barked. Then'
    assert ends[1] == (" Tom", " gave it a bone, and it didn't bark.")
    assert [option for option, _ in ends] == [" dog", " Tom", " bone"]
    context, ends = cloze.cbt_texts(ITEM, "none")
    assert context == "`` Good dog ! '' said Tom . The dog barked . Then"
    assert ends[0] == (" dog", " gave it a bone , and it did n't bark .")


def test_cbt_options_that_share_letters_or_end_the_sentence():
    item = ITEM | {"question": "He saw the XXXXX .", "options": ["dog", "dogs", "bone"], "answer": "dog"}
    context, ends = cloze.cbt_texts(item, "invertible")
    assert context.endswith("He saw the") and ends == [(" dog", "."), (" dogs", "."), (" bone", ".")]


def test_cbt_options_are_whole_words_whatever_stands_beside_them():
    same = ITEM | {"question": "He saw the XXXXX .", "options": ["cat", "cap", "car"], "answer": "cat"}
    context, ends = cloze.cbt_texts(same, "invertible")
    assert context.endswith("He saw the") and [option for option, _ in ends] == [" cat", " cap", " car"]
    # "(a." and "Mr." would be read as one word: the de-tokeniser keeps theirs apart, by a mark before the bracket and the title
    marked = ITEM | {"question": "He saw -LRB- XXXXX .", "options": ["dog", "a.", "Mr"], "answer": "dog"}
    context, ends = cloze.cbt_texts(marked, "invertible")
    assert context.endswith("He saw") and ends[0] == (" (dog", ".") and not any(rest[:1].isalnum() for _, rest in ends)
    for option, (shown, rest) in zip(marked["options"], ends, strict=True):
        whole = " ".join([*marked["sentences"], marked["question"].replace("XXXXX", option)])
        assert context + shown + rest == detokenise(whole, "cbt")
    titles = ITEM | {"question": "He met XXXXX . Then", "options": ["Mr", "dog"], "answer": "dog"}
    for _, ((title, after), (dog, rest)) in [cloze.cbt_texts(titles, "invertible")]:
        assert title.strip(" \u2060") == "Mr" and after.endswith(". Then") and (dog, rest) == (" dog", ". Then")


def test_cbt_scores_the_choice_and_all_that_follows(laptop):
    model, bpe = laptop
    task = cloze.TASKS["cbt-ne"]
    switches = protocol.choose(task)
    row = task.measure(model, bpe, [ITEM], switches)[0]
    context, ends = cloze.cbt_texts(ITEM, "invertible")
    for k, (option, rest) in enumerate(ends):
        given = [bpe.eos_id, *bpe.encode(context)]
        ids = given + bpe.encode(option + rest)
        nats = scoring.rolling(model, [ids])[0][len(given) - 1:]
        n = len(bpe.encode(option))
        assert row["choice"][k] == pytest.approx(nats[:n].sum(), abs=1e-3)
        assert row["rest"][k] == pytest.approx(nats[n:].sum(), abs=1e-3)
    assert row["answer"] == 1 and switches == {"score": "choice and rest", "detokeniser": "invertible", "before": "end of text"}
    other = ITEM | {"options": ["bone", "dog", "cat", "Tom"]}
    measured = {name: value for name, value in switches.items() if name not in task.scored}
    both = task.measure(model, bpe, [{**ITEM, "question": "XXXXX " + "ran and " * 200}, other, ITEM], measured)
    assert "left_out" in both[0] and both[1]["answer"] == 3 and both[2]["answer"] == 1 and len(both[1]["choice"]) == 4
    assert both[2]["choice"] == pytest.approx(row["choice"], abs=1e-3) and both[2]["rest"] == pytest.approx(row["rest"], abs=1e-3)
    rows = [{"choice": [-1, -2], "rest": [-9, -1], "answer": 1}, {"choice": [-1, -2], "rest": [-1, -1], "answer": 0}]
    assert task.score(rows, switches)["accuracy"] == 100
    assert task.score(rows, switches | {"score": "choice only"})["accuracy"] == 50


def test_cbt_options_see_the_same_context(laptop):
    item = ITEM | {"sentences": ["The dog sat by the door ."] * 60, "options": ["dog", "Tom", "a very long name of somebody"]}
    row = cloze.measure_cbt(*laptop, [item], protocol.choose(cloze.TASKS["cbt-cn"]))[0]
    swapped = cloze.measure_cbt(*laptop, [item | {"options": item["options"][::-1]}], protocol.choose(cloze.TASKS["cbt-cn"]))[0]
    np.testing.assert_allclose(row["choice"], swapped["choice"][::-1], atol=1e-3)
    model, bpe = laptop  # the longest option decides how much context there is for all
    context, ends = cloze.cbt_texts(item, "invertible")
    room = 129 - max(len(bpe.encode(option + rest)) for option, rest in ends)
    for k, (option, rest) in enumerate(ends):
        ids = [bpe.eos_id, *bpe.encode(context)][-room:] + bpe.encode(option + rest)
        assert row["choice"][k] == pytest.approx(
            scoring.rolling(model, [ids])[0][room - 1:][:len(bpe.encode(option))].sum(), abs=2e-3)
    over = ITEM | {"question": "XXXXX " + "ran and " * 200, "answer": "dog"}
    assert "the window 128" in cloze.measure_cbt(*laptop, [over], protocol.choose(cloze.TASKS["cbt-cn"]))[0]["left_out"]


def test_cbt_file(tmp_path):
    path = tmp_path / "cbtest_NE_valid_2000ex.txt"
    broken = FILE.replace("XXXXX", "he"), FILE.replace("\tTom\t", "\tJane\t"), "1 one line without fields\n"
    broken += (FILE.replace("\tTom\t", "\tTom\tmore\t"),)
    path.write_text("\n".join([FILE, *broken, FILE]), encoding="utf-8")
    with pytest.warns(LeftOut) as told:
        assert cloze.TASKS["cbt-ne"].read(path) == [ITEM, ITEM]
    assert [str(w.message).split(": ")[1].split(";")[0] for w in told] == [
        "its question has no XXXXX", "its answer 'Jane' is not among its options",
        "its last line is not", "its last line is not"]
    assert cloze.TASKS["cbt-ne"].cell == ("gpt2-table3", "CBT-NE (acc)") and cloze.TASKS["cbt-cn"].cell[1] == "CBT-CN (acc)"
    assert "question at line 5" in str(told[0].message)


def test_cbt_json_lines(tmp_path):
    path = tmp_path / "cbt.jsonl"
    path.write_text(json.dumps(ITEM) + "\n" + json.dumps({"question": "XXXXX"}) + "\n", encoding="utf-8")
    with pytest.warns(LeftOut, match="line 2: it has no 'sentences'"):
        assert cloze.TASKS["cbt-cn"].read(path) == [ITEM]
