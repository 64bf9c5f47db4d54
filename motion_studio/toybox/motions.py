"""Families of motion in the toybox: each draws exact per-frame curves and the words that name them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rng = np.random.Generator

DIRECTIONS = ("right", "down and right", "down", "down and left", "left", "up and left", "up", "up and right")
SIDES = ("from the right", "from below", "from the left", "from above")


@dataclass(frozen=True)
class Move:
    """An object's motion relative to where it starts."""

    path: np.ndarray
    """(F, 2) offsets in fractions of the width."""
    angle: np.ndarray
    """(F,) radians clockwise."""
    scale: np.ndarray
    """(F,) factors."""
    words: str


def _still(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros((frames, 2)), np.zeros(frames), np.ones(frames)


def _progress(frames: int, rng: Rng) -> np.ndarray:
    """Return time from 0 to 1, (F,): mostly even, at times eased, as real motions are."""
    time = np.linspace(0, 1, frames)
    bend = rng.choice([1.0, 1.0, rng.uniform(0.6, 1.7)])
    return time**bend


def smooth(frames: int, channels: int, rng: Rng) -> np.ndarray:
    """Return a smooth random curve with changing speed, (F, channels), starting at 0, largest excursion 1."""
    knots = int(rng.integers(3, 6))
    points = np.cumsum(rng.normal(size=(knots, channels)), 0)
    pace = np.cumsum(rng.uniform(0.4, 1.6, frames - 1))
    at = np.concatenate([[0.0], pace / pace[-1]]) * (knots - 1)
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    i = np.minimum(at.astype(int), knots - 2)
    t = (at - i)[:, None]
    a, b, c, d = (padded[i + k] for k in range(4))  # Catmull-Rom
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = curve - curve[0]
    return curve / max(np.abs(curve).max(), 1e-6)


def _heading(name: str, way: float, words: tuple[str, str], rng: Rng) -> str:
    """Name a motion and, mostly, which way it goes: without that its mean is no motion, and hard to learn."""
    return f"{name} {words[int(way > 0)]}" if rng.uniform() < 0.8 else name


def straight(frames: int, rng: Rng) -> Move:
    """Move along a line in any direction, named by the nearest of eight."""
    path, angle, scale = _still(frames)
    heading = rng.uniform(0, 2 * np.pi)
    distance = rng.uniform(0.05, 0.75)
    path = path + _progress(frames, rng)[:, None] * distance * np.array([np.cos(heading), np.sin(heading)])
    return Move(path, angle, scale, f"moving {DIRECTIONS[int(np.round(heading / (np.pi / 4))) % 8]}")


def circle(frames: int, rng: Rng) -> Move:
    """Run along an arc or a whole circle, clockwise or counterclockwise."""
    _, angle, scale = _still(frames)
    way, radius = rng.choice([-1, 1]), rng.uniform(0.06, 0.28)
    whole = rng.uniform() < 0.6
    sweep = rng.uniform(1.6, 2.3) * np.pi if whole else rng.uniform(0.5, 1.1) * np.pi
    start = rng.uniform(0, 2 * np.pi)
    turn = start + way * sweep * _progress(frames, rng)
    path = radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    words = f"{'circling' if whole else 'arcing'} {'clockwise' if way > 0 else 'counterclockwise'}"
    # The mean of circles from everywhere is no motion: mostly the words say where it begins.
    side = f" {SIDES[int(np.round(start / (np.pi / 2))) % 4]}" if rng.uniform() < 0.8 else ""
    return Move(path - path[0], angle, scale, words + side)


def bounce(frames: int, rng: Rng) -> Move:
    """Hop: sharp at the floor, round at the top, at times drifting sideways."""
    _, angle, scale = _still(frames)
    time = np.linspace(0, 1, frames)
    hops = rng.uniform(1.6, 3.0)
    height = -rng.uniform(0.12, 0.45) * np.abs(np.sin(np.pi * (hops * time + rng.uniform(0, 0.2))))
    drift = rng.uniform(-0.3, 0.3)
    path = np.stack([drift * time, height], 1)
    words = _heading("bouncing", drift, ("left", "right"), rng) if abs(drift) > 0.1 else "bouncing"
    return Move(path - path[0], angle, scale, words)


def wave(frames: int, rng: Rng) -> Move:
    """Cross the picture sideways on a sine."""
    _, angle, scale = _still(frames)
    time = np.linspace(0, 1, frames)
    across = rng.choice([-1, 1]) * rng.uniform(0.3, 0.7) * time
    swing = rng.uniform(0.08, 0.22) * np.sin(2 * np.pi * (rng.uniform(1.0, 1.7) * time + rng.uniform()))
    path = np.stack([across, swing], 1)
    return Move(path - path[0], angle, scale, _heading("waving", across[-1], ("left", "right"), rng))


def zigzag(frames: int, rng: Rng) -> Move:
    """Run down or up the picture on straight strokes left and right."""
    _, angle, scale = _still(frames)
    time = np.linspace(0, 1, frames)
    phase = rng.uniform(1.3, 2.4) * time + rng.uniform()
    swing = rng.uniform(0.1, 0.28) * (4 * np.abs(phase - np.floor(phase + 0.5)) - 1)
    along = rng.choice([-1, 1]) * rng.uniform(0.3, 0.7) * time
    path = np.stack([swing, along], 1)
    return Move(path - path[0], angle, scale, _heading("zigzagging", along[-1], ("up", "down"), rng))


def spin(frames: int, rng: Rng) -> Move:
    """Turn in place, either way."""
    path, _, scale = _still(frames)
    way = rng.choice([-1, 1])
    angle = way * rng.uniform(0.6, 3.6) * _progress(frames, rng)
    return Move(path, angle, scale, f"spinning {'clockwise' if way > 0 else 'counterclockwise'}")


def grow(frames: int, rng: Rng) -> Move:
    """Grow or shrink in place."""
    path, angle, _ = _still(frames)
    rate = rng.uniform(0.2, 0.8)
    time = _progress(frames, rng)
    grows = rng.uniform() < 0.5
    scale = np.exp(rate * (time - 1)) if grows else np.exp(-rate * time)
    return Move(path, angle, scale * 1.3, "growing" if grows else "shrinking")


def still(frames: int, rng: Rng) -> Move:
    """Do nothing."""
    return Move(*_still(frames), "standing still")


def free(frames: int, rng: Rng) -> Move:
    """Wander on a smooth random path, at times turning or changing size on the way; it has no name."""
    path, angle, scale = _still(frames)
    path = smooth(frames, 2, rng) * rng.uniform(0.03, 0.42)
    if rng.uniform() < 0.3:
        angle = smooth(frames, 1, rng)[:, 0] * rng.uniform(0, 2.5)
    if rng.uniform() < 0.3:
        scale = np.exp(smooth(frames, 1, rng)[:, 0] * rng.uniform(0, 0.5))
    return Move(path, angle, scale, "")


MOVES = {
    "free": (free, 0.32),
    "straight": (straight, 0.20),
    "circle": (circle, 0.14),
    "bounce": (bounce, 0.06),
    "wave": (wave, 0.06),
    "zigzag": (zigzag, 0.06),
    "spin": (spin, 0.06),
    "grow": (grow, 0.06),
    "still": (still, 0.04),
}
"""Family: (what draws it, its share of the clips)."""


def no_camera(frames: int, rng: Rng) -> tuple[np.ndarray, str]:
    """Hold the camera still."""
    return np.zeros((frames, 4)), ""


def _ramp(frames: int, rng: Rng, column: int, size: float) -> np.ndarray:
    camera = np.zeros((frames, 4))
    camera[:, column] = size * _progress(frames, rng)
    return camera


def pan(frames: int, rng: Rng) -> tuple[np.ndarray, str]:
    """Turn the camera sideways: panning right carries the ground to the left."""
    size = rng.choice([-1, 1]) * rng.uniform(0.08, 0.7)
    return _ramp(frames, rng, 0, size), f"camera panning {'right' if size < 0 else 'left'}"


def tilt(frames: int, rng: Rng) -> tuple[np.ndarray, str]:
    """Turn the camera up or down: tilting up carries the ground down."""
    size = rng.choice([-1, 1]) * rng.uniform(0.08, 0.7)
    return _ramp(frames, rng, 1, size), f"camera tilting {'down' if size < 0 else 'up'}"


def zoom(frames: int, rng: Rng) -> tuple[np.ndarray, str]:
    """Zoom in or out."""
    size = rng.choice([-1, 1]) * rng.uniform(0.12, 0.6)
    return _ramp(frames, rng, 2, size), f"camera zooming {'in' if size > 0 else 'out'}"


def roll(frames: int, rng: Rng) -> tuple[np.ndarray, str]:
    """Roll the camera: rolling clockwise turns the ground counterclockwise."""
    size = rng.choice([-1, 1]) * rng.uniform(0.2, 1.2)
    return _ramp(frames, rng, 3, size), f"camera rolling {'clockwise' if size < 0 else 'counterclockwise'}"


def free_camera(frames: int, rng: Rng) -> tuple[np.ndarray, str]:
    """Move the camera on smooth random curves of several kinds at once; it has no name."""
    camera = smooth(frames, 4, rng) * np.array([0.4, 0.4, 0.35, 0.6]) * rng.uniform(0.1, 1.0)
    camera = camera * (rng.uniform(size=4) < 0.6)
    return camera, ""


CAMERAS = {
    "none": (no_camera, 0.64),
    "pan": (pan, 0.06),
    "tilt": (tilt, 0.06),
    "zoom": (zoom, 0.06),
    "roll": (roll, 0.06),
    "free": (free_camera, 0.12),
}
"""Family: (what draws it, its share of the clips)."""
