"""Which part of the picture is whose, where several objects go their own ways."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motion_studio.motion.background import disc, distance

UNSEEN = 0.2
"""Radius, in widths, of the disc left to an object whose size is not known, as of a mix of motions."""
ROOM = 1.3
"""How many times as wide as the object its disc is: another one may be drawn larger, and beside its path."""
FAR = 1e3

Object = tuple[Tensor, float]
"""The path (N, 2) of an object, NaN at frames without it, and its radius (0: not known), both in widths."""


def discs(objects: Sequence[Object], grid: tuple[int, int]) -> Tensor:
    """How much of each place lies in each object's disc, (K, N, h, w), 0 to 1."""
    return torch.stack(
        [disc(path.nan_to_num(FAR), ROOM * radius or UNSEEN, grid) for path, radius in objects]
    )


def regions(objects: Sequence[Object], grid: tuple[int, int]) -> Tensor:
    """How far each place is each object's own, (K, N, h, w), 0 to 1 and 1 at most together.

    Each has a disc about its path; where several meet, a place goes to the one whose outline is nearer,
    softly within a cell. What each prompt predicts is weighted so (MultiDiffusion, Bar-Tal et al., arXiv
    2302.08113), from frame to frame anew.
    """
    outside = [distance(path.nan_to_num(FAR), grid) - (radius or UNSEEN) for path, radius in objects]
    nearness = (-grid[1] * torch.stack(outside)).softmax(0)
    return nearness * discs(objects, grid).amax(0)
