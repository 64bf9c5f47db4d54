"""Background subtraction on value embeddings: what stands still behind the object goes, where it is stays.

The mean over frames holds looks, but also the object wherever it stays long; without it a small motion loses
its hold and comes out too large. What is behind the object is seen at the frames in which it is elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from motion_studio.motion.embedding import SiteEmbedding
from motion_studio.motion.factors import compacted, through_time

SOFT = 1 / 16
"""Standard deviation, in widths, of the Gaussian that blurs the object's outline out of the pictures."""
RANK = 8
"""Pictures that a background is kept as."""


def disc(path: Tensor, extent: float, grid: tuple[int, int]) -> Tensor:
    """How much of each place a disc of radius `extent` about a path (N, 2) covers, (N, h, w), 0 to 1.

    Both are in widths; its edge fades within a cell outside of it.
    """
    height, width = grid
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    places = torch.stack([x, y], -1) / width
    away = (places - path[:, None, None]).norm(dim=-1)
    return ((extent - away) * width + 1).clamp(0, 1)


def without_background(site: SiteEmbedding, cover: Tensor, share: float = 1.0) -> SiteEmbedding:
    """The embedding less what is behind the object, blurred; `cover` (N, h, w) says where that is.

    The background at a place is the mean over the frames that show it; where none does, its mean over all
    places. Of the rest to 1 of `share`, the mean over all frames is taken out instead and nothing is blurred.
    """
    frames = len(site.qk)
    centred = through_time(site, torch.eye(frames) - 1 / frames, qk=False)
    if site.space is None or site.time is None or len(site.space) > 1 or not share:
        return centred
    bare = 1 - cover.flatten(1).T.to(site.space)  # (P, N)
    shown = (bare.sum(1, keepdim=True) / 2).clamp(0, 1)  # two bare frames are enough
    if not shown.any():
        return centred
    space, time = site.space[0], site.time
    weights = (bare + 1e-3) / (bare + 1e-3).sum(1, keepdim=True)
    behind = (shown * weights)[:, None, :] * space[:, :, None]  # (P, r, N)
    flat = torch.einsum("rn,rnc->c", behind.sum(0), time) / shown.sum()
    parts = torch.cat([behind.flatten(1), 1 - shown], 1)[None]
    colours = torch.cat([time.flatten(0, 1), flat[None]])[:, None]
    still, _, _ = compacted(replace(site, qk=site.qk[:1], space=parts, time=colours), RANK)
    pictures = blurred(torch.cat([space, still.space[0]], 1), site.grid)
    moving = torch.cat([share * time, -share * still.time.expand(-1, frames, -1)])
    if share == 1:
        return replace(site, space=pictures[None], time=moving)
    return replace(
        site,
        space=torch.cat([space, pictures], 1)[None],
        time=torch.cat([(1 - share) * centred.time, moving]),
    )


def blurred(pictures: Tensor, grid: tuple[int, int]) -> Tensor:
    """Pictures (P, r) under a Gaussian of `SOFT` widths; beyond the picture its border goes on."""
    height, width = grid
    image = pictures.unflatten(0, grid)
    down, across = (_gaussian(cells, SOFT * width).to(pictures) for cells in (height, width))
    return torch.einsum("yh,xw,hwr->yxr", down, across, image).flatten(0, 1)


def _gaussian(cells: int, sigma: float) -> Tensor:
    reach = int(3 * sigma) + 1
    offsets = torch.arange(-reach, reach + 1)
    weights = (-(offsets**2) / (2 * sigma**2)).exp()
    index = (torch.arange(cells)[:, None] + offsets).clamp(0, cells - 1)
    return torch.zeros(cells, cells).scatter_add_(1, index, (weights / weights.sum()).expand(cells, -1))
