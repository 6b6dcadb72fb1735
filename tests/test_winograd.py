"""Winograd schemas: both formats, every switch, sums by hand, and lm-evaluation-harness on the same weights."""

import json
import math
from pathlib import Path

import pytest
import torch

from minigpt import protocol, winograd, world
from minigpt.winograd import LM_EVAL, TASK

# (before, pronoun, after, options, correct answer as files spell it): what the collection holds, in schemas of our own
SCHEMAS = [
    ("The jar would not go into the box because", "it", "was too wide.", ("The jar", "The box"), " A  "),
    ("The jar would not go into the box because", "it", "was too small.", ("The jar", "The box"), "B. "),
    ("A boy pushed the girl, and", "his", "book fell down.", ("A boy", "The girl"), "A."),
    ("Anna saw a cat behind the tree.", "It", "ran away at once.", ("The cat", "The tree"), "A"),
    ("He was tired. Tom's dog barked at the man until", "he", ".", ("Tom", "The man"), "B"),
    ("", "They", "had lost the keys, so The guests asked the hosts.", ("The guests", "The hosts"), "A"),
    ("'Mind the step!' said Mia.", "She", "had seen that   Ann was about to fall.", ("Mia", "Ann"), "B"),
]
ADAPTED = [
    (["The jar would not go into the box because the jar", "The jar would not go into the box because the box"], " was too wide."),
    (["The jar would not go into the box because the jar", "The jar would not go into the box because the box"], " was too small."),
    (["A boy pushed the girl, and a boy's", "A boy pushed the girl, and the girl's"], " book fell down."),
    (["Anna saw a cat behind the tree. The cat", "Anna saw a cat behind the tree. The tree"], " ran away at once."),
    (["He was tired. Tom's dog barked at the man until Tom", "He was tired. Tom's dog barked at the man until the man"], "."),
    (["The guests", "The hosts"], " had lost the keys, so The guests asked the hosts."),
    (["'Mind the step!' said Mia. Mia", "'Mind the step!' said Mia. Ann"], " had seen that Ann was about to fall."),
]


def xml(schemas) -> str:
    """In the collection's own spelling, with its loose spaces and line ends."""
    one = ("<schema><text><txt1>\n{}</txt1>\n<pron> {} </pron><txt2> {} \n</txt2></text><quote><pron>x</pron></quote>"
           "<answers><answer>{} </answer>\n<answer>{}</answer></answers><correctAnswer>{}</correctAnswer></schema>\n")
    made = "".join(one.format(before, pronoun, after, *options, answer) for before, pronoun, after, options, answer in schemas)
    return f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<collection>{made}</collection>'


@pytest.fixture
def collection(tmp_path):
    path = tmp_path / "WSCollection.xml"
    path.write_text(xml(SCHEMAS), encoding="utf-8")
    return path


def test_the_collection_is_read_and_candidates_take_the_pronouns_place(collection):
    items = winograd.read(collection.parent)  # the folder will do
    assert [winograd.forms(item) for item in items] == ADAPTED
    assert [item["gold"] for item in items] == [0, 1, 0, 0, 1, 0, 1] and len(winograd.read(collection, 2)) == 2
    assert winograd.forms(items[0], "raw")[0][1] == "The jar would not go into the box because The box"
    assert winograd.forms(items[2], "raw")[0][0] == "A boy pushed the girl, and A boy"
    for pronoun in ("my", "his", "her", "our", "their", "Her"):
        assert winograd.forms(items[2] | {"pronoun": pronoun})[0][1].endswith(("the girl's", "The girl's")), pronoun
    for pronoun in ("he", "they", "hers"):
        assert not any("'s" in text for text in winograd.forms(items[2] | {"pronoun": pronoun})[0]), pronoun


def test_the_quotation_of_the_pronouns_place_may_stand_first(tmp_path):
    """The collection repeats the clause with the pronoun as a <quote>; what is asked is the <text>."""
    path = tmp_path / "WSCollection.xml"
    made = xml(SCHEMAS[:1]).replace("<schema>", "<schema><quote><txt1>no</txt1><pron>x</pron><txt2>no</txt2></quote>")
    path.write_text(made, encoding="utf-8")
    assert [winograd.forms(item) for item in winograd.read(path)] == ADAPTED[:1]


def test_the_partial_form_gives_the_same_text(collection, tmp_path):
    rows = [{"context_options": contexts, "continuation": f"{rest} ", "gold": "AB".index(schema[4].strip()[0])}
            for (contexts, rest), schema in zip(ADAPTED, SCHEMAS, strict=True)]
    path = tmp_path / "partial.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    items = winograd.read(path)
    assert [winograd.forms(item) for item in items] == ADAPTED
    assert [item["gold"] for item in items] == [item["gold"] for item in winograd.read(collection)]
    with pytest.raises(ValueError, match="raw needs WSCollection.xml"):
        winograd.forms(items[0], "raw")


def plain(gpt, ids, first):
    """Sum of log p of ids[first:], one pass over the tokens before each."""
    with torch.no_grad():
        return sum(float(gpt(torch.tensor([ids[:i]]))[0, -1].double().log_softmax(-1)[ids[i]]) for i in range(first, len(ids)))


def test_sums_are_those_of_the_tokens_one_by_one(gpt, bpe, collection):
    item = winograd.read(collection)[2]
    (context, _), rest = winograd.forms(item)
    head, tail = bpe.encode(context), bpe.encode(rest)
    for given, before in (({}, [bpe.eos_id]), ({"start": "nothing"}, [])):
        row, = winograd.measure(gpt, bpe, [item], protocol.choose(TASK, given))
        ids = [*before, *head, *tail]
        assert row["partial"][0] == pytest.approx(plain(gpt, ids, len(ids) - len(tail)), abs=1e-3)
        assert row["full"][0] == pytest.approx(plain(gpt, ids, 1), abs=1e-3)
        assert row["tokens"] == [len(tail)] * 2 and row["full tokens"][0] == len(ids) - 1
    measured = {name: value for name, value in protocol.choose(TASK).items() if name not in TASK.scored}
    assert len(measured) == 3 and winograd.measure(gpt, bpe, [item], measured)  # what only the score looks at is not needed


def test_each_way_of_scoring_can_decide_otherwise():
    rows = [{"gold": 0, "partial": [-8.0, -9.0], "tokens": [2, 3], "full": [-20.0, -16.0], "full tokens": [10, 4]}]
    scores = {(scoring, mean): winograd.score(rows, {"scoring": scoring, "normalise": mean})["accuracy"]
              for scoring in ("partial", "full") for mean in ("none", "mean")}
    assert scores == {("partial", "none"): 100, ("partial", "mean"): 0, ("full", "none"): 0, ("full", "mean"): 100}
    tie = {"partial": [-1.0, -1.0], "tokens": [2, 2]}
    assert winograd.score([{"gold": 0} | tie, {"gold": 1} | tie, {"gold": 1} | tie, {"gold": 1} | tie],
                          {"scoring": "partial", "normalise": "none"}) == {"accuracy": 25}  # of two that are alike, the first
    assert winograd.score([], {"scoring": "full", "normalise": "none"}) == {}


def test_the_worlds_own_schemas(gpt, bpe):
    items = winograd.read("world", 150)
    switches = protocol.choose(TASK)
    held_out = world.task("pronoun", "test", n=150)
    assert [f"{item['before']} it {item['after']}" for item in items] == [row["text"] for row in held_out]
    assert [item["options"][item["gold"]] for item in items] == [f"the {row['answers'][row['label']]}" for row in held_out]
    accuracy = winograd.score(winograd.measure(gpt, bpe, items, switches), switches)["accuracy"]
    assert len(items) == 150 and accuracy > 60  # chance is 50


def test_the_papers_273_are_the_first_of_the_collection():
    items = list(range(283))
    assert TASK.plan(None, None, items, {"schemas": 273}) == items[:273] and protocol.choose(TASK)["schemas"] == 273
    assert TASK.plan(None, None, items, {"schemas": "all"}) == items


def test_bad_files_and_schemas_are_told(tmp_path, gpt, bpe):
    path = tmp_path / "WSCollection.xml"
    broken = [SCHEMAS[0], ("a", "it", "b", ("x", ""), "A"), ("a", "it", "b", ("x", "y"), "C"), ("a", "it", " ", ("x", "y"), "A"),
              ("a", " ", "b", ("x", "y"), "A"), SCHEMAS[1]]
    path.write_text(xml(broken), encoding="utf-8")
    with pytest.warns(protocol.LeftOut) as told:
        assert len(winograd.read(path)) == 2
    assert [str(one.message).split(":")[0] for one in told] == [f"WSCollection.xml, schema {i}" for i in (2, 3, 4, 5)]
    path.write_text("<collection><schema>", encoding="utf-8")
    with pytest.raises(ValueError, match="is not XML"):
        winograd.read(path)
    for source in (None, tmp_path / "nowhere.xml"):
        with pytest.raises(FileNotFoundError, match="get it at https://"):
            winograd.read(source)
    for wrong in ([], ["x"], ["x", "y", "z"]):
        with pytest.raises(ValueError, match="it needs two options"):
            winograd._two({"gold": 0, "after": "b"}, wrong)
    lines = [{"context_options": ["a", "b"], "continuation": "c", "gold": 2}, {"continuation": "c", "gold": 0},
             {"context_options": ["a 😀", "b"], "continuation": "c 🎉", "gold": 0}]
    path = tmp_path / "x.jsonl"
    path.write_text("not json\n" + "\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.warns(protocol.LeftOut) as told:
        items = winograd.read(path)
    assert [str(one.message).split(":")[0] for one in told] == [f"x.jsonl, line {i}" for i in (1, 2, 3)] and len(items) == 1
    long = {**items[0], "after": "very " * 200}
    rows = winograd.measure(gpt, bpe, [long, items[0]], protocol.choose(TASK))
    assert "do not fit the model's 128 positions" in rows[0]["left_out"] and math.isfinite(rows[1]["partial"][1])
    # exactly as many tokens as positions fit; with one more on either side it does not
    short, item = [len(bpe.encode(text)) for text in ("a the", " c")], {"after": "c", "gold": 0}
    fits = "a" + " the" * (128 - 1 - sum(short) + 1)
    for contexts, fit in (([fits, "a"], True), ([fits + " the", "a"], False), (["a", fits + " the"], False)):
        row, = winograd.measure(gpt, bpe, [item | {"contexts": contexts}], protocol.choose(TASK))
        assert ("left_out" not in row) == fit and (not fit or row["full tokens"][0] == 127)


def test_equal_to_lm_evaluation_harness_on_the_same_weights(gpt, bpe, collection, tmp_path):
    """Its task wsc273 and its own cutting of texts, on documents in the hub data set's form."""
    pytest.importorskip("lm_eval")
    import lm_eval.tasks
    import transformers
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    class Harness(TemplateLM):
        """The harness cuts texts into context and continuation; transformers gives the logits."""

        model = transformers.GPT2LMHeadModel.from_pretrained("minigpt/checkpoints/world").float().eval()
        tokenizer = transformers.GPT2Tokenizer.from_pretrained("minigpt/checkpoints/world")
        eot_token_id = tokenizer.eos_token_id

        def tok_encode(self, string, add_special_tokens=None, **_):
            return self.tokenizer.encode(string, add_special_tokens=False)

        def _loglikelihood_tokens(self, requests, **_):
            out = []
            for _, context, rest in requests:
                with torch.no_grad():
                    logits = self.model(torch.tensor([context + rest])).logits[0, len(context) - 1:-1].log_softmax(-1)
                out.append((float(logits.gather(1, torch.tensor([rest]).T).sum()), False))
            return out

        def loglikelihood_rolling(self, requests, disable_tqdm=False):
            raise NotImplementedError

        generate_until = loglikelihood_rolling

    documents = [{"text": " ".join(f"{before} {pronoun} {after}".split()), "pronoun": pronoun,
                  "pronoun_loc": len(before) + 1 if before else 0, "options": list(options), "label": int("B" in answer)}
                 for before, pronoun, after, options, answer in SCHEMAS]
    path = tmp_path / "documents.jsonl"
    path.write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    config = load_yaml(Path(lm_eval.tasks.__path__[0]) / "wsc273" / "default.yaml") | {"dataset_path": "json", "dataset_name": None,
                                                   "dataset_kwargs": {"data_files": {"test": str(path)}}}
    task = ConfigurableTask(config={**config, "task": "wsc273"})
    task.build_all_requests(rank=0, world_size=1)
    theirs = [total for total, _ in Harness().loglikelihood(task.instances, disable_tqdm=True)]
    switches = protocol.choose(TASK, LM_EVAL)
    rows = winograd.measure(gpt, bpe, winograd.read(collection), switches)
    assert [total for row in rows for total in row["partial"]] == pytest.approx(theirs, abs=2e-3)
    right = [int(theirs[2 * i + 1] > theirs[2 * i]) == document["label"] for i, document in enumerate(documents)]
    assert winograd.score(rows, switches)["accuracy"] == pytest.approx(100 * sum(right) / len(right))
