"""lm-evaluation-harness on weights of a folder, for the checks and the benchmark that measure beside it."""

import importlib.util
import sys
from types import ModuleType

import pytest


def harness(folder, batch_size=4, **options):
    """Its HFLM around a model that transformers read; a text that begins with nothing begins with <|endoftext|>, as ours."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, **options).float().eval()
    tokeniser = transformers.AutoTokenizer.from_pretrained(folder, **options)
    return _hflm()(pretrained=theirs, tokenizer=tokeniser, batch_size=batch_size, device="cpu",
                   prefix_token_id=tokeniser.convert_tokens_to_ids("<|endoftext|>"))


def requests(kind, arguments):
    """What HFLM's methods take: one request of that kind for each tuple of arguments."""
    from lm_eval.api.instance import Instance

    return [Instance(request_type=kind, doc={}, arguments=pair, idx=i) for i, pair in enumerate(arguments)]


def _hflm():
    pytest.importorskip("lm_eval")
    if importlib.util.find_spec("accelerate") is None and "lm_eval.models.huggingface" not in sys.modules:
        # The module imports accelerate at its head, and uses it only to load models; ours is handed over loaded.
        stand_in = {"accelerate": ("Accelerator", "InitProcessGroupKwargs", "find_executable_batch_size"),
                    "accelerate.utils": ("get_max_memory",)}
        for name, wanted in stand_in.items():
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__dict__.update(dict.fromkeys(wanted))
        try:
            from lm_eval.models.huggingface import HFLM
        finally:
            for name in stand_in:
                del sys.modules[name]
    from lm_eval.models.huggingface import HFLM

    return HFLM
