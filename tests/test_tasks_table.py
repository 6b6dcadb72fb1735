"""Table 1 as data: complete, read from a folder and from the world, and every way in which data can be wrong."""

import json

import pytest

from minigpt import BPE, hub, paper, tasks, world
from minigpt.tasks import Example, transform


def test_table_1_is_complete():
    assert list(tasks.TABLE1) == "snli mnli qnli rte scitail race storycloze mrpc qqp stsb sst2 cola".split()
    by_format = {fmt: [t.name for t in tasks.TABLE1.values() if t.format == fmt] for fmt in tasks.FORMATS}
    assert by_format["similarity"] == ["mrpc", "qqp", "stsb"] and by_format["choice"] == ["race", "storycloze"]
    assert by_format["classification"] == ["sst2", "cola"] and len(by_format["entailment"]) == 5
    assert sum(len(row[0].split(",")) for row in paper.get("gpt1-table1").rows.values()) == len(tasks.TABLE1)
    printed = {name: task.printed for name, task in tasks.TABLE1.items()}
    assert printed == dict(snli=89.9, mnli=82.1, qnli=88.1, rte=56.0, scitail=88.3, race=59.0, storycloze=86.5, mrpc=82.3, qqp=70.3,
                           stsb=82.0, sst2=91.3, cola=45.4)
    assert {name: tasks.get(name).metrics[0] for name in ("mrpc", "qqp", "stsb", "cola", "rte")} == dict(
        mrpc="f1", qqp="f1", stsb="pearson", cola="matthews", rte="accuracy")
    for task in tasks.TASKS.values():
        assert task.format in tasks.FORMATS and set(task.metrics) <= set(tasks.METRICS)
        assert (task.format == "choice") == bool(task.answers) and bool(task.labels) != bool(task.limits)
        assert task.source == "world" or (task.note or task.revision)
    assert [tasks.get(name).n_outputs for name in ("race", "snli", "rte", "stsb")] == [1, 3, 2, 6]
    for name, task in tasks.TABLE1.items():  # pinned, and the download uses the pin
        assert (task.revision is None) == (name == "storycloze")
        assert task.revision is None or hub.REVISIONS["/".join(task.source.split("/")[:2])] == task.revision
    assert "nyu-mll/glue/rte @ bcdcba7" in repr(tasks.table()) and "ask its authors" in tasks.table()._repr_html_()
    with pytest.raises(ValueError, match="unknown task 'rtt': choose one of snli"):
        tasks.get("rtt")


def test_the_worlds_tasks():
    assert tuple(tasks.THE_WORLDS) == world.TASKS
    for name, task in tasks.THE_WORLDS.items():
        examples = tasks.read(name, "train", 40)
        assert len(examples) == 40 and sum(e.label for e in examples) == 20
        assert tasks.read(name, "train", 10) == examples[:10] != tasks.read(name, "train", 10, seed=1)
        for e in examples:  # each makes as many sequences as its format says
            count = {"similarity": 2, "choice": 2}.get(task.format, 1)
            assert len(transform(e, task.format, lambda text: [1], 2, 3, 4, 99)) == count and 0 <= e.label < 2
    e = tasks.read("qa", "train", 1)[0]
    assert len(e.segments) == 2 and e.answers[e.label] in e.segments[0]


def test_a_pronoun_becomes_a_choice():
    """The sentence up to the pronoun is the context; each noun, with what follows the pronoun, is an answer."""
    assert tasks.substitution("The cat saw a dog, and it was big.") == ("The cat saw a dog, and", " was big.")
    assert tasks.substitution("It was so, and it was it, said it .") == ("It was so, and it was it, said", " .")
    e = tasks.read("pronoun", "train", 1)[0]
    row = world.task("pronoun", "train", 1)[0]
    assert row["text"].startswith(e.segments[0]) and e.answers[0] == f"the {row['answers'][0]}{row['text'].split(' it')[1]}"
    assert e.segments[0].endswith(", and") and all(a.startswith("the ") and a.endswith(".") for a in e.answers)
    nouns = [a[len("the "):].split(" was ")[0] for a in e.answers]
    assert all(noun in e.segments[0] for noun in nouns) and len(set(nouns)) == 2
    with pytest.raises(ValueError, match="there is no pronoun 'it' in 'bitter.'"):
        tasks.substitution("bitter.")


# -- data from a folder ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Writes splits of a data set into a mirror folder: folder("nyu-mll/glue/rte", train=[rows])."""
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def write(source, **splits):
        place = tmp_path / source
        place.mkdir(parents=True, exist_ok=True)
        for split, rows in splits.items():
            text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
            (place / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return write


def rte(n=4, **changes):
    return [{"sentence1": f"one {i}", "sentence2": f"two {i}", "label": i % 2, "idx": i} | changes for i in range(n)]


def test_a_mirror_folder_is_read(folder):
    folder("nyu-mll/glue/rte", train=rte(6), validation=rte(2), test=rte(3, label=-1))
    examples = tasks.read("rte", "train")
    assert examples[3] == Example(("one 3", "two 3"), (), 1) and len(examples) == 6
    some = tasks.read("rte", "train", 3, seed=1)
    assert len(some) == 3 and set(some) < set(examples) and some[:2] == tasks.read("rte", "train", 2, seed=1)
    assert {tuple(tasks.read("rte", "train", 3, seed=s)) for s in range(5)} != {tuple(some)}
    assert len(tasks.read("rte", "validation", 100)) == 2
    assert [e.label for e in tasks.read("rte", "test")] == [None] * 3


def test_each_data_sets_own_ways(folder):
    pair = {"premise": "a", "hypothesis": "b"}
    folder("stanfordnlp/snli/plain_text", train=[pair | {"label": label} for label in (0, -1, 2)])
    assert [e.label for e in tasks.read("snli", "train")] == [0, 2]  # -1: the annotators did not agree
    folder("allenai/scitail/tsv_format", train=[pair | {"label": label} for label in ("neutral", "entails")])
    assert [e.label for e in tasks.read("scitail", "train")] == [1, 0]
    folder("nyu-mll/glue/mnli", train=[pair | {"label": 1}])
    folder("nyu-mll/glue/mnli_matched", validation=[pair | {"label": 0}])
    folder("nyu-mll/glue/mnli_mismatched", validation=[pair | {"label": 2}])
    assert [tasks.read("mnli", split)[0].label for split in ("train", "validation", "mismatched")] == [1, 0, 2]
    race = {"article": "z", "question": "q", "options": ["a", "b", "c", "d"], "answer": "C"}
    folder("ehovy/race/all", train=[race])
    assert tasks.read("race", "train") == [Example(("z", "q"), ("a", "b", "c", "d"), 2)]
    folder("nyu-mll/glue/stsb", train=[{"sentence1": "a", "sentence2": "b", "label": 3.8}], test=rte(1, label=-1.0))
    assert tasks.read("stsb", "train")[0].label == 3.8 and tasks.read("stsb", "test")[0].label is None


def test_story_cloze_is_split_as_openai_did(folder):
    rows = [{f"input_sentence_{i}": f"s{i}" for i in (1, 2, 3, 4)} | {"sentence_quiz1": f"x{n}", "sentence_quiz2": "y",
            "answer_right_ending": 1 + n % 2} for n in range(1871)]
    folder("LSDSem/story_cloze/2016", validation=rows, test=rows[:5])
    train, dev = tasks.read("storycloze", "train"), tasks.read("storycloze", "validation")
    assert (len(train), len(dev), len(tasks.read("storycloze", "test"))) == (1497, 374, 5)
    assert not set(train) & set(dev) and len(train[0].segments) == 4 and len(train[0].answers) == 2
    assert {e.label for e in train} == {0, 1} and dev[0].label == int(dev[0].answers[0][1:]) % 2
    folder("LSDSem/story_cloze/2016", validation=rows[:100])
    with pytest.raises(ValueError, match="374 examples are to be held out, but LSDSem/story_cloze/2016 has only 100"):
        tasks.read("storycloze", "train")


@pytest.mark.parametrize("name, rows, message", [
    ("rte", [{"sentence1": "a", "text": "b", "label": 0}], "the train split has no column 'sentence2'; it has: sentence1, text"),
    ("rte", [{"sentence1": "a", "sentence2": "b"}], "rte: the train split has no column 'label'"),
    ("rte", rte(2, label=7), "rte, train, example 1: the label 7 is not one of: 0 entailment, 1 not_entailment"),
    ("rte", rte(2, label=-1), "the label -1 is not one of"),
    ("rte", rte(2) + rte(1, label=None), "example 3: the label None is not one of"),
    ("rte", rte(2, label="maybe"), "the label 'maybe' is not one of"),
    ("rte", rte(2, label=True), "the label True is not one of"),
    ("rte", rte(2) + rte(1, sentence2=None), "rte, train, example 3: sentence2 must be a text, not None; is the file whole?"),
    ("rte", rte(2, sentence1=5), "sentence1 must be a text, not 5"),
    ("rte", "", "rte"),
    ("rte", json.dumps(rte(1)[0]) + '\n{"sentence1": "cut he', "cannot be read as json"),
    ("stsb", rte(1, label=5.5), "the label must be a number from 0 to 5, not 5.5"),
    ("stsb", rte(1, label=-1.0), "the label must be a number from 0 to 5, not -1"),
    ("race", [{"article": "z", "question": "q", "options": ["a", "b"], "answer": "C"}], "label is 'C', but there are only 2 an"),
    ("race", [{"article": "z", "question": "q", "options": [], "answer": "A"}], "answers must be a list of texts, not \\[\\]"),
    ("race", [{"article": "z", "question": "q", "options": "ab", "answer": "A"}], "answers must be a list of texts, not 'ab'"),
    ("race", [{"article": "z", "question": "q", "options": ["a", None], "answer": "A"}], "answer 2 must be a text, not None"),
])
def test_bad_data_ends_in_one_line(folder, name, rows, message):
    folder(tasks.get(name).source, train=rows)
    with pytest.raises(ValueError, match=message) as caught:
        tasks.read(name, "train")
    assert "\n" not in str(caught.value)


def test_bad_requests_end_in_one_line(folder):
    folder("stanfordnlp/snli/plain_text", train=[{"premise": "a", "hypothesis": "b", "label": -1}])
    folder("nyu-mll/glue/rte", train=rte(2))
    for request, message in [
        (lambda: tasks.read("snli", "train"), "snli: the train split holds no examples"),
        (lambda: tasks.read("rte", "dev"), "rte has no split 'dev': choose one of train, validation, test"),
        (lambda: tasks.read("rte", "validation"), "nyu-mll/glue/rte has no validation split here; it has: train"),
        (lambda: tasks.read("rte", "train", 0), "a whole number from 1 on, not 0"),
        (lambda: tasks.read("sentiment", "train", -3), "a whole number from 1 on, not -3"),
        (lambda: tasks.read("nothing", "train"), "unknown task 'nothing'"),
    ]:
        with pytest.raises(ValueError, match=message):
            request()
    with pytest.raises(hub.HubError, match="nyu-mll/glue|scitail"):
        tasks.read("scitail", "train")


def test_half_a_parquet_file(folder, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    place = tmp_path / "nyu-mll/glue/rte"
    place.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(rte(500)), place / "train.parquet")
    assert len(tasks.read("rte", "train")) == 500
    whole = (place / "train.parquet").read_bytes()
    (place / "train.parquet").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(ValueError, match="train.parquet cannot be read as parquet") as caught:
        tasks.read("rte", "train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name, size", [("rte", 277), ("cola", 1043), ("sst2", 872), ("stsb", 1500), ("mrpc", None)])
def test_the_real_data_sets(mirror, monkeypatch, name, size):
    monkeypatch.setenv("MINIGPT_DATA", str(mirror))
    examples = tasks.read(name, "validation")
    assert size in (None, len(examples)) and len(examples) > 200
    task, bpe = tasks.get(name), BPE.load("world")
    for example in examples[:50]:
        for ids in transform(example, task.format, bpe.encode, *tasks.special_ids(bpe.vocab_size), 64):
            assert len(ids) <= 64 and ids[0] == bpe.vocab_size and ids[-1] == bpe.vocab_size + 2
