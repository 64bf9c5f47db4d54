"""Fetch a base model's files from the Hugging Face Hub: with progress, until a stop, on after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_url, snapshot_download
from huggingface_hub.errors import HTTPError  # of whichever HTTP library it stands on
from huggingface_hub.file_download import DryRunFileInfo, http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers
from tqdm import tqdm

from motion_studio.backbones.hub import INDEX, USED, on_disk, repo_and_file, why_not
from motion_studio.backbones.registry import BaseSpec
from motion_studio.errors import Cancelled, InputError

KINDS = ("json", "txt", "model", "safetensors")
VARIANTS = ["*.fp16.*", "*.bf16.*", "*.non_ema.*"]
"""Second copies of the same weights, which are not loaded here."""
LARGE = 16 << 20
"""Bytes from which a file's part is kept at a stop; smaller ones begin again."""
LOOK_SECONDS = 0.3


def is_here(spec: BaseSpec) -> bool:
    """Whether a base model can be loaded without fetching anything."""
    return on_disk(spec.repo, spec.revision, spec.parts)


def fetch(spec: BaseSpec, cancel: threading.Event) -> Iterator[tuple[int, int]]:
    """Fetch what is missing of a base model; yields (bytes fetched, bytes to fetch) now and then.

    Ends at once where nothing is missing. What came before a stop is kept; the next call fetches the rest.
    Raises InputError when files cannot be had, Cancelled soon after `cancel` is set.
    """
    wanted = [] if is_here(spec) else [source for source in _sources(spec) if not Path(source[0]).is_dir()]
    try:
        yield from _fetched(wanted, cancel)
    except (OSError, HTTPError) as error:
        raise InputError(why_not(spec.name, [source[:2] for source in wanted], error)) from error


def _fetched(
    wanted: list[tuple[str, str | None, list[str]]], cancel: threading.Event
) -> Iterator[tuple[int, int]]:
    how = [
        {"repo_id": repo, "revision": revision, "allow_patterns": files, "ignore_patterns": VARIANTS}
        for repo, revision, files in wanted
    ]
    plan = [(source, snapshot_download(**source, dry_run=True)) for source in how]
    steps: list[tuple[int, Callable[..., Any]]] = []
    for source, infos in plan:
        missing = [info for info in infos if info.will_download]
        large = [info for info in missing if info.file_size >= LARGE]
        steps += [(info.file_size, partial(_large, source["repo_id"], info)) for info in large]
        small = sum(info.file_size for info in missing if info.file_size < LARGE)
        steps.append((small, partial(snapshot_download, **source)))
    total = sum(size for size, _ in steps)
    done = 0
    for size, step in steps:
        bars: list[tqdm] = []
        left = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            task = pool.submit(step, tqdm_class=_bar(bars, cancel, left))
            try:
                while not task.done():
                    wait([task], LOOK_SECONDS)
                    yield min(total, done + max((int(bar.n) for bar in bars), default=0)), total
                task.result()
            finally:
                left.set()  # before the pool waits for its thread
        done += size


def _large(repo: str, info: DryRunFileInfo, tqdm_class: type[tqdm]) -> None:
    """Fetch a large file to its place in the Hub's cache, on from where a stop left it.

    huggingface_hub begins a file anew after a stop; it finds this one by its hash and only links it.
    """
    url = hf_hub_url(repo, info.filename, revision=info.commit_hash)
    etag = get_hf_file_metadata(url).etag
    place = Path(info.local_path).parents[info.filename.count("/") + 2] / "blobs" / etag
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{etag}.incomplete")
    with WeakFileLock(place.with_name(f"{etag}.lock")):
        if place.exists():
            return
        with part.open("ab") as file:
            if file.tell() > info.file_size:
                file.seek(file.truncate(0))
            have, headers = file.tell(), build_hf_headers(headers={"Accept-Encoding": "identity"})
            http_get(
                url,
                file,
                resume_size=have,
                headers=headers,
                expected_size=info.file_size,
                tqdm_class=tqdm_class,
            )
        part.replace(place)


def _bar(bars: list[tqdm], *stops: threading.Event) -> type[tqdm]:
    """A progress bar for the Hub's library that shows nothing, counts bytes, and ends the work on a stop."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if self.unit == "B":
                bars.append(self)

        def display(self, *_: Any, **__: Any) -> bool:
            return True

        def update(self, n: float | None = 1) -> bool | None:
            if any(stop.is_set() for stop in stops):
                raise Cancelled("stopped while fetching; what came is kept")
            return super().update(n)

    return Bar


def _sources(spec: BaseSpec) -> list[tuple[str, str | None, list[str]]]:
    """Each repository with its revision and the patterns of the files that are loaded from it."""
    own = [f"{part}/*.{kind}" for part in sorted(USED - spec.parts.keys()) for kind in KINDS]
    sources: list[tuple[str, str | None, list[str]]] = [(spec.repo, spec.revision, [INDEX, *own])]
    for part in spec.parts.values():
        repo, name = repo_and_file(part)
        sources.append((repo, None, [name] if name else [f"*.{kind}" for kind in KINDS]))
    return sources
