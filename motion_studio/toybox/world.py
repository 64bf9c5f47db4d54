"""Scenes of the toybox and their exact rendering.

Picture coordinates are fractions of the width, x to the right, y down, (0, 0) the top left corner.
The camera is given as what it does to the ground's content, cumulatively from frame 0: a world point q
is seen at p = c + e^zoom R(roll) (q - c) + (dx, dy) with c the picture's centre; roll is clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from motion_studio.toybox.shapes import COLOURS, REACH, signed_distance, tones
from motion_studio.video.clip import Clip

FPS = 8.0


@dataclass(frozen=True)
class Thing:
    """One object: what it looks like and its exact motion in the world, frame by frame."""

    shape: str
    colour: str
    radius: float
    """In fractions of the width."""
    path: np.ndarray
    """(F, 2) world positions."""
    angle: np.ndarray
    """(F,) radians, clockwise on the screen."""
    scale: np.ndarray
    """(F,) factors of the radius."""
    words: str
    """How a caption names the motion; empty for a motion without a name."""


@dataclass(frozen=True)
class Ground:
    """What lies behind: a colour and a pattern, with the pattern's own random parameters."""

    colour: str
    pattern: str
    seed: int


@dataclass(frozen=True)
class Scene:
    """Things on a ground under a moving camera; holds the exact truth of a clip."""

    things: tuple[Thing, ...]
    ground: Ground
    camera: np.ndarray
    """(F, 4): dx, dy, log zoom, roll in radians, cumulative from frame 0."""
    camera_words: str

    def path(self, index: int = 0) -> np.ndarray:
        """Return where a thing is seen, (F, 2) in fractions of the width."""
        return to_picture(self.camera, self.things[index].path)

    def angle(self, index: int = 0) -> np.ndarray:
        """Return how a thing is seen turned, (F,) radians clockwise."""
        return self.things[index].angle + self.camera[:, 3]

    def radius(self, index: int = 0) -> np.ndarray:
        """Return how large a thing is seen, (F,) radii in fractions of the width."""
        thing = self.things[index]
        return thing.radius * thing.scale * np.exp(self.camera[:, 2])


def _rotation(roll: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(roll), np.sin(roll)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def to_picture(camera: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map world points (F, 2) to the picture under camera (F, 4)."""
    turned = np.einsum("fij,fj->fi", _rotation(camera[:, 3]), points - 0.5)
    return 0.5 + np.exp(camera[:, 2:3]) * turned + camera[:, :2]


def to_world(camera: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map picture points (F, ..., 2) back to the world under camera (F, 4); inverse of `to_picture`."""
    dx, dy, zoom, roll = camera.T.reshape(4, len(camera), *(1,) * (points.ndim - 2))
    x, y = points[..., 0] - 0.5 - dx, points[..., 1] - 0.5 - dy
    cos, sin = np.cos(roll) * np.exp(-zoom), np.sin(roll) * np.exp(-zoom)
    return np.stack([x * cos + y * sin, y * cos - x * sin], -1) + points.dtype.type(0.5)


def _pattern(ground: Ground, at: np.ndarray, softness: np.ndarray) -> np.ndarray:
    """Return how light (0 to 1) the ground is at world points (F, H, W, 2); softness: a pixel's size."""
    rng = np.random.default_rng(ground.seed)
    turn, period = rng.uniform(0, np.pi), rng.uniform(0.30, 0.50)
    cos, sin = np.cos(turn), np.sin(turn)
    u = (at[..., 0] * cos + at[..., 1] * sin) / period + rng.uniform()
    v = (at[..., 1] * cos - at[..., 0] * sin) / period + rng.uniform()
    edge = period / softness

    def step(distance: np.ndarray) -> np.ndarray:
        return np.clip(0.5 + distance * edge, 0, 1)

    def band(w: np.ndarray) -> np.ndarray:
        return step(0.25 - np.abs(w - np.round(w)))

    if ground.pattern == "plain":
        return np.full(at.shape[:-1], 0.4, np.float32)
    if ground.pattern == "stripes":
        return band(u)
    if ground.pattern == "checks":
        a, b = band(u), band(v)
        return a * b + (1 - a) * (1 - b)
    if ground.pattern == "dots":
        return step(0.32 - np.hypot(u - np.round(u), v - np.round(v)))
    total = np.zeros(at.shape[:-1], np.float32)
    for _ in range(6):
        wave, phase = rng.normal(0, 9.0, 2), rng.uniform(0, 2 * np.pi)
        total += np.sin(at[..., 0] * wave[0] + at[..., 1] * wave[1] + phase)
    return 0.5 + 0.5 * np.tanh(0.6 * total)


def render(scene: Scene, size: int = 64) -> Clip:
    """Render a scene, anti-aliased, to a `Clip` of (F, 3, size, size)."""
    camera = scene.camera.astype(np.float32)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    picture = np.stack(np.meshgrid(axis, axis), -1)
    at = to_world(camera, np.broadcast_to(picture, (len(camera), size, size, 2)))
    softness = (1.2 / size * np.exp(-camera[:, 2])).reshape(-1, 1, 1)
    dark, light = tones(scene.ground.colour)
    weight = _pattern(scene.ground, at, softness)[..., None]
    frames = dark + weight * (light - dark)
    for index, thing in enumerate(scene.things):
        _draw(frames, picture, thing, scene.path(index), scene.angle(index), scene.radius(index))
    return Clip(torch.from_numpy(frames.astype(np.float32)).permute(0, 3, 1, 2).contiguous(), FPS)


def mask(scene: Scene, size: int = 64, index: int = 0) -> np.ndarray:
    """Return a thing's coverage, (F, size, size) in [0, 1]: exact truth for masks."""
    thing, axis = scene.things[index], (np.arange(size, dtype=np.float32) + 0.5) / size
    picture = np.stack(np.meshgrid(axis, axis), -1)
    canvas = np.zeros((len(scene.camera), size, size, 1), np.float32)
    _draw(
        canvas,
        picture,
        thing,
        scene.path(index),
        scene.angle(index),
        scene.radius(index),
        np.ones(1, np.float32),
    )
    return canvas[..., 0]


def _draw(frames, picture, thing, path, angle, radius, colour=None) -> None:
    """Paint a thing over frames (F, H, W, K) in place, only inside the square that it can reach."""
    size = picture.shape[0]
    colour = np.array(COLOURS[thing.colour], np.float32) if colour is None else colour
    for frame, (centre, turn, r) in enumerate(zip(path, angle, radius)):
        low = np.clip(np.floor((centre - REACH * r) * size).astype(int), 0, size)
        high = np.clip(np.ceil((centre + REACH * r) * size).astype(int) + 1, 0, size)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        offset = (picture[window] - centre.astype(np.float32)) / r
        if offset.size == 0:
            continue
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = offset[..., 0] * cos + offset[..., 1] * sin, offset[..., 1] * cos - offset[..., 0] * sin
        cover = np.clip(0.5 - signed_distance(thing.shape, x, y) * r * size, 0, 1)[..., None]
        frames[frame][window] = frames[frame][window] * (1 - cover) + cover * colour
