"""What moves in a clip: the object's path, the camera's curve, and tracks of single points.

Places are fractions of the picture's width, x right and y down from its top left corner. A camera curve
(F, 4) holds dx, dy (fractions of the width), log zoom and roll (radians, clockwise on the screen). It is the
motion of the ground's *content* in the picture, cumulative from frame 0, about the picture's centre c: what
is at q in frame 0 is at c + e^zoom R(roll) (q - c) + (dx, dy). So a camera that pans right has a falling dx.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from motion_studio.errors import ClipError
from motion_studio.motion.carried import camera_from_steps
from motion_studio.video.camera import align, warped
from motion_studio.video.clip import Clip, fit
from motion_studio.video.flow import flow
from motion_studio.video.ground import find_object, segment
from motion_studio.video.turning import turning

SIDE = 96
"""Clips are reduced to this many pixels on their longer side before they are looked at."""


@dataclass(frozen=True)
class Seen:
    """What was seen in a clip: `path` (F, 2), `camera` (F, 4) and where the object is, `cover` (F, h, w).

    `sizes` (F,) are how large the object is at each frame, over their mean, `turns` (F,) how far it has
    turned since frame 0, radians clockwise; None where it is round or its turns are not seen.

    The confidences, in [0, 1], say whether there was anything to see: an object that stands out from the
    ground; a ground that shows its motion in both directions (0.5: in one, as stripes do; 0: plain).
    """

    path: Tensor
    camera: Tensor
    cover: Tensor
    sizes: Tensor
    turns: Tensor | None
    path_confidence: float
    camera_confidence: float


def see(clip: Clip) -> Seen:
    """The object's path and the camera's curve of `clip`, found together since each needs the other.

    An object of one colour is found by it, else what does not move with the ground is taken for one. With
    nothing found the path rests in the picture's centre, and with nothing seen of the ground the camera at 0.
    Raises ClipError for fewer than 2 frames.
    """
    if clip.num_frames < 2:
        raise ClipError(f"{clip.num_frames} frame: motion needs at least 2")
    frames = reduced(clip).frames.permute(0, 2, 3, 1).cpu().numpy()
    found = find_object(frames)
    cover, confidence = found.cover, found.confidence
    if confidence == 0:
        bare = np.ones_like(cover)
        cover, confidence = _moving(frames, align(_brightness(frames, bare), bare)[0])
    hidden = ((cover > 0.1) & (confidence > 0)).astype(np.uint8)
    ground = 1 - np.stack([cv2.dilate(frame, np.ones((5, 5), np.uint8)) for frame in hidden])
    steps, shown = align(_brightness(frames, ground), ground)
    path, sizes = _outlines(cover)
    turns = turning(frames, cover, path, sizes)
    return Seen(
        path=torch.from_numpy(path).float(),
        sizes=torch.from_numpy(sizes).float(),
        turns=None if turns is None else torch.from_numpy(turns).float(),
        camera=camera_from_steps(torch.from_numpy(steps)).float(),
        cover=torch.from_numpy(cover),
        path_confidence=confidence,
        camera_confidence=float(shown.mean()),
    )


def track_object(clip: Clip) -> Tensor:
    """Centre of the object in each frame, (F, 2), as it is seen in the picture: camera motion is in it."""
    return see(clip).path


def camera_curve(clip: Clip) -> Tensor:
    """Motion of the ground's content from frame 0, (F, 4): dx, dy, log zoom, roll; see this module's text."""
    return see(clip).camera


def tracks(clip: Clip, points: Tensor | None = None, field: Tensor | None = None) -> Tensor:
    """Where points (P, 2) of frame 0 go, (F, P, 2), following the flow from frame to frame.

    Without `points` a grid of 12 x 12 is followed. Those that leave the picture stay at its border. `field`,
    the flow of `reduced(clip)`, spares finding it again.
    """
    clip = reduced(clip)
    tall = clip.height / clip.width
    if points is None:
        inner = torch.linspace(0.06, 0.94, 12)
        points = torch.cartesian_prod(inner * tall, inner).flip(-1)
    at, places = points.float(), [points.float()]
    limit = torch.tensor([1.0, tall])
    for step_field in (flow(clip) if field is None else field) / clip.width:
        grid = (2 * at / limit - 1)[None, None]
        step = grid_sample(step_field[None], grid, padding_mode="border", align_corners=False)
        at = (at + step[0, :, 0].T).clamp(min=0).minimum(limit)
        places.append(at)
    return torch.stack(places)


def reduced(clip: Clip) -> Clip:
    """`clip` with at most 96 pixels on its longer side."""
    scale = SIDE / max(clip.height, clip.width)
    if scale >= 1:
        return clip
    height, width = max(8, round(clip.height * scale)), max(8, round(clip.width * scale))
    return fit(clip, None, height, width)


def _brightness(frames: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Brightness (F, H, W) along the direction in which the ground's colours differ most, about in [0, 1]."""
    colours = frames[ground > 0.5]
    if len(colours) < 16:
        return np.zeros(frames.shape[:3], np.float32)
    # Along most of the colours: a second object that is not left out must not set the direction.
    (low, high), _ = segment(colours[:: max(1, len(colours) // 8000)])
    length = float(np.linalg.norm(high - low))
    along = (frames - low) @ (high - low) / max(length, 1e-6)
    # A plain ground must not have its noise blown up to full contrast.
    return (along / max(length, 0.15)).astype(np.float32)


def _outlines(cover: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (F, 2) and sizes (F,) of a cover (F, H, W); frames that hide the object lie between others."""
    frames, height, width = cover.shape
    total = cover.sum((1, 2))
    known = total > 0.25 * np.median(total[total > 0]) if (total > 0).any() else total > 0
    if not known.any():
        return np.tile([0.5, 0.5 * height / width], (frames, 1)), np.ones(frames)
    x = (cover.sum(1) @ (np.arange(width) + 0.5)) / np.maximum(total, 1e-9) / width
    y = (cover.sum(2) @ (np.arange(height) + 0.5)) / np.maximum(total, 1e-9) / width
    when = np.arange(frames)
    x, y, size = (np.interp(when, when[known], curve[known]) for curve in (x, y, np.sqrt(total)))
    return np.stack([x, y], 1), size / size.mean()


def _moving(frames: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, float]:
    """The blob (F, H, W) that does not move with the ground, and how far it stands out of the noise."""
    away = np.full(frames.shape[:3], np.inf, np.float32)
    for index, step in enumerate(steps):
        back, inside = warped(frames[index + 1], step)
        differs = np.linalg.norm(back - frames[index], axis=-1) * inside
        # The smaller of two: a place bare before and covered now must differ from both neighbours.
        away[index] = np.minimum(away[index], differs)
        forth, inside = warped(frames[index], _inverse(step))
        away[index + 1] = np.linalg.norm(forth - frames[index + 1], axis=-1) * inside
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), frames.shape[2] / 24) for frame in away])
    top = blurred.max((1, 2), keepdims=True)
    noise = np.median(blurred)
    confidence = float(np.clip((np.median(top) - 0.03 - 3 * noise) / 0.1, 0, 0.5))
    if confidence == 0:
        return np.zeros_like(blurred), 0.0
    return np.clip((blurred - 0.5 * top) / np.maximum(0.5 * top, 1e-6), 0, 1).astype(np.float32), confidence


def _inverse(step: np.ndarray) -> np.ndarray:
    cos, sin, shrink = np.cos(step[3]), np.sin(step[3]), np.exp(-step[2])
    dx = -shrink * (cos * step[0] + sin * step[1])
    dy = -shrink * (cos * step[1] - sin * step[0])
    return np.array([dx, dy, -step[2], -step[3]])
