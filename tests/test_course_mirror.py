"""The mirror for a class: what is fetched and what is not, damage, a stopped download. The hub is a small server here."""

import hashlib
import http.server
import json
import sys
import threading

import pytest
from huggingface_hub import constants

from course import __main__, mirror
from minigpt import data, evaluate, hub

WIKITEXT, GPT1, CBT = "Salesforce/wikitext", "openai-community/openai-gpt", "cam-cst/cbt"
TEST = "wikitext-2-raw-v1/test-00000-of-00001.jsonl"
NEWEST = "5" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of the hub's protocol that a mirror needs: the newest commit, a listing, files, and the rest of a file."""

    protocol_version = "HTTP/1.1"
    files: dict[str, dict[str, bytes]] = {}
    asked: list[str] = []
    cut: set[str] = set()  # files whose first download breaks off in the middle
    lies: set[str] = set()  # files that are listed with another digest

    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        return body

    def reply(self):
        path, *_ = self.path.split("?")
        words = path.strip("/").split("/")
        if words[0] == "api":
            repo, rest = "/".join(words[2:4]), words[4:]
            if repo not in self.files:
                return self.answer(404, X_Error_Code="RepoNotFound")
            if not rest:
                return self.answer(200, json.dumps({"id": repo, "sha": NEWEST, "siblings": []}).encode())
            assert rest[0] == "tree" and rest[1] == hub.REVISIONS.get(repo, NEWEST)
            return self.answer(200, json.dumps([self.entry(repo, name) for name in self.files[repo]]).encode())
        words = words[1:] if words[0] == "datasets" else words
        repo, name = "/".join(words[:2]), "/".join(words[4:])
        assert words[2] == "resolve" and words[3] == hub.REVISIONS.get(repo, NEWEST)
        content = self.files[repo][name]
        etag = {"X_Repo_Commit": words[3], "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if self.command == "HEAD":
            self.answer(200, Content_Length=str(len(content)), **etag)
            return b""
        Hub.asked.append(f"{repo}/{name}")
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").split("-")[0])
        body = self.answer(206 if start else 200, content[start:], **etag)
        if name in self.cut:
            self.cut.discard(name)
            self.close_connection = True
            return body[:len(body) // 2]
        return body

    def entry(self, repo, name):
        content = self.files[repo][name]
        digest = hashlib.sha256(content + b"!" * (name in self.lies)).hexdigest()
        entry = {"type": "file", "path": name, "size": len(content),
                 "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}
        return entry | ({"lfs": {"oid": digest, "size": len(content), "pointerSize": 134}} if len(content) > 1000 else {})

    def do_GET(self):
        self.wfile.write(self.reply())

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    Hub.files = {
        WIKITEXT: {TEST: b'{"text": "a line"}\n' * 400, TEST.replace("test-", "train-"): b"no", "README.md": b"no",
                   TEST.replace("-2-", "-103-"): b"no"},
        GPT1: {"config.json": b"{}", "model.safetensors": b"weights " * 5000, "vocab.json": b"other", "merges.txt": b"x",
               "tf.h5": b"no"},
        CBT: {"CN/validation-00000-of-00001.parquet": b"rows", "NE/validation-00000-of-00001.parquet": b"no"},
    }
    Hub.asked, Hub.cut, Hub.lies = [], set(), set()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_port}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("MINIGPT_DATA", raising=False)
    for name, value in (("HF_HUB_OFFLINE", False), ("HF_HUB_CACHE", str(tmp_path / "cache")), ("HF_HUB_DISABLE_XET", True)):
        monkeypatch.setattr(constants, name, value)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # The book knows the digests of GPT-1's vocabulary; this server's is another.
    for name in ("vocab.json", "merges.txt"):
        monkeypatch.setitem(hub.SHA256, (GPT1, name), hashlib.sha256(Hub.files[GPT1][name]).hexdigest())
    yield Hub
    running.shutdown()
    running.server_close()


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 300
    return text


def test_fetched_once_at_the_pinned_commit_and_read_by_the_book(server, tmp_path, monkeypatch):
    folder, said = tmp_path / "mirror", []
    fetched = mirror.make(folder, ["wikitext2", "cbt-cn"], mirror.Hub(), said.append)
    assert fetched == [f"{WIKITEXT}/{TEST}", f"{CBT}/CN/validation-00000-of-00001.parquet"] == server.asked
    assert "wikitext2: 1 files, 7.6 kB" in said and "to fetch: 2 of 2 files, 7.6 kB" in said
    commits = [entry["revision"] for entry in mirror.manifest(folder).values()]
    assert commits == [hub.REVISIONS[WIKITEXT], NEWEST]
    assert mirror.make(folder, ["wikitext2"], mirror.Hub(), said.append) == [] and len(server.asked) == 2
    monkeypatch.setenv("MINIGPT_DATA", str(folder))  # the one setting
    assert hub.files(WIKITEXT) == [TEST]
    assert data.records(f"{WIKITEXT}/wikitext-2-raw-v1", "test", "text") == ["a line"] * 400


def test_a_download_that_breaks_off_goes_on(server, tmp_path):
    server.cut = {"model.safetensors"}
    try:
        mirror.make(tmp_path, ["gpt1"], mirror.Hub(), lambda line: None)
    except OSError as error:
        assert "\n" not in str(error)
    mirror.make(tmp_path, ["gpt1"], mirror.Hub(), lambda line: None)
    assert (tmp_path / GPT1 / "model.safetensors").read_bytes() == server.files[GPT1]["model.safetensors"]
    assert mirror.check(tmp_path) == (4, []) and not (tmp_path / GPT1 / "tf.h5").exists()
    assert sorted(server.asked) == sorted([f"{GPT1}/{name}" for name in mirror.MODEL_FILES] + [f"{GPT1}/model.safetensors"])


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json"])
def test_what_comes_damaged_is_refused_by_name(name, server, tmp_path, monkeypatch):
    server.lies = {"model.safetensors"}
    if name == "vocab.json":
        server.lies = set()
        monkeypatch.setitem(hub.SHA256, (GPT1, name), "0" * 64)  # as the book knows it
    with pytest.raises(ValueError, match=f"{GPT1}/{name} came damaged .* and was removed; try again") as error:
        mirror.make(tmp_path, ["gpt1"], mirror.Hub(), lambda line: None)
    assert one_line(error) and not (tmp_path / GPT1 / name).exists() and f"{GPT1}/{name}" not in mirror.manifest(tmp_path)


def test_damage_afterwards_is_named_and_mended(server, tmp_path):
    quiet = lambda line: None  # noqa: E731
    mirror.make(tmp_path, ["gpt1", "wikitext2"], mirror.Hub(), quiet)
    weights, vocabulary, test = tmp_path / GPT1 / "model.safetensors", tmp_path / GPT1 / "vocab.json", tmp_path / WIKITEXT / TEST
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    vocabulary.unlink()
    test.write_bytes(test.read_bytes()[:100])
    good, troubles = mirror.check(tmp_path)
    assert good == 2 and [line.split("; run")[0] for line in troubles] == [
        f"{WIKITEXT}/{TEST}: 100 bytes instead of 7,600", troubles[1].split("; run")[0], f"{GPT1}/vocab.json: missing"]
    assert f"{GPT1}/model.safetensors: SHA-256" in troubles[1]
    assert len(mirror.make(tmp_path, ["gpt1", "wikitext2"], mirror.Hub(), quiet)) == 3 and mirror.check(tmp_path) == (5, [])


def test_one_mirror_is_made_from_another(server, tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    quiet = lambda line: None  # noqa: E731
    mirror.make(first, ["gpt1"], mirror.Hub(), quiet)
    server.files = {}  # the hub is away
    assert len(mirror.make(second, ["gpt1"], mirror.Folder(first), quiet)) == 4
    assert mirror.manifest(first) == mirror.manifest(second) and mirror.check(second) == (4, [])
    with pytest.raises(hub.HubError, match="is not in"):
        mirror.make(second, ["wikitext2"], mirror.Folder(first), quiet)
    (first / GPT1 / "config.json").write_bytes(b"[]")
    (second / GPT1 / "config.json").unlink()
    with pytest.raises(ValueError, match="config.json came damaged"):
        mirror.make(second, ["gpt1"], mirror.Folder(first), quiet)


def test_killed_between_a_file_and_its_entry(server, tmp_path):
    quiet = lambda line: None  # noqa: E731
    mirror.make(tmp_path, ["gpt1"], mirror.Hub(), quiet)
    (tmp_path / mirror.MANIFEST).unlink()
    assert mirror.make(tmp_path, ["gpt1"], mirror.Hub(), quiet) == [] and mirror.check(tmp_path) == (4, [])


def test_bad_input_ends_in_one_line(server, tmp_path):
    quiet = lambda line: None  # noqa: E731
    with pytest.raises(ValueError, match="no set 'gpt3'; there are gpt1, gpt2") as error:
        mirror.make(tmp_path, ["gpt3"], mirror.Hub(), quiet)
    assert one_line(error)
    with pytest.raises(hub.HubError, match="no such repository") as error:
        mirror.make(tmp_path, ["gpt2"], mirror.Hub(), quiet)
    assert one_line(error)
    del server.files[GPT1]["model.safetensors"]
    with pytest.raises(hub.HubError, match=f"{GPT1}: no model.safetensors there"):
        mirror.make(tmp_path, ["gpt1"], mirror.Hub(), quiet)
    with pytest.raises(ValueError, match="make the mirror first"):
        mirror.check(tmp_path)
    (tmp_path / mirror.MANIFEST).write_text('{"files": {"a/b/c": 3}}')
    with pytest.raises(ValueError, match="is damaged: delete it"):
        mirror.check(tmp_path)


def test_every_set_has_its_place():
    for name, parts in mirror.sets().items():
        for part in parts:
            hub.check_id(part.repo_id)
            assert part.names or part.split in data.SPLITS, name
    assert {"gpt1", "gpt2-xl", "lambada", "wikitext2", "cola", "race"} <= mirror.sets().keys()
    assert "storycloze" not in mirror.sets()


def test_the_sets_of_evaluate_are_what_its_tasks_read(monkeypatch):
    class Asked(BaseException):
        """Where a task looked: no reader may take this for a bad line."""

    def records(source, part, column=None):
        raise Asked(source, part, ())

    def path(repo_id, name, **_):
        raise Asked(f"{repo_id}/{name.rsplit('/', 1)[0]}", "test", (name,))

    monkeypatch.setattr(data, "records", records)
    monkeypatch.setattr(hub, "path", path)
    found = {}
    for name, task in evaluate.TASKS.items():
        try:
            task.read(None, 1)
        except Asked as asked:
            found[name] = asked.args
        except FileNotFoundError:  # a file that only --data can name
            continue
    assert found == {name: (*place, mirror.EXACT.get(name, ())) for name, place in mirror.MEASURES.items()}


def test_the_command(tmp_path, monkeypatch, capsys):
    """What there is; a mirror from a mirror; the check's exit code."""
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["course", "mirror", *map(str, words)])
        __main__.main()
        return capsys.readouterr().out

    other, folder = tmp_path / "other", tmp_path / "m"
    (other / "cam-cst" / "cbt" / "CN").mkdir(parents=True)
    (other / "cam-cst" / "cbt" / "CN" / "validation.parquet").write_bytes(b"rows")
    assert "wikitext2          Salesforce/wikitext\n" in run()
    assert "cbt-cn: 1 files, 4 bytes\nto fetch: 1 of 1" in run(folder, "cbt-cn", "--from", other, "--dry-run")
    assert not folder.exists()
    assert f"set MINIGPT_DATA={folder}" in run(folder, "cbt-cn", "--from", other)
    (folder / "cam-cst" / "cbt" / "CN" / "validation.parquet").write_bytes(b"rats")
    with pytest.raises(SystemExit) as ended:
        run(folder, "--check")
    assert ended.value.code == 1 and "validation.parquet: SHA-256" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no set 'all'"):
        run(folder, "all", "--from", other)
