"""Generation with a KV cache, batch 1, greedy: ours, ours with a compiled step, and transformers', fp32 and bf16 weights."""

import torch

from minigpt import GPT, GPTConfig, generate
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


def main() -> None:
    print(f"generation, batch 1, {torch.get_num_threads()} threads; tokens/s, and ours divided by transformers' in fp32 as shipped")
    for name, shape in SHAPES.items():
        dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
        makers = {"ours": ours, "compiled": ours_compiled, "transformers": transformers_gpt2}
        times = race({(m, d): makers[m](shape, dtypes[d]) for m in makers for d in dtypes}, rounds=3)
        rates = {key: shape[-1] / t for key, t in times.items()}
        for (maker, dtype), rate in rates.items():
            print(f"{name:>6} {maker:<13} {dtype} {rate:8,.1f}   {rate / rates['transformers', 'fp32']:.2f}x", flush=True)


if __name__ == "__main__":
    main()
