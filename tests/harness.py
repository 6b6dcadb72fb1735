"""lm-evaluation-harness on weights of a folder, for the checks and the benchmark that measure beside it."""

import importlib.util
import sys
from types import ModuleType

import pytest


def harness(folder, batch_size=4):
    """Its HFLM around a model that transformers read; a text that begins with nothing begins with <|endoftext|>, as ours."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()
    return _wrap(theirs, transformers.AutoTokenizer.from_pretrained(folder), batch_size)


def smollm2_harness(model, file, batch_size=4):
    """Its HFLM around transformers' Llama with the weights of a minigpt.modern.Modern, and the tokeniser of the GGUF `file`."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import pre_tokenizers

    shape = model.config
    config = transformers.LlamaConfig(
        vocab_size=shape.vocab_size, hidden_size=shape.n_embd, intermediate_size=shape.n_inner, num_hidden_layers=shape.n_layer,
        num_attention_heads=shape.n_head, num_key_value_heads=shape.n_kv_head, rms_norm_eps=shape.norm_eps,
        max_position_embeddings=shape.n_positions, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta})
    size, ours = shape.n_embd // shape.n_head, model.state_dict()

    def halves(weight):  # rotary pairs: neighbours with us, the two halves of a head there
        return weight.view(-1, size // 2, 2, shape.n_embd).transpose(1, 2).reshape(-1, shape.n_embd)

    state = {"model.embed_tokens.weight": ours["wte.weight"], "model.norm.weight": ours["ln_f.weight"],
             "lm_head.weight": ours["wte.weight"]}
    for i in range(shape.n_layer):
        here, there = f"h.{i}.", f"model.layers.{i}."
        q, k, v = ours[here + "attn.c_attn.weight"].split([size * shape.n_head] + [size * shape.n_kv_head] * 2)
        gate, up = ours[here + "mlp.c_fc.weight"].chunk(2)
        state |= {there + name: weight for name, weight in {
            "self_attn.q_proj.weight": halves(q), "self_attn.k_proj.weight": halves(k), "self_attn.v_proj.weight": v,
            "self_attn.o_proj.weight": ours[here + "attn.c_proj.weight"], "mlp.gate_proj.weight": gate, "mlp.up_proj.weight": up,
            "mlp.down_proj.weight": ours[here + "mlp.c_proj.weight"], "input_layernorm.weight": ours[here + "ln_1.weight"],
            "post_attention_layernorm.weight": ours[here + "ln_2.weight"]}.items()}
    theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.load_state_dict(state)
    tokeniser = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    # transformers (5.x) leaves out the rule for digits when it reads a GGUF file.
    tokeniser.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return _wrap(theirs, tokeniser, batch_size)


def _wrap(theirs, tokeniser, batch_size):
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
