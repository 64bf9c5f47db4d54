"""A clip and its motion read in another order alike, so that a motion is learnt which can be read in any."""

from __future__ import annotations

import torch
from torch import Tensor

from motion_studio.motion.embedding import SiteEmbedding
from motion_studio.motion.factors import interpolation, through_time


def draw_order(frames: int, generator: torch.Generator | None = None) -> Tensor:
    """Which of N frames is read at each frame (N,): half of the time backwards, half of the time shifted.

    A shift is up to half of the clip, later or earlier, with the end frame held.
    """
    backwards, shifted, amount = torch.rand(3, generator=generator).tolist()
    order = torch.arange(frames)
    if shifted < 0.5:
        order = (order + round((amount - 0.5) * frames)).clamp(0, frames - 1)
    return order.flip(0) if backwards < 0.5 else order


def stretched_order(order: Tensor, frames: int) -> Tensor:
    """An order of N frames (N,) as one of `frames` frames, first on first and last on last."""
    if len(order) == frames:
        return order
    share = order.double() / (len(order) - 1)
    positions = torch.linspace(0, len(order) - 1, frames, dtype=torch.float64)
    return ((interpolation(positions, len(order)).double() @ share) * (frames - 1)).round().long()


def in_order(site: SiteEmbedding, order: Tensor) -> SiteEmbedding:
    """The embedding of one site with its frames in that order; gradients reach the one that was given."""
    return through_time(site, torch.eye(len(order))[order])
