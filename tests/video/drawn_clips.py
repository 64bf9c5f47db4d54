"""Tiny clips drawn from known motion, by their own few lines of numpy: the truth for the measures."""

from __future__ import annotations

import numpy as np
import torch

from motion_studio.video.clip import Clip

FRAMES, SIZE, FINE = 16, 64, 4
TIME = np.linspace(0, 1, FRAMES)
COLOURS = {"red": (0.95, 0.15, 0.15), "yellow": (1.0, 0.9, 0.2), "white": (0.95, 0.95, 0.95)}
TONES = {"plain": ((0.2, 0.25, 0.4),) * 2, "green": ((0.1, 0.25, 0.1), (0.25, 0.5, 0.25))}

PATHS = {
    "straight": np.stack([0.25 + 0.5 * TIME, 0.6 - 0.2 * TIME], 1),
    "circle": 0.5 + 0.2 * np.stack([np.cos(5.5 * TIME), np.sin(5.5 * TIME)], 1),
    "wave": np.stack([0.75 - 0.5 * TIME, 0.5 + 0.15 * np.sin(8 * TIME)], 1),
    "small": np.stack([0.5 + 0.03 * np.sin(6 * TIME), 0.45 + 0.04 * TIME], 1),
    "still": np.full((FRAMES, 2), 0.45),
}


def camera(dx: float = 0, dy: float = 0, zoom: float = 0, roll: float = 0) -> np.ndarray:
    """A curve (F, 4) that eases to these values."""
    return (TIME**1.3)[:, None] * np.array([dx, dy, zoom, roll])


CAMERAS = {
    "none": camera(),
    "pan": camera(dx=-0.4),
    "tilt": camera(dy=0.3),
    "zoom in": camera(zoom=0.4),
    "zoom out": camera(zoom=-0.35),
    "roll": camera(roll=0.7),
    "all": camera(0.2, -0.15, 0.2, -0.4),
    "small": camera(dx=0.04, roll=0.05),
}


def _ground(x: np.ndarray, y: np.ndarray, pattern: str) -> np.ndarray:
    """How light the ground is at world points, about in [0, 1]."""
    if pattern == "plain":
        return np.zeros_like(x)
    if pattern == "stripes":
        return (np.sin((x * 0.9 + y * 0.45) * 2 * np.pi / 0.35) > 0).astype(float)
    if pattern == "checks":
        return ((np.sin(x * 2 * np.pi / 0.4 + 0.5) > 0) ^ (np.sin(y * 2 * np.pi / 0.4) > 0)).astype(float)
    waves = [(9, 3, 1), (-4, 11, 2), (13, -8, 3), (5, 7, 4), (-15, 4, 5)]
    return 0.5 + 0.5 * np.tanh(0.7 * sum(np.sin(a * x + b * y + c) for a, b, c in waves))


def draw(
    path: np.ndarray | None = None,
    curve: np.ndarray = CAMERAS["none"],
    pattern: str = "plain",
    colour: str = "red",
    shape: str = "disc",
    radius: float | np.ndarray = 0.11,
    width: int = SIZE,
    angle: float | np.ndarray = 0.0,
) -> Clip:
    """A clip (F, 3, 64, 64): an object on its path (in the picture) over a ground under a camera curve.

    `width` shows more, or less, at both sides of the same square; `radius`, and `angle` in
    radians clockwise, may differ from frame to frame.
    """
    axis = (np.arange(SIZE * FINE) + 0.5) / (SIZE * FINE)
    across = 0.5 + (np.arange(width * FINE) + 0.5 - width * FINE / 2) / (SIZE * FINE)
    x, y = np.meshgrid(across, axis)
    dark, light = (np.array(tone) for tone in TONES["plain" if pattern == "plain" else "green"])
    frames = []
    for index, (dx, dy, zoom, roll) in enumerate(curve):
        cos, sin, shrink = np.cos(roll), np.sin(roll), np.exp(-zoom)
        u, v = x - 0.5 - dx, y - 0.5 - dy
        at_x, at_y = 0.5 + shrink * (cos * u + sin * v), 0.5 + shrink * (cos * v - sin * u)
        picture = dark + _ground(at_x, at_y, pattern)[..., None] * (light - dark)
        if path is not None:
            cos, sin = (function(np.broadcast_to(angle, len(curve))[index]) for function in (np.cos, np.sin))
            u, v = x - path[index, 0], y - path[index, 1]
            to_x, to_y = np.abs(cos * u + sin * v), np.abs(cos * v - sin * u)
            far = {"disc": np.hypot(to_x, to_y), "square": np.maximum(to_x, to_y)}.get(shape)
            far = np.maximum(0.7 * to_x, 1.6 * to_y) if shape == "bar" else far
            within = far < np.broadcast_to(radius, len(curve))[index]
            picture = np.where(within[..., None], COLOURS[colour], picture)
        frames.append(picture.reshape(SIZE, FINE, width, FINE, 3).mean((1, 3)))
    return Clip(torch.tensor(np.stack(frames), dtype=torch.float32).permute(0, 3, 1, 2).contiguous(), 8.0)


def backwards(clip: Clip) -> Clip:
    """The clip played from its end."""
    return Clip(clip.frames.flip(0), clip.fps)
