"""The exact linear maps on one site's factored embedding that all operations are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from motion_studio.motion.embedding import SiteEmbedding


def interpolation(positions: Tensor, frames: int) -> Tensor:
    """The matrix (len(positions), frames) that reads linearly between frames, held beyond both ends."""
    positions = positions.double().clamp(0, frames - 1)
    below = positions.floor().long().clamp(max=max(frames - 2, 0))
    fraction = positions - below
    matrix = torch.zeros(len(positions), frames, dtype=torch.float64)
    matrix.scatter_add_(1, below[:, None], (1 - fraction)[:, None])
    matrix.scatter_add_(1, (below + 1).clamp(max=frames - 1)[:, None], fraction[:, None])
    return matrix.float()


def stretched(curve: Tensor, frames: int) -> Tensor:
    """A curve (N, k) read at `frames` frames, first on first and last on last.

    Rows of NaN stand for nothing: a frame nearer to one is NaN, any other is read from those that are not.
    """
    if len(curve) == frames:
        return curve
    positions = torch.linspace(0, len(curve) - 1, frames, dtype=torch.float64)
    matrix = interpolation(positions, len(curve)).to(curve)
    there = (~curve.isnan().any(1, keepdim=True)).to(curve)
    known = matrix @ there
    read = matrix @ (curve.nan_to_num() * there) / known
    return torch.where(known < 0.5, torch.nan, read) if not there.all() else matrix @ curve


def each_voice(function: Callable[..., SiteEmbedding]) -> Callable[..., SiteEmbedding]:
    """A function of an embedding without others, for one with others, too."""

    @wraps(function)
    def wrapped(site: SiteEmbedding, *args: Any, **kwargs: Any) -> SiteEmbedding:
        return site.each(lambda voice: function(voice, *args, **kwargs))

    return wrapped


@each_voice
def through_time(
    site: SiteEmbedding, matrix: Tensor, qk: bool = True, hearing: Tensor | None = None
) -> SiteEmbedding:
    """Frames mixed by a matrix T (N', N): v'[p, m, c] = sum_n T[m, n] v[p, n, c], and the same for qk.

    How strongly they hear goes through a matrix of its own, `hearing` (N', N); None leaves it as it is.

    Where `space` is the same at every frame only `time` changes. Else the rank grows by the largest number of
    frames that one new frame is made of: 1 for a selection, 2 for a resampling between frames.
    """
    matrix = matrix.to(site.qk)
    if hearing is not None and site.heard is not None:
        site = replace(site, heard=hearing.to(site.heard) @ site.heard)
    new_qk = matrix @ site.qk if qk else site.qk
    if site.space is None or site.time is None:
        return replace(site, qk=new_qk)
    if site.space.shape[0] == 1:
        return replace(site, qk=new_qk, time=matrix @ site.time)
    count = max(1, int((matrix != 0).sum(1).max()))
    sources = matrix.abs().topk(count, dim=1).indices
    weights = matrix.gather(1, sources)
    space = torch.cat([site.space[source] for source in sources.T], dim=2)
    time = torch.cat([w[:, None] * site.time[:, s] for w, s in zip(weights.T, sources.T, strict=True)])
    return replace(site, qk=new_qk, space=space, time=time)


@each_voice
def through_place(site: SiteEmbedding, affine: Tensor, aspect: float) -> SiteEmbedding:
    """`space` as pictures moved by affine maps (1 or N, 2, 3) of points, fractions of the width, y down.

    Cubic convolution (Keys 1981, a = -1/2), which keeps straight ramps straight and so a blob's centre where
    it belongs; cells that fall on cells are copied exactly. Beyond the picture its border goes on, so that
    what is the same at every place stays so. `aspect` is the picture's height in fractions of its width.
    """
    if site.space is None or site.grid is None:
        return site
    height, width = site.grid
    if (affine == affine[:1]).all():
        affine = affine[:1]  # one map for all frames keeps one `space` for all frames
    affine = affine.double().cpu()
    y, x = torch.meshgrid(
        (torch.arange(height, dtype=torch.float64) + 0.5) / height * aspect,
        (torch.arange(width, dtype=torch.float64) + 0.5) / width,
        indexing="ij",
    )
    points = torch.stack([x.flatten(), y.flatten()])  # (2, P)
    sources = torch.linalg.solve(affine[:, :, :2], points - affine[:, :, 2:])  # (G, 2, P)
    across, weights_x = _taps(sources[:, 0] * width - 0.5, width)
    down, weights_y = _taps(sources[:, 1] / aspect * height - 0.5, height)
    frames = max(len(affine), len(site.space))
    pictures = site.space.expand(frames, -1, -1)
    moved = torch.zeros_like(pictures, memory_format=torch.contiguous_format)
    for i in range(4):
        for j in range(4):
            weight = weights_y[i] * weights_x[j]
            if weight.any():
                index = (down[i] * width + across[j]).to(pictures.device)
                taps = pictures.gather(1, index[:, :, None].expand(frames, -1, pictures.shape[2]))
                moved = moved + taps * weight[:, :, None].to(pictures)
    return replace(site, space=moved)


def _taps(position: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """The four cells (4, ...) around each position and their weights."""
    position = position.clamp(0, cells - 1)
    nearest = position.round()
    # Rounding in the map must not blur cells that fall on cells.
    position = torch.where((position - nearest).abs() < 1e-6, nearest, position)
    first = position.floor()
    t = position - first
    weights = (
        t * (-0.5 + t * (1 - 0.5 * t)),
        1 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )
    cell = torch.stack([first + offset for offset in (-1, 0, 1, 2)]).long().clamp(0, cells - 1)
    return cell, torch.stack(weights)


@each_voice
def through_mask(site: SiteEmbedding, mask: Tensor) -> SiteEmbedding:
    """`space` weighted place by place with `mask` (P,)."""
    return site if site.space is None else replace(site, space=site.space * mask.to(site.space)[:, None])


@each_voice
def heard_by(site: SiteEmbedding, weight: Tensor) -> SiteEmbedding:
    """The embedding heard with `weight` (N,), a frame each, of what it was heard with."""
    heard = weight.to(site.qk) if site.heard is None else weight.to(site.heard) * site.heard
    return replace(site, heard=None if (heard == 1).all() else heard)


def weighted_sum(terms: Sequence[tuple[SiteEmbedding, Tensor]]) -> SiteEmbedding:
    """The sum of embeddings of one site, each times a weight a frame (N,); their ranks add up, exactly.

    Those that the same frames hear become one; the rest stay beside each other, less what none hears.
    """
    alike: list[list[tuple[SiteEmbedding, Tensor]]] = []
    for site, weight in terms:
        for voice in site.voices:
            for group in alike:
                if _heard_alike(group[0][0], voice):
                    group.append((voice, weight))
                    break
            else:
                alike.append([(voice, weight)])
    loud = [group for group in alike if group[0][0].heard is None or group[0][0].heard.any()]
    grid = next((site.grid for site, _ in terms if site.grid is not None), None)
    first, *others = (replace(_sum_alike(group), grid=grid) for group in loud or alike[:1])
    return replace(first, others=tuple(others))


def inner(one: SiteEmbedding, other: SiteEmbedding) -> Tensor:
    """The sum of products of two embeddings' entries, qk and v, through the factors; others do not count."""
    total = (one.qk * other.qk).sum()
    if one.space is None or other.space is None:
        return total
    frames = max(len(one.space), len(other.space))
    first, last = (site.space.expand(frames, -1, -1) for site in (one, other))
    places = torch.einsum("npr,nps->nrs", first, last)
    within = torch.einsum("rnc,snc->nrs", one.time, other.time)
    return total + (places * within).sum()


def _heard_alike(one: SiteEmbedding, other: SiteEmbedding) -> bool:
    if one.heard is None or other.heard is None:
        return one.heard is other.heard
    return torch.equal(one.heard, other.heard)


def _sum_alike(terms: Sequence[tuple[SiteEmbedding, Tensor]]) -> SiteEmbedding:
    terms = [(site, weight.to(site.qk)[:, None]) for site, weight in terms]
    qk = torch.stack([weight * site.qk for site, weight in terms]).sum(0)
    valued = [
        (site.space, site.time * weight)
        for site, weight in terms
        if site.space is not None and site.time is not None
    ]
    if not valued:
        return replace(terms[0][0], qk=qk)
    first = max(len(space) for space, _ in valued)
    space = torch.cat([space.expand(first, -1, -1) for space, _ in valued], dim=2)
    return replace(terms[0][0], qk=qk, space=space, time=torch.cat([time for _, time in valued]))


def compacted(site: SiteEmbedding, rank: int) -> tuple[SiteEmbedding, float, float]:
    """The best embedding of at most `rank`, one `space` for all frames; also the energy kept and the whole.

    It is the truncated SVD of v as a (P, N·C) matrix, taken through the factors so that v is never built; of
    each voice its own.
    """
    parts = [_compacted(voice, rank) for voice in site.voices]
    (first, _, _), *others = parts
    site = replace(first, others=tuple(part[0] for part in others))
    return site, sum(part[1] for part in parts), sum(part[2] for part in parts)


def _compacted(site: SiteEmbedding, rank: int) -> tuple[SiteEmbedding, float, float]:
    if site.space is None or site.time is None:
        return site, 0.0, 0.0
    frames, places, old = site.space.shape
    if frames == 1:
        left, right = site.space[0], site.time.flatten(1)
    else:
        # v is the pictures of all frames side by side, times a block-diagonal matrix of their features.
        left = site.space.permute(1, 0, 2).reshape(places, frames * old)
        blocks = torch.zeros(frames, old, *site.qk.shape).to(site.qk)
        each = torch.arange(frames, device=site.qk.device)
        blocks[each, :, each] = site.time.transpose(0, 1)
        right = blocks.flatten(0, 1).flatten(1)
    left_basis, left_part = torch.linalg.qr(left)
    right_basis, right_part = torch.linalg.qr(right.T)
    u, sizes, vh = torch.linalg.svd(left_part @ right_part.T)
    whole = float(sizes.square().sum())
    if frames == 1 and old <= rank:
        return site, whole, whole
    rank = min(rank, len(sizes))
    half = sizes[:rank].sqrt()
    space = (left_basis @ u[:, :rank] * half)[None]
    time = (half[:, None] * (vh[:rank] @ right_basis.T)).reshape(rank, *site.qk.shape)
    return replace(site, space=space, time=time), float(sizes[:rank].square().sum()), whole
