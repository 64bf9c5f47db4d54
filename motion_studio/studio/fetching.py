"""A base model's files as the first part of a job: fetched where they are missing, told as its progress."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from motion_studio.backbones.fetch import fetch
from motion_studio.backbones.registry import BaseSpec
from motion_studio.studio.events import Progress

MB = 10**6


def fetching(spec: BaseSpec, cancel: threading.Event) -> Iterator[Progress]:
    """Fetch what is missing of a base model, as `fetch` does; says nothing where all is here."""
    for done, total in fetch(spec, cancel):
        yield Progress(done // MB, total // MB, f"Fetching {spec.title.split(':')[0]}, in MB")
