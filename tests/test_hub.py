"""Named files: where they are looked for, and one clear line when they cannot be had."""

import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from minigpt import hub

GPT2 = "openai-community/gpt2"


@pytest.fixture(autouse=True)
def offline(monkeypatch, request):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "mirror" not in request.fixturenames:
        monkeypatch.delenv("MINIGPT_DATA", raising=False)


def one_line(error):
    return "\n" not in str(error.value) and len(str(error.value)) < 400


def test_gpt2s_vocabulary_comes_from_the_installed_package():
    vocabulary = json.loads(hub.path(GPT2, "vocab.json").read_text(encoding="utf-8"))
    merges = hub.path(GPT2, "merges.txt").read_text(encoding="utf-8").split("\n")
    assert len(vocabulary) == 50257 and vocabulary["<|endoftext|>"] == 50256
    assert merges[0].startswith("#version") and len([line for line in merges[1:] if line]) == 50000
    assert hub.path("openai-community/gpt2-xl", "vocab.json") == hub.path(GPT2, "vocab.json")


def test_mirror_folder(tmp_path, monkeypatch):
    file = tmp_path / "some" / "set" / "data" / "part.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"words")
    (tmp_path / "some" / "set" / ".cache").mkdir()
    (tmp_path / "some" / "set" / ".cache" / "part.lock").write_bytes(b"")
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    assert hub.path("some/set", "data/part.txt", repo_type="dataset") == file
    assert hub.files("some/set") == ["data/part.txt"]
    digest = hashlib.sha256(b"words").hexdigest()
    assert hub.path("some/set", "data/part.txt", sha256=digest.upper()) == file
    file.write_bytes(b"Words")
    with pytest.raises(hub.HubError, match="damaged") as error:
        hub.path("some/set", "data/part.txt", sha256=digest)
    assert one_line(error)


def test_known_files_of_the_mirror_are_verified(mirror):
    held = [name for name in hub.SHA256 if hub.mirror_folder(name[0])]
    assert held
    for repo_id, filename in held:
        assert hub.path(repo_id, filename).is_relative_to(mirror)


@pytest.mark.parametrize("repo_id", ["gpt2", "", "a/b/c", "../etc", "a b/c", "/a/b", "a/..", "a..b/c", None, 3])
def test_malformed_ids(repo_id):
    with pytest.raises(hub.HubError, match="hub id") as error:
        hub.path(repo_id, "config.json")
    assert one_line(error)


@pytest.mark.parametrize("filename", ["", "../secret", "/etc/passwd", "a/../../b", "..\\b", "C:/windows"])
def test_malformed_file_names(filename):
    with pytest.raises(hub.HubError, match="not a path"):
        hub.path("some/set", filename)


def test_malformed_repo_type():
    with pytest.raises(hub.HubError, match="repo_type"):
        hub.path("some/set", "x", repo_type="space")


def test_offline_is_said_at_once(monkeypatch):
    start = time.perf_counter()
    with pytest.raises(hub.HubError, match="HF_HUB_OFFLINE") as error:
        hub.path(GPT2, "model.safetensors")
    assert one_line(error) and "MINIGPT_DATA" in str(error.value)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(hub.HubError, match="cannot be reached"):
        hub.path(GPT2, "model.safetensors")
    with pytest.raises(hub.HubError, match="cannot be reached"):
        hub.files("some/set")
    assert time.perf_counter() - start < 5


def test_a_name_look_up_that_hangs_is_left_behind(monkeypatch):
    def hang(*args, **kwargs):
        time.sleep(2)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    start = time.perf_counter()
    assert not hub.reachable("https://hub.invalid", seconds=0.2)
    assert time.perf_counter() - start < 1


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of the hub's protocol that one download needs."""

    body = b'{"n_layer": 12}'

    def do_HEAD(self):
        found = self.path == f"/{GPT2}/resolve/{hub.REVISIONS[GPT2]}/config.json"
        self.send_response(200 if found else 404)
        self.send_header("X-Error-Code", "" if found else "EntryNotFound")
        self.send_header("X-Repo-Commit", hub.REVISIONS[GPT2])
        self.send_header("ETag", '"abc"')
        self.send_header("Content-Length", str(len(self.body) if found else 0))
        self.end_headers()
        return found

    def do_GET(self):
        if self.do_HEAD():
            self.wfile.write(self.body)

    def log_message(self, *args):
        pass


def test_download_at_the_pinned_revision_then_offline(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "from minigpt import hub\n"
        f"print(hub.path({GPT2!r}, 'config.json'))\n"
        "try: hub.path('openai-community/gpt2', 'absent.bin')\n"
        "except hub.HubError as error: print(error)\n"
    )
    env = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    env |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0",
            "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    server.shutdown()
    server.server_close()
    found, missing = run.stdout.splitlines()
    assert hub.REVISIONS[GPT2] in found and open(found, "rb").read() == Hub.body, run.stderr
    assert "no such file" in missing
    again = subprocess.run([sys.executable, "-c", code], env=env | {"HF_HUB_OFFLINE": "1"}, capture_output=True,
                           text=True, timeout=60)
    assert again.stdout.splitlines()[0] == found and "HF_HUB_OFFLINE" in again.stdout
