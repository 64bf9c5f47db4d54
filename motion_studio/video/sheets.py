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


def contact_sheet(clips: list[Clip], labels: list[str], columns: int = 8) -> np.ndarray:
    """A picture (H, W, 3) uint8 with a row a clip: its label above `columns` frames spread over its length.

    All frames get the size of the first clip's. Raises ClipError unless there is a label a clip.
    """
    if not clips or len(clips) != len(labels) or columns < 1:
        raise ClipError(f"{len(clips)} clips, {len(labels)} labels, {columns} columns: give a label a clip")
    height, width = clips[0].height, clips[0].width
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


def _sized(frames: Tensor, height: int, width: int) -> Tensor:
    if frames.shape[-2:] == (height, width):
        return frames
    return interpolate(frames, (height, width), mode="bilinear", antialias=True).clamp(0, 1)
