"""What the commands take: motions with weights, settings, and files to write."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from motion_studio.errors import ClipError, InputError, SettingsError
from motion_studio.motion.embedding import Motion
from motion_studio.settings import Settings
from motion_studio.studio.library import NAME, Library
from motion_studio.studio.motion_file import read_motion, write_motion
from motion_studio.studio.tracks import Track

AnySettings = TypeVar("AnySettings", bound=Settings)


def weighted(text: str) -> tuple[str, float]:
    """Split `M.safetensors[:WEIGHT]`; the weight is 1 where none is given."""
    source, colon, weight = text.rpartition(":")
    # C:\wave.safetensors has a colon, and no weight.
    if not colon or "/" in weight or "\\" in weight:
        return text, 1.0
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{text!r} has the weight {weight!r}, a number is needed, as in wave.safetensors:0.5."
        )
    return source, value


def motion_path(source: str, data: str | None = None) -> Path:
    """The file of a motion: `source` itself, or where the library has it if it is a name there."""
    if not Path(source).exists() and NAME.fullmatch(source):
        return Library(data).entry(source).path
    return Path(source)


def load_motion(source: str, data: str | None = None) -> Motion:
    """Read a motion from a file or from the library. Raises InputError."""
    return read_motion(motion_path(source, data))


def tracks(
    sources: Iterable[str], data: str | None = None, words: dict[int, str] | None = None
) -> tuple[tuple[Track, ...], dict[str, Path]]:
    """`M.safetensors[:WEIGHT]` each a track, and the file of each track's motion. Raises InputError.

    `words` are what tracks move, by their numbers from 0.
    """
    laid, paths = [], {}
    for number, (source, weight) in enumerate(map(weighted, sources)):
        path = motion_path(source, data)
        # A recipe holds names only, never where this machine keeps its files.
        name = path.name if paths.get(path.name, path) == path else f"{len(paths)}-{path.name}"
        paths[name] = path
        laid.append(Track(name, weight, prompt=(words or {}).get(number, "")))
    return tuple(laid), paths


def output(text: str, suffix: str) -> Path:
    """The file to write. Raises InputError, before any work, if it is no `suffix` file or cannot be there."""
    path = Path(text)
    if path.suffix != suffix:
        raise InputError(f"--out {text}: a name that ends in {suffix} is needed.")
    if path.is_dir():
        raise InputError(f"--out {text} is a folder, a file is needed.")
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"--out {text}: nothing can be written in {there}.")
    return path


def keep_clip(clip: str | Path, *written: Path) -> None:
    """Raises InputError, before any work, if a file to be `written` is `clip`, or is there in its folder."""
    for path in written:
        if path.exists() and Path(clip).exists() and (path.samefile(clip) or path.parent.samefile(clip)):
            raise InputError(f"--out would write {path} over the clip {clip}: give another name or folder.")


def sidecars(out: Path) -> list[Path]:
    """The loop and the thumbnail of the motion that is at `out` now; they are wrong for one that replaces it.

    The studio leaves both or none, and no recipe in a loop: whatever else is there is the user's own.
    """
    from motion_studio.video.files import read_recipe

    loop, thumbnail = out.with_suffix(".mp4"), out.with_suffix(".webp")
    if not (out.is_file() and loop.is_file() and thumbnail.is_file()):
        return []
    try:
        return [] if read_recipe(loop) else [loop, thumbnail]
    except ClipError:
        return []


def write_over(out: Path, motion: Motion, *most: int) -> tuple[Motion, list[Path]]:
    """Write a motion as `write_motion` does; returns it and what showed the one before it, now removed."""
    stale = sidecars(out)
    motion = write_motion(out, motion, *most)
    for path in stale:
        path.unlink()
    return motion, stale


def changed(settings: AnySettings, arguments: argparse.Namespace, **given: Any) -> AnySettings:
    """The settings with --steps, --seed, --set NAME=VALUE and `given` (where not None) put in."""
    given |= {"steps": arguments.steps, "seed": arguments.seed}
    values = {name: value for name, value in given.items() if value is not None}
    for text in arguments.settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--set {text}: NAME=VALUE is needed, as in --set rank=4.")
        name = name.strip().replace("-", "_")
        values[name] = settings.read(name, value)
    return type(settings).from_json({**settings.to_json(), **values})
