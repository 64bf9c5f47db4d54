"""Several clips in one picture or one clip."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate, pad

from motion_studio.errors import ClipError
from motion_studio.video.clip import Clip

_GAP = 4


def to_bytes(frames: Tensor) -> np.ndarray:
    """Frames (F, 3, H, W) in [0, 1] to bytes (F, H, W, 3) uint8; values outside are clipped."""
    return (frames.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()


def contact_sheet(clips: list[Clip], labels: list[str], columns: int = 8, scale: int = 1) -> np.ndarray:
    """A picture (H, W, 3) uint8 with a row a clip: its label above `columns` frames spread over its length.

    All frames get the size of the first clip's, times a whole number `scale`. Raises ClipError unless there
    is a label a clip.
    """
    if not clips or len(clips) != len(labels) or columns < 1:
        raise ClipError(f"{len(clips)} clips, {len(labels)} labels, {columns} columns: give a label a clip")
    height, width = clips[0].height * scale, clips[0].width * scale
    font_size = max(10, min(16, height // 5))
    step = (height + font_size + 2 * _GAP, width + _GAP)
    sheet = Image.new("RGB", (columns * step[1] + _GAP, len(clips) * step[0] + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(font_size)
    for row, (clip, label) in enumerate(zip(clips, labels, strict=True)):
        index = torch.linspace(0, clip.num_frames - 1, columns).round().long()
        frames = _sized(clip.frames[index], height, width)
        top = row * step[0] + _GAP
        draw.text((_GAP, top), label, "black", font)
        for column, frame in enumerate(to_bytes(frames)):
            sheet.paste(Image.fromarray(frame), (column * step[1] + _GAP, top + font_size + _GAP))
    return np.asarray(sheet)


def side_by_side(clips: list[Clip]) -> Clip:
    """The clips beside one another at the first one's rate and height; shorter ones hold their last frame.

    Raises ClipError without clips.
    """
    if not clips:
        raise ClipError("no clips to lay side by side: give at least one")
    fps, height = clips[0].fps, clips[0].height
    length = max(max(1, round(clip.seconds * fps)) for clip in clips)
    parts = []
    for clip in clips:
        index = ((torch.arange(length) + 0.5) * clip.fps / fps).long().clamp(max=clip.num_frames - 1)
        frames = _sized(clip.frames[index], height, max(1, round(clip.width * height / clip.height)))
        parts.append(pad(frames, (0, _GAP), value=1.0))
    return Clip(torch.cat(parts, -1)[..., :-_GAP], fps)


def labelled_grid(clips: list[Clip], labels: list[str], columns: int = 4, scale: int = 1) -> Clip:
    """The clips in rows of at most `columns`, each under its label, enlarged by a whole number, on white.

    All are shown at the first one's rate and size; shorter ones hold their last frame. A label that is too
    long for its clip ends in an ellipsis. Raises ClipError unless there is a label a clip.
    """
    if not clips or len(clips) != len(labels) or columns < 1:
        raise ClipError(f"{len(clips)} clips, {len(labels)} labels, {columns} columns: give a label a clip")
    height, width = clips[0].height * scale, clips[0].width * scale
    tiles = []
    for clip, label in zip(clips, labels, strict=True):
        shown = Clip(_sized(clip.frames, height, width), clip.fps)
        head = _label(label, width).expand(clip.num_frames, -1, -1, -1)
        tiles.append(Clip(torch.cat([head, shown.frames], 2), clip.fps))
    rows = [side_by_side(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    length = max(row.num_frames for row in rows)
    widest = max(row.width for row in rows)
    parts = []
    for row in rows:
        index = torch.arange(length).clamp(max=row.num_frames - 1)
        parts.append(pad(row.frames[index], (0, widest - row.width), value=1.0))
    return Clip(torch.cat(parts, 2), clips[0].fps)


def _label(text: str, width: int) -> Tensor:
    """A white strip (1, 3, h, width) with black text in it."""
    size = max(10, min(20, width // 12))
    font = ImageFont.load_default(size)
    short = text
    while font.getlength(text) > width - 2 * _GAP and short:
        short = short[:-1]
        text = short.rstrip() + "…"
    strip = Image.new("RGB", (width, size + 3 * _GAP), "white")
    ImageDraw.Draw(strip).text((_GAP, _GAP), text, "black", font)
    return torch.from_numpy(np.asarray(strip).copy()).permute(2, 0, 1)[None].float() / 255


def _sized(frames: Tensor, height: int, width: int) -> Tensor:
    if frames.shape[-2:] == (height, width):
        return frames
    return interpolate(frames, (height, width), mode="bilinear", antialias=True).clamp(0, 1)
