"""Model folders: what is refused, and how."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from minigpt import GPT, GPTConfig, weights

SMALL = GPTConfig(vocab_size=31, n_positions=8, n_layer=2, n_head=2, n_embd=8)


@pytest.fixture
def folder(tmp_path):
    GPT(SMALL).save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def tampered(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_stored_in_half_precision_and_read_back(tmp_path):
    model = GPT(SMALL).eval()
    model.save_pretrained(tmp_path, dtype=torch.float16)
    assert load_file(tmp_path / "model.safetensors")["transformer.wte.weight"].dtype == torch.float16
    back = GPT.from_pretrained(tmp_path)
    assert back.wte.weight.dtype == torch.float32
    torch.testing.assert_close(back.wte.weight, model.wte.weight.half().float(), atol=0, rtol=0)
    assert back.lm_head.weight is back.wte.weight, "a tied head must stay tied"
    assert GPT.from_pretrained(tmp_path, dtype=torch.bfloat16).wte.weight.dtype == torch.bfloat16


def test_a_sharded_folder_is_followed_through_its_index(folder):
    whole = load_file(folder / "model.safetensors")
    reference = GPT.from_pretrained(folder).state_dict()
    names = sorted(whole)
    halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for part, keys in halves.items():
        save_file({k: whole[k] for k in keys}, folder / part)
    index = {"weight_map": {k: part for part, keys in halves.items() for k in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    for key, value in GPT.from_pretrained(folder).state_dict().items():
        assert torch.equal(value, reference[key])


@pytest.mark.parametrize(("change", "says"), [
    (lambda t: t.pop("transformer.h.1.ln_2.bias"), "lack h.1.ln_2.bias"),
    (lambda t: t.update({"transformer.h.7.ln_1.bias": torch.zeros(8)}), "hold h.7.ln_1.bias"),
    (lambda t: t.update({"transformer.wpe.weight": torch.zeros(9, 8)}), r"wpe.weight is \(9, 8\)"),
    (lambda t: t.update({"transformer.h.0.attn.c_attn.weight": torch.zeros(24, 8)}), "c_attn.weight is"),
])
def test_wrong_tensors_are_named(folder, change, says):
    tampered(folder, change)
    with pytest.raises(ValueError, match=says):
        GPT.from_pretrained(folder)


def test_masks_of_old_files_are_dropped(folder):
    tampered(folder, lambda t: t.update({"transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8)}))
    GPT.from_pretrained(folder)


@pytest.mark.parametrize(("field", "value", "says"), [
    ("model_type", "llama", "neither 'gpt2' nor 'openai-gpt'"), ("activation_function", "relu", "not the papers' tanh GELU"),
    ("n_inner", 7, "n_inner 7"), ("scale_attn_by_inverse_layer_idx", True, "not part of GPT-2")])
def test_other_architectures_are_refused(folder, field, value, says):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(ValueError, match=says):
        GPT.from_pretrained(folder)


def test_missing_and_truncated_files(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no model folder"):
        GPT.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="config.json: no such file"):
        GPT.from_pretrained(tmp_path)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        GPT.from_pretrained(folder)
    file.unlink()
    with pytest.raises(FileNotFoundError, match="model.safetensors"):
        GPT.from_pretrained(folder)


def test_a_failed_save_leaves_what_was_there(folder, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def full_disk(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(weights, "save_file", full_disk)
    with pytest.raises(OSError, match="what was there before is untouched"):
        GPT(SMALL).save_pretrained(folder)
    assert (folder / "model.safetensors").read_bytes() == before and not list(folder.glob("*.partial"))
