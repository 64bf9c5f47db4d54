"""Clips from files: video, gif or a folder of pictures, strictly."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from motion_studio.errors import ClipError
from motion_studio.video import ffmpeg
from motion_studio.video.clip import Clip

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
# Clips are kept as float32: 2^26 pixels over all frames are 800 MB; longer clips come in smaller.
_PIXELS_KEPT = 2**26
_SIDE_KEPT = 512


def read_clip(
    path: str | os.PathLike,
    start: float = 0.0,
    end: float | None = None,
    max_seconds: float = 60.0,
    max_bytes: int = 200 * 2**20,
    max_pixels: int = 4096 * 4096,
    folder_fps: float = 8.0,
) -> Clip:
    """The clip in an mp4, mov, webm or gif file, or in a folder of pictures in order of their names.

    Rotation in the metadata is applied, see-through parts are laid on white, an uneven frame rate is made
    even. The longer side is at most 512 pixels, less for long clips. `start` and `end` in seconds; a folder
    plays at `folder_fps`. Raises ClipError, one line, for what cannot be read whole: nothing there, empty,
    broken, cut short, sound only, under 2 frames, over `max_seconds`, `max_bytes` or `max_pixels` a frame.
    """
    path = Path(path)
    if not (0 <= start < math.inf and (end is None or start < end)):
        raise ClipError(
            f"{path.name}: no frame from {start:g} s to {'its end' if end is None else f'{end:g} s'}"
        )
    if path.is_dir():
        return _read_folder(path, start, end, folder_fps, max_seconds, max_bytes, max_pixels)
    if not path.is_file():
        raise ClipError(
            f"{path.name or path} is not there: give an mp4, mov, webm or gif file, or a folder of pictures"
        )
    size = path.stat().st_size
    if size == 0:
        raise ClipError(f"{path.name} is empty: it holds 0 bytes")
    if size > max_bytes:
        raise ClipError(f"{path.name} has {size / 2**20:.0f} MB: at most {max_bytes / 2**20:.0f} MB are read")
    return _read_video(path, start, end, max_seconds, max_pixels)


def _read_video(path: Path, start: float, end: float | None, max_seconds: float, max_pixels: int) -> Clip:
    about = ffmpeg.probe(path)
    _check_pixels(path, *about.stored, max_pixels)
    _check_pixels(path, about.width, about.height, max_pixels)
    if end is not None and about.seconds is not None and end >= about.seconds:
        end = None
    stop = end if end is not None else about.seconds
    if stop is not None and stop <= start:
        raise ClipError(f"{path.name}: no frame from {start:g} s to {stop:g} s")
    if stop is not None and stop - start > max_seconds:
        raise ClipError(
            f"{path.name} lasts {stop - start:.0f} s: at most {max_seconds:g} s are read, so cut it shorter"
        )
    # A file without a length is taken for a short recording; the cap below holds if it is not.
    expected = max(2.0, (stop - start if stop is not None else 15.0) * (about.fps or 30.0))
    pixels = about.width * about.height
    scale = min(1.0, _SIDE_KEPT / max(about.width, about.height), (_PIXELS_KEPT / expected / pixels) ** 0.5)
    most = max(16, int(1.5 * _PIXELS_KEPT / (pixels * scale**2)))
    seconds = stop - start if end is not None else max_seconds + 1.0
    frames, times = ffmpeg.decode(path, scale, _SIDE_KEPT, start, seconds, most)
    if len(frames) < 2:
        raise ClipError(
            f"{path.name} gives {len(frames)} frame(s) from {start:g} s on: a clip needs at least 2"
        )
    if times[-1] - times[0] > max_seconds:
        raise ClipError(f"{path.name} lasts over {max_seconds:g} s: cut it shorter")
    index, fps = _even(times, most)
    return Clip(_on_white(frames[index]), fps)


def _check_pixels(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        side = int(max_pixels**0.5)
        raise ClipError(f"{path.name} is {width}x{height} pixels: at most {side}x{side} are read")


def _even(times: np.ndarray, most: int) -> tuple[np.ndarray, float]:
    """Which frame to show at even steps, and the rate: all of them, unless their steps really differ.

    A short step among long ones makes no more than about `most` of them.
    """
    steps = np.diff(times)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1 / 30
    # Delays in a gif are hundredths of a second, so an even 8 fps alternates 12 and 13.
    if steps.min() > 0.6 * usual and steps.max() < 1.5 * usual:
        return np.arange(len(times)), (len(times) - 1) / float(times[-1] - times[0])
    usual = max(usual, 1 / 60, float(times[-1] - times[0]) / most)
    grid = np.arange(times[0], times[-1] + usual / 2, usual)
    return np.searchsorted(times, grid + usual * 1e-3, side="right") - 1, 1 / usual


def _on_white(frames: np.ndarray) -> Tensor:
    """RGBA bytes (F, h, w, 4) to colours (F, 3, h, w) in [0, 1]."""
    colour = torch.from_numpy(frames[..., :3].transpose(0, 3, 1, 2).astype(np.float32)).div_(255)
    if (frames[..., 3] == 255).all():
        return colour
    alpha = torch.from_numpy(frames[..., 3][:, None].astype(np.float32)).div_(255)
    return colour * alpha + (1 - alpha)


def _read_folder(
    path: Path,
    start: float,
    end: float | None,
    fps: float,
    max_seconds: float,
    max_bytes: int,
    max_pixels: int,
) -> Clip:
    names = [file for file in path.iterdir() if file.suffix.lower() in _PICTURES and file.is_file()]
    names.sort(
        key=lambda file: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.name)]
    )
    if len(names) < 2:
        raise ClipError(
            f"{path.name} holds {len(names)} pictures: a clip needs at least 2 png, jpg, bmp or webp files"
        )
    end = len(names) / fps if end is None else min(end, len(names) / fps)
    names = names[math.ceil(start * fps - 1e-6) : math.ceil(end * fps - 1e-6)]
    if len(names) < 2:
        raise ClipError(
            f"{path.name} gives {len(names)} pictures from {start:g} s on: a clip needs at least 2"
        )
    if len(names) > max_seconds * fps:
        raise ClipError(f"{path.name} holds {len(names)} pictures: at most {max_seconds * fps:.0f} are read")
    total = sum(file.stat().st_size for file in names)
    if total > max_bytes:
        raise ClipError(
            f"{path.name} has {total / 2**20:.0f} MB: at most {max_bytes / 2**20:.0f} MB are read"
        )
    frames, first = [], None
    for name in names:
        try:
            with Image.open(name) as picture:
                _check_pixels(name, *picture.size, max_pixels)
                picture = ImageOps.exif_transpose(picture).convert("RGBA")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            raise ClipError(f"{name.name} in {path.name} is broken or no picture") from None
        # As they are shown: a camera on its side stores a tall picture as a wide one, with a note to turn it.
        first = first or picture.size
        if picture.size != first:
            raise ClipError(f"{name.name} is {picture.size} pixels, the first {first}: all must be alike")
        scale = min(1.0, _SIDE_KEPT / max(first), (_PIXELS_KEPT / len(names) / (first[0] * first[1])) ** 0.5)
        if scale < 1:
            picture = picture.resize(
                [max(1, round(side * scale)) for side in picture.size], Image.Resampling.BOX
            )
        frames.append(np.asarray(picture))
    return Clip(_on_white(np.stack(frames)), fps)
