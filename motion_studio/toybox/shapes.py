"""The toybox's eight shapes as signed-distance pictures, and its colours."""

from __future__ import annotations

from functools import cache

import numpy as np

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "heart", "bar")
SYMMETRY = dict(circle=0, square=4, triangle=3, star=5, cross=4, ring=0, heart=1, bar=2)
"""Turns that leave a shape as it is (0: all of them), so that a pose can be read modulo 360° / symmetry."""

COLOURS = {
    "red": (0.95, 0.15, 0.15),
    "orange": (1.00, 0.55, 0.08),
    "yellow": (1.00, 0.92, 0.20),
    "green": (0.20, 0.88, 0.25),
    "cyan": (0.20, 0.92, 0.95),
    "blue": (0.25, 0.40, 1.00),
    "purple": (0.65, 0.28, 0.95),
    "pink": (1.00, 0.52, 0.78),
}
GROUNDS = ("red", "yellow", "green", "cyan", "blue", "purple", "gray")
PATTERNS = ("plain", "stripes", "dots", "checks", "clouds")

REACH = 1.5
"""Half the side of a signed-distance picture, in radii of the shape."""
_TEXELS = 96


def tones(ground: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a ground's dark and light tone, each (3,) in [0, 1]; both darker than any object's colour."""
    colour = np.array(COLOURS.get(ground, (0.8, 0.8, 0.8)), np.float32)
    return 0.22 * colour + 0.03, 0.45 * colour + 0.15


def _polygon(name: str) -> np.ndarray:
    """Return a shape's outline as (V, 2) points about its centre, radius near 1, y down."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    if name in ("circle", "ring"):
        return 0.9 * np.stack([np.cos(turn), np.sin(turn)], 1)
    if name == "square":
        return 0.8 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    if name == "triangle":
        corners = np.deg2rad([-90, 30, 150])
        return 1.15 * np.stack([np.cos(corners), np.sin(corners)], 1)
    if name == "star":
        corners = np.deg2rad(np.arange(10) * 36 - 90)
        radius = np.where(np.arange(10) % 2 == 0, 1.2, 0.5)
        return radius[:, None] * np.stack([np.cos(corners), np.sin(corners)], 1)
    if name == "cross":
        a, b = 0.34, 1.05
        return np.array(
            [
                (-a, -b),
                (a, -b),
                (a, -a),
                (b, -a),
                (b, a),
                (a, a),
                (a, b),
                (-a, b),
                (-a, a),
                (-b, a),
                (-b, -a),
                (-a, -a),
            ]
        )
    if name == "heart":
        x, y = (
            16 * np.sin(turn) ** 3,
            13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn),
        )
        points = np.stack([x, -y], 1) / 16.0
        return points - points.mean(0)
    return np.array([(-1.2, -0.42), (1.2, -0.42), (1.2, 0.42), (-1.2, 0.42)])  # bar


def _distance(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Return the signed distance (negative inside) from points (..., 2) to a closed polygon (V, 2)."""
    best = np.full(points.shape[:-1], np.inf)
    inside = np.zeros(points.shape[:-1], bool)
    for a, b in zip(polygon, np.roll(polygon, -1, 0)):
        edge, to = b - a, points - a
        along = np.clip((to @ edge) / (edge @ edge), 0, 1)
        best = np.minimum(best, np.linalg.norm(to - along[..., None] * edge, axis=-1))
        crosses = (a[1] > points[..., 1]) != (b[1] > points[..., 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = (b[0] - a[0]) * (points[..., 1] - a[1]) / (b[1] - a[1]) + a[0]
        inside ^= crosses & (points[..., 0] < at)
    return np.where(inside, -best, best)


@cache
def texture(shape: str) -> np.ndarray:
    """Return a shape's signed distance in radii, (96, 96) float32 over [-REACH, REACH]²."""
    axis = np.linspace(-REACH, REACH, _TEXELS)
    points = np.stack(np.meshgrid(axis, axis), -1)
    distance = _distance(points, _polygon(shape))
    if shape == "ring":
        distance = np.maximum(distance, 0.48 - np.linalg.norm(points, axis=-1))
    return distance.astype(np.float32)


def signed_distance(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Look up a shape's signed distance, in radii, at object coordinates x, y (same shape, in radii)."""
    picture = texture(shape)
    scale = (_TEXELS - 1) / (2 * REACH)
    u = np.clip((x + REACH) * scale, 0, _TEXELS - 1.001)
    v = np.clip((y + REACH) * scale, 0, _TEXELS - 1.001)
    i, j = v.astype(np.int32), u.astype(np.int32)
    a, b = v - i, u - j
    flat, k = picture.ravel(), i * _TEXELS + j
    top = flat[k] * (1 - b) + flat[k + 1] * b
    bottom = flat[k + _TEXELS] * (1 - b) + flat[k + _TEXELS + 1] * b
    return top * (1 - a) + bottom * a
