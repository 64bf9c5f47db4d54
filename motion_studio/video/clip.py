"""A clip in memory, and its resampling in time and size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from motion_studio.errors import ClipError


@dataclass(frozen=True)
class Clip:
    """Frames (F, 3, H, W), float32 in [0, 1], played at `fps` frames a second.

    Raises ClipError for another shape or type, no frames, or a rate that is not above 0.
    """

    frames: Tensor
    fps: float

    def __post_init__(self) -> None:
        frames = self.frames
        if not isinstance(frames, Tensor) or frames.ndim != 4 or frames.shape[1] != 3:
            given = tuple(frames.shape) if hasattr(frames, "shape") else type(frames).__name__
            raise ClipError(f"frames are {given}: a clip holds a tensor (F, 3, H, W)")
        if 0 in frames.shape:
            raise ClipError(f"frames are {tuple(frames.shape)}: a clip holds at least one frame of one pixel")
        if frames.dtype != torch.float32:
            raise ClipError(f"frames are {frames.dtype}: a clip holds float32 in [0, 1]")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ClipError(f"{self.fps} frames a second: the rate must be above 0")

    @property
    def num_frames(self) -> int:
        return self.frames.shape[0]

    @property
    def height(self) -> int:
        return self.frames.shape[2]

    @property
    def width(self) -> int:
        return self.frames.shape[3]

    @property
    def seconds(self) -> float:
        return self.num_frames / self.fps


def fit(
    clip: Clip,
    frames: int | None,
    height: int,
    width: int,
    fps: float | None = None,
    how: Literal["crop", "letterbox"] = "crop",
    start: float = 0.0,
    end: float | None = None,
) -> Clip:
    """The part of `clip` from `start` to `end` (seconds) as `frames` frames of `height` x `width` pixels.

    With `fps`, frames are taken at that rate from `start`; a part too short for it is spread evenly, so that
    no frame is held. Without, the part is spread evenly and keeps its seconds. Each frame is the nearest in
    time, never a mix of two. `frames` None keeps as many as the part holds (at `fps`, if given).
    `crop` fills the picture from its centre, `letterbox` shows it whole on black.
    Raises ClipError for a part with no frame or an unknown `how`.
    """
    if how not in ("crop", "letterbox"):
        raise ClipError(f"fit by {how!r}: allowed are crop, letterbox")
    if min(height, width) < 1 or (frames is not None and frames < 1) or (fps is not None and fps <= 0):
        raise ClipError(f"fit to {frames} frames of {width}x{height} at {fps}: all must be at least 1")
    end = clip.seconds if end is None else min(end, clip.seconds)
    first = math.ceil(start * clip.fps - 1e-6)
    last = math.ceil(end * clip.fps - 1e-6) - 1
    if start < 0 or last < first:
        raise ClipError(f"no frame from {start:g} s to {end:g} s: the clip lasts {clip.seconds:g} s")

    length = last - first + 1
    if frames is None:
        frames = length if fps is None else max(1, round(length / clip.fps * fps))
    step = (length - 1) / max(frames - 1, 1)
    # Half a step beyond the last frame it is still the nearest.
    if fps is not None and clip.fps / fps * (frames - 1.5) <= length - 1 + 1e-6:
        step = clip.fps / fps
    index = [first + min(math.floor(n * step + 0.5 - 1e-9), length - 1) for n in range(frames)]
    rate = fps if fps is not None else frames * clip.fps / length
    return Clip(_resized(clip.frames[index], height, width, how), rate)


def _resized(frames: Tensor, height: int, width: int, how: str) -> Tensor:
    old_height, old_width = frames.shape[-2:]
    if (old_height, old_width) == (height, width):
        return frames
    choose = max if how == "crop" else min
    scale = choose(height / old_height, width / old_width)
    size = (max(1, round(old_height * scale)), max(1, round(old_width * scale)))
    if size != (old_height, old_width):
        frames = interpolate(frames, size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
    if how == "crop":
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        return frames[..., top : top + height, left : left + width].contiguous()
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    whole = frames.new_zeros(*frames.shape[:2], height, width)
    whole[..., top : top + size[0], left : left + size[1]] = frames
    return whole
