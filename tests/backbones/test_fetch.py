"""A base model's files are fetched from a Hub of our own: with progress, stopped, taken up again, refused."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import torch
from huggingface_hub import constants, hf_hub_download
from safetensors.torch import load_file, save_file
from tiny import tiny_pipeline

from motion_studio.backbones import fetch as fetching
from motion_studio.backbones.fetch import fetch, is_here
from motion_studio.backbones.registry import BASES, load
from motion_studio.errors import Cancelled, InputError
from motion_studio.settings import GenerationSettings
from motion_studio.studio.studio import Studio

COMMIT = "0123456789abcdef" * 2 + "01234567"
REPO = "someone/tiny"
SPEC = replace(BASES["toybox"], name=REPO, title="Tiny", repo=REPO)
BIG, PADDING = "vae/diffusion_pytorch_model.safetensors", 2_000_000


class Hub(ThreadingHTTPServer):
    """Serves one folder as one repository; `asked` holds (path, first byte) of every file's download."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.folder, self.asked = folder, []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        folder = self.server.folder
        if path.startswith(f"/api/models/{REPO}/tree/"):
            files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
            rows = [
                {"type": "file", "path": str(f.relative_to(folder)), "size": f.stat().st_size, "oid": oid(f)}
                for f in files
            ]
            return self.say(json.dumps(rows).encode())
        if path.startswith(f"/api/models/{REPO}"):
            return self.say(json.dumps({"id": REPO, "sha": COMMIT, "siblings": []}).encode())
        path = path.replace("/resolve/main/", f"/resolve/{COMMIT}/")
        file = folder / path.removeprefix(f"/{REPO}/resolve/{COMMIT}/")
        if not path.startswith(f"/{REPO}/resolve/{COMMIT}/") or not file.is_file():
            return self.say(b"{}", 404, {"X-Error-Code": "RepoNotFound"})
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        whole = file.read_bytes()
        if self.command == "GET":
            self.server.asked.append((str(file.relative_to(folder)), first))
        ranged = {"Content-Range": f"bytes {first}-{len(whole) - 1}/{len(whole)}"} if first else {}
        headers = {"ETag": f'"{oid(file)}"', "X-Repo-Commit": COMMIT, **ranged}
        return self.say(whole[first:], 206 if first else 200, headers)

    do_HEAD = do_GET

    def say(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def oid(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    tiny_pipeline().save_pretrained(folder)
    weights = load_file(folder / BIG)
    save_file({**weights, "more": torch.zeros(PADDING, dtype=torch.uint8)}, folder / BIG, {"format": "pt"})
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"another copy")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    return folder


@pytest.fixture
def hub(files, tmp_path, monkeypatch):
    server = Hub(files)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**16)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_all_that_is_loaded_is_fetched_and_nothing_else(hub):
    assert not is_here(SPEC)
    steps = list(fetch(SPEC, threading.Event()))
    done, total = zip(*steps, strict=True)
    assert len(set(total)) == 1 and total[0] > PADDING
    assert list(done) == sorted(done) and done[-1] <= total[0]
    names = {name for name, _ in hub.asked}
    assert "model_index.json" in names and "unet/diffusion_pytorch_model.safetensors" in names
    assert not any("fp16" in name or name.endswith(".bin") for name in names)
    assert is_here(SPEC)


def test_what_is_here_asks_nobody(hub):
    list(fetch(SPEC, threading.Event()))
    hub.asked.clear()
    hub.shutdown()
    assert list(fetch(SPEC, threading.Event())) == []
    assert list(fetch(BASES["toybox"], threading.Event())) == []
    assert hub.asked == []


@pytest.mark.parametrize("parts_kept", [False, True])
def test_a_stopped_fetch_keeps_what_came(hub, files, monkeypatch, parts_kept):
    monkeypatch.setattr(fetching, "LARGE", PADDING if parts_kept else 2**30)
    cancel, write = threading.Event(), _Answer.say
    missing = (files / BIG).stat().st_size - PADDING // 2

    def slow(self, body: bytes, *args: object) -> None:
        if len(body) >= PADDING and self.command == "GET":  # the first megabyte, then the user has had enough
            self.send_response(200)
            for name, value in {"Content-Length": len(body), **args[1]}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body[: PADDING // 2])
            self.wfile.flush()
            cancel.wait(20)
            body = body[PADDING // 2 :]
            self.wfile.write(body)
            return
        write(self, body, *args)

    monkeypatch.setattr(_Answer, "say", slow)
    with pytest.raises(Cancelled, match="what came is kept"):
        for done, total in fetch(SPEC, cancel):
            if done >= (PADDING // 2 if parts_kept else total - missing) - 2**16:
                cancel.set()
    assert not is_here(SPEC)
    monkeypatch.setattr(_Answer, "say", write)
    hub.asked.clear()
    list(fetch(SPEC, threading.Event()))
    assert is_here(SPEC)
    again = dict(hub.asked)
    assert again[BIG] >= PADDING // 4 if parts_kept else again[BIG] == 0
    assert parts_kept or "unet/diffusion_pytorch_model.safetensors" not in again
    assert Path(hf_hub_download(REPO, BIG)).read_bytes() == (files / BIG).read_bytes()
    assert not list(
        (Path(constants.HF_HUB_CACHE) / f"models--{REPO.replace('/', '--')}").rglob("*.incomplete")
    )


def test_a_fetch_that_is_dropped_ends_at_once(hub, files, monkeypatch):
    monkeypatch.setattr(fetching, "LARGE", PADDING)
    write, sent, whole = _Answer.say, threading.Event(), threading.Event()

    def drip(self, body: bytes, *args: object) -> None:
        if len(body) < PADDING or self.command != "GET":
            return write(self, body, *args)
        self.send_response(200)
        for name, value in {"Content-Length": len(body), **args[1]}.items():
            self.send_header(name, str(value))
        self.end_headers()
        try:
            for first in range(0, len(body), 2**14):
                self.wfile.write(body[first : first + 2**14])
                self.wfile.flush()
                sent.set()
                time.sleep(0.1)
            whole.set()
        except OSError:  # nobody listens any more
            pass

    monkeypatch.setattr(_Answer, "say", drip)
    fetched = fetch(SPEC, threading.Event())
    next(fetched)
    assert sent.wait(20)
    fetched.close()
    assert not whole.is_set()


def test_a_part_that_is_too_long_is_begun_anew(hub, files, monkeypatch):
    monkeypatch.setattr(fetching, "LARGE", PADDING)
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{REPO.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{oid(files / BIG)}.incomplete").write_bytes(b"x" * (PADDING * 2))
    list(fetch(SPEC, threading.Event()))
    assert dict(hub.asked)[BIG] == 0
    assert Path(hf_hub_download(REPO, BIG)).read_bytes() == (files / BIG).read_bytes()


def test_a_network_that_breaks_off_is_one_line(hub, monkeypatch):
    write = _Answer.say

    def broken(self, body: bytes, *args: object) -> None:
        if self.path.endswith(BIG) and self.command == "GET":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Length", str(PADDING))
            self.end_headers()
            return
        write(self, body, *args)

    monkeypatch.setattr(_Answer, "say", broken)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)  # between its attempts
    monkeypatch.setattr(fetching, "LARGE", PADDING)
    with pytest.raises(InputError, match="someone/tiny") as caught:
        list(fetch(SPEC, threading.Event()))
    assert "\n" not in str(caught.value)


def test_a_base_that_is_not_there_is_one_line(hub):
    absent = replace(SPEC, name="someone/nothing", repo="someone/nothing")
    with pytest.raises(InputError, match="the Hub has no someone/nothing") as caught:
        list(fetch(absent, threading.Event()))
    assert "\n" not in str(caught.value)


def test_a_job_fetches_its_base_first(hub, tmp_path):
    studio = Studio(tmp_path, "cpu", REPO)
    try:
        job = studio.generate(GenerationSettings("a ball", steps=1, guidance=1.0), keep=False)
        assert job.wait(120) and job.state == "done", job.error
    finally:
        studio.close()
    assert is_here(SPEC) and load(REPO).name == REPO
