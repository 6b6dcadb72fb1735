"""The chapter-05 checkpoint as one JavaScript file that the landing page loads, also from ``file://``."""

import base64
import json
from pathlib import Path

import numpy as np

LAYERS = ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
          "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
          "mlp.c_proj.bias")
NEEDED = ("config.json", "model.safetensors", "vocab.json", "merges.txt")


def available(folder: Path) -> bool:
    """Whether the folder holds every file of a checkpoint."""
    return all((folder / name).is_file() for name in NEEDED)


def payload(folder: Path) -> dict:
    """What the page needs: configuration, vocabulary, and all weights as fp16 in one base64 string.

    Raises ValueError when the checkpoint is not a pre-norm GPT-2 with tied embeddings, the one kind that
    ``minigpt.js`` computes.
    """
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type", "gpt2") != "gpt2" or not config.get("tie_word_embeddings", True):
        raise ValueError(f"{folder}: the landing page runs pre-norm GPT-2 models with tied embeddings only")
    stored = {name.removeprefix("transformer."): tensor
              for name, tensor in load_file(folder / "model.safetensors").items()}
    names = ["wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias"]
    names += [f"h.{layer}.{name}" for layer in range(config["n_layer"]) for name in LAYERS]
    missing = [name for name in names if name not in stored]
    if missing:
        raise ValueError(f"{folder / 'model.safetensors'} lacks {', '.join(missing[:3])}")
    tensors, flat, start = {}, [], 0
    for name in names:
        values = np.ascontiguousarray(stored[name]).astype("<f2").ravel()
        tensors[name] = [start, values.size]
        flat.append(values)
        start += values.size
    keys = ("n_layer", "n_head", "n_embd", "n_positions", "vocab_size")
    return {
        "config": {key: config[key] for key in keys} | {"epsilon": config.get("layer_norm_epsilon", 1e-5)},
        "bpe": vocabulary(folder),
        "tensors": tensors,
        "data": base64.b64encode(np.concatenate(flat).tobytes()).decode("ascii"),
    }


def vocabulary(folder: Path) -> dict:
    """Token strings by id, merges in order, and the specials."""
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    specials = {token: number for token, number in vocab.items() if token == "<|endoftext|>"}
    tokens = sorted((token for token in vocab), key=vocab.get)
    return {
        "tokens": tokens,
        "merges": [line for line in lines if line and not line.startswith("#version")],
        "specials": specials,
    }


def write(folder: Path, target: Path) -> None:
    """Writes the checkpoint in ``folder`` as a script that sets ``globalThis.MINIGPT_WORLD``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(payload(folder), ensure_ascii=True, separators=(",", ":"))
    target.write_text(f"globalThis.MINIGPT_WORLD={text};\n", encoding="ascii", newline="\n")
