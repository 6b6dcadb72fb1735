"""The hub's weight layouts of GPT-1 and GPT-2: names, orientations, safetensors in and out.

OpenAI stored its projections as 1x1 convolutions, (in, out); `torch.nn.Linear` keeps (out, in). The hub kept OpenAI's way, so those
four matrices of every block are transposed on the way in and out. Everything else is a matter of names.
"""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from minigpt import hub

CHECKPOINTS = Path(__file__).parent / "checkpoints"
SUFFIX = ".safetensors"
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PROJECTIONS = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
EMBEDDINGS = {"gpt2": ("wte", "wpe"), "openai-gpt": ("tokens_embed", "positions_embed")}
TANH_GELU = {"gpt2": ("activation_function", ("gelu_new", "gelu_pytorch_tanh")),
             "openai-gpt": ("afn", ("gelu", "gelu_new"))}  # transformers' "gelu" of openai-gpt is the tanh form


def to_hub(tensors: dict[str, torch.Tensor], model_type: str) -> dict[str, torch.Tensor]:
    """Our names and orientations -> those of transformers' GPT2LMHeadModel / OpenAIGPTLMHeadModel."""
    if model_type == "lstm":
        return {name: tensor.contiguous() for name, tensor in tensors.items()}
    tokens, positions = EMBEDDINGS[model_type]
    ours = {"wte.weight": f"{tokens}.weight", "wpe.weight": f"{positions}.weight"}
    out = {}
    for name, tensor in tensors.items():
        theirs = name if name == "lm_head.weight" else "transformer." + ours.get(name, name)
        out[theirs] = (tensor.t() if name.endswith(PROJECTIONS) else tensor).contiguous()
    return out


def from_hub(tensors: dict[str, torch.Tensor], model_type: str) -> dict[str, torch.Tensor]:
    """The hub's names and orientations -> ours. The masks that old files carry as `attn.bias` buffers are dropped."""
    if model_type == "lstm":
        return dict(tensors)
    tokens, positions = EMBEDDINGS[model_type]
    theirs = {f"{tokens}.weight": "wte.weight", f"{positions}.weight": "wpe.weight"}
    out = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("transformer.")
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            continue
        name = theirs.get(name, name)
        out[name] = tensor.t().contiguous() if name.endswith(PROJECTIONS) else tensor
    return out


def hub_config(config: dict) -> dict:
    """GPTConfig's fields -> a config.json that transformers reads; LSTMConfig's -> themselves, under a model_type of our own."""
    if "n_units" in config:
        return {"model_type": "lstm", **config}
    model_type = "gpt2" if config["pre_norm"] else "openai-gpt"
    architecture = {"gpt2": "GPT2LMHeadModel", "openai-gpt": "OpenAIGPTLMHeadModel"}[model_type]
    activation, names = TANH_GELU[model_type]
    return {
        "architectures": [architecture], "model_type": model_type, activation: names[0],
        **{k: config[k] for k in ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd", "tie_word_embeddings")},
        "layer_norm_epsilon": config["layer_norm_epsilon"],
        **{k: config["dropout"] for k in ("attn_pdrop", "embd_pdrop", "resid_pdrop")},
        **{k: config["vocab_size"] - 1 for k in ("bos_token_id", "eos_token_id") if model_type == "gpt2"},
    }


def our_config(config: dict, where: str) -> dict:
    """A config.json -> GPTConfig's or LSTMConfig's fields; ValueError for an architecture that is not the papers'."""
    model_type = config.get("model_type")
    if model_type == "lstm":
        return {k: v for k, v in config.items() if k != "model_type"}
    if model_type not in EMBEDDINGS:
        raise ValueError(f"{where}: model_type {model_type!r} is neither 'gpt2' nor 'openai-gpt'")
    activation, accepted = TANH_GELU[model_type]
    if config.get(activation, accepted[0]) not in accepted:
        raise ValueError(f"{where}: {activation} {config[activation]!r} is not the papers' tanh GELU")
    if config.get("n_inner") not in (None, 4 * config.get("n_embd", 768)):
        raise ValueError(f"{where}: n_inner {config['n_inner']} is not 4 * n_embd")
    for unlike in ("scale_attn_by_inverse_layer_idx", "add_cross_attention"):
        if config.get(unlike):
            raise ValueError(f"{where}: {unlike} is not part of GPT-2")
    return {
        "pre_norm": model_type == "gpt2",
        **{k: config[k] for k in ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd") if k in config},
        "tie_word_embeddings": config.get("tie_word_embeddings", True),
        "layer_norm_epsilon": config.get("layer_norm_epsilon", 1e-5),
        "dropout": config.get("resid_pdrop", 0.1),
    }


def locate(name: str | Path) -> str | Path:
    """'world' or another shipped checkpoint -> its folder; a local folder -> itself; anything else is taken for a hub id."""
    shipped = CHECKPOINTS / str(name)
    if str(name) and shipped.is_dir():
        return shipped
    if Path(name).is_dir():
        return Path(name)
    if str(name).count("/") != 1 or str(name).startswith((".", "/", "~")):
        known = ", ".join(sorted(p.name for p in CHECKPOINTS.glob("*/"))) or "none shipped"
        raise FileNotFoundError(f"no model folder {str(name)!r}, no shipped checkpoint of that name ({known}), "
                                "and not a hub id such as openai-community/gpt2")
    return str(name)


def _file(name: str | Path, part: str) -> Path:
    place = locate(name)
    return place / part if isinstance(place, Path) else hub.path(place, part)


def config(name: str | Path) -> dict:
    """config.json of a model folder, a shipped checkpoint or a hub id, as it stands there."""
    return _json(_file(name, "config.json"))


def read(name: str | Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """The configuration and the tensors of a model folder, a shipped checkpoint or a hub id, in our names.

    Sharded files are followed through model.safetensors.index.json, on the hub too. Only safetensors are read: they hold numbers
    and names, while a pickle (pytorch_model.bin) can run code as it is opened. Raises FileNotFoundError, ValueError or
    hub.HubError in one line.
    """
    raw = config(name)
    ours = our_config(raw, str(name))
    tensors = {}
    for path in _files(name):
        try:
            tensors |= load_file(path)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path}: not a whole safetensors file ({error}); fetch or save it again") from None
    tensors = from_hub(tensors, raw["model_type"])
    if "wte.weight" not in tensors:
        raise ValueError(f"{name}: the weights lack the token embedding (wte.weight)")
    return ours, tensors


def _files(name: str | Path) -> list[Path]:
    """The safetensors file of a model, or all its shards."""
    place = locate(name)
    if isinstance(place, Path):
        index = place / INDEX
        if (place / WHOLE).is_file():  # first, as transformers does: an index beside it is of an earlier save
            return [place / WHOLE]
        if not index.is_file():
            raise FileNotFoundError(f"{place / WHOLE}: no such file; {_instead(sorted(path.name for path in place.iterdir()))}")
    else:
        try:
            return [hub.path(place, WHOLE)]
        except hub.HubError as absent:
            try:
                index = hub.path(place, INDEX)
            except hub.NoSuchFile:
                raise hub.NoSuchFile(f"{absent}; {_instead(hub.files(place, 'model'))}") from None
            except hub.HubError:
                raise absent from None
    shards = _json(index).get("weight_map")
    if not isinstance(shards, dict) or not all(_beside(shard) for shard in shards.values()):
        raise ValueError(f"{index}: no weight_map from tensors to {SUFFIX} files beside it")
    paths = [_file(name, shard) for shard in sorted(set(shards.values()))]
    if lost := next((path for path in paths if not path.is_file()), None):
        raise FileNotFoundError(f"{lost}: no such file, though {INDEX} names it; fetch or save the model again")
    return paths


def _beside(shard) -> bool:
    """Whether an index names a file of its own folder: nothing outside it is read, whatever the index says."""
    return isinstance(shard, str) and shard.endswith(SUFFIX) and not set(shard) & set("/\\:")


def _instead(present: list[str]) -> str:
    """What to say of a place without safetensors, by the names of the files that it does hold."""
    pickle = next((name for name in present if name.endswith((".bin", ".pt", ".pth", ".ckpt"))), None)
    if pickle is None:
        return "a model folder holds config.json and model.safetensors"
    return (f"{pickle} is a pickle, which can run code as it is opened, so it is not read: open it with transformers where you "
            "trust it, and save_pretrained writes safetensors")


def write(folder: str | Path, config: dict, tensors: dict[str, torch.Tensor], dtype: torch.dtype | None = None) -> None:
    """Write config.json and model.safetensors (each atomically) so that transformers loads the folder as it is."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    raw = hub_config(config)
    stored = {k: v.detach().cpu().to(dtype or v.dtype) for k, v in to_hub(tensors, raw["model_type"]).items()}
    partial = folder / "model.safetensors.partial"
    try:
        save_file(stored, partial, metadata={"format": "pt"})
        os.replace(partial, folder / "model.safetensors")
        partial = folder / "config.json.partial"
        partial.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8", newline="\n")
        os.replace(partial, folder / "config.json")
    except (SafetensorError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise OSError(f"{folder}: could not write the model ({error}); what was there before is untouched") from None


def _json(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a model folder holds config.json and model.safetensors")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); is the file cut short?") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: not a JSON object")
    return content
