from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from tests.motion.operation_examples import FRAMES

GRIDS = {"down": (8, 8), "mid": (4, 4), "up": (6, 6)}


@pytest.fixture
def make_motion() -> Callable[..., Motion]:
    """Random embeddings at three sites; the same seed gives the same motion."""

    def make(
        seed: int = 0, frames: int = FRAMES, rank: int = 2, per_frame: bool = False, grids=GRIDS, **info
    ) -> Motion:
        generator = torch.Generator().manual_seed(seed)

        def noise(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        first = frames if per_frame else 1
        sites = {
            name: SiteEmbedding(noise(frames, 5), noise(first, h * w, rank), noise(rank, frames, 5), (h, w))
            for name, (h, w) in grids.items()
        }
        return Motion(sites, MotionInfo(**info))

    return make


@pytest.fixture
def make_blob() -> Callable[..., Motion]:
    """A motion whose v is a soft spot that lies on `path` at each frame."""

    def make(
        path: Tensor, grid: tuple[int, int] = (32, 32), per_frame: bool = False, sigma: float = 0.05
    ) -> Motion:
        height, width = grid
        frames = len(path)
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        places = torch.stack([x.flatten(), y.flatten()], dim=1) / width
        spots = torch.exp(-(places - path[:, None]).square().sum(2) / (2 * sigma**2))  # (N, P)
        if per_frame:
            space, time = spots[:, :, None], torch.ones(1, frames, 1)
        else:
            space, time = spots.T[None], torch.eye(frames)[:, :, None]
        site = SiteEmbedding(torch.zeros(frames, 1), space, time, grid)
        return Motion({"site": site}, MotionInfo(path=path.tolist()))

    return make


@pytest.fixture
def centres() -> Callable[[Motion], Tensor]:
    """The spot's centre (N, 2) at each frame, in fractions of the width."""

    def measure(motion: Motion) -> Tensor:
        site = motion.sites["site"]
        height, width = site.grid
        pictures = site.v()[:, :, 0].T.reshape(-1, height, width)
        mass = pictures.sum((1, 2))
        x = (pictures.sum(1) * (torch.arange(width) + 0.5)).sum(1) / mass / width
        y = (pictures.sum(2) * (torch.arange(height) + 0.5)).sum(1) / mass / width
        return torch.stack([x, y], dim=1)

    return measure


@pytest.fixture
def same() -> Callable[..., None]:
    """Asserts that two motions are equal as dense tensors, at all sites, as each frame hears them."""

    def check(first: Motion, second: Motion, tolerance: float = 1e-5) -> None:
        assert first.sites.keys() == second.sites.keys()
        for name, site in first.sites.items():
            for one, other in zip(as_heard(site), as_heard(second.sites[name]), strict=True):
                torch.testing.assert_close(one, other, atol=tolerance, rtol=1e-5)

    return check


def as_heard(site: SiteEmbedding) -> tuple[Tensor, Tensor]:
    """What each of the M frames hears of all N: qk (M, N, C) and v (M, P, N, C)."""
    curves = [torch.ones(len(site.qk)) if voice.heard is None else voice.heard for voice in site.voices]
    parts = list(zip(curves, site.voices, strict=True))
    qk = sum(torch.einsum("m,nc->mnc", curve, voice.qk) for curve, voice in parts)
    v = sum(torch.einsum("m,pnc->mpnc", curve, voice.v()) for curve, voice in parts if voice.time is not None)
    return qk, v
