"""The two papers' numbers as data: GPT-1 (Radford et al. 2018) and GPT-2 (Radford et al. 2019).

Every number that this project quotes from a paper stands here and nowhere else, with its place and a mark that
says how it is known:

    "read"         printed in the paper, or set in the code that its authors released
    "computed"     arithmetic on things that were read
    "read, third party"   found in somebody else's description of the paper
    "figure reading"      read off a plotted curve, which carries no printed values

`get("gpt2-table3")` gives a table or figure, `PRESETS["gpt2"]` what a model configuration needs, `FACTS[name]` a number
from the running text.
"""

from dataclasses import dataclass, field

GPT1, GPT2 = "GPT-1", "GPT-2"

# What GPTConfig needs: GPT-1 sections 3.1 and 4.1; GPT-2 sections 2.2 and 2.3, Table 2. GPT-2's paper prints no
# number of heads: those are the released configurations'.
PRESETS = {
    "gpt1": dict(vocab_size=40478, n_positions=512, n_layer=12, n_head=12, n_embd=768, pre_norm=False),
    "gpt2": dict(vocab_size=50257, n_positions=1024, n_layer=12, n_head=12, n_embd=768, pre_norm=True),
    "gpt2-medium": dict(vocab_size=50257, n_positions=1024, n_layer=24, n_head=16, n_embd=1024, pre_norm=True),
    "gpt2-large": dict(vocab_size=50257, n_positions=1024, n_layer=36, n_head=20, n_embd=1280, pre_norm=True),
    "gpt2-xl": dict(vocab_size=50257, n_positions=1024, n_layer=48, n_head=25, n_embd=1600, pre_norm=True),
}
# The exact number of parameters of each preset (computed: vocabulary and window as above, tied head, biases).
PARAMETERS = {
    "gpt1": 116_534_784,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}
PAPER_NAMES = {"gpt2": "117M", "gpt2-medium": "345M", "gpt2-large": "762M", "gpt2-xl": "1542M"}  # GPT-2 Table 2
RELEASED_NAMES = {"gpt2": "124M", "gpt2-medium": "355M", "gpt2-large": "774M", "gpt2-xl": "1558M"}
# GPT-2's sizes in millions with GPT-1's vocabulary and a window of 1,024 (computed): they round to the paper's names.
WITH_GPT1_VOCABULARY = {"gpt2": 116.93, "gpt2-medium": 344.81, "gpt2-large": 761.51, "gpt2-xl": 1541.96}


@dataclass(frozen=True)
class Fact:
    """One number of the running text: value, where it stands, how it is known."""

    value: object
    where: str
    mark: str = "read"


FACTS = {
    # GPT-1, section 4.1 and the released code
    "gpt1-ffn": Fact(3072, "GPT-1 §4.1"),
    "gpt1-merges": Fact(40_000, "GPT-1 §4.1"),
    "gpt1-other-symbols": Fact(478, "GPT-1's released vocabulary file", "computed"),
    "gpt1-books": Fact(7_000, "GPT-1 §4.1 (“over 7,000 unique unpublished books”)"),
    "gpt1-epochs": Fact(100, "GPT-1 §4.1"),
    "gpt1-batch": Fact(64, "GPT-1 §4.1"),
    "gpt1-sequence": Fact(512, "GPT-1 §4.1"),
    "gpt1-tokens-per-update": Fact(32_768, "GPT-1 §4.1: 64 sequences of 512", "computed"),
    "gpt1-lr": Fact(2.5e-4, "GPT-1 §4.1"),
    "gpt1-warmup": Fact(2_000, "GPT-1 §4.1"),
    "gpt1-dropout": Fact(0.1, "GPT-1 §4.1"),
    "gpt1-weight-decay": Fact(0.01, "GPT-1 §4.1"),
    "gpt1-init-std": Fact(0.02, "GPT-1 §4.1"),
    "gpt1-adam": Fact((0.9, 0.999, 1e-8), "GPT-1's fine-tuning code; the paper prints none"),
    "gpt1-clip": Fact(1.0, "GPT-1's fine-tuning code; the paper is silent for pre-training"),
    "gpt1-finetune-lr": Fact(6.25e-5, "GPT-1 §4.1"),
    "gpt1-finetune-batch": Fact(32, "GPT-1 §4.1"),
    "gpt1-finetune-epochs": Fact(3, "GPT-1 §4.1 (“for most cases”)"),
    "gpt1-finetune-warmup": Fact(0.002, "GPT-1 §4.1: the first 0.2 % of training"),
    "gpt1-lambda": Fact(0.5, "GPT-1 §4.1"),
    "gpt1-best-of-12": Fact(9, "GPT-1 abstract: state of the art on 9 of 12 data sets"),
    "gpt1-story-cloze-median": Fact(85.8, "GPT-1's released code: median of 10 runs (the paper: one run, 86.5)"),
    "gpt1-no-pretraining-cost": Fact(14.8, "GPT-1 §5: points lost on average without pre-training"),
    # GPT-2, sections 2-4
    "gpt2-bytes": Fact(256, "GPT-2 §2.2"),
    "gpt2-merges": Fact(50_000, "GPT-2's released vocabulary file", "computed"),
    "gpt2-vocabulary": Fact(50_257, "GPT-2 §2.3"),
    "gpt2-batch": Fact(512, "GPT-2 §2.3"),
    "gpt2-sequence": Fact(1_024, "GPT-2 §2.3"),
    "gpt2-init-std": Fact((0.02, 0.01), "GPT-2's released code: token and position embeddings"),
    "gpt2-links": Fact(45_000_000, "GPT-2 §2.1"),
    "gpt2-karma": Fact(3, "GPT-2 §2.1"),
    "gpt2-documents": Fact(8_000_000, "GPT-2 §2.1 (“slightly over 8 million”)"),
    "gpt2-gigabytes": Fact(40, "GPT-2 §2.1"),
    "gpt2-until": Fact("December 2017", "GPT-2 §2.1: no links created after"),
    "openwebtext-documents": Fact(8_013_769, "nanoGPT's README: documents of OpenWebText, a re-creation", "read, third party"),
    "gpt2-wins": Fact((7, 8), "GPT-2 abstract: state of the art on 7 of 8 language modelling data sets"),
    "gpt2-detokenizer-gain": Fact((2.5, 5), "GPT-2 §3.1: perplexity gained by invertible de-tokenizers"),
    "gpt2-lambada-unfiltered": Fact(52.66, "GPT-2 §3.3: accuracy without the stop-word filter"),
    "gpt2-winograd": Fact(70.70, "GPT-2 §3.4: accuracy on 273 schemas"),
    "gpt2-coqa": Fact(55, "GPT-2 §3.5: F1, development set, greedy"),
    "gpt2-en-fr": Fact(5, "GPT-2 §3.7: BLEU, WMT-14 English to French"),
    "gpt2-fr-en": Fact(11.5, "GPT-2 §3.7: BLEU, WMT-14 French to English"),
    "gpt2-nq": Fact(4.1, "GPT-2 §3.8: exact match, Natural Questions"),
    "gpt2-nq-confident": Fact(63.1, "GPT-2 §3.8: accuracy on the most confident 1 %"),
    "gpt2-summary-sampling": Fact((2, 100), "GPT-2 §3.6: top-k of the summaries, and how many tokens are drawn"),
    "gpt2-sample-top-k": Fact(40, "GPT-2, caption of Figure 5 and appendix"),
    "gpt2-sample-lengths": Fact((768, 256), "GPT-2 appendix, Tables 7-11: tokens given, tokens written", "read, third party"),
    "gpt2-sample-six": Fact((384, 128, 6), "GPT-2 appendix, Table 12: tokens given, written, and how often", "read, third party"),
    "gpt2-sample-picked": Fact(10, "GPT-2 appendix, Table 13: the unicorn text is the best of so many", "read, third party"),
    "gpt2-winograd-right": Fact((193, 273), "GPT-2 §3.4: 70.70 % of 273 schemas", "computed"),
    "gpt2-winograd-gain": Fact(7, "GPT-2 §3.4: points above the state of the art"),
    "gpt2-coqa-pairs": Fact(127_000, "GPT-2 §3.5: question-answer pairs that the supervised baselines were trained on (“over”)"),
    "gpt2-coqa-again": Fact(28.7, "openai/gpt-2#307: gpt2-xl on the official development set with the official scorer",
                            "read, third party"),
    "gpt2-hint-worth": Fact(6.4, "GPT-2 §3.6: points of R-AVG lost without the hint"),
    "gpt2-unsupervised-fr-en": Fact(33.5, "GPT-2 §3.7: BLEU of the best unsupervised translation, French to English"),
    "gpt2-french-megabytes": Fact(10, "GPT-2 §3.7: French text that a detector found in WebText"),
    "gpt2-nq-baseline": Fact(1.0, "GPT-2 §3.8: exact match of the most common answer for each type of question"),
    "gpt2-nq-open-domain": Fact((30, 50), "GPT-2 §3.8: exact match of systems that look the answer up"),
    "gpt2-bloom": Fact(1e-8, "GPT-2 §4: bound on the false positive rate", "read, third party"),
    "gpt2-bloom-strings": Fact(1_000_000, "GPT-2 §4: strings generated to check the filter; none was found in it"),
    "gpt2-overlap-means": Fact((5.9, 3.2), "GPT-2 §4: mean overlap in Table 6 with the own training set, with WebText"),
    "gpt2-lambada-overlap": Fact(1.2, "GPT-2 §4: mean overlap of LAMBADA with WebText, %"),
    "gpt2-lambada-clean": Fact((8.6, 8.7, 63.2, 62.9), "GPT-2 §4: perplexity and accuracy on LAMBADA, all and without overlap"),
    "gpt2-coqa-overlap": Fact((15, 3), "GPT-2 §4: per cent of CoQA's news in WebText; about how many points of F1 more there"),
    "gpt2-sample-overlap": Fact(1, "GPT-2, Figure 5: most samples have less than so many per cent", "read, third party"),
    "gpt2-no-overlap": Fact(30, "GPT-2, Figure 5: more than so many per cent of the samples have no overlap", "read, third party"),
    "gpt2-gettysburg": Fact(40, "GPT-2 appendix: about how often the Gettysburg Address stands in WebText", "read, third party"),
    # Other people's numbers for GPT-2's checkpoints (not the paper's): who measured, and how
    "lambada-passages": Fact(5_153, "OpenAI's LAMBADA test file, counted", "computed"),
    "lambada-several-tokens": Fact(22.1, "OpenAI's LAMBADA test file: last words of several GPT-2 tokens, %", "computed"),
    "replicated-lambada-harness": Fact((32.56, 40.06), "124M, last word, no filter: accuracy and perplexity by "
                                       "lm-evaluation-harness, as posted in its issue 2159", "read, third party"),
    "replicated-lambada-harness-xl": Fact((51.21, 10.634), "1.5B, the same, from GPT-Neo's README", "read, third party"),
    "replicated-lambada-last-token": Fact(46.67, "124M, last BPE token (cybertronai/bflm)", "read, third party"),
    "replicated-lambada-filter": Fact(41.98, "124M, last word, NLTK's stop words (cybertronai/bflm)", "read, third party"),
    "replicated-lambada-cut": Fact((26, 31.5), "124M, last word, the tokenised first release: no filter, filter "
                                   "(cybertronai/bflm)", "read, third party"),
    "replicated-wikitext2-large": Fact((19.44, 16.44), "774M, WikiText-2 raw, per token, stride 1,024 and 512 "
                                       "(transformers' manual)", "read, third party"),
    "replicated-wikitext2-small": Fact(29.94, "124M, WikiText-2 raw, per token, as posted in transformers' issue 13761",
                                       "read, third party"),
    "replicated-wikitext-context": Fact((29.17, 43.34), "124M, WikiText-2, context 1,024 and 256, as posted in "
                                        "transformers' issue 483", "read, third party"),
    "replicated-wikitext-harness": Fact(37.37, "124M, WikiText test, per word, de-tokenised, lm-evaluation-harness, as posted",
                                        "read, third party"),
    "replicated-wikitext103-detokenised": Fact((30.13, 33.19), "124M, WikiText-103 validation, per token: raw, de-tokenised "
                                               "(joeshmoe0112358/gpt2eval)", "read, third party"),
}


@dataclass(frozen=True)
class Entry:
    """A table or figure: rows map a label to one value per column (None where the paper prints nothing)."""

    id: str
    paper: str
    where: str
    caption: str
    columns: tuple = ()
    rows: dict = field(default_factory=dict)
    mark: str = "read"
    note: str = ""

    def value(self, row, column):
        """One cell; KeyError in one line for an unknown row or column."""
        if row not in self.rows or column not in self.columns:
            known = f"rows: {list(self.rows)}, columns: {list(self.columns)}"
            raise KeyError(f"{self.id} has no cell ({row!r}, {column!r}); {known}")
        return self.rows[row][self.columns.index(column)]

    def as_dicts(self):
        """The rows as {label: {column: value}}, without the empty cells."""
        return {
            label: {name: value for name, value in zip(self.columns, values, strict=True) if value is not None}
            for label, values in self.rows.items()
        }


def get(name):
    """The table or figure called `name`, such as "gpt1-table5" or "gpt2-fig4".

    Raises KeyError, in one line that lists the names, when there is none.
    """
    if name not in ENTRIES:
        raise KeyError(f"no table or figure {name!r}; there are: {', '.join(ENTRIES)}")
    return ENTRIES[name]


def fact(name):
    """The value of one number of the running text, as `fact("gpt1-lr")`."""
    if name not in FACTS:
        raise KeyError(f"no fact {name!r}; there are: {', '.join(FACTS)}")
    return FACTS[name].value


def _rows(text):
    """Rows written as "label | value value - value": '-' is an empty cell, other words stay text."""

    def cell(word):
        if word == "-":
            return None
        try:
            return int(word) if word.lstrip("-").isdigit() else float(word)
        except ValueError:
            return word

    lines = (line.split("|") for line in text.strip().splitlines())
    return {label.strip(): tuple(cell(word) for word in values.split()) for label, values in lines}


ENTRIES = {entry.id: entry for entry in (
    Entry("gpt1-fig1-left", GPT1, "Figure 1 left", "The Transformer architecture and the training objectives"),
    Entry("gpt1-fig1-right", GPT1, "Figure 1 right", "Input transformations for the tasks"),
    Entry("gpt1-table1", GPT1, "Table 1", "The tasks and their data sets", ("data sets",), {
        "Natural language inference": ("SNLI, MultiNLI, Question NLI, RTE, SciTail",),
        "Question answering": ("RACE, Story Cloze",),
        "Sentence similarity": ("MSR Paraphrase Corpus, Quora Question Pairs, STS Benchmark",),
        "Classification": ("Stanford Sentiment Treebank-2, CoLA",),
    }),
    Entry("gpt1-perplexity", GPT1, "§4.1", "Language modelling of BooksCorpus, perplexity per BPE token",
          ("perplexity",), {"Transformer LM": (18.4,)}, note="the split is not stated"),
    Entry("gpt1-table2", GPT1, "Table 2", "Natural language inference, accuracy in %",
          ("MNLI-m", "MNLI-mm", "SNLI", "SciTail", "QNLI", "RTE"), _rows("""
        ESIM + ELMo (5x)               | - - 89.3 - - -
        CAFE (5x)                      | 80.2 79.0 89.3 - - -
        Stochastic Answer Network (3x) | 80.6 80.1 - - - -
        CAFE                           | 78.7 77.9 88.5 83.3 - -
        GenSen                         | 71.4 71.3 - - 82.3 59.2
        Multi-task BiLSTM + Attn       | 72.2 72.1 - - 82.1 61.7
        Finetuned Transformer LM       | 82.1 81.4 89.9 88.3 88.1 56.0""")),
    Entry("gpt1-table3", GPT1, "Table 3", "Question answering and commonsense reasoning, accuracy in %",
          ("Story Cloze", "RACE-m", "RACE-h", "RACE"), _rows("""
        val-LS-skip              | 76.5 - - -
        Hidden Coherence Model   | 77.6 - - -
        Dynamic Fusion Net (9x)  | - 55.6 49.4 51.2
        BiAttention MRU (9x)     | - 60.2 50.3 53.3
        Finetuned Transformer LM | 86.5 62.9 57.4 59.0""")),
    Entry("gpt1-table4", GPT1, "Table 4", "Classification and similarity (mc: Matthews, pc: Pearson correlation)",
          ("CoLA (mc)", "SST2 (acc)", "MRPC (F1)", "STSB (pc)", "QQP (F1)", "GLUE"), _rows("""
        Sparse byte mLSTM               | - 93.2 - - - -
        TF-KLD                          | - - 86.0 - - -
        ECNU (mixed ensemble)           | - - - 81.0 - -
        Single-task BiLSTM + ELMo + Attn | 35.0 90.2 80.2 55.5 66.1 64.8
        Multi-task BiLSTM + ELMo + Attn | 18.9 91.6 83.5 72.8 63.3 68.9
        Finetuned Transformer LM        | 45.4 91.3 82.3 82.0 70.3 72.8""")),
    Entry("gpt1-table5", GPT1, "Table 5", "Ablations (Avg: the unweighted mean)",
          ("Avg", "CoLA (mc)", "SST2 (acc)", "MRPC (F1)", "STSB (pc)", "QQP (F1)", "MNLI (acc)", "QNLI (acc)",
           "RTE (acc)"), _rows("""
        Transformer w/ aux LM (full)  | 74.7 45.4 91.3 82.3 82.0 70.3 81.8 88.1 56.0
        Transformer w/o pre-training  | 59.9 18.9 84.0 79.4 30.9 65.5 75.7 71.2 53.8
        Transformer w/o aux LM        | 75.0 47.9 92.0 84.9 83.2 69.8 81.1 86.9 54.4
        LSTM w/ aux LM                | 69.1 30.3 90.5 83.2 71.8 68.1 73.7 81.1 54.6""")),
    Entry("gpt1-fig2-left", GPT1, "Figure 2 left", "Development accuracy against the number of layers transferred",
          ("0 layers", "12 layers"), _rows("""
        RACE            | 40 60
        MultiNLI        | 72 82"""), "figure reading", "curve ends, approximate"),
    Entry("gpt1-fig2-right", GPT1, "Figure 2 right", "Zero-shot performance against pre-training updates",
          ("at the end",), _rows("""
        sentiment analysis       | 0.68
        Winograd schemas         | 0.55
        linguistic acceptability | 0.43
        question answering       | 0.25"""), "figure reading", "0 = random guess, 1 = the state of the art then"),
    Entry("gpt2-fig1", GPT2, "Figure 1", "Zero-shot performance on four tasks against model size",
          ("smallest", "largest"), _rows("""
        CoQA, F1               | - 55
        WMT-14 Fr-En, BLEU     | 5 11.5
        CNN/DM, mean ROUGE     | 18 21.40
        Natural Questions, acc | - 4.1"""), "figure reading", "the right-hand values are also printed in the text"),
    Entry("gpt2-table1", GPT2, "Table 1", "Naturally occurring translations found in WebText"),
    Entry("gpt2-table2", GPT2, "Table 2", "The four model sizes", ("layers", "d_model"), _rows("""
        117M  | 12 768
        345M  | 24 1024
        762M  | 36 1280
        1542M | 48 1600"""), "read", "the counts were later corrected by the authors to 124M, 355M, 774M and 1558M"),
    Entry("gpt2-table3", GPT2, "Table 3", "Zero-shot language modelling",
          ("LAMBADA (ppl)", "LAMBADA (acc)", "CBT-CN (acc)", "CBT-NE (acc)", "WikiText2 (ppl)", "PTB (ppl)",
           "enwik8 (bpb)", "text8 (bpc)", "WikiText103 (ppl)", "1BW (ppl)"), _rows("""
        SOTA  | 99.8 59.23 85.7 82.3 39.14 46.54 0.99 1.08 18.3 21.8
        117M  | 35.13 45.99 87.65 83.4 29.41 65.85 1.16 1.17 37.50 75.20
        345M  | 15.60 55.48 92.35 87.1 22.76 47.33 1.01 1.06 26.37 55.72
        762M  | 10.87 60.12 93.45 88.0 19.93 40.31 0.97 1.02 22.05 44.575
        1542M | 8.63 63.24 93.30 89.05 18.34 35.76 0.93 0.98 17.48 42.16"""), "read",
          "per canonical unit (word, character or byte), with invertible de-tokenizers"),
    Entry("gpt2-fig2", GPT2, "Figure 2", "Children's Book Test against model size", ("1542M",), _rows("""
        common nouns, acc   | 93.3
        named entities, acc | 89.1"""), "read", "printed in §3.2"),
    Entry("gpt2-fig3", GPT2, "Figure 3", "Winograd schema challenge against model size", ("117M", "1542M"), _rows("""
        partial scoring, acc | 58 70.70
        full scoring, acc    | 56 70"""), "figure reading", "70.70 is printed in §3.4"),
    Entry("gpt2-table4", GPT2, "Table 4", "Summarisation of CNN and Daily Mail",
          ("R-1", "R-2", "R-L", "R-AVG"), _rows("""
        Bottom-Up Sum  | 41.22 18.68 38.34 32.75
        Lede-3         | 40.38 17.66 36.62 31.55
        Seq2Seq + Attn | 31.33 11.81 28.83 23.99
        GPT-2 TL;DR:   | 29.34 8.27 26.58 21.40
        Random-3       | 28.78 8.63 25.52 20.98
        GPT-2 no hint  | 21.58 4.03 19.47 15.03""")),
    Entry("gpt2-table5", GPT2, "Table 5", "The 30 most confident answers on Natural Questions",
          ("value",), _rows("""
        most confident, %   | 83.4
        30th, %             | 45.2
        correct, of 30      | 22"""), "read", "the last line is a count of the table's own ticks"),
    Entry("gpt2-table6", GPT2, "Table 6", "Per cent of test 8-grams found in the training set",
          ("PTB", "WikiText-2", "enwik8", "text8", "WikiText-103", "1BW"), _rows("""
        data set's own train | 2.67 0.66 7.50 2.34 9.09 13.19
        WebText train        | 0.88 1.63 6.31 3.94 2.42 3.75""")),
    Entry("gpt2-fig4", GPT2, "Figure 4", "Perplexity on WebText's training and test part against model size",
          ("117M", "1542M"), _rows("""
        WebText train and test | 16.5 10.5"""), "figure reading", "the two curves lie close together"),
    Entry("gpt2-fig5", GPT2, "Figure 5", "8-gram overlap of samples with the training set", ("median, %",), _rows("""
        WebText test text | 2.6"""), "read, third party"),
    Entry("gpt2-samples", GPT2, "Tables 7-13", "Samples: completions and the appendix' unconditional text"),
)}
