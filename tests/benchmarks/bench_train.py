"""Training step: ours, nanoGPT's and transformers', the same shapes, batches, clipping and AdamW, fp32 and bf16 autocast."""

import contextlib

import torch

from minigpt import GPT, GPTConfig
from minigpt.train import TrainConfig, Trainer
from tests.benchmarks import peer, race

SHAPES = {  # name: (layers, heads, width, window, batch, vocabulary)
    "1.3M": (4, 4, 128, 128, 32, 4096),
    "10.8M": (6, 6, 384, 256, 8, 65),
    "124M": (12, 12, 768, 256, 2, 50257),
}


def ours(shape, precision):
    layers, heads, width, window, batch, vocabulary = shape
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocabulary, window, layers, heads, width, dropout=0.0))
    tokens = torch.randint(vocabulary, (100_000,)).numpy()
    trainer = Trainer(model, tokens, TrainConfig(steps=10**6, batch_size=batch, precision=precision))
    return lambda: trainer.update().item()


def theirs(model, optimiser, loss_of, shape, precision):
    *_, window, batch, vocabulary = shape
    tokens = torch.randint(vocabulary, (100_000,))

    def step():
        starts = torch.randint(len(tokens) - window - 1, (batch,)).tolist()
        x = torch.stack([tokens[s:s + window] for s in starts])
        y = torch.stack([tokens[s + 1:s + window + 1] for s in starts])
        with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else contextlib.nullcontext():
            loss = loss_of(model, x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss.item()

    return step


def nanogpt(shape, precision):
    import model as nano

    layers, heads, width, window, _, vocabulary = shape
    model = nano.GPT(nano.GPTConfig(block_size=window, vocab_size=vocabulary, n_layer=layers, n_head=heads, n_embd=width, bias=True,
                                    dropout=0.0))
    optimiser = model.configure_optimizers(0.01, 1e-3, (0.9, 0.99), "cpu")
    return theirs(model, optimiser, lambda m, x, y: m(x, y)[1], shape, precision)


def transformers_gpt2(shape, precision):
    import transformers

    layers, heads, width, window, _, vocabulary = shape
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=window, n_layer=layers, n_head=heads, n_embd=width, attn_pdrop=0.0, embd_pdrop=0.0,
        resid_pdrop=0.0, bos_token_id=None, eos_token_id=None))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)

    def loss_of(m, x, y):
        logits = m(x).logits
        return torch.nn.functional.cross_entropy(logits.view(-1, vocabulary), y.reshape(-1))

    return theirs(model, optimiser, loss_of, shape, precision)


def main() -> None:
    makers = {"ours": ours, "transformers": transformers_gpt2}
    if peer("nanoGPT"):
        makers["nanoGPT"] = nanogpt
    print(f"training step, {torch.get_num_threads()} threads; tokens/s, and ours divided by theirs")
    for name, shape in SHAPES.items():
        tokens = shape[3] * shape[4]
        times = race({(maker, precision): makers[maker](shape, precision) for maker in makers for precision in ("fp32", "bf16")})
        rates = {key: tokens / t for key, t in times.items()}
        best = {maker: max(rates[maker, p] for p in ("fp32", "bf16")) for maker in makers}
        for maker in makers:
            row = f"{name:>6} {maker:<13} fp32 {rates[maker, 'fp32']:8,.0f}   bf16 {rates[maker, 'bf16']:8,.0f}"
            if maker != "ours":
                row += (f"   same precision {rates['ours', 'fp32'] / rates[maker, 'fp32']:.2f}x fp32, "
                        f"{rates['ours', 'bf16'] / rates[maker, 'bf16']:.2f}x bf16; best/best {best['ours'] / best[maker]:.2f}x; "
                        f"as shipped (ours auto, theirs fp32) {best['ours'] / rates[maker, 'fp32']:.2f}x")
            print(row, flush=True)


if __name__ == "__main__":
    main()
