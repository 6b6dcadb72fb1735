"""Tasks put as a prompt: what the model is given to read, what is cut from what it writes, and how rows become scores."""

import csv
import json
import math
import zipfile

import pytest
import torch

from minigpt import paper, prompting, protocol, zeroshot
from minigpt.prompting import TASKS

coqa, summaries, questions = TASKS["coqa"], TASKS["summaries"], TASKS["questions"]
english, french = TASKS["translation-en-fr"], TASKS["translation-fr-en"]


@pytest.fixture
def writer(monkeypatch):
    """In place of the model's writing: asked[i] is what the i-th call was given, and `writer.says(prompt)` what comes out."""
    class Writer:
        asked, says = [], staticmethod(lambda prompt: " yes.\nNo")

        def __call__(self, model, bpe, prompts, max_new_tokens, **how):
            self.asked.append((list(prompts), max_new_tokens, how))
            texts = [self.says(prompt) for prompt in prompts]
            for stop in how.get("stop", ()):
                texts = [text.split(stop)[0] for text in texts]
            return texts

    made = Writer()
    made.asked = []
    monkeypatch.setattr(prompting, "generate_texts", made)
    return made


def test_every_task_keeps_to_the_protocol():
    assert list(TASKS) == ["winograd", "coqa", "summaries", "translation-en-fr", "translation-fr-en", "questions"]
    for name, task in TASKS.items():
        assert task.name == name and set(task.scored) <= set(task.switches) and protocol.choose(task)
        assert set(task.cells) <= set(task.metrics) and task.score([], protocol.choose(task)) == {}
        for entry, cell in task.cells.values():
            found = paper.get(entry)
            assert cell in found.rows or cell in found.columns


# -- CoQA ----------------------------------------------------------------------------------------------------------------------

STORY = {"source": "cnn", "id": "1", "story": "Ann has a red hat. Bob has none.",
         "questions": [{"input_text": "Who has a hat?", "turn_id": 1}, {"input_text": "Which colour?", "turn_id": 2}],
         "answers": [{"input_text": "Ann", "span_text": "Ann"}, {"input_text": "red", "span_text": "red"}],
         "additional_answers": {"0": [{"input_text": "Ann."}, {"input_text": "a red one"}],
                                "1": [{"input_text": "Ann does"}, {"input_text": "Red"}]}}


def saved(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_coqa_is_read_in_its_official_form(tmp_path):
    short = {**STORY, "answers": STORY["answers"][:1]}
    path = saved(tmp_path / "coqa-dev-v1.0.json", {"version": "1.0", "data": [STORY, short, {"story": "x"}, STORY]})
    with pytest.warns(protocol.LeftOut) as told:
        items = coqa.read(tmp_path)
    assert ["story 2" in str(told[0].message), "story 3" in str(told[1].message)] == [True, True]
    assert len(items) == 4 and len(coqa.read(path, 3)) == 3
    assert items[1] == {"document": STORY["story"], "source": "cnn", "history": [["Who has a hat?", "Ann"]], "last": True,
                        "question": "Which colour?", "accepted": ["red", "a red one", "Red"]}
    assert coqa.plan(None, None, items, {"turns": "last"}) == [items[1], items[3]]
    assert coqa.plan(None, None, items, {"turns": "all"}) == items
    for bad in ("[1", '{"no": 1}', '"text"'):
        path.write_text(bad, encoding="utf-8")
        with pytest.raises(ValueError, match="not in CoQA's form"):
            coqa.read(path)
    with pytest.raises(FileNotFoundError, match="get it at https://nlp.stanford.edu"):
        coqa.read(None)


def test_coqa_prompt_cut_and_score(writer, tmp_path):
    items = coqa.read(saved(tmp_path / "x.json", [STORY]))
    assert prompting.coqa_prompt(items[1]) == ("Ann has a red hat. Bob has none.\n\nQ: Who has a hat?\nA: Ann\n"
                                               "Q: Which colour?\nA:")
    assert prompting.coqa_prompt(items[1], "none") == "Ann has a red hat. Bob has none.\n\nQ: Which colour?\nA:"
    writer.says = lambda prompt: " red\nbut dark\nQ: And Bob?"
    answers = {cut: coqa.measure(None, None, items, protocol.choose(coqa, {"cut": cut}))[1]["answer"]
               for cut in ("line", "next question", "nothing")}
    assert answers == {"line": "red", "next question": "red\nbut dark", "nothing": "red\nbut dark\nQ: And Bob?"}
    assert writer.asked[0][1:] == (24, {"temperature": 0, "stop": ("\n",)})
    hostile = [{**items[1], "document": " "}, items[1], {**items[1], "accepted": [""]}]
    rows = coqa.measure(None, None, hostile, protocol.choose(coqa))
    assert [row.get("left_out") for row in rows] == ["no document", None, "no answer is known"]
    row = {"answer": "Ann", "accepted": ["Ann", "Ann does", "Bob"]}
    # left out in turn: Ann (rest: "Ann does" 2/3), "Ann does" (1), Bob (1)
    assert coqa.score([row], {"people": "leave one out"}) == pytest.approx({"F1": 100 * (2 / 3 + 2) / 3, "exact match": 200 / 3})
    assert coqa.score([row, row | {"answer": "x"}], {"people": "best of all"}) == pytest.approx({"F1": 50, "exact match": 50})


# -- summaries -----------------------------------------------------------------------------------------------------------------

ARTICLE = "One cat came. Two dogs ran. Three birds flew. Four fish swam. Five cows slept."


def test_summaries_are_read_from_three_kinds_of_file(tmp_path):
    rows = [{"article": ARTICLE, "highlights": "A cat came .\nDogs ran ."}, {"article": "x", "highlights": " "}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{", encoding="utf-8")
    with open(tmp_path / "a.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["id", "article", "highlights"])
        table.writeheader()
        table.writerows({"id": 0, **row} for row in rows)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.csv", "a.csv")
    for name in ("a.jsonl", "a.csv", "a.zip"):
        with pytest.warns(protocol.LeftOut):
            items = summaries.read(tmp_path / name)
        assert items == [{"article": ARTICLE, "reference": "A cat came .\nDogs ran ."}]
    (tmp_path / "b.zip").write_text("no archive")
    with pytest.raises(ValueError, match="not a .zip"):
        summaries.read(tmp_path / "b.zip")


def test_a_long_article_loses_its_end_or_its_beginning(bpe):
    ids = bpe.encode(ARTICLE)
    assert prompting.summary_prompt(bpe, ARTICLE, room=1000) == (ARTICLE + "\nTL;DR:", False)
    assert prompting.summary_prompt(bpe, ARTICLE, "none") == (ARTICLE, False)
    room = 12 + len(bpe.encode("\nTL;DR:"))
    assert prompting.summary_prompt(bpe, ARTICLE, room=room) == (bpe.decode(ids[:12]) + "\nTL;DR:", True)
    assert prompting.summary_prompt(bpe, ARTICLE, keep="end", room=room) == (bpe.decode(ids[-12:]) + "\nTL;DR:", True)
    with pytest.raises(ValueError, match="no room for an article"):
        prompting.summary_prompt(bpe, ARTICLE, room=3)


def test_summaries_beside_their_baselines(writer, gpt, bpe):
    pytest.importorskip("rouge_score")
    writer.says = lambda prompt: " One cat came. Two dogs ran.\nThree birds flew. And so on"
    items = [{"article": ARTICLE, "reference": "One cat came.\nTwo dogs ran."},
             {"article": ARTICLE * 20 + " 😀", "reference": "No word."}]
    rows = summaries.measure(gpt, bpe, items, protocol.choose(summaries))
    (prompts, size, how), = writer.asked
    assert size == 100 and how == {"top_k": 2, "seed": 1, "batch_size": 8}
    assert all(len(bpe.encode(prompt)) + 100 <= gpt.config.n_positions and prompt.endswith("\nTL;DR:") for prompt in prompts)
    assert rows[0]["summary"] == ["One cat came.", "Two dogs ran.", "Three birds flew."] == rows[0]["lede"]
    assert [row["shortened"] for row in rows] == [True, True] and len(rows[0]["random"]) == 3
    scores = summaries.score(rows, protocol.choose(summaries))
    assert scores["R-1"] == pytest.approx(50 * 2 * 6 / 15) == scores["lede-3 R-1"] and scores["shortened"] == 100
    assert set(scores) == set(summaries.metrics)
    summaries.measure(gpt, bpe, items, protocol.choose(summaries, {"decoding": "greedy", "hint": "none"}))
    assert writer.asked[1][2] == {"temperature": 0, "batch_size": 8} and not writer.asked[1][0][0].endswith("TL;DR:")


# -- translation ---------------------------------------------------------------------------------------------------------------


def test_translation_reads_both_sides(tmp_path):
    (tmp_path / "n.en").write_text("A cat.\n\nA dog. 😀\n", encoding="utf-8")
    (tmp_path / "n.fr").write_text("Un chat.\nx\nUn  chien.\n", encoding="utf-8")
    with pytest.warns(protocol.LeftOut, match="line 2: one side is empty"):
        items = english.read(tmp_path)
    assert items == [{"en": "A cat.", "fr": "Un chat."}, {"en": "A dog. 😀", "fr": "Un chien."}]
    (tmp_path / "n.fr").write_text("Un chat.\n", encoding="utf-8")
    with pytest.raises(ValueError, match="3 English lines and 1 French"):
        english.read(tmp_path)
    for source in (tmp_path / "n.en", tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match="no folder with one file"):
            french.read(source)


def test_translation_prompts_and_scores(writer, bpe):
    pytest.importorskip("sacrebleu")
    assert prompting.translation_prompt("A cat.", 0) == "A cat. ="
    one = "The minister did not answer the question. = Le ministre n'a pas répondu à la question.\nA cat. ="
    assert prompting.translation_prompt("A cat.", 1) == one
    assert prompting.translation_prompt("Un chat.", 2, "fr").split("\n")[1] == (
        "Le chômage a encore baissé au deuxième trimestre. = Unemployment fell again in the second quarter.")
    with pytest.raises(ValueError, match="there are 10 example pairs, 11 were asked for"):
        prompting.translation_prompt("x", 11)
    writer.says = lambda prompt: " Le chat dort sur le lit. Puis il part.\nA cat. = Un"
    items = [{"en": "The cat sleeps on the bed.", "fr": "Le chat dort sur le lit."}] * 2
    rows = english.measure(None, bpe, items, protocol.choose(english))
    assert writer.asked[0][0][0].count("\n") == 5 and writer.asked[0][2] == {"temperature": 0, "stop": ("\n",)}
    assert rows[0] == {"source": items[0]["en"], "reference": items[0]["fr"], "line": "Le chat dort sur le lit. Puis il part."}
    scores = {cut: english.score(rows, protocol.choose(english, {"cut": cut})) for cut in ("sentence", "line")}
    assert scores["sentence"]["BLEU"] == pytest.approx(100) and 30 < scores["line"]["BLEU"] < 80
    assert scores["line"]["source untranslated"] < 20 and scores["line"]["copies of the source"] == 0
    back = french.measure(None, bpe, items, protocol.choose(french, {"examples": 0}))
    assert back[0]["reference"] == items[0]["en"] and writer.asked[1][0][0] == "Le chat dort sur le lit. ="
    copied = [row | {"line": row["source"]} for row in rows]
    assert english.score(copied, protocol.choose(english))["copies of the source"] == 100
    assert english.score([row | {"line": ""} for row in rows], protocol.choose(english))["BLEU"] == 0


# -- questions -----------------------------------------------------------------------------------------------------------------


def test_questions_are_read(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "who  is it", "answer": ["Ann"]}\nnonsense\n{"question": " ", "answer": []}\n'
                    '{"question": "who", "answer": "Ann"}\n{"question": "why", "answer": []}\n', encoding="utf-8")
    with pytest.warns(protocol.LeftOut) as told:
        items = questions.read(path)
    assert items == [{"question": "who is it", "accepted": ["Ann"]}, {"question": "why", "accepted": []}] and len(told) == 3
    assert prompting.question_prompt("who is it", 1) == "Q: what is the capital of norway?\nA: Oslo\nQ: who is it?\nA:"
    assert prompting.question_prompt("who is it?", 0) == "Q: who is it?\nA:"
    assert prompting.question_prompt("who is it", 0, "as given") == "Q: who is it\nA:"


def test_confidence_is_the_probability_of_the_answer(writer, gpt, bpe):
    writer.says = lambda prompt: "\nnothing" if "silent" in prompt else " a red ball\nQ:"
    items = [{"question": "why", "accepted": []}, {"question": "what is it", "accepted": ["the red ball"]},
             {"question": "silent", "accepted": ["x"]}]
    rows = questions.measure(gpt, bpe, items, protocol.choose(questions, {"examples": 0}))
    assert rows.pop(0) == {"left_out": "no answer is known"} and rows[0]["right"] and not rows[1]["right"]
    prompt, said, line = bpe.encode("Q: what is it?\nA:"), bpe.encode(" a red ball"), bpe.encode("\n")
    with torch.no_grad():
        logs = gpt(torch.tensor([prompt + said + line]))[0].double().log_softmax(-1)
    each = [float(logs[len(prompt) + i - 1, token]) for i, token in enumerate(said + line)]
    assert rows[0]["log_prob"] == pytest.approx(sum(each[:len(said)]), abs=1e-3)
    assert rows[0]["log_prob_line"] == pytest.approx(sum(each), abs=1e-3)
    assert prompting.confidence(rows[0]) == pytest.approx(math.exp(sum(each[:len(said)])), rel=1e-3)
    assert rows[1]["answer"] == "" and prompting.confidence(rows[1]) == 0  # saying nothing is no confident answer


def test_scores_of_questions():
    rows = [{"question": f"who is {i}", "accepted": ["Ann"] if i % 2 else ["Bob"], "answer": "Ann",
             "right": bool(i % 2) or i == 198, "log_prob": math.log((i + 1) / 400), "log_prob_line": -float(i)} for i in range(200)]
    scores = questions.score(rows, protocol.choose(questions))
    assert scores["exact match"] == 50.5 and scores["most confident 1 %"] == 100  # numbers 199 and 198
    assert scores["baseline"] == 0  # 100 Anns and 100 Bobs: without its own, every question sees the other name once more
    assert scores["calibration error"] == pytest.approx(100 * (0.505 - sum(range(1, 201)) / 400 / 200))
    assert [row["probability"] for row in prompting.most_confident(rows, 2)] == pytest.approx([200 / 400, 199 / 400])
    assert prompting.most_confident(rows, 1, "answer and line end")[0]["question"] == "who is 0"
    lined = questions.score(rows, protocol.choose(questions, {"confidence": "answer and line end"}))
    assert lined["most confident 1 %"] == 50 and lined["calibration error"] > scores["calibration error"]


def test_the_whole_way_with_the_shipped_model(gpt, bpe):
    """Every task runs on a model that knows nothing of it; what is longer than its window is cut, not refused."""
    item = {"document": "Ann has a hat. " * 60, "source": "", "history": [["Who?", "Ann"]], "question": "What 😀",
            "accepted": ["a hat"]}
    assert set(coqa.measure(gpt, bpe, [item], protocol.choose(coqa))[0]) == {"answer", "accepted", "source"}
    row, = summaries.measure(gpt, bpe, [{"article": "Ann has a hat. " * 60, "reference": "x"}], protocol.choose(summaries))
    assert row["shortened"] and len(row["summary"]) <= 3
    pair = {"en": "Ann has a hat.", "fr": "Ann a un chapeau."}
    row, = english.measure(gpt, bpe, [pair], protocol.choose(english, {"examples": 0}))
    assert "\n" not in row["line"]
    row, = questions.measure(gpt, bpe, [{"question": "who " * 150, "accepted": ["Ann"]}], protocol.choose(questions))
    assert row["log_prob_line"] is None or row["log_prob_line"] < 0
    assert zeroshot.start(bpe) == [bpe.eos_id]
