"""Motions and renders on disk: the user's own, and the read-only starters that ship with the project.

A folder `motions/` of NAME.safetensors with NAME.mp4 (a loop of the reference) and NAME.webp (thumbnail)
beside it, a folder `renders/` of videos that carry their recipe, `sheets/` of several clips side by side, and
a `trash/` that gives a motion back.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motion_studio.errors import InputError, MotionFileError
from motion_studio.motion.embedding import Motion, MotionInfo
from motion_studio.studio.motion_file import read_info, read_motion, write_motion

if TYPE_CHECKING:
    from motion_studio.video.clip import Clip

DATA_VARIABLE = "MOTION_STUDIO_DATA"
STARTERS = Path(__file__).resolve().parents[2] / "presets" / "motions"
SUFFIXES = (".safetensors", ".mp4", ".webp")
MAX_NAME = 64
SHOWN_PIXELS = 256
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class Entry:
    """One motion of the library; `error` is empty, or says in a line why its file cannot be read."""

    name: str
    title: str
    path: Path
    clip: Path | None
    thumbnail: Path | None
    info: MotionInfo
    starter: bool
    error: str = ""


def data_folder() -> Path:
    """The user's folder: $MOTION_STUDIO_DATA, or .motion-studio in the home folder."""
    return Path(os.environ.get(DATA_VARIABLE) or Path.home() / ".motion-studio")


def slug(title: str) -> str:
    """A name for a title: small ASCII letters, digits and hyphens, 64 at most; `motion` for none."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_NAME].rstrip("-") or "motion"


def check_name(name: str) -> str:
    """Return `name` if it is a motion's name, and never a path. Raises InputError."""
    if not isinstance(name, str) or len(name) > MAX_NAME or not NAME.fullmatch(name):
        raise InputError(
            f"{str(name)[:80]!r} is not a motion's name: "
            f"small letters, digits and hyphens, {MAX_NAME} at most."
        )
    return name


class Library:
    """Motions by name, the user's and the starters; renders; a trash. Safe to use from threads."""

    def __init__(self, root: str | Path | None = None, starters: str | Path = STARTERS):
        self.root = Path(root).expanduser() if root else data_folder()
        self.starters = Path(starters)
        self._lock = threading.Lock()
        try:
            for folder in (self._motions, self._renders, self._sheets, self._trash):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"Cannot use {self.root} as the data folder: {error.strerror}.") from None

    @property
    def _motions(self) -> Path:
        return self.root / "motions"

    @property
    def _renders(self) -> Path:
        return self.root / "renders"

    @property
    def _sheets(self) -> Path:
        return self.root / "sheets"

    @property
    def _trash(self) -> Path:
        return self.root / "trash"

    def motions(self) -> list[Entry]:
        """The user's motions, newest first, then the starters by name."""
        own = sorted(_files(self._motions), key=lambda path: (-_changed(path), path.name))
        return [_entry(path, starter=False) for path in own] + [
            _entry(path, starter=True) for path in sorted(_files(self.starters))
        ]

    def entry(self, name: str) -> Entry:
        """The motion called `name`. Raises InputError that lists some of the known names."""
        path = self._path(name)
        if path is None:
            known = ", ".join(entry.name for entry in self.motions()[:12]) or "none yet"
            raise InputError(f"There is no motion {name!r} in the library; known: {known}.")
        return _entry(path, starter=path.parent == self.starters)

    def load(self, name: str) -> Motion:
        """Read the motion called `name`. Raises InputError or MotionFileError."""
        return read_motion(self.entry(name).path)

    def save(self, motion: Motion, name: str, reference: Clip | None = None, notes: str = "") -> Entry:
        """Save under a free name made from the title `name`, with the reference as a loop and a thumbnail."""
        info: dict[str, Any] = {"title": name.strip() or motion.info.title or "Motion"}
        if notes:
            info["notes"] = notes
        if not motion.info.date:
            info["date"] = datetime.now().astimezone().isoformat(timespec="seconds")
        with self._lock:
            free = self._free(slug(info["title"]))
            path = self._motions / f"{free}.safetensors"
            try:
                if reference is not None:
                    save_reference(path, reference)
                # Last, since the motion file is what makes the entry show.
                write_motion(path, replace(motion, info=replace(motion.info, **info)))
            except BaseException:
                for suffix in SUFFIXES:
                    path.with_suffix(suffix).unlink(missing_ok=True)
                raise
        return self.entry(free)

    def delete(self, name: str) -> None:
        """Move a motion to the trash. Raises InputError for a starter or an unknown name."""
        with self._lock:
            if self.entry(name).starter:
                raise InputError(f"{name!r} is a starter motion and cannot be deleted.")
            folder = self._trash / f"{name}.{datetime.now():%Y%m%d%H%M%S%f}"
            folder.mkdir()
            _move(self._motions, folder, name, name, SUFFIXES)

    def restore(self, name: str) -> Entry:
        """Bring back the last deleted of that name, under a new one if it is taken. Raises InputError."""
        check_name(name)
        with self._lock:
            folders = sorted(self._trash.glob(f"{name}.*"))
            if not folders:
                raise InputError(f"There is no motion {name!r} in the trash.")
            free = self._free(name)
            _move(folders[-1], self._motions, name, free, reversed(SUFFIXES))
            folders[-1].rmdir()
        return self.entry(free)

    def trash(self, base: str | None = None) -> list[str]:
        """Names of deleted motions, of a `base` model if one is named, the last deleted first, each once."""
        folders = sorted(self._trash.iterdir(), key=lambda path: path.suffix, reverse=True)
        last: dict[str, Path] = {}
        for path in folders:
            last.setdefault(path.stem, path / f"{path.stem}.safetensors")
        ours = ("", base)
        return [name for name, path in last.items() if base is None or _entry(path, False).info.base in ours]

    def save_render(self, clip: Clip, recipe: dict[str, Any]) -> Path:
        """Write a video with its recipe inside, named by time and prompt; returns its path."""
        from motion_studio.video.files import write_clip

        title = str(recipe.get("settings", {}).get("prompt") or "render")
        path = self._renders / f"{_dated(title)}.mp4"
        write_clip(path, clip, recipe, scale=shown_scale(clip))
        return path

    def save_sheet(self, title: str, clips: list[Clip], titles: list[str]) -> Path:
        """Write clips side by side under their titles, as a video and as a picture beside it (`.png`)."""
        path = self._sheets / f"{_dated(title)}.mp4"
        write_side_by_side(path, clips, titles)
        return path

    def renders(self) -> list[Path]:
        """Every saved video, newest first."""
        return sorted(_files(self._renders, ".mp4"), reverse=True)

    def find(self, motion_hash: str) -> Entry | None:
        """The motion whose tensors have this hash, if it is here: how a recipe finds its motions again."""
        for entry in self.motions():
            with contextlib.suppress(MotionFileError):  # a damaged file is passed over
                if not entry.error and read_motion(entry.path).hash() == motion_hash:
                    return entry
        return None

    def _path(self, name: str) -> Path | None:
        check_name(name)
        for folder in (self._motions, self.starters):
            if (path := folder / f"{name}.safetensors").is_file():
                return path
        return None

    def _free(self, name: str) -> str:
        candidate, number = name, 1
        # Nor a name whose clip was left without its motion: it would show beside another.
        while self._path(candidate) or any(
            (self._motions / f"{candidate}{end}").exists() for end in SUFFIXES
        ):
            number += 1
            tail = f"-{number}"
            candidate = name[: MAX_NAME - len(tail)].rstrip("-") + tail
        return candidate


def save_reference(path: Path, reference: Clip) -> None:
    """Write the loop and the thumbnail that go beside the motion file `path`."""
    from motion_studio.video.files import write_clip, write_thumbnail

    write_clip(path.with_suffix(".mp4"), reference, scale=shown_scale(reference))
    write_thumbnail(path.with_suffix(".webp"), reference)


def write_side_by_side(path: Path, clips: list[Clip], titles: list[str]) -> None:
    """Write the video `path` of clips side by side, and beside it a picture of some of their frames."""
    from motion_studio.video import files

    scale = shown_scale(clips[0])
    files.write_clip(path, files.labelled_grid(clips, titles, scale=scale))
    files.write_sheet(path.with_suffix(".png"), clips, titles, scale=max(1, scale // 2))


def _dated(title: str) -> str:
    return f"{datetime.now():%Y%m%d-%H%M%S-%f}-{slug(title)[:40].rstrip('-')}"


def shown_scale(clip: Clip) -> int:
    """By what whole number a small clip is enlarged in a file, so that players show it well."""
    return max(1, SHOWN_PIXELS // max(clip.height, clip.width))


def _files(folder: Path, suffix: str = ".safetensors") -> list[Path]:
    return [path for path in folder.glob(f"*{suffix}") if NAME.fullmatch(path.stem)]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted meanwhile, or a link to nothing
        return 0.0


def _entry(path: Path, starter: bool) -> Entry:
    error = ""
    try:
        info = read_info(path)
    except MotionFileError as problem:
        info, error = MotionInfo(), str(problem)
    clip, thumbnail = path.with_suffix(".mp4"), path.with_suffix(".webp")
    return Entry(
        name=path.stem,
        title=info.title or path.stem,
        path=path,
        clip=clip if clip.is_file() else None,
        thumbnail=thumbnail if thumbnail.is_file() else None,
        info=info,
        starter=starter,
        error=error,
    )


def _move(source: Path, target: Path, old: str, new: str, suffixes: Iterable[str]) -> None:
    for suffix in suffixes:
        if (path := source / f"{old}{suffix}").is_file():
            os.replace(path, target / f"{new}{suffix}")
