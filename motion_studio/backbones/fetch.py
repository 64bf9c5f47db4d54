"""Fetch a base model's files from the Hugging Face Hub: with progress, until a stop, on after it.

huggingface_hub says what a repository holds and how its cache is laid out. It doesn't do the downloads: they
begin anew after a stop, can't be stopped while they wait for an answer, and are checked by their size alone.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from huggingface_hub import (
    HfApi,
    constants,
    get_session,
    hf_hub_url,
    hf_raise_for_status,
    try_to_load_from_cache,
)
from huggingface_hub.errors import HfHubHTTPError, HTTPError  # of whichever HTTP library it stands on
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from motion_studio.backbones.hub import (
    INDEX,
    REFUSALS,
    STRANGER,
    USED,
    lacks,
    on_disk,
    place,
    repo_and_file,
    weights,
    why_not,
)
from motion_studio.backbones.registry import BaseSpec
from motion_studio.errors import Cancelled, InputError

FILE = re.compile(r"[\w.-]+\.(json|txt|model|safetensors)")
"""The files that are loaded: no pickles. A name from a server becomes a path and may hold no other signs."""
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
TRIES = 5
"""How often in a row a download that breaks off without a byte is taken up again."""
BUSY = (408, 429, 503)
"""The statuses of an answer after which a server may be asked again."""
LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class _File:
    """One file of a repository at a commit."""

    repo: str
    commit: str
    name: str
    size: int
    hash: str
    """SHA-256 of a large file, git's SHA-1 of others; its name among the blobs of the Hub's cache."""


class _Watch:
    """What the thread that fetches tells, and whether it is to end."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.before, self.done, self.total = 0, 0, 0

    def look(self, came: int = 0) -> None:
        """Say how much of the file at hand is here. Raises Cancelled after a stop."""
        self.done = self.before + came
        if self.stop.is_set():
            raise Cancelled("stopped while fetching; what came is kept")


def is_here(spec: BaseSpec) -> bool:
    """Whether a base model can be loaded without fetching anything."""
    return on_disk(spec.repo, spec.revision, spec.parts)


def fetch(spec: BaseSpec, cancel: threading.Event) -> Iterator[tuple[int, int]]:
    """Fetch what is missing of a base model; yields (bytes fetched, bytes to fetch) now and then.

    Ends at once where nothing is missing. What came before a stop is kept; the next call fetches the rest.
    Raises InputError when files cannot be had, Cancelled soon after `cancel` is set.
    """
    wanted = [] if is_here(spec) else _sources(spec)
    if not wanted:
        return
    task, watch = Future[None](), _Watch()

    def work() -> None:
        try:
            task.set_result(_fetch(wanted, watch))
        except BaseException as error:
            task.set_exception(error)

    # Nobody waits for this thread after a stop: a server may keep it for long, and so may a name's address.
    threading.Thread(target=work, name="fetch", daemon=True).start()
    try:
        while not wait([task], LOOK_SECONDS).done:
            if cancel.is_set():
                raise Cancelled("stopped while fetching; what came is kept")
            if watch.total:
                yield watch.done, watch.total
        task.result()
        yield watch.total, watch.total
    except REFUSALS as error:
        raise InputError(why_not(spec.name, [source[:2] for source in wanted], error)) from error
    finally:
        watch.stop.set()
    if absent := lacks(spec.repo, spec.revision, spec.parts):
        raise InputError(f"{spec.name}: the Hub's files are not all; it lacks {', '.join(absent)}.")


def _sources(spec: BaseSpec) -> list[tuple[str, str | None, set[str], set[str]]]:
    """Repositories to fetch from, with their revisions, and the folders and single files that are loaded."""
    own = (spec.repo, spec.revision, USED - spec.parts.keys(), {INDEX})
    sources = [] if Path(spec.repo).is_dir() else [own]
    for part in spec.parts.values():
        repo, name = repo_and_file(part)
        if place(part) is None:
            sources.append((repo, None, set(), {name}) if name else (repo, None, {""}, set()))
    return sources


def _fetch(wanted: list[tuple[str, str | None, set[str], set[str]]], watch: _Watch) -> None:
    plan = [(repo, revision, *_plan(repo, revision, *which)) for repo, revision, *which in wanted]
    watch.total = sum(file.size for *_, files in plan for file in files)
    for repo, revision, commit, files in plan:
        for file in files:
            _fetch_file(file, watch)
            watch.before += file.size
        ref = _store(repo) / "refs" / (revision or constants.DEFAULT_REVISION)
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit, encoding="utf-8")  # last: what it names is whole


def _plan(repo: str, revision: str | None, folders: set[str], single: set[str]) -> tuple[str, list[_File]]:
    """The commit of a revision, and which files are missing of it."""
    api, timeout = HfApi(), constants.HF_HUB_ETAG_TIMEOUT
    try:
        info = api.model_info(repo, revision=revision, files_metadata=True, timeout=timeout)
        there = {file.rfilename: file for file in info.siblings}
        files = []
        for name in sorted(_loaded(repo, there, folders) | (single & there.keys())):
            size, lfs = there[name].size, there[name].lfs
            file = _File(repo, info.sha, name, size, lfs.sha256 if lfs else there[name].blob_id)
            if not (HASH.fullmatch(file.commit) and HASH.fullmatch(file.hash) and size >= 0):
                raise ValueError(file)
            files.append(file)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{repo}: {STRANGER}.") from error
    if absent := single - there.keys():
        raise InputError(f"{repo} on the Hub has no {', '.join(absent)}.")
    cached = [try_to_load_from_cache(repo, file.name, revision=info.sha) for file in files]
    return info.sha, [file for file, path in zip(files, cached) if not isinstance(path, str)]


def _loaded(repo: str, names: Iterable[str], folders: set[str]) -> set[str]:
    """Which of a repository's files are loaded from `folders`. InputError where one has pickles alone."""
    loaded: set[str] = set()
    for folder in folders:
        inside = folder and f"{folder}/"
        own = {name.removeprefix(inside) for name in names if name.startswith(inside)}
        own = {name for name in own if FILE.fullmatch(name)}
        found = weights(own)
        if "config.json" in own and not found:
            where = f"{folder} of {repo}" if folder else repo
            raise InputError(f"{where} has no weights as safetensors on the Hub; other kinds are not read.")
        plain = {name for name in own if not name.endswith(".safetensors")}
        loaded |= {inside + name for name in plain.union(found)}
    return loaded


def _store(repo: str) -> Path:
    """Where the Hub's cache keeps a repository: blobs by hash, snapshots of links to them, refs to those."""
    return Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo, repo_type="model"))


def _fetch_file(file: _File, watch: _Watch) -> None:
    """Fetch a file to its place in the Hub's cache, on from where a stop left it."""
    store = _store(file.repo)
    blob, link = store / "blobs" / file.hash, store / "snapshots" / file.commit / file.name
    part = blob.with_name(f"{file.hash}.incomplete")
    lock = store.parent / ".locks" / store.name / f"{file.hash}.lock"  # as the Hub's library has it
    for path in (blob, link, lock):
        path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        while True:
            watch.look(part.stat().st_size if part.exists() else 0)
            try:
                stack.enter_context(WeakFileLock(lock, timeout=LOOK_SECONDS))
                break
            except TimeoutError:  # another job fetches it
                continue
        if link.exists():
            return
        if not blob.exists():
            with part.open("ab") as out:
                _stream(file, out, watch)
            _check(file, part)
            part.replace(blob)
        link.unlink(missing_ok=True)  # to a blob that was deleted
        try:
            link.symlink_to(Path(*[".."] * (2 + file.name.count("/")), "blobs", file.hash))
        except OSError:  # Windows, to most users
            blob.replace(link)


def _stream(file: _File, out: BinaryIO, watch: _Watch) -> None:
    """Append to a file's part what is missing; what breaks off is taken up again, a few times."""
    url, tries = hf_hub_url(file.repo, file.name, revision=file.commit), 0
    if out.tell() > file.size:
        out.seek(out.truncate(0))
    while (have := out.tell()) < file.size:
        watch.look(have)
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        asked = {"headers": build_hf_headers(headers=headers), "timeout": constants.HF_HUB_DOWNLOAD_TIMEOUT}
        try:
            with get_session().stream("GET", url, follow_redirects=True, **asked) as response:
                hf_raise_for_status(response)
                _append(response, file, out, watch)
        except HTTPError as error:
            answer = error.response if isinstance(error, HfHubHTTPError) else None
            tries = 1 if out.tell() > have else tries + 1
            if tries == TRIES or (answer is not None and answer.status_code not in BUSY):
                raise
            seconds = "" if answer is None else answer.headers.get("Retry-After", "")
            watch.stop.wait(int(seconds) if seconds.isdecimal() else 1)


def _append(response: Any, file: _File, out: BinaryIO, watch: _Watch) -> None:
    """Write what an answer brings, if it is the file's rest, or all of it."""
    start = 0 if response.status_code == 200 else out.tell()  # 200: all of it, whatever was asked for
    length = response.headers.get("Content-Length")
    if length is not None and start + int(length) != file.size:
        raise _damaged(file, f"{start + int(length)} bytes in place of {file.size}")
    if start < out.tell():
        out.seek(out.truncate(start))
    for chunk in response.iter_bytes():  # as they come, so that a stop loses nothing
        out.write(chunk)
        out.flush()
        watch.look(out.tell())
        if out.tell() > file.size:
            break
    if (came := out.tell()) != file.size:
        out.truncate(start)
        raise _damaged(file, f"{came} bytes in place of {file.size}")


def _check(file: _File, part: Path) -> None:
    """Remove a part that is not what the file's hash says. Raises InputError then."""
    begin = hashlib.sha256 if len(file.hash) == 64 else lambda: hashlib.sha1(b"blob %d\0" % file.size)
    with part.open("rb") as content:
        right = hashlib.file_digest(content, begin).hexdigest() == file.hash
    if not right:
        part.unlink()
        raise _damaged(file, "its hash is another")


def _damaged(file: _File, how: str) -> InputError:
    return InputError(
        f"{file.name} of {file.repo} came damaged ({how}) and was thrown away: try again. "
        "If it stays so, look whether a page to log in or a proxy answers in the Hub's place."
    )
