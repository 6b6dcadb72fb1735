"""Generation with a KV cache, batch 1, greedy: ours, ours with a compiled step, and transformers', fp32 and bf16 weights.

Two shapes of GPT-2 with random weights, and SmolLM2-135M-Instruct where it is installed.
"""

import torch

from minigpt import GPT, GPTConfig, generate, modern
from tests.benchmarks import race

SHAPES = {"1.3M": (4, 4, 128, 128, 4096, 100), "124M": (12, 12, 768, 1024, 50257, 60)}  # ..., window, vocabulary, new tokens


def ours(shape, dtype, compile=False):
    layers, heads, width, window, vocabulary, new = shape
    model = GPT(GPTConfig(vocabulary, window, layers, heads, width)).to(dtype).eval()
    ids = torch.randint(vocabulary, (1, 8))
    return lambda: generate(model, ids, new, temperature=0, compile=compile)


def ours_compiled(shape, dtype):
    return ours(shape, dtype, compile=True)


def transformers_gpt2(shape, dtype):
    import transformers

    layers, heads, width, window, vocabulary, new = shape
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=window, n_layer=layers, n_head=heads, n_embd=width)).to(dtype).eval()
    ids = torch.randint(vocabulary, (1, 8))
    settings = dict(max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
    return lambda: model.generate(ids, attention_mask=torch.ones_like(ids), **settings)


def as_llama(model: modern.Modern):
    """The same weights in transformers' Llama, which keeps the two halves of each rotary pair half a head apart."""
    import transformers

    config = model.config
    shape = dict(vocab_size=config.vocab_size, hidden_size=config.n_embd, intermediate_size=config.n_inner,
                 num_hidden_layers=config.n_layer, num_attention_heads=config.n_head, num_key_value_heads=config.n_kv_head,
                 max_position_embeddings=config.n_positions, rms_norm_eps=config.norm_eps, rope_theta=config.rope_theta,
                 tie_word_embeddings=config.tie_word_embeddings, bos_token_id=None, eos_token_id=None)
    size = config.n_embd // config.n_head
    tensors = {"model.embed_tokens.weight": model.wte.weight, "model.norm.weight": model.ln_f.weight,
               "lm_head.weight": model.lm_head.weight}
    for i, block in enumerate(model.h):
        q, k, v = block.attn.c_attn.weight.split([config.n_embd, config.n_kv_head * size, config.n_kv_head * size])
        q, k = (w.view(-1, size // 2, 2, config.n_embd).transpose(1, 2).reshape(w.shape) for w in (q, k))
        gate, up = block.mlp.c_fc.weight.chunk(2)
        parts = {"self_attn.q_proj": q, "self_attn.k_proj": k, "self_attn.v_proj": v, "self_attn.o_proj": block.attn.c_proj.weight,
                 "mlp.gate_proj": gate, "mlp.up_proj": up, "mlp.down_proj": block.mlp.c_proj.weight,
                 "input_layernorm": block.ln_1.weight, "post_attention_layernorm": block.ln_2.weight}
        tensors |= {f"model.layers.{i}.{name}.weight": tensor for name, tensor in parts.items()}
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape))
    theirs.load_state_dict(tensors)
    return theirs.to(model.wte.weight.dtype).eval()


def smollm2(dtype, new=40) -> dict:
    """Runners for SmolLM2-135M-Instruct, the same weights and prompt in both."""
    model, bpe = modern.load(modern.NAME, dtype)
    theirs, ids = as_llama(model), torch.tensor([bpe.encode("The history of the lighthouse begins in")])
    settings = dict(max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
    runners = {"ours": lambda: generate(model, ids, new, temperature=0),
               "transformers": lambda: theirs.generate(ids, attention_mask=torch.ones_like(ids), **settings)}
    if dtype == torch.float32 and not torch.equal(runners["ours"](), runners["transformers"]()):
        print("(the two do not write the same text)")
    return runners


def main() -> None:
    print(f"generation, batch 1, {torch.get_num_threads()} threads; tokens/s, and ours divided by transformers' in fp32 as shipped")
    for name, shape in SHAPES.items():
        dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
        makers = {"ours": ours, "compiled": ours_compiled, "transformers": transformers_gpt2}
        times = {}
        for d in dtypes:  # one compiled step at a time: `compiled_step` keeps two, and would trace the others anew in every round
            times |= race({(m, d): makers[m](shape, dtypes[d]) for m in makers}, rounds=3)
        rates = {key: shape[-1] / t for key, t in times.items()}
        for (maker, dtype), rate in rates.items():
            print(f"{name:>6} {maker:<13} {dtype} {rate:8,.1f}   {rate / rates['transformers', 'fp32']:.2f}x", flush=True)
    if not modern.available():
        print(f"(no SmolLM2-135M-Instruct: {modern.INSTALL})")
        return
    times = {dtype: race(smollm2(dtype), rounds=3) for dtype in (torch.float32, torch.bfloat16)}
    reference = times[torch.float32]["transformers"]
    for dtype, name in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        for maker, seconds in times[dtype].items():
            print(f"SmolLM2-135M-Instruct {maker:<13} {name} {40 / seconds:8,.1f}   {reference / seconds:.2f}x", flush=True)


if __name__ == "__main__":
    main()
