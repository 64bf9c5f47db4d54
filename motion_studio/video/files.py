"""Clips from and to files, with the recipe that made them."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from motion_studio.errors import ClipError
from motion_studio.video import ffmpeg
from motion_studio.video.clip import Clip
from motion_studio.video.reading import read_clip
from motion_studio.video.sheets import contact_sheet, labelled_grid, side_by_side, to_bytes

__all__ = [
    "contact_sheet",
    "labelled_grid",
    "read_clip",
    "read_recipe",
    "side_by_side",
    "write_clip",
    "write_gif",
    "write_thumbnail",
]

MAX_RECIPE_BYTES = 256 * 1024


@contextmanager
def _replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A folder beside `path` with a place to write it; what is there at the end takes the place of `path`.

    Nothing else is left, whether it ends well or not. Raises ClipError when the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=path.parent))
    except OSError as error:
        raise ClipError(f"{path} cannot be written: {error.strerror}") from None
    try:
        place = folder / f"new{path.suffix}"
        yield place
        with place.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(place, path)
    except OSError as error:
        raise ClipError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_clip(
    path: str | os.PathLike,
    clip: Clip,
    recipe: dict | None = None,
    scale: int | None = None,
    how: Literal["nearest", "lanczos"] = "lanczos",
) -> None:
    """`clip` as H.264 mp4 that browsers play (yuv420p, index first), with `recipe` as JSON in its comment.

    `scale` enlarges small pictures by a whole number, `how` says by what filter. An odd side grows by one
    pixel, since yuv420p has none. Written whole or not at all. Raises ClipError when it cannot be.
    """
    try:
        text = None if recipe is None else json.dumps(recipe, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ClipError(f"the recipe cannot be written as JSON: {error}") from None
    if text is not None and len(text) > MAX_RECIPE_BYTES:
        raise ClipError(f"the recipe has {len(text)} bytes: at most {MAX_RECIPE_BYTES} go into a file")
    frames = _enlarged(to_bytes(clip.frames), scale or 1, how)
    height, width = frames.shape[1:3]
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    with _replacing(path) as place:
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{frames.shape[2]}x{frames.shape[1]}"]
        arguments = ["-loglevel", "error", *raw, "-r", f"{clip.fps:.6f}", "-i", "-"]
        if text is not None:
            # A file, since a command line has a limited length on some systems.
            notes = place.with_suffix(".txt")
            notes.write_text(";FFMETADATA1\ncomment=" + re.sub(r"([=;#\\\n])", r"\\\1", text) + "\n", "utf-8")
            arguments += ["-f", "ffmetadata", "-i", str(notes), "-map_metadata", "1"]
        colours = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
        colours = [
            "-vf",
            "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd,format=yuv420p",
            *colours,
        ]
        encode = ["-map", "0:v", *colours, "-c:v", "libx264", "-crf", "12", "-movflags", "+faststart"]
        _encode([*arguments, *encode, "-f", "mp4", str(place)], frames, path)


def write_gif(path: str | os.PathLike, clip: Clip, scale: int | None = None) -> None:
    """`clip` as an endless gif with its own palette; `scale` as in write_clip. Raises ClipError."""
    frames = _enlarged(to_bytes(clip.frames), scale or 1, "nearest")
    with _replacing(path) as place:
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{frames.shape[2]}x{frames.shape[1]}"]
        palette = ["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none", "-loop", "0"]
        arguments = ["-loglevel", "error", *raw, "-r", f"{clip.fps:.6f}", "-i", "-", *palette]
        _encode([*arguments, "-f", "gif", str(place)], frames, path)


def _encode(arguments: list[str], frames: np.ndarray, path: str | os.PathLike) -> None:
    done = ffmpeg.run(arguments, frames.tobytes())
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ClipError(f"{path} cannot be written: {reason[-1] if reason else 'ffmpeg failed'}")


def _enlarged(frames: np.ndarray, scale: int, how: str) -> np.ndarray:
    if scale < 1 or scale * max(frames.shape[1:3]) > 8192:
        raise ClipError(f"enlarged {scale} times: at least 1, and at most 8192 pixels a side")
    if scale == 1:
        return frames
    kind = {"nearest": cv2.INTER_NEAREST, "lanczos": cv2.INTER_LANCZOS4}[how]
    size = (frames.shape[2] * scale, frames.shape[1] * scale)
    return np.stack([cv2.resize(frame, size, interpolation=kind) for frame in frames])


def read_recipe(path: str | os.PathLike) -> dict | None:
    """The recipe that write_clip put into the file, or None when it holds none that reads as one.

    Raises ClipError when the file is not there or is no video.
    """
    path = Path(path)
    if not path.is_file():
        raise ClipError(f"{path.name} is not there")
    ffmpeg.probe(path)
    done = ffmpeg.run(["-loglevel", "error", *ffmpeg.source(path), "-f", "ffmetadata", "-"])
    found = re.search(rb"(?m)^comment=((?:\\.|[^\\\n])*)$", done.stdout, re.DOTALL)
    if done.returncode != 0 or found is None or len(found[1]) > 2 * MAX_RECIPE_BYTES:
        return None
    try:
        text = re.sub(r"\\(.)", r"\1", found[1].decode("utf-8"), flags=re.DOTALL)
        recipe = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return recipe if isinstance(recipe, dict) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def write_sheet(path: str | os.PathLike, clips: list[Clip], labels: list[str], scale: int = 1) -> None:
    """Write frames of the clips in rows under their labels as a picture (`video.sheets.contact_sheet`).

    Raises ClipError when it cannot be written.
    """
    picture = Image.fromarray(contact_sheet(clips, labels, scale=scale))
    with _replacing(path) as place:
        picture.save(place)


def write_thumbnail(path: str | os.PathLike, clip: Clip, side: int = 192) -> None:
    """The middle frame of `clip` as a picture (webp or png by the name), `side` pixels on its longer side.

    Raises ClipError when it cannot be written.
    """
    picture = Image.fromarray(to_bytes(clip.frames[clip.num_frames // 2 : clip.num_frames // 2 + 1])[0])
    scale = side / max(picture.size)
    picture = picture.resize(
        [max(1, round(length * scale)) for length in picture.size], Image.Resampling.LANCZOS
    )
    with _replacing(path) as place:
        picture.save(place, quality=85)
