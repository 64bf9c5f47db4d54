"""Fetch a base model's files from the Hugging Face Hub: with progress, file by file, until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from tqdm import tqdm

from motion_studio.backbones.hub import INDEX, USED, on_disk, repo_and_file, why_not
from motion_studio.backbones.registry import BaseSpec
from motion_studio.errors import Cancelled, InputError

KINDS = ("json", "txt", "model", "safetensors")
VARIANTS = ["*.fp16.*", "*.bf16.*", "*.non_ema.*"]
"""Second copies of the same weights, which are not loaded here."""
LOOK_SECONDS = 0.3


def is_here(spec: BaseSpec) -> bool:
    """Whether a base model can be loaded without fetching anything."""
    return on_disk(spec.repo, spec.revision, spec.parts)


def fetch(spec: BaseSpec, cancel: threading.Event) -> Iterator[tuple[int, int]]:
    """Fetch what is missing of a base model; yields (bytes fetched, bytes to fetch) now and then.

    Ends at once where nothing is missing. Files that came whole before a stop are kept, and the next
    call fetches the rest; huggingface_hub keeps no part of a file.
    Raises InputError when files cannot be had, Cancelled soon after `cancel` is set.
    """
    wanted = [] if is_here(spec) else [source for source in _sources(spec) if not Path(source[0]).is_dir()]
    try:
        yield from _fetched(wanted, cancel)
    except OSError as error:
        raise InputError(why_not(spec.name, [source[:2] for source in wanted], error)) from error


def _fetched(
    wanted: list[tuple[str, str | None, list[str]]], cancel: threading.Event
) -> Iterator[tuple[int, int]]:
    how = [
        {"repo_id": repo, "revision": revision, "allow_patterns": files, "ignore_patterns": VARIANTS}
        for repo, revision, files in wanted
    ]
    plan = [snapshot_download(**source, dry_run=True) for source in how]
    total = sum(info.file_size for infos in plan for info in infos if info.will_download)
    done, left = 0, threading.Event()
    try:
        for source, infos in zip(how, plan, strict=True):
            bars: list[tqdm] = []
            with ThreadPoolExecutor(1) as pool:
                task = pool.submit(snapshot_download, **source, tqdm_class=_bar(bars, cancel, left))
                while not task.done():
                    wait([task], LOOK_SECONDS)
                    yield min(total, done + max((int(bar.n) for bar in bars), default=0)), total
                task.result()
            done += sum(info.file_size for info in infos if info.will_download)
    finally:
        left.set()


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
                raise Cancelled("stopped while fetching; files that came whole are kept")
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
