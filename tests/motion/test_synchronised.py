"""Frames share one ground: where a camera's curve says, around the object, as far as is asked."""

from __future__ import annotations

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.background import disc
from motion_studio.motion.carried import carried_along, carried_back
from motion_studio.motion.regions import ROOM
from motion_studio.motion.synchronised import SharedGround, SharedObject

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
        SharedGround(camera(), path, 0.2 / ROOM, HEIGHT, WIDTH).bare,
    )


def test_there_is_room_about_the_object():
    path = torch.stack([torch.linspace(0.2, 0.8, 5), torch.full((5,), 0.4)], 1)
    ground = SharedGround(camera(dx=0.5), path, 0.15, HEIGHT, WIDTH)
    assert torch.allclose(ground.bare, 1 - disc(path, ROOM * 0.15, (HEIGHT, WIDTH)))
    assert torch.allclose(ground.bare, 1 - held(path).disc)  # it ends where the object begins


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


WAY = torch.stack([torch.linspace(0.25, 0.75, 5), torch.linspace(0.3, 0.45, 5)], 1)
ONES, ZEROS = torch.ones(5), torch.zeros(5)


def blobs(path: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
    """A round object (1, 1, F, h, w) about a path (F, 2), with those radii, in widths."""
    y, x = torch.meshgrid(
        (torch.arange(HEIGHT) + 0.5) / WIDTH, (torch.arange(WIDTH) + 0.5) / WIDTH, indexing="ij"
    )
    away = (torch.stack([x, y], -1) - path[:, None, None]).norm(dim=-1)
    return (-((away / radii[:, None, None]) ** 2)).exp()[None, None]


def centres(clean: torch.Tensor) -> torch.Tensor:
    """The centre (F, 2), in widths, of what each frame of (1, 1, F, h, w) shows."""
    weights = clean[0, 0] / clean[0, 0].sum((1, 2), keepdim=True)
    x, y = (torch.arange(WIDTH) + 0.5) / WIDTH, (torch.arange(HEIGHT) + 0.5) / WIDTH
    return torch.stack([weights.sum(1) @ x, weights.sum(2) @ y], 1)


def held(path=WAY, extent=0.15, sizes=ONES, turns=ZEROS, share=1.0) -> SharedObject:
    return SharedObject(path, extent, sizes, turns, HEIGHT, WIDTH, share)


def test_an_object_that_goes_its_way_is_left_alone():
    given = blobs(WAY, 0.1 * ONES)
    assert torch.allclose(held()(given), given, atol=0.08)


def test_an_object_beside_its_way_is_brought_closer():
    off = WAY + torch.tensor([[0.06, 0], [-0.05, 0.03], [0, -0.06], [0.02, 0.05], [-0.03, -0.02]])
    given = blobs(off, 0.1 * ONES)
    errors = [
        float(((at := centres(clean)) - WAY - (at - WAY).mean(0)).norm()) for clean in (given, held()(given))
    ]
    assert errors[1] < 0.5 * errors[0]
    half = held(share=0.5)(given)
    assert torch.allclose(half, (given + held()(given)) / 2, atol=1e-6)
    assert torch.equal(held(share=0.0)(given), given)


def test_an_object_keeps_the_sizes_and_the_turn_it_is_known_to_have():
    sizes = torch.linspace(0.7, 1.3, 5)
    given = blobs(WAY, 0.09 * sizes)
    kept, levelled = held(sizes=sizes)(given), held()(given)
    assert float((kept - given).abs().max()) < 0.15 < float((levelled - given).abs().max())
    turns = torch.linspace(0, 1.5, 5)
    marks = torch.stack([turns.cos(), turns.sin()], 1)
    turning = blobs(WAY, 0.08 * ONES) + blobs(WAY + 0.1 * marks, 0.05 * ONES)
    apart = [float((held(turns=way)(turning) - turning).abs().mean()) for way in (turns, ZEROS)]
    assert apart[0] < 0.6 * apart[1]


def test_what_is_away_from_an_object_stays_as_it_is():
    given = scattered()
    shared_ = held()
    changed = (shared_(given) != given).any(1)[0]
    assert changed.any((1, 2)).all() and not changed[shared_.disc == 0].any()


def test_an_object_that_rests_is_left_alone():
    given = scattered()
    still = WAY[:1].expand(5, 2)
    assert torch.allclose(held(still)(given), given)
    a_little = still + torch.linspace(0, 0.03, 5)[:, None]
    assert 0 < held(a_little).share < 1


def test_an_object_that_turns_or_grows_in_its_place_is_held_to_that():
    still, turns = torch.tensor([[0.5, 0.375]]).expand(5, 2), torch.linspace(0, 1.5, 5)
    assert held(still, turns=turns).share == held(still, sizes=turns.exp()).share == 1
    marks = torch.stack([turns.cos(), turns.sin()], 1)
    turning = blobs(still, 0.08 * ONES) + blobs(still + 0.1 * marks, 0.05 * ONES)
    apart = [float((held(still, turns=way)(turning) - turning).abs().mean()) for way in (turns, -turns)]
    assert 0 < apart[0] < 0.6 * apart[1]


def test_noise_goes_along_with_an_object_that_turns():
    noise, turns = scattered(), torch.linspace(0, 1.5, 5)
    draw = lambda: torch.Generator().manual_seed(1)  # noqa: E731
    assert torch.equal(held().carried(noise, draw()), noise)
    for off in (0.0, 1.0):  # as little as is asked for, or as the object is held
        assert torch.equal(held(turns=turns, share=1 - off).carried(noise, draw(), off), noise)
    object_ = held(turns=turns)
    along = object_.carried(noise, draw())
    inside = object_.disc[None, None].expand_as(noise) > 0.99
    assert torch.equal(along[:, :, object_.disc == 0], noise[:, :, object_.disc == 0])
    assert not torch.isclose(along[inside], noise[inside]).any()
    assert torch.equal(along, object_.carried(noise, draw()))
    little = held(turns=0.1 * turns).carried(noise, draw())
    assert 0 < float((little - noise).abs().mean()) < float((along - noise).abs().mean())
    many = torch.randn(1, 64, 5, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2))
    own = object_.carried(many, draw())[:, :, object_.disc > 0.99]
    assert 0.95 < float(own.std()) < 1.05


def test_frames_without_an_object_neither_show_it_nor_give_any():
    gone = WAY.clone()
    gone[0] = gone[3] = torch.nan
    given = blobs(WAY, 0.1 * ONES)
    given[0, 0, 3] = 7.0
    made = held(gone)(given)
    assert torch.equal(made[0, 0, [0, 3]], given[0, 0, [0, 3]]) and float(made[0, 0, [1, 2, 4]].max()) < 1.1
    nowhere = torch.full_like(WAY, torch.nan)
    assert torch.equal(held(nowhere)(given), given)


def test_an_object_of_curves_that_do_not_fit_is_refused():
    for path, sizes in ((torch.zeros(5, 3), ONES), (WAY[:4], ONES), (WAY, ONES[:4])):
        with pytest.raises(InputError, match="are allowed"):
            held(path, sizes=sizes)


def test_curves_of_other_shapes_are_refused():
    for curve, path in ((torch.zeros(5, 3), None), (torch.zeros(5), None), (camera(), torch.zeros(4, 2))):
        with pytest.raises(InputError, match="are allowed"):
            SharedGround(curve, path, 0.1, HEIGHT, WIDTH)
