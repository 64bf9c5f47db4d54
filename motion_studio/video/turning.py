"""How an object turns: its pictures about its centre, compared around the circle."""

from __future__ import annotations

import cv2
import numpy as np

_RINGS, _ANGLES = 16, 180
_REACH = 2.2
"""Radius of what is compared, in radii of the object as if it were a disc: the corners of a long bar."""
_WAVES = 13
"""Waves around the circle that are compared; finer ones are pixels."""
_STEP = np.deg2rad(36)
"""An object turns by at most so much from one frame to the next, half of a star's symmetry."""
_KEPT = 0.7
"""Share of the picture compared with that stays from frame to frame: it may change, and must not drift."""
_ODD, _ALIKE = 0.1, 0.9
"""How much of an object is not round, and how well its pictures fit each other, to be sure of its turns."""


def turning(frames: np.ndarray, cover: np.ndarray, path: np.ndarray, sizes: np.ndarray) -> np.ndarray | None:
    """How far the object under a cover (F, H, W) has turned since frame 0, (F,) radians, clockwise.

    `frames` (F, H, W, 3) are in [0, 1], its `path` (F, 2) in widths, `sizes` (F,) about 1. The turn that
    brings its picture to that of the frames before is where their correlation around the circle is largest,
    found in its Fourier series (De Castro and Morandi, 1987). None where it is round, or its pictures do
    not fit each other; while it is hidden it does not turn. A symmetric shape may have turned by its
    symmetry more than that.
    """
    spectra = np.fft.rfft(_around(frames, cover, path, sizes))
    whole = np.linalg.norm(spectra, axis=(1, 2))
    spectra[..., 0], spectra[..., _WAVES:] = 0, 0
    energy = np.linalg.norm(spectra, axis=(1, 2))
    shown = whole > 0.25 * np.median(whole)
    if not shown.any() or np.median(energy[shown] / whole[shown]) < _ODD:
        return None
    spectra /= np.maximum(energy, 1e-9)[:, None, None]
    waves = np.arange(spectra.shape[-1])
    near = np.linspace(-_STEP, _STEP, 73)
    turns, fits, before = [], [], None
    for now, there in zip(spectra, shown, strict=True):
        if before is None or not there:
            turns.append(turns[-1] if turns else 0.0)
            before = now if there else before
            continue
        angles = turns[-1] + near
        fit = ((before.conj() * now).sum(0) * np.exp(1j * waves * angles[:, None])).real.sum(1)
        fit /= np.linalg.norm(before)
        best = min(max(int(fit.argmax()), 1), len(near) - 2)
        low, top, high = fit[best - 1 : best + 2]
        bend = max(2 * top - low - high, 1e-9)
        turns.append(angles[best] + (near[1] - near[0]) * float(np.clip(0.5 * (high - low) / bend, -1, 1)))
        fits.append(top)
        before = _KEPT * before + (1 - _KEPT) * now * np.exp(1j * waves * turns[-1])
    return np.array(turns) if fits and np.median(fits) > _ALIKE else None


def _around(frames: np.ndarray, cover: np.ndarray, path: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The object's pictures (F, rings and channels, angles) about its centre, all at one size."""
    width = cover.shape[2]
    radius = (np.arange(_RINGS) + 0.5) / _RINGS
    angle = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    circle = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    reach = _REACH * np.sqrt(cover.sum((1, 2)).mean() / np.pi) * sizes
    pictures = []
    for frame, covered, centre, far in zip(frames, cover, path, reach, strict=True):
        at = (centre * width - 0.5 + far * circle).astype(np.float32)
        shown = np.dstack([covered, covered[..., None] * frame]).astype(np.float32)
        ring = cv2.remap(shown, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
        pictures.append((ring * np.sqrt(radius)[:, None, None]).swapaxes(1, 2).reshape(-1, _ANGLES))
    return np.stack(pictures)
