"""A small motion with all that a motion can have, and a tiny base, for tests of what is above `motion/`."""

from __future__ import annotations

import pytest
import torch
from tiny import random_motion, tiny_backbone

from motion_studio.errors import InputError
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding

N, C, GRID, RANK = 5, 4, (2, 3), 2


def small_motion(seed: int = 0, **info) -> Motion:
    """Two sites, one with pictures that change from frame to frame, one with query-key only."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    places = GRID[0] * GRID[1]
    sites = {
        "down.attn1": SiteEmbedding(normal(N, C), normal(1, places, RANK), normal(RANK, N, C), GRID),
        "mid.attn1": SiteEmbedding(normal(N, C), normal(N, places, RANK), normal(RANK, N, C), GRID),
        "up.attn1": SiteEmbedding(normal(N, C)),
    }
    fields = {
        "title": "Wave", "notes": "a line\nand an ü", "base": "toybox", "base_hash": "ab12", "fps": 8.0,
        "latent_size": (16, 16), "carry": 0.5, "losses": [0.5, 0.25], "settings": {"rank": 2},
        "date": "2026-01-02T03:04:05+00:00",
        "lineage": [{"op": "reverse", "parents": ["cd"]}],
        "path": [[0.1 * n, 0.5] for n in range(N)],
        "camera": [[0.0, 0.0, 0.0, 0.0]] * N, "prompt": "a red star",
    }  # fmt: skip
    return Motion(sites, MotionInfo(**{**fields, **info}))


@pytest.fixture(name="make_motion")
def _make_motion():
    """`make_motion(seed, **info)` draws a small motion."""
    return small_motion


@pytest.fixture(scope="module")
def backbone():
    """A tiny base of real classes."""
    return tiny_backbone()


@pytest.fixture(scope="module")
def motion(backbone):
    """A motion of it, of random numbers."""
    return random_motion(backbone, 1, title="Wave")


@pytest.fixture
def load(make_motion):
    motions = {
        "a": make_motion(1),
        "b": make_motion(2, path=[[0.5, 0.1 * n] for n in range(5)]),
        "still": make_motion(3, path=None),
        "wan": make_motion(4, base="wan"),
    }

    def load(name):
        if name not in motions:
            raise InputError(f"There is no motion {name!r}.")
        return motions[name]

    return load
