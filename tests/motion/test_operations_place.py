from __future__ import annotations

import math

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.carried import carried_along
from motion_studio.motion.embedding import Motion, SiteEmbedding
from motion_studio.motion.operations_place import (
    Along,
    Amplitude,
    Film,
    Follow,
    Mask,
    Mirror,
    Move,
    Turn,
    Zoom,
)
from motion_studio.motion.operations_time import Reverse
from tests.motion.operation_examples import wave

STILL = [(0.0, 0.0)] * 12
PATH = [(0.02 * n, -0.01 * n) for n in range(12)]


def chain(motion, *operations):
    for operation in operations:
        motion = operation.apply(motion)
    return motion


@pytest.fixture(params=[False, True], ids=["factored", "per frame"])
def motion(request, make_motion):
    return make_motion(per_frame=request.param)


IDENTITIES = {
    "mirror x twice": [Mirror("x")] * 2,
    "mirror y twice": [Mirror("y")] * 2,
    "four quarter turns": [Turn(90)] * 4,
    "there and back": [Turn(90), Turn(-90)],
    "two half turns": [Turn(180)] * 2,
    "a half turn and both mirrors": [Turn(180), Mirror("x"), Mirror("y")],
    "a whole turn": [Turn(360)],
    "turn 0": [Turn(0)],
    "move nowhere": [Move(0, 0)],
    "along nothing": [Along(STILL)],
    "zoom 1": [Zoom(1)],
    "amplitude 1": [Amplitude(1, PATH)],
    "amplitude of what is still": [Amplitude(3, STILL)],
    "a camera at rest": [Film()],
    "the whole picture": [Mask(0, 0, 1, 1)],
    "the whole picture with a feather": [Mask(0, 0, 1, 1, feather=0.3)],
}


@pytest.mark.parametrize("operations", IDENTITIES.values(), ids=IDENTITIES.keys())
def test_identity_is_exact(operations, motion):
    result = chain(motion, *operations)
    for name, site in motion.sites.items():
        assert torch.equal(result.sites[name].space, site.space)
        assert torch.equal(result.sites[name].time, site.time)


@pytest.mark.parametrize("grid", [(7, 7), (9, 9), (11, 11), (48, 48), (5, 9), (9, 16)])
def test_mirrors_and_turns_are_exact_on_any_grid(grid, make_motion):
    site = "site"
    a = make_motion(grids={site: grid})
    before = a.sites[site].space.unflatten(1, grid)
    assert torch.equal(Mirror("x").apply(a).sites[site].space.unflatten(1, grid), before.flip(2))
    assert torch.equal(Mirror("y").apply(a).sites[site].space.unflatten(1, grid), before.flip(1))
    assert torch.equal(Turn(180).apply(a).sites[site].space.unflatten(1, grid), before.flip(1, 2))
    if grid[0] == grid[1]:
        # rot90 turns from the first axis to the second: down to right, against the clock.
        assert torch.equal(Turn(90).apply(a).sites[site].space.unflatten(1, grid), before.rot90(-1, (1, 2)))


EQUAL = {
    "half a turn is two quarters": ([Turn(90), Turn(90)], [Turn(180)]),
    "mirrors make half a turn": ([Mirror("x"), Mirror("y")], [Turn(180)]),
    "mirror between quarter turns": ([Turn(90), Mirror("x"), Turn(-90)], [Mirror("y")]),
    "amplitude is a path": ([Amplitude(1.5, PATH)], [Along([(x / 2, y / 2) for x, y in PATH])]),
    "a flat path is a move": ([Along([(0.125, 0.25)] * 12)], [Move(0.125, 0.25)]),
    "a pan carries along what moves": ([Film(0.5, -0.25)], [Along([(-n / 22, -n / 44) for n in range(12)])]),
    "reverse turns a path round": (
        [Along(PATH), Reverse()],
        [Reverse(), Along(PATH[::-1])],
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal(name, motion, same):
    left, right = EQUAL[name]
    same(chain(motion, *left), chain(motion, *right))


def test_order_counts(motion):
    first, second = chain(motion, Move(0.25), Turn(90)), chain(motion, Turn(90), Move(0.25))
    assert not torch.allclose(first.sites["mid"].v(), second.sites["mid"].v())


def test_whole_cells_move_exactly(make_motion):
    a = make_motion(grids={"site": (8, 8)})
    before = a.sites["site"].space.unflatten(1, (8, 8))
    after = Move(0.25, -0.125).apply(a).sites["site"].space.unflatten(1, (8, 8))
    assert torch.equal(after[:, :7, 2:], before[:, 1:, :6])
    # Beyond the picture its border goes on.
    assert torch.equal(after[:, :7, 0], before[:, 1:, 0])


@pytest.mark.parametrize("per_frame", [False, True])
def test_moved_there_and_back_inside_the_picture(per_frame, make_blob):
    a = make_blob(wave(12, 0.1), per_frame=per_frame)
    exact = chain(a, Move(0.125, -0.125), Move(-0.125, 0.125))
    torch.testing.assert_close(exact.sites["site"].v(), a.sites["site"].v(), atol=1e-3, rtol=0)
    between = chain(a, Move(0.11, -0.07), Move(-0.11, 0.07))
    torch.testing.assert_close(between.sites["site"].v(), a.sites["site"].v(), atol=0.03, rtol=0)


def test_there_and_back_by_any_angle_or_size(make_blob):
    a = make_blob(wave(12, 0.1))
    for there, back in ((Turn(33), Turn(-33)), (Zoom(1.4), Zoom(1 / 1.4))):
        result = chain(a, there, back).sites["site"].v()
        torch.testing.assert_close(result, a.sites["site"].v(), atol=0.05, rtol=0)


def test_frame_by_frame_stays_exact_and_small(make_motion):
    a = make_motion()
    moved = Along(PATH).apply(a)
    assert moved.rank == a.rank
    assert moved.sites["down"].space.shape == (12, 64, 2)
    for n in (0, 5, 11):
        alone = Move(*PATH[n]).apply(a).sites["down"].v()
        torch.testing.assert_close(moved.sites["down"].v()[:, n], alone[:, n])


def test_mask_cuts_at_cells_and_between_them(make_motion):
    a = make_motion(grids={"site": (4, 4)})
    before = a.sites["site"].v().unflatten(0, (4, 4))
    left = Mask(0, 0, 0.5, 1).apply(a).sites["site"].v().unflatten(0, (4, 4))
    torch.testing.assert_close(left[:, :2], before[:, :2])
    assert not left[:, 2:].any()
    # A cell that is half inside counts half.
    part = Mask(0.125, 0, 1, 1).apply(a).sites["site"].v().unflatten(0, (4, 4))
    torch.testing.assert_close(part[:, 0], before[:, 0] / 2)
    soft = Mask(0.5, 0, 1, 1, feather=0.5).apply(a).sites["site"].v().unflatten(0, (4, 4))
    torch.testing.assert_close(soft[:, 1], before[:, 1] / 4)


def test_mask_counts_the_height_in_widths(make_motion):
    a = make_motion(grids={"site": (4, 8)})
    before = a.sites["site"].v().unflatten(0, (4, 8))
    top = Mask(0, 0, 1, 0.25).apply(a).sites["site"].v().unflatten(0, (4, 8))
    torch.testing.assert_close(top[:2], before[:2])
    assert not top[2:].any()
    left = Mask(0, 0, 0.25, 0.5).apply(a).sites["site"].v().unflatten(0, (4, 8))
    torch.testing.assert_close(left[:, :2], before[:, :2])
    assert not left[:, 2:].any()
    part = Mask(0, 0.0625, 1, 0.5).apply(a).sites["site"].v().unflatten(0, (4, 8))
    torch.testing.assert_close(part[0], before[0] / 2)
    torch.testing.assert_close(part[1:], before[1:])
    with pytest.raises(InputError, match=r"up to the picture's height 0\.5"):
        Mask(0, 0, 1, 0.75).apply(a)


def test_a_region_and_its_outside_make_the_whole(motion):
    inside, outside = Mask(0.1, 0.2, 0.7, 0.9), Mask(0.1, 0.2, 0.7, 0.9, outside=True)
    for name, site in motion.sites.items():
        parts = inside.apply(motion).sites[name].v() + outside.apply(motion).sites[name].v()
        torch.testing.assert_close(parts, site.v())


def test_camera_turns_along(make_motion):
    camera = [[0.1 * n, 0, 0.02 * n, 0.03 * n] for n in range(12)]
    a = make_motion(camera=camera)
    torch.testing.assert_close(Turn(90).apply(a).camera()[:, 1], a.camera()[:, 0])
    mirrored = Mirror("x").apply(a).camera()
    torch.testing.assert_close(mirrored, a.camera() * torch.tensor([-1.0, 1, 1, -1]))
    torch.testing.assert_close(Move(0.1).apply(a).camera(), a.camera())
    for factor in (2, 0.5):  # the way is as much longer, the camera's own zoom and roll are what they were
        zoomed = Zoom(factor).apply(a).camera()
        torch.testing.assert_close(zoomed, a.camera() * torch.tensor([factor, factor, 1, 1]))


def test_a_followed_way_takes_the_place_of_its_own(make_blob, centres, make_motion, same):
    own = wave()
    drawn = torch.stack([torch.linspace(0.7, 0.3, 12), torch.linspace(0.3, 0.6, 12)], 1)
    blob = make_blob(own)
    led = Follow(drawn).apply(blob)
    torch.testing.assert_close(led.path(), drawn, atol=1e-5, rtol=0)
    torch.testing.assert_close(centres(led), drawn, atol=0.01, rtol=0)
    same(Follow(own).apply(blob), blob)
    few = Follow([(0.7, 0.3), (0.3, 0.6)])  # read evenly, first at first and last at last
    torch.testing.assert_close(few.apply(blob).path(), drawn, atol=1e-5, rtol=0)
    torch.testing.assert_close(few.apply_path(own), drawn, atol=1e-5, rtol=0)
    rests = Follow([(0.4, 0.4)]).apply(blob)
    torch.testing.assert_close(rests.path(), torch.full((12, 2), 0.4), atol=1e-5, rtol=0)
    pan = [[0.02 * n, 0.0, 0.0, 0.0] for n in range(12)]
    filmed = make_motion(camera=pan, path=own.tolist())
    torch.testing.assert_close(few.apply(filmed).camera(), filmed.camera())
    with pytest.raises(InputError, match="follow needs the object's own path"):
        few.apply(make_motion())


def test_a_mirrored_object_turns_the_other_way_round(make_motion):
    a = make_motion(turns=[0.1 * n for n in range(12)])
    for axis in ("x", "y"):
        torch.testing.assert_close(Mirror(axis).apply(a).turns(), -a.turns())
        assert Mirror(axis).apply(make_motion()).info.turns is None
    torch.testing.assert_close(Turn(40).apply(a).turns(), a.turns())


def test_a_film_goes_on_from_the_cameras_own_way(make_motion):
    rows = [[0.02 * n, -0.01 * n, 0.03 * n, 0.02 * n] for n in range(12)]
    film = Film(0.3, 0.2, 1.5, 40)
    sizes = [1 + 0.02 * n for n in range(12)]
    turns = [0.1 * n for n in range(12)]
    a = make_motion(camera=rows, path=wave().tolist(), extent=0.1, sizes=sizes, turns=turns)
    filmed = film.apply(a)
    points = torch.randn(12, 2, 1, 1, generator=torch.Generator().manual_seed(0)) / 3
    there = carried_along(filmed.camera(), points)
    for n, seen in enumerate(carried_along(a.camera(), points)):  # ground, wherever it is by then
        torch.testing.assert_close(there[n], carried_along(film.curve(12), seen)[n], atol=1e-5, rtol=0)
    path = carried_along(film.curve(12), (a.path() - 0.5)[:, :, None, None])[
        torch.arange(12), torch.arange(12)
    ]
    torch.testing.assert_close(filmed.path(), path[:, :, 0, 0] + 0.5, atol=1e-5, rtol=0)
    assert filmed.info.extent == pytest.approx(0.15)
    torch.testing.assert_close(filmed.sizes(), torch.tensor(sizes) * 1.5 ** torch.linspace(0, 1, 12))
    torch.testing.assert_close(filmed.turns(), torch.tensor(turns) + film.curve(12)[:, 3])
    assert Film(zoom=0.5).apply(a).info.extent == pytest.approx(0.1)  # it holds the object at every frame
    torch.testing.assert_close(film.unseen_path(filmed.path()), a.path())
    torch.testing.assert_close(Film(-0.3).apply(Film(0.3).apply(a)).camera(), a.camera())
    torch.testing.assert_close(Film(0.5).apply(Film(0.25).apply(a)).path(), Film(0.75).apply(a).path())


def test_of_a_motion_without_a_camera_or_values_the_camera_is_the_films(make_motion):
    film = Film(0.3, zoom=2)
    torch.testing.assert_close(film.apply(make_motion()).camera(), film.curve(12))
    bare = Motion({"site": SiteEmbedding(torch.ones(12, 3))})
    filmed = film.apply(bare)
    assert torch.equal(filmed.sites["site"].qk, bare.sites["site"].qk)
    torch.testing.assert_close(filmed.camera()[-1], torch.tensor([-0.3, 0, math.log(2), 0]))


def test_amplitude_takes_the_motions_own_path(make_motion, same):
    path = wave()
    same(Amplitude(2).apply(make_motion(path=path.tolist())), Amplitude(2, path).apply(make_motion()))
    doubled = Amplitude(2).apply(make_motion(path=path.tolist()))
    torch.testing.assert_close(doubled.path(), path[0] + 2 * (path - path[0]))
    again = Amplitude(0.5).apply(doubled)
    torch.testing.assert_close(again.path(), path)
