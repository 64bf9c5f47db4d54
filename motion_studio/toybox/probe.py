"""Reads colour, shape, pose and motion back from a toybox clip without any learnt model.

Objects are brighter than every ground, so a soft mask comes from the brightest channel. Shape and pose are
matched against the renderer's own shapes; `obeys` says whether a motion is the one that words name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d

from motion_studio.toybox.motions import DIRECTIONS, SIDES
from motion_studio.toybox.shapes import COLOURS, SHAPES, SYMMETRY, signed_distance
from motion_studio.video.clip import Clip

_GRID, _REACH, _ANGLES = 28, 1.5, 72
_DARK, _BRIGHT = 0.64, 0.80
_LEAST = 12 / 64**2
"""Share of a picture that an object covers at least; half of it places one."""
EDGES = 0.15
"""Share of what is bright, above which a colour is an object's and not only where two colours blend."""


@dataclass(frozen=True)
class Reading:
    """What the probe saw; positions in fractions of the width, angles in radians clockwise."""

    colour: str
    shape: str
    fit: float
    """Mean overlap (intersection over union) with the best shape, in [0, 1]."""
    path: np.ndarray
    """(F, 2)."""
    angle: np.ndarray
    """(F,), unwrapped; all zero for a shape that looks the same at every turn."""
    radius: np.ndarray
    """(F,)."""


def soft_mask(clip: Clip) -> Tensor:
    """Return how much each pixel belongs to the object, (F, H, W) in [0, 1]."""
    return ((clip.frames.amax(1) - _DARK) / (_BRIGHT - _DARK)).clamp(0, 1)


def read(clip: Clip) -> Reading | None:
    """Read one object from a clip; None where most frames show nothing bright."""
    return _read(clip, soft_mask(clip), torch.ones(len(clip.frames), dtype=torch.bool))


def read_each(clip: Clip) -> list[Reading]:
    """Read objects of different colours from a clip, the largest first, without one that is mostly hidden.

    Shapes are read where no other object touches, if there is such a frame.
    """
    apart = clip.frames[:, None] - torch.tensor(list(COLOURS.values()))[None, :, :, None, None]
    nearest = apart.square().sum(2).argmin(1)
    bright = soft_mask(clip)
    masks = [bright * (nearest == index) for index in range(len(COLOURS))]
    masks = [mask for mask in masks if mask.sum() > EDGES * bright.sum()]
    near = round(clip.width / 32)
    readings = []
    for mask in sorted(masks, key=lambda one: -float(one.sum())):
        others = sum((other for other in masks if other is not mask), torch.zeros_like(mask))
        alone = (max_pool2d(mask, 2 * near + 1, 1, near) * others).amax((1, 2)) < 0.5
        if reading := _read(clip, mask, alone if alone.any() else ~alone):
            readings.append(reading)
    return readings


def _read(clip: Clip, mask: Tensor, alone: Tensor) -> Reading | None:
    """Read what is under a mask (F, H, W), its shape from the frames (F,) in which it is seen alone."""
    area = mask.sum((1, 2))
    if (area > _LEAST * mask[0].numel()).float().mean() < 0.75:
        return None
    size = clip.width
    centre = _centres(mask)
    scores, turns = _match(mask, centre, area.clamp(min=1))
    fits = scores[alone].mean(0)
    best = int(fits.argmax())
    shape = SHAPES[best]
    radius = (area / _templates()[1][best]).sqrt() / size
    return Reading(
        _colour(clip.frames, mask),
        shape,
        float(fits[best]),
        centre.numpy(),
        _angle(turns[:, best], shape),
        radius.numpy(),
    )


def _centres(mask: Tensor) -> Tensor:
    """Return the masks' centres, (F, 2) in widths; a frame without one takes its neighbour's."""
    axis = (torch.arange(mask.shape[-1]) + 0.5) / mask.shape[-1]
    total = mask.sum((1, 2))
    centre = (
        torch.stack([(mask.sum(1) * axis).sum(1), (mask.sum(2) * axis).sum(1)], 1)
        / total.clamp(min=1e-6)[:, None]
    )
    seen = torch.nonzero(total > _LEAST / 2 * mask[0].numel())[:, 0]
    nearest = (torch.arange(len(mask))[:, None] - seen[None]).abs().argmin(1)
    return centre[seen[nearest]]


def _colour(frames: Tensor, mask: Tensor) -> str:
    sure = (mask > 0.95).float()
    sure = sure if sure.sum() > 1.5 * _LEAST * mask[0].numel() else mask
    mean = (frames * sure[:, None]).sum((0, 2, 3)) / sure.sum()
    names = list(COLOURS)
    return names[int((torch.tensor([COLOURS[n] for n in names]) - mean).square().sum(1).argmin())]


@cache
def _templates() -> tuple[Tensor, list[float]]:
    """Return the shapes at every angle, (S, A, G·G), about their centre of mass, and their areas."""
    axis = np.linspace(-_REACH, _REACH, 97)
    x, y = np.meshgrid(axis, axis)
    grid = np.linspace(-_REACH, _REACH, _GRID)
    u, v = np.meshgrid(grid, grid)
    pixel = grid[1] - grid[0]
    pictures, areas = [], []
    for shape in SHAPES:
        inside = signed_distance(shape, x, y) < 0
        areas.append(float(inside.sum() * (axis[1] - axis[0]) ** 2))
        cx, cy = x[inside].mean(), y[inside].mean()
        for turn in np.arange(_ANGLES) * 2 * np.pi / _ANGLES:
            cos, sin = np.cos(turn), np.sin(turn)
            a, b = u * cos + v * sin + cx, v * cos - u * sin + cy
            pictures.append(np.clip(0.5 - signed_distance(shape, a, b) / pixel, 0, 1).ravel())
    stack = torch.tensor(np.array(pictures), dtype=torch.float32)
    return stack.view(len(SHAPES), _ANGLES, -1), areas


def _match(mask: Tensor, centre: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
    """Return each shape's best overlap in every frame (F, S), and all overlaps (F, S, A)."""
    templates, areas = _templates()
    grid = torch.linspace(-_REACH, _REACH, _GRID)
    square = torch.stack(torch.meshgrid(grid, grid, indexing="xy"), -1)
    size = mask.shape[-1]
    scores = []
    for index in range(len(SHAPES)):
        radius = (area / areas[index]).sqrt() / size
        at = centre[:, None, None] + square[None] * radius[:, None, None, None]
        crop = grid_sample(mask[:, None], at * 2 - 1, align_corners=False).view(len(mask), 1, -1)
        both, either = (
            torch.minimum(crop, templates[index]).sum(-1),
            torch.maximum(crop, templates[index]).sum(-1),
        )
        scores.append(both / either)
    scores = torch.stack(scores, 1)
    return scores.amax(-1), scores


def _angle(scores: Tensor, shape: str) -> np.ndarray:
    """Return the unwrapped pose (F,) in radians from overlaps (F, A), modulo the shape's symmetry."""
    order = SYMMETRY[shape]
    if not order:
        return np.zeros(len(scores))
    turn = scores.argmax(1).numpy() * 2 * np.pi / _ANGLES
    return np.unwrap(turn * order) / order


def path_length(path: np.ndarray) -> float:
    """Return the length of a path (F, 2), lightly smoothed against the probe's jitter."""
    return float(np.linalg.norm(np.diff(_smoothed(path), axis=0), axis=1).sum())


def _smoothed(path: np.ndarray) -> np.ndarray:
    padded = np.concatenate([2 * path[:1] - path[1:2], path, 2 * path[-1:] - path[-2:-1]])
    return 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]


def _turning(path: np.ndarray) -> float:
    """Return the signed angle that a path's heading turns through, radians, clockwise positive."""
    step = np.diff(_smoothed(path), axis=0)
    if not np.any(step):
        return 0.0
    step = step[np.linalg.norm(step, axis=1) > 0.15 * np.linalg.norm(step, axis=1).max()]
    heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    return float(heading[-1] - heading[0]) * len(path) / max(len(path) - 2, 1)


def _begins(path: np.ndarray) -> float:
    """Return at what angle its circle begins, clockwise from the right (least squares: I. Kasa, 1976)."""
    path = _smoothed(path)
    across = np.column_stack([2 * path, np.ones(len(path))])
    centre = np.linalg.lstsq(across, np.square(path).sum(1), rcond=None)[0][:2]
    return float(np.arctan2(*(path[0] - centre)[::-1]))


def _reversals(values: np.ndarray) -> int:
    """Return how often a curve turns back by more than a sixth of its range."""
    least, count, way, extreme = np.ptp(values) / 6, 0, 0, values[0]
    for value in values:
        if way == 0 and abs(value - values[0]) > least:
            way, extreme = int(np.sign(value - values[0])), value
        elif way and (value - extreme) * way > 0:
            extreme = value
        elif way and (extreme - value) * way > least:
            way, extreme, count = -way, value, count + 1
    return count


_HEADED = {"bouncing": 0, "waving": 0, "zigzagging": 1}
"""Motions that turn to and fro on their way: name to the axis (x 0, y 1) along which they go."""


def _headed(name: str, way: str, path: np.ndarray) -> bool:
    """Whether a path turns back across its way, as its name says, and goes the way that is named, if any."""
    along, across = path[:, _HEADED[name]], path[:, 1 - _HEADED[name]]
    net = (along[-1] - along[0]) * (-1 if way in ("left", "up") else 1)
    if way and net < 0.03:
        return False
    if name == "bouncing":
        hops = np.ptp(across) > 0.08 and _reversals(along) <= 1 or np.ptp(along) < 0.05
        return bool(hops and _reversals(across) >= 2)
    return bool(np.ptp(along) > 0.2 and _reversals(along) == 0 and _reversals(across) >= 1)


def obeys(words: str, path: np.ndarray, angle: np.ndarray, radius: np.ndarray) -> bool:
    """Whether a motion is the one that `words` name.

    Args:
        words: as `Thing.words`.
        path: (F, 2) fractions of the width.
        angle: (F,) radians clockwise.
        radius: (F,) any unit.
    """
    extent, net = np.ptp(path, axis=0), path[-1] - path[0]
    reach = float(np.hypot(*extent))
    change = float(np.log(max(radius[-3:].mean(), 1e-6) / max(radius[:3].mean(), 1e-6)))
    if words.startswith("moving "):
        heading = DIRECTIONS.index(words.removeprefix("moving ")) * np.pi / 4
        off = np.arctan2(net[1], net[0]) - heading
        straight = np.linalg.norm(net) / max(path_length(path), 1e-6)
        return bool(np.linalg.norm(net) > 0.035 and np.cos(off) > np.cos(np.deg2rad(38)) and straight > 0.8)
    if words.startswith(("circling", "arcing")):
        turn = _turning(path) * (-1 if "counterclockwise" in words else 1) / np.pi
        sides = [index for index, side in enumerate(SIDES) if words.endswith(side)]
        begins = not sides or np.cos(_begins(path) - sides[0] * np.pi / 2) > np.cos(np.deg2rad(75))
        far = turn > 1.2 if words.startswith("circling") else 0.25 < turn < 1.5
        return bool(reach > 0.05 and far and begins)
    name, _, way = words.partition(" ")
    if name in _HEADED:
        return _headed(name, way, path)
    if words.startswith("spinning"):
        turn = (angle[-1] - angle[0]) * (-1 if words.endswith("counterclockwise") else 1)
        return bool(turn > 0.35 and reach < 0.12)
    if words in ("growing", "shrinking"):
        return bool((change if words == "growing" else -change) > 0.1 and reach < 0.15)
    if words == "standing still":
        return bool(reach < 0.06 and abs(change) < 0.15)
    raise ValueError(f"no motion is called '{words}'")
