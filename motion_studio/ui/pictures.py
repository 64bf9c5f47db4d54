"""Clips and curves as the page's components take them: plain dicts with data URIs, and small SVG drawings."""

from __future__ import annotations

import base64
import io
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from motion_studio.settings import preset_figures
from motion_studio.studio.library import Entry
from motion_studio.ui import text
from motion_studio.video.clip import Clip
from motion_studio.video.reading import read_clip
from motion_studio.video.sheets import to_bytes

PLAYER_SIDE = 448
CARD_SIDE = 128
FILM_FRAMES = 14
FILM_SIDE = 72


def view(clip: Clip, side: int = PLAYER_SIDE) -> dict[str, Any]:
    """A clip for the player or a card: one picture with its frames in a grid, at most `side` pixels each."""
    frames = to_bytes(_at_most(clip.frames, side))
    count, height, width, _ = frames.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for n, frame in enumerate(frames):
        top, left = n // columns * height, n % columns * width
        sheet[top : top + height, left : left + width] = frame
    size = {"frames": count, "columns": columns, "width": width, "height": height}
    return {"sprite": _data_uri(sheet), "seconds": clip.seconds, **size}


def film(clip: Clip) -> dict[str, Any]:
    """A few frames spread over a clip, for the strip that trims it."""
    index = torch.linspace(0, clip.num_frames - 1, min(FILM_FRAMES, clip.num_frames)).round().long()
    return {**view(Clip(clip.frames[index], clip.fps), FILM_SIDE), "seconds": clip.seconds}


def card(entry: Entry) -> dict[str, Any]:
    """A motion of the library as a card: its clip, the way its object goes, its title and notes."""
    picture = _card_picture(entry.clip, entry.clip.stat().st_mtime) if entry.clip else {}
    note = entry.error or entry.info.notes
    return {**picture, "name": entry.name, "title": entry.title, "note": note, "path": entry.info.path}


def clip_card(path: Path) -> dict[str, Any]:
    """A shipped clip as a card, named by its file."""
    return {
        **_card_picture(path, path.stat().st_mtime),
        "name": path.stem,
        "title": title_of(path),
        "note": "",
    }


def title_of(path: Path) -> str:
    """A file's name as words."""
    words = path.stem.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


@lru_cache(maxsize=256)
def _card_picture(path: Path, changed: float) -> dict[str, Any]:
    return view(read_clip(path), CARD_SIDE)


def curve(values: list[float], total: int, label: str) -> str:
    """Losses as an SVG line over `total` steps, on a logarithmic scale, with a smoothed line on top."""
    if len(values) < 2:
        return ""
    smooth = [values[0]]
    for value in values[1:]:
        smooth.append(0.8 * smooth[-1] + 0.2 * value)
    logs = [[math.log(max(value, 1e-8)) for value in line] for line in (values, smooth)]
    low, high = min(map(min, logs)), max(map(max, logs))
    lines = "".join(
        f'<polyline class="{name}" points="{_points(line, total, low, high)}"/>'
        for name, line in zip(("raw", "smooth"), logs, strict=True)
    )
    drawing = f'<svg viewBox="0 0 300 80" preserveAspectRatio="none" role="img">{lines}</svg>'
    return f'<figure class="curve">{drawing}<figcaption>{label} <b>{smooth[-1]:.3f}</b></figcaption></figure>'


def measured(chosen: str, base: str) -> str:
    """The presets' figures as a small table, the chosen one's in ink; empty where none are of `base`."""
    found = preset_figures()
    if found.get("base") != base:
        return ""
    words = text.INVERT
    head = "".join(f"<th>{column}</th>" for column in words["measured_columns"])
    rows = ""
    for name, label in words["presets"].items():
        row = found["presets"].get(name)
        if row:
            cells = [f"{row[key]:.2f}" for key in ("path", "camera", "layout")] + [f"{row['seconds']:.0f} s"]
            mark = ' class="chosen"' if name == chosen else ""
            title = label.split(":")[0]
            rows += f"<tr{mark}><th>{title}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    caption = words["measured"].format(pairs=found["pairs"])
    return f'<table class="measured"><caption>{caption}</caption><tr><th></th>{head}</tr>{rows}</table>'


def _points(line: list[float], total: int, low: float, high: float) -> str:
    scale = 72 / ((high - low) or 1)
    across = 300 / max(total - 1, len(line) - 1, 1)
    return " ".join(f"{n * across:.1f},{76 - (value - low) * scale:.1f}" for n, value in enumerate(line))


def _at_most(frames: torch.Tensor, side: int) -> torch.Tensor:
    height, width = frames.shape[-2:]
    scale = side / max(height, width)
    if scale >= 1:
        return frames
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return interpolate(frames, size, mode="bilinear", antialias=True).clamp(0, 1)


def _data_uri(picture: np.ndarray) -> str:
    """Small pictures exactly, as PNG; large ones as JPEG."""
    kind = "png" if picture.size < 1_000_000 else "jpeg"
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **({"quality": 88} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
