"""Tell an object of one colour from the ground behind it, plain, patterned or cloudy, still or moving."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_COLOURS = 8
_SAME = 0.10
"""Colours closer than this, of a range of [0, 1] a channel, are taken for one."""


@dataclass(frozen=True)
class Found:
    """Where an object is seen, `cover` (F, H, W) in [0, 1], and how sure that is, in [0, 1]."""

    cover: np.ndarray
    confidence: float


@dataclass(frozen=True)
class _Candidate:
    colour: np.ndarray
    ends: np.ndarray
    cost: float


def find_object(frames: np.ndarray) -> Found:
    """Find the blob of one colour that stands out from the ground, in frames (F, H, W, 3) in [0, 1].

    A two-tone or cloudy ground lies on a segment in colour space, a plain one on a point. The object's
    colour is the one that lies off that segment, is seen in one compact piece, and leaves a ground that the
    segment explains. Without such a colour the cover is 0 everywhere and so is the confidence.
    """
    candidates = [_judge(frames, colour) for colour in _main_colours(frames)]
    candidates = [candidate for candidate in candidates if candidate is not None]
    if not candidates:
        return Found(np.zeros(frames.shape[:3], np.float32), 0.0)
    best = min(candidates, key=lambda candidate: candidate.cost)
    away, near = _distance(frames, best.ends), np.linalg.norm(frames - best.colour, axis=-1)
    # Linear in the share of the object's colour in a mixed pixel at its edge.
    share = np.clip((away / (away + near + 1e-6) - 0.12) / 0.76, 0, 1)
    cover = np.stack([_largest(frame) for frame in share]).astype(np.float32)
    return Found(
        cover, float(np.clip((2.6 - best.cost) / 1.2, 0, 1)) * float((cover.max((1, 2)) > 0.5).mean())
    )


def _main_colours(frames: np.ndarray) -> list[np.ndarray]:
    flat = frames.reshape(-1, 3)
    sample = np.ascontiguousarray(flat[:: max(1, len(flat) // 12000)], np.float32)
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.005)
    _, labels, centres = cv2.kmeans(sample, min(_COLOURS, len(sample)), None, stop, 2, cv2.KMEANS_PP_CENTERS)
    sizes = np.bincount(labels.ravel(), minlength=len(centres))
    kept: list[np.ndarray] = []
    for index in np.argsort(-sizes):
        if all(np.linalg.norm(centres[index] - other) > _SAME for other in kept):
            kept.append(centres[index])
    return kept


def _judge(frames: np.ndarray, colour: np.ndarray) -> _Candidate | None:
    """How unlike an object a colour is: spread out, at the border, with a rest that no segment explains."""
    support = (np.linalg.norm(frames - colour, axis=-1) < 0.16).astype(np.uint8)
    area = support.mean((1, 2))
    if not 0.004 < area.mean() < 0.45 or (area > 0.003).mean() < 0.5:
        return None
    wide = np.stack([cv2.dilate(frame, np.ones((7, 7), np.uint8)) for frame in support])
    rest = frames[wide == 0]
    if len(rest) < 0.05 * wide.size:
        return None
    ends, unexplained = segment(rest[:: max(1, len(rest) // 8000)])
    contrast = float(_distance(colour[None], ends)[0])
    if contrast < 0.15:
        return None
    spread = np.median([_spread(frame) for frame in support if frame.mean() > 0.003])
    ring = max(2, frames.shape[2] // 24)
    edge = np.ones(frames.shape[1:3], bool)
    edge[ring:-ring, ring:-ring] = False
    at_border = support[:, edge].mean() / area.mean()
    return _Candidate(colour, ends, spread + 6 * unexplained + at_border - 1.5 * min(contrast, 0.6))


def _spread(support: np.ndarray) -> float:
    """Variance of a colour's places over that of a disc of the same area: 1 for a disc, 1.8 for a ring."""
    rows, columns = np.nonzero(support)
    return float((rows.var() + columns.var()) * 2 * np.pi / len(rows))


def segment(colours: np.ndarray) -> tuple[np.ndarray, float]:
    """Ends (2, 3) of the segment on which most of colours (P, 3) lie, and the share it leaves unexplained."""
    weight = np.ones(len(colours))
    for _ in range(6):
        middle = np.average(colours, axis=0, weights=weight)
        offset = colours - middle
        _, _, axes = np.linalg.svd((offset * weight[:, None]).T @ offset)
        along = offset @ axes[0]
        low, high = np.quantile(along[weight > 0.5], (0.01, 0.99)) if (weight > 0.5).any() else (0.0, 0.0)
        ends = np.stack([middle + low * axes[0], middle + high * axes[0]])
        distance = _distance(colours, ends)
        weight = 1 / (1 + (distance / 0.05) ** 2) ** 2
    # Noise widens the segment; what it leaves open stands out from the noise.
    return ends, float(np.minimum(distance / (0.12 + 4 * np.median(distance)), 1).mean())


def _distance(colours: np.ndarray, ends: np.ndarray) -> np.ndarray:
    along = ends[1] - ends[0]
    share = np.clip(((colours - ends[0]) @ along) / max(float(along @ along), 1e-9), 0, 1)
    return np.linalg.norm(colours - ends[0] - share[..., None] * along, axis=-1)


def _largest(share: np.ndarray) -> np.ndarray:
    """`share` (H, W) of the one piece with most of it, and of the mixed pixels at its edge."""
    count, labels = cv2.connectedComponents((share > 0.4).astype(np.uint8), connectivity=8)
    if count < 2:
        return np.zeros_like(share)
    totals = np.bincount(labels.ravel(), weights=share.ravel(), minlength=count)
    piece = (labels == 1 + int(totals[1:].argmax())).astype(np.uint8)
    return share * cv2.dilate(piece, np.ones((3, 3), np.uint8))
