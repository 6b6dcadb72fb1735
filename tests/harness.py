"""lm-evaluation-harness on weights of a folder, for the checks and the benchmark that measure beside it."""

import numpy as np
import pytest
import torch

from minigpt import modern


def harness(folder, batch_size=4):
    """Its HFLM around a model that transformers read; a text that begins with nothing begins with <|endoftext|>, as ours."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()
    return _wrap(theirs, transformers.AutoTokenizer.from_pretrained(folder), batch_size)


def smollm2_harness(batch_size=4, **settings):
    """Its HFLM around SmolLM2-135M-Instruct as transformers reads the GGUF file: weights, architecture and words are theirs."""
    transformers = pytest.importorskip("transformers")
    import gguf
    from tokenizers import pre_tokenizers

    # The library's own takes 10 s each time it goes through a vocabulary of this size.
    gguf.GGUFReader._get = lambda self, offset, dtype, count=1, override_order=None: np.frombuffer(
        self.data, dtype, int(count), int(offset))
    file = modern._installed()
    theirs = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    tokeniser = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    # transformers (5.x) leaves out the rule for digits when it reads a GGUF file.
    tokeniser.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return _wrap(theirs, tokeniser, batch_size, **settings)


def _wrap(theirs, tokeniser, batch_size, **settings):
    HFLM = pytest.importorskip("lm_eval.models.huggingface").HFLM
    return HFLM(pretrained=theirs, tokenizer=tokeniser, batch_size=batch_size, device="cpu",
                prefix_token_id=tokeniser.convert_tokens_to_ids("<|endoftext|>"), **settings)


def requests(kind, arguments):
    """What HFLM's methods take: one request of that kind for each tuple of arguments."""
    from lm_eval.api.instance import Instance

    return [Instance(request_type=kind, doc={}, arguments=pair, idx=i) for i, pair in enumerate(arguments)]
