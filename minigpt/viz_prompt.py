"""Prompt anatomy: one text with several endings, and what a model expects after each of them (chapter 13).

`look` asks a model; `prompts` makes the interactive view of what it found, or of a record. The view needs no kernel.
"""

import os.path
import re
from collections.abc import Mapping

import torch

from minigpt.generate import generate_texts
from minigpt.viz import View


@torch.inference_mode()
def look(model, bpe, variants: Mapping[str, str], top: int = 8, new_tokens: int = 16) -> dict[str, dict]:
    """For each named prompt: {"prompt", "next": the `top` likeliest next tokens with their probabilities, "writes"}.

    "writes" is the greedy continuation, `new_tokens` long. A prompt too long for the model's window loses its beginning.
    """
    if not variants:
        raise ValueError("there are no prompts to look at")
    written = generate_texts(model, bpe, list(variants.values()), new_tokens, temperature=0)
    window, device = model.config.n_positions, next(model.parameters()).device
    found = {}
    for (name, prompt), text in zip(variants.items(), written, strict=True):
        ids = list(bpe.encode(prompt))[-window:] or [bpe.eos_id]
        probs = model(torch.tensor([ids], device=device))[0, -1].float().softmax(-1)
        best = probs.topk(min(top, len(probs)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        found[name] = {"prompt": prompt, "writes": text, "next": [[bpe.decode([i]), round(p, 4)] for i, p in pairs]}
    return found


def prompts(groups: Mapping[str, Mapping[str, dict]], model: str = "the model") -> View:
    """An interactive view: choose a group of prompts, change the ending, see the next token's distribution move.

    groups: {name of the group: what `look` returns}; model: what to call the model. Raises ValueError for no groups, a group
    without prompts, or one without probabilities.
    """
    rows = []
    for name, variants in groups.items():
        if not variants or not all(one.get("next") for one in variants.values()):
            raise ValueError(f"prompts: {str(name)!r} has no prompts with next tokens to show")
        texts = [one["prompt"] for one in variants.values()]
        words = [re.findall(r"\s*\S+|\s+\Z", text) for text in texts]  # what differs begins and ends with a word
        start = len(os.path.commonprefix(words)) if len(words) > 1 else len(words[0])
        end = len(os.path.commonprefix([one[start:][::-1] for one in words]))
        cut = [["".join(part) for part in (one[:start], one[start:len(one) - end], one[len(one) - end:])] for one in words]
        rows.append({"name": _text(name), "variants": [
            {"name": _text(label), "parts": list(map(_text, parts)),
             "next": [[_text(token), round(float(p), 4)] for token, p in one["next"]], "writes": _text(one.get("writes", ""))}
            for (label, one), parts in zip(variants.items(), cut, strict=True)]})
    if not rows:
        raise ValueError("prompts: no groups to show")
    count = sum(len(row["variants"]) for row in rows)
    return View("prompts", {"model": _text(model), "groups": rows}, f"what {model} expects after {count} prompts")


def _text(value) -> str:
    """Half of a surrogate pair is no text; a browser would show the same mark."""
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
