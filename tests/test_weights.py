"""Model folders: what is refused, and how."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
import torch
import transformers
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


# -- sharded files, pickles, and the hub -------------------------------------------------------------------------------------------


def sharded(model, folder):
    """transformers' own shards of the model, four at least."""
    model.save_pretrained(folder / "whole")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder / "whole")
    theirs.save_pretrained(folder / "parts", max_shard_size="2KB")
    assert len(list((folder / "parts").glob("model-*.safetensors"))) >= 4
    return folder / "parts"


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("pre_norm", [True, False])
def test_transformers_shards_of_both_papers(tmp_path, pre_norm, tied):
    model = GPT(replace(SMALL, pre_norm=pre_norm, tie_word_embeddings=tied))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    back = GPT.from_pretrained(sharded(model, tmp_path))
    assert back.config.pre_norm == pre_norm and (back.lm_head.weight is back.wte.weight) == tied
    for key, value in model.state_dict().items():
        assert torch.equal(value, back.state_dict()[key]), key


def test_a_tied_head_stays_tied_whether_or_not_it_is_stored(folder):
    without = GPT.from_pretrained(folder)
    tampered(folder, lambda t: t.update({"lm_head.weight": t["transformer.wte.weight"].clone()}))
    both = GPT.from_pretrained(folder)
    for model in (without, both):
        assert model.lm_head.weight is model.wte.weight and model.n_params() == GPT(SMALL).n_params()
    tampered(folder, lambda t: t.pop("transformer.wte.weight"))
    with pytest.raises(ValueError, match="lack the token embedding"):
        GPT.from_pretrained(folder)


def test_an_untied_head_must_be_stored(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    with pytest.raises(ValueError, match="lack lm_head.weight"):
        GPT.from_pretrained(folder)


@pytest.mark.parametrize(("index", "says"), [
    ("{", "not valid JSON"), ("[]", "not a JSON object"), ("{}", "no weight_map"), ('{"weight_map": {"wte": 3}}', "no weight_map"),
    ('{"weight_map": {"wte": "../m.safetensors"}}', "no weight_map"), ('{"weight_map": {"wte": "m.bin"}}', "no weight_map"),
    ('{"weight_map": {"wte": "model-7.safetensors"}}', "model-7.safetensors: no such file, though")])
def test_a_wrong_index_is_named(folder, index, says):
    (folder / "model.safetensors.index.json").write_text(index)
    GPT.from_pretrained(folder)  # a whole file goes first: the index is of an earlier save
    (folder / "model.safetensors").unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=says) as error:
        GPT.from_pretrained(folder)
    assert "\n" not in str(error.value)


def test_a_damaged_shard_is_named(tmp_path):
    parts = sharded(GPT(SMALL), tmp_path)
    shard = sorted(parts.glob("model-*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(ValueError, match=f"{shard.name}: not a whole safetensors file"):
        GPT.from_pretrained(parts)


def test_a_pickle_is_never_opened(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (folder / "model.safetensors").unlink()
    torch.save({"transformer.wte.weight": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pytorch_model.bin is a pickle, which can run code"):
        GPT.from_pretrained(folder)
    (folder / "model.safetensors").write_bytes((folder / "pytorch_model.bin").read_bytes())  # under the other name
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        GPT.from_pretrained(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_cut_config_is_named(folder):
    (folder / "config.json").write_text('{"model_type": "gpt2", ')
    with pytest.raises(ValueError, match="config.json: not valid JSON.*cut short"):
        GPT.from_pretrained(folder)


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of the hub's protocol that a model takes: files and a listing; `cut` names the file that breaks off once."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        server, path = self.server, self.path.split("?")[0]
        content = None
        if path.startswith("/api/models/some/model/tree/"):
            content = json.dumps([{"type": "file", "path": f.name, "size": 1, "oid": ""} for f in server.folder.iterdir()]).encode()
        elif path.startswith("/some/model/resolve/") and (server.folder / path.rsplit("/", 1)[1]).is_file():
            content = (server.folder / path.rsplit("/", 1)[1]).read_bytes()
        found = content is not None
        server.log.append((self.command, path.rsplit("/", 1)[1]))
        self.send_response(200 if found else 404)
        self.send_header("X-Error-Code", "" if found else "EntryNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
        self.send_header("Content-Length", str(len(content) if found else 0))
        self.end_headers()
        if body and found:
            cut = server.cut and path.endswith(server.cut)
            self.wfile.write(content[:len(content) // 2] if cut else content)
            server.cut = "" if cut else server.cut

    def log_message(self, *args):
        pass


COMMIT = "0123456789abcdef0123456789abcdef01234567"
ON_THE_HUB = """
import sys, time
from minigpt import GPT
start = time.perf_counter()
try:
    model = GPT.from_pretrained("some/model")
    print(model.n_params(), f"{sum(p.double().abs().sum() for p in model.parameters()):.6f}")
except (OSError, ValueError) as error:
    print(type(error).__name__, error)
print(time.perf_counter() - start, file=sys.stderr)
"""


def from_hub(folder, cache, cut="", **environment):
    """What a process prints that loads some/model from a hub serving `folder`: (standard output, standard error, requests)."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.folder, server.log, server.cut = folder, [], cut
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy") and not key.startswith("HF_")}
    env |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1",
            "TQDM_POSITION": "-1"}  # the bars, although nobody watches
    env.pop("MINIGPT_DATA", None)
    run = subprocess.run([sys.executable, "-c", ON_THE_HUB], env=env | environment, capture_output=True, text=True, timeout=300)
    server.shutdown(), server.server_close()
    return run.stdout, run.stderr, server.log


def test_shards_come_from_the_hub_with_their_progress_and_then_offline(tmp_path):
    model = GPT(SMALL)
    parts = sharded(model, tmp_path)
    expected = f"{model.n_params()} {sum(p.double().abs().sum() for p in model.parameters()):.6f}\n"
    printed, errors, log = from_hub(parts, tmp_path / "cache", cut="00001-of-" + parts_suffix(parts))
    assert printed == expected, errors
    assert "model-00002" in errors and "%" in errors, "a bar for every file"
    assert len([1 for command, file in log if command == "GET" and "00001" in file]) == 2, "a broken download is taken up again"
    assert not [file for _, file in log if file.endswith((".bin", ".py"))]
    again, errors, log = from_hub(tmp_path, tmp_path / "cache", HF_HUB_OFFLINE="1")
    assert again == expected and not log, errors


def parts_suffix(parts):
    return sorted(parts.glob("model-*.safetensors"))[0].name.split("-of-")[1]


def test_a_hub_without_safetensors_or_without_an_answer(tmp_path, folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    printed, errors, log = from_hub(folder, tmp_path / "a")
    assert printed.startswith("NoSuchFile some/model/model.safetensors") and "pytorch_model.bin is a pickle" in printed, errors
    assert not [1 for command, file in log if file == "pytorch_model.bin"] and printed.count("\n") == 1
    printed, errors, _ = from_hub(folder, tmp_path / "b", HF_ENDPOINT="http://127.0.0.1:9")
    assert printed.startswith("HubError") and "cannot be reached" in printed and printed.count("\n") == 1, errors
    assert float(errors.splitlines()[-1]) < 15, "said at once, not after minutes of retries"
