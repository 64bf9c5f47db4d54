"""Objects have a part of the picture each: their disc, shared with whom they meet, none where not there."""

from __future__ import annotations

import pytest
import torch

from motion_studio.motion.background import disc
from motion_studio.motion.regions import ROOM, UNSEEN, regions

GRID = (12, 16)


def resting(x: float, y: float, frames: int = 3) -> torch.Tensor:
    return torch.tensor([[x, y]]).repeat(frames, 1)


def at(share: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """The share at a place in widths, a number a frame."""
    return share[:, int(y * GRID[1]), int(x * GRID[1])]


def test_one_alone_has_its_disc_wherever_it_goes():
    path = torch.tensor([[0.2, 0.3], [0.5, 0.4], [0.8, 0.5]])
    (share,) = regions([(path, 0.12)], GRID)
    assert torch.allclose(share, disc(path, ROOM * 0.12, GRID))
    assert all(at(share, *place)[frame] == 1 for frame, place in enumerate(path.tolist()))
    assert at(share, 0.2, 0.3)[2] == 0


def test_where_two_meet_each_place_is_the_nearer_ones():
    left, right = regions([(resting(0.4, 0.4), 0.15), (resting(0.6, 0.4), 0.15)], GRID)
    assert ((left + right) <= 1 + 1e-6).all() and (left + right).max() == pytest.approx(1)
    assert (at(left, 0.4, 0.4) > 0.9).all() and (at(right, 0.4, 0.4) < 0.1).all()
    assert torch.allclose(left, right.flip(2), atol=1e-6)
    # Of two at one place the outline of the larger is nearer outside, that of neither inside it.
    small, large = regions([(resting(0.5, 0.4), 0.08), (resting(0.5, 0.4), 0.2)], GRID)
    assert (at(large, 0.67, 0.4) > 0.7).all() and (at(small, 0.67, 0.4) < 0.3).all()


def test_an_object_has_no_part_of_frames_that_it_is_not_in():
    path = resting(0.5, 0.4)
    path[1] = torch.nan
    share, other = regions([(path, 0.15), (resting(0.55, 0.4), 0.15)], GRID)
    assert (share[1] == 0).all() and share[0].max() > 0.5
    assert torch.allclose(other[1], disc(resting(0.55, 0.4), ROOM * 0.15, GRID)[1], atol=1e-5)
    nowhere = regions([(torch.full((3, 2), torch.nan), 0.15)], GRID)
    assert torch.equal(nowhere, torch.zeros(1, 3, *GRID))


def test_one_of_unknown_size_has_a_disc_of_its_own():
    (share,) = regions([(resting(0.5, 0.4), 0.0)], GRID)
    assert torch.allclose(share, disc(resting(0.5, 0.4), UNSEEN, GRID))
