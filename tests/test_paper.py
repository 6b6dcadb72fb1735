"""The papers' numbers agree with themselves wherever the papers let one recompute them."""

import pytest

from minigpt import paper

MARKS = {"read", "computed", "read, third party", "figure reading"}


def parameters(vocab_size, n_positions, n_layer, n_head, n_embd, pre_norm):
    """The textbook count: embeddings, 12 d² + 13 d per block, and a final norm in the pre-norm model."""
    block = 12 * n_embd**2 + 13 * n_embd
    return (vocab_size + n_positions) * n_embd + n_layer * block + (2 * n_embd if pre_norm else 0)


@pytest.mark.parametrize("name", paper.PRESETS)
def test_parameter_counts_follow_from_the_presets(name):
    assert parameters(**paper.PRESETS[name]) == paper.PARAMETERS[name]
    assert paper.PRESETS[name]["n_embd"] % paper.PRESETS[name]["n_head"] == 0


@pytest.mark.parametrize("name", paper.PAPER_NAMES)
def test_the_miscounted_sizes_come_from_gpt1s_vocabulary(name):
    shape = paper.PRESETS[name] | {"vocab_size": paper.PRESETS["gpt1"]["vocab_size"]}
    millions = parameters(**shape) / 1e6
    assert round(millions, 2) == paper.WITH_GPT1_VOCABULARY[name]
    assert f"{millions:.0f}M" == paper.PAPER_NAMES[name]
    assert f"{paper.PARAMETERS[name] / 1e6:.0f}M" == paper.RELEASED_NAMES[name]


def test_vocabulary_arithmetic():
    assert paper.fact("gpt1-merges") + paper.fact("gpt1-other-symbols") == paper.PRESETS["gpt1"]["vocab_size"]
    assert paper.fact("gpt2-bytes") + paper.fact("gpt2-merges") + 1 == paper.fact("gpt2-vocabulary")
    assert paper.fact("gpt1-batch") * paper.fact("gpt1-sequence") == paper.fact("gpt1-tokens-per-update")


@pytest.mark.parametrize("name", paper.ENTRIES)
def test_entries_are_complete(name):
    entry = paper.get(name)
    assert entry.id == name and entry.where and entry.caption and entry.mark in MARKS
    for label, values in entry.rows.items():
        assert label and len(values) == len(entry.columns), label


def test_every_table_and_figure_is_there():
    assert [f"gpt1-table{i}" in paper.ENTRIES for i in range(1, 6)] == [True] * 5
    assert [f"gpt2-table{i}" in paper.ENTRIES for i in range(1, 7)] == [True] * 6
    assert [f"gpt2-fig{i}" in paper.ENTRIES for i in range(1, 6)] == [True] * 5
    assert all(fact.mark in MARKS and fact.where for fact in paper.FACTS.values())


def test_averages_that_the_papers_print():
    for row in paper.get("gpt1-table5").rows.values():
        average, scores = row[0], row[1:]
        assert abs(sum(scores) / len(scores) - average) < 0.07
    for *scores, average in paper.get("gpt2-table4").rows.values():
        assert abs(sum(scores) / 3 - average) < 0.006
    for row, mean in zip(paper.get("gpt2-table6").rows.values(), (5.9, 3.2), strict=True):
        assert abs(sum(row) / 6 - mean) < 0.05
    full, scratch = (paper.get("gpt1-table5").rows[f"Transformer {name}"][0] for name in
                     ("w/ aux LM (full)", "w/o pre-training"))
    assert round(full - scratch, 1) == paper.fact("gpt1-no-pretraining-cost")


def test_cells_and_unknown_names():
    assert paper.get("gpt2-table3").value("345M", "CBT-NE (acc)") == 87.1
    assert "LAMBADA (acc)" in paper.get("gpt2-table3").as_dicts()["117M"]
    assert "SNLI" not in paper.get("gpt1-table2").as_dicts()["GenSen"]
    with pytest.raises(KeyError, match="gpt1-table1"):
        paper.get("gpt1-table9")
    with pytest.raises(KeyError, match="columns"):
        paper.get("gpt2-table3").value("345M", "accuracy")
    with pytest.raises(KeyError, match="gpt1-lr"):
        paper.fact("gpt1-nothing")
