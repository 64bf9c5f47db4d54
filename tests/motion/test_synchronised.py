"""Frames share one ground: where a camera's curve says, around the object, as far as is asked."""

from __future__ import annotations

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.background import disc
from motion_studio.motion.carried import carried_along, carried_back
from motion_studio.motion.synchronised import SharedGround

HEIGHT, WIDTH = 12, 16


def camera(frames: int = 5, **sizes: float) -> torch.Tensor:
    curve = torch.zeros(frames, 4)
    for column, name in enumerate(("dx", "dy", "zoom", "roll")):
        curve[:, column] = torch.linspace(0, sizes.get(name, 0), frames)
    return curve


def painted(curve: torch.Tensor) -> torch.Tensor:
    """A smooth ground (1, 3, F, h, w), moved as the curve says."""
    x, y = carried_back(curve, HEIGHT, WIDTH).unbind(1)
    return torch.stack([(5 * x).sin(), (4 * y).cos(), (3 * x + 3 * y).sin()])[None]


ELSEWHERE = torch.full((5, 2), 9.0)
"""An object's path outside the picture: all of it is ground."""


def shared(curve: torch.Tensor, path=ELSEWHERE, extent: float = 0.1, share: float = 1.0) -> SharedGround:
    return SharedGround(curve, path, extent, HEIGHT, WIDTH, share)


def scattered(size: float = 1.0) -> torch.Tensor:
    return size * torch.randn(1, 3, 5, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


MOVES = [
    camera(dx=0.25),
    camera(dy=-0.2),
    camera(zoom=0.3),
    camera(roll=0.5),
    camera(dx=0.2, zoom=-0.2, roll=-0.3),
]


@pytest.mark.parametrize("curve", MOVES)
def test_places_go_forth_as_they_came_back(curve):
    back = carried_back(curve, HEIGHT, WIDTH)
    forth = carried_along(curve, back)
    at = carried_back(torch.zeros(1, 4), HEIGHT, WIDTH)[0]
    for frame in range(len(curve)):
        assert torch.allclose(forth[frame, frame], at, atol=1e-5)


@pytest.mark.parametrize("curve", MOVES)
def test_a_ground_that_goes_that_way_is_left_alone(curve):
    clean = painted(curve)
    error, other = ((shared(way)(clean) - clean).abs() for way in (curve, -curve))
    assert float(error.max()) < 0.12 and float(error.mean()) < 0.02  # interpolation and the border
    assert float(other.mean()) > 5 * float(error.mean())


@pytest.mark.parametrize("curve", MOVES)
def test_what_frames_disagree_on_is_settled(curve):
    ground, noise = (
        painted(curve),
        torch.randn(1, 3, 5, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)),
    )
    given = ground + 0.5 * noise
    settled = shared(curve)(given)
    assert float((settled - ground).square().mean()) < 0.35 * float((given - ground).square().mean())


def test_a_camera_at_rest_gives_all_frames_their_mean():
    given = scattered()
    mean = shared(camera())(given)
    assert torch.allclose(mean, given.mean(2, keepdim=True).expand_as(given), atol=1e-5)


def test_the_object_stays_its_frames_own():
    path = torch.stack([torch.linspace(0.2, 0.8, 5), torch.full((5,), 0.4)], 1)
    given = torch.zeros(1, 1, 5, HEIGHT, WIDTH)
    cells = [(frame, int(0.4 * WIDTH), int(x * WIDTH)) for frame, x in enumerate(path[:, 0].tolist())]
    for frame, row, column in cells:
        given[0, 0, frame, row, column] = 1 + frame
    kept = shared(camera(), path, 0.15)(given)
    assert [float(kept[0, 0][cell]) for cell in cells] == pytest.approx([1, 2, 3, 4, 5], abs=1e-4)
    assert float(kept.sum()) == pytest.approx(15, abs=1e-3)  # and leaves nothing on the ground of others
    assert float(shared(camera())(given).max()) < 1.5
    # An object whose size nobody knows is left room too.
    assert torch.equal(
        SharedGround(camera(), path, 0.0, HEIGHT, WIDTH).bare,
        SharedGround(camera(), path, 0.2 - 1 / WIDTH, HEIGHT, WIDTH).bare,
    )


def test_there_is_room_about_the_object_as_far_as_the_camera_rests():
    path = torch.stack([torch.linspace(0.2, 0.8, 5), torch.full((5,), 0.4)], 1)
    still, pan = camera(), camera()
    pan[:, 0] = torch.linspace(0, 0.5, 5)
    for curve, room in ((still, 1 / WIDTH), (pan, 0.0)):
        bare = 1 - disc(path, 0.15 + room, (HEIGHT, WIDTH))
        assert torch.allclose(SharedGround(curve, path, 0.15, HEIGHT, WIDTH).bare, bare)


@pytest.mark.parametrize("curve", [camera(), *MOVES])
def test_what_is_unlike_the_ground_stays_where_no_path_is_known(curve):
    ground = painted(curve)
    given = ground + 0.1 * scattered()
    cells = [(frame, 5, 3 + 2 * frame) for frame in range(5)]
    for cell in cells:
        given[(0, slice(None), *cell)] = torch.tensor([4.0, -4.0, 4.0])
    kept, erased = (shared(curve, path)(given) for path in (None, ELSEWHERE))
    for cell in cells:
        there = (0, slice(None), *cell)
        assert torch.allclose(kept[there], given[there], atol=0.2)
        assert not torch.allclose(erased[there], given[there], atol=2.0)
    bare = torch.ones_like(given, dtype=torch.bool)
    for cell in cells:
        bare[(0, slice(None), *cell)] = False
    errors = [float((made - ground)[bare].square().mean()) for made in (kept, erased, given)]
    assert errors[0] < 0.5 * errors[1] and errors[0] < 0.8 * errors[2]  # nor does it mark the others' ground


def test_frames_that_agree_are_left_alone_where_no_path_is_known():
    same = torch.ones(1, 3, 5, HEIGHT, WIDTH)
    assert torch.allclose(shared(camera(), None)(same), same)


def test_it_gives_way_by_its_share():
    given = scattered()
    none, half, whole = (
        SharedGround(MOVES[0], ELSEWHERE, 0.1, HEIGHT, WIDTH, share)(given) for share in (0.0, 0.5, 1.0)
    )
    assert torch.allclose(none, given) and torch.allclose(half, (given + whole) / 2, atol=1e-5)
    assert not torch.allclose(whole, given, atol=0.1)


def test_curves_of_other_shapes_are_refused():
    for curve, path in ((torch.zeros(5, 3), None), (torch.zeros(5), None), (camera(), torch.zeros(4, 2))):
        with pytest.raises(InputError, match="are allowed"):
            SharedGround(curve, path, 0.1, HEIGHT, WIDTH)
