"""A Hub of our own on this machine: serves one folder as one repository, and fails where it is told to."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants

COMMIT = "0123456789abcdef" * 2 + "01234567"
REPO = "someone/tiny"
API = "the API"

Answer = Callable[["Request", bytes, dict[str, str]], None]


class Hub(ThreadingHTTPServer):
    """`asked` holds (path, first byte) of every file's download; `instead` answers for a file, or for API."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.folder, self.url = folder, f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, int]] = []
        self.instead: dict[str, Answer] = {}
        self.closing = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Nobody listens any more: that is what the tests are about."""


class Request(BaseHTTPRequestHandler):
    """What the Hub's library asks for: what a repository holds, and its files, or the rest of one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, hub = unquote(urlsplit(self.path).path), self.server
        if path.startswith(f"/api/models/{REPO}"):
            files = [file for file in sorted(hub.folder.rglob("*")) if file.is_file()]
            info = {"id": REPO, "sha": COMMIT, "siblings": [row(file, hub.folder) for file in files]}
            return hub.instead.get(API, say)(self, json.dumps(info).encode(), {})
        name = path.replace("/resolve/main/", f"/resolve/{COMMIT}/").removeprefix(
            f"/{REPO}/resolve/{COMMIT}/"
        )
        file = hub.folder / name
        if name.startswith("/") or not file.is_file():
            code = "EntryNotFound" if path.startswith(f"/{REPO}/") else "RepoNotFound"
            return say(self, b"{}", {"X-Error-Code": code, "X-Repo-Commit": COMMIT}, 404)
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        whole = file.read_bytes()
        if self.command == "GET":
            hub.asked.append((name, first))
        headers = {"ETag": f'"{digest(file)}"', "X-Repo-Commit": COMMIT}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(whole) - 1}/{len(whole)}"
        return hub.instead.get(name, say)(self, whole[first:], headers)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def begin(request: Request, headers: dict[str, str], status: int | None = None) -> None:
    """Send the head of an answer."""
    request.send_response(status or (206 if "Content-Range" in headers else 200))
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()


def say(request: Request, body: bytes, headers: dict[str, str], status: int | None = None) -> None:
    """Answer as a Hub does."""
    begin(request, {"Content-Length": str(len(body)), **headers}, status)
    if request.command == "GET":
        request.wfile.write(body)


def refuse(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    """Answer with a status; names of `headers` have _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request, *_: say(request, body, named, status)


def page(request: Request, body: bytes, headers: dict[str, str]) -> None:
    """A page to log in, in place of everything."""
    say(request, b"<html>please log in to the hotel's net</html>", {"Content-Type": "text/html"}, 200)


def page_of_no_length(request: Request, body: bytes, headers: dict[str, str]) -> None:
    """The same, and its end is where the connection ends."""
    request.close_connection = True
    begin(request, {"Content-Type": "text/html", "Connection": "close"}, 200)
    request.wfile.write(b"<html>please log in to the hotel's net</html>")


def flipped(request: Request, body: bytes, headers: dict[str, str]) -> None:
    """As many bytes as there should be, some of them wrong."""
    say(request, body[:500] + bytes(byte ^ 255 for byte in body[500:600]) + body[600:], headers)


def dripping(rate: int, most: int | None = None) -> Answer:
    """Send so many bytes a second, and after `most` none."""

    def answer(request: Request, body: bytes, headers: dict[str, str]) -> None:
        if request.command != "GET":
            return say(request, body, headers)
        begin(request, {"Content-Length": str(len(body)), **headers})
        with suppress(OSError):  # nobody listens any more
            sent = body[:most]
            for first in range(0, len(sent), rate // 10):
                request.wfile.write(sent[first : first + rate // 10])
                if request.server.closing.wait(0.1):
                    return
            request.server.closing.wait()

    return answer


def hang(request: Request, body: bytes, headers: dict[str, str]) -> None:
    """No answer at all."""
    request.server.closing.wait()


def digest(file: Path) -> str:
    """A file's name among blobs: SHA-256 of weights, which are in LFS; git's SHA-1 of others."""
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def row(file: Path, folder: Path) -> dict[str, object]:
    """What the API says of a file."""
    said = {"rfilename": file.relative_to(folder).as_posix(), "size": file.stat().st_size, "blobId": "0" * 40}
    if file.suffix != ".safetensors":
        return said | {"blobId": digest(file)}
    return said | {"lfs": {"sha256": digest(file), "size": said["size"], "pointerSize": 130}}


@contextmanager
def serving(folder: Path, cache: Path, monkeypatch) -> Iterator[Hub]:
    """A Hub of that folder which the library asks, with an empty cache."""
    hub = Hub(folder)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.closing.set()
        hub.shutdown()
        hub.server_close()
