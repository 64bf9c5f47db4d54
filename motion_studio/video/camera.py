"""The motion of the ground between frames: four numbers a step, by aligning the pictures themselves."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_BLURS = (1 / 16, 1 / 32, 1 / 64)
"""Of the width, from coarse to fine."""
_ROUNDS = 10
_SEEN = 0.2
"""Mean squared slope of a picture, in (range of brightness / width)^2, at which a direction is half seen."""
_CLEAR = 1.5
"""How much stronger than its noise a picture must be to tell; pure noise comes to 1/4."""
_REACH = 0.4
"""Mean distance of the picture from its centre, in widths: what a zoom or roll of 1 moves it by."""


def align(frames: np.ndarray, ground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps (F-1, 4) from each frame to the next and how well they are seen (F-1,), in [0, 1].

    `frames` (F, H, W) are brightnesses in [0, 1]; `ground` (F, H, W) is 1 where the ground shows and 0 at
    things on it. A step (dx, dy, log zoom, roll) moves the ground's content from x to
    e^zoom R(roll) x + (dx, dy), from the picture's centre, in fractions of the width, y down, roll clockwise.
    Gauss-Newton from coarse to fine on the differences, with Geman-McClure weights (Black and Anandan 1996).
    What the picture does not show (a pan along stripes, anything on a plain ground) is 0; seen is the mean
    over two directions.
    """
    levels = [_blurred(frames, ground, blur * frames.shape[2]) for blur in _BLURS]
    steps, seen = np.zeros((len(frames) - 1, 4)), np.zeros(len(frames) - 1)
    before = np.zeros(4)
    for index in range(len(frames) - 1):
        seen[index] = _seen(levels[-1][index], ground[index])
        if seen[index] < 0.02:
            continue
        pair = slice(index, index + 2)
        tried = [_refine(levels[0][pair], ground[pair], start) for start in (np.zeros(4), before)]
        step = min(tried, key=lambda fit: fit.cost).step
        for level in levels[1:]:
            fit = _refine(level[pair], ground[pair], step)
            step = fit.step
        steps[index] = before = _refine(levels[-1][pair], ground[pair], step, _shown(fit)).step
    return steps, seen


def warped(frame: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`frame` (H, W, C) as it was before `step`, and where that is inside the picture (H, W)."""
    height, width = frame.shape[:2]
    x, y = _grid(height, width)
    matrix = _matrix(*step[2:])
    to_x = matrix[0, 0] * x + matrix[0, 1] * y + step[0]
    to_y = matrix[1, 0] * x + matrix[1, 1] * y + step[1]
    column, row = (to_x * width + (width - 1) / 2).astype(np.float32), (to_y * width + (height - 1) / 2)
    inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
    picture = cv2.remap(
        frame, column, row.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return picture, inside.astype(np.float32)


def _matrix(zoom: float, roll: float) -> np.ndarray:
    cos, sin = np.cos(roll), np.sin(roll)
    return np.exp(zoom) * np.array([[cos, -sin], [sin, cos]])


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / width
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / width
    return np.meshgrid(x, y)


def _blurred(frames: np.ndarray, ground: np.ndarray, sigma: float) -> np.ndarray:
    """Frames blurred over the ground alone, so that no object bleeds into it."""

    def blur(pictures: np.ndarray) -> np.ndarray:
        pictures = pictures.astype(np.float32)
        return np.stack(
            [cv2.GaussianBlur(p, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for p in pictures]
        )

    return blur(frames * ground) / (blur(ground) + 1e-3)


def _slopes(picture: np.ndarray) -> np.ndarray:
    """Slopes (H, W, 2) of a picture along x and y, a width."""
    down, right = np.gradient(picture)
    return np.stack([right, down], -1) * picture.shape[1]


def _turns(slopes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What a small dx, dy, log zoom and roll change at (x, y) where a picture has `slopes`: (H * W, 4)."""
    right, down = slopes[..., 0], slopes[..., 1]
    return np.stack([right, down, right * x + down * y, down * x - right * y], -1).reshape(-1, 4)


@dataclass(frozen=True)
class _Fit:
    step: np.ndarray
    cost: float
    signal: np.ndarray
    noise: np.ndarray
    """What the picture and the difference that is left tell of the four numbers, (4, 4) each."""


def _refine(pair: np.ndarray, ground: np.ndarray, step: np.ndarray, shown: np.ndarray | None = None) -> _Fit:
    """A better step between the two pictures of `pair` (2, H, W), among the directions `shown` (4, K)."""
    height, width = pair.shape[1:]
    x, y = _grid(height, width)
    first = _slopes(pair[0])
    second = np.concatenate([pair[1][..., None], _slopes(pair[1]), ground[1][..., None]], -1).astype(
        np.float32
    )
    basis = np.eye(4) if shown is None else shown
    step = basis @ (np.linalg.pinv(basis) @ step)
    fit = _Fit(step, np.inf, np.zeros((4, 4)), np.eye(4))
    for _ in range(_ROUNDS):
        moved, inside = warped(second, step)
        weight = (inside * ground[0] * moved[..., 3]).ravel()
        if weight.sum() < 0.05 * weight.size:
            return fit
        difference = moved[..., 0] - pair[0]
        square = np.square(difference).ravel()
        robust = weight / np.square(1 + square / (0.03**2 + 2 * np.average(square, weights=weight)))
        matrix = _matrix(*step[2:])
        at_x, at_y = matrix[0, 0] * x + matrix[0, 1] * y, matrix[1, 0] * x + matrix[1, 1] * y
        # The mean of both pictures' slopes: the noise of one alone would bias the zoom.
        turns = _turns((moved[..., 1:3] + first @ matrix.T * np.exp(-2 * step[2])) / 2, at_x, at_y)
        signal = (turns * robust[:, None]).T @ turns
        noise = _turns(_slopes(difference), at_x, at_y)
        # The grid of pixels itself tells a little, and wrongly, of what moves along an edge.
        floor = 0.01 * (robust.sum() + signal[0, 0] + signal[1, 1])
        noise = (noise * robust[:, None]).T @ noise + floor * np.diag([1, 1, _REACH**2, _REACH**2])
        cost = float(np.average(square / (square + 0.03**2), weights=weight))
        inner = basis.T @ signal @ basis
        hold = 1e-6 * np.trace(inner) * np.eye(len(inner)) + 1e-9 * np.eye(len(inner))
        change = basis @ np.linalg.solve(inner + hold, basis.T @ (turns.T @ (robust * difference.ravel())))
        fit = _Fit(step - change, cost, signal, noise)
        step = fit.step
        if np.abs(change).max() < 1e-4:
            break
    return fit


def _shown(fit: _Fit) -> np.ndarray:
    """Directions (4, K) of a step of which the picture tells more than its noise does.

    signal = sum of strength_i w_i w_i^T: the picture tells w_i . step. Of all steps that agree with what it
    tells we want the one that moves the picture least.
    """
    root = np.linalg.cholesky(fit.noise)
    inverse = np.linalg.inv(root)
    strength, axes = np.linalg.eigh(inverse @ fit.signal @ inverse.T)
    return (root @ axes[:, strength > _CLEAR]) / np.array([[1], [1], [_REACH**2], [_REACH**2]])


def _seen(picture: np.ndarray, ground: np.ndarray) -> float:
    slopes = _slopes(picture)
    inner = cv2.erode(ground.astype(np.float32), np.ones((3, 3), np.uint8))
    if inner.sum() < 0.05 * inner.size:
        return 0.0
    strength = np.linalg.eigvalsh(np.einsum("hwi,hwj,hw->ij", slopes, slopes, inner) / inner.sum())
    return float(np.mean(strength / (strength + _SEEN + 0.05 * strength.sum())))
