"""Background subtraction on value embeddings: what stands still behind the object goes, where it is stays.

The mean over frames holds looks, but also the object wherever it stays long; without it a small motion loses
its hold and comes out too large. What is behind the object is seen at the frames in which it is elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from motion_studio.motion.embedding import SiteEmbedding

SOFT = 1 / 16
"""Standard deviation, in widths, of the Gaussian that blurs the object's outline out of the pictures."""
RANK = 6
"""Singular pictures that the weights of frames and places are kept as."""


class Background:
    """Where a background is seen on one grid, and how to take it out of the embeddings of its sites.

    `path` (N, 2) and `extent`, in widths, are the object's. The background at a place is the mean over the
    frames that show it; where none does, its mean over all places.
    """

    def __init__(self, path: Tensor, extent: float, grid: tuple[int, int]) -> None:
        bare = 1 - disc(path, extent, grid).flatten(1).T  # (P, N)
        self.shown = (bare.sum(1, keepdim=True) / 2).clamp(0, 1)  # two bare frames are enough
        weights = (bare + 1e-3) / (bare + 1e-3).sum(1, keepdim=True)
        left, sizes, right = torch.linalg.svd(self.shown * weights, full_matrices=False)
        # Few singular pictures, so that what is taken out of a factored embedding stays factored.
        self.places, self.frames = left[:, :RANK] * sizes[:RANK], right[:RANK]  # (P, k), (k, N)
        self.down, self.across = (_gaussian(cells, SOFT * grid[1]) for cells in grid)

    def taken_out(self, site: SiteEmbedding) -> SiteEmbedding:
        """The embedding less its background, blurred; it must have values, with one picture for all frames.

        With v the value embedding, w the weights and S the blur: S (v[p, n] - sum_m w[p, m] v[p, m]). Where
        no frame shows what is behind, the mean of what is seen elsewhere fills in for what w lacks.
        """
        space, time = site.space[0], site.time
        rank, frames, channels = time.shape
        places, within, shown = (part.to(space) for part in (self.places, self.frames, self.shown))
        behind = (space[:, :, None] * places[:, None, :]).flatten(1)  # (P, r·k)
        levels = (within @ time).flatten(0, 1)  # (r·k, C)
        flat = behind.sum(0) @ levels / shown.sum().clamp(min=1e-6)
        pictures = torch.cat([space, -behind, shown - 1], 1)
        still = torch.cat([levels, flat[None]])[:, None].expand(-1, frames, channels)
        return replace(site, space=self.blurred(pictures)[None], time=torch.cat([time, still]))

    def blurred(self, pictures: Tensor) -> Tensor:
        """Pictures (P, r) under a Gaussian of `SOFT` widths; beyond the picture its border goes on."""
        height, width = len(self.down), len(self.across)
        rows = self.down.to(pictures) @ pictures.reshape(height, -1)
        return (self.across.to(pictures) @ rows.view(height, width, -1)).flatten(0, 1)


def disc(path: Tensor, extent: float, grid: tuple[int, int]) -> Tensor:
    """How much of each place a disc of radius `extent` about a path (N, 2) covers, (N, h, w), 0 to 1.

    Both are in widths; its edge fades within a cell outside of it.
    """
    return ((extent - distance(path, grid)) * grid[1] + 1).clamp(0, 1)


def distance(path: Tensor, grid: tuple[int, int]) -> Tensor:
    """How far the middle of each place is from a path (N, 2), both in widths, (N, h, w)."""
    height, width = grid
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return (torch.stack([x, y], -1) / width - path[:, None, None]).norm(dim=-1)


def _gaussian(cells: int, sigma: float) -> Tensor:
    reach = int(3 * sigma) + 1
    offsets = torch.arange(-reach, reach + 1)
    weights = (-(offsets**2) / (2 * sigma**2)).exp()
    index = (torch.arange(cells)[:, None] + offsets).clamp(0, cells - 1)
    return torch.zeros(cells, cells).scatter_add_(1, index, (weights / weights.sum()).expand(cells, -1))
