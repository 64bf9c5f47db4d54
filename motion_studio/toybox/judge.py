"""Judges a made clip against exact truth: did the motion come over, and did the looks stay behind?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motion_studio.toybox.probe import read, soft_mask
from motion_studio.toybox.shapes import SYMMETRY
from motion_studio.toybox.world import Scene, mask, render
from motion_studio.video.clip import Clip
from motion_studio.video.tracks import camera_curve

REACH = 0.35
"""Distance from the picture's centre at which zoom and roll are turned into shifts, in widths."""

GROWS, TURNS = 0.07, 0.15
"""Spread of the logarithm of a radius, and of an angle in radians, from which on an object grows or turns."""


@dataclass(frozen=True)
class Verdict:
    """What was measured on one made clip; correlations in [-1, 1], nan where the truth stands still."""

    path: float
    """Correlation of the object's path with the truth."""
    path_size: float
    """Size of the object's motion over the truth's, as the ratio of the paths' spreads."""
    growth: float
    """Correlation of how the object grows, the logarithm of its radius, with the truth."""
    growth_size: float
    """How much it grows and shrinks over the truth's, as the ratio of spreads."""
    turn: float
    """Correlation of how the object turns with the truth; nan too where its shape does not show it."""
    turn_size: float
    """How far it turns to and fro over the truth's."""
    camera: float
    """Correlation of the camera's curve with the truth."""
    camera_size: float
    """Size of the camera's motion over the truth's."""
    colour: bool
    """The prompt's colour is read back."""
    shape: bool
    """The prompt's shape is read back."""
    colour_leak: bool
    """The source's colour is read back in its place."""
    shape_leak: bool
    """The source's shape is read back in its place."""
    layout: float
    """Correlation of the two grounds' lightness, objects left out; nan where the source's is plain."""
    flicker: float
    """How much the ground's lightness changes from frame to frame; nan where the camera is to move."""


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two curves (F, k) over all columns together, 0 where one of them is still."""
    a, b = a - a.mean(0), b - b.mean(0)
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float((a * b).sum() / size) if size > 1e-6 else 0.0


def spread(curve: np.ndarray) -> float:
    """Return the root mean square distance of a curve (F, k) from its mean."""
    return float(np.sqrt(np.square(curve - curve.mean(0)).sum(1).mean()))


def shifts(camera: np.ndarray) -> np.ndarray:
    """Return a camera curve (F, 4) with zoom and roll as the shifts that they make at `REACH`."""
    return camera * np.array([1, 1, REACH, REACH])


def judge(source: Scene, asked: Scene, made: Clip) -> Verdict:
    """Compare a clip made for `asked`'s caption, carrying the motion of `source`, with the truth of both."""
    seen = read(made)
    truth, view = source.path(), shifts(source.camera)
    moves, pans = spread(truth) > 0.01, spread(view) > 0.01
    path = seen.path if seen else np.zeros_like(truth)
    camera = shifts(camera_curve(made).numpy()) if pans else None
    wanted, old = asked.things[0], source.things[0]
    radius, angle = (curve[:, None] for curve in (np.log(source.radius()), source.angle()))
    grows, turns = spread(radius) > GROWS, spread(angle) > TURNS and bool(SYMMETRY[wanted.shape])
    grown = np.log(np.maximum(seen.radius, 1e-3))[:, None] if seen else np.zeros_like(radius)
    turned = seen.angle[:, None] if seen else np.zeros_like(angle)
    return Verdict(
        path=correlation(path, truth) if moves else np.nan,
        path_size=spread(path) / spread(truth) if moves else np.nan,
        growth=correlation(grown, radius) if grows else np.nan,
        growth_size=spread(grown) / spread(radius) if grows else np.nan,
        turn=correlation(turned, angle) if turns else np.nan,
        turn_size=spread(turned) / spread(angle) if turns else np.nan,
        camera=correlation(camera, view) if pans else np.nan,
        camera_size=spread(camera) / spread(view) if pans else np.nan,
        colour=bool(seen and seen.colour == wanted.colour),
        shape=bool(seen and seen.shape == wanted.shape),
        colour_leak=bool(seen and seen.colour == old.colour),
        shape_leak=bool(seen and seen.shape == old.shape),
        layout=layout(source, made),
        flicker=np.nan if pans else flicker(made),
    )


def layout(source: Scene, made: Clip) -> float:
    """Return the mean over frames of how the lightness of two grounds correlates, objects left out.

    0 where the made ground is plain, nan where the source's is: it has no layout to take along.
    """
    ours = render(source, made.width).frames.mean(1).numpy()
    theirs = made.frames.mean(1).numpy()
    free = (mask(source, made.width) < 0.02) & (soft_mask(made).numpy() < 0.02)
    values = []
    for a, b, keep in zip(ours, theirs, free, strict=True):
        a, b = a[keep], b[keep]
        if len(a) > 50 and a.std() > 0.01:
            values.append(np.corrcoef(a, b)[0, 1] if b.std() > 0.01 else 0.0)
    return float(np.mean(values)) if values else float("nan")


def flicker(made: Clip) -> float:
    """Return by how much the lightness of a ground changes from frame to frame in the mean, objects left out.

    It is 0 for a ground that holds still, in [0, 1].
    """
    light, free = made.frames.mean(1).numpy(), soft_mask(made).numpy() < 0.02
    changes = [
        np.abs(after - before)[bare].mean()
        for before, after, bare in zip(light, light[1:], free[1:] & free[:-1], strict=False)
        if bare.any()
    ]
    return float(np.mean(changes)) if changes else float("nan")
